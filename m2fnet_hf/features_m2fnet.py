"""Raw or cached inputs to features per modality, with any encoder callable: torch modules and ONNX graphs.

Shapes: B dialogues, U utterances, N of them that are encoded, T tokens, S samples, F face frames, P faces, A Action
Units, E appearance features, D features. Masks are true where real.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypedDict

import torch
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils import can_return_tuple

from .configuration_m2fnet import M2FNetConfig
from .outputs_m2fnet import requested
from .packing_m2fnet import PackedBatch
from .spectrogram_layout_m2fnet import spectrogram_layout

# What may come with utterances as rows.
_ROWS = ("input_ids", "attention_mask", "pooling_mask", "input_values", "input_features", "audio_attention_mask")
# What says more about faces, and is no input alone.
_BESIDE_FACES = ("face_areas", "known_action_units")
# What an encoder takes in the type of its weights.
_IN_TYPE_OF_WEIGHTS = ("input_values", "input_features", "faces")


class ModalityInputs(TypedDict, total=False):
    """Any mixture of raw inputs and cached features; a modality that the model does not have is ignored.

    Args:
        input_ids, attention_mask: tokens and which are real [B, U, T]. No real token: the utterance has no text.
        pooling_mask: the tokens of the utterance itself [B, U, T], without context; default: all real ones.
        input_values, audio_attention_mask: sound at 16 kHz and which samples are real [B, U, S].
        input_features, audio_attention_mask: instead, mel spectrograms [B, U, L, M] and which frames are to be read
            [B, U, L]. Whisper's hold a second of silence behind each piece of sound, as the processor makes them.
            Tokens and sound may also come with utterances as rows [B * U, ...], as from the processor's library call.
        action_units, action_units_mask: [B, U, F, P, A] and which faces are real [B, U, F, P].
        known_action_units: which units of the real faces are known [B, U, F, P, A]; default: all. A visual encoder that
            has weights reads the faces of which all are known.
        appearance, appearance_mask: appearance features of the faces [B, U, F, P, E], likewise.
        face_areas: share of the frame [B, U, F, P]; needed for `face_pooling="area"`.
        text_features, audio_features, visual_features: cached encoder outputs [B, U, D]; they come before raw inputs of
            the same utterance.
        text_features_mask, audio_features_mask, visual_features_mask: utterances that have them [B, U]; default: all.
    """

    input_ids: torch.Tensor | None
    attention_mask: torch.Tensor | None
    pooling_mask: torch.Tensor | None
    input_values: torch.Tensor | None
    input_features: torch.Tensor | None
    audio_attention_mask: torch.Tensor | None
    action_units: torch.Tensor | None
    action_units_mask: torch.Tensor | None
    known_action_units: torch.Tensor | None
    appearance: torch.Tensor | None
    appearance_mask: torch.Tensor | None
    face_areas: torch.Tensor | None
    text_features: torch.Tensor | None
    text_features_mask: torch.Tensor | None
    audio_features: torch.Tensor | None
    audio_features_mask: torch.Tensor | None
    visual_features: torch.Tensor | None
    visual_features_mask: torch.Tensor | None


INPUT_NAMES = frozenset(ModalityInputs.__annotations__)

# The raw inputs of [N, ...] utterances, by the names of the encoder's arguments, to features [N, D].
Encode = Callable[[dict[str, torch.Tensor]], torch.Tensor]
# The states before and after each layer of an encoder, pooled [N, D], and its attention weights [N, heads, L, L].
Layers = tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...] | None]


class RawInputs(NamedTuple):
    """What the encoder of a modality reads of a batch.

    Args:
        values: [B, U, ...] by the names of the encoder's arguments.
        real: which places of the values are real [B, U, ...].
        present: utterances that have the modality [B, U].
        name: of the values, in errors.
    """

    values: dict[str, torch.Tensor]
    real: torch.Tensor
    present: torch.Tensor
    name: str


class FeatureMethods:
    """What every M2FNet can do with its encoders, whatever runs them."""

    config: M2FNetConfig

    @property
    def feature_dtype(self) -> torch.dtype:
        """Of features, whatever type they come in."""
        return torch.float32

    def encoder(self, modality: str) -> Encode | None:
        """What encodes a modality, `None` where it is read from cached features alone."""
        raise NotImplementedError

    def layers(self, modality: str, values: dict[str, torch.Tensor], output_attentions: bool) -> Layers:
        """What the layers of a text or sound encoder make of its inputs [N, ...]."""
        raise NotImplementedError

    def features(
        self, inputs: Mapping[str, Any], utterance_mask: torch.Tensor
    ) -> tuple[dict[str, torch.Tensor | None], dict[str, torch.Tensor]]:
        """Features [B, U, D] of each of the model's modalities, and the utterances that have them [B, U]."""
        features, present = {}, {}
        for modality in self.config.modalities:
            features[modality], present[modality] = modality_features(
                modality, inputs, utterance_mask, self.config, self.encoder(modality), self.feature_dtype
            )
        return features, present

    @can_return_tuple
    def get_text_features(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        pooling_mask: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPooling:
        """Tokens [B, U, T] to what the model takes as `text_features`.

        Args:
            input_ids, attention_mask, pooling_mask: as in [`ModalityInputs`].
            kwargs: the library's `output_hidden_states`, `output_attentions` and `return_dict`.

        Returns:
            `pooler_output` and `last_hidden_state`: the features [B, U, D], zero where there are no words.
            `hidden_states`: on request, the states before and after each layer of the encoder, pooled to [B, U, D].
            `attentions`: on request, the weights of each layer [B, U, heads, T, T].
        """
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask, "pooling_mask": pooling_mask}
        return self._encoded("text", inputs, **kwargs)

    @can_return_tuple
    def get_audio_features(
        self,
        input_values: torch.Tensor | None = None,
        audio_attention_mask: torch.Tensor | None = None,
        input_features: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPooling:
        """Sound [B, U, S] or [B, U, L, M] to what the model takes as `audio_features`; see [`get_text_features`].

        With L positions of the encoder, `attentions` are [B, U, heads, L, L].
        """
        sound = {"input_values": input_values, "input_features": input_features}
        return self._encoded("audio", {**sound, "audio_attention_mask": audio_attention_mask}, **kwargs)

    @can_return_tuple
    def get_visual_features(
        self,
        action_units: torch.Tensor | None = None,
        action_units_mask: torch.Tensor | None = None,
        appearance: torch.Tensor | None = None,
        appearance_mask: torch.Tensor | None = None,
        face_areas: torch.Tensor | None = None,
        known_action_units: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPooling:
        """Faces [B, U, F, P, ...] to what the model takes as `visual_features`; see [`get_text_features`].

        Their encoder has one layer and no attention, so there are neither `hidden_states` nor `attentions`.
        """
        units = {"action_units": action_units, "action_units_mask": action_units_mask}
        faces = {"appearance": appearance, "appearance_mask": appearance_mask, "face_areas": face_areas}
        return self._encoded("visual", {**units, **faces, "known_action_units": known_action_units}, **kwargs)

    def _encoded(
        self,
        modality: str,
        inputs: dict[str, torch.Tensor | None],
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPooling:
        encode = self.encoder(modality) if modality in self.config.modalities else None
        if encode is None:
            raise ValueError(f"This model has no {modality} encoder (`{modality}_config` is None); give one a config.")
        shape, device = batch_shape(inputs)
        every = torch.ones(shape, dtype=torch.bool, device=device)
        features, present = modality_features(modality, inputs, every, self.config, encode, self.feature_dtype)
        if features is None:
            features = torch.zeros(*shape, self.config.feature_sizes[modality], dtype=self.feature_dtype, device=device)
        output = BaseModelOutputWithPooling(last_hidden_state=features, pooler_output=features)
        wants_states = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        wants_attentions = self.config.output_attentions if output_attentions is None else output_attentions
        raw = read_inputs(modality, inputs, self.config)
        if modality == "visual" or raw is None or not (wants_states or wants_attentions) or not present.any():
            return output
        batch = PackedBatch(present)
        states, weights = self.layers(modality, _packed(raw, batch, self.feature_dtype), bool(wants_attentions))
        output.hidden_states = requested(list(map(batch.unpack, states)), wants_states)
        output.attentions = requested(list(map(batch.unpack, weights or ())), wants_attentions)
        return output


def modality_features(
    modality: str,
    inputs: Mapping[str, Any],
    utterance_mask: torch.Tensor,
    config: M2FNetConfig,
    encode: Encode | None,
    dtype: torch.dtype = torch.float32,
) -> tuple[torch.Tensor | None, torch.Tensor]:
    """Features of one modality: the cached ones, and of the other utterances what the encoder makes of the raw inputs.

    Args:
        modality: `text`, `audio` or `visual`.
        inputs: [`ModalityInputs`].
        utterance_mask: utterances for which features are wanted [B, U].
        encode: `None` where the model has no encoder for the modality.
        dtype: of the features.

    Returns:
        Features [B, U, D], `None` where no utterance has any, and the utterances that have them [B, U].

    Raises:
        ValueError: for features of another shape, and for NaN or infinite values at a real place.
    """
    shape, size = utterance_mask.shape, config.feature_sizes[modality]
    known = torch.zeros_like(utterance_mask)
    features: torch.Tensor | None = inputs.get(f"{modality}_features")
    if features is not None:
        if features.shape != (*shape, size):
            raise ValueError(
                f"`{modality}_features` must have the shape {[*shape, size]} ([B, U, D]), found {list(features.shape)}."
            )
        known = utterance_mask & _mask(inputs.get(f"{modality}_features_mask"), shape, features.device)
        features = finite(features, known.unsqueeze(-1), f"{modality}_features").to(dtype)
    raw = None if encode is None else read_inputs(modality, inputs, config)
    if encode is None or raw is None:
        return features, known
    batch = PackedBatch(utterance_mask & ~known & raw.present)
    if not len(batch.index):
        return features, known
    encoded = encode(_packed(raw, batch, dtype)).to(dtype)
    flat = encoded.new_zeros(shape.numel(), size) if features is None else features.flatten(0, 1)
    return flat.index_copy(0, batch.index, encoded).unflatten(0, shape), known | batch.mask


def read_inputs(modality: str, inputs: Mapping[str, Any], config: M2FNetConfig) -> RawInputs | None:
    """The raw inputs of one modality, `None` where they are not given."""
    read = {"text": _read_text, "audio": _read_audio, "visual": _read_faces}[modality]
    return read(inputs, config)


def by_dialogue(inputs: Mapping[str, Any], utterance_mask: torch.Tensor | None) -> dict[str, Any]:
    """Tokens and sound with utterances as rows [B * U, ...] as [B, U, ...]; without a mask they are one dialogue."""
    shape = (1, -1) if utterance_mask is None else utterance_mask.shape
    return {
        name: values.reshape(*shape, *values.shape[1:])
        if name in _ROWS and values is not None and values.dim() == 2 + (name == "input_features")
        else values
        for name, values in inputs.items()
    }


def batch_shape(inputs: Mapping[str, Any]) -> tuple[torch.Size, torch.device]:
    """[B, U] of the inputs, and where they are.

    Raises:
        ValueError: without any input.
    """
    for name in INPUT_NAMES:
        if inputs.get(name) is not None and name not in _BESIDE_FACES and not name.endswith("_mask"):
            return inputs[name].shape[:2], inputs[name].device
    raise ValueError(
        "A forward pass needs one input at least, found none; give `input_ids`, `input_values`, `action_units` or "
        "cached features."
    )


def real_utterances(mask: torch.Tensor | None, inputs: Mapping[str, Any]) -> torch.Tensor:
    """The given [B, U] mask; default: all utterances of the inputs.

    Raises:
        ValueError: without mask and inputs.
    """
    if mask is not None:
        return mask.bool()
    shape, device = batch_shape(inputs)
    return torch.ones(shape, dtype=torch.bool, device=device)


def finite(values: torch.Tensor, real: torch.Tensor, name: str) -> torch.Tensor:
    """The values, whose mask `real` has their shape or fits to it, with padding set to zero.

    Raises:
        ValueError: where a real one is NaN or infinite.
    """
    values = values.masked_fill(~real, 0.0)
    # A compiled or exported graph cannot branch on values. The least and the greatest are NaN where any value is.
    if not torch.compiler.is_compiling() and values.numel() and not torch.stack(values.aminmax()).isfinite().all():
        raise ValueError(
            f"`{name}` must be finite where its mask is true, found NaN or infinite values; mask what is missing."
        )
    return values


def _read_text(inputs: Mapping[str, Any], config: M2FNetConfig) -> RawInputs | None:
    ids = inputs.get("input_ids")
    if ids is None:
        return None
    real = _mask(inputs.get("attention_mask"), ids.shape, ids.device)
    own = real & _mask(inputs.get("pooling_mask"), ids.shape, ids.device)
    # An utterance without words of its own has no text, whatever stands around it.
    return RawInputs({"input_ids": ids, "attention_mask": real, "pooling_mask": own}, real, own.any(-1), "input_ids")


def _read_audio(inputs: Mapping[str, Any], config: M2FNetConfig) -> RawInputs | None:
    name = config.audio_input
    sound = inputs.get(name)
    if sound is None:
        other = "input_values" if name == "input_features" else "input_features"
        if config.audio_config is not None and inputs.get(other) is not None:
            raise ValueError(
                f"The sound encoder ({config.audio_config.model_type}) reads `{name}`, found `{other}`; give the "
                "processor the feature extractor of this encoder."
            )
        return None
    if name == "input_features" and sound.shape[3] != (width := spectrogram_layout(config.audio_config).width):
        raise ValueError(
            f"`input_features` must hold {width} values of a frame, found {sound.shape[3]}; give the processor the "
            "feature extractor of the sound encoder."
        )
    real = _mask(inputs.get("audio_attention_mask"), sound.shape[:3], sound.device)
    return RawInputs({name: sound, "attention_mask": real}, real, real.any(-1), name)


def _read_faces(inputs: Mapping[str, Any], config: M2FNetConfig) -> RawInputs | None:
    """The faces [B, U, F, P, A + E] and those that have all of it [B, U, F, P].

    For an encoder without weights, units and which are known [B, U, F, P, 2 A] and those of which any is.
    """
    visual = config.visual_config
    if visual is None:
        return None
    faces, masks = [], []
    sizes = {"action_units": visual.num_action_units, "appearance": visual.num_appearance_features}
    for name, size in sizes.items():
        if visual.visual_features not in (name, "both"):
            continue
        values = inputs.get(name)
        if values is None:
            return None
        if values.shape[-1] != size:
            raise ValueError(f"`{name}` must hold {size} values a face (`num_{name}`), found {values.shape[-1]}.")
        real = _mask(inputs.get(f"{name}_mask"), values.shape[:-1], values.device)
        known = inputs.get("known_action_units") if name == "action_units" else None
        if visual.hidden_size is None:
            known = real.unsqueeze(-1) & _mask(known, values.shape, values.device)
            real, values = known.any(-1), torch.cat([values.masked_fill(~known, 0.0), known.to(values.dtype)], dim=-1)
        elif known is not None:
            real = real & known.bool().all(-1)
        faces.append(values)
        masks.append(real)
    real = torch.stack(masks).all(0)
    read = {"faces": torch.cat(faces, dim=-1), "faces_mask": real}
    if inputs.get("face_areas") is not None:
        read["face_areas"] = inputs["face_areas"]
    return RawInputs(read, real, real.flatten(2).any(-1), visual.visual_features)


def _packed(raw: RawInputs, batch: PackedBatch, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The values of the utterances of a batch [N, ...], checked and with zeros at padding."""
    real = batch.pack(raw.real)
    packed = {}
    for name, values in raw.values.items():
        value = batch.pack(values)
        if value.is_floating_point():
            shown = "face_areas" if name == "face_areas" else raw.name
            value = finite(value, real.reshape(*real.shape, *[1] * (value.dim() - real.dim())), shown)
        packed[name] = value.to(dtype) if name in _IN_TYPE_OF_WEIGHTS else value
    return packed


def _mask(mask: torch.Tensor | None, shape: Any, device: torch.device) -> torch.Tensor:
    return torch.ones(shape, dtype=torch.bool, device=device) if mask is None else mask.bool()
