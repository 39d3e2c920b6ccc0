"""The configuration of M2FNet: the only source of its sizes."""

import difflib
import inspect
import math
from collections.abc import Iterable, Sequence
from typing import Any

from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig
from transformers.utils import logging

MELD_EMOTIONS = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
PYFEAT_ACTION_UNITS = tuple(
    f"AU{number:02d}" for number in (1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15, 17, 20, 23, 24, 25, 26, 28, 43)
)

FUSIONS = ("attention", "gated", "concat")
VISUAL_FEATURES = ("action_units", "appearance", "both")
FACE_POOLINGS = ("learned", "area", "concat")
LOSSES = ("cross_entropy", "focal")

logger = logging.get_logger(__name__)

# Keywords that the library itself writes into a config or passes to one; PreTrainedConfig keeps any other in silence.
_LIBRARY_KEYWORDS = {
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_attn_implementation_internal",
    "_commit_hash",
    "_experts_implementation",
    "_experts_implementation_internal",
    "attn_implementation",
    "auto_map",
    "custom_pipelines",
    "dtype",
    "experts_implementation",
    "id2label",
    "label2id",
    "model_type",
    "name_or_path",
    "num_labels",
    "output_attentions",
    "quantization_config",
    "torch_dtype",
    "use_cache",
}


class _StrictConfig(PreTrainedConfig):
    """A config without unknown arguments: an error where somebody gives one, a warning where a saved config has one."""

    def __init__(self, **kwargs: Any) -> None:
        for name in _unknown(type(self), kwargs):
            near = difflib.get_close_matches(name, _arguments(type(self)), n=1)
            hint = f"; did you mean `{near[0]}`?" if near else "."
            raise ValueError(f"{type(self).__name__} has no argument `{name}`{hint}")
        super().__init__(**kwargs)

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """See the library. What a later version or another tool has added to a saved config is left out."""
        unknown = _unknown(cls, config_dict)
        if unknown:
            logger.warning(f"{cls.__name__} has no use for {', '.join(unknown)} in the saved config.")
        if cls._auto_class is None:  # loaded from the package, where the library must not ask for remote code
            unknown += ["auto_map", "custom_pipelines"]
        return super().from_dict({name: config_dict[name] for name in config_dict if name not in unknown}, **kwargs)


class M2FNetVisualConfig(_StrictConfig):
    """Sizes of the Action Unit encoder.

    Args:
        num_action_units: Action Units per face (A). Default: the 20 of py-feat.
        action_units: their names, in order. Default: py-feat's where there are 20 of them, else AU-less indices.
        num_appearance_features: appearance features per face (E).
        hidden_size: width of a face's vector (H).
        face_pooling: how the faces of a frame become one vector: `learned` softmax weights (the report), `area` of
            the face in the frame (the paper), or `concat` of `max_faces` slots (the report's proposal).
        max_faces: faces kept per frame (P); with `concat` it fixes the layer's width.
        face_backend: what found the faces that the model was trained on, so that a pipeline looks with the same.
            Default: `opencv` for appearance alone, else `pyfeat`.
    """

    model_type = "m2fnet_visual"
    base_config_key = "visual_config"

    def __init__(
        self,
        visual_features: str = "action_units",
        num_action_units: int = 20,
        action_units: Sequence[str] | None = None,
        num_appearance_features: int = 64,
        hidden_size: int = 512,
        face_pooling: str = "learned",
        max_faces: int = 4,
        face_backend: str | None = None,
        **kwargs: Any,
    ) -> None:
        _require_choice("visual_features", visual_features, VISUAL_FEATURES)
        _require_positive(
            num_action_units=num_action_units,
            num_appearance_features=num_appearance_features,
            hidden_size=hidden_size,
            max_faces=max_faces,
        )
        _require_choice("face_pooling", face_pooling, FACE_POOLINGS)
        if action_units is None and num_action_units == len(PYFEAT_ACTION_UNITS):
            action_units = PYFEAT_ACTION_UNITS
        if action_units is not None and len(action_units) != num_action_units:
            raise ValueError(
                f"`action_units` must name {num_action_units} units (`num_action_units`), found {len(action_units)}."
            )
        self.visual_features = visual_features
        self.num_action_units = num_action_units
        self.num_appearance_features = num_appearance_features
        self.action_units = None if action_units is None else list(action_units)
        self.hidden_size = hidden_size
        self.face_pooling = face_pooling
        self.max_faces = max_faces
        self.face_backend = face_backend or ("opencv" if visual_features == "appearance" else "pyfeat")
        super().__init__(**kwargs)

    @property
    def face_size(self) -> int:
        """Numbers per face that the encoder reads."""
        sizes = {"action_units": self.num_action_units, "appearance": self.num_appearance_features}
        return sizes.get(self.visual_features, sum(sizes.values()))


class M2FNetConfig(_StrictConfig):
    """Configuration of [`M2FNetModel`]. Defaults are those of the 2022 internship report where it states one.

    A modality is part of the model when it has an encoder config, or a feature size for cached features alone; one
    that has neither is absent and stays `None` through save and load.

    Args:
        text_config: any text encoder config of the library (BART, RoBERTa, BERT, XLNet, ...); of an encoder-decoder
            only the encoder runs.
        audio_config: any raw-waveform encoder config (Wav2Vec2, HuBERT, WavLM, ...).
        visual_config: [`M2FNetVisualConfig`], or the keyword arguments of one.
        text_feature_size, audio_feature_size, visual_feature_size: width D of cached features where there is no
            encoder. With one, D is `num_blocks` times its hidden size and these stay `None`.
        hidden_size: width of the dialogue and fusion layers (H).
        num_hidden_layers: dialogue encoders per modality.
        num_fusion_layers: fusion attention modules.
        num_attention_heads: heads of every attention of the two.
        intermediate_size: width of the SwiGLU feed-forward; 2/3 of 4 H as in its paper, rounded up to a multiple of 8.
        hidden_dropout, attention_dropout, classifier_dropout: dropout probabilities.
        fusion: `attention` (the paper's modules), `gated` (a weight per modality and utterance) or `concat`.
        fusion_includes_text: keep F_T in the concatenation of a fusion module (figure 3 of the paper, not its text).
        face_pooling: shorthand for `visual_config.face_pooling`.
        num_blocks: blocks an encoder's output is averaged into before the projection; 1 is the mean.
        causal: an utterance sees itself and its past only.
        attention_window: an utterance sees at most this many neighbours on each side; `None` is all of them.
        speaker_embeddings: add a learned vector per speaker index of the dialogue.
        num_speakers: size of that table; further speakers get no vector.
        modality_dropout: probability in training that a present modality of an utterance is withheld; one always stays.
        loss: `cross_entropy` or `focal`.
        focal_gamma: exponent of the focal loss.
        class_weights: one weight per class in label order, rescaled to mean 1; `None` weighs all alike.
        label_smoothing: share of the target spread evenly over the classes.
        softmax_temperature: the pipeline divides the logits by it before it makes probabilities of them; a fit on dev
            data (`m2fnet_hf.evaluation.calibration`) makes these as high as they are right. It changes neither the
            logits nor the labels. (The library refuses to save a config with a plain `temperature`.)
        freeze_text_encoder, freeze_audio_encoder: keep the pretrained encoders fixed, as the report does.
        layer_norm_eps: epsilon of the layer norms.

    Raises:
        ValueError: for an unknown keyword, a size that is not positive, or a combination that cannot work.
    """

    model_type = "m2fnet"
    sub_configs = {
        "text_config": AutoConfig,
        "audio_config": AutoConfig,
        "visual_config": M2FNetVisualConfig,
    }

    def __init__(
        self,
        text_config: dict[str, Any] | PreTrainedConfig | None = None,
        audio_config: dict[str, Any] | PreTrainedConfig | None = None,
        visual_config: dict[str, Any] | PreTrainedConfig | None = None,
        text_feature_size: int | None = None,
        audio_feature_size: int | None = None,
        visual_feature_size: int | None = None,
        hidden_size: int = 512,
        num_hidden_layers: int = 6,
        num_fusion_layers: int = 10,
        num_attention_heads: int = 8,
        intermediate_size: int = 1368,
        hidden_dropout: float = 0.1,
        attention_dropout: float = 0.1,
        classifier_dropout: float = 0.1,
        fusion: str = "attention",
        fusion_includes_text: bool = True,
        face_pooling: str | None = None,
        num_blocks: int = 1,
        causal: bool = False,
        attention_window: int | None = None,
        speaker_embeddings: bool = False,
        num_speakers: int = 16,
        modality_dropout: float = 0.0,
        loss: str = "cross_entropy",
        focal_gamma: float = 2.0,
        class_weights: Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        softmax_temperature: float = 1.0,
        freeze_text_encoder: bool = True,
        freeze_audio_encoder: bool = True,
        layer_norm_eps: float = 1e-5,
        **kwargs: Any,
    ) -> None:
        self.text_config = _encoder_config("text_config", text_config)
        self.audio_config = _encoder_config("audio_config", audio_config)
        self.visual_config = _visual_config(visual_config, face_pooling)
        self.text_feature_size = text_feature_size
        self.audio_feature_size = audio_feature_size
        self.visual_feature_size = visual_feature_size
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_fusion_layers = num_fusion_layers
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = intermediate_size
        self.hidden_dropout = hidden_dropout
        self.attention_dropout = attention_dropout
        self.classifier_dropout = classifier_dropout
        self.fusion = fusion
        self.fusion_includes_text = fusion_includes_text
        self.num_blocks = num_blocks
        self.causal = causal
        self.attention_window = attention_window
        self.speaker_embeddings = speaker_embeddings
        self.num_speakers = num_speakers
        self.modality_dropout = modality_dropout
        self.loss = loss
        self.focal_gamma = focal_gamma
        self.class_weights = None if class_weights is None else [float(weight) for weight in class_weights]
        self.label_smoothing = label_smoothing
        self.softmax_temperature = softmax_temperature
        self.freeze_text_encoder = freeze_text_encoder
        self.freeze_audio_encoder = freeze_audio_encoder
        self.layer_norm_eps = layer_norm_eps
        if kwargs.get("id2label") is None and kwargs.get("num_labels") in (None, len(MELD_EMOTIONS)):
            kwargs["id2label"] = dict(enumerate(MELD_EMOTIONS))
            kwargs["label2id"] = {label: index for index, label in enumerate(MELD_EMOTIONS)}
        super().__init__(**kwargs)
        self._check()

    @property
    def face_pooling(self) -> str | None:
        """How faces are pooled, or `None` without a visual encoder."""
        return None if self.visual_config is None else self.visual_config.face_pooling

    @property
    def feature_sizes(self) -> dict[str, int]:
        """Width D of each modality's features, `num_blocks` times the encoder's hidden size, in the model's order."""
        sizes = {}
        for modality in ("text", "audio", "visual"):
            encoder = getattr(self, f"{modality}_config")
            cached = getattr(self, f"{modality}_feature_size")
            if encoder is not None:
                sizes[modality] = self.num_blocks * encoder.hidden_size
            elif cached is not None:
                sizes[modality] = cached
        return sizes

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that the model reads, among `text`, `audio` and `visual`, in this order."""
        return tuple(self.feature_sizes)

    @property
    def label_names(self) -> list[str]:
        """The emotions in the order of the logits."""
        names: Any = self.id2label
        return [names[index] for index in range(len(names))]

    @property
    def label_ids(self) -> dict[str, int]:
        """Index of each emotion."""
        return {name: index for index, name in enumerate(self.label_names)}

    def _check(self) -> None:
        _require_positive(
            hidden_size=self.hidden_size,
            num_attention_heads=self.num_attention_heads,
            intermediate_size=self.intermediate_size,
            num_blocks=self.num_blocks,
            num_speakers=self.num_speakers,
        )
        for name in ("attention_window", "text_feature_size", "audio_feature_size", "visual_feature_size"):
            if getattr(self, name) is not None:
                _require_positive(**{name: getattr(self, name)})
        for name in ("num_hidden_layers", "num_fusion_layers"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 0:
                raise ValueError(f"`{name}` must be a whole number of at least 0, found {value!r}.")
        dropouts = ("hidden_dropout", "attention_dropout", "classifier_dropout", "modality_dropout")
        for name in (*dropouts, "label_smoothing"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not 0 <= value < 1:
                raise ValueError(f"`{name}` must lie in [0, 1), found {value!r}.")
        if not isinstance(self.softmax_temperature, (int, float)) or not 0 < self.softmax_temperature < math.inf:
            raise ValueError(f"`softmax_temperature` must be a number above 0, found {self.softmax_temperature!r}.")
        _require_choice("fusion", self.fusion, FUSIONS)
        _require_choice("loss", self.loss, LOSSES)
        if self.hidden_size % self.num_attention_heads or self.hidden_size % 2:
            raise ValueError(
                f"`hidden_size` must be even and a multiple of `num_attention_heads` ({self.num_attention_heads}), "
                f"found {self.hidden_size}."
            )
        if self.class_weights is not None:
            if len(self.class_weights) != self.num_labels:
                raise ValueError(
                    f"`class_weights` must hold one weight for each of the {self.num_labels} labels, "
                    f"found {len(self.class_weights)}."
                )
            if min(self.class_weights) < 0 or not sum(self.class_weights) > 0:
                raise ValueError(f"`class_weights` must be non-negative and not all zero, found {self.class_weights}.")


def _encoder_config(name: str, config: dict[str, Any] | PreTrainedConfig | None) -> PreTrainedConfig | None:
    if config is None or isinstance(config, PreTrainedConfig):
        return config
    model_type = str(config.get("model_type"))
    if model_type not in CONFIG_MAPPING:
        raise ValueError(
            f"`{name}` must name a model type of transformers in its `model_type`, found {model_type!r}; "
            "pass a config object or the dictionary of one."
        )
    return CONFIG_MAPPING[model_type].from_dict(config)


def _visual_config(
    config: dict[str, Any] | PreTrainedConfig | None, face_pooling: str | None
) -> M2FNetVisualConfig | None:
    if config is None:
        if face_pooling is not None:
            raise ValueError(f"`face_pooling={face_pooling!r}` needs a `visual_config`, found None.")
        return None
    values = dict(config) if isinstance(config, dict) else config.to_dict()
    if face_pooling is not None:
        values["face_pooling"] = face_pooling
    return M2FNetVisualConfig(**values)


def _arguments(config_class: type[_StrictConfig]) -> list[str]:
    bases = [base for base in config_class.__mro__ if issubclass(base, _StrictConfig)]
    return [name for base in bases for name in inspect.signature(base).parameters if name != "kwargs"]


def _unknown(config_class: type[_StrictConfig], names: Iterable[str]) -> list[str]:
    known = {*vars(PreTrainedConfig()), *_LIBRARY_KEYWORDS, *_arguments(config_class)}
    return [name for name in names if name not in known]


def _require_positive(**values: int) -> None:
    for name, value in values.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"`{name}` must be a whole number of at least 1, found {value!r}.")


def _require_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {', '.join(choices)}, found {value!r}.")


__all__ = ["MELD_EMOTIONS", "PYFEAT_ACTION_UNITS", "M2FNetConfig", "M2FNetVisualConfig"]
