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
SLOWEST = 0.01  # seconds of the conversation in a second


class LiveEmotions:
    """Predictions of utterances as they arrive.

    A causal model answers once for each. Another one learns from what follows: it predicts the last 64 utterances
    again, and those whose label changes come again.

    Args:
        pipe: the pipeline.
    """

    def __init__(self, pipe: "MultimodalEmotionPipeline") -> None:
        self.pipe = pipe
        self._stream = EmotionStream(pipe) if pipe.model.config.causal else None
        self._count = 0
        self._recent: deque[Utterance] = deque(maxlen=RECENT_UTTERANCES)
        self._labels: deque[str | None] = deque(maxlen=RECENT_UTTERANCES)

    def add(self, utterance: Utterance | Mapping[str, Any]) -> list[tuple[int, EmotionPrediction]]:
        """Position and prediction of the next utterance, and of those before it that are now another.

        Raises:
            TypeError, ValueError: for what is no utterance.
        """
        utterance = Utterance.from_dict(utterance)
        found = self._revise(utterance) if self._stream is None else [(self._count, self._stream.add(utterance))]
        self._count += 1
        return found

    def _revise(self, utterance: Utterance) -> list[tuple[int, EmotionPrediction]]:
        predictions = self.pipe([*self._recent, utterance][-RECENT_UTTERANCES:])
        self._recent.append(utterance)
        self._labels.append(None)
        first = self._count + 1 - len(self._recent)
        changed = [place for place, one in enumerate(predictions) if one["label"] != self._labels[place]]
        for place in changed:
            self._labels[place] = predictions[place]["label"]
        return [(first + place, predictions[place]) for place in changed]


def live(
    pipe: "MultimodalEmotionPipeline", utterances: Iterable[Utterance | Mapping[str, Any]]
) -> Iterator[tuple[int, EmotionPrediction]]:
    """Position and prediction of each utterance as soon as it arrives, as [`LiveEmotions`] gives them.

    Args:
        pipe: the pipeline.
        utterances: an iterator that waits for the next one, such as [`in_real_time`].
    """
    emotions = LiveEmotions(pipe)
    for utterance in utterances:
        yield from emotions.add(utterance)


def in_real_time(
    utterances: Iterable[Utterance | Mapping[str, Any]], speed: float = 1.0, clock: Any = time
) -> Iterator[Utterance]:
    """Each utterance when its `end` has passed since the first was asked for; one without times follows at once.

    Args:
        speed: seconds of the conversation that pass in one second.
        clock: what tells the time by `monotonic()` and waits by `sleep(seconds)`.

    Raises:
        ValueError: for a speed at which it would not end.
    """
    if not speed >= SLOWEST:
        raise ValueError(f"`speed` must be at least {SLOWEST}, found {speed}; 1 is the speed of the conversation.")
    began = clock.monotonic()
    for utterance in map(Utterance.from_dict, utterances):
        due = began + (utterance.end or utterance.start or 0.0) / speed
        clock.sleep(max(0.0, due - clock.monotonic()))
        yield utterance
