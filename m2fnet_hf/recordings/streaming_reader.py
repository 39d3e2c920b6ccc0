"""A recording as it plays: sound and faces of each utterance once it was said, in one pass over the file."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..dialogue_m2fnet import Dialogue, Utterance
from ..faces.tracker import FaceTracker
from ..media.clip import Clip, Frame, Sound, sample_times
from .face_table import LONGEST_GAP, FaceTable
from .reader import LONGEST_SIDE, SAMPLING_RATE, FacesUnavailableError, RecordingReader, Span, audible, spans_of


class StreamingReader:
    """Reads a recording up to the end of the utterance that is asked for, and no further.

    Args:
        reader: what is read of recordings; its cache is not used.
        dialogue: who says what when.
        recording: path of the file.

    Raises:
        FileNotFoundError: without the file.
    """

    def __init__(self, reader: RecordingReader, dialogue: Dialogue, recording: str | Path) -> None:
        self.reader = reader
        self.clip = Clip(recording, reader.audio_track)
        utterances = list(dialogue)
        self._spans = dict(zip(utterances, spans_of(utterances, self.clip), strict=True))
        self._known = list(dict.fromkeys(span for span in self._spans.values() if span is not None))
        reads_faces, reads_audio = reader.faces is not None, reader.reads_audio
        times = sample_times(reader.frame_rate, self._known) if reads_faces else []
        self._reading = self.clip.read(times, self._known if reads_audio else [], SAMPLING_RATE, LONGEST_SIDE)
        # Up to when pictures and sound were read.
        self._read_video = -math.inf if reads_faces and self.clip.has_video else math.inf
        self._read_audio = -math.inf if reads_audio and self.clip.has_audio else math.inf
        self._frames: dict[float, Frame] = {}
        self._sounds: dict[Span, np.ndarray] = {}
        self._tracker = FaceTracker(longest_gap=LONGEST_GAP)
        self._people: dict[float, np.ndarray] = {}
        self._reported = 0

    def __call__(self, utterance: Utterance) -> tuple[Utterance, list[str]]:
        """One of the dialogue's utterances, asked for in their order, with its sound and faces.

        Returns:
            The utterance, and a sentence for each problem that was met since the last one.
        """
        span = self._spans[utterance]
        sounds: dict[Span, np.ndarray] = {}
        times: list[float] = []
        if span is not None:
            times = sample_times(self.reader.frame_rate, [span])
            self._read(times[-1], span[1])
            self._forget(span[0])
            if span in self._sounds:
                sound = audible(self._sounds[span])
                encode = self.reader.encode_audio
                sounds = {span: encode([sound])[0] if encode is not None and sound.size else sound}
        completed = self.reader.completed(self.clip, utterance, span, sounds, self._faces(times))
        return completed, self._problems()

    def _read(self, last_time: float, end: float) -> None:
        while self._read_video < last_time or self._read_audio < end:
            item = next(self._reading, None)
            if item is None:
                self._read_video = self._read_audio = math.inf
            elif isinstance(item, Sound):
                span = self._known[item.span]
                self._sounds[span], self._read_audio = item.samples, max(self._read_audio, span[1])
            else:
                self._frames[item.time], self._read_video = item, item.time

    def _forget(self, start: float) -> None:
        """What was read of utterances that began before this one."""
        self._frames = {time: frame for time, frame in self._frames.items() if time >= start}
        self._sounds = {span: sound for span, sound in self._sounds.items() if span[0] >= start}

    def _faces(self, times: Sequence[float]) -> FaceTable | None:
        """The faces at these times; people keep their tracks from one utterance to the next."""
        if self.reader.faces is None:
            return None
        frames = [self._frames[time] for time in times if time in self._frames]
        try:
            table = self.reader.detect_faces([frame.time for frame in frames], frames)
        except FacesUnavailableError as error:
            self.reader.give_up_faces(error)
            return None
        faces = self.reader.face_table(table)
        faces.track(self._tracker, self._people)
        return faces

    def _problems(self) -> list[str]:
        problems = [*self.reader.unreported, *self.clip.problems[self._reported :]]
        self.reader.unreported, self._reported = [], len(self.clip.problems)
        return problems
