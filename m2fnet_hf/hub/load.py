"""Which model a command runs."""

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..embedded_models import embedded, embedded_names
from ..registration import DEFAULT_CHECKPOINT, TASK, is_exported
from ..utils.console import say
from .license import CODE_LICENSE, ModelLicense, read_license

if TYPE_CHECKING:
    from ..pipeline_m2fnet import MultimodalEmotionPipeline

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
    license = read_license(find_model(model))
    return None if license is None else license.name


def load_pipeline(model: str | None, **options: Any) -> "MultimodalEmotionPipeline":
    """The pipeline of a folder, a Hub name, or an embedded model, without the library's chatter.

    Says the licence of the weights where it is not that of the code.
    """
    from transformers import pipeline
    from transformers.utils import logging

    build: Any = pipeline  # its overloads know the library's own tasks only

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    name = find_model(model)
    if Path(name).is_dir() and not is_exported(name):
        _check_checkpoint(Path(name))
    try:
        pipe = build(TASK, model=name, **options)
    except Exception as error:
        from .errors import explain

        why = explain(error, name) or error
        known = f"a folder, an embedded model ({', '.join(embedded_names())}) or a Hub name"
        raise OSError(f"No model could be loaded from {name} ({known}): {why}") from error
    _say_license(Path(name).name, read_license(name))
    return pipe


def _say_license(name: str, license: ModelLicense | None) -> None:
    if license is not None and license.name != CODE_LICENSE:
        say(f"the model {name} is licensed {license}.")


def _check_checkpoint(folder: Path) -> None:
    for part, pattern in (
        ("config.json", "config.json"),
        ("weights (*.safetensors)", "*.safetensors"),
        ("processor_config.json", "processor_config.json"),
        ("tokenizer_config.json", "tokenizer_config.json"),
    ):
        if not any(folder.glob(pattern)):
            raise FileNotFoundError(f"A checkpoint must hold its {part}, found none in {folder}; save it there again.")
