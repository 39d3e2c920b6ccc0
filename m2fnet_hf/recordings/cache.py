"""Arrays on disk by what they were made from, so that no work is done twice and a killed run goes on where it was."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub.constants import HF_HOME
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ..utils.files import write_whole
from ..utils.hashes import hash_file, hash_json


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

    An entry is written to a temporary file that then takes its place, so it is whole or not there. A folder that
    cannot be written to is a problem and no error: the work is done, but not kept.

    Args:
        folder: made when the first entry is written; `None` keeps nothing.
    """

    def __init__(self, folder: str | os.PathLike | None) -> None:
        self.folder = None if folder is None else Path(folder)
        self._problems: list[str] = []

    def take_problems(self) -> list[str]:
        """What could not be kept since this was last asked, a sentence each."""
        problems, self._problems = self._problems, []
        return problems

    @property
    def scratch(self) -> Path:
        """Where files can lie that are of no use to the next run."""
        return (self.folder or Path(tempfile.gettempdir()) / "m2fnet") / "scratch"

    def load(self, **key: Any) -> dict[str, np.ndarray] | None:
        """The arrays, of any shape, under a key (values that JSON can hold), or `None`."""
        if self.folder is None:
            return None
        try:
            return load_file(self._path(key))
        except (OSError, SafetensorError):  # not there, or spoilt from outside
            return None

    def save(self, arrays: Mapping[str, np.ndarray], **key: Any) -> None:
        """Keep arrays of any shape under a key."""
        if self.folder is None:
            return
        path = self._path(key)
        try:
            with write_whole(path, concurrent=True) as part:
                save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, part)
        except (OSError, SafetensorError) as error:
            self._problems.append(
                f"Nothing can be kept in {self.folder} ({error}), so the next run starts from the beginning; give a "
                "folder that can be written to."
            )
            self.folder = None

    def _path(self, key: Mapping[str, Any]) -> Path:
        assert self.folder is not None
        digest = hash_json(key)
        return self.folder / digest[:2] / f"{digest}.safetensors"
