"""An exported model, run by onnxruntime."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from ..configuration_m2fnet import M2FNetConfig
from ..encoders_m2fnet import (
    SAMPLE_BUDGET,
    TOKEN_BUDGET,
    Rows,
    SharedRows,
    block_pool,
    finite,
    micro_batches,
    split_rows,
)
from ..modeling_m2fnet import M2FNetEmotionOutput, by_dialogue
from ..processing_m2fnet import MODALITIES
from .graphs import FUSION, encoder_name

# What may come with utterances as rows, as the library's own call of the processor gives it.
ROWS = ("input_ids", "attention_mask", "pooling_mask", "input_values", "audio_attention_mask")

Tensors = dict[str, torch.Tensor]


class OnnxEmotionModel:
    """What `m2fnet export onnx` wrote, in the place of [`M2FNetForEmotionClassification`].

    ```python
    model = OnnxEmotionModel("onnx/")
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
        build: dict[str, Any] = {"text": TextEncoder, "audio": AudioEncoder, "visual": VisualEncoder}
        self.encoders = {
            modality: build[modality](Session(Path(folder), encoder_name(modality)), self.config)
            for modality in self.config.modalities
            if getattr(self.config, f"{modality}_config") is not None
        }

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
        given = {name: value for name, value in inputs.items() if value is not None}
        rows = [name for name in ROWS if name in given]
        given |= zip(rows, by_dialogue(real, *(given[name] for name in rows)), strict=True)
        feed = {"utterance_mask": real}
        for modality in self.config.modalities:
            feed[f"{modality}_features"], feed[f"{modality}_features_mask"] = self._features(modality, given, real)
        if self.config.speaker_embeddings:
            feed["speaker_ids"] = torch.full(real.shape, -1) if speaker_ids is None else speaker_ids
        absent = torch.zeros_like(real)
        used = [feed.get(f"{modality}_features_mask", absent) for modality in MODALITIES]
        return M2FNetEmotionOutput(logits=self.fusion("logits", feed), modality_mask=torch.stack(used, dim=-1).long())

    def get_audio_features(
        self, input_values: torch.Tensor, audio_attention_mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Sound [B, U, S] to what the model takes as `audio_features` [B, U, D]; zero where there is no sound."""
        inputs = {"input_values": input_values}
        if audio_attention_mask is not None:
            inputs["audio_attention_mask"] = audio_attention_mask
        return self._features("audio", inputs, torch.ones(input_values.shape[:2], dtype=torch.bool))[0]

    @property
    def audio_encoder(self) -> "Session":
        """The graph of the sound encoder."""
        return self.encoders["audio"].session

    def _features(
        self, modality: str, inputs: Tensors, utterance_mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Features [B, U, D] of one modality, cached ones first, and the utterances [B, U] that have them."""
        shape = (*utterance_mask.shape, self.config.feature_sizes[modality])
        known, features = torch.zeros_like(utterance_mask), torch.zeros(shape)
        cached = inputs.get(f"{modality}_features")
        if cached is not None:
            if cached.shape != shape:
                raise ValueError(
                    f"`{modality}_features` must have the shape {[*shape]} ([B, U, D]), found {list(cached.shape)}."
                )
            known = utterance_mask & inputs.get(f"{modality}_features_mask", utterance_mask).bool()
            features = finite(cached.float(), known.unsqueeze(-1), f"{modality}_features")
        encoder: Any = self.encoders.get(modality)
        values = None if encoder is None else encoder.read(inputs)
        if values is None:
            return features, known
        wanted = utterance_mask & ~known & values["real"].flatten(2).any(-1)
        if not wanted.any():
            return features, known
        rows = Rows(wanted)
        encoded = encoder.encode({name: rows.pack(value) for name, value in values.items()})
        return features.flatten(0, 1).index_copy(0, rows.index, encoded).unflatten(0, known.shape), known | wanted


class Session:
    """One graph."""

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

    def __init__(self, session: Session, config: M2FNetConfig) -> None:
        self.session = session
        self.num_blocks = config.num_blocks
        self.longest = int(session.notes["longest"]) if "longest" in session.notes else None
        self.masked = "attention_mask" in session.shapes

    def encode(self, values: Tensors) -> torch.Tensor:
        """Values [N, L, ...], of which `real` says where they are, to features [N, D], or [N, u, D] of u parts."""
        values["attention_mask"] = real = values.pop("real")
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
        return block_pool(states, pooled.unsqueeze(0), self.num_blocks)

    def _run(self, output: str, rows: list[Tensors]) -> torch.Tensor:
        return self.session(
            output, {name: pad_sequence([row[name] for row in rows], batch_first=True) for name in rows[0]}
        )


class TextEncoder(SequenceEncoder):
    budget = TOKEN_BUDGET

    def read(self, inputs: Tensors) -> Tensors | None:
        """Tokens, which are real, and which are pooled [B, U, T]."""
        if "input_ids" not in inputs:
            return None
        ids = inputs["input_ids"]
        real = inputs.get("attention_mask", torch.ones_like(ids)).bool()
        own = real & inputs.get("pooling_mask", real).bool()
        # An utterance without words of its own has no text, whatever stands around it.
        return {"input_ids": ids, "pooling_mask": own, "real": real & own.any(-1, keepdim=True)}

    def encode(self, values: Tensors) -> torch.Tensor:
        """Tokens [N, T] to features [N, D]; what utterances share is encoded once."""
        shared = SharedRows(values["input_ids"], values["real"])
        rows = {name: values[name][shared.first] for name in ("input_ids", "real")}
        return shared.unpack(super().encode({**rows, "pooling_mask": shared.pack(values["pooling_mask"])}))


class AudioEncoder(SequenceEncoder):
    budget = SAMPLE_BUDGET

    def read(self, inputs: Tensors) -> Tensors | None:
        """Sound and which samples are real [B, U, S]."""
        if "input_values" not in inputs:
            return None
        sound = inputs["input_values"].float()
        return {"input_values": sound, "real": inputs.get("audio_attention_mask", torch.ones_like(sound)).bool()}

    def encode(self, values: Tensors) -> torch.Tensor:
        """Sound [N, S] to features [N, D]."""
        values["input_values"] = finite(values["input_values"], values["real"], "input_values")
        return super().encode(values)


class VisualEncoder:
    """An encoder of faces."""

    def __init__(self, session: Session, config: M2FNetConfig) -> None:
        self.session = session
        assert config.visual_config is not None
        self.features = config.visual_config.visual_features
        self.slots = config.visual_config.max_faces if config.face_pooling == "concat" else None

    def read(self, inputs: Tensors) -> Tensors | None:
        """The faces [B, U, F, P, E], which of them have all that is read of them, and their areas [B, U, F, P]."""
        kinds = ("action_units", "appearance") if self.features == "both" else (self.features,)
        if any(kind not in inputs for kind in kinds):
            return None
        faces = torch.cat([inputs[kind].float() for kind in kinds], dim=-1)
        every = torch.ones(faces.shape[:-1], dtype=torch.bool)
        real = torch.stack([inputs.get(f"{kind}_mask", every).bool() for kind in kinds]).all(0)
        if "face_areas" not in self.session.shapes:
            return {"faces": faces, "real": real}
        if "face_areas" not in inputs:
            raise ValueError("`face_pooling='area'` needs `face_areas` [B, U, F, P], found None.")
        return {"faces": faces, "real": real, "face_areas": inputs["face_areas"].float()}

    def encode(self, values: Tensors) -> torch.Tensor:
        """Faces [N, F, P, E] to features [N, D]."""
        real = values.pop("real")
        values["faces"] = finite(values["faces"], real.unsqueeze(-1), self.features)
        if "face_areas" in values:
            values["face_areas"] = finite(values["face_areas"], real, "face_areas")
        values["faces_mask"] = real
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
