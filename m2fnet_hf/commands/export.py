"""`m2fnet export`: a model for other runtimes."""

import argparse
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..hub.load import add_model, find_model, load_pipeline
from ..registration import is_exported
from ..utils.console import progress, remarks, tell, working
from ..utils.files import new_folder, scratch_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..dialogue_m2fnet import Dialogue
    from ..modeling_m2fnet import M2FNetForEmotionClassification
    from ..pipeline_m2fnet import MultimodalEmotionPipeline

EXPORT_EXTRA = "pip install 'm2fnet-hf[export]'"
# Utterances of each dialogue of a batch on which the time is taken.
TIMED = (8, 8, 8, 8)

DESCRIPTION = (
    "Write a model and its processor for onnxruntime, in single precision or with its encoders in 8 bits; "
    "`m2fnet predict --model FOLDER` runs them."
)


def add(commands: Any) -> None:
    """Add the command."""
    export = commands.add_parser(
        "export", help="write a model as ONNX graphs, which onnxruntime runs", description=DESCRIPTION
    )
    export.add_argument("format", choices=("onnx",), help="of the exported model")
    add_model(export)
    export.add_argument(
        "--output", type=Path, required=True, metavar="FOLDER", help="a new or empty folder for the graphs"
    )
    export.add_argument("--int8", action="store_true", help="round the weights of text and sound encoders to 8 bits")
    export.add_argument("--meld", type=Path, metavar="FOLDER", help="measure on MELD what --int8 costs")
    export.add_argument("--split", choices=("train", "dev", "test"), default="dev", help="of MELD; default: dev")
    export.set_defaults(command=_export, parser=export)


def _export(options: argparse.Namespace) -> None:
    if options.meld is not None and not options.int8:
        options.parser.error("--meld measures what --int8 costs, found no --int8")
    _needed("onnx")  # says at once what it lacks
    source = find_model(options.model)
    if is_exported(source):
        raise ValueError(f"A model to export must be one of torch, found one that is exported, {options.model}.")
    dialogues = None if options.meld is None else _meld(options)
    with remarks(), new_folder(options.output) as unfinished:
        pipe = load_pipeline(options.model)
        if not options.int8:
            _say_equal(_exported(pipe, unfinished))
        else:
            with scratch_folder(options.output) as single:
                _say_equal(_exported(pipe, single))
                pipes = _quantize(pipe.model, single, unfinished)
                if dialogues is not None:
                    _compare(options.split, pipes, dialogues)
        from ..hub.license import copy_license

        copy_license(source, unfinished)
    tell(f"Written to {options.output}: {', '.join(sorted(path.name for path in options.output.glob('*.onnx')))}")


def _exported(pipe: "MultimodalEmotionPipeline", folder: Path) -> float:
    with working("Writing the graphs"):
        return _needed("onnx").export_onnx(pipe.model, pipe.processor, folder)


def _say_equal(difference: float) -> None:
    tell(f"The largest difference to torch's logits, on ragged random dialogues, is {difference:.1e}.")


def _quantize(
    model: "M2FNetForEmotionClassification", single: Path, output: Path
) -> dict[str, "MultimodalEmotionPipeline"]:
    """Both by name."""
    quantize = _needed("quantize")
    for name, (before, after) in quantize.quantize_encoders(single, output).items():
        tell(f"{name}: {before / 1e6:.1f} MB in single precision, {after / 1e6:.1f} MB in 8 bits")
    pipes = {name: load_pipeline(str(folder)) for name, folder in (("single precision", single), ("8 bits", output))}
    batches = [_needed("verify").ragged_inputs(model, TIMED, seed) for seed in range(4)]
    runner = _needed("runner").OnnxEmotionModel
    ratio = quantize.time_ratio(runner(single), runner(output), batches)
    tell(f"time: {ratio['median']:.2f} of that of single precision ({ratio['least']:.2f} to {ratio['most']:.2f})")
    return pipes


def _meld(options: argparse.Namespace) -> "Sequence[Dialogue]":
    """Before the work, as it may not be there."""
    from ..data.meld import read_meld

    return read_meld(options.meld, names=(options.split,))[options.split]


def _compare(split: str, pipes: dict[str, "MultimodalEmotionPipeline"], dialogues: "Sequence[Dialogue]") -> None:
    from ..evaluation.evaluate import compare_labels

    for name, metrics in compare_labels(pipes, dialogues, progress).items():
        tell(
            f"MELD {split}, {name}: weighted F1 {100 * metrics['weighted_f1']:.2f}, "
            f"{100 * metrics['agreement']:.1f} % of the labels of single precision"
        )


def _needed(module: str) -> Any:
    """A module of `export`, which needs an extra."""
    try:
        return import_module(f"..export.{module}", __package__)
    except ImportError as error:
        raise ImportError(f"The export needs {error.name}: {EXPORT_EXTRA}") from None
