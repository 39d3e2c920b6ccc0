"""One word for one thing: the words that were retired are in no name, help, message, comment or page."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SUFFIXES = {".py", ".html", ".js", ".css", ".md", ".yaml", ".yml", ".ipynb", ".slurm", ".cff"}
PAGES = ("README.md", "CONTRIBUTING.md", "MODEL_CARD.md", "CITATION.cff")
FOLDERS = ("m2fnet_hf", "research", "examples", "benchmarks", "docs", ".github")

RETIRED = {
    r"\bObserver\b|\bobservers?\b|\bobserver_for\b|\bObservedDialogues\b": "RecordingReader, build_reader",
    r"\bobserve[ds]?\b|\bannotate_video\b": "read, annotate_recording",
    r"\bsenses?\b": "modalities",
    r"\bwatch(?:es|ed|ing)?\b|\bWatcher\b": "StreamingReader",
    r"\beyes\b|\bears\b": "face_batches, audio_batches",
    r"\bwhy_blind\b": "visual_unavailable_reason",
    r"\b_?(?:look|hear)\(|\._?(?:look|hear)\b|_look_for|_Hearing|_Describing": "detect_faces, encode_audio",
    r"(?:class|import|:|->|,) Rows\b|\bRows\(": "PackedBatch",
    r"\basking\b|\broads?\b": "query, branch",
    r"\bbelie(?:f|fs|ve|ves|ved)\b|\btaught\b": "teacher_probabilities, with_teacher_probabilities",
    r"\bfigures_of\b|\bclass_figures\b|\bneighbour_figures\b|\bfigures_table\b|\bwrite_figures\b": "metrics, plots",
    r"(?:class|import|:|->|,|\[) ?Record\b|\bRecord\(|\b(?:predict|tee|read)_records\b": "UtterancePrediction",
    r"\btraining[./](?:extractor|extraction)\b": "training/contrastive, features/extract",
    r"\bhub[./](?:records|facts)\b": "hub/run_files, hub/card_fields",
    r"\bevaluation[./](?:figures|records)\b": "evaluation/metrics, reports/plots",
    r"\breports[./](?:words|layout)\b|\bcommands[./]terminal\b": "formatting, timeline_layout, console",
    r"\bcannot be had\b": "is missing",
    r"\bnobody\b": "no one thing in particular: say who or what",
    r"\banew\b": "again, from the start",
    r"\bso many\b": "that number of",
    r"\bload(?:s|ed|ing)?(?: \w+){0,3} down\b": "download",
}
# Where a word means what it says.
LITERAL = {"m2fnet_hf/app/handlers.py": r"\.observe\(page\)", "m2fnet_hf/faces/appearance.py": r"\beyes\b"}
# A figure is a picture: matplotlib's, an option that asks for pictures, or one of a paper.
FIGURE = re.compile(r"(?i)(?<!con)figures?")
PICTURES = re.compile(r"--figures\b|options\.figures\b|\bfigures/|\b[Ff]igures? \d")
DRAWN = {"m2fnet_hf/reports/plots.py", "m2fnet_hf/reports/timeline.py", "docs/renew.py"}


def pages() -> list[Path]:
    inside = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))
    found = [*(ROOT / name for name in PAGES), *(path for path in inside if path.suffix in SUFFIXES)]
    return sorted(path for path in found if path.is_file())


def texts() -> dict[str, str]:
    """What is read of each page, by its path; of the changelog what is not released yet."""
    read = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in pages()}
    read |= {name: re.sub(literal, "", read[name]) for name, literal in LITERAL.items()}
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    return {**read, "CHANGELOG.md": re.split(r"(?m)^## \[?0\.1\.0", changes)[0]}


def places(name: str, text: str, pattern: str) -> list[str]:
    found = re.finditer(pattern, text)
    return [f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}" for match in found]


@pytest.mark.parametrize("pattern", RETIRED, ids=lambda pattern: pattern.split("|")[0].strip(r"\b"))
def test_a_retired_word_is_gone(pattern: str) -> None:
    found = [place for name, text in texts().items() for place in places(name, text, pattern)]
    assert not found, f"say {RETIRED[pattern]} instead:\n" + "\n".join(found)


def test_a_figure_is_a_picture() -> None:
    found = [
        place
        for name, text in texts().items()
        if name not in DRAWN
        for place in places(name, PICTURES.sub(lambda match: "-" * len(match[0]), text), FIGURE.pattern)
    ]
    assert not found, "a number is a metric, a value or a measurement:\n" + "\n".join(found)


def test_the_attention_has_queries_and_keys() -> None:
    source = (ROOT / "m2fnet_hf" / "attention_m2fnet.py").read_text(encoding="utf-8")
    assert re.findall(r"\b(?:seen|asking): \w+", source) == []


def test_every_page_is_read() -> None:
    """A word in a page of each kind would be found."""
    kinds = {Path(name).suffix for name in texts()}
    assert {".py", ".html", ".js", ".css", ".md", ".yaml", ".ipynb", ".slurm"} <= kinds
    assert places("a.md", "one\nNobody, nobody", r"\bnobody\b") == ["a.md:2: nobody"]
