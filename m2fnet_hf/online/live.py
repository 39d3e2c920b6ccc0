"""Emotions while people speak: utterances in as they arrive, predictions out."""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..dialogue_m2fnet import EmotionPrediction, Utterance
from .stream import EmotionStream

if TYPE_CHECKING:
    from ..pipeline_m2fnet import MultimodalEmotionPipeline

# A model that is not causal reads the last ones again whenever an utterance arrives.
RECENT_UTTERANCES = 64


def live(
    pipe: "MultimodalEmotionPipeline", utterances: Iterable[Utterance | Mapping[str, Any]]
) -> Iterator[tuple[int, EmotionPrediction]]:
    """Position and prediction of each utterance as soon as it arrives.

    A causal model answers once for each. Another one learns from what follows: it predicts the last 64 utterances
    again, and those whose label changes come again.

    Args:
        pipe: the pipeline.
        utterances: an iterator that waits for the next one, such as [`in_real_time`].
    """
    if pipe.model.config.causal:
        stream = EmotionStream(pipe)
        yield from enumerate(map(stream.add, utterances))
    else:
        yield from _revised(pipe, utterances)


def _revised(
    pipe: "MultimodalEmotionPipeline", utterances: Iterable[Utterance | Mapping[str, Any]]
) -> Iterator[tuple[int, EmotionPrediction]]:
    recent: deque[Utterance] = deque(maxlen=RECENT_UTTERANCES)
    labels: deque[str | None] = deque(maxlen=RECENT_UTTERANCES)
    for position, utterance in enumerate(utterances):
        recent.append(Utterance.from_dict(utterance))
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
