"""Labels of utterances by name and by index."""

from collections.abc import Mapping

from ..losses import IGNORED


def label_id(label: str | None, label2id: Mapping[str, int]) -> int:
    """Index of a label, -100 for none."""
    if label is None:
        return IGNORED
    if label not in label2id:
        raise ValueError(f"A label must be one of {', '.join(label2id)}, found {label!r}.")
    return label2id[label]
