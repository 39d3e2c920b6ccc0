"""M2FNet (Chudasama et al., 2022, arXiv 2206.02187): a dialogue's text, sound and faces to one emotion per utterance.

Shapes: B dialogues, U utterances, N real ones, T tokens, S samples, F face frames, P faces, A Action Units, E
appearance features, D features, H hidden, M modalities, C classes. Masks are true where real.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.utils import can_return_tuple

from .attention_m2fnet import M2FNetAttention, M2FNetCache, Tiles, in_pieces, join_pieces, tile
from .configuration_m2fnet import M2FNetConfig, M2FNetVisualConfig
from .dialogue_m2fnet import IGNORED, MODALITIES
from .encoders_m2fnet import ENCODE, layer_outputs, load_encoder, modality_encoder, pooling_options
from .features_m2fnet import INPUT_NAMES, Encode, FeatureMethods, Layers, by_dialogue, real_utterances
from .gate_m2fnet import M2FNetGate
from .hub_m2fnet import M2FNetHubMixin
from .losses import emotion_loss
from .normalization_m2fnet import SpeakerNormalization
from .outputs_m2fnet import M2FNetEmotionOutput, M2FNetModelOutput, requested
from .packing_m2fnet import PackedBatch
from .weights_m2fnet import WholeWeightsMixin


class M2FNetFeedForward(nn.Module):
    """SwiGLU (Shazeer, 2020, equation 6): [N, H] to [N, H]."""

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
        return join_pieces(self._piece(states[p.query_rows], states[p.key_rows], p, **kwargs) for p in tiles)

    def _piece(self, query: torch.Tensor, key: torch.Tensor, tiles: Tiles, **kwargs: Any) -> tuple[Any, ...]:
        attended, weights = self.attention(query, key, key, tiles, **kwargs)
        inner = self.attention_norm(query + self.dropout(attended))
        inner = self.feed_forward_norm(inner + self.dropout(self.feed_forward(inner)))
        return query + inner, weights


class M2FNetModality(nn.Module):
    """One modality's branch up to the fusion: project its features and let them see their dialogue.

    A learned vector stands in for an utterance that lacks the modality.
    """

    def __init__(self, config: M2FNetConfig, modality: str) -> None:
        super().__init__()
        size = config.feature_sizes[modality]
        # Not in the paper: encoders have scales of their own, and the positions would drown a small one.
        self.norm: nn.Module = nn.LayerNorm(size, eps=config.layer_norm_eps)
        self.by_speaker = modality in (config.speaker_normalization or ())
        if self.by_speaker:
            self.norm = SpeakerNormalization(config, modality)
            size = self.norm.output_size
        self.projection = nn.Linear(size, config.hidden_size)
        self.activation = nn.GELU()
        self.absent = nn.Parameter(torch.empty(config.hidden_size))
        self.dropout = nn.Dropout(config.hidden_dropout)
        self.layers = nn.ModuleList(M2FNetDialogueLayer(config) for _ in range(config.num_hidden_layers))

    def forward(
        self,
        features: torch.Tensor | None,
        present: torch.Tensor,
        position: torch.Tensor,
        batch: PackedBatch,
        tiles: list[Tiles],
        output_hidden_states: bool,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor | None]]:
        """Features [N, D] where `present` [N], to [N, H]; [B, U, H] before and after each layer; and attentions."""
        given = (present, position) if features is None else (present, position, features)
        states = in_pieces(self.embed, *given)
        history: list[torch.Tensor] = []
        attentions = []
        for layer in (None, *self.layers):
            if layer is not None:
                states, weights = layer(states, tiles, **kwargs)
                attentions.append(weights)
            if output_hidden_states:
                history.append(batch.unpack(states))
                states = batch.pack(history[-1])  # what is returned is what is used: a gradient reaches it
        return states, history, attentions

    def embed(
        self, present: torch.Tensor, position: torch.Tensor, features: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The projected features, or the learned vector where there are none, with their positions: [N, H]."""
        states = self.absent.expand(present.shape[0], -1)
        if features is not None:
            index = present.nonzero().squeeze(-1)
            features = features.index_select(0, index)
            # By speaker it was normalised before, with all of its dialogue.
            features = features if self.by_speaker else self.norm(features)
            projected = self.activation(self.projection(features))
            states = states.to(projected.dtype).index_copy(0, index, projected)
        return self.dropout(states + position)


class M2FNetFusionLayer(GradientCheckpointingLayer):
    """Fusion attention module (paper, section 3.3, equations 8 to 10).

    Query **and value** are the text, the key is the other modality; only the text moves on. The other modalities'
    shared keys say which utterances of the dialogue the text attends to.
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
        return join_pieces(self._piece(text, others, piece, **kwargs) for piece in tiles)

    def _piece(
        self, text: torch.Tensor, others: Sequence[torch.Tensor], tiles: Tiles, **kwargs: Any
    ) -> tuple[Any, ...]:
        query, value = text[tiles.query_rows], text[tiles.key_rows]
        pairs = zip(self.attentions.values(), others, strict=True)
        outputs = [attention(query, other[tiles.key_rows], value, tiles, **kwargs) for attention, other in pairs]
        attended, weights = zip(*outputs, strict=True)
        parts = [query, *attended] if self.includes_text else attended
        return self.dropout(self.activation(self.merge(torch.cat(parts, dim=-1)))), *weights


def sinusoidal_positions(number: torch.Tensor, hidden_size: int) -> torch.Tensor:
    """Sines and cosines of each utterance's number in its dialogue (Vaswani et al., 2017, 3.5): [N] to [N, H]."""
    # 10,000 is the paper's wavelength base, not a longest dialogue.
    frequency = 10_000.0 ** (torch.arange(0, hidden_size, 2, device=number.device) / -hidden_size)
    angle = number.unsqueeze(-1).float() * frequency
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)


class M2FNetPreTrainedModel(M2FNetHubMixin, WholeWeightsMixin, PreTrainedModel):  # type: ignore[misc]  # the library copies methods
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
        """Glorot's uniform initialisation, as in the report; absent modalities start as small noise."""
        super()._init_weights(module)
        if isinstance(module, nn.Linear):
            init.xavier_uniform_(module.weight)
        elif isinstance(module, M2FNetModality):
            init.normal_(module.absent, std=0.02)
        elif isinstance(module, M2FNetSpeakers):
            init.normal_(module.table.weight, std=0.02)
        elif isinstance(module, SpeakerNormalization):
            init.zeros_(module.mean)
            init.ones_(module.scale)

    def get_input_embeddings(self) -> nn.Module:
        """The text encoder's token embeddings."""
        return self._embedding_encoder().get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the text encoder's token embeddings."""
        self._embedding_encoder().set_input_embeddings(value)

    def _embedding_encoder(self) -> PreTrainedModel:
        encoder: Any = self.base_model.text_encoder
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


class M2FNetModel(FeatureMethods, M2FNetPreTrainedModel):  # type: ignore[misc]
    """Encode the real utterances, pool, project, let each modality see its dialogue, fuse.

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
        self.modalities = nn.ModuleDict({modality: M2FNetModality(config, modality) for modality in config.modalities})
        self.speakers = M2FNetSpeakers(config) if config.speaker_embeddings else None
        others = config.modalities[1:]
        fusion_layers = config.num_fusion_layers if config.fusion == "attention" and others else 0
        self.fusion_layers = nn.ModuleList(M2FNetFusionLayer(config, others) for _ in range(fusion_layers))
        self.gate = M2FNetGate(config) if config.fusion == "gated" else None
        for number, attention in enumerate(part for part in self.modules() if isinstance(part, M2FNetAttention)):
            attention.number = number
        self.text_encoder = modality_encoder(config, "text")
        self.audio_encoder = modality_encoder(config, "audio")
        self.visual_encoder = modality_encoder(config, "visual")
        self.post_init()
        self.freeze_encoders()

    def freeze_encoders(self) -> None:
        """Fix the encoders that the config says are frozen."""
        switches = {"text": self.config.freeze_text_encoder, "audio": self.config.freeze_audio_encoder}
        for modality, frozen in switches.items():
            encoder = self._encoder(modality)
            if frozen and encoder is not None:
                encoder.requires_grad_(False)
                encoder.eval()

    def train(self, mode: bool = True) -> "M2FNetModel":
        """A frozen encoder stays in evaluation mode: its features are the same in training and in use."""
        super().train(mode)
        self.freeze_encoders()  # here too, because loading replaces parameters by trainable ones
        return self

    @property
    def feature_dtype(self) -> torch.dtype:
        """That of the weights. `dtype` asks `parameters()`, which the replicas of DataParallel do not have."""
        branch: Any = self.modalities[self.config.modalities[0]]
        return branch.projection.weight.dtype

    def _encoder(self, modality: str) -> Any:
        return getattr(self, f"{modality}_encoder")

    def encoder(self, modality: str) -> Encode | None:
        encoder, options = self._encoder(modality), pooling_options(self.config, modality)
        return None if encoder is None else lambda values: ENCODE[modality](encoder, **values, **options)

    def layers(self, modality: str, values: dict[str, torch.Tensor], output_attentions: bool) -> Layers:
        options = pooling_options(self.config, modality)
        return layer_outputs(self._encoder(modality), values, output_attentions, **options)

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        *,
        utterance_mask: torch.Tensor | None = None,
        speaker_ids: torch.LongTensor | None = None,
        cache: M2FNetCache | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Any,
    ) -> M2FNetModelOutput:
        """Dialogues to the states that a classifier reads.

        Args:
            input_ids, kwargs: [`ModalityInputs`], any mixture of raw inputs and cached features, and what the attention
                implementation takes.
            utterance_mask: real utterances [B, U]; default: all.
            speaker_ids: speaker's index within the dialogue [B, U], -1 where unknown; used with `speaker_embeddings`
                and `speaker_normalization`.
            cache: the earlier utterances of the one dialogue that is given, which these continue. Causal models only.

        Raises:
            ValueError: without any input, for NaN or infinite input at a real place, for sound too short to encode, or
                for a cache with a model that is not causal or with several dialogues.
        """
        given = {"input_ids": input_ids, **{name: kwargs.pop(name) for name in INPUT_NAMES & kwargs.keys()}}
        wants_attentions = self.config.output_attentions if output_attentions is None else output_attentions
        wants_states = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        inputs = by_dialogue(given, utterance_mask)
        utterance_mask = real_utterances(utterance_mask, inputs)
        self._check_cache(cache, utterance_mask.shape[0])
        batch = PackedBatch(utterance_mask)

        features, present = self.features(inputs, utterance_mask)
        if self.training and self.config.modality_dropout:
            present = self._withhold(present)
        known = {modality: batch.pack(mask) for modality, mask in present.items()}

        # Weights are computed by the eager implementation, whatever the model runs on otherwise.
        implementation = "eager" if wants_attentions else self.config._attn_implementation
        tiles = tile(batch, self.config, implementation, cache, in_one_piece=bool(wants_attentions))
        speakers = torch.full_like(utterance_mask, -1, dtype=torch.long) if speaker_ids is None else speaker_ids
        position = self._positions(batch, speaker_ids, 0 if cache is None else cache.past_length)
        kwargs |= {"cache": cache, "output_attentions": bool(wants_attentions)}
        states, histories, attentions = {}, {}, {}
        for modality, branch in self.modalities.items():
            values = features[modality]
            if branch.by_speaker and values is not None:
                normalize: Any = branch.norm
                past = None if cache is None else cache.speakers[modality]
                values = normalize(values, present[modality], speakers, past)
            packed = None if values is None else batch.pack(values)
            states[modality], histories[modality], attentions[modality] = branch(
                packed, known[modality], position, batch, tiles, bool(wants_states), **kwargs
            )

        cross: dict[str, list] = {}
        weights = None
        if self.gate is None:
            fused, cross = self._fuse(states, tiles, **kwargs)
        else:
            fused, weights = self.gate(states, known)
        if cache is not None:
            cache.past_length += len(batch.index)

        first = self.config.modalities[0]
        used = [present.get(modality, torch.zeros_like(utterance_mask)) for modality in MODALITIES]
        return M2FNetModelOutput(
            last_hidden_state=batch.unpack(fused),
            modality_states=tuple(batch.unpack(state) for state in states.values()),
            modality_mask=torch.stack(used, dim=-1).long(),
            modality_weights=None if weights is None else batch.unpack(weights),
            hidden_states=requested(histories[first], wants_states),
            attentions=requested(attentions[first], wants_attentions),
            audio_attentions=requested(cross.get("audio"), wants_attentions),
            visual_attentions=requested(cross.get("visual"), wants_attentions),
        )

    def _withhold(self, present: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Modality dropout: hide each modality of an utterance with its probability, but never all it has."""
        has = torch.stack(list(present.values()), dim=-1)
        score = torch.rand(has.shape, device=has.device).masked_fill(~has, -1.0)
        surest = nn.functional.one_hot(score.argmax(-1), has.shape[-1]).bool()
        kept = has & ((score >= self.config.modality_dropout) | surest)
        return dict(zip(present, kept.unbind(-1), strict=True))

    def _positions(self, batch: PackedBatch, speaker_ids: torch.Tensor | None, past_length: int) -> torch.Tensor:
        """What is added to every modality of an utterance [N, H]: its position, and its speaker where asked for."""
        number = batch.pack(batch.mask.cumsum(1)) - 1 + past_length
        position = in_pieces(partial(sinusoidal_positions, hidden_size=self.config.hidden_size), number)
        if self.speakers is not None and speaker_ids is not None:
            position = position + self.speakers(batch.pack(speaker_ids))
        return position.to(self.feature_dtype)

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
    """MLP with two hidden layers: fused states [N, D] to logits [N, C]."""

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
        sources = {"text": (text, text_config), "audio": (audio, audio_config), "visual": (visual, None)}
        configs: dict[str, Any] = {"text_config": text_config, "audio_config": audio_config, "visual_config": visual}
        encoders = {}
        for modality, (name, overrides) in sources.items():
            if isinstance(name, str):
                final_norm = config.get(f"{modality}_final_norm", True)
                encoders[modality] = load_encoder(name, overrides, final_norm, dtype=dtype)
                configs[f"{modality}_config"] = encoders[modality].config
        model: Any = cls(M2FNetConfig(**{**configs, **config})).to(dtype)  # type: ignore[arg-type]  # a wrapped method
        for modality, encoder in encoders.items():
            setattr(model.model, f"{modality}_encoder", encoder.train(model.training))
        model.model.freeze_encoders()
        return model

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        *,
        utterance_mask: torch.Tensor | None = None,
        labels: torch.LongTensor | None = None,
        num_items_in_batch: int | torch.Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Any,
    ) -> M2FNetEmotionOutput:
        """The inputs of [`M2FNetModel.forward`], and labels.

        Args:
            labels: [B, U], index of the emotion, -100 where there is none.
            num_items_in_batch: the labelled utterances of the whole optimiser step (see [`emotion_loss`]).
        """
        kwargs |= {"output_attentions": output_attentions, "output_hidden_states": output_hidden_states}
        output = self.model(input_ids, utterance_mask=utterance_mask, **{**kwargs, "return_dict": True})
        batch = PackedBatch(real_utterances(utterance_mask, {"text_features": output.last_hidden_state}))
        logits = batch.unpack(in_pieces(self.classifier, batch.pack(output.last_hidden_state)))
        loss = None
        if labels is not None:
            loss = emotion_loss(
                logits,
                labels.masked_fill(~batch.mask, IGNORED),
                class_weights=self.config.class_weights,
                label_smoothing=self.config.label_smoothing,
                focal_gamma=self.config.focal_gamma if self.config.loss == "focal" else 0.0,
                num_items_in_batch=num_items_in_batch,
            )
        return M2FNetEmotionOutput(loss=loss, logits=logits, **output)


__all__ = ["M2FNetForEmotionClassification", "M2FNetModel", "M2FNetPreTrainedModel"]
