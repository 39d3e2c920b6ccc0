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
# Beyond these numbers, both allowed, the library fails in the middle of a run, or trains nothing without a word.
BOUNDS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("training.learning_rate", "training.encoder_learning_rate"), (0, 1_000)),
    **dict.fromkeys(("training.layer_decay", "training.teachers_share", "training.label_smoothing_factor"), (0, 1)),
    **dict.fromkeys(("training.adam_beta1", "training.adam_beta2"), (0, 0.999_999)),
    **dict.fromkeys(("training.weight_decay", "training.max_grad_norm", "training.warmup_steps"), (0, 1_000_000)),
    **dict.fromkeys(("training.seed", "training.data_seed"), (0, 2**32 - 1)),
    **dict.fromkeys(
        ("training.per_device_train_batch_size", "training.per_device_eval_batch_size"),
        (1, 1_000_000),
    ),
    **dict.fromkeys(
        ("training.gradient_accumulation_steps", "training.early_stopping_patience"),
        (1, 1_000_000),
    ),
    "training.num_train_epochs": (0.01, 1_000_000),
    "training.dataloader_num_workers": (0, 1_000),
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
            _check_bounds(f"{section}.{name}", value)


def config_settings(config_class: type[PreTrainedConfig]) -> dict[str, Any]:
    """The arguments of a config and their types; an encoder's config is a mapping here."""
    own = {field.name: field.type for field in fields(config_class) if not isinstance(field.type, str)}
    kinds = {name: kind for name, kind in own.items() if name not in config_class.sub_configs}
    library = {"id2label": dict | None, "label2id": dict | None, "num_labels": int | None, "face_pooling": str | None}
    return {**kinds, **dict.fromkeys(config_class.sub_configs, dict | None), **library}


def _check_bounds(setting: str, value: Any) -> None:
    if setting not in BOUNDS:
        return
    low, high = BOUNDS[setting]
    if isinstance(value, int | float) and not low <= value <= high:
        raise ValueError(f"`{setting}` must be a number from {low} to {high}, found {shown(value)}.")


def _with_whole_numbers(kind: Any) -> Any:
    """Where YAML may write 1, for 1.0."""
    return kind | int if kind is float or (float in get_args(kind) and int not in get_args(kind)) else kind


def _some(settings: Mapping[str, Any]) -> str:
    names = list(settings)
    return ", ".join(names) if len(names) <= 12 else f"{', '.join(names[:12])}, ..."
