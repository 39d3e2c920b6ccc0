"""The files of a model's weights: where they are, and what is in their place where they cannot be read."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, cached_file

from .json_files_m2fnet import read_object

SHOWN = 3
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


class WeightsError(Exception):
    """Weights that are not the model's.

    No `ValueError`, for which `transformers.pipeline` would try other classes and then show the stack traces of all.
    """


class WeightFiles:
    """The files of a model's weights, on this machine."""

    def __init__(self, name_or_path: str | os.PathLike | None, options: dict[str, Any]) -> None:
        self.name = "" if name_or_path is None else str(name_or_path)
        self.subfolder = options.get("subfolder") or ""
        variant = f".{options['variant']}." if options.get("variant") else "."
        self.single, self.index = (
            name.replace(".", variant, 1) for name in (SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME)
        )
        self.revision = options.get("revision")
        self.cache_dir = options.get("cache_dir")

    @property
    def described(self) -> str:
        """The file that names the weights."""
        if not self.name:
            return "The given weights"
        folder = self._folder()
        file = self.single if folder is None or self._index_of(folder) is None else self.index
        return str(Path(self.name, self.subfolder, file)) if self._is_local() else f"{file} of {self.name}"

    def check_index(self) -> None:
        """Refuse, before a file is opened, an index that names others than those beside it.

        Raises:
            WeightsError: for one, or for what is no index.
        """
        folder = self._folder()
        index = None if folder is None else self._index_of(folder)
        if index is not None:
            _shards(index)

    def damage(self) -> str | None:
        """What is wrong with the files, in one sentence; `None` for nothing that shows.

        Raises:
            WeightsError: for an index that is none, or names files elsewhere.
        """
        folder = self._folder()
        if folder is None:
            return None
        index = self._index_of(folder)
        if index is not None:
            files: Iterable[Path] = sorted({folder / name for name in _shards(index)})
        elif (folder / self.single).is_file():
            files = [folder / self.single]
        else:
            return self._absent(folder)
        for path in files:
            found = damage_of(path)
            if found is not None:
                return f"{path} must be a file of weights (safetensors), found {found}."
        return None

    def _index_of(self, folder: Path) -> Path | None:
        """The index, where the weights are in several files."""
        index = folder / self.index
        return index if index.is_file() and not (folder / self.single).is_file() else None

    def _absent(self, folder: Path) -> str | None:
        if not self._is_local() or any(folder.glob("*.onnx")):  # not yet fetched, or another class's model
            return None
        pickles = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
        if not pickles:
            return f"A model must hold its weights as {self.single}, found none in {folder}; save it there again."
        return (
            f"A model must hold its weights as {self.single}, found {listed(pickles)} in {folder}, a pickle, which can "
            "run code when it is opened; have who made it save it with `save_pretrained`."
        )

    def _is_local(self) -> bool:
        return Path(self.name).is_dir()

    def _folder(self) -> Path | None:
        if self._is_local():
            return Path(self.name, self.subfolder)
        lenient = {"_raise_exceptions_for_missing_entries": False, "_raise_exceptions_for_connection_errors": False}
        where = {"revision": self.revision, "cache_dir": self.cache_dir, "subfolder": self.subfolder}
        try:
            path = cached_file(self.name, "config.json", local_files_only=True, **lenient, **where)
        except (OSError, ValueError):
            return None
        return None if path is None else Path(path).parent


def _shards(index: Path) -> list[str]:
    """The names of the files that an index names.

    Raises:
        WeightsError: for what is no index, or one that names files elsewhere.
    """
    try:
        places = read_object(index).get("weight_map")
    except ValueError as error:
        raise WeightsError(str(error)) from error
    if not isinstance(places, dict):
        raise WeightsError(f"{index} must name the file of each weight in its `weight_map`, found none; get it again.")
    names = [str(name) for name in places.values()]
    elsewhere = {name for name in names if Path(name).name != name}
    if elsewhere:
        raise WeightsError(f"{index} must name files beside it, found {listed(elsewhere)}; get it again.")
    return names


def damage_of(path: Path) -> str | None:
    """What a file is instead of safetensors, `None` where it is that."""
    if not path.is_file():
        return "none; get it as well"
    try:
        with safe_open(path, "np") as weights:
            weights.keys()
        return None
    except (SafetensorError, OSError):
        pass
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        return "an empty file; get it again"
    if start.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS in its place; run `git lfs pull`"
    if start.lstrip()[:1] == b"<":
        return "a web page; download the file itself"
    if start[:2] == b"PK" or (start[:1] == b"\x80" and start[8:9] != b"{"):
        return "a pickle, which can run code when it is opened; have who made it save it with `save_pretrained`"
    return "one that is cut off or damaged; get it again"


def listed(names: Iterable[str]) -> str:
    """The first names, and how many there are."""
    names = sorted(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"


__all__ = ["WeightFiles", "WeightsError", "damage_of", "listed"]
