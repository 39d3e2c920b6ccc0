"""What went wrong, and what is worth knowing, as sentences in the page beside what was given."""

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from html import escape
from typing import Any

import gradio as gr

from ..reports.formatting import one_line

OURS = (ImportError, OSError, TypeError, ValueError)
UNKNOWN = "The page must get what it can read, found an error of its own over this; change it, or give another file."


def beside(outputs: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """For a handler of remarks in HTML and of that many outputs more: where it fails, its sentence is in their place.

    The others then stay as they are.
    """

    def told(handler: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(handler)
        def answer(*given: Any) -> Any:
            try:
                return handler(*given)
            except Exception as error:
                return alert(error), *[gr.skip()] * outputs

        return answer

    return told


def beside_each(outputs: int) -> Callable[[Callable[..., Iterator[Any]]], Callable[..., Iterator[Any]]]:
    """[`beside`] for a handler that gives its outputs again and again."""

    def told(handler: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        @wraps(handler)
        def answer(*given: Any) -> Iterator[Any]:
            try:
                yield from handler(*given)
            except Exception as error:
                yield alert(error), *[gr.skip()] * outputs

        return answer

    return told


def alert(error: Exception) -> str:
    """HTML with the sentence of an error."""
    return f'<p class="alert" role="alert">{escape(sentence(error))}</p>'


def sentence(error: Exception) -> str:
    """Our own sentence; of another's message the log alone gets to know."""
    message = one_line(str(error))
    if isinstance(error, OURS) and (message.endswith(".") or "pip install" in message):
        return message
    logging.getLogger(__name__).error("an error that has no sentence", exc_info=error)
    return UNKNOWN


def remark(sentences: Iterable[str]) -> str:
    """HTML with sentences that stop nothing."""
    return "".join(f'<p class="note" role="status">{escape(one)}</p>' for one in dict.fromkeys(sentences))
