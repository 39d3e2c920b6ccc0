"""What the documentation tells people to type: tutorials run as they stand, all other commands and imports exist."""

import ast
import multiprocessing
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

from m2fnet_hf.cli import _parse, main

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SAMPLE = ROOT / "examples" / "sample_dialogue" / "conversation"
PAGES = sorted([ROOT / "README.md", *DOCS.rglob("*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
INLINE = re.compile(r"`(m2fnet [^`]+)`")
EXTRAS = re.compile(r"m2fnet-hf\[([\w,]+)\]")
# What a page of one's own computer has in the place of these.
STAND_INS = {"pip": 'echo "pip $*"', "python3": f'exec {shlex.quote(sys.executable)} "$@"'}
FORKED = """\
printf '%s\\0' {name} "$@" > {desk}/request
cat {desk}/said
exit "$(cat {desk}/status)"
"""
PIPES = ("request", "said", "status")


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
    for name in PIPES:
        os.mkfifo(tmp_path / name)
    programs = tmp_path / "bin"
    programs.mkdir()
    forked = {name: FORKED.format(name=name, desk=shlex.quote(str(tmp_path))) for name in ("m2fnet", "block")}
    for name, line in {**STAND_INS, **forked}.items():
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    return tmp_path


def forked(desk: Path, words: Sequence[str]) -> multiprocessing.Process:
    """`m2fnet` or a block of Python, in a process that is forked because starting anew takes seconds."""

    def work() -> None:
        os.chdir(desk)
        with (desk / "said").open("w", buffering=1) as sys.stdout:
            sys.stderr = sys.stdout
            if words[0] == "m2fnet":
                raise SystemExit(main(words[1:]))
            exec(Path(words[1]).read_text(), {})

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    return process


def run(page: Path, desk: Path, port: int = 8000) -> str:
    """The blocks of a page, one after the other in one shell; returns what they print."""
    import_module("m2fnet_hf.pipeline_m2fnet")  # once for all that are forked

    def serve() -> None:
        while words := (desk / "request").read_text().split("\0")[:-1]:
            process = forked(desk, words)
            process.join()
            (desk / "status").write_text(str(process.exitcode))

    script = ["set -e", "trap 'kill $(jobs -p) 2> /dev/null || true' EXIT"]  # a service runs until then
    for number, one in enumerate(blocks(page)):
        if one.language == "python":
            (desk / f"{number}.py").write_text(one.code)
            script.append(f"block {number}.py")
        elif one.language == "sh":
            script.append(one.code.replace("8000", str(port)))
    path = f"{desk / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    server = threading.Thread(target=serve, daemon=True)
    server.start()
    ran = subprocess.run(
        ["bash", "-c", "\n".join(script)], cwd=desk, env=environment, capture_output=True, text=True, timeout=500
    )
    (desk / "request").write_text("")
    server.join()
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
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shown = run(DOCS / "tutorials" / "service.md", desk, port)
    assert '"label"' in shown
    assert '"error"' in shown


@pytest.mark.slow
def test_app(desk: Path) -> None:
    """It serves until it is stopped, so its page is asked for meanwhile."""
    pytest.importorskip("gradio", reason="Gradio, which serves the app, is not installed")
    install, serve = joined(next(one.code for one in blocks(DOCS / "tutorials" / "app.md")))
    assert install.startswith("pip install")
    app = forked(desk, serve.split())
    with (desk / "said").open() as said:
        address = next(found[0] for line in said if (found := re.search(r"http://[\d.:]+", line)))
        assert urllib.request.urlopen(address, timeout=60).status == 200
        os.kill(app.pid, signal.SIGINT)
        app.join()
    assert app.exitcode in (0, 130)


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
