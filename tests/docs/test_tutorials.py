"""What the documentation tells people to type: tutorials run as they stand, all other commands and imports exist."""

import ast
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

from m2fnet_hf.cli import _parse

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SAMPLE = ROOT / "examples" / "sample_dialogue" / "conversation"
PAGES = sorted([ROOT / "README.md", *DOCS.rglob("*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
INLINE = re.compile(r"`(m2fnet [^`]+)`")
EXTRAS = re.compile(r"m2fnet-hf\[([\w,]+)\]")
# What a page of one's own computer has in the place of these.
STAND_INS = {"pip": 'echo "pip $*"', "python3": f'exec {shlex.quote(sys.executable)} "$@"'}


class Block(NamedTuple):
    language: str
    code: str


def blocks(page: Path) -> list[Block]:
    return [Block(*found) for found in BLOCK.findall(page.read_text(encoding="utf-8"))]


def commands(page: Path) -> Iterator[str]:
    """Each command line of ours, in blocks and in sentences, which has arguments."""
    lines = [line for block in blocks(page) if block.language in ("sh", "text") for line in joined(block.code)]
    inline = re.sub(r"\s+", " ", BLOCK.sub("", page.read_text(encoding="utf-8")))
    for line in (*lines, *INLINE.findall(inline)):
        words = shlex.split(line, comments=True)
        if words[:1] == ["m2fnet"] and len(words) > 2 and "COMMAND" not in words:
            yield shlex.join(words)


def joined(code: str) -> list[str]:
    return code.replace("\\\n", " ").splitlines()


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with an interview, where the commands of a page find what they need."""
    for suffix in (".mp4", ".srt"):
        shutil.copy(SAMPLE.with_suffix(suffix), tmp_path / f"interview{suffix}")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, line in STAND_INS.items():
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    (programs / "m2fnet").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m m2fnet_hf "$@"\n')
    (programs / "m2fnet").chmod(0o755)
    return tmp_path


def run(page: Path, desk: Path, language: str | None = None) -> str:
    """The blocks of a page, one after the other in one shell; returns what they print."""
    python = f"{shlex.quote(sys.executable)} - <<'PYTHON'\n%sPYTHON\n"
    parts = [one.code if one.language == "sh" else python % one.code for one in blocks(page) if one.language != "text"]
    path = f"{desk / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    script = "set -e\ntrap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n" + "".join(parts)  # a service runs until then
    ran = subprocess.run(["bash", "-c", script], cwd=desk, env=environment, capture_output=True, text=True, timeout=500)
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    return ran.stdout


@pytest.mark.slow
def test_interview(desk: Path) -> None:
    shown = run(DOCS / "tutorials" / "interview.md", desk)
    assert "MAYA" in shown
    listed = re.findall(
        r"`(interview)?(\.[\w.]+)`", (DOCS / "tutorials" / "interview.md").read_text().partition("Read")[2]
    )
    written = {path.name for path in (desk / "out").iterdir()}
    assert {"interview.html", "interview.png", "interview.eaf", "interview.annotated.mp4"} <= written
    assert all(any(name.endswith(suffix) for name in written) for _, suffix in listed if suffix != ".csv")


@pytest.mark.slow
def test_data_set(desk: Path) -> None:
    pytest.importorskip("omegaconf", reason="m2fnet-hf[train] is not installed")
    shown = run(DOCS / "tutorials" / "data-set.md", desk)
    assert re.search(r"weighted F1 [01]\.\d+, 95 % interval [01]\.\d+ to [01]\.\d+", shown)
    assert (desk / "runs" / "talks" / "run.json").is_file()


@pytest.mark.slow
def test_service(desk: Path) -> None:
    pytest.importorskip("fastapi", reason="FastAPI, which serves, is not installed")
    pytest.importorskip("uvicorn", reason="uvicorn, which serves, is not installed")
    for path in (ROOT / "examples" / "serving").iterdir():
        if path.is_file():
            shutil.copy(path, desk)
    shown = run(DOCS / "tutorials" / "service.md", desk)
    assert '"label"' in shown
    assert '"error"' in shown


@pytest.mark.slow
def test_app(desk: Path) -> None:
    """It serves until it is stopped, so its page is asked for meanwhile."""
    pytest.importorskip("gradio", reason="Gradio, which serves the app, is not installed")
    install, serve = joined(next(one.code for one in blocks(DOCS / "tutorials" / "app.md")))
    assert install.startswith("pip install")
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "GRADIO_SERVER_PORT": "7869",
        "GRADIO_ANALYTICS_ENABLED": "0",
        "PYTHONUNBUFFERED": "1",
    }
    words = [sys.executable, "-m", *serve.replace("m2fnet", "m2fnet_hf").split()]
    with subprocess.Popen(words, cwd=desk, env=environment, stdout=subprocess.PIPE, text=True) as app:
        try:
            address = next(found[0] for line in app.stdout if (found := re.search(r"http://[\d.:]+", line)))
            assert urllib.request.urlopen(address, timeout=60).status == 200
        finally:
            app.send_signal(signal.SIGINT)


def test_every_command_is_one() -> None:
    found = [(page, line) for page in PAGES for line in commands(page)]
    assert len(found) > 25
    for page, line in found:
        try:
            _parse(shlex.split(line)[1:])
        except SystemExit:
            pytest.fail(f"{page.name}: {line}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_import_is_there(page: Path) -> None:
    for block in blocks(page):
        if block.language == "python":
            for node in ast.walk(ast.parse(block.code)):
                if isinstance(node, ast.ImportFrom) and node.module.startswith("m2fnet_hf"):
                    assert [one.name for one in node.names if not hasattr(import_module(node.module), one.name)] == []


def test_every_extra_is_there() -> None:
    setup = (ROOT / "setup.cfg").read_text(encoding="utf-8").partition("[options.extras_require]")[2]
    extras = set(re.findall(r"^(\w+) =$", setup.partition("\n[")[0], re.M))
    named = {extra for page in PAGES for names in EXTRAS.findall(page.read_text()) for extra in names.split(",")}
    assert {"reports", "train", "demo"} <= named <= extras
