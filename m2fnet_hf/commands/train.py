"""`m2fnet train`."""

import argparse
from pathlib import Path
from typing import Any

TRAIN_EXTRA = "pip install 'm2fnet-hf[train]'"


def add(commands: Any) -> None:
    """Add the command."""
    train = commands.add_parser("train", help="train a model on MELD")
    train.add_argument("config", type=Path, help="YAML file of the run, such as examples/configs/meld-mini.yaml")
    train.add_argument("overrides", nargs="*", metavar="section.key=value", help="change one setting of the file")
    train.add_argument("--meld", type=Path, required=True, metavar="FOLDER", help="holds train_sent_emo.csv, ...")
    train.add_argument("--output", type=Path, metavar="FOLDER", help="default: runs/ and the name of the file")
    train.set_defaults(command=_train)


def _train(options: argparse.Namespace) -> None:
    from ..data.meld import load_meld_split

    try:
        from ..training.arguments import RunConfig
        from ..training.trainer import train
    except ImportError as error:
        raise ImportError(f"Training needs {error.name}: {TRAIN_EXTRA}") from None
    run = RunConfig.load(options.config, options.overrides)
    output = options.output or Path("runs") / options.config.stem
    train(run, load_meld_split(options.meld, "train"), load_meld_split(options.meld, "dev"), output)
    print(f"The best epoch on dev is in {output}; `m2fnet evaluate --model {output} --meld ...` reads test.")
