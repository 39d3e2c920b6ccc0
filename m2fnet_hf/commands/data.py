"""Which data set a command reads."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..dialogue_m2fnet import Dialogue


def add_data(parser: argparse.ArgumentParser, features: bool = True) -> None:
    """The options that name a data set, of which one must be given."""
    sources = parser.add_mutually_exclusive_group(required=True)
    sources.add_argument("--meld", type=Path, metavar="FOLDER", help="MELD: train_sent_emo.csv, ... and its clips")
    sources.add_argument("--iemocap", type=Path, metavar="FOLDER", help="IEMOCAP: Session1, ... Session5")
    sources.add_argument(
        "--acted", type=Path, metavar="FOLDER", help="acted speech: RAVDESS, CREMA-D, EmoDB, SAVEE or TESS"
    )
    sources.add_argument("--data", type=Path, metavar="FOLDER", help="your own: dialogues.csv or *.jsonl")
    if features:
        sources.add_argument("--features", type=Path, metavar="FOLDER", help="what `m2fnet extract` wrote")
    parser.add_argument("--target", metavar="NAME", help="what is predicted: emotion (default), sentiment (MELD), ...")
    parser.add_argument(
        "--report-split",
        type=int,
        metavar="SEED",
        help="split all dialogues again, 60/15/25 %% as in the report; acted speech by its speakers",
    )


def dataset_name(options: argparse.Namespace) -> str | None:
    """MELD, IEMOCAP, or that of the folder of other data; features do not say what they were made of."""
    if options.meld is not None:
        return "MELD"
    if options.iemocap is not None:
        return "IEMOCAP"
    folder = options.acted or options.data
    return None if folder is None else folder.resolve().name


def faces_of(options: argparse.Namespace) -> dict[str, Any]:
    """`faces`, as it is asked for or as it lies beside the clips of acted speech; else nothing."""
    asked = getattr(options, "faces", None)
    if asked is not None or options.acted is None:
        return {} if asked is None else {"faces": asked}
    from ..data.acted import SUFFIXES

    clips = (path for path in options.acted.rglob("*") if path.suffix.lower() in SUFFIXES)
    return {"faces": str(options.acted)} if any(clip.with_suffix(".csv").is_file() for clip in clips) else {}


def read_splits(options: argparse.Namespace, *names: str) -> "dict[str, Sequence[Dialogue]]":
    """Dialogues by split, of these alone where MELD's files allow it.

    Raises:
        ValueError: for `--target` where there is none to choose from.
    """
    target: dict[str, Any] = {} if options.target is None else {"target": options.target}
    splits: dict[str, Sequence[Dialogue]]
    if options.meld is not None:
        from ..data.meld import read_meld

        only: dict[str, Any] = {"names": names} if names and options.report_split is None else {}
        splits = dict(read_meld(options.meld, **target, **only))
    elif options.iemocap is not None:
        from ..data.iemocap import read_iemocap

        splits = dict(read_iemocap(options.iemocap, **target))
    elif options.acted is not None:
        from ..data.acted_dialogues import read_acted_dialogues

        return dict(read_acted_dialogues(options.acted, **target, seed=options.report_split or 0))
    elif target:
        raise ValueError(
            "--target chooses between labels of MELD, IEMOCAP or acted speech, found other data; label them yourself."
        )
    elif options.data is not None:
        from ..data.folder import read_dialogues

        splits = dict(read_dialogues(options.data))
    else:
        from ..features.store import open_features

        store = open_features(options.features)
        splits = {split: store.dialogues(split) for split in store.splits}
    return splits if options.report_split is None else _split_again(splits, options.report_split)


def split_of(splits: "dict[str, Sequence[Dialogue]]", name: str) -> "Sequence[Dialogue]":
    """One split.

    Raises:
        ValueError: where it is not there.
    """
    if not splits.get(name):
        raise ValueError(
            f"The data must have a split {name}, found {', '.join(splits)}; add it, or split all dialogues again with "
            "--report-split."
        )
    return splits[name]


def _split_again(splits: "dict[str, Sequence[Dialogue]]", seed: int) -> "dict[str, Sequence[Dialogue]]":
    from ..data.splits import split_dialogues

    # MELD counts the dialogues of each split from 0.
    named = [replace(one, id=f"{split}-{one.id}") for split, dialogues in splits.items() for one in dialogues]
    return dict(split_dialogues(named, seed=seed))
