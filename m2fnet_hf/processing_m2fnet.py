"""A dialogue to the tensors that M2FNet reads: tokens with their context, sound, faces."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack

import numpy as np
from tokenizers import Tokenizer, models
from transformers import (
    BatchFeature,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    ProcessorMixin,
    SequenceFeatureExtractor,
    Wav2Vec2FeatureExtractor,
)
from transformers.processing_utils import ProcessingKwargs
from transformers.utils import logging

from .context_m2fnet import CONTEXTS_WITH_FUTURE, ContextSettings, TextContext
from .dialogue_m2fnet import FEATURES, MODALITIES, Dialogue, Utterance, as_dialogues
from .feature_extraction_m2fnet import AppearanceFeatureExtractor, AUFeatureExtractor
from .hub_m2fnet import M2FNetHubMixin, upload_settings
from .processor_checks_m2fnet import ProcessorFiles
from .resampling_m2fnet import SHORTEST_SOUND, at_rate
from .spectrogram_m2fnet import log_mel, reads_spectrograms

# Every tensor that a call may return.
TEXT_TENSORS = ("input_ids", "attention_mask", "pooling_mask")
AUDIO_TENSORS = ("input_values", "input_features", "audio_attention_mask")
DIALOGUE_TENSORS = ("utterance_mask", "speaker_ids")
UNIT_TENSORS = ("action_units", "action_units_mask", "known_action_units")
FACE_TENSORS = (*UNIT_TENSORS, "appearance", "appearance_mask", "face_areas")
TENSORS = (
    *(*TEXT_TENSORS, *AUDIO_TENSORS, *FACE_TENSORS, *DIALOGUE_TENSORS),
    *(name for feature in FEATURES for name in (feature, f"{feature}_mask")),
)

logger = logging.get_logger(__name__)
Extractor = TypeVar("Extractor", AUFeatureExtractor, AppearanceFeatureExtractor)


class M2FNetTextKwargs(TypedDict, total=False):
    """What a call may set of the tokens; their `max_length` is a setting of the processor itself."""

    padding: bool | str | None
    return_tensors: str | None


class M2FNetAudioKwargs(TypedDict, total=False):
    """What a call may set of the sound; its `sampling_rate` is in Hz."""

    sampling_rate: int | None
    padding: bool | str | None
    return_tensors: str | None


class M2FNetProcessorKwargs(ProcessingKwargs, total=False):
    """Per-call keyword arguments, in the library's own groups."""

    text_kwargs: M2FNetTextKwargs  # type: ignore[misc]
    audio_kwargs: M2FNetAudioKwargs  # type: ignore[misc]


class CallSettings(TypedDict, total=False):
    """What a call may set: settings of the processor, the `sampling_rate` of sound in Hz, the kind of the tensors."""

    context: str | None
    past_utterances: int | None
    future_utterances: int | None
    max_length: int | None
    speaker_prefix: str | None
    sampling_rate: int | None
    return_tensors: str | None


class LibraryCallSettings(CallSettings, total=False):
    """What a call with `text` and `audio` may set besides, as with the library's own processors."""

    padding: bool | str | None
    text_kwargs: dict[str, Any]
    audio_kwargs: dict[str, Any]
    common_kwargs: dict[str, Any]


class M2FNetProcessor(ProcessorMixin, M2FNetHubMixin):
    """Tokenizer, sound feature extractor and Action Unit extractor of one model.

    Args:
        tokenizer: of the text encoder. Default: one without words, for a model that reads none.
        feature_extractor: of the sound encoder: of samples, or a `WhisperFeatureExtractor`, `ASTFeatureExtractor` or
            `SeamlessM4TFeatureExtractor` (Wav2Vec2-BERT's) for mel spectrograms. Default: 16 kHz mono, zero mean and
            unit variance.
        au_feature_extractor: [`AUFeatureExtractor`], or its settings.
        appearance_feature_extractor: [`AppearanceFeatureExtractor`], or its settings, for a model that reads the faces'
            appearance.
        context: text around an utterance, as in EmoBERTa (Kim and Vossen, 2021): `none`, `past`, or `both`. The
            utterances before and after stand beside it, parted by the tokenizer's separators. With `dialogue` all
            utterances are parted so and read the same row, which the encoder runs over once; a dialogue that does not
            fit in one row has several, and each begins with what was said last, a quarter of a row at most.
        past_utterances, future_utterances: how many at most, with `past` and `both`; `None` is as many as fit.
        max_length: tokens of an utterance with its context. The utterance itself is never cut; context that does not
            fit is left out, the farthest utterances first.
        speaker_prefix: put the speaker before each utterance: `name` (`Joey: ...`), `index` (`Speaker 1: ...`, which
            does not leak identity), or `none`.

    Raises:
        ValueError: for a setting of a wrong type or out of its range.
    """

    valid_processor_kwargs = M2FNetProcessorKwargs  # type: ignore[assignment]
    push_to_hub = M2FNetHubMixin.push_to_hub  # `ProcessorMixin` has a copy of its own

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase | None = None,
        feature_extractor: SequenceFeatureExtractor | None = None,
        au_feature_extractor: AUFeatureExtractor | dict[str, Any] | None = None,
        appearance_feature_extractor: AppearanceFeatureExtractor | dict[str, Any] | None = None,
        context: str = "none",
        past_utterances: int | None = None,
        future_utterances: int | None = None,
        max_length: int = 512,
        speaker_prefix: str = "none",
        chat_template: str | None = None,
    ) -> None:
        super().__init__(
            tokenizer or _wordless_tokenizer(),
            feature_extractor or Wav2Vec2FeatureExtractor(),
            chat_template=chat_template,
        )
        self.au_feature_extractor = _built("au_feature_extractor", au_feature_extractor, AUFeatureExtractor)
        self.appearance_feature_extractor = _built(
            "appearance_feature_extractor", appearance_feature_extractor, AppearanceFeatureExtractor
        )
        self.context = context
        self.past_utterances = past_utterances
        self.future_utterances = future_utterances
        self.max_length = max_length
        self.speaker_prefix = speaker_prefix
        self._context_settings()

    @classmethod
    def get_attributes(cls) -> list[str]:
        """The parts that the library loads by its Auto classes; those of the faces lie in the settings."""
        return ["tokenizer", "feature_extractor"]

    def save_pretrained(  # type: ignore[override]
        self, save_directory: str | os.PathLike, push_to_hub: bool = False, **kwargs: Any
    ) -> list[str]:
        """See the library. What the appearance features were fitted to lies beside the settings, as safetensors."""
        upload = upload_settings(save_directory, kwargs) if push_to_hub else {}
        Path(save_directory).mkdir(parents=True, exist_ok=True)
        self.appearance_feature_extractor.save_weights(save_directory)
        saved = super().save_pretrained(save_directory, **kwargs)
        if push_to_hub:
            self.push_to_hub(**upload)
        return saved

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, pretrained_model_name_or_path: str | os.PathLike, **kwargs: Any
    ) -> "M2FNetProcessor":
        """See the library."""
        files = ProcessorFiles(pretrained_model_name_or_path, kwargs)
        files.check_settings(cls.__init__)
        try:
            processor: Any = super().from_pretrained(pretrained_model_name_or_path, **kwargs)
        except (ImportError, OSError):
            raise
        except Exception as error:  # that of tokenizers is of no other class
            raise ValueError(files.explain(error)) from error
        files.check_vocabulary(processor.tokenizer)
        processor.appearance_feature_extractor.load_weights(pretrained_model_name_or_path, **kwargs)
        return processor

    @property
    def model_input_names(self) -> list[str]:
        """The tensors of text and sound, which the library's own call returns."""
        unused = "input_values" if reads_spectrograms(self.feature_extractor) else "input_features"
        return [name for name in (*TEXT_TENSORS, *AUDIO_TENSORS, *DIALOGUE_TENSORS) if name != unused]

    def __call__(
        self,
        dialogues: Any = None,
        *,
        text: str | Sequence[str | None] | None = None,
        audio: Any = None,
        modalities: Sequence[str] | None = None,
        **settings: Unpack[LibraryCallSettings],
    ) -> BatchFeature:
        """One or several dialogues to padded tensors and masks; a modality that none of them has is left out.

        Args:
            dialogues: a `Dialogue`, a list of utterances (dictionaries with `text`, `speaker`, `audio`,
                `sampling_rate`, `action_units`, ...), a dictionary with `utterances`, or a list of any of these.
            text, audio: instead of `dialogues`, the library's own call: the words and the sounds [S] of one dialogue,
                an utterance or a list of them. The rows of its tensors are the utterances, which the model takes as
                well: [U, ...], with `utterance_mask` and `speaker_ids` [1, U].
            modalities: of `text`, `audio` and `visual`; default: all that are there.
            settings: `context`, `past_utterances`, `future_utterances`, `max_length`, `speaker_prefix` instead of the
                processor's own; `sampling_rate` of all sound that does not bring its own, in Hz; `return_tensors`,
                `pt` (default) or `np`. With `text` and `audio` also `padding` (`max_length` or, by default,
                `longest`), and the library's groups `text_kwargs`, `audio_kwargs` and `common_kwargs`.

        Returns:
            The tensors of `TENSORS`, [B, U, ...].

        Raises:
            TypeError, ValueError: for what is not a dialogue, or sound without or with an unusable sampling rate.
        """
        wanted = MODALITIES if modalities is None else tuple(modalities)
        if dialogues is None:
            return self._library_call(text, audio, wanted, dict(settings))
        if text is not None or audio is not None:
            raise ValueError("The processor takes `dialogues`, or `text` and `audio`, found both; give one of them.")
        _refuse_unknown(settings, CallSettings)
        batch = as_dialogues(_with_rate(dialogues, settings.get("sampling_rate")))
        texts = [[(utterance.text or "").strip() for utterance in dialogue] for dialogue in batch]
        features = self._features(batch, texts, wanted, self._context_settings(settings))
        return BatchFeature(features, tensor_type=settings.get("return_tensors") or "pt")

    def _library_call(self, text: Any, audio: Any, wanted: tuple[str, ...], settings: dict[str, Any]) -> BatchFeature:
        """Words and sounds of one dialogue, with its utterances as the rows of the tensors."""
        _refuse_unknown(settings, LibraryCallSettings)
        library = {name: settings[name] for name in settings if name not in _CONTEXT}
        merged = self._merge_kwargs(None, self.tokenizer.init_kwargs, **library)
        own = {**merged["text_kwargs"], **{name: settings[name] for name in _CONTEXT if settings.get(name) is not None}}
        texts, sounds = _columns(text, audio)
        rate = merged["audio_kwargs"].get("sampling_rate")
        if rate is None and audio is not None:
            rate = self.feature_extractor.sampling_rate
            logger.warning_once(f"Sound without its `sampling_rate` is taken for what the model reads: {rate} Hz.")
        dialogue = Dialogue(
            [
                Utterance(text=words, audio=sound, sampling_rate=None if sound is None else rate)
                for words, sound in zip(texts, sounds, strict=True)
            ]
        )
        context = self._context_settings({name: own[name] for name in _CONTEXT if name in own})
        features = self._features([dialogue], [[words or "" for words in texts]], wanted, context)
        longest = own.get("max_length") or self.tokenizer.init_kwargs.get("max_length") or self.max_length
        lengths = dict.fromkeys(TEXT_TENSORS, longest if own.get("padding") == "max_length" else 0)
        if merged["audio_kwargs"].get("padding") == "max_length":
            lengths |= dict.fromkeys(AUDIO_TENSORS, merged["audio_kwargs"].get("max_length", 0))
        for name in lengths.keys() & features.keys():
            fill = self.tokenizer.pad_token_id or 0 if name == "input_ids" else 0
            features[name] = _longer(features[name][0], lengths[name], fill)
        for name in {*AUDIO_TENSORS, *TEXT_TENSORS} & features.keys() - lengths.keys():
            features[name] = features[name][0]
        # As tokenizers give it, or, where there is sound alone, the feature extractors that give one.
        if "attention_mask" in features:
            features["attention_mask"] = features["attention_mask"].astype(np.int64)
        elif "audio_attention_mask" in features and self.feature_extractor.return_attention_mask:
            features["attention_mask"] = features["audio_attention_mask"].astype(np.int32)
        return BatchFeature(features, tensor_type=own.get("return_tensors") or "pt")

    def _context_settings(self, given: Mapping[str, Any] | None = None) -> ContextSettings:
        """The processor's own settings of context, or those given instead."""
        own = {name: getattr(self, name) for name in _CONTEXT}
        return ContextSettings(
            **own | {name: given[name] for name in _CONTEXT if given and given.get(name) is not None}
        )

    def _features(
        self, batch: list[Dialogue], texts: list[list[str]], wanted: tuple[str, ...], context: ContextSettings
    ) -> dict[str, np.ndarray]:
        features: dict[str, np.ndarray] = {
            "utterance_mask": _pad([np.ones(len(dialogue), dtype=bool) for dialogue in batch]),
            "speaker_ids": _pad([np.array(dialogue.speaker_ids) for dialogue in batch], fill=-1),
        }
        everyone = [utterance for dialogue in batch for utterance in dialogue]
        if "text" in wanted and any(one.text and one.text_features is None for one in everyone):
            features |= self._text(batch, texts, context)
        if "audio" in wanted and any(one.audio is not None and one.audio_features is None for one in everyone):
            features |= self._audio(batch)
        if "visual" in wanted:
            features |= self._visual(batch)
        for modality in wanted:
            features |= _cached(batch, f"{modality}_features")
        return features

    def _text(self, batch: list[Dialogue], texts: list[list[str]], settings: ContextSettings) -> dict[str, np.ndarray]:
        context = TextContext(self.tokenizer, settings)
        rows = [
            context.rows(words, [utterance.speaker for utterance in dialogue], dialogue.speaker_ids)
            for dialogue, words in zip(batch, texts, strict=True)
        ]
        ids = _pad_nested([[ids for ids, _ in row] for row in rows], fill=self.tokenizer.pad_token_id or 0)
        lengths = np.array([[len(row[u][0]) if u < len(row) else 0 for u in range(ids.shape[1])] for row in rows])
        return {
            "input_ids": ids,
            "attention_mask": np.arange(ids.shape[2]) < lengths[..., None],
            "pooling_mask": _pad_nested([[own for _, own in row] for row in rows], fill=False),
        }

    def _audio(self, batch: list[Dialogue]) -> dict[str, np.ndarray]:
        sounds = [[self._sound(utterance) for utterance in dialogue] for dialogue in batch]
        empty = next(sound[:0] for row in sounds for sound in row if sound is not None)
        values = [[empty if sound is None else sound for sound in row] for row in sounds]
        padded = _pad_nested(values, fill=0.0)
        lengths = np.array([[len(row[u]) if u < len(row) else 0 for u in range(padded.shape[1])] for row in values])
        name = "input_features" if reads_spectrograms(self.feature_extractor) else "input_values"
        return {name: padded, "audio_attention_mask": np.arange(padded.shape[2]) < lengths[..., None]}

    def _sound(self, utterance: Utterance) -> np.ndarray | None:
        """The utterance's sound as the encoder reads it, at least one of its frames long; `None` without."""
        if utterance.audio is None:
            return None
        target = self.feature_extractor.sampling_rate
        sound = at_rate(utterance.audio, utterance.sampling_rate, target)
        try:
            if reads_spectrograms(self.feature_extractor):
                return log_mel(self.feature_extractor, sound)
            sound = np.pad(sound, (0, max(0, SHORTEST_SOUND - len(sound))))
            return self.feature_extractor(sound, sampling_rate=target, return_tensors="np")["input_values"][0]
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise ValueError(
                "`feature_extractor` must make what the encoder reads of sound, found settings with which "
                f"{type(self.feature_extractor).__name__} cannot; load the processor that was saved with the model."
            ) from error

    def _visual(self, batch: list[Dialogue]) -> dict[str, np.ndarray]:
        features: dict[str, np.ndarray] = {}
        for name, extractor in (
            ("action_units", self.au_feature_extractor),
            ("appearance", self.appearance_feature_extractor),
        ):
            if all(getattr(utterance, name) is None for dialogue in batch for utterance in dialogue):
                continue
            each = [
                extractor(
                    [getattr(utterance, name) for utterance in dialogue],
                    [utterance.face_areas for utterance in dialogue],
                    [utterance.face_ids for utterance in dialogue],
                )
                for dialogue in batch
            ]
            if any("face_areas" in one for one in each):
                for one in each:
                    one.setdefault("face_areas", np.ones(one[f"{name}_mask"].shape, dtype=np.float32))
            if any(f"known_{name}" in one for one in each):
                for one in each:
                    one.setdefault(f"known_{name}", np.ones(one[name].shape, dtype=bool))
            features |= {key: _pad([one[key] for one in each]) for key in each[0]}
        return features


_CONTEXT = tuple(setting.name for setting in fields(ContextSettings))


def _refuse_unknown(settings: Mapping[str, Any], known: type) -> None:
    unknown = settings.keys() - known.__annotations__.keys()
    if unknown:
        raise TypeError(f"The processor has no setting {', '.join(sorted(unknown))}; see `{known.__name__}`.")


def _built(name: str, part: Extractor | Mapping[str, Any] | None, kind: type[Extractor]) -> Extractor:
    """A part of the processor, from itself or its settings."""
    if isinstance(part, kind):
        return part
    if part is not None and not isinstance(part, Mapping):
        raise ValueError(f"`{name}` must be the settings of a {kind.__name__}, found {part!r}.")
    try:
        return kind(**part or {})
    except ValueError as error:
        raise ValueError(f"`{name}`: {error}") from error


def _columns(text: Any, audio: Any) -> tuple[list[str | None], list[np.ndarray | None]]:
    """Words and sounds of the same utterances."""
    texts = None if text is None else [text] if isinstance(text, str) else list(text)
    sounds = None if audio is None else [None if sound is None else _samples(sound) for sound in _as_list(audio)]
    if texts is None and sounds is None:
        raise ValueError("The processor takes dialogues, or `text` and `audio`, found nothing; give one of them.")
    texts = [None] * len(sounds or ()) if texts is None else texts
    sounds = [None] * len(texts) if sounds is None else sounds
    if len(texts) != len(sounds):
        raise ValueError(
            f"`text` and `audio` must be of the same utterances, found {len(texts)} and {len(sounds)}; give None where "
            "an utterance lacks one of them."
        )
    return texts, sounds


def _as_list(audio: Any) -> list[Any]:
    """Sounds from a list of them, from one, or from an array [N, S]."""
    several = isinstance(audio, (list, tuple)) and not all(np.isscalar(sample) for sample in audio)
    return list(audio) if several or np.ndim(audio) > 1 else [audio]


def _samples(sound: Any) -> np.ndarray:
    return np.asarray(sound, dtype=np.float32)


def _with_rate(source: Any, rate: int | None) -> Any:
    """The source, with the sampling rate of sound in dictionaries that do not say it."""
    if isinstance(source, Mapping):
        if "utterances" in source:
            return {**source, "utterances": _with_rate(source["utterances"], rate)}
        if source.get("audio") is None or source.get("sampling_rate") is not None:
            return source
        if rate is None:
            raise ValueError("Sound needs its sampling rate, found none; give `sampling_rate` in Hz.")
        return {**source, "sampling_rate": rate}
    return [_with_rate(one, rate) for one in source] if isinstance(source, (list, tuple)) else source


def _longer(array: np.ndarray, length: int, fill: Any) -> np.ndarray:
    """[U, T, ...] with `length` columns at least."""
    return np.pad(
        array, [(0, 0), (0, max(0, length - array.shape[1])), *[(0, 0)] * (array.ndim - 2)], constant_values=fill
    )


def _wordless_tokenizer() -> PreTrainedTokenizerBase:
    words = Tokenizer(models.WordLevel({"<pad>": 0, "<unk>": 1}, unk_token="<unk>"))
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", unk_token="<unk>")


def _cached(batch: list[Dialogue], name: str) -> dict[str, np.ndarray]:
    """Cached features [B, U, D] and the utterances that have them, or nothing where none has."""
    rows = [[getattr(utterance, name) for utterance in dialogue] for dialogue in batch]
    sizes = sorted({len(vector) for row in rows for vector in row if vector is not None})
    if not sizes:
        return {}
    if len(sizes) > 1:
        raise ValueError(f"`{name}` must have one length in all utterances, found {sizes[0]} and {sizes[-1]}.")
    empty = np.zeros(sizes[0], dtype=np.float32)
    values = [np.stack([empty if vector is None else np.asarray(vector, np.float32) for vector in row]) for row in rows]
    return {
        name: _pad(values),
        f"{name}_mask": _pad([np.array([vector is not None for vector in row]) for row in rows]),
    }


def _pad(arrays: Sequence[np.ndarray], fill: Any = 0) -> np.ndarray:
    """Arrays of one number of dimensions to one array, padded at the end of each."""
    shape = [max(sizes) for sizes in zip(*(array.shape for array in arrays), strict=True)]
    padded = np.full((len(arrays), *shape), fill, dtype=arrays[0].dtype)
    for row, array in zip(padded, arrays, strict=True):
        row[tuple(slice(size) for size in array.shape)] = array
    return padded


def _pad_nested(rows: Sequence[Sequence[np.ndarray]], fill: Any) -> np.ndarray:
    """[B][U] arrays [L, ...] to [B, U, longest, ...]; at least one column, so that a shape is never empty."""
    longest = max([1, *(len(vector) for row in rows for vector in row)])
    first = rows[0][0]
    padded = np.full((len(rows), max(map(len, rows)), longest, *first.shape[1:]), fill, dtype=first.dtype)
    for b, row in enumerate(rows):
        for u, vector in enumerate(row):
            padded[b, u, : len(vector)] = vector
    return padded


def check_causal(config: PreTrainedConfig, processor: M2FNetProcessor) -> None:
    """Refuse a causal model whose text context holds future utterances.

    Raises:
        ValueError: for such a pair.
    """
    none_asked = processor.context == "both" and processor.future_utterances == 0
    if config.causal and processor.context in CONTEXTS_WITH_FUTURE and not none_asked:
        raise ValueError(
            f"A causal model must not read future utterances, found a processor with `context='{processor.context}'`; "
            "use `context='past'`."
        )


__all__ = ["M2FNetProcessor", "M2FNetProcessorKwargs", "check_causal"]
