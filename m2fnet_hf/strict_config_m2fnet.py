"""Configs that are checked field by field: each wrong value is one sentence that names the file and the field."""

import difflib
import inspect
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin

from huggingface_hub.dataclasses import strict, type_validator
from huggingface_hub.errors import StrictDataclassError, StrictDataclassFieldValidationError
from transformers import PreTrainedConfig
from transformers.utils import logging

from .label_checks_m2fnet import shown

# Above it a config is a mistake or an attack: building the model would fill the memory first.
MOST_LAYERS = 1_000
DTYPES = ("auto", "float16", "bfloat16", "float32", "float64")
# The library's own fields, which it does not check.
_LIBRARY_FIELDS = {
    "architectures": list[str] | None,
    "attn_implementation": str | None,
    "auto_map": dict | None,
    "chunk_size_feed_forward": int,
    "custom_pipelines": dict | None,
    "dtype": str | None,
    "id2label": dict[str, str] | dict[int, str] | None,
    "is_encoder_decoder": bool,
    "label2id": dict[str, int] | None,
    "num_labels": int | None,
    "output_attentions": bool | None,
    "output_hidden_states": bool | None,
    "problem_type": str | None,
    "quantization_config": dict | None,
    "return_dict": bool | None,
    "torch_dtype": str | None,
    "transformers_version": str | None,
}

# What the library adds to a config that it saves, beside the attributes of a plain config.
_ADDED_ON_SAVING = (
    *("model_type", "auto_map", "custom_pipelines", "quantization_config", "use_cache"),
    *("pad_token_id", "bos_token_id", "eos_token_id"),  # by Trainer, from the tokenizer
)
_IN_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a string",
    NoneType: "None",
    dict: "a mapping",
    list: "a list",
}
_BY_NAME = {kind.__name__: words for kind, words in _IN_WORDS.items()} | {"None": "None"}

Config = TypeVar("Config", bound=PreTrainedConfig)

logger = logging.get_logger(__name__)


def strict_config(config_class: type[Config]) -> type[Config]:
    """The library's strict form, where a dictionary becomes its sub-config.

    Raises:
        ValueError: for a value of a wrong type, when it is set.
    """
    config_class = strict(config_class)
    assign: Callable[..., None] = config_class.__setattr__
    kinds = {field.name: field.type for field in fields(config_class)}
    own = inspect.get_annotations(config_class)

    def __setattr__(self: Any, name: str, value: Any) -> None:  # noqa: N807
        if isinstance(value, dict) and name in config_class.sub_configs:
            value = _sub_config(name, value, config_class.sub_configs[name])
        if name in own:
            check_type(name, value, own[name])
        try:
            assign(self, name, value)
        except StrictDataclassFieldValidationError as error:
            raise ValueError(f"`{name}` must be {in_words(kinds[name])}, found {shown(value)}.") from error

    config_class.__setattr__ = __setattr__  # type: ignore[method-assign]
    return config_class


def _sub_config(name: str, values: dict[str, Any], config_class: Any) -> PreTrainedConfig:
    model_type = values.get("model_type")
    if not issubclass(config_class, PreTrainedConfig):
        # Not above: when the library's table is loaded, our configs are put into it, and they need this file.
        from transformers import CONFIG_MAPPING

        if not isinstance(model_type, str) or model_type not in CONFIG_MAPPING:
            raise ValueError(
                f"`{name}` must name a model type of transformers in its `model_type`, found {shown(model_type)}; "
                "pass a config object or the dictionary of one."
            )
        config_class = CONFIG_MAPPING[model_type]
    try:
        if issubclass(config_class, KnownKeywordsConfig):
            return config_class(**values)
        _check_library_fields(values)
        return config_class.from_dict(dict(values))
    except StrictDataclassError as error:
        raise ValueError(f"`{name}`: {_of_the_library(error, config_class, values)}") from error
    except ValueError as error:
        raise ValueError(f"`{name}`: {error}") from error
    except (AttributeError, LookupError, TypeError, ArithmeticError) as error:
        raise ValueError(
            f"`{name}` must be a config of model type {model_type}, found values it cannot have."
        ) from error


def _of_the_library(error: Exception, config_class: Any, values: Mapping[str, Any]) -> str:
    """What is wrong with a library's config, in our words."""
    kinds = {field.name: field.type for field in fields(config_class)}
    name = next((name for name in kinds if f"field '{name}'" in str(error)), None)
    if name is None:
        return " ".join(str(error).split(": ", 2)[-1].split())
    return f"`{name}` must be {in_words(kinds[name])}, found {shown(values.get(name))}."


def in_words(kind: Any) -> str:
    """What values a field's annotation allows, which is a string in some of the library's modules."""
    if isinstance(kind, str):
        return " or ".join(_BY_NAME.get(name, name) for name in kind.split(" | "))
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    if get_origin(kind) in (Sequence, list, tuple):
        return f"a list, each of it {in_words(get_args(kind)[0])}"
    if get_origin(kind) is dict:
        return "a mapping"
    if isinstance(kind, type) and issubclass(kind, PreTrainedConfig):
        return "a config"
    kinds = [one for one in get_args(kind) if not (one is int and float in get_args(kind))]
    words = map(in_words, kinds) if kinds else [_IN_WORDS.get(kind) or f"a {getattr(kind, '__name__', kind)}"]
    return " or ".join(dict.fromkeys(words))


class KnownKeywordsConfig(PreTrainedConfig):
    """A config that takes the keywords it knows only; of a saved config, unknown ones are left out with a warning.

    Raises:
        ValueError: for an unknown keyword.
    """

    def __post_init__(self, **kwargs: Any) -> None:
        for name in _unknown(type(self), kwargs):
            near = difflib.get_close_matches(name, _keywords(type(self)), n=1)
            hint = f"; did you mean `{near[0]}`?" if near else "."
            raise ValueError(f"{type(self).__name__} has no argument `{name}`{hint}")
        if isinstance(self.dtype, str):
            _check_dtype(self.dtype)
        super().__post_init__(**kwargs)

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, pretrained_model_name_or_path: str | os.PathLike, **kwargs: Any
    ) -> Any:
        """See the library.

        Raises:
            ValueError: for a value that cannot be, naming the file and the field.
        """
        kwargs["name_or_path"] = str(pretrained_model_name_or_path)
        try:
            return super().from_pretrained(pretrained_model_name_or_path, **kwargs)
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError) as error:
            raise ValueError(f"{_file_of(kwargs)} must hold the object of a config, found something else.") from error

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """See the library. What a later version or another tool has added to a saved config is left out."""
        try:
            return cls._from_dict(config_dict, **kwargs)
        except ValueError as error:
            if "name_or_path" not in kwargs:
                raise
            raise ValueError(f"{_file_of(kwargs)}: {error}") from error

    @classmethod
    def _from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        # A file says what it is; the keyword arguments of a config need not.
        found = config_dict.get("model_type", None if "name_or_path" in kwargs else cls.model_type)
        if found != cls.model_type:
            raise ValueError(f"`model_type` must be {cls.model_type}, found {shown(found)}; name another model.")
        check_finite(config_dict)
        _check_library_fields(config_dict)
        _check_count(config_dict)
        if "id2label" in kwargs:  # the file's other mapping is not about these
            config_dict = {**config_dict, "id2label": kwargs.pop("id2label"), "label2id": kwargs.pop("label2id", None)}
        left_out = _unknown(cls, config_dict)
        if left_out:
            logger.warning(f"{cls.__name__} has no use for {', '.join(left_out)} in the saved config.")
        left_out += ["attn_implementation", "_attn_implementation"]  # a matter of the machine, and of who loads it
        if cls._auto_class is None:  # loaded from the package, where the library must not ask for remote code
            left_out += ["auto_map", "custom_pipelines"]
        if config_dict.get("num_labels", 0) is None:
            left_out.append("num_labels")
        kept = {name: value for name, value in config_dict.items() if name not in left_out}
        for name, config_class in cls.sub_configs.items():
            if isinstance(kept.get(name), dict) and issubclass(config_class, KnownKeywordsConfig):
                try:
                    kept[name] = config_class.from_dict(kept[name])
                except ValueError as error:
                    raise ValueError(f"`{name}`: {error}") from error
        return super().from_dict(kept, **kwargs)


def check_finite(values: Any, path: str = "") -> None:
    """Refuse NaN and infinity, wherever they are in a config.

    Raises:
        ValueError: naming the field.
    """
    if isinstance(values, float) and not math.isfinite(values):
        raise ValueError(f"`{path}` must be a finite number, found {values}.")
    if isinstance(values, (dict, list)):
        for name, value in values.items() if isinstance(values, dict) else enumerate(values):
            check_finite(value, f"{path}.{name}" if path else str(name))


def check_type(name: str, value: Any, kind: Any) -> None:
    """Refuse a value of another type; true and false are no numbers.

    Raises:
        ValueError: naming the field.
    """
    try:
        type_validator(name, value, kind)
        if isinstance(value, bool) and kind is not Any and bool not in (kind, *get_args(kind)):
            raise TypeError
    except TypeError:
        raise ValueError(f"`{name}` must be {in_words(kind)}, found {shown(value)}.") from None


def check_range(config: Any, low: float, high: float, *names: str) -> None:
    """Refuse numbers outside of a range, both ends in it; `None` is none.

    Raises:
        ValueError: naming the field.
    """
    for name in names:
        value = getattr(config, name)
        if value is not None and not low <= value <= high:
            kind = in_words(int if isinstance(value, int) and isinstance(low, int) else float)
            raise ValueError(f"`{name}` must be {kind} from {low} to {high}, found {shown(value)}.")


def _check_library_fields(values: Mapping[str, Any]) -> None:
    for name, kind in _LIBRARY_FIELDS.items():
        if name in values:
            check_type(name, values[name], kind)
        if name.endswith("dtype") and values.get(name) is not None:
            _check_dtype(values[name])
    if not all(str(key).isdecimal() for key in values.get("id2label") or ()):
        raise ValueError(f"`id2label` must number its labels, found {shown(values['id2label'])}.")


def _check_dtype(dtype: str) -> None:
    if dtype.removeprefix("torch.") not in DTYPES:
        raise ValueError(f"`dtype` must be one of {', '.join(DTYPES)}, found {shown(dtype)}.")


def _check_count(values: Mapping[str, Any]) -> None:
    """A saved config tells its labels by name alone, so a number beside them is another's."""
    labels, count = values.get("id2label"), values.get("num_labels")
    if isinstance(labels, dict) and count is not None and count != len(labels):
        raise ValueError(f"`num_labels` must be that of `id2label`, {len(labels)}, found {shown(count)}.")


def _file_of(kwargs: Mapping[str, Any]) -> str:
    """The file of a config, as messages name it."""
    name = str(kwargs["name_or_path"])
    path = Path(name, kwargs.get("subfolder") or "")
    if path.is_dir():
        return str(path / "config.json")
    return name if path.is_file() else f"config.json of {name}"


def _keywords(config_class: type[PreTrainedConfig]) -> list[str]:
    """The fields of a config and what else its constructor takes by name."""
    more = inspect.signature(config_class.__post_init__).parameters
    return [*(field.name for field in fields(config_class)), *(name for name in more if name not in ("self", "kwargs"))]


def _unknown(config_class: type[PreTrainedConfig], names: Iterable[str]) -> list[str]:
    """Those of the names that neither the config nor the library has an attribute for."""
    known = {*_keywords(config_class), *_ADDED_ON_SAVING}
    attributes = vars(PreTrainedConfig())

    def is_setting(name: str) -> bool:  # which a method is not
        own = getattr(PreTrainedConfig, name, None)
        return name in attributes or (isinstance(own, property) and own.fset is not None)

    # The library passes some of its private attributes by their public name, such as `attn_implementation`.
    return [name for name in names if name not in known and not is_setting(name) and not is_setting(f"_{name}")]


__all__ = ["KnownKeywordsConfig", "check_finite", "check_range", "check_type", "strict_config"]
