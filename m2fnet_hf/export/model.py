"""An exported model: the features of a dialogue and the probabilities of its emotions, without torch.

Shapes: U utterances, D features, C classes. Masks are true where real.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..answers_m2fnet import damaged
from ..dialogue_m2fnet import MODALITIES, Dialogue, Utterance
from ..names_m2fnet import TEMPERATURE_RANGE
from ..saved_config import SavedConfig
from ..utils.hashes import hash_file, hash_json
from .encoders import Session, build_encoder, text_row
from .processor import ExportedProcessor

FUSION = "fusion"
SAMPLING_RATE = 16_000

# Of each modality, features [U, D] and the utterances that have them [U].
Features = Mapping[str, tuple[np.ndarray, np.ndarray]]


class ExportedModel:
    """What `m2fnet export onnx` wrote.

    Args:
        folder: with the graphs and their settings. They run on as many threads as `OMP_NUM_THREADS` says, else on all
            cores; each is loaded when it is first needed.

    Raises:
        FileNotFoundError, ValueError: where a part of it is not there or not readable.
        ImportError: without onnxruntime.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.config = SavedConfig(folder)
        least, most = TEMPERATURE_RANGE
        if not least <= self.config.softmax_temperature <= most:
            raise ValueError(
                f"`softmax_temperature` must be a number from {least} to {most}, found "
                f"{self.config.softmax_temperature}."
            )
        features = [f"{modality}_features" for modality in self.config.modalities]
        self.fusion = Session(self.folder, FUSION, features, "logits")
        self.fusion.check_size("logits", len(self.config.label_names))
        self._encoders: dict[str, Any] = {}

    def encoder(self, modality: str) -> Any:
        """The encoder of a modality, `None` where it is read from cached features alone."""
        if modality not in self._encoders:
            encoder = self._encoders[modality] = build_encoder(self.folder, self.config, modality)
            if encoder is not None:
                encoder.session.check_size("features", self._size(modality))
        return self._encoders[modality]

    def _size(self, modality: str) -> int:
        """Values of an utterance's features."""
        return self.fusion.shapes[f"{modality}_features"][-1]

    def features(self, dialogue: Dialogue, processor: ExportedProcessor, asked: Sequence[str]) -> Features:
        """The cached features of a dialogue and, of the other utterances, what the encoders make of the raw inputs.

        Args:
            asked: modalities that may be used.

        Raises:
            ValueError: for cached features of another size, or NaN or infinite ones.
        """
        return {
            modality: self._of_modality(modality, dialogue, processor, modality in asked)
            for modality in self.config.modalities
        }

    def probabilities(self, features: Features, speaker_ids: Sequence[int]) -> np.ndarray:
        """Features and the speaker of each utterance to its emotions [U, C].

        Raises:
            ValueError: where they are not finite.
        """
        count = len(speaker_ids)
        feed: dict[str, np.ndarray] = {
            "utterance_mask": np.ones((1, count), dtype=bool),
            "speaker_ids": np.array([speaker_ids], dtype=np.int64),
        }
        for modality, (values, present) in features.items():
            feed |= {f"{modality}_features": values[None], f"{modality}_features_mask": present[None]}
        logits = self.fusion("logits", feed)[0].astype(np.float64)
        if not np.isfinite(logits).all():
            raise damaged(self.config.name_or_path)
        scaled = logits / self.config.softmax_temperature
        weights = np.exp(scaled - scaled.max(-1, keepdims=True))
        return weights / weights.sum(-1, keepdims=True)

    def sound_encoder(self, processor: ExportedProcessor) -> tuple[Any, str]:
        """What encodes sounds [S] at 16 kHz to features [N, D], and a hash of all that changes them."""

        def encode(sounds: list[np.ndarray]) -> np.ndarray:
            return self._encode_sounds([Utterance(audio=one, sampling_rate=SAMPLING_RATE) for one in sounds], processor)

        settings = [processor.sound_settings, self.config.num_blocks, self.config.audio_pooling]
        graph = hash_file(self.encoder("audio").session.path)
        return encode, hash_json(["exported", graph, *settings])

    def _of_modality(
        self, modality: str, dialogue: Dialogue, processor: ExportedProcessor, is_asked: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        size = self._size(modality)
        features = np.zeros((len(dialogue), size), dtype=np.float32)
        present = np.zeros(len(dialogue), dtype=bool)
        if not is_asked:
            return features, present
        for u, utterance in enumerate(dialogue):
            cached = getattr(utterance, f"{modality}_features")
            if cached is not None:
                features[u], present[u] = _checked(cached, size, modality), True
        if getattr(self.config, f"{modality}_config") is not None:
            encode = {"text": self._encode_text, "audio": self._encode_audio, "visual": self._encode_faces}[modality]
            encode(dialogue, processor, features, present)
        return features, present

    def _encode_text(
        self, dialogue: Dialogue, processor: ExportedProcessor, features: np.ndarray, present: np.ndarray
    ) -> None:
        if not any(one.text for one, known in zip(dialogue, present, strict=True) if not known):
            return
        rows = processor.text(dialogue)
        chosen = [u for u, (_, own) in enumerate(rows) if own.any() and not present[u]]
        features[chosen] = self.encoder("text").encode([text_row(rows[u]) for u in chosen])
        present[chosen] = True

    def _encode_audio(
        self, dialogue: Dialogue, processor: ExportedProcessor, features: np.ndarray, present: np.ndarray
    ) -> None:
        chosen = [u for u, one in enumerate(dialogue) if one.audio is not None and not present[u]]
        if chosen:
            features[chosen] = self._encode_sounds([dialogue[u] for u in chosen], processor)
            present[chosen] = True

    def _encode_sounds(self, utterances: list[Utterance], processor: ExportedProcessor) -> np.ndarray:
        name = self.config.audio_input
        rows: Any = map(processor.sound, utterances)
        return self.encoder("audio").encode([{name: row} for row in rows])

    def _encode_faces(
        self, dialogue: Dialogue, processor: ExportedProcessor, features: np.ndarray, present: np.ndarray
    ) -> None:
        faces = processor.faces(dialogue)
        if faces is None:
            return
        chosen = faces["faces_mask"].any((1, 2)) & ~present
        if chosen.any():
            features[chosen] = self.encoder("visual").encode({name: value[chosen] for name, value in faces.items()})
            present[chosen] = True


def without(features: Features, kept: Sequence[str]) -> Features:
    """The features with all but some modalities withheld."""
    return {
        modality: (values, present if modality in kept else np.zeros_like(present))
        for modality, (values, present) in features.items()
    }


def used(features: Features) -> np.ndarray:
    """Which of `MODALITIES` each utterance has [U, 3]."""
    present = [features[modality][1] if modality in features else None for modality in MODALITIES]
    count = len(next(iter(features.values()))[1])
    return np.stack([np.zeros(count, dtype=bool) if one is None else one for one in present], axis=-1)


def _checked(cached: Any, size: int, modality: str) -> np.ndarray:
    values = np.asarray(cached, dtype=np.float32)
    if len(values) != size:
        raise ValueError(f"`{modality}_features` must hold {size} values of an utterance, found {len(values)}.")
    if not np.isfinite(values).all():
        raise ValueError(
            f"`{modality}_features` must be finite, found NaN or infinite values; leave out what is missing."
        )
    return values
