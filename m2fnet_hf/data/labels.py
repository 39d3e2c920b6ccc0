"""Labels of utterances by name and by index, and those that a data set has of its own."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..dialogue_m2fnet import IGNORED, Dialogue
from .encoding import read_text

LABELS = "labels.txt"
# Right for a model that is trained and for one that is measured.
_ADVICE = (
    "rename it in the data, or train a model with labels of its own, named in `model.labels` of its run, as in "
    "model.labels=[calm,upset], or in labels.txt beside the data"
)


def label_id(label: str | None, label2id: Mapping[str, int]) -> int:
    """Index of a label, -100 for none.

    Raises:
        ValueError: for a label that the model has not.
    """
    if label is None:
        return IGNORED
    if label not in label2id:
        raise ValueError(f"A label must be one of {', '.join(label2id)}, found {label!r}; {_ADVICE}.")
    return label2id[label]


def read_labels(folder: str | Path) -> list[str] | None:
    """The labels of a folder of dialogues, in the model's order: the lines of its `labels.txt`, `None` without it.

    Raises:
        ValueError: where these are not two labels or more, each once.
    """
    path = Path(folder) / LABELS
    if not path.is_file():
        return None
    labels = [line.strip() for line in read_text(path).split("\n") if line.strip()]
    if len(set(labels)) < max(2, len(labels)):
        raise ValueError(
            f"{path.name} must have two labels or more, a line for each, found {', '.join(labels) or 'none'}."
        )
    return labels


def check_labels(splits: Mapping[str, Iterable[Dialogue]], labels: Sequence[str]) -> None:
    """Compare the labels of data with those that a model is to have, before there is a model.

    Raises:
        ValueError: naming the labels that it does not have, and where to name them.
    """
    known = set(labels)
    for split, dialogues in splits.items():
        found = dict.fromkeys(one.label for dialogue in dialogues for one in dialogue if one.label is not None)
        if unknown := [label for label in found if label not in known]:
            raise ValueError(
                f"A label of {split} must be one of {', '.join(labels)}, found {', '.join(map(repr, unknown[:8]))}; "
                f"{_ADVICE}."
            )
