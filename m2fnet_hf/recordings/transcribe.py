"""The words of a recording without a transcript, by a speech recognition model of the library."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from transformers import Pipeline, pipeline

from ..dialogue_m2fnet import Dialogue, Utterance
from ..media.clip import Clip
from ..media.sound import is_silent
from ..weights_m2fnet import loading
from .cache import Cache, content_hash

# Seconds that a model other than Whisper reads at a time; the library overlaps them.
WINDOW = 30
# Words that follow each other faster than this belong to one utterance, unless a sentence ends or it gets too long.
PAUSE = 0.6
LONGEST_UTTERANCE = 15.0
# With the full width marks of Chinese and Japanese.
SENTENCE_END = re.compile("[.?!\u3002\uff1f\uff01][\"')\\]\u201d\u2019]*$")
NO_END = re.compile(r"(\b([A-HJ-Z]|Mr|Mrs|Ms|Dr|St|Prof|Jr|Sr|vs)|\.\.)\.$")
# Models let a word last until the next one begins: its sound is what lies above this level, in dB of its loudest block.
SILENCE_DB = -35
BLOCK = 0.02  # seconds

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
        asr: a model that times words, which become utterances at pauses and at the ends of sentences. A Whisper that
            does not say which of its heads follow the sound times segments alone, which are utterances as they are.
        cache: keeps what it recognised.
        progress: wraps the one step that this is, as `rich.progress.track` does.
        audio_track: which sound track of the recording, from 1. Default: the first that is not silent.

    Raises:
        ValueError: where there is no sound, no speech was recognised, or the model cannot be loaded.
    """
    cache = cache or Cache(None)
    name = asr if isinstance(asr, str | Path) else asr.model.name_or_path
    key = {"stage": "words", "source": content_hash(recording), "track": audio_track, "model": str(name)}
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


def load_recogniser(name: str | Path) -> Pipeline:
    """A speech recognition model, by its folder or its name on the Hub.

    Raises:
        ImportError: where it needs a package that is not installed.
        ValueError: where it cannot be loaded.
    """
    with loading("A speech recognition model", name):
        return pipeline("automatic-speech-recognition", model=str(name))


def _recognise(recording: Path, asr: str | Path | Pipeline, audio_track: int | None) -> list[Chunk]:
    recogniser: Any = load_recogniser(asr) if isinstance(asr, str | Path) else asr
    rate = recogniser.feature_extractor.sampling_rate
    clip = Clip(recording, audio_track)
    sound = clip.sound(sampling_rate=rate)
    if sound is None or is_silent(sound):
        lack = "has no sound" if sound is None else "is silent"
        reason = clip.problems[0] if clip.problems else f"{recording.name} {lack}."
        raise ValueError(f"Speech recognition needs sound, found none: {reason.rstrip('.')}; give a `transcript`.")
    whisper = recogniser.type == "seq2seq_whisper"
    if whisper and not getattr(recogniser.model.generation_config, "alignment_heads", None):
        recognised = recogniser({"raw": sound, "sampling_rate": rate}, return_timestamps=True)
        return [_utterance([segment], "") for segment in _timed(recognised["chunks"], len(sound) / rate)]
    options = {} if whisper else {"chunk_length_s": WINDOW}
    recognised = recogniser({"raw": sound, "sampling_rate": rate}, return_timestamps="word", **options)
    words = [_without_silence(word, sound, rate) for word in _timed(recognised["chunks"], len(sound) / rate)]
    return list(_join(words, "" if whisper else " "))


def _timed(chunks: Iterable[Mapping[str, Any]], length: float) -> Iterator[Chunk]:
    """Chunks in order within a recording of `length` seconds; none begins before the last ends."""
    last = 0.0
    for chunk in chunks:
        start, end = chunk["timestamp"]
        start = min(max(last, start or 0.0), length)
        last = max(start, length if end is None else min(end, length))
        if chunk["text"].strip():
            yield chunk["text"], start, last


def _without_silence(word: Chunk, sound: np.ndarray, rate: int) -> Chunk:
    """A word without the silence around it."""
    text, start, end = word
    size = int(BLOCK * rate)
    first = int(start * rate)
    blocks = sound[first : int(end * rate)]
    blocks = blocks[: len(blocks) // size * size].reshape(-1, size)
    power = np.square(blocks, dtype=np.float64).mean(1)
    loud = np.flatnonzero(power > power.max(initial=0) * 10 ** (SILENCE_DB / 10))
    if not len(loud):
        return word
    return text, start + loud[0] * BLOCK, min(end, start + (loud[-1] + 1) * BLOCK)


def _join(words: Iterable[Chunk], between: str) -> Iterator[Chunk]:
    """Words that follow each other closely in a sentence, as one utterance; `between` stands between words."""
    said: list[Chunk] = []
    for word in words:
        _, start, end = word
        if said and (
            _ends_sentence(said[-1][0]) or start - said[-1][2] > PAUSE or end - said[0][1] > LONGEST_UTTERANCE
        ):
            yield _utterance(said, between)
            said = []
        said.append(word)
    if said:
        yield _utterance(said, between)


def _ends_sentence(word: str) -> bool:
    return bool(SENTENCE_END.search(word)) and not NO_END.search(word)


def _utterance(words: list[Chunk], between: str) -> Chunk:
    return between.join(text for text, *_ in words).strip(), words[0][1], words[-1][2]
