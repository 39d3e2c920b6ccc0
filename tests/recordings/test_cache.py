"""The cache keeps what is whole and forgets what is not."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from m2fnet_hf.recordings.cache import Cache, content_hash, default_cache_dir

ARRAYS = {"rows": np.arange(6.0).reshape(2, 3), "names": np.array([1, 2])}


def test_what_is_kept_comes_back_under_its_key_alone(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "deep" / "cache")
    assert cache.load(stage="faces", times=[0.5, 1.0]) is None
    cache.save(ARRAYS, stage="faces", times=[0.5, 1.0])
    again = Cache(tmp_path / "deep" / "cache").load(times=[0.5, 1.0], stage="faces")
    assert again is not None
    assert {name: array.tolist() for name, array in again.items()} == {k: v.tolist() for k, v in ARRAYS.items()}
    for other in ({"stage": "faces", "times": [0.5]}, {"stage": "sound", "times": [0.5, 1.0]}):
        assert cache.load(**other) is None
    assert not list(tmp_path.rglob("*.part"))


def test_a_spoilt_entry_counts_as_none(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.save(ARRAYS, stage="faces")
    (entry,) = tmp_path.rglob("*.safetensors")
    entry.write_bytes(entry.read_bytes()[:40])
    assert cache.load(stage="faces") is None
    cache.save(ARRAYS, stage="faces")
    assert cache.load(stage="faces") is not None


def test_without_a_folder_nothing_is_kept() -> None:
    cache = Cache(None)
    cache.save(ARRAYS, stage="faces")
    assert cache.load(stage="faces") is None


def test_a_folder_that_cannot_be_written_to_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = Cache(tmp_path / "file" / "cache")
    cache.save(ARRAYS, stage="faces")
    cache.save(ARRAYS, stage="faces")
    (problem,) = cache.take_problems()
    assert problem.endswith("give a folder that can be written to.")
    assert cache.take_problems() == []
    assert cache.load(stage="faces") is None


def test_two_processes_write_one_entry(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np; from m2fnet_hf.recordings.cache import Cache; cache = Cache(sys.argv[1])\n"
        "for turn in range(300):\n"
        "    cache.save({'rows': np.full((64, 64), turn)}, stage='race')\n"
        "    rows = cache.load(stage='race')['rows']\n"
        "    assert (rows == rows[0, 0]).all()\n"
    )
    racers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(2)]
    assert [racer.wait() for racer in racers] == [0, 0]
    assert len(list(tmp_path.rglob("*"))) == 2  # the entry and its folder


def test_the_hash_is_of_the_content(tmp_path: Path) -> None:
    one, same, other = tmp_path / "one.mp4", tmp_path / "same.mp4", tmp_path / "other.mp4"
    one.write_bytes(b"a" * 3_000_000)
    same.write_bytes(one.read_bytes())
    other.write_bytes(b"a" * 2_999_999 + b"b")
    os.utime(same, (0, 0))
    assert content_hash(one) == content_hash(same) != content_hash(other)


def test_the_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("M2FNET_CACHE", str(tmp_path))
    assert default_cache_dir() == tmp_path
    monkeypatch.delenv("M2FNET_CACHE")
    assert default_cache_dir().name == "m2fnet"
