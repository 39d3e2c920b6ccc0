"""CONTRIBUTING.md's walk is the way that `m2fnet predict` really goes."""

import subprocess
import sys
from pathlib import Path

import pytest
import walk
import yaml
from conftest import ROOT

import m2fnet_hf


@pytest.mark.slow
def test_the_walk_passes_through_the_files_that_are_listed(tmp_path: Path) -> None:
    subprocess.run([sys.executable, walk.__file__, tmp_path / "walk.txt"], check=True, timeout=300)
    walked = (tmp_path / "walk.txt").read_text().splitlines()
    assert walked == walk.written(), "regenerate the list: python tests/tools/walk.py"


def test_the_version_is_the_same_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == m2fnet_hf.__version__
    released = f"## {m2fnet_hf.__version__} - {citation['date-released']}"
    assert released in (ROOT / "CHANGELOG.md").read_text().splitlines()
