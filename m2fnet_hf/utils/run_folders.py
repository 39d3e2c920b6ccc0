"""Folders that a run goes on in: each belongs to one configuration, and to one process at a time."""

import errno
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .files import write_json

# What a run writes, and would replace in a folder that is not its own.
_OF_RUNS = ("*.json", "*.safetensors", "*/*.safetensors", "*.db", "*.yaml", "checkpoint-*", "runs")
# The workers of a run that was killed live on for as long.
PATIENCE = 15.0  # seconds


def claim(folder: Path, name: str, settings: Mapping[str, Any]) -> None:
    """Say in a new folder what its files will be made of; an old one with files must have been begun with the same.

    Args:
        folder: of the run.
        name: of its record, a JSON file.
        settings: of any depth. Of the first level, what an older record lacks is not compared, nor is `version`.

    Raises:
        ValueError: naming the settings that differ, or for a folder with files of something else.
    """
    path = folder / name
    now = json.loads(json.dumps(settings, default=str))
    found = sorted(one.name for pattern in _OF_RUNS for one in folder.glob(pattern) if one != path)
    if not found:
        write_json(now, path, indent=1)
        return
    before = read_record(path)
    if before is None:
        raise ValueError(
            f"{folder} must be a new folder or that of the same run, found {found[0]} and no {name}; name another."
        )
    compared = {name for name in now if name in before} - {"version"}
    one, other = (_flat({name: values[name] for name in compared}) for values in (before, now))
    changed = [
        "the data are others" if name == "data" else f"{name} was {one.get(name)} and is {other.get(name)}"
        for name in sorted(one.keys() | other.keys())
        if one.get(name) != other.get(name)
    ]
    if changed:
        raise ValueError(
            f"{folder} must go on with the settings and data that it was begun with, found that {', '.join(changed)}; "
            "use the same again, or another folder."
        )


def read_record(path: Path) -> dict[str, Any] | None:
    """What a folder was begun with, `None` where that is not said.

    Raises:
        ValueError: for what is not a JSON object.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise ValueError(
            f"{path} must be a JSON object that says what the folder holds, found another; use a new folder."
        )
    return record


@contextmanager
def locked(folder: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Keep a folder for this process. The lock ends with the process, however that ends.

    Where the system or the file system knows no locks there is none.

    Raises:
        ValueError: where another process still has it after `patience` seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place = _opened(folder)
    try:
        end = time.monotonic() + patience
        while place is not None and not _lock(place):
            if time.monotonic() > end:
                raise ValueError(f"{folder} must be free, found another run that writes to it; wait for its end.")
            time.sleep(0.1)
        yield
    finally:
        if place is not None:
            os.close(place)


def _opened(folder: Path) -> int | None:
    try:
        return os.open(folder, os.O_RDONLY)
    except OSError:  # as of any folder on Windows
        return None


def _lock(place: int) -> bool:
    """Whether this process has the lock now, or there are none here."""
    try:
        import fcntl

        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        return True
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    return True


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings of any depth by their dotted names."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat
