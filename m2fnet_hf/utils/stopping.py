"""Signals that end a command: Ctrl-C, and the one by which systems end a process."""

import os
import signal
import threading
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopping:
    """While it is open, both signals raise a `KeyboardInterrupt`, and a second one ends the process at once.

    Attributes:
        signal: that came, or `None`. Libraries may make another error of the interrupt.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._process = os.getpid()
        self._before: dict[signal.Signals, Any] = {}

    @property
    def status(self) -> int:
        """The exit status of a process that it ended."""
        return 128 + (self.signal or signal.SIGINT)

    def __enter__(self) -> "Stopping":
        if threading.current_thread() is threading.main_thread():  # others cannot be interrupted
            self._before = {one: signal.signal(one, self._stop) for one in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for one, before in self._before.items():
            signal.signal(one, before)

    def _stop(self, number: int, _: FrameType | None) -> None:
        if self.signal is not None or os.getpid() != self._process:
            os._exit(128 + number)
        self.signal = signal.Signals(number)
        raise KeyboardInterrupt
