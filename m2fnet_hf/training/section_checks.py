"""The sections of a run's YAML file: which settings they have, and what values these may have."""

import difflib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_args

from transformers import PreTrainedConfig

from ..label_checks_m2fnet import shown
from ..strict_config_m2fnet import check_type

PROCESSOR_SETTINGS: dict[str, Any] = {
    "tokenizer": Any,  # a name, or in Python the tokenizer itself
    "feature_extractor": Any,
    "au_feature_extractor": dict | None,
    "appearance": str | None,
    "geometry": bool,
    "context": str,
    "past_utterances": int | None,
    "future_utterances": int | None,
    "max_length": int,
    "speaker_prefix": str,
}
MEDIA_SETTINGS: dict[str, Any] = {
    "faces": str | None,
    "frame_rate": float,
    "audio_track": int | None,
    "cache": str | bool,
}


def check_section(section: str, values: Any, settings: Mapping[str, Any]) -> None:
    """Refuse settings that a section does not have, values of another type, and secrets.

    Args:
        settings: type by name.

    Raises:
        ValueError: naming the setting, what was expected and what was found.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"`{section}` must be a mapping of settings, found {shown(values)}.")
    for name, value in values.items():
        if name not in settings:
            near = difflib.get_close_matches(str(name), settings, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"it has {_some(settings)}."
            raise ValueError(f"`{section}` has no setting `{name}`; {hint}")
        if str(name).endswith("_token") and value is not None:
            raise ValueError(f"`{section}.{name}` must not be in a run, which is published; set HF_TOKEN instead.")
        # YAML reads a bare `no` as false, where the library wants the word.
        if not (str(name).endswith("_strategy") and value is False):
            check_type(f"{section}.{name}", value, _with_whole_numbers(settings[name]))


def config_settings(config_class: type[PreTrainedConfig]) -> dict[str, Any]:
    """The arguments of a config and their types; an encoder's config is a mapping here."""
    own = {field.name: field.type for field in fields(config_class) if not isinstance(field.type, str)}
    kinds = {name: kind for name, kind in own.items() if name not in config_class.sub_configs}
    library = {"id2label": dict | None, "label2id": dict | None, "num_labels": int | None, "face_pooling": str | None}
    return {**kinds, **dict.fromkeys(config_class.sub_configs, dict | None), **library}


def _with_whole_numbers(kind: Any) -> Any:
    """Where YAML may write 1, for 1.0."""
    return kind | int if kind is float or (float in get_args(kind) and int not in get_args(kind)) else kind


def _some(settings: Mapping[str, Any]) -> str:
    names = list(settings)
    return ", ".join(names) if len(names) <= 12 else f"{', '.join(names[:12])}, ..."
