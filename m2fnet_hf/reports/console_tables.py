"""Tables for the terminal."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from ..utils.text import printable
from ..utils.times import span

METRIC_NAMES = {"weighted_f1": "Weighted F1", "accuracy": "Accuracy", "macro_f1": "Macro F1"}
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
            _cell(prediction["speaker"]),
            _cell(prediction["text"]),
            _cell(prediction["label"]),
            f"{prediction['score']:.0%}",
        )
    return table


def folder_table(rows: Sequence[tuple[str, Mapping[str, Any] | None, str]]) -> Table:
    """What became of each conversation: name, result if there is one, and a word on it."""
    table = Table(box=None, pad_edge=False)
    table.add_column("Conversation")
    table.add_column("Utterances", justify="right")
    table.add_column("Most frequent")
    table.add_column("Written")
    for name, result, said in rows:
        utterances = [] if result is None else result["utterances"]
        labels = Counter(utterance["label"] for utterance in utterances).most_common(2)
        frequent = ", ".join(f"{label} {count}" for label, count in labels)
        table.add_row(_cell(name), str(len(utterances)) if utterances else "", _cell(frequent), _cell(said))
    return table


def _cell(text: str | None) -> Text:
    """Text as it is, without markup and without what a terminal obeys."""
    return Text(printable(text or ""))


def metrics_table(metrics: Mapping[str, Any]) -> Table:
    """Each class and the averages, in per cent, with 95 % intervals over dialogues; and the calibration error."""
    table = Table(box=None, pad_edge=False)
    table.add_column("Emotion")
    for name in ("Precision", "Recall", "F1", "95 %", "Utterances"):
        table.add_column(name, justify="right", no_wrap=True)
    intervals = metrics["intervals"] or {"f1": {}}
    for name, values in metrics["per_class"].items():
        cells = (_per_cent(values[key]) for key in ("precision", "recall", "f1"))
        table.add_row(_cell(name), *cells, _interval(intervals["f1"].get(name)), str(metrics["support"][name]))
    table.add_section()
    total = str(sum(metrics["support"].values()))
    for name in ("weighted_f1", "macro_f1", "accuracy"):
        row = (_per_cent(metrics[name]), _interval(intervals.get(name)), total)
        table.add_row(name.replace("_", " "), "", "", *row)
    table.add_row("calibration error", "", "", _per_cent(metrics["calibration"]["ece"]), "", total)
    return table


def ablation_table(result: Mapping[str, Any]) -> Table:
    """The rows of an ablation, mean and deviation over seeds in per cent; the last column is of weighted F1."""
    table = Table(box=None, pad_edge=False)
    table.add_column("Row")
    table.add_column("Split")
    for name in (*METRIC_NAMES.values(), "F1 over text"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, rows in result["tables"].items():
        table.add_section()
        table.add_row(Text(printable(name), "bold"))
        for row in rows:
            splits = list(row["metrics"])
            metrics = [[_spread(row["metrics"][split][metric]) for split in splits] for metric in METRIC_NAMES]
            gains = [_spread(row["difference"][split]["weighted_f1"], "+") for split in splits if row["difference"]]
            table.add_row(
                _cell(describe_change(row["overrides"])), *("\n".join(lines) for lines in (splits, *metrics, gains))
            )
    return table


def describe_change(overrides: Mapping[str, Any]) -> str:
    """What a row of an ablation changes, in words."""
    words = [
        " + ".join(value) if name == "modalities" else f"{name.rpartition('.')[2]} {value}"
        for name, value in overrides.items()
    ]
    return ", ".join(words) or "as it is"


def _spread(spread: Mapping[str, Any], sign: str = "") -> str:
    value = f"{100 * spread['mean']:{sign}.2f}"
    return value if spread["std"] is None else f"{value} ± {100 * spread['std']:.2f}"


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
