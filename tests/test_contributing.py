"""CONTRIBUTING.md's walk is the way that `m2fnet predict` really goes."""

import subprocess
import sys
from pathlib import Path

import pytest
import walk


@pytest.mark.slow
def test_the_walk_passes_through_the_files_that_are_listed(tmp_path: Path) -> None:
    subprocess.run([sys.executable, walk.__file__, tmp_path / "walk.txt"], check=True, timeout=300)
    assert (tmp_path / "walk.txt").read_text().splitlines() == walk.written(), (
        "regenerate it: python tests/tools/walk.py"
    )
