"""An exported model, run by onnxruntime."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from ..configuration_m2fnet import M2FNetConfig
from ..dialogue_m2fnet import MODALITIES
from ..encoders_m2fnet import SAMPLE_BUDGET, TOKEN_BUDGET, pooling_options
from ..features_m2fnet import INPUT_NAMES, Encode, FeatureMethods, Layers, by_dialogue
from ..outputs_m2fnet import M2FNetEmotionOutput
from ..packing_m2fnet import SharedRows, length_mask, micro_batches, split_rows
from ..pooling_m2fnet import block_statistics
from ..spectrogram_encoders_m2fnet import fill_patches, spectrogram_layout, spectrogram_rows
from .graphs import FUSION, encoder_name

Tensors = dict[str, torch.Tensor]


class OnnxEmotionModel(FeatureMethods):
    """What `m2fnet export onnx` wrote, in the place of [`M2FNetForEmotionClassification`].

    ```python
    model = OnnxEmotionModel.from_pretrained("onnx/")
    processor = M2FNetProcessor.from_pretrained("onnx/")
    logits = model(**processor(dialogue)).logits
    pipe = pipeline("multimodal-emotion", model=model, processor=processor, device="cpu")
    ```

    Args:
        folder: with the graphs and the `config.json`. They run on as many threads as torch does.

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
        self.fusion = Session(Path(folder), FUSION)
        sound = SpectrogramEncoder if self.config.audio_input == "input_features" else AudioEncoder
        build: dict[str, Any] = {"text": TextEncoder, "audio": sound, "visual": VisualEncoder}
        self.encoders = {
            modality: build[modality](Session(Path(folder), encoder_name(modality)), self.config)
            for modality in self.config.modalities
            if getattr(self.config, f"{modality}_config") is not None
        }

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
        if "speaker_ids" in self.fusion.shapes:
            feed["speaker_ids"] = torch.full(real.shape, -1) if speaker_ids is None else speaker_ids
        used = [present.get(modality, torch.zeros_like(real)) for modality in MODALITIES]
        return M2FNetEmotionOutput(logits=self.fusion("logits", feed), modality_mask=torch.stack(used, dim=-1).long())

    @property
    def audio_encoder(self) -> "Session":
        """The graph of the sound encoder."""
        return self.encoders["audio"].session

    def encoder(self, modality: str) -> Encode | None:
        """The graph of a modality's encoder as a callable."""
        return self.encoders[modality].encode if modality in self.encoders else None

    def layers(self, modality: str, values: Tensors, output_attentions: bool) -> Layers:
        """A graph has none."""
        raise ValueError("An exported encoder gives neither hidden states nor attentions; ask the torch model.")


class Session:
    """One graph, run on inputs of any shape.

    Raises:
        FileNotFoundError: where it is not there.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name}.onnx"
        if not self.path.is_file():
            raise FileNotFoundError(
                f"An exported model must hold {self.path.name}, found none in {folder}; run `m2fnet export onnx`."
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self.session = onnxruntime.InferenceSession(self.path, options, providers=["CPUExecutionProvider"])
        self.shapes = {one.name: one.shape for one in self.session.get_inputs()}
        self.notes: dict[str, str] = self.session.get_modelmeta().custom_metadata_map

    def __call__(self, output: str, inputs: Tensors) -> torch.Tensor:
        feed = {name: inputs[name].numpy() for name in self.shapes}
        return torch.from_numpy(self.session.run([output], feed)[0])

    def state_dict(self) -> Tensors:
        """The bytes of the graph, by which a cache tells it from another encoder."""
        return {self.path.name: torch.from_numpy(np.memmap(self.path, dtype=np.uint8, mode="c"))}


class SequenceEncoder:
    """An encoder of rows of any length [N, L], which runs on micro-batches of like length."""

    budget: int
    modality: str

    def __init__(self, session: Session, config: M2FNetConfig) -> None:
        self.session = session
        self.pooling = {"pooling": "mean", **pooling_options(config, self.modality)}
        self.longest = int(session.notes["longest"]) if "longest" in session.notes else None
        self.masked = "attention_mask" in session.shapes

    def encode(self, values: Tensors) -> torch.Tensor:
        """Values [N, L, ...] to features [N, D], or [N, u, D] of u parts."""
        real = values["attention_mask"]
        columns = [split_rows(value, real) for value in values.values()]
        rows = [dict(zip(values, row, strict=True)) for row in zip(*columns, strict=True)]
        lengths = real.sum(1).tolist()
        features, order = [], []
        for batch in micro_batches(lengths, self.budget, self.longest, equal=not self.masked):
            if self.longest is not None and lengths[batch[0]] > self.longest:
                features.append(self._in_pieces(rows[batch[0]], -(-lengths[batch[0]] // self.longest)))
            else:
                features.append(self._run("features", [rows[index] for index in batch]))
            order += batch
        return torch.cat(features)[torch.tensor(order).argsort()]

    def _in_pieces(self, row: Tensors, count: int) -> torch.Tensor:
        """One row that is too long for the encoder, pooled over all of its pieces."""
        pieces = zip(*(value.tensor_split(count) for value in row.values()), strict=True)
        states = [self._run("states", [dict(zip(row, piece, strict=True))]) for piece in pieces]
        return self._pool(torch.cat(states, dim=1), row)

    def _pool(self, states: torch.Tensor, row: Tensors) -> torch.Tensor:
        pooled = row.get("pooling_mask", torch.ones(states.shape[1], dtype=torch.bool))
        return block_statistics(states, pooled.unsqueeze(0), **self.pooling)

    def _run(self, output: str, rows: list[Tensors]) -> torch.Tensor:
        return self.session(
            output, {name: pad_sequence([row[name] for row in rows], batch_first=True) for name in rows[0]}
        )


class TextEncoder(SequenceEncoder):
    """An encoder of tokens [N, T]."""

    budget = TOKEN_BUDGET
    modality = "text"

    def encode(self, values: Tensors) -> torch.Tensor:
        """Tokens [N, T] to features [N, D]; what utterances share is encoded once."""
        shared = SharedRows(values["input_ids"], values["attention_mask"])
        rows = {name: values[name][shared.first] for name in ("input_ids", "attention_mask")}
        return shared.unpack(super().encode({**rows, "pooling_mask": shared.pack(values["pooling_mask"])}))


class AudioEncoder(SequenceEncoder):
    """An encoder of sound [N, S]."""

    budget = SAMPLE_BUDGET
    modality = "audio"


class SpectrogramEncoder(SequenceEncoder):
    """An encoder of spectrograms [N, L, M]."""

    modality = "audio"

    def __init__(self, session: Session, config: M2FNetConfig) -> None:
        super().__init__(session, config)
        self.config: Any = config.audio_config
        self.budget = spectrogram_layout(self.config).budget

    def encode(self, values: Tensors) -> torch.Tensor:
        """Spectrograms [N, L, M] to features [N, D]; the graph reads them by place."""
        rows = spectrogram_rows(self.config, values["input_features"], values["attention_mask"])
        places = pad_sequence(rows, batch_first=True)
        lengths = torch.tensor([len(row) for row in rows])
        return super().encode({"input_features": places, "attention_mask": length_mask(lengths, places.shape[1])})

    def _run(self, output: str, rows: list[Tensors]) -> torch.Tensor:
        filled = [fill_patches(self.config, row["input_features"]) for row in rows]
        masks = [torch.ones(len(row), dtype=torch.bool) for row in filled]
        columns = zip(filled, masks, strict=True)
        return super()._run(output, [{"input_features": row, "attention_mask": mask} for row, mask in columns])


class VisualEncoder:
    """An encoder of faces."""

    def __init__(self, session: Session, config: M2FNetConfig) -> None:
        self.session = session
        assert config.visual_config is not None
        self.slots = config.visual_config.max_faces if config.face_pooling == "concat" else None
        self.weighs_alike = config.visual_config.hidden_size is None

    def encode(self, values: Tensors) -> torch.Tensor:
        """Faces [N, F, P, E] to features [N, D].

        Raises:
            ValueError: where the model pools by area and no areas are given.
        """
        if self.weighs_alike:
            values = {"face_areas": torch.ones_like(values["faces_mask"], dtype=torch.float32), **values}
        if "face_areas" in self.session.shapes and "face_areas" not in values:
            raise ValueError("`face_pooling='area'` needs `face_areas` [B, U, F, P], found None.")
        return self.session("features", values if self.slots is None else self._in_slots(values, self.slots))

    def _in_slots(self, values: Tensors, slots: int) -> Tensors:
        """Exactly as many faces as the graph has places for."""
        faces, real = values["faces"], values["faces_mask"]
        if real[..., slots:].any():
            raise ValueError(
                f"`face_pooling='concat'` holds {slots} faces a frame (`max_faces`), found one more; raise `max_faces` "
                "or keep fewer faces."
            )
        missing = slots - real.shape[-1]
        return {"faces": pad(faces, (0, 0, 0, missing)), "faces_mask": pad(real, (0, missing))}
