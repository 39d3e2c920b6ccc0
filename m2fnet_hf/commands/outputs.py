"""What a command may write over: what m2fnet wrote, and with `--overwrite` the rest, but never what it reads."""

import argparse
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ..utils.files import check_place

HELP = "replace files that m2fnet did not write, too"


def add_overwrite(parser: argparse.ArgumentParser, help: str = HELP) -> None:
    """The option `--overwrite`."""
    parser.add_argument("--overwrite", action="store_true", help=help)


def check_outputs(options: argparse.Namespace, outputs: Mapping[Path, str], inputs: Iterable[object]) -> None:
    """Refuse, before the work, to write over something else.

    Args:
        options: of a command with `--overwrite`.
        outputs: the kinds of the files that it will write, by path; see [`is_ours`].
        inputs: files that it reads, or folders of them; what is `None`, an address or a name counts for nothing.

    Raises:
        OSError: where a folder, a device or a pipe is in its place.
        ValueError: naming the file.
    """
    there = {path: kind for path, kind in outputs.items() if path.exists()}
    read = list(_files(inputs)) if there else []
    for path, kind in there.items():
        check_place(path)
        if any(path.samefile(one) for one in read):
            raise ValueError(f"{path} must be another file than those that are read, found one of them; name another.")
        if not options.overwrite:
            from ..reports.ownership import is_ours

            if not is_ours(path, kind):
                raise ValueError(
                    f"{path} must be a new file or one that m2fnet wrote, found another; name another place, or "
                    "replace it with --overwrite."
                )


def _files(inputs: Iterable[object]) -> Iterator[Path]:
    for one in inputs:
        if isinstance(one, str | Path):
            path = Path(one)
            if path.is_dir():
                yield from (file for file in path.iterdir() if file.is_file())
            elif path.is_file():
                yield path
