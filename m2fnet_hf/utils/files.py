"""Files that are whole or not there, whenever a process is killed."""

import errno
import json
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from .hashes import hash_text
from .paths import kind_of

_PART = re.compile(r"\.m2fnet-(?P<place>\w+)-(?P<process>\d+)-\w+\.part")
# Of another machine it cannot be known whether a process lives: one that wrote nothing for so long does not.
_ABANDONED = 86_400.0  # seconds
_OUT_OF_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# What libraries say that raise no OSError of that kind: safetensors, SQLite, torch, tempfile.
_SAID_OUT_OF_SPACE = re.compile(
    r"os error (?:27|28|122)\b|disk is full|disk I/O error|No space left|File too large|PytorchStreamWriter failed"
    r"|No usable temporary directory"
)

_written: set[Path] = set()  # by this process, at this moment
_swept: set[Path] = set()


@contextmanager
def write_whole(path: str | os.PathLike, sync: bool = True) -> Iterator[Path]:
    """A temporary file in the folder of `path`, which takes its place when the block ends without an error.

    No other process writes it. What is left of processes that were killed is removed.

    Args:
        path: the file to write; its folder is made, and an older file stays until the new one is whole.
        sync: whether it is whole after a failure of power, too. That takes the time of a disk.

    Raises:
        OSError: where it cannot be written; the older file is still there.
    """
    path = Path(path)
    with _said(path):
        check_place(path)
    with _part(path) as part:
        part.touch()  # the system's refusal names it, which that of a library may not
        yield part
        if sync:
            _sync(part)
        os.replace(part, path)


@contextmanager
def new_folder(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary folder beside `path`, which takes its name when the block ends without an error.

    Raises:
        FileExistsError: for a `path` that holds something.
        OSError: where it cannot be written.
    """
    path = Path(path).absolute()
    check_new(path)
    with _part(path) as part:
        part.mkdir()
        yield part
        for file in part.rglob("*"):
            _sync(file)
        check_new(path)  # another process may have been faster
        os.replace(part, path)


@contextmanager
def scratch_folder(beside: str | os.PathLike) -> Iterator[Path]:
    """A temporary folder beside a path, for as long as the block lasts.

    Raises:
        OSError: where it cannot be made.
    """
    with _part(Path(beside).absolute()) as part:
        part.mkdir()
        yield part


def check_place(path: Path) -> None:
    """Refuse to put a file in the place of what is none: a device or a pipe would be gone, for all who use it.

    Raises:
        OSError: for one, or for a folder.
    """
    if path.exists() and not path.is_file():
        raise OSError(f"{path} must be a place that can be written to, found: {kind_of(path)}; name another.")


def check_new(folder: Path) -> None:
    """Refuse a folder that holds something.

    Raises:
        FileExistsError: for one.
    """
    is_taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if is_taken or folder.is_symlink():  # a folder cannot be moved to a link's place
        raise FileExistsError(f"The output must be a new or empty folder, found {folder}; name another or remove it.")


def move_files(source: Path, target: Path) -> None:
    """Move all files of a folder to another one, each in the place of the one of its name."""
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        _sync(path)
        os.replace(path, target / path.name)


def write_json(content: Any, path: str | os.PathLike, **options: Any) -> None:
    """A JSON file in UTF-8, written by [`write_whole`]; JSON has neither NaN nor infinity.

    Args:
        options: for `json.dumps`; default: two spaces of indentation, and letters beyond ASCII as they are.

    Raises:
        ValueError: for NaN or infinity.
    """
    try:
        text = json.dumps(content, **{"indent": 2, "ensure_ascii": False, "allow_nan": False, **options})
    except ValueError:
        raise ValueError(f"{path} must hold finite numbers, found NaN or infinity; nothing was written.") from None
    write_text(text + "\n", path)


def write_text(text: str, path: str | os.PathLike) -> None:
    """A text file in UTF-8, written by [`write_whole`]."""
    with write_whole(path) as part:
        part.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def sweep(folder: Path) -> None:
    """Remove what processes that were killed have left half written in a folder."""
    for path in folder.glob(".m2fnet-*.part"):
        if _is_abandoned(path):
            _remove(path)


def out_of_space(error: BaseException | None) -> bool:
    """Whether an error, or one behind it, says that nothing more can be written."""
    while error is not None:
        if (isinstance(error, OSError) and error.errno in _OUT_OF_SPACE) or _SAID_OUT_OF_SPACE.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def _part(path: Path) -> Iterator[Path]:
    """The name of a temporary file or folder beside a path, which is removed at the end."""
    with _said(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent not in _swept:
            sweep(path.parent)
            _swept.add(path.parent)
    part = path.with_name(f".m2fnet-{_place()}-{os.getpid()}-{uuid4().hex[:8]}.part")
    _written.add(part)
    try:
        with _said(path, part):
            yield part
    finally:
        _remove(part)
        _written.discard(part)


@contextmanager
def _said(path: Path, *parts: Path) -> Iterator[None]:
    """Says in a sentence why a path cannot be written."""
    try:
        yield
    except FileExistsError as error:
        if error.errno is None:  # a sentence
            raise
        raise _unwritable(path, error) from error
    except Exception as error:
        if out_of_space(error):
            raise OSError(f"{path} must be written, found no room for it; make room and run again.") from error
        # Without a name it may be about something that is read.
        about = getattr(error, "filename2", None) or getattr(error, "filename", None)
        if isinstance(error, OSError) and about is not None and (not parts or str(about) in map(str, (path, *parts))):
            raise _unwritable(path, error) from error
        raise


def _unwritable(path: Path, error: OSError) -> OSError:
    return OSError(f"{path} must be a place that can be written to, found: {error.strerror}; name another.")


def _sync(path: Path) -> None:
    """Have the disk keep what the system holds of a file."""
    if path.is_file():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _remove(path: Path) -> None:
    with suppress(OSError):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)


def _is_abandoned(path: Path) -> bool:
    match = _PART.fullmatch(path.name)
    if match is None or path in _written:
        return False
    with suppress(OSError):
        if time.time() - path.stat().st_mtime > _ABANDONED:
            return True
    return match["place"] == _place() and not _is_alive(int(match["process"]))


def _is_alive(process: int) -> bool:
    if os.name != "posix":  # where a signal to try would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return process != os.getpid()  # one of this process would be known


def _place() -> str:
    """Where a number means a process: a machine or a container."""
    space = Path("/proc/self/ns/pid")
    return hash_text(f"{platform.node()} {space.readlink() if space.is_symlink() else ''}")[:8]
