"""Emotions while people speak: utterances in as they arrive, predictions out."""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..dialogue_m2fnet import Utterance
from .stream import EmotionStream

# A model that is not causal looks again at so many utterances whenever one arrives.
RECENT_UTTERANCES = 64


def live(pipe: Any, utterances: Iterable[Utterance | Mapping[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Position and prediction of each utterance as soon as it arrives.

    A causal model answers once for each. Another one learns from what follows: it predicts the last 64 utterances anew,
    and those whose label changes come again.

    Args:
        pipe: the pipeline.
        utterances: an iterator that waits for the next one, such as [`in_real_time`].
    """
    if pipe.model.config.causal:
        stream = EmotionStream(pipe)
        yield from enumerate(map(stream.add, utterances))
    else:
        yield from _revised(pipe, utterances)


def _revised(pipe: Any, utterances: Iterable[Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    recent: deque[Any] = deque(maxlen=RECENT_UTTERANCES)
    labels: deque[str | None] = deque(maxlen=RECENT_UTTERANCES)
    for position, utterance in enumerate(utterances):
        recent.append(utterance)
        labels.append(None)
        predictions = pipe(list(recent))
        first = position + 1 - len(recent)
        for place, prediction in enumerate(predictions):
            if prediction["label"] != labels[place]:
                labels[place] = prediction["label"]
                yield first + place, prediction


def in_real_time(
    utterances: Iterable[Utterance | Mapping[str, Any]], speed: float = 1.0, clock: Any = time
) -> Iterator[Utterance]:
    """Each utterance when its `end` has passed since the first was asked for; one without times follows at once.

    Args:
        speed: seconds of the conversation that pass in one second.
        clock: what tells the time by `monotonic()` and waits by `sleep(seconds)`.

    Raises:
        ValueError: for a speed that is not above 0.
    """
    if not speed > 0:
        raise ValueError(f"`speed` must be above 0, found {speed}; 1 is the speed of the conversation.")
    began = clock.monotonic()
    for utterance in map(Utterance.from_dict, utterances):
        due = began + (utterance.end or utterance.start or 0.0) / speed
        clock.sleep(max(0.0, due - clock.monotonic()))
        yield utterance
