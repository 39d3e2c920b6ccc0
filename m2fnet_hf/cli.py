"""The command line, `m2fnet COMMAND`."""

import argparse
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import NoReturn

from ._version import __version__
from .commands import app, evaluate, export, live, predict, push, train
from .utils.console import say, sentence_of
from .utils.stopping import Stopping
from .utils.text import printable

EXIT_FAILED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors end in one sentence on standard error.

    Returns:
        0, or 1 where the work could not be done, 130 after Ctrl-C and 143 after SIGTERM. Wrong usage exits with 2.
    """
    for stream in (sys.stdout, sys.stderr):  # a name that the terminal has no letters for stops no command
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    options = _parse(arguments)
    stopping = Stopping()
    try:
        with stopping:
            options.command(options)
    except KeyboardInterrupt:  # at any moment, that of leaving included
        return _fail("interrupted.", stopping.status)
    except BrokenPipeError:  # `m2fnet predict ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except Exception as error:
        if stopping.signal is not None:
            return _fail("interrupted.", stopping.status)
        if options.debug:
            raise
        return _fail(sentence_of(error), EXIT_FAILED)
    return 0


def _fail(message: str, status: int) -> int:
    say(message)
    return status


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    # argparse gives up on `section.key=value` words behind an option.
    overrides = [word for word in rest if "overrides" in options and "=" in word and not word.startswith("-")]
    if len(overrides) < len(rest):
        parser.error(f"unrecognized arguments: {' '.join(word for word in rest if word not in overrides)}")
    if overrides:
        options.overrides += overrides
    return options


class _Parser(argparse.ArgumentParser):
    """Its messages repeat what was given."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="m2fnet", description="The emotion of every utterance of a conversation.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the stack trace of an error")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    for command in (predict, live, app, train, evaluate, export, push):
        command.add(commands)
    return parser
