"""A second environment: transformers and torch with what they require, and nothing else."""

import os
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

WANTED = ("transformers", "torch")
# Without the site-packages of this environment and without the folder that it is started in.
PYTHON = [sys.executable, "-P", "-S", "-c"]
ABSENT = ("m2fnet_hf", "av", "pysubs2", "webvtt", "wrapt")


def plain_environment(folder: Path) -> dict[str, str]:
    """Variables for `PYTHON` to see only the wanted distributions, as links in `folder`."""
    folder.mkdir()
    for name in _closure(WANTED):
        for entry, place in _top_level(distribution(name)):
            if not (folder / entry).exists():
                (folder / entry).symlink_to(place)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PYTHON", "M2FNET"))}
    return {**kept, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1"}


def _closure(names: tuple[str, ...]) -> list[str]:
    found: dict[str, None] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = None
        for text in distribution(name).requires or ():
            requirement = Requirement(text)
            needed = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if needed and _installed(requirement.name):
                waiting.append(requirement.name)
    return list(found)


def _installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _top_level(found: Distribution) -> Iterator[tuple[str, Path]]:
    """What a distribution has put directly into site-packages."""
    entries = {path.parts[0] for path in found.files or () if path.parts[0] not in ("..", "__pycache__")}
    for entry in sorted(entries):
        yield entry, Path(str(found.locate_file(entry)))
