"""What a command says, and where."""

import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .files import out_of_space
from .text import printable, shown

if TYPE_CHECKING:
    from rich.console import RenderableType

PACKAGE = __package__.partition(".")[0]

# Wraps what is gone through, as `rich.progress.track` does: `progress(items, description=..., total=...)`.
Progress = Callable[..., Iterable[Any]]


def progress(items: Any, description: str = "", total: float | None = None) -> Any:
    """A bar on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import track

    console = Console(stderr=True)
    return track(items, escape(printable(description)), total, console=console, disable=not console.is_terminal)


def working(description: str) -> AbstractContextManager[Any]:
    """Shows on standard error, where that is a terminal, what is done meanwhile."""
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(description)


def show(table: "RenderableType") -> None:
    """Print what rich can render to the terminal, as wide as it is."""
    from rich.console import Console

    Console().print(table)


@contextmanager
def gathered() -> Iterator[list[str]]:
    """What the package warns of."""
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default", UserWarning)
        try:
            yield said
        finally:
            ours = [one for one in caught if PACKAGE in Path(one.filename).parts]
            said += dict.fromkeys(str(one.message) for one in ours)


@contextmanager
def remarks() -> Iterator[list[str]]:
    """What the package warns of, gathered and then said."""
    said: list[str] = []
    try:
        with gathered() as said:
            yield said
    finally:
        for sentence in said:
            say(sentence)


def say(sentence: str) -> None:
    """A sentence on standard error, under the program's name."""
    print(f"m2fnet: {' '.join(printable(sentence).split())}", file=sys.stderr)


def sentence_of(error: Exception) -> str:
    """What an error says, also one of the system's, which names a number and no remedy."""
    if out_of_space(error) and not (isinstance(error, OSError) and error.errno is None):
        return "There must be room for what is written, found the disk full; make room and run again."
    if isinstance(error, MemoryError):
        return "There must be memory for what is read, found too little; give a shorter conversation."
    if isinstance(error, OSError) and error.filename is not None:
        found = f"{error.strerror} at {shown(os.fsdecode(error.filename))}"
        return f"A file or folder must be one that can be used, found: {found}; check the path and its permissions."
    return " ".join(str(error).split()) or type(error).__name__


def tell(text: str) -> None:
    """What was asked for, on standard output, at once."""
    print(printable(text), flush=True)
