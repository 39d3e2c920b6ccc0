"""Hashes, whose values name what older versions have kept."""

import hashlib
from pathlib import Path

from m2fnet_hf.utils.hashes import BLOCK, hash_file, hash_json, hash_parts, hash_text, sha256_files


def test_hashes_are_those_of_the_version_before(tmp_path: Path) -> None:
    """A cache, an ablation or a results file of before is found again."""
    content = bytes(range(256)) * (BLOCK // 200)
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        path.write_bytes(content)
    assert hash_file(paths[0]) == hashlib.blake2b(content, digest_size=16).hexdigest()
    assert sha256_files(paths) == hashlib.sha256(content + content).hexdigest()
    assert hash_text("é") == hashlib.blake2b("é".encode(), digest_size=16).hexdigest()
    assert hash_json({"b": 1, "a": [None]}) == hash_json({"a": [None], "b": 1})
    assert hash_json({"b": 1}) == hashlib.blake2b(b'{"b": 1}', digest_size=16).hexdigest()
    assert len(hash_json({"b": paths[0]}, size=8, default=repr)) == 16


def test_parts_follow_each_other() -> None:
    assert hash_parts([b"ab", b"c"]) == hash_parts(iter([b"a", memoryview(b"bc")]))
    assert hash_parts([b"ab"]) != hash_parts([b"ba"])
