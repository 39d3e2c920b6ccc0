"""`m2fnet extract | train | train-extractor | search | ablate`: from a data set to models and metrics."""

import argparse
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..utils.console import progress, remarks, say, show, tell, working
from .data import add_data, dataset_name, faces_of, read_splits, split_of
from .presets import preset

if TYPE_CHECKING:
    from ..training.settings import RunConfig

TRAIN_EXTRA = "pip install 'm2fnet-hf[train]'"


def add(commands: Any) -> None:
    """Add the commands."""
    extract = _command(
        commands,
        "extract",
        "run encoders and face stage over a data set once",
        "Store what the frozen encoders and the face stage give for every utterance of a data set, for `m2fnet train "
        "--features`. An interrupted run goes on; on several processes start it with torchrun.",
        _extract,
        features=False,
    )
    extract.add_argument("--faces", metavar="NAME", help="as for predict; default: the backend that the model names")
    extract.add_argument("--frame-rate", type=float, default=2.0, metavar="N", help="frames looked at a second (2)")
    extract.add_argument("--audio-track", type=int, metavar="N", help="which sound track, from 1; as for predict")
    extract.add_argument("--half", action="store_true", help="store half precision")

    _command(
        commands,
        "train",
        "train a model",
        "Train a model on the train split and keep its best epoch on dev. An interrupted run goes on where it was; on "
        "several processes start it with torchrun.",
        _train,
    )

    extractor = _command(
        commands,
        "train-extractor",
        "train one encoder by the triplet loss",
        "Train the encoder of one modality on single utterances, by the paper's triplet loss, before the fusion.",
        _train_extractor,
    )
    extractor.add_argument(
        "--modality", choices=("text", "audio", "visual"), required=True, help="whose encoder is trained"
    )

    search = _command(
        commands,
        "search",
        "search for better settings on dev",
        "Train with settings out of a space, as Optuna proposes them, and write the run of the best ones on dev.",
        _search,
    )
    search.add_argument(
        "--space",
        type=preset,
        default="search",
        metavar="SPACE",
        help="YAML file or preset (search): bounds by setting",
    )
    search.add_argument("--trials", type=int, default=20, metavar="N", help="settings that are tried, in all (20)")
    search.add_argument("--seed", type=int, default=0, metavar="N", help="of the choice of settings (0)")

    ablate = _command(
        commands,
        "ablate",
        "measure what each part contributes",
        "Train each variant of a run with several seeds, and set their scores on test side by side.",
        _ablate,
    )
    ablate.add_argument(
        "--grid",
        type=preset,
        metavar="GRID",
        help="YAML file or preset (ablation): the variants; default: the paper's tables as far as the run reads",
    )
    ablate.add_argument("--seeds", type=int, default=3, metavar="N", help="runs of each row (3)")
    ablate.add_argument("--figures", action="store_true", help="also draw weighted F1 on test, as ablation.png")


def _command(
    commands: Any,
    name: str,
    purpose: str,
    description: str,
    run: Callable[[argparse.Namespace], None],
    features: bool = True,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=purpose, description=description)
    parser.add_argument("config", type=preset, help="YAML file of the run, or a preset such as meld-mini or internship")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value", help="change one setting of the file")
    add_data(parser, features)
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default: runs/ and the name of the file")
    parser.set_defaults(command=partial(_together, run))
    return parser


def _together(run: Callable[[argparse.Namespace], None], options: argparse.Namespace) -> None:
    """Run a command; several processes part together, or one takes the end of another for a failure."""
    run(options)
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()


def _extract(options: argparse.Namespace) -> None:
    with remarks():
        splits = read_splits(options)
    from transformers import set_seed

    trainer, extraction = _needed("training.trainer"), _needed("features.extract")
    run = _needed("training.settings").RunConfig.load(options.config, options.overrides)
    set_seed(run.training_arguments(_output(options)).seed)  # as in training, for encoders without pretrained weights
    processor = trainer.build_processor(run)
    model = trainer.build_model(run, processor)
    with remarks():
        summary = extraction.extract(
            model,
            processor,
            splits,
            _output(options),
            **faces_of(options),
            frame_rate=options.frame_rate,
            audio_track=options.audio_track,
            dtype="float16" if options.half else "float32",
            progress=progress,
        )
    for split, counts in summary.splits.items():
        tell(f"{split}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    tell(f"Features are in {summary.folder}; train on them with --features {summary.folder}.")


def _train(options: argparse.Namespace) -> None:
    with remarks():
        splits, output = read_splits(options), _output(options)
        train, dev = split_of(splits, "train"), split_of(splits, "dev")
        run = _run(options)
        _needed("training.trainer").train(run, train, dev, output, dataset_name(options))
    tell(f"The best epoch on dev is in {output}; `m2fnet evaluate --model {output} ...` reads test.")


def _train_extractor(options: argparse.Namespace) -> None:
    with remarks():
        splits, output = read_splits(options), _output(options)
        train, dev = split_of(splits, "train"), split_of(splits, "dev")
        extractor = _needed("training.contrastive.train")
        run = _needed("training.contrastive.settings").ExtractorConfig.load(options.config, options.overrides)
        results = extractor.train_extractor(run, options.modality, train, dev, output, progress=progress)
    for when in ("before", "after"):
        tell(f"{when}: " + ", ".join(f"{name} {value:.3f}" for name, value in results[when].items()))
    skipped = sum(results["skipped"].values())
    if skipped:
        say(f"{skipped} utterances could not be read and were skipped.")
    tell(f"The encoder is in {output}; a run reads it as encoders.{options.modality}={output}.")


def _search(options: argparse.Namespace) -> None:
    splits = read_splits(options)
    train, dev = split_of(splits, "train"), split_of(splits, "dev")
    search, run = _needed("training.search"), _run(options)
    best = search.search(
        run,
        search.load_space(options.space),
        train,
        dev,
        _output(options),
        trials=options.trials,
        seed=options.seed,
    )
    tell(f"Weighted F1 on dev {best['weighted_f1']:.4f} with {best['settings']}; train it as {best['run']}.")


def _ablate(options: argparse.Namespace) -> None:
    from ..reports.console_tables import ablation_table

    plots = import_module("..reports.plots", __package__) if options.figures else None  # says at once what it lacks
    splits, output = read_splits(options), _output(options)
    parts = [split_of(splits, name) for name in ("train", "dev", "test")]
    ablation, run = _needed("training.ablation"), _run(options)
    grid = ablation.default_grid(run) if options.grid is None else ablation.load_grid(options.grid)
    if options.grid is None and options.features is not None:
        grid.pop("context", None)  # features have the context that they were made with
    result = ablation.ablate(run, grid, *parts, output, seeds=range(options.seeds), progress=progress)
    show(ablation_table(result))
    written = [output / "ablation.json"]
    if plots is not None:
        written += plots.write_plots(result, output)
    tell(f"\nWritten to {', '.join(map(str, written))}")


def _run(options: argparse.Namespace) -> "RunConfig":
    """The settings of a run; appearance was fitted where the features were made."""
    run = _needed("training.settings").RunConfig.load(options.config, options.overrides)
    if options.features is not None:
        run.processor.setdefault("appearance", str(options.features))
    for name, value in faces_of(options).items():
        run.media.setdefault(name, value)
    if options.data is not None:
        from ..data.labels import read_labels

        if (labels := read_labels(options.data)) is not None:
            run.model.setdefault("labels", labels)
    return run


def _output(options: argparse.Namespace) -> Path:
    return options.output or Path("runs") / options.config.stem


def _needed(module: str) -> Any:
    """A module that needs the extra `train`."""
    try:
        with working("Loading torch and transformers"):
            return import_module(f"..{module}", __package__)
    except ImportError as error:
        raise ImportError(f"Training needs {error.name}: {TRAIN_EXTRA}") from None
