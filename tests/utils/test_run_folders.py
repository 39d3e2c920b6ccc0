"""Folders that belong to one run."""

import subprocess
import sys
from pathlib import Path

import pytest

from m2fnet_hf.utils.run_folders import claim, locked

HOLD = """
import sys, time
from pathlib import Path
from m2fnet_hf.utils.run_folders import locked
with locked(Path(sys.argv[1])):
    print(flush=True)
    time.sleep(600)
"""


def test_a_folder_goes_on_with_what_it_was_begun_with(tmp_path: Path) -> None:
    claim(tmp_path, "run.json", {"model": {"size": 0}})
    claim(tmp_path, "run.json", {"model": {"size": 1}, "data": "a", "where": Path("x")})
    (tmp_path / "checkpoint-1").mkdir()  # from now on something is there
    claim(tmp_path, "run.json", {"model": {"size": 1}, "data": "a", "where": Path("x"), "of a later version": 3})
    with pytest.raises(
        ValueError, match=r"begun with, found that the data are others, model\.size was 1 and is 2; use"
    ):
        claim(tmp_path, "run.json", {"model": {"size": 2}, "data": "b", "where": Path("x")})


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "checkpoint-3"])
def test_files_of_something_else_are_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / "slurm.log").touch()
    (tmp_path / name).write_text("mine")
    with pytest.raises(ValueError, match=f"must be a new folder or that of the same run, found {name} and no run.json"):
        claim(tmp_path, "run.json", {})
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize("content", ["", "[1]", '{"model": '])
def test_a_spoilt_record_is_a_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(ValueError, match=r"run\.json must be a JSON object that says what the folder holds"):
        claim(tmp_path, "run.json", {})


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    with (
        pytest.raises(ValueError, match="found another run that writes to it; wait"),
        locked(tmp_path, 0.3),
    ):
        pass
    process.kill()
    process.communicate()
    with locked(tmp_path, 0.3):
        assert list(tmp_path.iterdir()) == []
