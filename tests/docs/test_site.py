"""The documentation as a site: built without a warning, whole in itself, with every public name in its reference."""

import ast
import os
import re
import runpy
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "m2fnet_hf"
FETCHED = re.compile(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=\"(?:https?:)?//[^\"]*\"")
LOCAL = re.compile(r"\b(?:src|href)=\"([^\":#?]+)[\"#?]")
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[\w-]+)?\)")
# Made when the site is built.
BUILT = re.compile(r"docs/(reference/\w[\w-]*|card)\.md")
MARKDOWN = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="mkdocs-material is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--site-dir",
        folder,
        "--config-file",
        ROOT / "mkdocs.yml",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    return folder


def public() -> Iterator[str]:
    """Every class, function and method that is no part of the command line and has a docstring of its own."""
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if not module.startswith(("m2fnet_hf.commands", "m2fnet_hf.cli", "m2fnet_hf.__main__")):
            yield from named(ast.parse(path.read_text(encoding="utf-8")), module)


def named(inside: ast.AST, prefix: str) -> Iterator[str]:
    for node in inside.body:
        if isinstance(node, FUNCTION) and not node.name.startswith("_") and ast.get_docstring(node):
            yield f"{prefix}.{node.name}"
            if isinstance(node, ast.ClassDef):
                yield from named(node, f"{prefix}.{node.name}")


@pytest.mark.slow
def test_every_public_name_is_in_the_reference(site: Path) -> None:
    inventory = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    listed = {line.split(" ")[0] for line in zlib.decompress(inventory).decode().splitlines()}
    assert not sorted(set(public()) - listed)
    index = (site / "docs" / "reference" / "index.html").read_text(encoding="utf-8")
    import m2fnet_hf

    assert [name for name in m2fnet_hf.__all__ if f"<code>{name}</code>" not in index] == ["__version__"]


@pytest.mark.slow
def test_every_command_is_in_the_reference(site: Path) -> None:
    page = (site / "docs" / "reference" / "command-line" / "index.html").read_text(encoding="utf-8")
    listed = subprocess.run(
        [sys.executable, "-m", "m2fnet_hf", "--help"], cwd=ROOT, capture_output=True, text=True
    ).stdout
    commands = re.findall(r"^    ([a-z-]+)(?:  |$)", listed, re.M)
    assert len(commands) > 10
    assert [name for name in commands if f"usage: m2fnet {name}" not in page] == []


@pytest.mark.slow
def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 50
    assert [found for page in pages for found in FETCHED.findall(page.read_text(encoding="utf-8"))] == []


@pytest.mark.slow
def test_every_local_address_is_there(site: Path) -> None:
    """Style sheets, scripts and pictures too, which a check of the Markdown does not see."""
    absent = set()
    for page in site.rglob("index.html"):
        for address in LOCAL.findall(page.read_text(encoding="utf-8")):
            place = page.parent / unquote(address)
            if not (place.is_file() or (place / "index.html").is_file()):
                absent.add(f"{page.relative_to(site)}: {address}")
    assert not absent


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_relative_links_lead_to_files(page: Path) -> None:
    targets = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    places = [os.path.normpath(page.parent / target) for target in targets]
    absent = [place for place in places if not os.path.exists(place)]
    assert [place for place in absent if not BUILT.fullmatch(os.path.relpath(place, ROOT))] == []


def test_the_readmes_table_of_speed_is_that_of_the_results() -> None:
    speed = runpy.run_path(str(ROOT / "docs" / "speed.py"))
    shown = speed["TABLE"].search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert shown[0] == speed["speed_table"](), "python docs/renew.py writes it again"
    assert shown[0].count("\n") > 2


def test_the_readme_fits_three_screens() -> None:
    """Of 1080 lines of pixels, at the width and type of a repository's page."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 120
    assert sum(line.startswith("![") for line in lines) == 1
    assert shutil.which("make") is None or {"make demo", "make test"} <= {line.split("  ")[0].strip() for line in lines}
