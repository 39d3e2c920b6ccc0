"""Who speaks when in a recording, by pyannote.audio, and from that the speakers of utterances that have none."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ..dialogue_m2fnet import Dialogue, Utterance
from ..media.clip import Clip

MODEL = "pyannote/speaker-diarization-community-1"
SPEAKERS_EXTRA = "pip install 'm2fnet-hf[speakers]'"
SAMPLING_RATE = 16_000


class Turn(NamedTuple):
    """A time in which somebody speaks; start and end in seconds."""

    start: float
    end: float
    speaker: str


def find_turns(recording: str | Path, model: str = MODEL, audio_track: int | None = None) -> list[Turn]:
    """Who speaks when.

    Args:
        recording: anything with sound.
        model: a pipeline of pyannote's, by folder or by its name on the Hub, where its terms are to be accepted.
        audio_track: which sound track, from 1. Default: the first that is not silent.

    Raises:
        ImportError: without pyannote.audio.
        ValueError: where there is no sound.
    """
    try:
        import torch
        from pyannote.audio import Pipeline
    except ImportError as error:
        raise ImportError(f"Telling speakers apart needs {error.name}: {SPEAKERS_EXTRA}") from None
    sound = Clip(recording, audio_track).sound(sampling_rate=SAMPLING_RATE)
    if sound is None:
        raise ValueError(f"Telling speakers apart needs sound, found none in {Path(recording).name}; leave it out.")
    pipeline: Any = Pipeline.from_pretrained(model)
    found = pipeline({"waveform": torch.from_numpy(sound)[None], "sample_rate": SAMPLING_RATE})
    turns = getattr(found, "speaker_diarization", found)  # pyannote.audio 4 gives more beside it
    return [Turn(segment.start, segment.end, speaker) for segment, _, speaker in turns.itertracks(yield_label=True)]


def name_speakers(dialogue: Dialogue, turns: Iterable[Turn]) -> Dialogue:
    """The dialogue, in which each utterance without speaker has the one who speaks longest in its time."""
    turns = list(turns)
    return Dialogue([_named(one, turns) for one in dialogue], id=dialogue.id, recording=dialogue.recording)


def _named(utterance: Utterance, turns: Iterable[Turn]) -> Utterance:
    if utterance.speaker is not None or utterance.start is None or utterance.end is None:
        return utterance
    shared: dict[str, float] = {}
    for turn in turns:
        seconds = max(0.0, min(turn.end, utterance.end) - max(turn.start, utterance.start))
        shared[turn.speaker] = shared.get(turn.speaker, 0.0) + seconds
    speaker = max(shared, key=shared.__getitem__, default=None)
    return utterance.replace(speaker=speaker) if speaker is not None and shared[speaker] > 0 else utterance
