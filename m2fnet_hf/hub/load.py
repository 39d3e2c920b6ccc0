"""Which model a command runs."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..registration import DEFAULT_CHECKPOINT, TASK, is_exported

if TYPE_CHECKING:
    from ..configuration_m2fnet import M2FNetConfig
    from ..pipeline_m2fnet import MultimodalEmotionPipeline


def add_model(parser: argparse.ArgumentParser) -> None:
    """The option `--model`."""
    parser.add_argument("--model", metavar="NAME", help="folder or Hub name; default: the embedded meld-mini")


def model_name(model: str | None) -> str:
    """What a result calls the model, without the way to its folder."""
    return DEFAULT_CHECKPOINT.name if model is None else Path(model).name


def load_pipeline(model: str | None, **options: Any) -> "MultimodalEmotionPipeline":
    """The pipeline of a folder, a Hub name, or the embedded checkpoint, without the library's chatter."""
    from transformers import pipeline

    build: Any = pipeline  # its overloads know the library's own tasks only

    return _load(model, lambda name: build(TASK, model=name, **options))


def load_config(model: str | None) -> "M2FNetConfig":
    """The configuration alone, which tells what a model reads before it is loaded."""
    from ..configuration_m2fnet import M2FNetConfig

    return _load(model, M2FNetConfig.from_pretrained)


def _load(model: str | None, load: Callable[[str], Any]) -> Any:
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    name = str(DEFAULT_CHECKPOINT) if model is None else model
    if Path(name).is_dir() and not is_exported(name):
        _check_checkpoint(Path(name))
    try:
        return load(name)
    except Exception as error:
        from .errors import explain

        why = explain(error, name) or error
        raise OSError(f"No model could be loaded from {name} (a folder or a Hub name): {why}") from error


def _check_checkpoint(folder: Path) -> None:
    for part, pattern in (
        ("config.json", "config.json"),
        ("weights (*.safetensors)", "*.safetensors"),
        ("processor_config.json", "processor_config.json"),
        ("tokenizer_config.json", "tokenizer_config.json"),
    ):
        if not any(folder.glob(pattern)):
            raise FileNotFoundError(f"A checkpoint must hold its {part}, found none in {folder}; save it there again.")
