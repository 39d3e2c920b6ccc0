"""Microphone and camera: what is said is predicted while the conversation goes on."""

from typing import Any

import gradio as gr
import numpy as np

from ..online.listener import Listener
from .handlers import Handlers, LiveTimeline
from .messages import remark

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
        self.problems: list[str] = []

    def add_sound(self, sampling_rate: int, samples: np.ndarray) -> tuple[str, Any]:
        """Remarks, and the timeline, where something was said.

        Args:
            sampling_rate: in Hz.
            samples: [S] or [S, C], 16-bit integers.

        Raises:
            ValueError: for a conversation that is too long.
        """
        with self.handlers.turn:
            if self.listener.heard > LONGEST:
                raise ValueError(f"A conversation must be no longer than {LONGEST // 60} minutes; start another one.")
            return self._shown(self.listener.add_sound(samples, sampling_rate))

    def finish(self) -> tuple[str, Any]:
        """Remarks, and the timeline, where something was being said at the end."""
        with self.handlers.turn:
            return self._shown(self.listener.finish())

    def _shown(self, found: list[tuple[int, Any]]) -> tuple[str, Any]:
        self.problems += self.listener.take_problems()
        self.answers.update(found)
        return remark(self.problems), self.timeline(self.answers, "conversation") if found else gr.skip()
