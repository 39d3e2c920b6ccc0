"""`m2fnet evaluate`."""

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from ..registration import DEFAULT_CHECKPOINT
from .model import add_model, load_pipeline
from .terminal import progress, write_json
from .train import TRAIN_EXTRA


def add(commands: Any) -> None:
    """Add the command."""
    evaluate = commands.add_parser("evaluate", help="measure a model on MELD")
    evaluate.add_argument("--meld", type=Path, required=True, metavar="FOLDER", help="holds test_sent_emo.csv, ...")
    evaluate.add_argument("--split", choices=("train", "dev", "test"), default="test", help="default: test")
    evaluate.add_argument("--output", type=Path, metavar="FILE", help="write the figures to this JSON file")
    add_model(evaluate)
    evaluate.set_defaults(command=_evaluate)


def _evaluate(options: argparse.Namespace) -> None:
    from ..data.meld import load_meld_split
    from ..reports.table import figures_table, show

    try:
        from ..evaluation.evaluate import evaluate
    except ImportError as error:
        raise ImportError(f"Evaluation needs {error.name}: {TRAIN_EXTRA}") from None
    dialogues = load_meld_split(options.meld, options.split)
    pipe = load_pipeline(options.model, batch_size=8)
    bar = partial(progress, total=len(dialogues), description="Dialogues")
    figures = evaluate(pipe, dialogues, progress=bar)
    results = {"model": options.model or DEFAULT_CHECKPOINT.name, "dataset": "MELD", "split": options.split, **figures}
    show(figures_table(results))
    if options.output is not None:
        write_json(results, options.output)
