"""A recording and who says what when, to utterances with their sound and faces, in one pass over the recording."""

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from ..dialogue_m2fnet import Dialogue, Utterance
from ..faces.registry import backend_for
from ..faces.types import FaceBackend, Faces
from ..media.clip import Clip, Frame, sample_times
from ..media.frame_rate import check_frame_rate
from ..media.sound import is_silent
from ..utils.paths import check_file
from ..utils.text import shown
from .batches import Batches, Table
from .cache import Cache, content_hash
from .face_table import FaceTable

# Eight frames are what a detector takes at a time.
FRAMES_AT_ONCE = 8
SOUNDS_AT_ONCE = 16
# Larger frames are shrunk: a face that matters is still larger than the 112 pixels that are read of it.
LONGEST_SIDE = 1280
# Stands in for the picture of sound alone; files of faces in pixels rarely count in more.
NO_PICTURE = np.broadcast_to(np.uint8(0), (1080, 1920, 3))
SAMPLING_RATE = 16_000
# Utterances that overlap, on average over a recording.
MOST_AT_ONCE = 100

Span = tuple[float, float]


class FacesUnavailableError(RuntimeError):
    """The face backend does not work."""


@dataclass
class RecordingReader:
    """Reads the sound and the faces of each utterance of a dialogue from its recording.

    Args:
        faces: the backend that finds faces, or `None` to read none.
        units: makes the model's Action Units [N, A] of the backend's [N, A'], NaN where unknown; `None` keeps none.
        describe: appearance features [P, E] of the faces of an image, or `None`.
        frame_rate: frames of each second of an utterance in which faces are looked for; each utterance gets one at
            least.
        max_faces: faces kept per frame, the largest.
        reads_audio: whether sound is wanted.
        audio_track: which sound track of a recording, from 1. Default: the first that is not silent.
        encode_audio: the sound encoder: sounds [S] at 16 kHz to their features [N, D]; `None` keeps the sound itself.
        settings: of `appearance` (`describe`) and `audio` (`encode_audio`): all that changes their results, for the
            cache.
        visual_unavailable_reason: why the model cannot read faces though it would.
        faces_required: a backend that does not work is an error, and not one modality less.
        cache: where results are kept.
        progress: wraps the pass over a recording, as `rich.progress.track` does.
        unreported: problems that the next call reports.
    """

    faces: FaceBackend | None = None
    units: Callable[[np.ndarray], np.ndarray] | None = None
    describe: Callable[[np.ndarray, Faces], np.ndarray] | None = None
    frame_rate: float = 2.0
    max_faces: int = 4
    reads_audio: bool = False
    audio_track: int | None = None
    encode_audio: Callable[[list[np.ndarray]], np.ndarray] | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    visual_unavailable_reason: str | None = None
    faces_required: bool = False
    cache: Cache = field(default_factory=lambda: Cache(None))
    progress: Callable[..., Iterable[Any]] | None = None
    unreported: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        check_frame_rate(self.frame_rate)

    def __call__(self, dialogue: Dialogue, recording: str | Path | None = None) -> tuple[Dialogue, list[str]]:
        """The dialogue with the sound and faces of `recording`, or else of the clip of each utterance.

        Returns:
            The dialogue, and a sentence for each problem of reading it.

        Raises:
            FileNotFoundError: without the file of `recording`; that of an utterance is a problem.
            ImportError, OSError: where the face backend does not work and is required.
        """
        read = self._read_clips(dialogue) if recording is None else self._read(list(dialogue), Path(recording))
        self.unreported += self.cache.take_problems()
        problems, self.unreported = self.unreported, []
        return Dialogue(read, id=dialogue.id, recording=recording), problems

    def _read_clips(self, dialogue: Dialogue) -> list[Utterance]:
        read: list[Utterance] = []
        people = 0
        for utterance in dialogue:
            if utterance.video is not None:
                utterance = self._read_clip(utterance, Path(utterance.video))
                if utterance.face_ids is not None:  # who of one clip is who in another is unknown
                    ids = np.where(utterance.face_ids < 0, -1, utterance.face_ids + people)
                    utterance, people = utterance.replace(face_ids=ids), max(people, int(ids.max(initial=-1)) + 1)
            read.append(utterance)
        return read

    def _read_clip(self, utterance: Utterance, clip: Path) -> Utterance:
        try:
            check_file(clip, "A recording")
        except (OSError, ValueError) as error:  # the others' clips may be there
            self.unreported.append(str(error))
            read = {"audio": self.reads_audio, "visual": self.faces is not None}
            why = f"{shown(clip.name)} could not be opened"
            return utterance.replace(
                missing={**utterance.missing, **{name: why for name, is_read in read.items() if is_read}}
            )
        (utterance,) = self._read([utterance], clip, whole=True)
        return utterance

    def _read(self, utterances: list[Utterance], recording: Path, whole: bool = False) -> list[Utterance]:
        clip = Clip(recording, self.audio_track)
        if self.faces is not None:
            self.faces = backend_for(self.faces, recording)
        spans = [(0.0, clip.duration or 0.0)] if whole else spans_of(utterances, clip)
        known = sorted({span for span in spans if span is not None}, key=_end_then_start)
        try:
            sounds, faces = self._measure(clip, known)
        except FacesUnavailableError as error:
            self.give_up_faces(error)
            return self._read(utterances, recording, whole)
        self.unreported += clip.problems
        return [
            self.completed(clip, utterance, span, sounds, faces)
            for utterance, span in zip(utterances, spans, strict=True)
        ]

    def give_up_faces(self, error: FacesUnavailableError) -> None:
        """Read no faces from now on."""
        self.unreported.append(str(error))
        self.faces, self.visual_unavailable_reason = None, "faces could not be looked for"

    def _measure(self, clip: Clip, spans: list[Span]) -> tuple[Mapping[Span, np.ndarray], FaceTable | None]:
        """The sound of each span, or its features, and the faces."""
        if self.faces is None and not self.reads_audio:
            return {}, None
        source = content_hash(clip.path)
        face_batches = None if self.faces is None else self._face_batches(spans, source)
        audio_batches = self._audio_batches(spans, source) if self.reads_audio and self.encode_audio else None
        sounds = self._pass(clip, face_batches, audio_batches, spans, source)
        if audio_batches is not None:
            sounds = _by_span(audio_batches.table())
        return sounds, None if face_batches is None else self._tracked(face_batches.table())

    def _tracked(self, table: Table) -> FaceTable:
        faces = self.face_table(table)
        faces.track()
        return faces

    def face_table(self, table: Table) -> FaceTable:
        """The faces that [`detect_faces`] measured, of which the reader keeps some."""
        return FaceTable(table, self.units, self.max_faces)

    def _face_batches(self, spans: list[Span], source: str) -> Batches:
        assert self.faces is not None
        key = {
            "stage": "faces",
            "source": source,
            "backend": dict(self.faces.settings),
            "appearance": self.settings.get("appearance"),
            "longest_side": LONGEST_SIDE,
        }
        return Batches(sample_times(self.frame_rate, spans), FRAMES_AT_ONCE, self.detect_faces, self.cache, key)

    def _audio_batches(self, spans: list[Span], source: str) -> Batches:
        key = {
            "stage": "sound",
            "source": source,
            "track": self.audio_track,
            "encoder": self.settings.get("audio"),
        }
        return Batches(spans, SOUNDS_AT_ONCE, self._encoded, self.cache, key)

    def _pass(
        self,
        clip: Clip,
        face_batches: Batches | None,
        audio_batches: Batches | None,
        known: list[Span],
        source: str,
    ) -> dict[Span, np.ndarray]:
        """One pass over the recording for what is not in the cache; gives the sounds that are not encoded."""
        times = [] if face_batches is None else face_batches.missing
        spans = audio_batches.missing if audio_batches is not None else known if self.reads_audio else []
        key = {
            "stage": "problems",
            "source": source,
            "seen": face_batches is not None,
            "heard": self.reads_audio,
            "track": self.audio_track,
        }
        problems = self.cache.load(**key)
        if problems is not None:
            clip.problems[:] = json.loads(problems["problems"].tobytes())
        else:  # a run that goes on must find the same problems: it reads as far, both pictures and sound
            times = times if face_batches is None else [*times, *face_batches.places[-1:]]
            spans = list(dict.fromkeys([*spans, *(known[-1:] if self.reads_audio else [])]))
        sounds = {}
        if times or spans:
            reading: Iterable[Any] = clip.read(times, spans, SAMPLING_RATE, LONGEST_SIDE)
            if not clip.has_video and not getattr(self.faces, "needs_pictures", True):
                reading = chain((Frame(time, NO_PICTURE) for time in times), reading)
            if self.progress is not None:
                reading = self.progress(reading, total=len(times) + len(spans), description=clip.name)
            for item in reading:
                if isinstance(item, Frame):
                    assert face_batches is not None
                    face_batches.add(item.time, item)
                elif audio_batches is None:
                    sounds[spans[item.span]] = audible(item.samples)
                else:
                    audio_batches.add(spans[item.span], item.samples)
            for batches in (face_batches, audio_batches):
                if batches is not None:
                    batches.finish()
            self.cache.save({"problems": np.frombuffer(json.dumps(clip.problems).encode(), np.uint8)}, **key)
        return sounds

    def detect_faces(self, times: list[float], frames: list[Frame]) -> Table:
        """One row per face: the time of its frame and what is known of it; `frames` are the times of all frames.

        Raises:
            FacesUnavailableError: where the backend does not work, unless it is required: then its own error.
        """
        try:
            rows = self._face_rows(frames)
        except (ImportError, OSError) as error:
            if self.faces_required:
                raise
            raise FacesUnavailableError(str(error)) from error
        table = {name: np.concatenate([row[name] for row in rows]) for name in (rows[0] if rows else ())}
        return {"frames": np.array(times, np.float64), **table}

    def _face_rows(self, frames: list[Frame]) -> list[Table]:
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
        return rows

    def _encoded(self, spans: list[Span], sounds: list[np.ndarray]) -> Table:
        assert self.encode_audio is not None
        heard = [place for place, sound in enumerate(sounds) if audible(sound).size]
        bounds = np.array(spans, np.float64).reshape(-1, 2)
        table = {"spans": bounds[heard], "silent": np.delete(bounds, heard, axis=0)}
        return {**table, "features": self.encode_audio([sounds[place] for place in heard])} if heard else table

    def completed(
        self,
        clip: Clip,
        utterance: Utterance,
        span: Span | None,
        sounds: Mapping[Span, np.ndarray],
        faces: FaceTable | None,
    ) -> Utterance:
        """The utterance with its sound and faces, or why it has none; an empty sound is a silent one."""
        found: dict[str, Any] = {}
        missing = dict(utterance.missing)
        if self.reads_audio:
            sound = None if span is None else sounds.get(span)
            if sound is None:
                missing["audio"] = _why_absent(clip, span) if clip.has_audio else self._why_no_sound(clip)
            elif not sound.size:
                missing["audio"] = f"{clip.name} is silent there"
            elif self.encode_audio is not None:
                found = {"audio_features": sound}
            else:
                found = {"audio": sound, "sampling_rate": SAMPLING_RATE}
        if faces is not None:
            found |= faces.at([] if span is None else sample_times(self.frame_rate, [span]))
            if "face_times" not in found:
                missing["visual"] = _why_absent(clip, span) if clip.has_video else f"{clip.name} has no picture"
            elif "face_boxes" not in found:
                missing["visual"] = "no face was found"
        if self.visual_unavailable_reason is not None:
            missing["visual"] = self.visual_unavailable_reason
        return utterance.replace(**found, missing=missing)

    def _why_no_sound(self, clip: Clip) -> str:
        return f"{clip.name} has no sound" + ("" if self.audio_track is None else f" track {self.audio_track}")


def audible(sound: np.ndarray) -> np.ndarray:
    """A sound [S] as it is, or an empty one in the place of digital silence, which says nothing about a voice."""
    return sound[:0] if is_silent(sound) else sound


def _by_span(table: Table) -> dict[Span, np.ndarray]:
    """Features by span, empty ones where it is silent."""
    if not table:
        return {}
    heard, silent = (map(tuple, table[name].tolist()) for name in ("spans", "silent"))
    nothing = np.empty(0, np.float32)
    return {**dict(zip(heard, table.get("features", ()), strict=True)), **dict.fromkeys(silent, nothing)}


def spans_of(utterances: list[Utterance], clip: Clip) -> list[Span | None]:
    """From when to when each is said, within the recording, `None` where the transcript does not say.

    One without an end lasts until the next begins, a lone one without times all along.

    Raises:
        ValueError: where they last so long in all that the transcript cannot be that of the recording.
    """
    if len(utterances) == 1 and utterances[0].start is None:
        return [(0.0, clip.duration or 0.0)]
    starts = sorted(utterance.start for utterance in utterances if utterance.start is not None)
    length = clip.reach(max([*starts, *(one.end for one in utterances if one.end is not None)], default=0.0))
    spans: list[Span | None] = []
    for utterance in utterances:
        if utterance.start is None:
            spans.append(None)
            continue
        later = [*starts[bisect_right(starts, utterance.start) :][:1], clip.duration or 0.0]
        end = min(later[0] if utterance.end is None else utterance.end, length)
        spans.append((utterance.start, max(utterance.start, end)))
    said = sum(span[1] - span[0] for span in spans if span is not None)
    if said > MOST_AT_ONCE * max(length, 1.0):
        raise ValueError(
            f"At most {MOST_AT_ONCE} utterances may be said at once, found ones that last {said / length:.0f} times as "
            f"long as {clip.name} does; correct the times of the transcript."
        )
    return spans


def _end_then_start(span: Span) -> tuple[float, float]:
    return span[1], span[0]


def _why_absent(clip: Clip, span: Span | None) -> str:
    if span is None:
        return "the transcript does not say when it is said"
    if clip.duration is not None and span[0] >= clip.duration:
        return f"{clip.name} ends at {clip.duration:.1f} s, before it"
    if span[0] == span[1]:
        return "it lasts 0 s"
    return f"{clip.name} could not be read there"
