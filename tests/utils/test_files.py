"""Files that are whole or not there, and folders that belong to one run."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from m2fnet_hf.utils import files
from m2fnet_hf.utils.files import move_files, new_folder, scratch_folder, sweep, write_json, write_text, write_whole


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    with write_whole(path) as part:
        part.write_text("old")
        assert not path.exists()

    def interrupted() -> None:
        with write_whole(path) as part:
            part.write_text("half")
            assert (part.parent, part.suffix) == (path.parent, ".part")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_writers_of_the_same_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with write_whole(path) as one, write_whole(path) as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path: Path) -> None:
    write_text("text", tmp_path / ("n" * 255))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["text"]


@pytest.mark.parametrize(("make", "found"), [(os.mkdir, "a folder"), (os.mkfifo, "a pipe")])
def test_only_a_file_makes_room_for_a_file(tmp_path: Path, make: Callable[[Path], None], found: str) -> None:
    """A device that is moved away is gone for every process of the machine."""
    path = tmp_path / "place"
    make(path)
    before = path.stat().st_mode
    with pytest.raises(OSError, match=f"must be a place that can be written to, found: {found}; name another"):
        write_text("text", path)
    assert path.stat().st_mode == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_no_new_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("gone")
    with pytest.raises(FileExistsError, match="must be a new or empty folder"), new_folder(tmp_path / "link"):
        pytest.fail("begun")


def test_a_folder_that_takes_no_files_is_said_by_its_name() -> None:
    with (
        pytest.raises(OSError, match=r"/proc/x\.mp4 must be a place that can be written to"),
        write_whole("/proc/x.mp4"),
    ):
        pytest.fail("begun")


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    code = (
        "import sys, time; from m2fnet_hf.utils.files import new_folder, write_whole\n"
        "with write_whole(sys.argv[1] + '/file') as part, new_folder(sys.argv[1] + '/folder') as folder:\n"
        "    part.write_text('half'); (folder / 'file').write_text('half'); print(flush=True); time.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    parts = set(tmp_path.iterdir())
    assert len(parts) == 2
    sweep(tmp_path)
    assert set(tmp_path.iterdir()) == parts
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    (tmp_path / "mine.part").touch()
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.part"]


def test_what_another_machine_left_is_removed_after_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as elsewhere, write_whole(tmp_path / "file") as part:
        elsewhere.setattr(files, "_place", lambda: "elsewhere")
        with write_whole(tmp_path / "file") as foreign:
            part.touch()
            foreign.touch()
            name = foreign.name
    left = tmp_path / name
    left.touch()
    sweep(tmp_path)
    assert left.exists()
    os.utime(left, (0, 0))
    sweep(tmp_path)
    assert not left.exists()


def test_a_folder_is_there_as_a_whole_or_not(tmp_path: Path) -> None:
    def interrupted() -> None:
        with new_folder(tmp_path / "new") as part:
            (part / "file").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []
    with new_folder(tmp_path / "new") as part:
        (part / "file").write_text("whole")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]
    with pytest.raises(FileExistsError, match="must be a new or empty folder, found"), new_folder(tmp_path / "new"):
        pass


def test_files_are_moved_from_a_folder_that_goes(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "one").write_text("old")
    with scratch_folder(tmp_path / "run" / "model") as part:
        (part / "one").write_text("new")
        move_files(part, tmp_path / "run")
    assert [(path.name, path.read_text()) for path in (tmp_path / "run").iterdir()] == [("one", "new")]


def test_a_full_disk_is_a_sentence_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text("old", path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
        with pytest.raises(OSError, match=r"file must be written, found no room for it; make room and run again\."):
            write_text("new" * 10_000, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_to_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "below", tmp_path / "folder", tmp_path / ("n" * 256)):
        with pytest.raises(OSError, match=r"must be a place that can be written to, found: [\w ]+; name another\."):
            write_text("text", path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_json_is_utf_8_with_an_end_of_line(tmp_path: Path) -> None:
    write_json({"b": "ä", "a": Path("x")}, tmp_path / "file.json", sort_keys=True, default=str)
    text = (tmp_path / "file.json").read_bytes().decode("utf-8")
    assert text == '{\n  "a": "x",\n  "b": "ä"\n}\n'
    assert json.loads(text) == {"a": "x", "b": "ä"}
