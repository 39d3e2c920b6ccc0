"""`m2fnet evaluate` and `m2fnet calibrate`: a model against labels."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..hub.load import add_model, find_model, load_pipeline, model_license, model_name
from ..utils.console import progress, remarks, show, tell
from ..utils.files import write_json
from .data import add_data, dataset_name, faces_of, read_splits, split_of
from .outputs import add_overwrite, check_outputs
from .train import TRAIN_EXTRA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..dialogue_m2fnet import Dialogue

EVALUATE = (
    "Compare a model's labels with those of a data set: F1 and accuracy with bootstrap intervals over dialogues, "
    "calibration, and the same by speaker, by position and by which modalities were there."
)
CALIBRATE = (
    "Fit one temperature that divides the model's logits, so that its probabilities say how often it is right. Labels "
    "stay as they are."
)
FACES = "as for predict, or a folder of csv files named like the clips; default: those beside acted speech's"


def add(commands: Any) -> None:
    """Add the two commands."""
    evaluate = commands.add_parser("evaluate", help="measure a model", description=EVALUATE)
    add_data(evaluate)
    evaluate.add_argument(
        "--split", choices=("train", "dev", "test", "all"), default="test", help="which part of the data (test)"
    )
    evaluate.add_argument("--faces", metavar="NAME", help=FACES)
    evaluate.add_argument("--output", type=Path, metavar="FILE", help="write the metrics to this JSON file")
    evaluate.add_argument("--predictions", type=Path, metavar="FILE", help="write each prediction, as JSON lines")
    evaluate.add_argument("--figures", type=Path, metavar="FOLDER", help="draw pictures of the metrics there")
    add_model(evaluate)
    add_overwrite(evaluate)
    evaluate.set_defaults(command=_evaluate)

    calibrate = commands.add_parser(
        "calibrate", help="fit a model's temperature on dev and store it in the model", description=CALIBRATE
    )
    add_data(calibrate)
    calibrate.add_argument("--faces", metavar="NAME", help=FACES)
    calibrate.add_argument("--model", type=Path, required=True, metavar="FOLDER", help="the model that is changed")
    calibrate.add_argument("--output", type=Path, metavar="FILE", help="write the metrics to this JSON file")
    add_overwrite(calibrate)
    calibrate.set_defaults(command=_calibrate)


def _evaluate(options: argparse.Namespace) -> None:
    with remarks():  # data that cannot be read are refused before torch is loaded
        find_model(options.model)
        dialogues = _dialogues(options)
    from ..hub.run_files import weights_sha256
    from ..reports.console_tables import metrics_table

    try:
        from ..evaluation.columns import PredictionColumns
        from ..evaluation.evaluate import compute_metrics
        from ..evaluation.predictions import predict_utterances, tee_predictions
    except ImportError as error:
        raise ImportError(f"Evaluation needs {error.name}: {TRAIN_EXTRA}") from None
    check_outputs(options, _outputs(options), [options.faces, options.data])
    with remarks():
        pipe = load_pipeline(options.model, batch_size=8, **faces_of(options))
        records = predict_utterances(pipe, dialogues, progress)
        if options.predictions is not None:
            records = tee_predictions(records, options.predictions)
        predictions = PredictionColumns(records)
    metrics = compute_metrics(predictions)
    results = {
        "model": options.model or model_name(None),
        "model_license": model_license(options.model),
        "dataset": dataset_name(options),
        "split": options.split,
        **metrics,
    }
    folder = Path(find_model(options.model))
    if folder.is_dir():
        results["weights"] = weights_sha256(folder)
    show(metrics_table(results))
    if options.output is not None:
        write_json(results, options.output)
    if options.figures is not None:
        from ..reports.plots import write_plots

        write_plots(results, options.figures)


def _outputs(options: argparse.Namespace) -> dict[Path, str]:
    """The kinds of the files that are written, by path."""
    two = [one.resolve() for one in (options.output, options.predictions) if one is not None]
    if len(two) > len(set(two)):
        raise ValueError(f"--output and --predictions must be two files, found {options.output} for both.")
    outputs = {options.output: "metrics", options.predictions: "jsonl"}
    if options.figures is not None:
        outputs |= {options.figures / f"{name}.png": "png" for name in ("confusion", "f1", "reliability")}
    return {path: kind for path, kind in outputs.items() if path is not None}


def _dialogues(options: argparse.Namespace) -> "Sequence[Dialogue]":
    """Those of one split or, such as those of a corpus that no split was trained on, of all."""
    if options.split != "all":
        return split_of(read_splits(options, options.split), options.split)
    return [dialogue for dialogues in read_splits(options).values() for dialogue in dialogues]


def _calibrate(options: argparse.Namespace) -> None:
    if not options.model.is_dir():
        raise FileNotFoundError(f"The model that is changed must be a folder, found none at {options.model}.")
    with remarks():
        dialogues = split_of(read_splits(options, "dev"), "dev")
    try:
        from ..evaluation.calibration import calibrate, set_temperature
    except ImportError as error:
        raise ImportError(f"Calibration needs {error.name}: {TRAIN_EXTRA}") from None
    if options.output is not None:
        check_outputs(options, {options.output: "metrics"}, [options.faces, options.data])
    with remarks():
        results = calibrate(load_pipeline(str(options.model), batch_size=8, **faces_of(options)), dialogues, progress)
    set_temperature(options.model, results["temperature"])
    for when in ("before", "after"):
        tell(
            f"{when}: expected calibration error {results[when]['ece']:.4f}, log likelihood {-results[when]['nll']:.4f}"
        )
    tell(f"The temperature {results['temperature']:.3f} is in {options.model / 'config.json'}")
    if options.output is not None:
        write_json(results, options.output)
