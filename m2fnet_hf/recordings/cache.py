"""Arrays on disk by what they were made from, so that no work is done twice and a killed run goes on where it was."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub.constants import HF_HOME
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ..utils.files import write_whole
from ..utils.hashes import hash_file, hash_json, hash_parts

FORMAT = 2  # of entries: the first had no checksum
CHECKSUM = "checksum"


def default_cache_dir() -> Path:
    """`$M2FNET_CACHE`, or `m2fnet` in the Hub's own cache folder."""
    return Path(os.environ.get("M2FNET_CACHE") or Path(HF_HOME) / "m2fnet")


def content_hash(path: str | Path) -> str:
    """A hash of the file's bytes; its name and date do not count."""
    return hash_file(path)


def open_cache(where: str | os.PathLike | bool = True) -> "Cache":
    """The cache in a folder, in the default one (`True`), or one that keeps nothing (`False`)."""
    if isinstance(where, bool):
        return Cache(default_cache_dir() if where else None)
    return Cache(where)


class Cache:
    """Dictionaries of arrays by key, safe to use from several processes at once.

    An entry is written to a temporary file that then takes its place, so it is whole or not there, and holds its
    checksum. One that was spoilt from outside counts as none and is a problem, and so is a folder that cannot be
    written to: the work is done, but not kept.

    Args:
        folder: made when the first entry is written; `None` keeps nothing.
    """

    def __init__(self, folder: str | os.PathLike | None) -> None:
        self.folder = None if folder is None else Path(folder)
        self._problems: list[str] = []
        self._spoilt: list[Path] = []

    def take_problems(self) -> list[str]:
        """What could not be kept, or was spoilt, since this was last asked, a sentence each."""
        problems, self._problems = self._problems, []
        if self._spoilt:
            folder = self._spoilt[0].parent.parent
            problems.append(f"Spoilt in {folder} and made again: {len(self._spoilt)} of the files that were kept.")
            self._spoilt = []
        return problems

    @property
    def scratch(self) -> Path:
        """Where files can lie that are of no use to the next run."""
        return (self.folder or Path(tempfile.gettempdir()) / "m2fnet") / "scratch"

    def load(self, **key: Any) -> dict[str, np.ndarray] | None:
        """The arrays, of any shape, under a key (values that JSON can hold), or `None`."""
        if self.folder is None:
            return None
        path = self._path(key)
        try:
            with safe_open(path, framework="np") as file:
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                checksum = (file.metadata() or {}).get(CHECKSUM)
            if checksum == _checksum(path, arrays):
                return arrays
        except FileNotFoundError:
            return None
        except Exception:  # of a spoilt file, the library's reader may say anything
            pass
        self._spoilt.append(path)
        return None

    def save(self, arrays: Mapping[str, np.ndarray], **key: Any) -> None:
        """Keep arrays of any shape under a key."""
        if self.folder is None:
            return
        path = self._path(key)
        try:
            with write_whole(path, sync=False) as part:
                kept = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
                save_file(kept, part, {CHECKSUM: _checksum(path, kept)})
        except (OSError, SafetensorError) as error:
            self._problems.append(
                f"Nothing can be kept in {self.folder} ({error}), so the next run starts from the beginning; give a "
                "folder that can be written to."
            )
            self.folder = None

    def _path(self, key: Mapping[str, Any]) -> Path:
        assert self.folder is not None
        digest = hash_json({"format": FORMAT, **key})
        return self.folder / digest[:2] / f"{digest}.safetensors"


def _checksum(path: Path, arrays: Mapping[str, np.ndarray]) -> str:
    """Of an entry under its name: one that lies under another's is spoilt, too."""
    described = [(name, str(array.dtype), array.shape) for name, array in sorted(arrays.items())]
    head = hash_json([path.name, described]).encode()
    return hash_parts([head, *(array.tobytes() for _, array in sorted(arrays.items()))])
