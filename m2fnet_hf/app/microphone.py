"""Microphone and camera: what is said is predicted while the conversation goes on."""

from threading import Lock
from typing import Any

import gradio as gr
import numpy as np

from ..online.listener import Listener
from .handlers import Handlers, LiveTimeline
from .messages import warn

LONGEST = 3600  # seconds of one conversation


class Conversation:
    """What one visitor says.

    Args:
        handlers: of the page.
        request: of the visitor.
    """

    def __init__(self, handlers: Handlers, request: gr.Request) -> None:
        self.handlers = handlers
        self.listener = Listener(handlers.pipe, asr=handlers.asr, faces=handlers.faces)
        self.timeline = LiveTimeline(handlers, request)
        self.answers: dict[int, Any] = {}
        self.chunks = Lock()  # they may come faster than they are heard

    def hear(self, sampling_rate: int, samples: np.ndarray) -> Any:
        """The timeline, where something was said."""
        with self.chunks, self.handlers.turn:
            if self.listener.heard > LONGEST:
                raise ValueError(f"A conversation must be no longer than {LONGEST // 60} minutes; start another one.")
            found = self.listener.hear(samples, sampling_rate)
            return self._shown(found)

    def finish(self) -> Any:
        with self.chunks, self.handlers.turn:
            return self._shown(self.listener.finish())

    def _shown(self, found: list[tuple[int, Any]]) -> Any:
        warn(self.listener.take_problems())
        if not found:
            return gr.skip()
        self.answers.update(found)
        return self.timeline(self.answers, "conversation")
