"""YAML files as plain values: nothing in them is looked up, least of all in the environment."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError, safe_load

# Values of a file with all its aliases written out; a file of some lines can hold billions of them.
MOST_VALUES = 100_000


def read_mapping(path: str | Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The mapping in a YAML file, with `section.key=value` on top.

    Raises:
        FileNotFoundError: without the file.
        ValueError: for what is not YAML, no mapping, or refers to other values (`${...}`).
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"A YAML file must be there, found no {path}; check its path.")
    try:
        if _count(safe_load(path.read_text(encoding="utf-8")), {}) > MOST_VALUES:
            raise ValueError
        loaded: Any = OmegaConf.load(path)
        if isinstance(loaded, DictConfig):
            loaded = OmegaConf.merge(loaded, OmegaConf.from_dotlist(list(overrides)))
        values: Any = OmegaConf.to_container(loaded, resolve=False)
    except YAMLError as error:
        raise ValueError(f"{path} must be a YAML file: {' '.join(str(error).split())}.") from None
    except (OmegaConfBaseException, OSError, RecursionError, TypeError, ValueError):
        raise ValueError(
            f"{path} must be a YAML file in UTF-8 of at most {MOST_VALUES} values, found something else."
        ) from None
    if not isinstance(values, dict):
        raise ValueError(f"{path} must hold a mapping, found {_in_words(values)}; name what it holds.")
    check_plain(values, path)
    return values


def check_plain(value: Any, path: str | Path, name: str = "") -> None:
    """Refuse references to other values, to the environment among them, and keys that are no names.

    Raises:
        ValueError: naming the file and the key.
    """
    if isinstance(value, str) and "${" in value:
        raise ValueError(
            f"{path}: `{name}` must be a plain value, found the reference {value!r}; write the value itself."
        )
    if isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            check_plain(key, path, name or str(key))
            check_plain(item, path, f"{name}.{key}" if name else str(key))


def _count(value: Any, known: dict[int, int]) -> int:
    """Values in a value, each as often as it is written out."""
    if not isinstance(value, (dict, list)):
        return 1
    if id(value) not in known:
        known[id(value)] = MOST_VALUES + 1  # within itself there is no end to it
        items = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_count(item, known) for item in items)
    return known[id(value)]


def _in_words(value: Any) -> str:
    return {list: "a list", str: "text", type(None): "nothing"}.get(type(value), "a single value")
