"""A recording as it plays: what is seen and heard of each utterance once it was said, in one pass over the file."""

import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..dialogue_m2fnet import Dialogue, Utterance
from ..faces.tracker import FaceTracker
from ..faces.types import Faces
from ..media.clip import Clip, Frame, Sound, sample_times
from .reader import LONGEST_GAP, LONGEST_SIDE, SAMPLING_RATE, FaceTable, Observer, Span, spans_of


class Watcher:
    """Reads a recording up to the end of the utterance that is asked for, and no further.

    Args:
        observer: what is looked and listened for; its cache is not used.
        dialogue: who says what when.
        recording: path of the file.

    Attributes:
        clip: the recording, with the problems of reading it.

    Raises:
        FileNotFoundError: without the file.
    """

    def __init__(self, observer: Observer, dialogue: Dialogue, recording: str | Path) -> None:
        self.observer = observer
        self.clip = Clip(recording)
        utterances = list(dialogue)
        self._spans = dict(zip(utterances, spans_of(utterances, self.clip.duration or 0.0), strict=True))
        self._known = list(dict.fromkeys(span for span in self._spans.values() if span is not None))
        looks, listens = observer.faces is not None, observer.listen
        times = sample_times(observer.frame_rate, self._known) if looks else []
        self._reading = self.clip.read(times, self._known if listens else [], SAMPLING_RATE, LONGEST_SIDE)
        self._seen = -math.inf if looks and self.clip.has_video else math.inf
        self._heard = -math.inf if listens and self.clip.has_audio else math.inf
        self._frames: dict[float, Frame] = {}
        self._sounds: dict[Span, np.ndarray] = {}
        self._tracker = FaceTracker(longest_gap=LONGEST_GAP)
        self._people: dict[float, np.ndarray] = {}

    def __call__(self, utterance: Utterance) -> Utterance:
        """One of the dialogue's utterances, asked for in their order, with its sound and faces.

        Warns:
            UserWarning: where faces cannot be looked for.
        """
        span = self._spans[utterance]
        sounds: dict[Span, np.ndarray] = {}
        times: list[float] = []
        if span is not None:
            times = sample_times(self.observer.frame_rate, [span])
            self._read(times[-1], span[1])
            self._forget(span[0])
            if span in self._sounds:
                sound = self._sounds[span]
                sounds = {span: sound if self.observer.hear is None else self.observer.hear([sound])[0]}
        faces = self._look(times)
        return self.observer.with_senses(self.clip, utterance, span, sounds, faces)

    def _read(self, last_time: float, end: float) -> None:
        while self._seen < last_time or self._heard < end:
            item = next(self._reading, None)
            if item is None:
                self._seen = self._heard = math.inf
            elif isinstance(item, Sound):
                span = self._known[item.span]
                self._sounds[span], self._heard = item.samples, max(self._heard, span[1])
            else:
                self._frames[item.time], self._seen = item, item.time

    def _forget(self, start: float) -> None:
        """What was read of utterances that began before this one."""
        self._frames = {time: frame for time, frame in self._frames.items() if time >= start}
        self._sounds = {span: sound for span, sound in self._sounds.items() if span[0] >= start}

    def _look(self, times: Sequence[float]) -> FaceTable | None:
        if self.observer.faces is None:
            return None
        frames = [self._frames[time] for time in times if time in self._frames]
        try:
            faces = FaceTable(self.observer.look([frame.time for frame in frames], frames), self.observer)
        except (ImportError, OSError) as error:
            if self.observer.faces_required:
                raise
            warnings.warn(str(error), stacklevel=3)
            self.observer.faces, self.observer.why_blind = None, "faces could not be looked for"
            return None
        for time, rows in faces.rows.items():
            if time not in self._people:
                self._people[time] = self._follow(time, faces, rows)
            faces.people[rows] = self._people[time]
        return faces

    def _follow(self, time: float, faces: FaceTable, rows: np.ndarray) -> np.ndarray:
        """The people of a frame, who keep their numbers from one utterance to the next."""
        if not len(rows):
            return rows
        table = faces.table
        identities = table["identities"][rows] if "identities" in table else None
        return self._tracker.update(time, Faces(table["boxes"][rows], table["scores"][rows], identities=identities))
