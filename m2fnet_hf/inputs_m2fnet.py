"""What the pipeline is given, to dialogues: recordings, transcripts, utterances, words."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Required, TypedDict

from .dialogue_m2fnet import Dialogue, Utterance, is_dialogue

if TYPE_CHECKING:
    from .modeling_m2fnet import M2FNetForEmotionClassification
    from .processing_m2fnet import M2FNetProcessor

# A string that ends like this is a file and no words.
FILE_SUFFIXES = (
    *(".srt", ".vtt", ".ass", ".csv", ".tsv", ".json", ".jsonl", ".txt", ".eaf", ".textgrid"),
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".flv", ".wmv", ".3gp", ".ogv"),
    *(".wav", ".mp3", ".m4a", ".aac", ".flac", ".ogg", ".oga", ".opus", ".wma", ".aif", ".aiff"),
)
# One dialogue, whatever it holds.
Source = str | os.PathLike[str] | Dialogue | Mapping[str, Any]
# The package's own, of which code from the Hub knows no more than how it is called.
_RecordingReader = Callable[[Dialogue, Path | None], tuple[Dialogue, list[str]]]


class UtteranceFields(TypedDict, total=False):
    """The fields of an [`Utterance`] that a dictionary usually has; times in seconds, `sampling_rate` in Hz."""

    text: str | None
    speaker: str | None
    start: float | None
    end: float | None
    audio: Any
    sampling_rate: int | None
    video: str | os.PathLike[str] | None
    id: str | int | None


class RecordingSource(TypedDict, total=False):
    """A recording and who says what in it."""

    recording: Required[str | os.PathLike[str]]
    transcript: str | os.PathLike[str]
    utterances: Sequence[Utterance | UtteranceFields]
    id: str | int


def with_transcript(inputs: Any, transcript: Any) -> Any:
    """A recording, or several, with theirs.

    Raises:
        ValueError: where there is not one transcript for each.
    """
    if not isinstance(inputs, (list, tuple)):
        return {"recording": inputs, "transcript": transcript}
    if not isinstance(transcript, (list, tuple)) or len(transcript) != len(inputs):
        found = len(transcript) if isinstance(transcript, (list, tuple)) else 1
        raise ValueError(f"`transcript` must name one file per recording, expected {len(inputs)}, found {found}.")
    return [with_transcript(one, words) for one, words in zip(inputs, transcript, strict=True)]


def is_one_dialogue(inputs: Any) -> bool:
    """Whether this is one dialogue and not several; a list is one where it holds utterances.

    Raises:
        ValueError: for a list of both.
    """
    if isinstance(inputs, (str, os.PathLike, Mapping)) or is_dialogue(inputs):
        return True
    if not isinstance(inputs, (list, tuple)):
        return False
    utterances = sum(map(_is_utterance, inputs))
    dialogues = sum(map(_is_source, inputs))
    if utterances and dialogues:
        raise ValueError(
            "A list must hold either the utterances of one dialogue (words, or dictionaries with `text`, `video`, ...) "
            f"or several recordings and dialogues, found {utterances} utterances and {dialogues} of the others; give "
            "each dialogue as a list of its own."
        )
    return utterances > 0


def _is_utterance(source: Any) -> bool:
    if isinstance(source, (str, Mapping)):
        return not _is_source(source)
    return hasattr(source, "speaker")


def _is_source(source: Any) -> bool:
    """Whether a member of a list is a dialogue of its own."""
    if isinstance(source, Mapping):
        return bool(source.keys() & {"recording", "transcript", "utterances"})
    return isinstance(source, (list, tuple)) or names_file(source) or is_dialogue(source)


def names_file(source: Any) -> bool:
    """Whether this is a path or URL, and not the words of an utterance."""
    if not isinstance(source, str):
        return isinstance(source, os.PathLike)
    is_one_word = not any(map(str.isspace, source))
    return (
        (is_one_word and ("://" in source or os.path.isabs(source)))
        or os.path.splitext(source)[1].lower() in FILE_SUFFIXES
        or os.path.isfile(source)
    )


class DialogueReader:
    """Whatever the pipeline is given to a dialogue, with the sound and faces of its recordings.

    Arguments and errors are as of [`MultimodalEmotionPipeline`].
    """

    def __init__(
        self,
        model: "M2FNetForEmotionClassification",
        processor: "M2FNetProcessor",
        encodes_sound: Callable[[], bool],
        asr: Any = None,
        faces: Any = None,
        frame_rate: float = 2.0,
        cache: str | os.PathLike[str] | bool = True,
        progress: Callable[..., Iterable[Any]] | None = None,
        audio_track: int | None = None,
    ) -> None:
        self.model = model
        self.processor = processor
        self.encodes_sound = encodes_sound
        self.asr = asr
        self.faces = faces
        self.frame_rate = frame_rate
        self.cache = cache
        self.progress = progress
        self.audio_track = audio_track
        self._reader: _RecordingReader | None = None
        self._problems: list[str] = []

    def __call__(self, source: Any) -> Dialogue:
        dialogue, recording = self._opened(source)
        self._check_language(dialogue)
        if recording is None and all(utterance.video is None for utterance in dialogue):
            return dialogue
        if self._reader is None:
            self._reader = self._build_reader()
        dialogue, problems = self._reader(dialogue, recording)
        self._problems += problems
        return dialogue

    def take_problems(self) -> list[str]:
        """A sentence for each problem since this was last asked."""
        problems, self._problems = self._problems, []
        return problems

    def _opened(self, source: Any) -> tuple[Dialogue, Path | None]:
        """The dialogue, and its recording where it has one."""
        if names_file(source) or (isinstance(source, Mapping) and source.get("recording") is not None):
            return self._read_files(source)
        if isinstance(source, Mapping) and "video" in source and source.keys() & {"transcript", "utterances"}:
            raise ValueError(
                "The file of a whole conversation is a `recording`, found it as `video`, which is the clip of one "
                "utterance; write {'recording': ..., 'transcript': ...}."
            )
        if isinstance(source, str):
            source = [source]
        if isinstance(source, (list, tuple)):
            source = [Utterance(text=one) if isinstance(one, str) else one for one in source]
        dialogue = Dialogue.from_any(source)
        return dialogue, None if dialogue.recording is None else Path(dialogue.recording)

    def _read_files(self, source: Any) -> tuple[Dialogue, Path | None]:
        name = str(source["recording"] if isinstance(source, Mapping) else source)
        try:
            from m2fnet_hf.recordings.cache import open_cache
            from m2fnet_hf.recordings.open import open_source
        except ImportError as error:
            raise _lacking(error, f"Reading {name}") from None
        cache = open_cache(self.cache)
        opened = open_source(source, self.asr, cache, self.progress, self.audio_track)
        self._problems += cache.take_problems()
        return opened

    def _check_language(self, dialogue: Dialogue) -> None:
        config = self.model.config
        if config.languages and "text" in config.modalities:
            try:
                from m2fnet_hf.data.language import describe_foreign
            except ImportError:  # code from the Hub comes without
                return
            problem = describe_foreign([utterance.text for utterance in dialogue], config.languages)
            self._problems += [] if problem is None else [problem]

    def _build_reader(self) -> _RecordingReader:
        try:
            from m2fnet_hf.recordings.build_reader import build_reader
            from m2fnet_hf.recordings.cache import open_cache
        except ImportError as error:
            raise _lacking(error, "Reading recordings") from None
        return build_reader(
            self.model,
            self.processor,
            faces=self.faces,
            frame_rate=self.frame_rate,
            cache=open_cache(self.cache),
            progress=self.progress,
            audio_track=self.audio_track,
            encode_sound=self.encodes_sound(),
        )


def _lacking(error: ImportError, purpose: str) -> ImportError:
    """What code from the Hub comes without."""
    return ImportError(f"{purpose} needs {error.name}: pip install m2fnet-hf")


__all__ = ["DialogueReader", "is_one_dialogue", "with_transcript"]
