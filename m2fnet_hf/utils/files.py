"""Files that are whole or not there, whenever a process is killed."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

PART = ".part"


@contextmanager
def write_whole(path: str | os.PathLike, concurrent: bool = False) -> Iterator[Path]:
    """A temporary file in the folder of `path`, which takes its place when the block ends without an error.

    Args:
        path: the file to write; its folder is made, and an older file stays until the new one is whole.
        concurrent: whether other processes may write the same file. Each then has a temporary file of its own, which
            stays where it is killed; otherwise the next run writes over it.
    """
    path = Path(path)
    own = f".{uuid4().hex}" if concurrent else ""
    part = path.with_name(f".{path.name}{own}{PART}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_json(content: Any, path: str | os.PathLike, concurrent: bool = False, **options: Any) -> None:
    """A JSON file in UTF-8, written by [`write_whole`].

    Args:
        options: for `json.dumps`; default: two spaces of indentation, and letters beyond ASCII as they are.
    """
    text = json.dumps(content, **{"indent": 2, "ensure_ascii": False, **options})
    with write_whole(path, concurrent) as part:
        part.write_text(text + "\n", encoding="utf-8", errors="backslashreplace", newline="\n")
