"""Predictions as a pandas table with a row per utterance, and as its Parquet file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..dialogue_m2fnet import EmotionPrediction
from .spreadsheet import columns, row

if TYPE_CHECKING:
    import pandas


def to_data_frame(
    predictions: Sequence[EmotionPrediction] | Sequence[Sequence[EmotionPrediction]],
    labels: Sequence[str] | None = None,
) -> "pandas.DataFrame":
    """A row per utterance with the columns of the csv report, NaN or `None` where nothing is known.

    Args:
        predictions: what the pipeline gave for one dialogue, or for several: then the first column is `dialogue`, their
            number from 0.
        labels: the order of the emotions' columns. Default: that of the alphabet.

    Raises:
        ImportError: without pandas.
    """
    try:
        import pandas
    except ImportError as error:
        raise ImportError(f"A table of predictions needs {error.name}: pip install 'm2fnet-hf[tables]'") from None
    several = bool(predictions) and not isinstance(predictions[0], Mapping)
    dialogues: Any = predictions if several else [predictions]
    found = {label for dialogue in dialogues for one in dialogue for label in one["scores"]}
    labels = sorted(found) if labels is None else labels
    rows = [[number, *row(one, labels)] for number, dialogue in enumerate(dialogues) for one in dialogue]
    table = pandas.DataFrame(rows, columns=["dialogue", *columns(labels)])
    numbers = [name for name in columns(labels) if name in ("start", "end", "score", *labels)]
    table = table.astype(dict.fromkeys(numbers, "float64"))
    return table if several else table.drop(columns="dialogue")


def write_parquet(result: Mapping[str, Any], path: Path) -> None:
    """The table of a result, as [`to_data_frame`] makes it."""
    to_data_frame(result["utterances"], result["labels"]).to_parquet(path, index=False)
