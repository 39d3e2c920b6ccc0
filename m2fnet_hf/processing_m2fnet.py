"""A dialogue to the tensors that M2FNet reads: tokens with their context, sound, faces."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np
from tokenizers import Tokenizer, models
from transformers import (
    BatchFeature,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    ProcessorMixin,
    Wav2Vec2FeatureExtractor,
)
from transformers.processing_utils import ProcessingKwargs

from .feature_extraction_m2fnet import AppearanceFeatureExtractor, AUFeatureExtractor
from .hub_m2fnet import M2FNetHubMixin

CONTEXTS = ("none", "past", "both", "dialogue")
CONTEXTS_WITH_FUTURE = ("both", "dialogue")
SPEAKER_PREFIXES = ("name", "index", "none")
MODALITIES = ("text", "audio", "visual")
# 25 ms at 16 kHz, one frame of Wav2Vec2: shorter sound is padded to it.
SHORTEST_SOUND = 400


class M2FNetProcessorKwargs(ProcessingKwargs, total=False):
    """Per-call keyword arguments, in the library's own groups."""

    _defaults: dict[str, dict[str, Any]] = {}  # type: ignore[misc]


class CallSettings(TypedDict, total=False):
    """What a call of the processor may set: its own settings for once, and how sound comes in and tensors go out."""

    context: str | None
    past_utterances: int | None
    future_utterances: int | None
    max_length: int | None
    speaker_prefix: str | None
    sampling_rate: int | None
    return_tensors: str | None


class M2FNetProcessor(M2FNetHubMixin, ProcessorMixin):
    """Tokenizer, sound feature extractor and Action Unit extractor of one model.

    Args:
        tokenizer: of the text encoder. Default: one without words, for a model that reads none.
        feature_extractor: of the sound encoder. Default: 16 kHz mono, zero mean and unit variance.
        au_feature_extractor: [`AUFeatureExtractor`].
        appearance_feature_extractor: [`AppearanceFeatureExtractor`], for a model that reads the faces' appearance.
        context: text around an utterance, as in EmoBERTa (Kim and Vossen, 2021): `none`, `past`, or `both`. The
            utterances before and after stand beside it, parted by the tokenizer's separators. With `dialogue` all
            utterances are parted so and read the same row, which the encoder runs over once; a dialogue that does not
            fit in one row has several, and each begins with what was said last, a quarter of a row at most.
        past_utterances, future_utterances: how many at most, with `past` and `both`; `None` is as many as fit.
        max_length: tokens of an utterance with its context. The utterance itself is never cut; context that does not
            fit is left out, the farthest utterances first.
        speaker_prefix: put the speaker before each utterance: `name` (`Joey: ...`), `index` (`Speaker 1: ...`, which
            does not leak identity), or `none`.
    """

    valid_processor_kwargs = M2FNetProcessorKwargs
    au_feature_extractor: AUFeatureExtractor
    appearance_feature_extractor: AppearanceFeatureExtractor

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase | None = None,
        feature_extractor: Wav2Vec2FeatureExtractor | None = None,
        au_feature_extractor: AUFeatureExtractor | None = None,
        appearance_feature_extractor: AppearanceFeatureExtractor | None = None,
        context: str = "none",
        past_utterances: int | None = None,
        future_utterances: int | None = None,
        max_length: int = 512,
        speaker_prefix: str = "none",
        chat_template: str | None = None,
    ) -> None:
        if feature_extractor is None:
            feature_extractor = Wav2Vec2FeatureExtractor(return_attention_mask=True)
        super().__init__(
            tokenizer or _wordless_tokenizer(),
            feature_extractor,
            au_feature_extractor or AUFeatureExtractor(),
            appearance_feature_extractor or AppearanceFeatureExtractor(),
            chat_template=chat_template,
        )
        self.context = context
        self.past_utterances = past_utterances
        self.future_utterances = future_utterances
        self.max_length = max_length
        self.speaker_prefix = speaker_prefix
        _check_settings(vars(self))

    @staticmethod
    def get_possibly_dynamic_module(module_name: str) -> Any:
        # The library looks a second extractor up in registries that exist only where torchvision is installed.
        for ours in (AUFeatureExtractor, AppearanceFeatureExtractor):
            if module_name == ours.__name__:
                return ours
        return ProcessorMixin.get_possibly_dynamic_module(module_name)

    def save_pretrained(self, save_directory: str | os.PathLike, *args: Any, **kwargs: Any) -> list[str]:
        """See the library. What the appearance features were fitted to lies beside the settings, as safetensors."""
        Path(save_directory).mkdir(parents=True, exist_ok=True)
        self.appearance_feature_extractor.save_weights(save_directory)
        return super().save_pretrained(save_directory, *args, **kwargs)

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, pretrained_model_name_or_path: str | os.PathLike, **kwargs: Any
    ) -> "M2FNetProcessor":
        """See the library."""
        processor: Any = super().from_pretrained(pretrained_model_name_or_path, **kwargs)
        processor.appearance_feature_extractor.load_weights(pretrained_model_name_or_path, **kwargs)
        return processor

    @property
    def model_input_names(self) -> list[str]:
        """Every tensor that a call may return."""
        return [
            "input_ids",
            "attention_mask",
            "pooling_mask",
            "input_values",
            "audio_attention_mask",
            "action_units",
            "action_units_mask",
            "appearance",
            "appearance_mask",
            "face_areas",
            "text_features",
            "text_features_mask",
            "audio_features",
            "audio_features_mask",
            "visual_features",
            "visual_features_mask",
            "utterance_mask",
            "speaker_ids",
        ]

    def __call__(
        self,
        dialogues: Any,
        *,
        modalities: Sequence[str] | None = None,
        **settings: Unpack[CallSettings],
    ) -> BatchFeature:
        """One or several dialogues to padded tensors and masks; a modality that none of them has is left out.

        Args:
            dialogues: a `Dialogue`, a list of utterances (dictionaries with `text`, `speaker`, `audio`,
                `sampling_rate`, `action_units`, ...), a dictionary with `utterances`, or a list of any of these.
            modalities: of `text`, `audio` and `visual`; default: all that are there.
            settings: `context`, `past_utterances`, `future_utterances`, `max_length`, `speaker_prefix` instead of the
                processor's own; `sampling_rate` of all sound that does not bring its own, in Hz; `return_tensors`,
                `pt` (default) or `np`.

        Returns:
            The tensors of `model_input_names`, [B, U, ...].

        Raises:
            TypeError, ValueError: for what is not a dialogue, or sound without or with an unusable sampling rate.
        """
        unknown = settings.keys() - CallSettings.__annotations__.keys()
        if unknown:
            raise TypeError(f"The processor has no setting {', '.join(sorted(unknown))}; see `CallSettings`.")
        chosen: dict[str, Any] = {name: getattr(self, name, None) for name in CallSettings.__annotations__}
        chosen |= {name: value for name, value in settings.items() if value is not None}
        _check_settings(chosen)
        wanted = MODALITIES if modalities is None else tuple(modalities)
        batch = [[_Fields(utterance) for utterance in dialogue] for dialogue in _as_batch(dialogues)]

        features: dict[str, np.ndarray] = {
            "utterance_mask": _pad([np.ones(len(dialogue), dtype=bool) for dialogue in batch]),
            "speaker_ids": _pad([np.array(_speaker_ids(dialogue)) for dialogue in batch], fill=-1),
        }
        everyone = [utterance for dialogue in batch for utterance in dialogue]
        if "text" in wanted and any(one.text and one.text_features is None for one in everyone):
            features |= self._text(batch, chosen)
        if "audio" in wanted and any(one.audio is not None and one.audio_features is None for one in everyone):
            features |= self._audio(batch, chosen["sampling_rate"])
        if "visual" in wanted:
            features |= self._visual(batch)
        for modality in wanted:
            features |= _cached(batch, f"{modality}_features")
        return BatchFeature(features, tensor_type=chosen["return_tensors"] or "pt")

    def _text(self, batch: list[list["_Fields"]], settings: dict[str, Any]) -> dict[str, np.ndarray]:
        rows = [self._with_context(dialogue, settings) for dialogue in batch]
        ids = _pad_nested([[ids for ids, _ in row] for row in rows], fill=self.tokenizer.pad_token_id or 0)
        lengths = np.array([[len(row[u][0]) if u < len(row) else 0 for u in range(ids.shape[1])] for row in rows])
        return {
            "input_ids": ids,
            "attention_mask": np.arange(ids.shape[2]) < lengths[..., None],
            "pooling_mask": _pad_nested([[own for _, own in row] for row in rows], fill=False),
        }

    def _with_context(self, dialogue: list["_Fields"], settings: dict[str, Any]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Each utterance's token ids with its context, and which of them are its own words."""
        start, between, end = self._special_tokens()
        prefixes = [self._tokens(prefix) for prefix in _prefixes(dialogue, settings["speaker_prefix"])]
        words = [
            self._tokens(utterance.text or "", continues=bool(prefixes[u])) for u, utterance in enumerate(dialogue)
        ]
        if settings["context"] == "dialogue":
            return _in_shared_rows(prefixes, words, (start, between, end), settings["max_length"])
        spoken = [prefix + own if own else [] for prefix, own in zip(prefixes, words, strict=True)]
        rows = []
        for u, own in enumerate(words):
            if not own:
                rows.append((np.empty(0, dtype=np.int64), np.empty(0, dtype=bool)))
                continue
            room = settings["max_length"] - len(start) - 2 * len(between) - len(end) - len(spoken[u])
            past, future = _nearest_that_fit([len(tokens) for tokens in spoken], u, room, settings)
            before = [token for tokens in spoken[past] for token in tokens]
            after = [token for tokens in spoken[future] for token in tokens]
            left = start + (before + between if before else []) + prefixes[u]
            right = (between + after if after else []) + end
            ids = np.array(left + own + right, dtype=np.int64)
            mask = np.zeros(len(ids), dtype=bool)
            mask[len(left) : len(left) + len(own)] = True
            rows.append((ids, mask))
        return rows

    def _tokens(self, text: str, continues: bool = False) -> list[int]:
        if not text:
            return []
        # Byte-level tokenizers tell a word after a space from one at the start.
        text = f" {text}" if continues else text
        return self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]

    def _special_tokens(self) -> tuple[list[int], list[int], list[int]]:
        """What the tokenizer puts before, between and behind two texts."""
        pair = self.tokenizer("a", "b", verbose=False)
        ids, sequence = pair["input_ids"], pair.sequence_ids(0)
        first = [position for position, number in enumerate(sequence) if number == 0]
        second = [position for position, number in enumerate(sequence) if number == 1]
        return ids[: first[0]], ids[first[-1] + 1 : second[0]], ids[second[-1] + 1 :]

    def _audio(self, batch: list[list["_Fields"]], sampling_rate: int | None) -> dict[str, np.ndarray]:
        target = self.feature_extractor.sampling_rate
        sounds = [[_sound(utterance, sampling_rate, target) for utterance in dialogue] for dialogue in batch]
        values = [
            [
                np.empty(0, dtype=np.float32)
                if sound is None
                else self.feature_extractor(sound, sampling_rate=target, return_tensors="np")["input_values"][0]
                for sound in row
            ]
            for row in sounds
        ]
        padded = _pad_nested(values, fill=0.0)
        lengths = np.array([[len(row[u]) if u < len(row) else 0 for u in range(padded.shape[1])] for row in values])
        return {"input_values": padded, "audio_attention_mask": np.arange(padded.shape[2]) < lengths[..., None]}

    def _visual(self, batch: list[list["_Fields"]]) -> dict[str, np.ndarray]:
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
            features |= {key: _pad([one[key] for one in each]) for key in each[0]}
        return features


def _wordless_tokenizer() -> PreTrainedTokenizerBase:
    words = Tokenizer(models.WordLevel({"<pad>": 0, "<unk>": 1}, unk_token="<unk>"))
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", unk_token="<unk>")


class _Fields:
    """An utterance, given as an `Utterance` or a dictionary of its fields."""

    def __init__(self, source: Any) -> None:
        get = source.get if isinstance(source, Mapping) else lambda name: getattr(source, name, None)
        if not isinstance(source, Mapping) and not hasattr(source, "text"):
            raise TypeError(
                f"An utterance must be an Utterance or a dictionary of its fields, found {type(source).__name__}."
            )
        self.text = (get("text") or "").strip() or None
        self.speaker = get("speaker")
        self.audio = get("audio")
        self.sampling_rate = get("sampling_rate")
        self.action_units = get("action_units")
        self.appearance = get("appearance")
        self.face_areas = get("face_areas")
        self.face_ids = get("face_ids")
        self.text_features = get("text_features")
        self.audio_features = get("audio_features")
        self.visual_features = get("visual_features")


def _cached(batch: list[list[_Fields]], name: str) -> dict[str, np.ndarray]:
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


def _as_batch(source: Any) -> list[list[Any]]:
    """Any accepted form to a list of lists of utterances."""
    if isinstance(source, (str, bytes)):
        raise TypeError("The processor takes dialogues, found a string; give [{'text': ..., 'speaker': ...}, ...].")
    if _is_dialogue(source):
        return [_utterances(source)]
    items = list(source)
    if not items:
        raise ValueError("The processor takes one utterance at least, found an empty list.")
    if any(_is_dialogue(item) or isinstance(item, (list, tuple)) for item in items):
        return [_utterances(item) for item in items]
    return [items]


def _is_dialogue(source: Any) -> bool:
    return hasattr(source, "utterances") or (isinstance(source, Mapping) and "utterances" in source)


def _utterances(dialogue: Any) -> list[Any]:
    utterances = list(
        dialogue["utterances"] if isinstance(dialogue, Mapping) else getattr(dialogue, "utterances", dialogue)
    )
    if not utterances:
        raise ValueError("A dialogue needs one utterance at least, found none.")
    return utterances


def _speaker_ids(dialogue: list[_Fields]) -> list[int]:
    order: dict[str, int] = {}
    return [-1 if u.speaker is None else order.setdefault(u.speaker, len(order)) for u in dialogue]


def _prefixes(dialogue: list[_Fields], kind: str) -> list[str]:
    if kind == "name":
        return [f"{u.speaker}:" if u.speaker else "" for u in dialogue]
    if kind == "index":
        return [f"Speaker {index + 1}:" if index >= 0 else "" for index in _speaker_ids(dialogue)]
    return [""] * len(dialogue)


def _in_shared_rows(
    prefixes: list[list[int]],
    words: list[list[int]],
    special: tuple[list[int], list[int], list[int]],
    max_length: int,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each utterance's row of the dialogue's token ids, and which of them are its own words."""
    start, between, end = special
    rows = [(np.empty(0, dtype=np.int64), np.empty(0, dtype=bool))] * len(words)
    said = [u for u, own in enumerate(words) if own]
    lengths = [len(prefixes[u]) + len(words[u]) + len(between) for u in said]
    # The last utterance of a row has nothing to be parted from.
    for first, new, stop in _stretches(lengths, max_length - len(start) - len(end) + len(between)):
        tokens, own = list(start), {}
        for u in said[first:stop]:
            tokens += prefixes[u]
            own[u] = slice(len(tokens), len(tokens) + len(words[u]))
            tokens += words[u] + between
        ids = np.array(tokens[: len(tokens) - len(between)] + end, dtype=np.int64)
        for u in said[new:stop]:
            mask = np.zeros(len(ids), dtype=bool)
            mask[own[u]] = True
            rows[u] = ids, mask
    return rows


def _stretches(lengths: list[int], room: int) -> Iterator[tuple[int, int, int]]:
    """Cut a dialogue into stretches that fit in `room`: from where the first utterance is read, is new, and the end."""
    new = 0
    while new < len(lengths):
        first, stop, left = new, new + 1, room - lengths[new]
        past = min(left, room // 4)
        while first > 0 and lengths[first - 1] <= past:
            first -= 1
            past -= lengths[first]
            left -= lengths[first]
        while stop < len(lengths) and lengths[stop] <= left:
            left -= lengths[stop]
            stop += 1
        yield first, new, stop
        new = stop


def _nearest_that_fit(lengths: list[int], u: int, room: int, settings: dict[str, Any]) -> tuple[slice, slice]:
    """The past and future utterances beside the u-th whose tokens fit in `room`, taken in turn from the nearest out."""
    longest = {"past": u, "future": len(lengths) - u - 1}
    for side, limit in longest.items():
        allowed = settings["context"] == "both" or settings["context"] == side
        chosen = settings[f"{side}_utterances"] if allowed else 0
        longest[side] = limit if chosen is None else min(limit, chosen)
    taken = {"past": 0, "future": 0}
    open_sides = {"past": -1, "future": 1}
    while open_sides:
        for side, step in list(open_sides.items()):
            neighbour = u + step * (taken[side] + 1)
            if taken[side] == longest[side] or lengths[neighbour] > room:
                del open_sides[side]
                continue
            room -= lengths[neighbour]
            taken[side] += 1
    return slice(u - taken["past"], u), slice(u + 1, u + 1 + taken["future"])


def _sound(utterance: _Fields, default_rate: int | None, target: int) -> np.ndarray | None:
    """The utterance's sound at the target rate, at least one encoder frame long."""
    if utterance.audio is None or not len(utterance.audio):
        return None
    sound = np.asarray(utterance.audio, dtype=np.float32)
    if sound.ndim != 1:
        raise ValueError(f"`audio` must be mono with the shape [S], found {list(sound.shape)}.")
    rate = utterance.sampling_rate or default_rate
    if rate is None:
        raise ValueError(
            f"Sound needs its sampling rate, found none; give `sampling_rate` (in Hz; the model hears {target} Hz)."
        )
    if not isinstance(rate, (int, np.integer)) or rate < 1:
        raise ValueError(f"`sampling_rate` must be a positive whole number of Hz, found {rate!r}.")
    if rate != target:
        sound = _resample(sound, int(rate), target)
    return np.pad(sound, (0, max(0, SHORTEST_SOUND - len(sound))))


def _resample(sound: np.ndarray, rate: int, target: int) -> np.ndarray:
    try:
        import av
    except ImportError:
        raise ValueError(
            f"The model hears {target} Hz, found sound at {rate} Hz; resample it, or `pip install av` to have it done."
        ) from None
    resampler = av.AudioResampler(format="flt", layout="mono", rate=target)
    frame = av.AudioFrame.from_ndarray(sound[None], format="flt", layout="mono")
    frame.sample_rate = rate
    frames = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(np.float32)


def _pad(arrays: Sequence[np.ndarray], fill: Any = 0) -> np.ndarray:
    """Arrays of one number of dimensions to one array, padded at the end of each."""
    shape = [max(sizes) for sizes in zip(*(array.shape for array in arrays), strict=True)]
    padded = np.full((len(arrays), *shape), fill, dtype=arrays[0].dtype)
    for row, array in zip(padded, arrays, strict=True):
        row[tuple(slice(size) for size in array.shape)] = array
    return padded


def _pad_nested(rows: Sequence[Sequence[np.ndarray]], fill: Any) -> np.ndarray:
    """[B][U] vectors to [B, U, longest]; at least one column, so that a shape is never empty."""
    longest = max([1, *(len(vector) for row in rows for vector in row)])
    padded = np.full((len(rows), max(map(len, rows)), longest), fill, dtype=rows[0][0].dtype)
    for b, row in enumerate(rows):
        for u, vector in enumerate(row):
            padded[b, u, : len(vector)] = vector
    return padded


def _check_settings(settings: Mapping[str, Any]) -> None:
    _require_choice("context", settings["context"], CONTEXTS)
    _require_choice("speaker_prefix", settings["speaker_prefix"], SPEAKER_PREFIXES)
    for name in ("past_utterances", "future_utterances"):
        if settings[name] is not None and settings[name] < 0:
            raise ValueError(f"`{name}` must be at least 0, or None for as many as fit, found {settings[name]}.")


def _require_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {', '.join(choices)}, found {value!r}.")


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
