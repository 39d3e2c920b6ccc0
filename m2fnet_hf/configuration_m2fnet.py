"""The configuration of M2FNet: the only source of its sizes."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

from transformers import AutoConfig, PreTrainedConfig

from .config_checks_m2fnet import check_encoder
from .label_checks_m2fnet import check_labels, check_languages, check_units
from .names_m2fnet import LARGEST_SIZE, MELD_EMOTIONS, PYFEAT_ACTION_UNITS, SPECTROGRAM_ENCODERS, TEMPERATURE_RANGE
from .strict_config_m2fnet import MOST_LAYERS, KnownKeywordsConfig, check_range, strict_config

Fusion = Literal["attention", "gated", "concat"]
FUSIONS: tuple[str, ...] = get_args(Fusion)


@strict_config
class M2FNetVisualConfig(KnownKeywordsConfig):
    """Sizes of the Action Unit encoder.

    Args:
        visual_features: what is read of a face: `action_units`, `appearance`, or `both`.
        num_action_units: Action Units per face (A). Default: the 20 of py-feat.
        action_units: their names, in order. Default: py-feat's where there are 20 of them, else none.
        num_appearance_features: appearance features per face (E).
        hidden_size: width of a face's vector (H). `None` has no weights: the features are the mean of each Action Unit
            over the frames in which it is known and, behind these means, 1 for each that is known at all (2 A values).
            It needs `face_pooling="area"`, and without areas all faces of a frame weigh alike.
        face_pooling: how the faces of a frame become one vector: `learned` softmax weights (the report), `area` of
            the face in the frame (the paper), or `concat` of `max_faces` slots (the report's proposal).
        max_faces: faces kept per frame (P); with `concat` it fixes the layer's width.
        face_backend: name of the backend that detected the faces of the training data, which a pipeline then uses.
            Default: `opencv` for appearance alone, else `pyfeat`.

    Raises:
        ValueError: for a size below 1, or settings that exclude each other.
    """

    model_type = "m2fnet_visual"
    base_config_key = "visual_config"

    visual_features: Literal["action_units", "appearance", "both"] = "action_units"
    num_action_units: int = 20
    action_units: Sequence[str] | None = None
    num_appearance_features: int = 64
    hidden_size: int | None = 512
    face_pooling: Literal["learned", "area", "concat"] = "learned"
    max_faces: int = 4
    face_backend: str = ""

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        sizes = ("num_action_units", "num_appearance_features", "max_faces", "hidden_size")
        check_range(self, 1, LARGEST_SIZE, *sizes)
        if self.hidden_size is None and (self.visual_features, self.face_pooling) != ("action_units", "area"):
            raise ValueError(
                "`hidden_size=None`, which averages, needs `visual_features='action_units'` and `face_pooling='area'`, "
                f"found {self.visual_features!r} and {self.face_pooling!r}."
            )
        if self.action_units is None and self.num_action_units == len(PYFEAT_ACTION_UNITS):
            self.action_units = PYFEAT_ACTION_UNITS
        if self.action_units is not None:
            if len(self.action_units) != self.num_action_units:
                raise ValueError(
                    f"`action_units` must name {self.num_action_units} units (`num_action_units`), "
                    f"found {len(self.action_units)}."
                )
            check_units(self.action_units)
            self.action_units = list(self.action_units)
        if not self.face_backend:
            self.face_backend = "opencv" if self.visual_features == "appearance" else "pyfeat"

    @property
    def face_size(self) -> int:
        """Numbers per face that the encoder reads; without weights of its own also which of them are known."""
        if self.hidden_size is None:
            return 2 * self.num_action_units
        sizes = {"action_units": self.num_action_units, "appearance": self.num_appearance_features}
        return sizes.get(self.visual_features, sum(sizes.values()))


@strict_config
class M2FNetConfig(KnownKeywordsConfig):
    """Configuration of [`M2FNetModel`]. Defaults are those of the 2022 internship report where it states one.

    A modality is part of the model when it has an encoder config, or a feature size for cached features alone; one
    that has neither is absent and stays `None` through save and load.

    Args:
        text_config: any text encoder config of the library (BART, RoBERTa, BERT, XLNet, ...); of an encoder-decoder
            only the encoder runs.
        audio_config: any encoder config for samples (Wav2Vec2, HuBERT, WavLM, ...), or that of Whisper, AST or
            Wav2Vec2-BERT, which read mel spectrograms. Fewer `num_hidden_layers` cut an encoder behind a layer.
        visual_config: [`M2FNetVisualConfig`], or the keyword arguments of one.
        text_feature_size, audio_feature_size, visual_feature_size: width D of cached features where there is no
            encoder. With one, D is `num_blocks` times its hidden size (twice that for `audio_pooling="mean_std"`, and
            2 A for `visual_config.hidden_size=None`) and these stay `None`.
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
        audio_pooling: of the sound encoder's output, the `mean` of each block, or `mean_std`, all means and then the
            standard deviations of all blocks.
        audio_final_norm: whether the sound encoder's last layer norm is applied; without it the encoder has none.
        causal: an utterance attends to itself and its past only.
        attention_window: an utterance attends to at most this many neighbours on each side; `None` is all of them.
        speaker_normalization: modalities, of `audio` and `visual`, whose features are standardised by stored means and
            scales and then taken less their speaker's mean over the dialogue, instead of the layer norm in front of the
            projection; the number of the speaker's utterances is added to them. `None` is none.
        speaker_strength, dialogue_strength: how strongly the mean of few utterances is drawn towards that of the
            dialogue, and that of a short dialogue towards the training data's, in utterances.
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
        languages: of the training data, as codes of ISO 639 such as `en`; `None` where that is not known.
            What is said in another one is predicted too, but named.

    Raises:
        ValueError: for an unknown keyword, a size that is not positive, or a combination that cannot work.
    """

    model_type = "m2fnet"
    sub_configs = {
        "text_config": AutoConfig,
        "audio_config": AutoConfig,
        "visual_config": M2FNetVisualConfig,
    }

    text_config: PreTrainedConfig | None = None
    audio_config: PreTrainedConfig | None = None
    visual_config: M2FNetVisualConfig | None = None
    text_feature_size: int | None = None
    audio_feature_size: int | None = None
    visual_feature_size: int | None = None
    hidden_size: int = 512
    num_hidden_layers: int = 6
    num_fusion_layers: int = 10
    num_attention_heads: int = 8
    intermediate_size: int = 1368
    hidden_dropout: float | int = 0.1
    attention_dropout: float | int = 0.1
    classifier_dropout: float | int = 0.1
    fusion: Fusion = "attention"
    fusion_includes_text: bool = True
    num_blocks: int = 1
    audio_pooling: Literal["mean", "mean_std"] = "mean"
    audio_final_norm: bool = True
    causal: bool = False
    attention_window: int | None = None
    speaker_normalization: Sequence[Literal["audio", "visual"]] | None = None
    speaker_strength: float | int = 2.0
    dialogue_strength: float | int = 4.0
    speaker_embeddings: bool = False
    num_speakers: int = 16
    modality_dropout: float | int = 0.0
    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    focal_gamma: float | int = 2.0
    class_weights: Sequence[float | int] | None = None
    label_smoothing: float | int = 0.0
    softmax_temperature: float | int = 1.0
    freeze_text_encoder: bool = True
    freeze_audio_encoder: bool = True
    layer_norm_eps: float | int = 1e-5
    languages: Sequence[str] | None = None

    def __post_init__(self, face_pooling: str | None = None, **kwargs: Any) -> None:
        if face_pooling is not None:
            if self.visual_config is None:
                raise ValueError(f"`face_pooling={face_pooling!r}` needs a `visual_config`, found None.")
            self.visual_config = {**self.visual_config.to_dict(), "face_pooling": face_pooling}  # type: ignore[assignment]
        if self.class_weights is not None:
            self.class_weights = [float(weight) for weight in self.class_weights]
        if self.speaker_normalization is not None:
            self.speaker_normalization = list(self.speaker_normalization)
        if self.id2label is None and kwargs.get("num_labels") in (None, len(MELD_EMOTIONS)):
            self.id2label = dict(enumerate(MELD_EMOTIONS))
        if self.id2label is not None and kwargs.get("num_labels") in (None, len(self.id2label)):
            check_labels(self.id2label, self.label2id)
            self.label2id = {label: int(index) for index, label in self.id2label.items()}
        super().__post_init__(**kwargs)
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
            if encoder is not None and encoder.hidden_size is None:
                sizes[modality] = encoder.face_size
            elif encoder is not None:
                sizes[modality] = self.num_blocks * encoder.hidden_size
                if modality == "audio" and self.audio_pooling == "mean_std":
                    sizes[modality] *= 2
            elif cached is not None:
                sizes[modality] = cached
        return sizes

    @property
    def audio_input(self) -> str:
        """The input that the sound encoder reads: `input_values`, samples, or `input_features`, a spectrogram."""
        kind = None if self.audio_config is None else self.audio_config.model_type
        return "input_features" if kind in SPECTROGRAM_ENCODERS else "input_values"

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
        for name in ("text_config", "audio_config"):
            if getattr(self, name) is not None:
                check_encoder(name, getattr(self, name))
        check_range(self, 1, LARGEST_SIZE, "hidden_size", "num_attention_heads", "intermediate_size", "num_speakers")
        check_range(self, 1, LARGEST_SIZE, "text_feature_size", "audio_feature_size", "visual_feature_size")
        check_range(self, 1, LARGEST_SIZE, "num_blocks", "attention_window")
        check_range(self, 0, MOST_LAYERS, "num_hidden_layers", "num_fusion_layers")
        dropouts = ("hidden_dropout", "attention_dropout", "classifier_dropout", "modality_dropout")
        for name in (*dropouts, "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"`{name}` must lie in [0, 1), found {getattr(self, name)}.")
        check_range(self, *TEMPERATURE_RANGE, "softmax_temperature")
        check_range(self, 1e-6, 1e6, "speaker_strength", "dialogue_strength")
        check_range(self, 0, 100, "focal_gamma")
        check_range(self, 1e-20, 1, "layer_norm_eps")
        check_labels(self.id2label or {}, self.label2id)
        if self.languages is not None:
            check_languages(self.languages)
        unread = [name for name in self.speaker_normalization or () if name not in self.modalities]
        if unread:
            raise ValueError(
                f"`speaker_normalization` must name modalities that the model reads ({', '.join(self.modalities)}), "
                f"found {', '.join(unread)}."
            )
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
            if not (min(self.class_weights) >= 0 and 0 < sum(self.class_weights) < float("inf")):
                raise ValueError(f"`class_weights` must be 0 or more and not all zero, found {self.class_weights}.")


__all__ = ["M2FNetConfig", "M2FNetVisualConfig"]
