"""Files that are whole or not there."""

import json
from pathlib import Path

import pytest

from m2fnet_hf.utils.files import write_json, write_whole


@pytest.mark.parametrize("concurrent", [False, True])
def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path, concurrent: bool) -> None:
    path = tmp_path / "new" / "file.txt"
    with write_whole(path, concurrent) as part:
        part.write_text("old")
        assert not path.exists()

    def interrupted() -> None:
        with write_whole(path, concurrent) as part:
            part.write_text("half")
            assert (part.parent, part.suffix) == (path.parent, ".part")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_processes_that_write_the_same_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with write_whole(path, concurrent=True) as one, write_whole(path, concurrent=True) as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"
    with write_whole(path) as first:
        pass_on = first
        first.touch()
    with write_whole(path) as second:
        assert second == pass_on, "what a killed run left is written over"
        second.touch()


def test_json_is_utf_8_with_an_end_of_line(tmp_path: Path) -> None:
    write_json({"b": "ä", "a": Path("x")}, tmp_path / "file.json", sort_keys=True, default=str)
    text = (tmp_path / "file.json").read_bytes().decode("utf-8")
    assert text == '{\n  "a": "x",\n  "b": "ä"\n}\n'
    assert json.loads(text) == {"a": "x", "b": "ä"}
