"""Transcripts of a megabyte against those of ten kilobytes: time per kilobyte, also where the text is hostile."""

import json
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from m2fnet_hf.data.transcripts import open_transcript

from .measurements import at_most
from .timing import in_turns, ratios

SIZES = (10_000, 1_000_000)
CUE = "1\n00:00:01,000 --> 00:00:02,000\n"
VTT = "WEBVTT\n\n00:01.000 --> 00:02.000\n"


def measure(quick: bool = False, repetitions: int = 3) -> dict[str, Any]:
    """The small file is read as often as it takes for as many kilobytes."""
    small, large = (1_000, 10_000) if quick else SIZES
    measurements = {}
    with TemporaryDirectory() as folder:
        for kind, (ending, content) in TRANSCRIPTS.items():
            files = [Path(folder) / f"{size}{ending}" for size in (small, large)]
            for path, size in zip(files, (small, large), strict=True):
                path.write_text(content(size), encoding="utf-8")
            jobs = {"small": partial(_read, files[0], large // small), "large": partial(_read, files[1], 1)}
            times = in_turns(jobs, 1 if quick else repetitions)
            measurements[f"readers: {kind}, time per kB of a large file against small ones"] = at_most(
                1.5, ratios(times["large"], times["small"])
            )
    return {"ran": f"files of {large // 1000} kB against {small // 1000} kB", "measurements": measurements}


def _read(path: Path, times: int) -> None:
    for _ in range(times):
        with suppress(ValueError):  # what holds no utterance is refused
            open_transcript(path)


def _cues(size: int) -> str:
    return "\n".join(
        f"{n}\n{n // 60:02d}:{n % 60:02d}:00,000 --> {n // 60:02d}:{n % 60:02d}:09,000\nAnna: it is {n}\n"
        for n in range(size // 50)
    )


def _segments(size: int) -> str:
    return json.dumps([{"start": n / 2, "end": n / 2 + 1, "text": "hello you"} for n in range(size // 55)])


def _repeated(opening: str, unit: str) -> Callable[[int], str]:
    return lambda size: opening + unit * (size // len(unit))


TRANSCRIPTS: dict[str, tuple[str, Callable[[int], str]]] = {
    "SRT": (".srt", _cues),
    "csv": (".csv", _repeated("speaker,text,start,end\n", "Anna,hello you,1.5,2.5\n")),
    "text": (".txt", _repeated("", "[00:00:01] Anna: hi\n")),
    "JSON": (".json", _segments),
    "tags that are never closed": (".vtt", _repeated(VTT, "<v ")),
    "overrides that are never closed": (".srt", _repeated(CUE, "{\\")),
    "blank lines": (".srt", _repeated(CUE, "\n")),
    "names in every word": (".srt", _repeated(CUE, "a:")),
}
