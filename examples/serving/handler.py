"""m2fnet-hf on Hugging Face Inference Endpoints, which look for this class in this file."""

import base64
import binascii
import tempfile
from pathlib import Path
from typing import Any

from predictor import LARGEST_REQUEST, Predictor, sentence


class EndpointHandler:
    """Predicts requests of one of these forms, of which `recording` is base64:

    ```json
    {"inputs": "You came!"}
    {"inputs": [{"speaker": "Ann", "text": "You came!"}, {"speaker": "Ben", "text": "I nearly missed the train."}]}
    {"inputs": {"transcript": "1\\n00:00:00,000 --> 00:00:01,000\\nANN: You came!", "recording": "AAAAIGZ0eXA..."}}
    ```

    Args:
        path: of the repository with the model; default: the embedded model.
    """

    def __init__(self, path: str = "") -> None:
        self.predictor = Predictor(path or None)

    def __call__(self, data: dict[str, Any]) -> dict[str, Any]:
        """`utterances` with their predictions and `warnings`, or `error` with a sentence."""
        try:
            return self._answer(data.get("inputs"))
        except Exception as error:
            return {"error": sentence(error)}

    def _answer(self, inputs: Any) -> dict[str, Any]:
        if isinstance(inputs, str):
            inputs = [inputs]
        if isinstance(inputs, list):
            return self.predictor.predict(inputs)
        if not isinstance(inputs, dict) or not isinstance(inputs.get("transcript"), str):
            raise ValueError(
                "`inputs` must be words, a list of utterances, or an object with a `transcript`, found "
                f"{type(inputs).__name__}; see the handler's documentation."
            )
        with tempfile.TemporaryDirectory() as folder:
            transcript = Path(folder) / "transcript.txt"  # its words tell its format
            transcript.write_text(inputs["transcript"], encoding="utf-8")
            recording = inputs.get("recording")
            return self.predictor.predict_files(
                transcript, None if recording is None else _decode(recording, Path(folder) / "recording")
            )


def _decode(encoded: Any, path: Path) -> Path:
    try:
        content = base64.b64decode(encoded, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise ValueError("`recording` must be the bytes of a file in base64, found others; encode it.") from None
    if len(content) > LARGEST_REQUEST:
        raise ValueError(
            f"`recording` must have up to {LARGEST_REQUEST:,} bytes, found {len(content):,}; send a smaller file."
        )
    path.write_bytes(content)
    return path
