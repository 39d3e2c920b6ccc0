"""The measurements of speed that users feel, as README's table, out of the results of the benchmarks."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLE = re.compile(r"(?<=<!-- speed -->\n).*?(?=\n<!-- end -->)", re.S)
TIMES = "{:.1f} times the start of torch with the same weights"
# Results file, measurement, what it is to a user, and how it is written.
ROWS = (
    ("cold", "cold: with torch, times torch with the weights", "`m2fnet predict` of ten lines, whole process", TIMES),
    ("cold", "cold: exported, times torch with the weights", "the same with an exported model", TIMES),
    (
        "mini",
        "mini: share of its length that a recording takes",
        "an hour's recording on one core, faces from a csv",
        "{:.1%} of its length",
    ),
    (
        "online",
        "online: cost of a late utterance against an early one",
        "the 1,000th utterance of a live conversation",
        "{:.2f} times the 10th",
    ),
    (
        "memory",
        "memory: peak of a long video against a short one",
        "memory for a video of 60 s",
        "{:.2f} times that for 5 s",
    ),
)


def speed_table() -> str:
    """A row for each measurement whose results are there."""
    rows = []
    for name, measurement, label, written in ROWS:
        path = ROOT / "benchmarks" / "results" / f"{name}.json"
        if path.is_file():
            value = json.loads(path.read_text(encoding="utf-8"))["measurements"][measurement]["value"]
            rows.append(f"| {label} | {written.format(value)} |")
    return "\n".join(["| | |", "|---|---|", *rows])
