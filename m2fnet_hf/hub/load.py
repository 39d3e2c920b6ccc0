"""Which model a command runs."""

import argparse
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..embedded_models import embedded, embedded_names
from ..json_files_m2fnet import read_object
from ..registration import DEFAULT_CHECKPOINT, TASK, is_exported
from ..utils.console import say, working

if TYPE_CHECKING:
    from ..configuration_m2fnet import M2FNetConfig
    from ..pipeline_m2fnet import MultimodalEmotionPipeline
    from ..saved_config import SavedConfig

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def add_model(parser: argparse.ArgumentParser) -> None:
    """The option `--model`."""
    names = ", ".join(embedded_names())
    parser.add_argument(
        "--model",
        metavar="NAME",
        help=f"folder, embedded model ({names}) or Hub name; default: {DEFAULT_CHECKPOINT.name}",
    )


def find_model(model: str | None) -> str:
    """The folder of a model, or its name on the Hub.

    Args:
        model: a folder, the name of an embedded model, or a name on the Hub, the first of these that it can be.
            Default: the default model.

    Raises:
        FileNotFoundError: for what is none of these.
    """
    if model is None:
        return str(DEFAULT_CHECKPOINT)
    if Path(model).is_dir():
        return model
    if model in embedded_names():
        return embedded(model)
    if _HUB_NAME.fullmatch(model):
        return model
    raise FileNotFoundError(
        f"A model must be a folder, one of the embedded models ({', '.join(embedded_names())}) or organisation/name on "
        f"the Hub, found {model!r}; check the name."
    )


def model_name(model: str | None) -> str:
    """What a result calls the model, without the way to its folder."""
    return Path(find_model(model)).name


def model_license(model: str | None) -> str | None:
    """The licence of a model's weights, `None` where its card states none."""
    from .license import read_license

    license = read_license(find_model(model))
    return None if license is None else license.name


def load_pipeline(model: str | None, **options: Any) -> "MultimodalEmotionPipeline":
    """The pipeline of a folder, a Hub name, or an embedded model, without the library's chatter.

    That of an exported model, which makes the same predictions, loads neither torch nor transformers. Says the licence
    of the weights where it is not that of the code.

    Raises:
        FileNotFoundError: for a folder that lacks a file of a checkpoint.
        OSError: where no model is found.
    """
    folder = find_model(model)
    with working(f"Loading {model_name(model)}"):
        pipe: Any = _load_exported(folder, **options) if is_exported(folder) else _load_saved(model, **options)
    _say_license(model)
    return pipe


def load_config(model: str | None) -> "M2FNetConfig | SavedConfig":
    """The configuration alone, which tells what a model reads before it is loaded; of a folder without torch.

    Raises:
        FileNotFoundError: for a folder that is not there.
        ValueError: for one whose configuration cannot be read.
        OSError: where no model is found.
    """
    folder = Path(find_model(model))
    if folder.is_dir():
        from ..saved_config import SavedConfig

        if is_exported(folder):
            return SavedConfig(folder)
        _check_checkpoint(folder)
        with suppress(ValueError):  # of which the library's own says more
            return SavedConfig(folder)
    return _load_library_config(model)


def _load_library_config(model: str | None) -> "M2FNetConfig":
    from ..configuration_m2fnet import M2FNetConfig

    return _load(model, M2FNetConfig.from_pretrained)


def _load_exported(folder: str, **options: Any) -> Any:
    from ..export.pipeline import load_exported

    return load_exported(folder, **options)


def _load_saved(model: str | None, **options: Any) -> Any:
    from transformers import pipeline

    build: Any = pipeline  # its overloads know the library's own tasks only
    _load_library_config(model)  # says what is wrong with it before the library says something else
    return _load(model, lambda name: build(TASK, model=name, **options))


def _load(model: str | None, load: Callable[[str], Any]) -> Any:
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    name = find_model(model)
    if Path(name).is_dir() and not is_exported(name):
        _check_checkpoint(Path(name))
    try:
        return load(name)
    except Exception as error:
        from .errors import explain

        if Path(name).is_dir() and name in str(error) and "\n" not in str(error):  # a sentence about its files
            raise
        why = explain(error, name) or error
        known = f"a folder, an embedded model ({', '.join(embedded_names())}) or a Hub name"
        raise OSError(f"No model could be loaded from {name} ({known}): {why}") from error


def _say_license(model: str | None) -> None:
    from .license import CODE_LICENSE, read_license

    license = read_license(find_model(model))
    if license is not None and license.name != CODE_LICENSE:
        say(f"the model {model_name(model)} is licensed {license}.")


def _check_checkpoint(folder: Path) -> None:
    for part, pattern in (
        ("config.json", "config.json"),
        ("weights (*.safetensors)", "*.safetensors"),
        ("processor_config.json", "processor_config.json"),
        ("tokenizer_config.json", "tokenizer_config.json"),
    ):
        found = next(folder.glob(pattern), None)
        if found is None:
            raise FileNotFoundError(f"A checkpoint must hold its {part}, found none in {folder}; save it there again.")
        if found.suffix == ".json":
            read_object(found)
