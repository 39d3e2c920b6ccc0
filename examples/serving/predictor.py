"""A conversation of a stranger to its emotions: limits, and errors as sentences. `app.py` and `handler.py` share it."""

import logging
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from m2fnet_hf import Dialogue, MultimodalEmotionPipeline, Utterance
from m2fnet_hf.data.transcripts import open_transcript
from m2fnet_hf.media.clip import Clip
from m2fnet_hf.media.frame_rate import frame_rate

LARGEST_REQUEST = 256 * 2**20  # bytes
LONGEST_RECORDING = 3600  # seconds
MOST_UTTERANCES = 2000
FIELDS = ("text", "speaker", "start", "end")
UNKNOWN = "The request must hold what can be read, found an error of the service's own over it; send something else."


class Predictor:
    """A model for requests, one at a time.

    Args:
        model: folder, or name on the Hub; default: the embedded one.
    """

    def __init__(self, model: str | None = None) -> None:
        self.pipe = MultimodalEmotionPipeline.from_pretrained(model)
        self._turn = Lock()

    def predict(self, utterances: Sequence[Any], recording: Path | None = None) -> dict[str, Any]:
        """Utterances, and the recording in which they are said, to predictions and what could not be read.

        Raises:
            TypeError, ValueError: for what is no dialogue, or too long.
        """
        if not 0 < len(utterances) <= MOST_UTTERANCES:
            raise ValueError(
                f"A conversation must have 1 to {MOST_UTTERANCES} utterances, found {len(utterances)}; cut it."
            )
        problems: list[str] = []
        dialogue = Dialogue([_only_words(one) for one in utterances], recording=recording)
        with self._turn:
            predictions = self.pipe(dialogue, cache=False, on_problem=problems.append)
        return {"utterances": predictions, "warnings": problems}

    def predict_files(self, transcript: Path, recording: Path | None = None) -> dict[str, Any]:
        """[`predict`] for a transcript of any format that the package reads."""
        duration = rate = None
        if recording is not None:
            duration, rate = _check(Clip(recording)), frame_rate(recording)
        read = open_transcript(transcript, duration, rate, trusted=False)
        answer = self.predict(list(read.dialogue), recording)
        return {**answer, "warnings": [*read.remarks, *answer["warnings"]]}


def sentence(error: Exception) -> str:
    """What a client gets to know of an error; of another library's message the log alone does."""
    message = " ".join(str(error).split())
    if isinstance(error, (OSError, TypeError, ValueError)) and message.endswith("."):
        return message
    logging.getLogger(__name__).error("an error that has no sentence", exc_info=error)
    return UNKNOWN


def _only_words(utterance: Any) -> Utterance:
    """Words, speaker and times: nothing that names a file of the server."""
    if isinstance(utterance, str):
        return Utterance(text=utterance)
    fields = {name: getattr(utterance, name) for name in FIELDS} if isinstance(utterance, Utterance) else utterance
    if not isinstance(fields, dict) or not fields.keys() <= set(FIELDS):
        raise ValueError(
            f"An utterance must be its words, or an object of {', '.join(FIELDS)}, found {str(utterance)[:80]!r}; "
            "leave the rest out."
        )
    return Utterance(**fields, missing={} if fields.get("text") else {"text": "no words were given"})


def _check(clip: Clip) -> float | None:
    if not clip.has_video and not clip.has_audio:
        raise ValueError("The recording must have video or sound, found neither in it; send another file.")
    if (clip.duration or 0) > LONGEST_RECORDING:
        raise ValueError(
            f"A recording must be no longer than {LONGEST_RECORDING} seconds, found {clip.duration:.0f}; cut it."
        )
    return clip.duration
