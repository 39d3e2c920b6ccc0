"""What the config of an encoder inside a model may be."""

import re
from typing import Any

from transformers import PreTrainedConfig

from .label_checks_m2fnet import shown
from .names_m2fnet import LARGEST_SIZE
from .strict_config_m2fnet import MOST_LAYERS, check_range

# Of the library's configs: probabilities, and sizes where there are some.
_SHARE = re.compile(r"dropout|layerdrop|_prob$")
_EPSILON = re.compile(r"(^|_)eps$")
_SIZES = ("intermediate_size", "max_source_positions", "num_attention_heads", "num_mel_bins", "vocab_size")


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


__all__ = ["check_encoder"]
