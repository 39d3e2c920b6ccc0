"""Tables for the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..utils.times import span

UNREAD = {"text": "text", "audio": "sound", "visual": "faces"}


def prediction_table(predictions: Sequence[Mapping[str, Any]]) -> Table:
    """Who said what when, the emotion and its probability."""
    table = Table(box=None, pad_edge=False)
    for name, options in (
        ("Time", {"no_wrap": True}),
        ("Speaker", {}),
        ("Utterance", {"ratio": 1}),
        ("Emotion", {"no_wrap": True}),
        ("Probability", {"justify": "right"}),
    ):
        table.add_column(name, **options)
    for prediction in predictions:
        table.add_row(
            span(prediction["start"], prediction["end"]),
            Text(prediction["speaker"] or ""),
            Text(prediction["text"] or ""),
            prediction["label"],
            f"{prediction['score']:.0%}",
        )
    return table


def metrics_table(metrics: Mapping[str, Any]) -> Table:
    """Each class and the averages, in per cent, with 95 % intervals over dialogues; and the calibration error."""
    table = Table(box=None, pad_edge=False)
    table.add_column("Emotion")
    for name in ("Precision", "Recall", "F1", "95 %", "Utterances"):
        table.add_column(name, justify="right", no_wrap=True)
    intervals = metrics["intervals"] or {"f1": {}}
    for name, values in metrics["per_class"].items():
        cells = (_per_cent(values[key]) for key in ("precision", "recall", "f1"))
        table.add_row(name, *cells, _interval(intervals["f1"].get(name)), str(metrics["support"][name]))
    table.add_section()
    total = str(sum(metrics["support"].values()))
    for name in ("weighted_f1", "macro_f1", "accuracy"):
        row = (_per_cent(metrics[name]), _interval(intervals.get(name)), total)
        table.add_row(name.replace("_", " "), "", "", *row)
    table.add_row("calibration error", "", "", _per_cent(metrics["calibration"]["ece"]), "", total)
    return table


def _per_cent(share: float) -> str:
    return f"{100 * share:.2f}"


def _interval(ends: Sequence[float] | None) -> str:
    return "" if ends is None else f"{100 * ends[0]:.1f}-{100 * ends[1]:.1f}"


def reads_only(modalities: Sequence[str]) -> str | None:
    """What a model does not look at, in a sentence, or `None` for one that reads everything."""
    unread = [word for modality, word in UNREAD.items() if modality not in modalities]
    if not unread:
        return None
    read = " and ".join(UNREAD[modality] for modality in modalities)
    return f"This model reads {read} only: no prediction rests on {' or '.join(unread)}."


def show(table: Table) -> None:
    """Print to the terminal, as wide as it is."""
    Console().print(table)
