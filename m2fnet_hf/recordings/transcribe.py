"""The words of a recording without a transcript, by a speech recognition model of the library."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from transformers import Pipeline, pipeline

from ..dialogue_m2fnet import Dialogue, Utterance
from ..media.clip import Clip
from ..media.sound import is_silent
from .cache import Cache, content_hash

# Seconds that a model other than Whisper reads at a time; the library overlaps them.
WINDOW = 30
# Words that follow each other faster than this belong to one utterance, unless it gets too long.
PAUSE = 0.6
LONGEST_UTTERANCE = 15.0

# Text, start and end in seconds.
Chunk = tuple[str, float, float]


def transcribe(
    recording: Path,
    asr: str | Path | Pipeline,
    cache: Cache | None = None,
    progress: Callable[..., Iterable[Any]] | None = None,
    audio_track: int | None = None,
) -> Dialogue:
    """The dialogue that a model recognises; speakers are not told apart.

    Args:
        recording: anything with sound.
        asr: a model with timestamps: Whisper's are segments, those of CTC models words, which pauses make utterances.
        cache: keeps what it recognised.
        progress: wraps the one step that this is, as `rich.progress.track` does.
        audio_track: which sound track of the recording, from 1. Default: the first that is not silent.

    Raises:
        ValueError: where there is no sound, or no speech was recognised.
    """
    cache = cache or Cache(None)
    name = asr if isinstance(asr, str | Path) else asr.model.name_or_path
    key = {"stage": "speech", "source": content_hash(recording), "track": audio_track, "model": str(name)}
    kept = cache.load(**key)
    if kept is not None:
        recognised = json.loads(kept["utterances"].tobytes())
    else:
        steps: Iterable[Any] = [recording]
        if progress is not None:
            steps = progress(steps, description=f"Transcribing {recording.name}", total=1)
        recognised = [utterance for step in steps for utterance in _recognise(step, asr, audio_track)]
        cache.save({"utterances": np.frombuffer(json.dumps(recognised).encode(), np.uint8)}, **key)
    if not recognised:
        raise ValueError(
            f"{recording.name} must hold speech, found none that {name} understands; give a `transcript` instead."
        )
    return Dialogue([Utterance(text=text, start=start, end=end) for text, start, end in recognised], id=recording.stem)


def _recognise(recording: Path, asr: str | Path | Pipeline, audio_track: int | None) -> list[Chunk]:
    recogniser: Any = pipeline("automatic-speech-recognition", model=str(asr)) if isinstance(asr, str | Path) else asr
    rate = recogniser.feature_extractor.sampling_rate
    clip = Clip(recording, audio_track)
    sound = clip.sound(sampling_rate=rate)
    if sound is None or is_silent(sound):
        lack = "has no sound" if sound is None else "is silent"
        reason = clip.problems[0] if clip.problems else f"{recording.name} {lack}."
        raise ValueError(f"Speech recognition needs sound, found none: {reason} Give a `transcript` instead.")
    whisper = recogniser.type == "seq2seq_whisper"
    options = {"return_timestamps": True} if whisper else {"return_timestamps": "word", "chunk_length_s": WINDOW}
    recognised = recogniser({"raw": sound, "sampling_rate": rate}, **options)
    chunks = list(_timed(recognised["chunks"], len(sound) / rate))
    return chunks if whisper else list(_join(chunks))


def _timed(chunks: Iterable[Mapping[str, Any]], length: float) -> Iterator[Chunk]:
    """Chunks within a recording of `length` seconds; one without its start begins as the last ends."""
    last = 0.0
    for chunk in chunks:
        start, end = chunk["timestamp"]
        start = min(last if start is None else start, length)
        last = max(start, length if end is None else min(end, length))
        if text := chunk["text"].strip():
            yield text, start, last


def _join(words: list[Chunk]) -> Iterator[Chunk]:
    """Words that follow each other closely, as one utterance."""
    said: list[Chunk] = []
    for word in words:
        _, start, end = word
        if said and (start - said[-1][2] > PAUSE or end - said[0][1] > LONGEST_UTTERANCE):
            yield " ".join(text for text, *_ in said), said[0][1], said[-1][2]
            said = []
        said.append(word)
    if said:
        yield " ".join(text for text, *_ in said), said[0][1], said[-1][2]
