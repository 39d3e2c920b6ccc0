"""Hashes that tell files, settings and data apart, in hexadecimal letters."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SIZE = 16  # bytes
BLOCK = 1 << 16


def hash_parts(parts: Iterable[bytes | memoryview], size: int = SIZE) -> str:
    """Of bytes that follow each other (BLAKE2b)."""
    digest = hashlib.blake2b(digest_size=size)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def hash_text(text: str) -> str:
    """Of a text in UTF-8."""
    return hash_parts([text.encode("utf-8", "surrogateescape")])


def hash_json(value: Any, size: int = SIZE, **options: Any) -> str:
    """Of a value as JSON; the order of keys does not count.

    Args:
        options: for `json.dumps`, such as `default` for what JSON cannot hold.
    """
    return hash_parts([json.dumps(value, sort_keys=True, **options).encode()], size)


def hash_file(path: str | Path) -> str:
    """Of the bytes of a file; its name and date do not count."""
    with Path(path).open("rb") as file:
        return hash_parts(iter(lambda: file.read(BLOCK), b""))


def sha256_files(paths: Iterable[Path]) -> str:
    """SHA-256 of the bytes of files, one behind the other."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
    return digest.hexdigest()
