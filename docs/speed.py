"""The measurements of speed that users feel, as README's table, out of the results of the benchmarks."""

import json
import re
from pathlib import Path
from typing import NamedTuple

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
TABLE = re.compile(r"(?<=<!-- speed -->\n).*?(?=\n<!-- end -->)", re.S)
ROWS_SHOWN = 5


class Row(NamedTuple):
    """What is told of a results file.

    Args:
        name: of the file.
        measurements: whose values are told.
        label: what they are to a user.
        written: how the values are written.
    """

    name: str
    measurements: tuple[str, ...]
    label: str
    written: str


# Those that users feel most come first.
ROWS = (
    Row(
        "cold",
        ("cold: with torch, times torch with the weights", "cold: exported, times torch with the weights"),
        "`m2fnet predict` of ten lines, whole process",
        "{:.1f} times the start of torch with the same weights; an exported model {:.1f} times",
    ),
    Row(
        "mini",
        ("mini: seconds of the sound encoder per second of speech",),
        "what a second of speech takes to hear, one core",
        "{:.3f} s",
    ),
    Row(
        "mini",
        ("mini: share of its length that a recording takes",),
        "an hour's recording, one core, faces from a csv",
        "{:.1%} of its length",
    ),
    Row(
        "reports",
        ("reports: page, time per utterance, many against few",),
        "the page of 8,000 utterances",
        "{:.2f} times as long for each as of 1,000",
    ),
    Row(
        "readers",
        ("readers: SRT, time per kB of a large file against small ones",),
        "reading subtitles of 1 MB",
        "{:.2f} times as long for each kB as of 10 kB",
    ),
    Row(
        "online",
        ("online: cost of a late utterance against an early one",),
        "the 1,000th utterance of a live conversation",
        "{:.2f} times the 10th",
    ),
    Row(
        "memory",
        ("memory: peak of a long video against a short one",),
        "memory for a video of 60 s",
        "{:.2f} times that for 5 s",
    ),
)


def speed_table(results: Path = RESULTS) -> str:
    """The first rows whose results are there."""
    rows = []
    for row in ROWS:
        path = results / f"{row.name}.json"
        if path.is_file():
            measured = json.loads(path.read_text(encoding="utf-8"))["measurements"]
            values = [measured[name]["value"] for name in row.measurements]
            rows.append(f"| {row.label} | {row.written.format(*values)} |")
    return "\n".join(["| | |", "|---|---|", *rows[:ROWS_SHOWN]])
