"""M2FNet (Chudasama et al., 2022, arXiv 2206.02187): a dialogue's text, sound and faces to one emotion per utterance.

Shapes: B dialogues, U utterances, T tokens, S samples, F face frames, P faces, A Action Units, L positions of an
encoder's output, D features, H hidden, C classes, N real utterances; n tiles of q rows that ask and k rows they see
(`attention_m2fnet`). Masks are true where real.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.utils import ModelOutput, can_return_tuple

from .attention_m2fnet import M2FNetCache, Tiles, in_pieces, join_pieces, tile
from .configuration_m2fnet import M2FNetConfig, M2FNetVisualConfig
from .encoders_m2fnet import (
    M2FNetVisualEncoder,
    Rows,
    build_encoder,
    encode_audio,
    encode_faces,
    encode_text,
    finite,
    load_encoder,
    load_visual_encoder,
    num_frames,
)
from .hub_m2fnet import M2FNetHubMixin
from .losses import IGNORED, emotion_loss


@dataclass
class M2FNetModelOutput(ModelOutput):
    """What [`M2FNetModel`] returns.

    Args:
        last_hidden_state: [B, U, K], what the classifier reads: the fused text beside the other modalities (K is H
            per modality) or, with gated fusion, their weighted sum (K is H). Zero at padding.
        modality_states: one [B, U, H] per modality of the model, after its dialogue encoders.
        modality_mask: [B, U, 3], 1 for those of text, sound and faces that were used for an utterance.
        modality_weights: [B, U, M], the gate's weights over the model's modalities; gated fusion only.
        hidden_states: on request, the first modality's [B, U, H] before and after each of its dialogue encoders.
        attentions: on request, the first modality's self-attention [B, heads, U, U] in each dialogue encoder.
        audio_attentions, visual_attentions: on request, in each fusion module, text to sound and text to faces
            [B, heads, U, U]. With a cache, the utterances before stand in front of those that are seen.
    """

    last_hidden_state: torch.Tensor | None = None
    modality_states: tuple[torch.Tensor, ...] | None = None
    modality_mask: torch.Tensor | None = None
    modality_weights: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None
    audio_attentions: tuple[torch.Tensor, ...] | None = None
    visual_attentions: tuple[torch.Tensor, ...] | None = None


@dataclass
class M2FNetEmotionOutput(ModelOutput):
    """What [`M2FNetForEmotionClassification`] returns: [`M2FNetModelOutput`] with the emotions.

    Args:
        loss: scalar, with `labels` only.
        logits: [B, U, C]; zero at padding.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    modality_states: tuple[torch.Tensor, ...] | None = None
    modality_mask: torch.Tensor | None = None
    modality_weights: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None
    audio_attentions: tuple[torch.Tensor, ...] | None = None
    visual_attentions: tuple[torch.Tensor, ...] | None = None


def eager_attention_forward(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scaled dot-product attention with its weights: [n, heads, q, H / heads] to [n, q, heads, H / heads]."""
    scores = query @ key.transpose(2, 3) * scaling
    if attention_mask is None and module.is_causal and query.shape[2] == key.shape[2]:
        attention_mask = torch.ones(scores.shape[2:], dtype=torch.bool, device=scores.device).tril()
    if attention_mask is not None:
        scores = scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
    weights = nn.functional.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    output = nn.functional.dropout(weights, p=dropout, training=module.training) @ value
    return output.transpose(1, 2).contiguous(), weights


class M2FNetAttention(nn.Module):
    """Multi-head attention over the utterances of a dialogue; no row of it is padding."""

    def __init__(self, config: M2FNetConfig) -> None:
        super().__init__()
        self.config = config
        self.head_size = config.hidden_size // config.num_attention_heads
        self.scaling = self.head_size**-0.5
        self.is_causal = config.causal
        self.number = 0  # in the model, which numbers them for the cache
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)
        self.output = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        tiles: Tiles,
        cache: M2FNetCache | None = None,
        output_attentions: bool = False,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The rows that ask and those that are seen [N, H], to [N, H] and, on request, weights [B, heads, U, U]."""
        attend: Callable = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, eager_attention_forward
        )
        if output_attentions:
            attend = eager_attention_forward
        query, key, value = self.query(query), self.key(key), self.value(value)
        if cache is not None:
            key, value = cache.extend(self.number, key, value)
        queries, keys, values = tiles.split_queries(query), tiles.split_keys(key), tiles.split_keys(value)
        answers, weights = [], []
        for group, *tiled in zip(tiles.groups, queries, keys, values, strict=True):
            states, seen = attend(
                self,
                *(self._heads(rows) for rows in tiled),
                group.mask,
                scaling=self.scaling,
                dropout=self.config.attention_dropout if self.training else 0.0,
                **kwargs,
            )
            answers.append(states.flatten(2))
            weights.append(seen)
        return self.output(tiles.join(answers)), tiles.spread(weights) if output_attentions else None

    def _heads(self, rows: torch.Tensor) -> torch.Tensor:
        """[n, q, H] to [n, heads, q, H / heads]."""
        return rows.unflatten(-1, (self.config.num_attention_heads, self.head_size)).transpose(1, 2)


class M2FNetFeedForward(nn.Module):
    """SwiGLU (Shazeer, 2020, equation 6)."""

    def __init__(self, config: M2FNetConfig) -> None:
        super().__init__()
        self.gate = nn.Linear(config.hidden_size, config.intermediate_size)
        self.up = nn.Linear(config.hidden_size, config.intermediate_size)
        self.down = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.down(nn.functional.silu(self.gate(states)) * self.up(states))


class M2FNetDialogueLayer(GradientCheckpointingLayer):
    """One transformer encoder over a dialogue, with the skip connection around it: x + Enc(x) (paper, section 3.2)."""

    def __init__(self, config: M2FNetConfig) -> None:
        super().__init__()
        self.attention = M2FNetAttention(config)
        self.attention_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.feed_forward = M2FNetFeedForward(config)
        self.feed_forward_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout)

    def forward(self, states: torch.Tensor, tiles: list[Tiles], **kwargs: Any) -> tuple[Any, ...]:
        """[N, H] to [N, H] and the attention weights."""
        return join_pieces(self._look(states[piece.asking], states[piece.seen], piece, **kwargs) for piece in tiles)

    def _look(self, asking: torch.Tensor, seen: torch.Tensor, tiles: Tiles, **kwargs: Any) -> tuple[Any, ...]:
        attended, weights = self.attention(asking, seen, seen, tiles, **kwargs)
        inner = self.attention_norm(asking + self.dropout(attended))
        inner = self.feed_forward_norm(inner + self.dropout(self.feed_forward(inner)))
        return asking + inner, weights


class M2FNetModality(nn.Module):
    """One modality's road to the fusion: project its features and let them see their dialogue.

    A learned vector stands in for an utterance that lacks the modality.
    """

    def __init__(self, config: M2FNetConfig, feature_size: int) -> None:
        super().__init__()
        # Not in the paper: encoders have scales of their own, and the positions would drown a small one.
        self.norm = nn.LayerNorm(feature_size, eps=config.layer_norm_eps)
        self.projection = nn.Linear(feature_size, config.hidden_size)
        self.activation = nn.GELU()
        self.absent = nn.Parameter(torch.empty(config.hidden_size))
        self.dropout = nn.Dropout(config.hidden_dropout)
        self.layers = nn.ModuleList(M2FNetDialogueLayer(config) for _ in range(config.num_hidden_layers))

    def forward(
        self,
        features: torch.Tensor | None,
        present: torch.Tensor,
        place: torch.Tensor,
        tiles: list[Tiles],
        output_hidden_states: bool | int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor | None]]:
        """Features [N, D] where `present` [N], to [N, H]; on request before and after each layer; and attentions."""
        given = (present, place) if features is None else (present, place, features)
        states = in_pieces(self.embed, *given)
        history, attentions = [states], []
        for layer in self.layers:
            states, weights = layer(states, tiles, **kwargs)
            if output_hidden_states:
                history.append(states)
            attentions.append(weights)
        return states, history, attentions

    def embed(self, present: torch.Tensor, place: torch.Tensor, features: torch.Tensor | None = None) -> torch.Tensor:
        """The projected features, and the learned vector where there are none, at their places: [N, H]."""
        states = self.absent.expand(present.shape[0], -1)
        if features is not None:
            here = present.nonzero().squeeze(-1)
            projected = self.activation(self.projection(self.norm(features.index_select(0, here))))
            states = states.to(projected.dtype).index_copy(0, here, projected)
        return self.dropout(states + place)


class M2FNetFusionLayer(GradientCheckpointingLayer):
    """Fusion attention module (paper, section 3.3, equations 8 to 10).

    Query **and value** are the text, the key is the other modality; only the text moves on. The other modalities'
    shared keys say where in the dialogue the text should look.
    """

    def __init__(self, config: M2FNetConfig, others: tuple[str, ...]) -> None:
        super().__init__()
        self.includes_text = config.fusion_includes_text
        self.attentions = nn.ModuleDict({modality: M2FNetAttention(config) for modality in others})
        parts = len(others) + self.includes_text
        self.merge = nn.Linear(parts * config.hidden_size, config.hidden_size)
        self.activation = nn.GELU()
        self.dropout = nn.Dropout(config.hidden_dropout)

    def forward(self, text: torch.Tensor, *others: torch.Tensor, tiles: list[Tiles], **kwargs: Any) -> tuple[Any, ...]:
        """Text and each other modality [N, H], to the text [N, H] and the attention weights to each of the others."""
        return join_pieces(self._look(text, others, piece, **kwargs) for piece in tiles)

    def _look(self, text: torch.Tensor, others: Sequence[torch.Tensor], tiles: Tiles, **kwargs: Any) -> tuple[Any, ...]:
        query, value = text[tiles.asking], text[tiles.seen]
        looks = [
            attention(query, other[tiles.seen], value, tiles, **kwargs)
            for attention, other in zip(self.attentions.values(), others, strict=True)
        ]
        attended, weights = zip(*looks, strict=True)
        parts = [query, *attended] if self.includes_text else attended
        return self.dropout(self.activation(self.merge(torch.cat(parts, dim=-1)))), *weights


class M2FNetGate(nn.Module):
    """Weigh the modalities of each utterance, absent ones with 0; leaves the text the room the report asks for."""

    def __init__(self, config: M2FNetConfig) -> None:
        super().__init__()
        count = len(config.modalities)
        self.score = nn.Linear(count * config.hidden_size, count)

    def forward(
        self, states: dict[str, torch.Tensor], present: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Modalities [N, H], presence [N], to their sum [N, H] and its weights [N, M]."""
        stacked = torch.stack(list(states.values()), dim=1)
        here = torch.stack([present[modality] for modality in states], dim=1)
        scores = self.score(stacked.flatten(1))
        known = here | ~here.any(-1, keepdim=True)
        weights = scores.masked_fill(~known, float("-inf")).softmax(-1)
        return (weights.unsqueeze(1) @ stacked).squeeze(1), weights


def sinusoidal_positions(place: torch.Tensor, hidden_size: int) -> torch.Tensor:
    """Sines and cosines of each utterance's place in its dialogue (Vaswani et al., 2017, 3.5): [N] to [N, H]."""
    # 10,000 is the paper's wavelength base, not a longest dialogue.
    frequency = 10_000.0 ** (torch.arange(0, hidden_size, 2, device=place.device) / -hidden_size)
    angle = place.unsqueeze(-1).float() * frequency
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)


class M2FNetPreTrainedModel(M2FNetHubMixin, PreTrainedModel):  # type: ignore[misc]  # the library copies methods
    """Weights, loading and saving of every M2FNet."""

    config: M2FNetConfig
    config_class = M2FNetConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"
    input_modalities: str | list[str] = ["text", "audio", "video"]
    supports_gradient_checkpointing = True
    _no_split_modules: set[str] | list[str] | None = ["M2FNetDialogueLayer", "M2FNetFusionLayer"]
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    def _init_weights(self, module: nn.Module) -> None:
        """Glorot's uniform initialisation, as in the report; absent modalities and faces start as small noise."""
        super()._init_weights(module)
        if isinstance(module, nn.Linear):
            init.xavier_uniform_(module.weight)
        elif isinstance(module, M2FNetModality):
            init.normal_(module.absent, std=0.02)
        elif isinstance(module, M2FNetSpeakers):
            init.normal_(module.table.weight, std=0.02)
        elif isinstance(module, M2FNetVisualEncoder) and module.config.face_pooling == "concat":
            init.normal_(module.absent_face, std=0.02)

    def get_input_embeddings(self) -> nn.Module:
        """The text encoder's token embeddings."""
        return self._text_encoder().get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the text encoder's token embeddings."""
        self._text_encoder().set_input_embeddings(value)

    def _text_encoder(self) -> Any:
        encoder = self.base_model.text_encoder
        if encoder is None:
            raise NotImplementedError("This model has no text encoder (`text_config` is None), so no token embeddings.")
        return encoder


class M2FNetSpeakers(nn.Module):
    """A learned vector per speaker index of the dialogue; none for an unknown speaker."""

    def __init__(self, config: M2FNetConfig) -> None:
        super().__init__()
        self.table = nn.Embedding(config.num_speakers, config.hidden_size)

    def forward(self, speaker_ids: torch.Tensor) -> torch.Tensor:
        """[N] to [N, H]; an index outside the table (`-1`, or one speaker too many) gives zeros."""
        known = (speaker_ids >= 0) & (speaker_ids < self.table.num_embeddings)
        return self.table(speaker_ids.where(known, 0)) * known.unsqueeze(-1)


class M2FNetModel(M2FNetPreTrainedModel):
    """Encode the real utterances, let each modality see its dialogue, fuse.

    Args:
        config: [`M2FNetConfig`] with one modality at least.

    Raises:
        ValueError: without any modality.
    """

    def __init__(self, config: M2FNetConfig) -> None:
        super().__init__(config)
        if not config.modalities:
            raise ValueError(
                "A model needs one modality at least, found none in its config; give a `text_config`, `audio_config` "
                "or `visual_config`, or a feature size such as `text_feature_size`."
            )
        self.modalities = nn.ModuleDict(
            {modality: M2FNetModality(config, size) for modality, size in config.feature_sizes.items()}
        )
        self.speakers = M2FNetSpeakers(config) if config.speaker_embeddings else None
        others = config.modalities[1:]
        fusion_layers = config.num_fusion_layers if config.fusion == "attention" and others else 0
        self.fusion_layers = nn.ModuleList(M2FNetFusionLayer(config, others) for _ in range(fusion_layers))
        self.gate = M2FNetGate(config) if config.fusion == "gated" else None
        for number, attention in enumerate(part for part in self.modules() if isinstance(part, M2FNetAttention)):
            attention.number = number
        self.text_encoder = None if config.text_config is None else build_encoder(config.text_config)
        self.audio_encoder = None if config.audio_config is None else build_encoder(config.audio_config)
        self.visual_encoder = None if config.visual_config is None else M2FNetVisualEncoder(config.visual_config)
        self.post_init()
        self.freeze_encoders()

    def freeze_encoders(self) -> None:
        """Fix the encoders that the config says are frozen."""
        for encoder in self._frozen():
            encoder.requires_grad_(False)
            encoder.eval()

    def train(self, mode: bool = True) -> "M2FNetModel":
        """A frozen encoder stays in evaluation mode: its features are the same in training and in use."""
        super().train(mode)
        self.freeze_encoders()  # here too, because loading replaces parameters by trainable ones
        return self

    @property
    def _dtype(self) -> torch.dtype:
        """That of the weights. `dtype` asks `parameters()`, which the replicas of DataParallel do not have."""
        road: Any = self.modalities[self.config.modalities[0]]
        return road.projection.weight.dtype

    def _frozen(self) -> list[nn.Module]:
        switches = {"text": self.config.freeze_text_encoder, "audio": self.config.freeze_audio_encoder}
        encoders = [getattr(self, f"{modality}_encoder") for modality, frozen in switches.items() if frozen]
        return [encoder for encoder in encoders if encoder is not None]

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        pooling_mask: torch.Tensor | None = None,
        input_values: torch.FloatTensor | None = None,
        audio_attention_mask: torch.Tensor | None = None,
        action_units: torch.FloatTensor | None = None,
        action_units_mask: torch.Tensor | None = None,
        appearance: torch.FloatTensor | None = None,
        appearance_mask: torch.Tensor | None = None,
        face_areas: torch.FloatTensor | None = None,
        text_features: torch.FloatTensor | None = None,
        audio_features: torch.FloatTensor | None = None,
        visual_features: torch.FloatTensor | None = None,
        text_features_mask: torch.Tensor | None = None,
        audio_features_mask: torch.Tensor | None = None,
        visual_features_mask: torch.Tensor | None = None,
        utterance_mask: torch.Tensor | None = None,
        speaker_ids: torch.LongTensor | None = None,
        cache: M2FNetCache | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Any,
    ) -> M2FNetModelOutput:
        """Any mixture of raw inputs and cached features; a modality that the model does not have is left aside.

        Args:
            input_ids, attention_mask: tokens and which are real [B, U, T]. No real token: the utterance has no text.
            pooling_mask: the tokens of the utterance itself [B, U, T], without context; default: all real ones.
            input_values, audio_attention_mask: sound at 16 kHz and which samples are real [B, U, S]. Tokens and sound
                may also come with utterances as rows, [B * U, ...], as the library's own call of the processor gives
                them.
            action_units, action_units_mask: [B, U, F, P, A] and which faces are real [B, U, F, P].
            appearance, appearance_mask: appearance features of the faces [B, U, F, P, E], likewise.
            face_areas: share of the frame [B, U, F, P]; needed for `face_pooling="area"`.
            text_features, audio_features, visual_features: cached encoder outputs [B, U, D]; they come before raw
                inputs of the same utterance.
            text_features_mask, audio_features_mask, visual_features_mask: utterances that have them [B, U]; default:
                all.
            utterance_mask: real utterances [B, U]; default: all.
            speaker_ids: speaker's index within the dialogue [B, U], -1 where unknown; used with `speaker_embeddings`.
            cache: what was said before in the one dialogue that is given, to which these utterances are added. Causal
                models only.

        Raises:
            ValueError: without any input, for NaN or infinite input at a real place, for sound too short to encode, or
                for a cache with a model that is not causal or with several dialogues.
        """
        inputs = {
            "text": _by_dialogue(utterance_mask, input_ids, attention_mask, pooling_mask),
            "audio": _by_dialogue(utterance_mask, input_values, audio_attention_mask),
            "visual": (*self._faces(action_units, action_units_mask, appearance, appearance_mask), face_areas),
        }
        cached = {
            "text": (text_features, text_features_mask),
            "audio": (audio_features, audio_features_mask),
            "visual": (visual_features, visual_features_mask),
        }
        if output_attentions is None:
            output_attentions = self.config.output_attentions
        if output_hidden_states is None:
            output_hidden_states = self.config.output_hidden_states
        given = [*inputs.values(), *cached.values(), (action_units,), (appearance,)]
        utterance_mask = _utterance_mask(utterance_mask, given)
        self._check_cache(cache, utterance_mask.shape[0])
        rows = Rows(utterance_mask)

        features, present = {}, {}
        for modality in self.modalities:
            features[modality], present[modality] = self._features(
                modality, inputs[modality], cached[modality], utterance_mask
            )
        if self.training and self.config.modality_dropout:
            present = self._withhold(present)
        here = {modality: rows.pack(mask) for modality, mask in present.items()}

        # Weights are asked of the eager implementation, whatever the model runs on otherwise.
        implementation = "eager" if output_attentions else self.config._attn_implementation
        tiles = tile(rows, self.config, implementation, cache)
        place = self._places(rows, speaker_ids, 0 if cache is None else cache.seen)
        kwargs |= {"cache": cache, "output_attentions": output_attentions}
        states, histories, attentions = {}, {}, {}
        for modality, road in self.modalities.items():
            values = features[modality]
            packed = None if values is None else rows.pack(values)
            states[modality], histories[modality], attentions[modality] = road(
                packed, here[modality], place, tiles, output_hidden_states, **kwargs
            )

        cross: dict[str, list] = {}
        weights = None
        if self.gate is None:
            fused, cross = self._fuse(states, tiles, **kwargs)
        else:
            fused, weights = self.gate(states, here)
        if cache is not None:
            cache.seen += len(rows.index)

        first = self.config.modalities[0]
        used = [present.get(modality, torch.zeros_like(utterance_mask)) for modality in ("text", "audio", "visual")]
        return M2FNetModelOutput(
            last_hidden_state=rows.unpack(fused),
            modality_states=tuple(rows.unpack(state) for state in states.values()),
            modality_mask=torch.stack(used, dim=-1).long(),
            modality_weights=None if weights is None else rows.unpack(weights),
            hidden_states=_requested([rows.unpack(state) for state in histories[first]], output_hidden_states),
            attentions=_requested(attentions[first], output_attentions),
            audio_attentions=_requested(cross.get("audio"), output_attentions),
            visual_attentions=_requested(cross.get("visual"), output_attentions),
        )

    def get_text_features(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        pooling_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Tokens [B, U, T] to what the model takes as `text_features` [B, U, D]; zero where there are no words."""
        return self._encoded("text", input_ids, attention_mask, pooling_mask)

    def get_audio_features(
        self, input_values: torch.Tensor, audio_attention_mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Sound [B, U, S] to what the model takes as `audio_features` [B, U, D]; zero where there is no sound."""
        return self._encoded("audio", input_values, audio_attention_mask)

    def _encoded(self, modality: str, values: torch.Tensor, *masks: torch.Tensor | None) -> torch.Tensor:
        wanted = torch.ones(values.shape[:2], dtype=torch.bool, device=values.device)
        features, _ = self._features(modality, (values, *masks), (None, None), wanted)
        if features is None:
            size = self.config.feature_sizes[modality]
            return torch.zeros(*wanted.shape, size, dtype=self._dtype, device=wanted.device)
        return features

    def _features(
        self,
        modality: str,
        inputs: tuple[torch.Tensor | None, ...],
        cached: tuple[torch.Tensor | None, ...],
        utterance_mask: torch.Tensor,
    ) -> tuple[torch.Tensor | None, torch.Tensor]:
        """Features [B, U, D] of one modality, cached ones first, and the utterances [B, U] that have them."""
        shape, size = utterance_mask.shape, self.config.feature_sizes[modality]
        features, given = cached
        known = torch.zeros_like(utterance_mask)
        values = None
        if features is not None:
            if features.shape != (*shape, size):
                raise ValueError(
                    f"`{modality}_features` must have the shape {[*shape, size]} ([B, U, D]), "
                    f"found {list(features.shape)}."
                )
            known = utterance_mask if given is None else utterance_mask & given.bool()
            values = finite(features, known.unsqueeze(-1), f"{modality}_features").to(self._dtype)
        encoder = getattr(self, f"{modality}_encoder")
        if inputs[0] is None or encoder is None:
            return values, known
        encode: Any = {"text": self._text, "audio": self._audio, "visual": self._visual}[modality]
        encoded, index = encode(encoder, utterance_mask & ~known, *inputs)
        if encoded is not None:
            encoded = encoded.to(self._dtype)
            flat = encoded.new_zeros(shape.numel(), size) if values is None else values.flatten(0, 1)
            values = flat.index_copy(0, index, encoded).unflatten(0, shape)
            known = known.flatten().index_fill(0, index, True).unflatten(0, shape)
        return values, known

    def _text(
        self,
        encoder: PreTrainedModel,
        wanted: torch.Tensor,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None,
        pooling_mask: torch.Tensor | None,
    ) -> tuple[torch.Tensor | None, torch.Tensor]:
        real = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask.bool()
        own = real if pooling_mask is None else pooling_mask.bool() & real
        rows = Rows(wanted & own.any(-1))
        if not len(rows.index):
            return None, rows.index
        tokens = rows.pack(input_ids), rows.pack(real), rows.pack(own)
        return encode_text(encoder, *tokens, self.config.num_blocks), rows.index

    def _audio(
        self, encoder: PreTrainedModel, wanted: torch.Tensor, input_values: torch.Tensor, mask: torch.Tensor | None
    ) -> tuple[torch.Tensor | None, torch.Tensor]:
        real = torch.ones_like(input_values, dtype=torch.bool) if mask is None else mask.bool()
        rows = Rows(wanted & real.any(-1))
        if not len(rows.index):
            return None, rows.index
        sound, real = rows.pack(input_values), rows.pack(real)
        sound = finite(sound, real, "input_values").to(self._dtype)
        shortest = int(real.sum(-1).min())
        if int(num_frames(encoder, torch.tensor(shortest))) < 1:
            raise ValueError(
                f"`input_values` holds an utterance of {shortest} samples, less than one frame of the audio encoder; "
                "M2FNetProcessor pads such sound."
            )
        return encode_audio(encoder, sound, real, self.config.num_blocks), rows.index

    def _faces(
        self,
        action_units: torch.Tensor | None,
        action_units_mask: torch.Tensor | None,
        appearance: torch.Tensor | None,
        appearance_mask: torch.Tensor | None,
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """What the visual encoder reads of the faces [B, U, F, P, A + E], and the faces that have all of it."""
        config = self.config.visual_config
        if config is None:
            return None, None
        chosen = []
        for name, size, values, mask in (
            ("action_units", config.num_action_units, action_units, action_units_mask),
            ("appearance", config.num_appearance_features, appearance, appearance_mask),
        ):
            if config.visual_features not in (name, "both"):
                continue
            if values is None:
                return None, None
            if values.shape[-1] != size:
                raise ValueError(f"`{name}` must hold {size} values a face (`num_{name}`), found {values.shape[-1]}.")
            every = torch.ones(values.shape[:-1], dtype=torch.bool, device=values.device)
            chosen.append((values, every if mask is None else mask.bool()))
        faces, real = ([pair[number] for pair in chosen] for number in (0, 1))
        return torch.cat(faces, dim=-1), torch.stack(real).all(0)

    def _visual(
        self,
        encoder: M2FNetVisualEncoder,
        wanted: torch.Tensor,
        faces: torch.Tensor,
        real: torch.Tensor,
        areas: torch.Tensor | None,
    ) -> tuple[torch.Tensor | None, torch.Tensor]:
        rows = Rows(wanted & real.flatten(2).any(-1))
        if not len(rows.index):
            return None, rows.index
        real = rows.pack(real)
        faces = finite(rows.pack(faces), real.unsqueeze(-1), encoder.config.visual_features).to(self._dtype)
        if areas is not None:
            areas = finite(rows.pack(areas), real, "face_areas")
        return encode_faces(encoder, faces, real, areas, self.config.num_blocks), rows.index

    def _withhold(self, present: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Modality dropout: hide each modality of an utterance with its probability, but never all it has."""
        has = torch.stack(list(present.values()), dim=-1)
        score = torch.rand(has.shape, device=has.device).masked_fill(~has, -1.0)
        surest = nn.functional.one_hot(score.argmax(-1), has.shape[-1]).bool()
        kept = has & ((score >= self.config.modality_dropout) | surest)
        return dict(zip(present, kept.unbind(-1), strict=True))

    def _places(self, rows: Rows, speaker_ids: torch.Tensor | None, seen: int) -> torch.Tensor:
        """What is added to every modality of an utterance: its position, and its speaker where asked for."""
        number = rows.pack(rows.mask.cumsum(1)) - 1 + seen
        place = in_pieces(partial(sinusoidal_positions, hidden_size=self.config.hidden_size), number)
        if self.speakers is not None and speaker_ids is not None:
            place = place + self.speakers(rows.pack(speaker_ids))
        return place.to(self._dtype)

    def _check_cache(self, cache: M2FNetCache | None, dialogues: int) -> None:
        if cache is not None and not (self.config.causal and dialogues == 1):
            kind = "a causal" if self.config.causal else "another"
            raise ValueError(
                f"`cache` needs a causal model (`causal=True` in its config) and one dialogue, found {kind} model and "
                f"{dialogues} dialogues; give it one dialogue at a time."
            )

    def _fuse(
        self, states: dict[str, torch.Tensor], tiles: list[Tiles], **kwargs: Any
    ) -> tuple[torch.Tensor, dict[str, list[torch.Tensor | None]]]:
        """The text through the fusion modules, beside the other modalities, and the modules' attentions by modality."""
        text, *others = states.values()
        cross: dict[str, list] = {modality: [] for modality in states}
        for layer in self.fusion_layers:
            text, *attentions = layer(text, *others, tiles=tiles, **kwargs)
            for modality, weights in zip(self.config.modalities[1:], attentions, strict=True):
                cross[modality].append(weights)
        return torch.cat([text, *others], dim=-1), cross


class M2FNetClassifier(nn.Module):
    """MLP with two hidden layers."""

    def __init__(self, config: M2FNetConfig) -> None:
        super().__init__()
        width = config.hidden_size
        fused = width if config.fusion == "gated" else len(config.modalities) * width
        self.first = nn.Linear(fused, width)
        self.second = nn.Linear(width, width)
        self.output = nn.Linear(width, config.num_labels or 0)
        self.activation = nn.GELU()
        self.dropout = nn.Dropout(config.classifier_dropout)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        states = self.dropout(self.activation(self.first(self.dropout(states))))
        return self.output(self.dropout(self.activation(self.second(states))))


class M2FNetForEmotionClassification(M2FNetPreTrainedModel):
    """M2FNet with an emotion for every utterance: [`M2FNetModel`], then an MLP."""

    def __init__(self, config: M2FNetConfig) -> None:
        super().__init__(config)
        self.model = M2FNetModel(config)
        self.classifier = M2FNetClassifier(config)
        self.post_init()

    @classmethod
    def from_encoders(
        cls,
        text: str | None = None,
        audio: str | None = None,
        visual: str | M2FNetVisualConfig | dict[str, Any] | None = None,
        text_config: dict[str, Any] | None = None,
        audio_config: dict[str, Any] | None = None,
        dtype: torch.dtype = torch.float32,
        **config: Any,
    ) -> "M2FNetForEmotionClassification":
        """A new model around pretrained encoders.

        Args:
            text, audio: model name or directory of a pretrained encoder.
            visual: [`M2FNetVisualConfig`] or its arguments, or the folder of an encoder that `m2fnet train-extractor`
                made; `None` for a model without faces.
            text_config, audio_config: values that replace those of the pretrained encoders' configs, such as dropouts;
                where no pretrained encoder is named, the whole config of one that starts from random weights.
            dtype: type of all weights.
            config: any other argument of [`M2FNetConfig`].
        """
        encoders: dict[str, Any] = {
            modality: load_encoder(name, overrides, dtype=dtype)
            for modality, name, overrides in (("text", text, text_config), ("audio", audio, audio_config))
            if name is not None
        }
        configs: dict[str, Any] = {"text_config": text_config, "audio_config": audio_config}
        if isinstance(visual, str):
            encoders["visual"] = load_visual_encoder(visual).to(dtype)
        configs |= {f"{modality}_config": encoder.config for modality, encoder in encoders.items()}
        model: Any = cls(M2FNetConfig(**{"visual_config": visual, **configs, **config}))
        model.to(dtype)
        for modality, encoder in encoders.items():
            setattr(model.model, f"{modality}_encoder", encoder.train(model.training))
        model.model.freeze_encoders()
        return model

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        pooling_mask: torch.Tensor | None = None,
        input_values: torch.FloatTensor | None = None,
        audio_attention_mask: torch.Tensor | None = None,
        action_units: torch.FloatTensor | None = None,
        action_units_mask: torch.Tensor | None = None,
        appearance: torch.FloatTensor | None = None,
        appearance_mask: torch.Tensor | None = None,
        face_areas: torch.FloatTensor | None = None,
        text_features: torch.FloatTensor | None = None,
        audio_features: torch.FloatTensor | None = None,
        visual_features: torch.FloatTensor | None = None,
        text_features_mask: torch.Tensor | None = None,
        audio_features_mask: torch.Tensor | None = None,
        visual_features_mask: torch.Tensor | None = None,
        utterance_mask: torch.Tensor | None = None,
        speaker_ids: torch.LongTensor | None = None,
        labels: torch.LongTensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Any,
    ) -> M2FNetEmotionOutput:
        """The inputs of [`M2FNetModel.forward`], and labels.

        Args:
            labels: [B, U], index of the emotion, -100 where there is none.
            kwargs: `num_items_in_batch`, the labelled utterances of the whole optimiser step (see [`emotion_loss`]).
        """
        num_items_in_batch = kwargs.pop("num_items_in_batch", None)
        output = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            pooling_mask=pooling_mask,
            input_values=input_values,
            audio_attention_mask=audio_attention_mask,
            action_units=action_units,
            action_units_mask=action_units_mask,
            appearance=appearance,
            appearance_mask=appearance_mask,
            face_areas=face_areas,
            text_features=text_features,
            audio_features=audio_features,
            visual_features=visual_features,
            text_features_mask=text_features_mask,
            audio_features_mask=audio_features_mask,
            visual_features_mask=visual_features_mask,
            utterance_mask=utterance_mask,
            speaker_ids=speaker_ids,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            return_dict=True,
            **kwargs,
        )
        fused = output.last_hidden_state
        rows = Rows(_utterance_mask(utterance_mask, [(fused,)]))
        logits = rows.unpack(in_pieces(self.classifier, rows.pack(fused)))
        loss = None
        if labels is not None:
            loss = emotion_loss(
                logits,
                labels.masked_fill(~rows.mask, IGNORED),
                class_weights=self.config.class_weights,
                label_smoothing=self.config.label_smoothing,
                focal_gamma=self.config.focal_gamma if self.config.loss == "focal" else 0.0,
                num_items_in_batch=num_items_in_batch,
            )
        details = {name: value for name, value in output.items() if name != "last_hidden_state"}
        return M2FNetEmotionOutput(loss=loss, logits=logits, **details)


def _by_dialogue(utterance_mask: torch.Tensor | None, *tensors: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
    """Rows of utterances [B * U, ...] to dialogues [B, U, ...]; one dialogue without a mask."""
    shape = (1, -1) if utterance_mask is None else utterance_mask.shape
    return tuple(
        rows.reshape(*shape, rows.shape[-1]) if rows is not None and rows.dim() == 2 else rows for rows in tensors
    )


def _utterance_mask(mask: torch.Tensor | None, inputs: list[tuple[torch.Tensor | None, ...]]) -> torch.Tensor:
    """The given [B, U] mask, or all ones of the inputs' shape."""
    first = next((values[0] for values in inputs if values[0] is not None), None)
    if mask is not None:
        return mask.bool()
    if first is None:
        raise ValueError(
            "A forward pass needs one input at least, found none; give `input_ids`, `input_values`, `action_units` "
            "or cached features."
        )
    return torch.ones(first.shape[:2], dtype=torch.bool, device=first.device)


def _requested(values: list | None, which: bool | int | Sequence[int] | None) -> tuple | None:
    """All values where `which` is true; where it is indices, as the library allows, `None` stands for the others."""
    if not values or not which:
        return None
    if which is True:
        return tuple(values)
    kept = {range(len(values))[index] for index in ([which] if isinstance(which, int) else which)}
    return tuple(value if number in kept else None for number, value in enumerate(values))


__all__ = [
    "M2FNetEmotionOutput",
    "M2FNetForEmotionClassification",
    "M2FNetModel",
    "M2FNetModelOutput",
    "M2FNetPreTrainedModel",
]
