"""Encoders of one utterance: real tokens, samples and faces to features, packed or in batches that hold little padding.

Shapes: N real utterances, T tokens, S samples, F face frames, P faces, A Action Units, L positions of an encoder's
output, K its layers, H its hidden size, D features. Masks are true where real.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    MODEL_MAPPING,
    AutoConfig,
    AutoModel,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutput
from transformers.utils import can_return_tuple

from .action_units_m2fnet import mean_over_faces, mean_over_frames
from .configuration_m2fnet import M2FNetConfig, M2FNetVisualConfig
from .micro_batches_m2fnet import LEAST_FILL, SAMPLE_BUDGET, TOKEN_BUDGET, micro_batches
from .outputs_m2fnet import requested
from .packed_text_m2fnet import can_pack, packed_states
from .packing_m2fnet import PackedBatch, SharedRows, length_mask, split_rows
from .pooling_m2fnet import block_pool, block_statistics
from .spectrogram_encoders_m2fnet import (
    ANY_LENGTH,
    remove_final_norm,
    spectrogram_rows,
    spectrogram_states,
)
from .spectrogram_layout_m2fnet import spectrogram_layout
from .weights_m2fnet import WholeWeightsMixin, check_report, check_values, load_with_report, loading

# Longer sound is encoded in pieces of at most this many samples (30 s) and pooled over all of them.
LONGEST_SOUND = 16_000 * 30
# Encoders that ignore padding by a mask. Others are given utterances of equal length only: group norm and
# unmasked convolutions mix padding into real frames.
MASKED_AUDIO_ENCODERS = {"wav2vec2", "hubert", "wavlm", "unispeech", "unispeech-sat"}


def pooling_options(config: M2FNetConfig, modality: str) -> dict[str, Any]:
    """How the encoder's output of a modality is pooled, by the names of the arguments of `ENCODE`."""
    audio = {"pooling": config.audio_pooling} if modality == "audio" else {}
    return {"num_blocks": config.num_blocks, **audio}


def build_encoder(config: PreTrainedConfig, final_norm: bool = True) -> PreTrainedModel:
    """The library's encoder for a config, without a decoder, an unused pooler and, on request, its last layer norm."""
    if config.model_type in ANY_LENGTH:
        encoder: Any = ANY_LENGTH[config.model_type](config)
    else:
        model = AutoModel.from_config(config, **_without_pooler(config))
        encoder = model.get_encoder() if config.is_encoder_decoder else model
    if not final_norm:
        remove_final_norm(encoder)
    return encoder


def load_encoder(
    name_or_path: str, overrides: dict[str, Any] | None = None, final_norm: bool = True, **kwargs: Any
) -> PreTrainedModel:
    """The same with pretrained weights. The whole model is loaded first: `BartEncoder` alone would load nothing."""
    with loading("An encoder", name_or_path):
        config = AutoConfig.from_pretrained(name_or_path, **(overrides or {}))
    options = {**_without_pooler(config), **kwargs}
    model, report, where = load_with_report(AutoModel.from_pretrained, name_or_path, config=config, **options)
    encoder: Any = model.get_encoder() if config.is_encoder_decoder else model
    if not final_norm:  # first, since a file of such an encoder lacks it
        remove_final_norm(encoder)
    check_report(_report_of(encoder, model, report), where)
    check_values(encoder, where)
    if Path(name_or_path).is_dir():
        encoder.config.name_or_path = ""  # a path of this machine would travel with every saved model
    if encoder.config.model_type in ANY_LENGTH:
        weights, dtype = encoder.state_dict(), encoder.dtype
        encoder = build_encoder(encoder.config, final_norm).to(dtype)
        encoder.load_state_dict(weights)
    return encoder


def _report_of(encoder: nn.Module, model: nn.Module, report: dict[str, Any]) -> dict[str, Any]:
    """What the report of a model says of its encoder; the rest of it may be random, since it is not used."""
    own = {id(weight) for weight in encoder.state_dict(keep_vars=True).values()}
    names = {name for name, weight in model.state_dict(keep_vars=True).items() if id(weight) in own}
    return {
        "missing_keys": names & set(report["missing_keys"]),
        "mismatched_keys": [one for one in report["mismatched_keys"] if one[0] in names],
        "unexpected_keys": (),
    }


def _without_pooler(config: PreTrainedConfig) -> dict[str, bool]:
    model_class: Any = MODEL_MAPPING[type(config)]
    takes_it = "add_pooling_layer" in inspect.signature(model_class.__init__).parameters
    return {"add_pooling_layer": False} if takes_it else {}


def encode_text(
    encoder: PreTrainedModel,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    pooling_mask: torch.Tensor,
    num_blocks: int,
) -> torch.Tensor:
    """Tokens [N, T] to features [N, D], pooled over `pooling_mask`; what utterances share is encoded once."""
    packed = can_pack(encoder)
    shared = SharedRows(input_ids, attention_mask)
    real = attention_mask[shared.first]
    ids, own = input_ids[shared.first].flatten(), shared.pack(pooling_mask).flatten(0, 1)

    def encode(rows: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        words = [ids[row] for row in rows]
        pooled = pad_sequence([own[row] for row in rows], batch_first=True)
        if packed:
            return packed_states(encoder, words), pooled
        mask = length_mask(torch.tensor([len(row) for row in rows], device=ids.device), pooled.shape[1])
        padded = pad_sequence(words, batch_first=True)
        return encoder(input_ids=padded, attention_mask=mask.long()).last_hidden_state, pooled

    rows = split_rows(torch.arange(len(ids), device=ids.device).view(real.shape), real)
    least_fill = 0.0 if packed else LEAST_FILL
    features = encode_rows(rows, encode, num_blocks, TOKEN_BUDGET, longest_text(encoder), least_fill=least_fill)
    return shared.unpack(features)


def encode_sound(encoder: PreTrainedModel, attention_mask: torch.Tensor, **values: Any) -> torch.Tensor:
    """Samples (`input_values`) or spectrograms (`input_features`) to features [N, D]."""
    encode = encode_spectrograms if "input_features" in values else encode_audio
    return encode(encoder, attention_mask=attention_mask, **values)


def encode_spectrograms(
    encoder: PreTrainedModel,
    input_features: torch.Tensor,
    attention_mask: torch.Tensor,
    num_blocks: int,
    pooling: str = "mean",
) -> torch.Tensor:
    """Spectrograms [N, L, M] to features [N, D], pooled over the positions of the sound."""
    layout = spectrogram_layout(encoder.config)

    def encode(rows: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        options = {}
        if encoder.config.model_type == "wav2vec2-bert" and encoder.training:
            longest = max(map(len, rows))
            if longest < spec_augment_length(encoder.config):
                options["mask_time_indices"] = attention_mask.new_zeros(len(rows), longest, dtype=torch.bool)
        output, own = spectrogram_states(encoder, rows, **options)
        return output.last_hidden_state, own

    rows = spectrogram_rows(encoder.config, input_features, attention_mask)
    equal = not layout.masked
    return encode_rows(rows, encode, num_blocks, layout.budget, layout.longest, equal=equal, pooling=pooling)


def encode_audio(
    encoder: PreTrainedModel,
    input_values: torch.Tensor,
    attention_mask: torch.Tensor,
    num_blocks: int,
    pooling: str = "mean",
) -> torch.Tensor:
    """Sound [N, S] to features [N, D], pooled over its frames.

    Raises:
        ValueError: for sound too short to encode.
    """
    masked = (
        encoder.config.model_type in MASKED_AUDIO_ENCODERS
        and getattr(encoder.config, "feat_extract_norm", None) == "layer"
    )

    def encode(rows: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        values = pad_sequence(rows, batch_first=True)
        lengths = torch.tensor([len(row) for row in rows], device=values.device)
        kwargs = {}
        if masked and len(rows) > 1:
            kwargs["attention_mask"] = length_mask(lengths, values.shape[1]).long()
        frames = int(num_frames(encoder, torch.tensor(values.shape[1])))
        if encoder.training and frames < spec_augment_length(encoder.config):
            kwargs["mask_time_indices"] = torch.zeros(len(rows), frames, dtype=torch.bool, device=values.device)
        states = encoder(values, **kwargs).last_hidden_state
        return states, length_mask(num_frames(encoder, lengths), states.shape[1])

    shortest = int(attention_mask.sum(-1).min())
    if int(num_frames(encoder, torch.tensor(shortest))) < 1:
        raise ValueError(
            f"`input_values` holds an utterance of {shortest} samples, less than one frame of the audio encoder; "
            "M2FNetProcessor pads such sound."
        )
    rows = split_rows(input_values, attention_mask)
    return encode_rows(rows, encode, num_blocks, SAMPLE_BUDGET, LONGEST_SOUND, equal=not masked, pooling=pooling)


def num_frames(encoder: Any, samples: torch.Tensor) -> torch.Tensor:
    """Frames [N] that an audio encoder makes of each number of samples [N]."""
    return encoder._get_feat_extract_output_lengths(samples)


def spec_augment_length(config: PreTrainedConfig) -> int:
    """Frames that SpecAugment masks at a time; it refuses sound of fewer. 0 where it is off."""
    on = getattr(config, "apply_spec_augment", True) and getattr(config, "mask_time_prob", 0) > 0
    return config.mask_time_length if on else 0


def encode_rows(
    rows: list[torch.Tensor],
    encode: Callable[[list[torch.Tensor]], tuple[torch.Tensor, torch.Tensor]],
    num_blocks: int,
    budget: int,
    longest: int | None,
    equal: bool = False,
    least_fill: float = LEAST_FILL,
    pooling: str = "mean",
) -> torch.Tensor:
    """N rows of any length to features [N, D], in micro-batches; `encode` gives states [n, L, H] and what to pool.

    Where that is of u parts of each row [n, L, u], the features are [N, u, D].

    A row above `longest` is encoded in pieces of like length and pooled over all of them: nothing is cut off.
    """
    features, order = [], []
    for batch in micro_batches([len(row) for row in rows], budget, longest, equal, least_fill):
        members = [rows[index] for index in batch]
        if longest is not None and len(members[0]) > longest:
            pieces = [encode([piece]) for piece in members[0].tensor_split(-(-len(members[0]) // longest))]
            states, pooled = (torch.cat(parts, dim=1) for parts in zip(*pieces, strict=True))
        else:
            states, pooled = encode(members)
        features.append(block_statistics(states, pooled, num_blocks, pooling))
        order += batch
    return torch.cat(features)[torch.tensor(order, device=features[0].device).argsort()]


def longest_text(encoder: PreTrainedModel) -> int | None:
    """Tokens that the encoder has positions for; `None` where there is no limit."""
    limit = getattr(encoder.config, "max_position_embeddings", None)
    if limit is None or limit < 1:
        return None
    for name, module in encoder.named_modules():
        # RoBERTa and its kin count positions from behind the padding index.
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            return limit - module.padding_idx - 1
    return limit


def layer_outputs(
    encoder: PreTrainedModel,
    values: dict[str, torch.Tensor],
    output_attentions: bool,
    num_blocks: int,
    pooling: str = "mean",
) -> tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...] | None]:
    """What each layer of a text or sound encoder makes of N utterances, which it is given one at a time.

    Args:
        values: the arguments of [`encode_text`] or [`encode_sound`].

    Returns:
        The states before and after each layer, pooled like features, K + 1 times [N, D]; and on request the attention
        weights, K times [N, heads, L, L], zero at padding and from one piece of a long row to another.
    """
    rows, longest, read = _rows_to_read(encoder, values)
    pooled = split_rows(values["pooling_mask"], values["attention_mask"]) if "pooling_mask" in values else None
    features, weights = [], []
    with _eager(encoder, output_attentions):
        for number, row in enumerate(rows):
            pieces = row.tensor_split(1 if longest is None else -(-len(row) // longest))
            options = {"output_hidden_states": True, "output_attentions": output_attentions, "return_dict": True}
            outputs, masks = zip(*(read(piece, **options) for piece in pieces), strict=True)
            layers = [torch.cat(parts, dim=1) for parts in zip(*(out.hidden_states for out in outputs), strict=True)]
            states = torch.cat(layers)
            own = torch.cat(masks) if pooled is None else pooled[number]
            features.append(block_statistics(states, own.expand(len(states), -1), num_blocks, pooling))
            if output_attentions:
                parts = zip(*(out.attentions for out in outputs), strict=True)
                weights.append([_block_diagonal([part[0] for part in layer]) for layer in parts])
    attentions = None
    if output_attentions:
        size = max(row[0].shape[-1] for row in weights)
        attentions = tuple(
            torch.stack([nn.functional.pad(one, [0, size - one.shape[-1]] * 2) for one in layer])
            for layer in zip(*weights, strict=True)
        )
    return torch.stack(features, dim=1).unbind(0), attentions


def _rows_to_read(
    encoder: Any, values: Mapping[str, torch.Tensor]
) -> tuple[list[torch.Tensor], int | None, Callable[..., tuple[Any, torch.Tensor]]]:
    """Rows, how much of one is read at once, and what reads a piece: the output, and which positions are its own."""
    real = values["attention_mask"]
    if "input_features" in values:

        def read_frames(piece: torch.Tensor, **options: Any) -> tuple[Any, torch.Tensor]:
            output, own = spectrogram_states(encoder, [piece], **options)
            return output, own[0]

        rows = spectrogram_rows(encoder.config, values["input_features"], real)
        return rows, spectrogram_layout(encoder.config).longest, read_frames

    def read(piece: torch.Tensor, **options: Any) -> tuple[Any, torch.Tensor]:
        output = encoder(piece.unsqueeze(0), **options)
        return output, torch.ones_like(output.last_hidden_state[0, :, 0], dtype=torch.bool)

    name, longest = ("input_ids", longest_text(encoder)) if "input_ids" in values else ("input_values", LONGEST_SOUND)
    return split_rows(values[name], real), longest, read


@contextmanager
def _eager(encoder: PreTrainedModel, needed: bool) -> Iterator[None]:
    """Where weights are needed, the attention implementation that gives them."""
    chosen = encoder.config._attn_implementation
    if needed:
        encoder.config._attn_implementation = "eager"
    try:
        yield
    finally:
        encoder.config._attn_implementation = chosen


def _block_diagonal(weights: list[torch.Tensor]) -> torch.Tensor:
    """Weights [heads, l, l] of the pieces of a row to [heads, L, L]."""
    return torch.stack([torch.block_diag(*heads) for heads in zip(*weights, strict=True)])


class M2FNetVisualEncoder(WholeWeightsMixin, PreTrainedModel):
    """Action Units or appearance of all faces of a frame to one vector per frame.

    The report merges faces by learned weights without choosing a speaker, the paper weighs them by their area. Without
    a `hidden_size` there are no weights, and the vector holds the Action Units themselves.
    """

    config: M2FNetVisualConfig
    config_class = M2FNetVisualConfig
    base_model_prefix = "visual_encoder"
    main_input_name = "faces"
    input_modalities: str | list[str] = ["video"]
    # It has no attention, and so runs with any implementation that the model around it is given.
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    def __init__(self, config: M2FNetVisualConfig) -> None:
        super().__init__(config)
        if config.hidden_size is None:
            self.post_init()
            return
        self.face = nn.Linear(config.face_size, config.hidden_size)
        self.activation = nn.GELU()
        if config.face_pooling == "learned":
            self.score = nn.Linear(config.hidden_size, 1)
        elif config.face_pooling == "concat":
            self.absent_face = nn.Parameter(torch.empty(config.hidden_size))
            self.merge = nn.Linear(config.max_faces * config.hidden_size, config.hidden_size)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Glorot's uniform initialisation; an absent face starts as small noise."""
        super()._init_weights(module)
        if isinstance(module, nn.Linear):
            init.xavier_uniform_(module.weight)
        elif isinstance(module, M2FNetVisualEncoder) and module.config.face_pooling == "concat":
            init.normal_(module.absent_face, std=0.02)

    def get_input_embeddings(self) -> nn.Module:
        """The projection of a face."""
        return self.face

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the projection of a face."""
        self.face = value  # type: ignore[assignment]

    @can_return_tuple
    def forward(
        self,
        faces: torch.Tensor,
        faces_mask: torch.Tensor | None = None,
        face_areas: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutput:
        """The faces of each frame to one vector.

        Args:
            faces: [N, F, P, A], [N, F, P, E] or, with `visual_features="both"`, [N, F, P, A + E]; without a
                `hidden_size` the Action Units and, behind them, 1 where they are known [N, F, P, 2 A].
            faces_mask: real faces [N, F, P]; default: all.
            face_areas: share of the frame [N, F, P]; needed for `face_pooling="area"` with a `hidden_size`.

        Returns:
            `last_hidden_state` [N, F, H], or [N, F, 2 A] without a `hidden_size`; zero for a frame without a face. On
            request `hidden_states`, those of each face [N, F, P, H] and that of their frame.

        Raises:
            ValueError: without areas that are needed, or for more faces than `face_pooling="concat"` holds.
        """
        if faces_mask is None:
            faces_mask = torch.ones(faces.shape[:-1], dtype=torch.bool, device=faces.device)
        if self.config.hidden_size is None:
            return BaseModelOutput(last_hidden_state=mean_over_faces(faces, faces_mask, face_areas))
        frames = PackedBatch(faces_mask.any(-1))
        areas = None if face_areas is None else frames.pack(face_areas)
        wants_states = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        states = self.activation(self.face(frames.pack(faces)))
        history = []
        if wants_states:
            history.append(frames.unpack(states))
            states = frames.pack(history[0])  # what is returned is what is used: a gradient reaches it
        merged = frames.unpack(self._merge(states, frames.pack(faces_mask), areas))
        return BaseModelOutput(last_hidden_state=merged, hidden_states=requested([*history, merged], wants_states))

    def _merge(self, faces: torch.Tensor, mask: torch.Tensor, areas: torch.Tensor | None) -> torch.Tensor:
        """Faces [M, P, H] of M frames that show one at least, mask and areas [M, P], to [M, H]."""
        if self.config.face_pooling == "concat":
            return self.merge(self._slots(faces, mask).flatten(1))
        if self.config.face_pooling == "learned":
            scores = self.score(faces).squeeze(-1)
        else:
            if areas is None:
                raise ValueError("`face_pooling='area'` needs `face_areas` [B, U, F, P], found None.")
            scores = areas.clamp(min=torch.finfo(torch.float32).tiny).log()
        weights = scores.masked_fill(~mask, float("-inf")).softmax(-1).to(faces.dtype)
        return (weights.unsqueeze(1) @ faces).squeeze(1)

    def _slots(self, faces: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Exactly `max_faces` slots, a learned vector where there is no face."""
        slots = self.config.max_faces
        if mask[:, slots:].any():
            raise ValueError(
                f"`face_pooling='concat'` holds {slots} faces a frame (`max_faces`), found a face in slot "
                f"{int(mask.any(0).nonzero().max()) + 1}; raise `max_faces` or keep fewer faces."
            )
        faces = torch.where(mask.unsqueeze(-1), faces, self.absent_face.to(faces.dtype))[:, :slots]
        missing = slots - faces.shape[1]
        return torch.cat([faces, self.absent_face.to(faces.dtype).expand(len(faces), missing, -1)], dim=1)


def encode_faces(
    encoder: M2FNetVisualEncoder,
    faces: torch.Tensor,
    faces_mask: torch.Tensor,
    face_areas: torch.Tensor | None = None,
    num_blocks: int = 1,
) -> torch.Tensor:
    """Faces [N, F, P, A + E] to features [N, D], pooled over the frames that show one."""
    states = encoder(faces, faces_mask, face_areas, return_dict=True).last_hidden_state
    if encoder.config.hidden_size is None:
        return mean_over_frames(states)
    return block_pool(states, faces_mask.any(-1), num_blocks)


def modality_encoder(config: M2FNetConfig, modality: str) -> PreTrainedModel | None:
    """The encoder of a modality with random weights, `None` where the model has none.

    Raises:
        ValueError: for a config of which none can be built.
    """
    if modality == "visual":
        return None if config.visual_config is None else M2FNetVisualEncoder(config.visual_config)
    encoder = getattr(config, f"{modality}_config")
    if encoder is None:
        return None
    try:
        return build_encoder(encoder, modality != "audio" or config.audio_final_norm)
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        found = " ".join(str(error).rstrip(".").split()) if isinstance(error, ValueError) else "none can be built of it"
        raise ValueError(
            f"`{modality}_config` must describe an encoder of model type {encoder.model_type}: {found}; take that of a "
            "pretrained one."
        ) from error


ENCODE: dict[str, Callable[..., torch.Tensor]] = {"text": encode_text, "audio": encode_sound, "visual": encode_faces}
