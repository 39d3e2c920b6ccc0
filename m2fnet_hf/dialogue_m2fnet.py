"""The data contract: every source becomes a `Dialogue`, and nothing after it knows where it came from."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np

MODALITIES = ("text", "audio", "visual")
# Seconds; no recording lasts a thousand hours.
LATEST = 3_600_000.0
# Samples a second that recordings of speech have, and a sample that is none, whatever its scale.
SAMPLING_RATES = (1_000, 1_000_000)
LOUDEST = 1e6
# The label, as a number, of an utterance without one.
IGNORED = -100
FEATURES = ("text_features", "audio_features", "visual_features")
FACE_FIELDS = {
    "action_units": "[F, P, A]",
    "appearance": "[F, P, E]",
    "face_boxes": "[F, P, 4]",
    "face_areas": "[F, P]",
    "face_ids": "[F, P]",
    "face_times": "[F]",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Utterance:
    """What one speaker says in one turn. Immutable; one modality at least is present, all else may be absent.

    Args:
        text: the words; blank text counts as absent.
        speaker: name, unique within the dialogue.
        start, end: times in the recording, in seconds, `start <= end`, within a thousand hours.
        audio: mono sound [S], floating point.
        sampling_rate: of the sound, in Hz, from 1000 to 1000000; needed with it.
        video: path of the clip that shows the utterance and nothing else.
        action_units: Action Units [F, P, A] of F frames and P faces, NaN where there is no face.
        appearance: appearance features of the same faces [F, P, E], NaN where there is no face.
        face_areas: share of the frame that a face covers [F, P].
        face_ids: track of a face through the dialogue [F, P], -1 where there is none.
        face_boxes: left, top, right, bottom as shares of the frame [F, P, 4], NaN where there is no face.
        face_times: times of the frames in the recording [F], in seconds.
        text_features, audio_features, visual_features: outputs of the encoders [D], instead of what they read.
        label: name of the emotion.
        label_probabilities: a teacher's probability of each label [C], in the model's order, for distillation.
        id: key of the utterance in its source, never an index.
        missing: why it lacks a modality, by `text`, `audio` or `visual`.

    Raises:
        TypeError, ValueError: naming the field, what was expected and what was found.
    """

    text: str | None = None
    speaker: str | None = None
    start: float | None = None
    end: float | None = None
    audio: np.ndarray | None = None
    sampling_rate: int | None = None
    video: str | Path | None = None
    action_units: np.ndarray | None = None
    appearance: np.ndarray | None = None
    face_areas: np.ndarray | None = None
    face_ids: np.ndarray | None = None
    face_boxes: np.ndarray | None = None
    face_times: np.ndarray | None = None
    text_features: np.ndarray | None = None
    audio_features: np.ndarray | None = None
    visual_features: np.ndarray | None = None
    label: str | None = None
    label_probabilities: np.ndarray | None = None
    id: str | int | None = None
    missing: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("text", "speaker", "label"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise TypeError(f"`{name}` of an utterance must be a string, found {type(value).__name__}.")
            if value is not None and not value.isascii():
                # Half of a character, as JSON may hold, can be neither encoded nor written.
                whole = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
                object.__setattr__(self, name, whole)
        if self.text is not None and not self.text.strip():
            object.__setattr__(self, "text", None)
        self._check_times()
        self._check_sound()
        self._check_faces()
        for name in FEATURES:
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _array(getattr(self, name), name, "[D]", 1))
        if not isinstance(self.missing, Mapping):
            raise TypeError(f"`missing` of an utterance must be a dictionary, found {type(self.missing).__name__}.")
        _check_path(self.video, "`video` of an utterance")
        # A row of a table has every modality's reason, with None where nothing is missing.
        object.__setattr__(self, "missing", {name: why for name, why in self.missing.items() if why is not None})
        modalities = ("text", "audio", "video", "action_units", "appearance", *FEATURES)
        if not self.missing and all(getattr(self, name) is None for name in modalities):
            raise ValueError(
                f"An utterance needs one modality at least, found none; give one of {', '.join(modalities)}."
            )

    def _check_times(self) -> None:
        for name in ("start", "end"):
            value = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
                raise TypeError(f"`{name}` of an utterance must be seconds, found {type(value).__name__}.")
            if not 0 <= value <= LATEST:
                found = "more than any number of seconds" if value > sys.float_info.max else f"{value:.15g}"
                raise ValueError(
                    f"`{name}` of an utterance must be a time of at least 0 s and at most {LATEST:.0f} s, found "
                    f"{found}."
                )
            object.__setattr__(self, name, float(value))
        if self.start is not None and self.end is not None and self.start > self.end:
            raise ValueError(f"An utterance must end after it starts, found start {self.start} s and end {self.end} s.")

    def _check_sound(self) -> None:
        if self.audio is None:
            return
        if np.ndim(self.audio) != 1:
            raise ValueError(
                f"`audio` of an utterance must be mono with the shape [S], found {list(np.shape(self.audio))}."
            )
        audio = _array(self.audio, "audio", "[S]", 1)
        if self.sampling_rate is None:
            raise ValueError("Sound needs its `sampling_rate` in Hz, found None.")
        lowest, highest = SAMPLING_RATES
        if not isinstance(self.sampling_rate, (int, np.integer)) or not lowest <= self.sampling_rate <= highest:
            raise ValueError(
                f"`sampling_rate` must be a whole number of Hz from {lowest} to {highest}, found "
                f"{self.sampling_rate!r:.40}."
            )
        if not np.isfinite(audio).all():
            raise ValueError("`audio` of an utterance must be finite, found NaN or infinite samples.")
        if audio.size and np.abs(audio).max() > LOUDEST:
            raise ValueError(
                f"`audio` of an utterance must hold samples from -1 to 1, found {np.abs(audio).max():g}; scale them."
            )
        object.__setattr__(self, "audio", audio if audio.size else None)

    def _check_faces(self) -> None:
        shape: tuple[int, ...] | None = None
        for name, axes in FACE_FIELDS.items():
            value = getattr(self, name)
            if value is None:
                continue
            value = _array(value, name, axes, axes.count(",") + 1, floating=name != "face_ids")
            shape = shape or value.shape
            common = min(value.ndim, 2, len(shape))
            if value.shape[:common] != shape[:common]:
                wanted = [*shape[:common], *value.shape[common:]]
                raise ValueError(f"`{name}` must have the shape {wanted} ({axes}), found {list(value.shape)}.")
            object.__setattr__(self, name, value)

    @classmethod
    def from_dict(cls, values: "Mapping[str, Any] | Utterance") -> "Utterance":
        """An utterance from a dictionary with the names of its fields."""
        if isinstance(values, cls):
            return values
        values = _fields_of(values, cls)
        if not isinstance(values, Mapping):
            raise TypeError(f"An utterance must be an Utterance or a dictionary, found {type(values).__name__}.")
        known = cls.__dataclass_fields__.keys()
        unknown = sorted(values.keys() - known)
        if unknown:
            raise ValueError(f"An utterance has no field {', '.join(unknown)}; it may have {', '.join(sorted(known))}.")
        return cls(**values)

    def replace(self, **values: Any) -> "Utterance":
        """A copy with other values."""
        return replace(self, **values)


@dataclass(frozen=True, eq=False)
class Dialogue:
    """Utterances in the order in which they are said.

    Args:
        utterances: [`Utterance`]s or dictionaries of their fields, one at least.
        id: key of the dialogue in its source.
        recording: path of the one file that shows the whole dialogue, to whose times `start` and `end` refer.

    Raises:
        TypeError, ValueError: naming the utterance, what was expected and what was found.
    """

    utterances: Sequence[Utterance | Mapping[str, Any]]
    id: str | int | None = None
    recording: str | Path | None = None

    def __post_init__(self) -> None:
        if isinstance(self.utterances, (str, bytes, Mapping)) or not isinstance(self.utterances, Sequence):
            raise TypeError(f"A dialogue must be a sequence of utterances, found {type(self.utterances).__name__}.")
        _check_path(self.recording, "`recording` of a dialogue")
        if not self.utterances:
            raise ValueError("A dialogue needs one utterance at least, found none.")
        object.__setattr__(self, "utterances", tuple(_utterance(self.utterances)))

    @classmethod
    def from_any(cls, source: "Dialogue | Mapping[str, Any] | Sequence[Any]") -> "Dialogue":
        """A dialogue from itself, a dictionary with `utterances` (`id`, `recording`), or a sequence of utterances."""
        if isinstance(source, cls):
            return source
        source = _fields_of(source, cls)
        if isinstance(source, Mapping):
            if "utterances" not in source:
                raise ValueError(
                    f"A dialogue must hold `utterances`, found only {', '.join(map(str, source))}; put a single "
                    "utterance into a list."
                )
            return cls(source["utterances"], id=source.get("id"), recording=source.get("recording"))
        return cls(source)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self.utterances)

    def __iter__(self) -> Iterator[Utterance]:
        for utterance in self.utterances:
            assert isinstance(utterance, Utterance)  # dictionaries became utterances at construction
            yield utterance

    def __getitem__(self, index: int) -> Utterance:
        return Utterance.from_dict(self.utterances[index])

    @property
    def speaker_ids(self) -> list[int]:
        """Index of each utterance's speaker in order of appearance, -1 where unknown."""
        order: dict[str, int] = {}
        return [
            -1 if utterance.speaker is None else order.setdefault(utterance.speaker, len(order)) for utterance in self
        ]


class TrackedFace(TypedDict):
    """A face in a frame: `time` in seconds, `track` of its person, and `box` as shares of the frame."""

    time: float
    track: int
    box: list[float]


class ModalityScores(TypedDict):
    """Probability by label: from each modality that an utterance has `alone`, and `without` each, from its others."""

    alone: dict[str, dict[str, float]]
    without: dict[str, dict[str, float]]


class EmotionPrediction(TypedDict):
    """What is predicted of an utterance; see [`MultimodalEmotionPipeline`]."""

    start: float | None
    end: float | None
    speaker: str | None
    text: str | None
    label: str
    score: float
    scores: dict[str, float]
    modalities: list[str]
    missing: dict[str, str]
    attentions: NotRequired[dict[str, list[float]]]
    weights: NotRequired[dict[str, float]]
    embeddings: NotRequired[dict[str, list[float]]]
    modality_scores: NotRequired[ModalityScores]
    faces: NotRequired[list[TrackedFace]]


def as_dialogues(source: Any) -> list[Dialogue]:
    """One or several dialogues from a form that [`Dialogue.from_any`] takes, or a sequence of such forms.

    Raises:
        TypeError, ValueError: for what is neither.
    """
    if isinstance(source, (str, bytes)):
        raise TypeError("Dialogues are needed, found a string; give [{'text': ..., 'speaker': ...}, ...].")
    if is_dialogue(source):
        return [Dialogue.from_any(source)]
    items = list(source)
    if not items:
        raise ValueError("A dialogue needs one utterance at least, found an empty list.")
    if any(is_dialogue(item) or isinstance(item, (list, tuple)) for item in items):
        return [Dialogue.from_any(item) for item in items]
    return [Dialogue(items)]


def is_dialogue(source: Any) -> bool:
    """Whether this is a [`Dialogue`] or a dictionary of one's fields."""
    return "utterances" in source if isinstance(source, Mapping) else hasattr(source, "utterances")


def _fields_of(source: Any, cls: type) -> Any:
    """The fields of an object of another copy of this module, such as the one that travels with a model."""
    is_copy = type(source).__name__ == cls.__name__ and hasattr(source, "__dataclass_fields__")
    return vars(source) if is_copy else source


def _utterance(sources: Sequence[Any]) -> Iterator[Utterance]:
    for number, source in enumerate(sources, start=1):
        try:
            yield Utterance.from_dict(source)
        except (TypeError, ValueError) as error:
            raise type(error)(f"Utterance {number}: {error}") from None


def _check_path(value: Any, name: str) -> None:
    if value is not None and not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{name} must be the path of a file, found {type(value).__name__}.")


def _array(value: Any, name: str, shape: str, dimensions: int, floating: bool = True) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(
            f"`{name}` of an utterance must have the shape {shape}, found lists of different lengths."
        ) from None
    if array.ndim != dimensions:
        raise ValueError(f"`{name}` of an utterance must have the shape {shape}, found {list(array.shape)}.")
    if floating and not np.issubdtype(array.dtype, np.floating):
        raise TypeError(f"`{name}` of an utterance must be floating point, found {array.dtype}.")
    return array
