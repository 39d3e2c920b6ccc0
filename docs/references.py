"""Names in docstrings, written [`Name`] as transformers does, to links into the reference."""

import re
from collections.abc import Iterator
from typing import Any

import griffe

NAME = re.compile(r"\[`([\w.]+?)`\](?![\[(])")


class References(griffe.Extension):
    """mkdocstrings finds and calls it once the package is read."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Rewrite every docstring of the package."""
        named = list(_public(pkg))
        paths = {".".join(one.path.split(".")[-parts:]): one.path for parts in (1, 2) for one in named}
        paths |= {one.path: one.path for one in named}
        for one in named:
            if one.docstring is not None:
                one.docstring.value = NAME.sub(lambda match: _link(match[1], paths), one.docstring.value)


def _public(inside: griffe.Object) -> Iterator[griffe.Object]:
    yield inside
    for member in inside.members.values():
        if not member.is_alias:
            yield from _public(member)


def _link(name: str, paths: dict[str, str]) -> str:
    return f"[`{name}`][{paths.get(name, name)}]"
