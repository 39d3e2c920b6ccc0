"""A recording and who says what when, to utterances with their sound and faces, in one pass over the recording."""

import json
import warnings
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..dialogue_m2fnet import Dialogue, Utterance
from ..faces.registry import backend_for
from ..faces.tracker import FaceTracker
from ..faces.types import FaceBackend, Faces
from ..media.clip import Clip, Frame, sample_times
from .batches import Batches, Table
from .cache import Cache, content_hash

# Eight frames are what a detector takes at a time.
FRAMES_AT_ONCE = 8
SOUNDS_AT_ONCE = 16
# Larger frames are shrunk: a face that matters is still larger than the 112 pixels that are looked at.
LONGEST_SIDE = 1280
# Nobody looks between two utterances, so a face may be out of sight for longer than while it is followed.
LONGEST_GAP = 5.0
SAMPLING_RATE = 16_000

Span = tuple[float, float]


@dataclass
class Observer:
    """What is looked for in recordings, and how.

    Args:
        faces: the backend that finds them, or `None` not to look.
        units: which of the backend's Action Units are kept, in order; `None` keeps none.
        describe: appearance features [P, E] of the faces of an image, or `None`.
        frame_rate: frames of each second of an utterance that are looked at; each utterance gets one at least.
        max_faces: faces kept per frame, the largest.
        listen: whether sound is wanted.
        hear: the sound encoder: sounds [S] at 16 kHz to their features [N, D]; `None` keeps the sound itself.
        settings: of `appearance` (`describe`) and `audio` (`hear`): all that changes their results, for the cache.
        why_blind: why the model cannot read faces though it would.
        faces_required: a backend that does not work is an error, and not one modality less.
        cache: where results are kept.
        progress: wraps the pass over a recording, as `rich.progress.track` does.
    """

    faces: FaceBackend | None = None
    units: Sequence[int] | None = None
    describe: Callable[[np.ndarray, Faces], np.ndarray] | None = None
    frame_rate: float = 2.0
    max_faces: int = 4
    listen: bool = False
    hear: Callable[[list[np.ndarray]], np.ndarray] | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    why_blind: str | None = None
    faces_required: bool = False
    cache: Cache = field(default_factory=lambda: Cache(None))
    progress: Callable[..., Iterable[Any]] | None = None

    def __call__(self, dialogue: Dialogue, recording: str | Path | None = None) -> Dialogue:
        """The dialogue with what `recording`, or else the clip of each utterance, shows and sounds like.

        Raises:
            FileNotFoundError: without the file.

        Warns:
            UserWarning: what could not be read of it.
        """
        if recording is not None:
            return Dialogue(self._observe(list(dialogue), Path(recording)), id=dialogue.id, recording=recording)
        observed: list[Utterance] = []
        people = 0
        for utterance in dialogue:
            if utterance.video is not None:
                (utterance,) = self._observe([utterance], Path(utterance.video), whole=True)
                if utterance.face_ids is not None:  # nobody knows who of one clip is who in another
                    ids = np.where(utterance.face_ids < 0, -1, utterance.face_ids + people)
                    utterance, people = utterance.replace(face_ids=ids), max(people, int(ids.max(initial=-1)) + 1)
            observed.append(utterance)
        return Dialogue(observed, id=dialogue.id)

    def _observe(self, utterances: list[Utterance], recording: Path, whole: bool = False) -> list[Utterance]:
        clip = Clip(recording)
        if self.faces is not None:
            self.faces = backend_for(self.faces, recording)
        spans = [(0.0, clip.duration or 0.0)] if whole else spans_of(utterances, clip.duration or 0.0)
        known = sorted({span for span in spans if span is not None}, key=_end_then_start)
        sounds: dict[Span, np.ndarray] = {}
        faces = None
        if self.faces is not None or self.listen:
            source = content_hash(recording)
            eyes = self._eyes(known, source) if self.faces is not None else None
            ears = self._ears(known, source) if self.listen and self.hear is not None else None
            try:
                sounds = self._read(clip, eyes, ears, known, source)
            except (ImportError, OSError) as error:
                if self.faces is None or self.faces_required:
                    raise
                warnings.warn(str(error), stacklevel=3)
                self.faces, self.why_blind = None, "faces could not be looked for"
                return self._observe(utterances, recording, whole)
            if ears is not None:
                sounds = _by_span(ears.table())
            if eyes is not None:
                faces = FaceTable(eyes.table(), self)
        for problem in clip.problems:
            warnings.warn(problem, stacklevel=3)
        return [
            self.with_senses(clip, utterance, span, sounds, faces)
            for utterance, span in zip(utterances, spans, strict=True)
        ]

    def _eyes(self, spans: list[Span], source: str) -> Batches:
        assert self.faces is not None
        key = {
            "stage": "faces",
            "source": source,
            "backend": dict(self.faces.settings),
            "appearance": self.settings.get("appearance"),
            "longest_side": LONGEST_SIDE,
        }
        return Batches(sample_times(self.frame_rate, spans), FRAMES_AT_ONCE, self.look, self.cache, key)

    def _ears(self, spans: list[Span], source: str) -> Batches:
        key = {"stage": "sound", "source": source, "encoder": self.settings.get("audio")}
        return Batches(spans, SOUNDS_AT_ONCE, self._hear, self.cache, key)

    def _read(
        self, clip: Clip, eyes: Batches | None, ears: Batches | None, known: list[Span], source: str
    ) -> dict[Span, np.ndarray]:
        """One pass over the recording for what is not in the cache; gives the sounds that nobody encodes."""
        times = [] if eyes is None else eyes.missing
        spans = ears.missing if ears is not None else known if self.listen else []
        key = {"stage": "problems", "source": source, "seen": eyes is not None, "heard": self.listen}
        problems = self.cache.load(**key)
        if problems is not None:
            clip.problems[:] = json.loads(problems["problems"].tobytes())
        else:  # a run that goes on must find the same problems: it reads as far with both eyes and ears
            times = times if eyes is None else [*times, *eyes.places[-1:]]
            spans = list(dict.fromkeys([*spans, *(known[-1:] if self.listen else [])]))
        sounds = {}
        if times or spans:
            reading: Iterable[Any] = clip.read(times, spans, SAMPLING_RATE, LONGEST_SIDE)
            if self.progress is not None:
                reading = self.progress(reading, total=len(times) + len(spans), description=clip.path.name)
            for item in reading:
                if isinstance(item, Frame):
                    assert eyes is not None
                    eyes.add(item.time, item)
                elif ears is None:
                    sounds[spans[item.span]] = item.samples
                else:
                    ears.add(spans[item.span], item.samples)
            for sense in (eyes, ears):
                if sense is not None:
                    sense.finish()
            self.cache.save({"problems": np.frombuffer(json.dumps(clip.problems).encode(), np.uint8)}, **key)
        return sounds

    def look(self, times: list[float], frames: list[Frame]) -> Table:
        """One row per face: the time of its frame and what is known of it; `frames` are the times of all frames."""
        assert self.faces is not None
        rows: list[Table] = []
        for frame, faces in zip(frames, self.faces.detect(frames) if frames else [], strict=True):
            if not len(faces):
                continue
            height, width = frame.image.shape[:2]
            row = {
                "time": np.full(len(faces), frame.time),
                "boxes": np.asarray(faces.boxes, np.float32) / np.array([width, height] * 2, np.float32),
                "scores": np.asarray(faces.scores, np.float32),
            }
            for name in ("action_units", "identities"):
                if getattr(faces, name) is not None:
                    row[name] = np.asarray(getattr(faces, name), np.float32)
            if self.describe is not None:
                row["appearance"] = np.asarray(self.describe(frame.image, faces), np.float32)
            rows.append(row)
        table = {name: np.concatenate([row[name] for row in rows]) for name in (rows[0] if rows else ())}
        return {"frames": np.array(times, np.float64), **table}

    def _hear(self, spans: list[Span], sounds: list[np.ndarray]) -> Table:
        assert self.hear is not None
        bounds = np.array(spans, np.float64).reshape(-1, 2)
        return {"spans": bounds, "features": self.hear(sounds)} if sounds else {"spans": bounds}

    def with_senses(
        self,
        clip: Clip,
        utterance: Utterance,
        span: Span | None,
        sounds: Mapping[Span, np.ndarray],
        faces: "FaceTable | None",
    ) -> Utterance:
        """The utterance with what was heard and seen of it, or why it was not."""
        found: dict[str, Any] = {}
        missing = dict(utterance.missing)
        if self.listen:
            sound = None if span is None else sounds.get(span)
            if sound is not None:
                found = {"audio_features": sound} if self.hear else {"audio": sound, "sampling_rate": SAMPLING_RATE}
            else:
                missing["audio"] = _why_absent(clip, span) if clip.has_audio else f"{clip.path.name} has no sound"
        if faces is not None:
            found |= faces.at([] if span is None else sample_times(self.frame_rate, [span]))
            if not clip.has_video:
                missing["visual"] = f"{clip.path.name} has no picture"
            elif "face_times" not in found:
                missing["visual"] = _why_absent(clip, span)
            elif "face_boxes" not in found:
                missing["visual"] = "no face was found"
        if self.why_blind is not None:
            missing["visual"] = self.why_blind
        return utterance.replace(**found, missing=missing)


class FaceTable:
    """The faces of a recording, and whose they are."""

    def __init__(self, table: Table, observer: Observer) -> None:
        self.table = table
        self.observer = observer
        times = table.get("time", np.empty(0))
        frames = table.get("frames", np.empty(0))
        first, last = np.searchsorted(times, frames), np.searchsorted(times, frames, side="right")
        self.rows = {time: np.arange(*ends) for time, *ends in zip(frames.tolist(), first, last, strict=True)}
        self.people = np.full(len(times), -1)
        tracker = FaceTracker(longest_gap=LONGEST_GAP)
        for time, rows in self.rows.items():
            if len(rows):
                identities = table["identities"][rows] if "identities" in table else None
                faces = Faces(table["boxes"][rows], table["scores"][rows], identities=identities)
                self.people[rows] = tracker.update(time, faces)

    def at(self, times: Sequence[float]) -> dict[str, np.ndarray]:
        """The fields of an utterance whose frames are at these times; none where the recording shows none of them."""
        frames = [self._largest(self.rows[time]) for time in times if time in self.rows]
        if not frames:
            return {}
        fields = {"face_times": np.array([time for time in times if time in self.rows])}
        if not any(map(len, frames)):
            return fields
        boxes = self.table["boxes"]
        columns = {"face_boxes": boxes, "face_areas": _areas(boxes), "face_ids": self.people}
        if self.observer.units is not None and "action_units" in self.table:
            columns["action_units"] = self.table["action_units"][:, list(self.observer.units)]
        if "appearance" in self.table:
            columns["appearance"] = self.table["appearance"]
        return fields | {name: _padded(column, frames) for name, column in columns.items()}

    def _largest(self, rows: np.ndarray) -> np.ndarray:
        areas = _areas(self.table["boxes"][rows]) if len(rows) else np.empty(0)
        return rows[np.sort(np.argsort(-areas, kind="stable")[: self.observer.max_faces])]


def _padded(column: np.ndarray, frames: list[np.ndarray]) -> np.ndarray:
    """Rows of a column by frame [F, P, ...], NaN (or -1) where a frame has fewer faces than another."""
    absent = -1 if np.issubdtype(column.dtype, np.integer) else np.nan
    padded = np.full((len(frames), max(map(len, frames)), *column.shape[1:]), absent, column.dtype)
    for row, members in zip(padded, frames, strict=True):
        row[: len(members)] = column[members]
    return padded


def _areas(boxes: np.ndarray) -> np.ndarray:
    return np.prod(np.clip(boxes[:, 2:], 0, 1) - np.clip(boxes[:, :2], 0, 1), axis=1)


def _by_span(table: Table) -> dict[Span, np.ndarray]:
    spans = map(tuple, table["spans"].tolist()) if table else ()
    return dict(zip(spans, table.get("features", ()), strict=True))


def spans_of(utterances: list[Utterance], duration: float) -> list[Span | None]:
    """From when to when each is said, `None` where the transcript does not say.

    One without an end lasts until the next begins, a lone one without times all along.
    """
    if len(utterances) == 1 and utterances[0].start is None:
        return [(0.0, duration)]
    starts = sorted(utterance.start for utterance in utterances if utterance.start is not None)
    spans: list[Span | None] = []
    for utterance in utterances:
        if utterance.start is None:
            spans.append(None)
            continue
        later = [*starts[bisect_right(starts, utterance.start) :][:1], duration]
        spans.append((utterance.start, max(utterance.start, later[0] if utterance.end is None else utterance.end)))
    return spans


def _end_then_start(span: Span) -> tuple[float, float]:
    return span[1], span[0]


def _why_absent(clip: Clip, span: Span | None) -> str:
    if span is None:
        return "the transcript does not say when it is said"
    if clip.duration is not None and span[0] >= clip.duration:
        return f"{clip.path.name} ends at {clip.duration:.1f} s, before it"
    if span[0] == span[1]:
        return "it lasts 0 s"
    return f"{clip.path.name} could not be read there"
