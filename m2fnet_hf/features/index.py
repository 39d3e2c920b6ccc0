"""What is known of the dialogues of a folder of shards, by key and on disk, so that memory does not grow with them.

It is made from the shards, whenever it is not of those that are there.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from zlib import crc32

from safetensors import SafetensorError, safe_open

from ..utils.files import write_whole
from ..utils.hashes import hash_file

INDEX = "index.sqlite"
# Shards that are named by the hash of their bytes; those of older versions are not.
HASHED = ".blake2b.safetensors"
# Of an SQLite file, the bytes of `user_version`, which is for whoever writes it: the checksum of all others.
HEADER, CHECKSUM = 100, slice(60, 64)
BLOCK = 1 << 16  # bytes that are read at a time
# No journal, which a process that is killed would leave behind: the file becomes the index when it is whole.
SCHEMA = """
PRAGMA journal_mode = OFF;
CREATE TABLE shards (name TEXT);
CREATE TABLE dialogues (key TEXT PRIMARY KEY, shard TEXT, record TEXT);
CREATE TABLE again (key TEXT);
"""


class FeatureIndex(Mapping[str, dict[str, Any]]):
    """Records of the dialogues of a folder, in the order of their keys.

    Each look-up opens the file itself, so that processes and threads can be handed the same index.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __getitem__(self, key: str) -> dict[str, Any]:
        for shard, record in self._rows("SELECT shard, record FROM dialogues WHERE key = ?", key):
            return _record(shard, record)
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return (key for (key,) in self._rows("SELECT key FROM dialogues ORDER BY key"))

    def __len__(self) -> int:
        return next(self._rows("SELECT count(*) FROM dialogues"))[0]

    def read_all(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """All keys and records, faster than `items`.

        Raises:
            ValueError: for a damaged index.
        """
        for key, shard, record in self._rows("SELECT key, shard, record FROM dialogues ORDER BY key"):
            yield key, _record(shard, record)

    @property
    def again(self) -> list[str]:
        """Keys of the dialogues that came again, in a later shard.

        Raises:
            ValueError: for a damaged index.
        """
        return [key for (key,) in self._rows("SELECT key FROM again ORDER BY key")]

    @property
    def is_of_all_shards(self) -> bool:
        """Whether it was made from the shards that are there."""
        return _is_sealed(self.folder / INDEX) and self.shards == shard_names(self.folder)

    @property
    def shards(self) -> list[str]:
        """Names of the shards that it was made from.

        Raises:
            ValueError: for a damaged index.
        """
        return [name for (name,) in self._rows("SELECT name FROM shards ORDER BY name")]

    def _rows(self, query: str, *values: str) -> Iterator[tuple]:
        path = self.folder / INDEX
        try:
            with closing(sqlite3.connect(_uri(path, "immutable=1"), uri=True)) as file:
                yield from file.execute(query, values)
        except sqlite3.Error as error:
            raise ValueError(
                f"{path} must be an index of features, found: {error}; run again, which mends it."
            ) from None


class KeysMet:
    """The keys of each split that were met, in a temporary file; leaving the context removes it."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("", uri=True)
        self._file.execute("CREATE TABLE met (split TEXT, key TEXT, PRIMARY KEY (split, key)) WITHOUT ROWID")

    def __enter__(self) -> "KeysMet":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, split: str, key: str) -> bool:
        """Whether it is met for the first time."""
        return self._file.execute("INSERT OR IGNORE INTO met VALUES (?, ?)", (split, key)).rowcount == 1

    def count(self, split: str) -> int:
        """How many of a split were met."""
        return self._file.execute("SELECT count(*) FROM met WHERE split = ?", (split,)).fetchone()[0]

    def lost(self, split: str, index: FeatureIndex) -> list[str]:
        """Those of a split that an index lacks."""
        self._file.commit()
        self._file.execute("ATTACH ? AS found", (_uri(index.folder / INDEX, "immutable=1"),))
        query = "SELECT key FROM met WHERE split = ? EXCEPT SELECT key FROM found.dialogues"
        lost = [key for (key,) in self._file.execute(query, (split,))]
        self._file.execute("DETACH found")
        return lost


def open_index(folder: Path) -> FeatureIndex:
    """The index of a folder; [`write_index`] where it is not of all shards."""
    index = FeatureIndex(folder)
    return index if index.is_of_all_shards else write_index(folder)


def write_index(folder: Path) -> FeatureIndex:
    """Index all whole dialogues of a folder, reading shard by shard.

    Raises:
        ValueError: for a shard that was spoilt.
        OSError: where nothing can be written.
    """
    with write_whole(folder / INDEX) as part:
        _fill(part, folder)
        _seal(part)
    return FeatureIndex(folder)


def shard_names(folder: Path) -> list[str]:
    """Of the shards that are there."""
    return sorted(path.name for path in folder.glob("*.safetensors"))


def is_spoilt(shard: Path) -> bool:
    """Whether a shard is another than was written; one of an older version, of which that is not known, is no shard."""
    if shard.name.endswith(HASHED):
        return hash_file(shard) != shard.name.removesuffix(HASHED)
    try:
        _records(shard)
    except ValueError:
        return True
    return False


def _fill(path: Path, folder: Path) -> None:
    # No other process has the file, and not every network has locks.
    with closing(sqlite3.connect(_uri(path, "nolock=1"), uri=True)) as file:
        file.executescript(SCHEMA)
        for shard in shard_names(folder):
            file.execute("INSERT INTO shards VALUES (?)", (shard,))
            for key, record in _records(folder / shard).items():
                values = (key, shard, json.dumps(record))
                if file.execute("INSERT OR IGNORE INTO dialogues VALUES (?, ?, ?)", values).rowcount == 0:
                    file.execute("INSERT INTO again VALUES (?)", (key,))
        file.commit()


def _records(path: Path) -> dict[str, dict[str, Any]]:
    """What a shard says of its dialogues, by key."""
    try:
        with safe_open(path, framework="np") as shard:
            return json.loads(shard.metadata()["dialogues"])
    except (SafetensorError, LookupError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} must be a shard of features, found: {error}; extract again, which mends it."
        ) from None


def _record(shard: str, record: str) -> dict[str, Any]:
    return {"shard": shard, **json.loads(record)}


def _seal(path: Path) -> None:
    checksum = _checksum(path)
    with path.open("r+b") as file:
        file.seek(CHECKSUM.start)
        file.write(checksum)


def _is_sealed(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(HEADER)[CHECKSUM] == _checksum(path)
    except OSError:
        return False


def _checksum(path: Path) -> bytes:
    """Of the file without the place of its checksum."""
    with path.open("rb") as file:
        header = bytearray(file.read(HEADER))
        header[CHECKSUM] = bytes(4)
        checksum = crc32(header)
        while block := file.read(BLOCK):
            checksum = crc32(block, checksum)
    return checksum.to_bytes(4, "big")


def _uri(path: Path, setting: str) -> str:
    return f"{path.absolute().as_uri()}?{setting}"
