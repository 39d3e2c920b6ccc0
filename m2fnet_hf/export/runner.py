"""An exported model in the place of a torch one: tensors in and out, onnxruntime between."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..configuration_m2fnet import M2FNetConfig
from ..dialogue_m2fnet import MODALITIES
from ..features_m2fnet import INPUT_NAMES, Encode, FeatureMethods, Layers, by_dialogue
from ..outputs_m2fnet import M2FNetEmotionOutput
from .encoders import Session
from .model import ExportedModel

Tensors = dict[str, torch.Tensor]


class OnnxEmotionModel(FeatureMethods):
    """What `m2fnet export onnx` wrote, in the place of [`M2FNetForEmotionClassification`].

    ```python
    model = OnnxEmotionModel.from_pretrained("onnx/")
    processor = M2FNetProcessor.from_pretrained("onnx/")
    logits = model(**processor(dialogue)).logits
    pipe = pipeline("multimodal-emotion", model=model, processor=processor, device="cpu")
    ```

    Without torch, [`load_exported`] runs the same folder.

    Args:
        folder: with the graphs and the `config.json`. They run on as many threads as `OMP_NUM_THREADS` says, else on
            all cores.

    Raises:
        FileNotFoundError: where one of them is not there.
    """

    # What a pipeline asks of a model.
    device = torch.device("cpu")
    dtype = torch.float32
    input_modalities = ("text", "audio", "video")

    def __init__(self, folder: str | Path) -> None:
        self.config = M2FNetConfig.from_pretrained(folder)
        self.base_model = self
        exported = ExportedModel(folder)
        self.fusion = exported.fusion
        with_encoder = [name for name in self.config.modalities if getattr(self.config, f"{name}_config") is not None]
        self.encoders = {modality: exported.encoder(modality) for modality in with_encoder}

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path) -> "OnnxEmotionModel":
        """The exported model of a folder, by the name that the library's classes have for it."""
        return cls(pretrained_model_name_or_path)

    def can_generate(self) -> bool:
        """No; a pipeline asks."""
        return False

    def __call__(
        self,
        utterance_mask: torch.Tensor,
        speaker_ids: torch.Tensor | None = None,
        output_attentions: bool = False,
        **inputs: Any,
    ) -> M2FNetEmotionOutput:
        """The processor's tensors, as in `M2FNetModel.forward`, to `logits` [B, U, C] and `modality_mask` [B, U, 3].

        Raises:
            ValueError: for NaN or infinite input at a real place, for a wrong shape, or where attentions are asked for.
        """
        if output_attentions:
            raise ValueError("An exported model gives no attentions, found `output_attentions`; ask the torch model.")
        real = utterance_mask.bool()
        features, present = self.features(by_dialogue({name: inputs.get(name) for name in INPUT_NAMES}, real), real)
        feed = {"utterance_mask": real}
        for modality, size in self.config.feature_sizes.items():
            values = features[modality]
            feed[f"{modality}_features"] = torch.zeros(*real.shape, size) if values is None else values
            feed[f"{modality}_features_mask"] = present[modality]
        feed["speaker_ids"] = torch.full(real.shape, -1) if speaker_ids is None else speaker_ids
        logits = torch.from_numpy(self.fusion("logits", _arrays(feed)))
        used = [present.get(modality, torch.zeros_like(real)) for modality in MODALITIES]
        return M2FNetEmotionOutput(logits=logits, modality_mask=torch.stack(used, dim=-1).long())

    @property
    def audio_encoder(self) -> "_Weights":
        """The graph of the sound encoder."""
        return _Weights(self.encoders["audio"].session)

    def encoder(self, modality: str) -> Encode | None:
        """The graph of a modality's encoder as a callable."""
        if modality not in self.encoders:
            return None

        def encode(values: Tensors) -> torch.Tensor:
            given = _arrays(values)
            return torch.from_numpy(self.encoders[modality].encode(given if modality == "visual" else _rows(given)))

        return encode

    def layers(self, modality: str, values: Tensors, output_attentions: bool) -> Layers:
        """A graph has none."""
        raise ValueError("An exported encoder gives neither hidden states nor attentions; ask the torch model.")


class _Weights:
    def __init__(self, session: Session) -> None:
        self.path = session.path

    def state_dict(self) -> Tensors:
        """The bytes of the graph, by which a cache tells it from another encoder."""
        return {self.path.name: torch.from_numpy(np.memmap(self.path, dtype=np.uint8, mode="c"))}


def _arrays(tensors: Tensors) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def _rows(values: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Padded values [N, L, ...] to rows of their real length, wherever the padding was."""
    real = values["attention_mask"]
    names = [name for name in values if name != "attention_mask"]
    return [{name: values[name][row][real[row]] for name in names} for row in range(len(real))]
