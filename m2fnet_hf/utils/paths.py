"""What lies at a path, before it is opened: a pipe would wait forever, and a device has no end."""

import os
import stat
from pathlib import Path

from .hashes import hash_text
from .text import shown

# Bytes that file systems take, less what temporary files and endings add to a name.
_LONGEST_STEM = 190

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def check_file(path: Path, what: str, largest: int | None = None) -> None:
    """Refuse what is no file that can be read.

    Args:
        what: the file is, for the error: `A transcript`.
        largest: size in bytes.

    Raises:
        FileNotFoundError: where there is nothing.
        PermissionError, OSError: where it cannot be read.
        ValueError: for a folder, a pipe, a device, or a file that is too large.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last for a name with a NUL
        raise FileNotFoundError(f"{what} must be a file, found none at {shown(path)}; check the path.") from None
    except OSError as error:
        raise type(error)(
            f"{what} must be a file that can be read, found: {error.strerror}, at {shown(path)}; check the path."
        ) from None
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{what} must be a file, found {kind_of(path)} at {shown(path)}; name a file.")
    if not os.access(path, os.R_OK):
        raise PermissionError(f"{what} must be a file that can be read, found none of yours at {shown(path)}.")
    if largest is not None and found.st_size > largest:
        raise ValueError(
            f"{what} must have at most {largest / 1e6:.0f} MB, more than any talk needs, found "
            f"{found.st_size / 1e6:.0f} MB at {shown(path)}; check that it is one."
        )


def kind_of(path: Path) -> str:
    """What lies at a path that is no file, in words."""
    return _KINDS.get(stat.S_IFMT(path.stat().st_mode), "something else")


def short_stem(stem: str) -> str:
    """The name of a file without its ending, so short that names can be made of it; two long ones stay different."""
    name = os.fsencode(stem)
    if len(name) <= _LONGEST_STEM:
        return stem
    return f"{name[: _LONGEST_STEM - 9].decode('utf-8', 'ignore')}-{hash_text(stem)[:8]}"
