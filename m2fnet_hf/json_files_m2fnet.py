"""JSON files that must hold an object: what else they hold is said in one sentence."""

import json
from pathlib import Path
from typing import Any


def read_object(path: str | Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        ValueError: for anything else, naming the file and what was found.
    """
    path = Path(path)
    if path.exists() and not path.is_file():  # a pipe would wait forever
        raise ValueError(f"{path} must be a file with a JSON object, found another kind of thing; save it there again.")
    content = path.read_bytes()
    try:
        found = json.loads(content.decode("utf-8-sig"))
        kind = type(found).__name__ if found is not None else "null"
        kind = {"list": "a list", "str": "a string", "int": "a number", "float": "a number"}.get(kind, kind)
    except (ValueError, RecursionError):
        kind = _unread(content)
    else:
        if isinstance(found, dict):
            return found
    raise ValueError(f"{path} must hold a JSON object in UTF-8, found {kind}; get the file again.")


def _unread(content: bytes) -> str:
    if not content.strip():
        return "an empty file"
    if content.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS"
    return "a web page" if content.lstrip()[:1] == b"<" else "something else"


__all__ = ["read_object"]
