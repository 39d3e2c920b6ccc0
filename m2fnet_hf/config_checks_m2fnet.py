"""What a model's labels, languages and encoders may be."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from transformers import PreTrainedConfig

from .strict_config_m2fnet import LARGEST_SIZE, MOST_LAYERS, check_range, shown

_LANGUAGE = re.compile(r"[a-z]{2,3}")
# Of the library's configs: probabilities, and sizes where there are some.
_SHARE = re.compile(r"dropout|layerdrop|_prob$")
_EPSILON = re.compile(r"(^|_)eps$")
_SIZES = ("intermediate_size", "max_source_positions", "num_attention_heads", "num_mel_bins", "vocab_size")


def check_labels(id2label: Mapping[Any, Any], label2id: Mapping[Any, Any] | None) -> None:
    """Labels must be told apart, by number and by name.

    Raises:
        ValueError: for numbers that are not 0, 1, ..., for names that are empty, unprintable or alike, and where the
            two mappings do not agree.
    """
    numbers = [_number(key) for key in id2label]
    if not numbers or set(numbers) != set(range(len(numbers))):
        raise ValueError(f"`id2label` must number its labels 0, 1, ... without a gap, found {shown(list(id2label))}.")
    names = list(id2label.values())
    unusable = [name for name in names if not isinstance(name, str) or not name.strip() or not name.isprintable()]
    if unusable:
        raise ValueError(f"`id2label` must hold names that can be printed, found {shown(unusable[0])}.")
    twice = _alike(names)
    if twice:
        raise ValueError(f"`id2label` must hold different names, found {', '.join(twice)} more than once.")
    expected = dict(zip(names, numbers, strict=True))
    if label2id is not None and dict(label2id) != expected:
        wrong = next(name for name in (*label2id, *expected) if label2id.get(name) != expected.get(name))
        raise ValueError(
            f"`label2id` must be `id2label` the other way round, found {shown(label2id.get(wrong))} for "
            f"{shown(wrong)}; leave it out."
        )


def check_languages(languages: Sequence[str]) -> None:
    """Languages must be codes of ISO 639.

    Raises:
        ValueError: for anything else.
    """
    wrong = [code for code in languages if not _LANGUAGE.fullmatch(code)]
    if wrong or not languages:
        raise ValueError(
            f"`languages` must be codes of ISO 639 such as `en`, or None, found {shown(wrong[0] if wrong else [])}."
        )


def check_units(names: Sequence[str]) -> None:
    """Action Units must be told apart by name.

    Raises:
        ValueError: for names that are empty or alike.
    """
    twice = _alike(names)
    if twice or not all(name.strip() for name in names):
        raise ValueError(f"`action_units` must hold different names, found {', '.join(twice) or 'an empty one'}.")


def check_encoder(name: str, config: PreTrainedConfig) -> None:
    """What every text and sound encoder must tell of itself.

    Raises:
        ValueError: for a config without sizes, and for sizes that no encoder can have.
    """
    width = getattr(config, "hidden_size", None)
    if not isinstance(width, int) or isinstance(width, bool):
        raise ValueError(
            f"`{name}` must be the config of an encoder with a whole number as `hidden_size`, found {shown(width)} in "
            f"one of model type {config.model_type}."
        )
    numbers = {field: value for field, value in _values(config).items() if isinstance(value, (int, float))}
    try:
        check_range(config, 1, LARGEST_SIZE, "hidden_size", *(field for field in _SIZES if field in numbers))
        check_range(config, 0, MOST_LAYERS, *(field for field in ("num_hidden_layers",) if field in numbers))
        check_range(config, 0, 1, *(field for field in numbers if _SHARE.search(field)))
        check_range(config, 1e-20, 1, *(field for field in numbers if _EPSILON.search(field)))
    except ValueError as error:
        raise ValueError(f"`{name}`: {error}") from None


def _values(config: PreTrainedConfig) -> dict[str, Any]:
    """The values of a config, also by the names that the library gives all configs."""
    aliases = {alias: getattr(config, own, None) for alias, own in config.attribute_map.items()}
    return {**vars(config), **aliases}


def _number(key: Any) -> int | None:
    """0 from 0 and "0"."""
    return int(key) if str(key).isdecimal() and str(key).isascii() and not isinstance(key, bool) else None


def _alike(names: Iterable[str]) -> list[str]:
    """Names that occur before, in other letters or blanks perhaps."""
    known: set[str] = set()
    again = []
    for name in names:
        plain = unicodedata.normalize("NFKC", name).strip().casefold()
        again += [name] if plain in known else []
        known.add(plain)
    return again


__all__ = ["check_encoder", "check_labels", "check_languages", "check_units"]
