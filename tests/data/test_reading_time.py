"""The time of reading grows with the size of a file and not with its square, whatever the file holds."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from m2fnet_hf.data.transcripts import open_transcript

CUE = "1\n00:00:01,000 --> 00:00:02,000\n"
VTT = "WEBVTT\n\n00:01.000 --> 00:02.000\n"
TIER = '"IntervalTier"\n"Anna"\n0\n9\n'
GRID = f'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n9\n<exists>\n1\n{TIER}'
ASS = "[Script Info]\n\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
LINE = "Dialogue: 0,0:00:01.00,0:00:02.00,Default,Anna,0,0,0,,"


def cues(size: int) -> str:
    return "\n".join(
        f"{n}\n{n // 60:02d}:{n % 60:02d}:00 --> {n // 60:02d}:{n % 60:02d}:09\nAnna: {n}\n" for n in range(size // 40)
    )


def rolling(size: int) -> str:
    return "\n".join(
        f"{n // 60:02d}:{n % 60:02d}:00 --> {n // 60:02d}:{n % 60:02d}:59.9\nline {n} of it\nline {n + 1} of it\n"
        for n in range(size // 60)
    )


def repeated(opening: str, unit: str, ending: str = "") -> Callable[[int], str]:
    return lambda size: opening + unit * (size // len(unit)) + ending


HOSTILE: dict[str, tuple[str, Callable[[int], str]]] = {
    "cues": ("a.srt", cues),
    "rolling": ("a.srt", rolling),
    "voices never closed": ("a.vtt", repeated(VTT, "<v ")),
    "voices": ("a.vtt", repeated(VTT, "<v a>b")),
    "tags": ("a.srt", repeated(CUE, "<")),
    "highlights": ("a.vtt", repeated(VTT, "<u>")),
    "braces": ("a.srt", repeated(CUE, "{\\")),
    "blank lines": ("a.srt", repeated(CUE, "\n", "x")),
    "blanks": ("a.srt", repeated(CUE, " ", "x")),
    "brackets": ("a.srt", repeated(CUE, "[a")),
    "colons": ("a.srt", repeated(CUE, "a:")),
    "changes": ("a.srt", repeated(CUE, "a >> ")),
    "arrows": ("a.srt", repeated(CUE, "x\n", "-->\n" * 100)),
    "clocks": ("a.srt", repeated(CUE, "0:00:01 ")),
    "names": ("a.srt", repeated(CUE, "Anna: hi\n")),
    "comments": ("a.vtt", repeated(VTT + "hi\n\n", "NOTE x\n\n")),
    "lines": ("a.ass", repeated(ASS, f"{LINE}hi\n")),
    "overrides": ("a.ass", repeated(ASS + LINE, "{\\")),
    "rows": ("a.csv", repeated("text,start,end\n", "hello you,1.5,2.5\n")),
    "quotes": ("a.csv", repeated("text,start\n", '"')),
    "separators": ("a.csv", repeated("text", ",", "\nhi")),
    "turns": ("a.txt", repeated("", "[00:00:01] Anna: hi\n")),
    "prose": ("a.txt", repeated("", "word ")),
    "empty names": ("a.txt", repeated("", "a:\n")),
    "segments": ("a.json", lambda size: json.dumps([{"start": 1.0, "end": 2.5, "text": "hello"}] * (size // 45))),
    "lists": ("a.json", repeated("", "[")),
    "intervals": ("a.TextGrid", lambda size: f"{GRID}{size // 16}\n" + '0\n9\n"hello you"\n' * (size // 16)),
    "blanks before a time": ("a.txt", repeated("", "a" + " " * 1900 + "0:01 b\n")),
    "credits": ("a.txt", lambda size: "".join(f"transcribed by {n}\n" for n in range(size // 20)) + "Anna: hi"),
    "speakers": ("a.srt", lambda size: CUE + "".join(f"Speaker {n}: hi\n" for n in range(size // 15))),
    "marks": ("a.srt", repeated(CUE, "<c.a ")),
    "changes of speaker": ("a.srt", repeated(CUE, ">>\n")),
    "broken lines": ("a.ass", repeated(ASS, "Dialogue: 0,0:00:01.00,x\n")),
    "drawings": ("a.ass", repeated(ASS + LINE, "{\\p1}")),
    "columns": ("a.csv", lambda size: "text" + "".join(f",c{n}" for n in range(size // 6)) + "\nhi"),
    "one time": ("a.csv", repeated("text,time\nhi,", "1:")),
    "fields": ("a.json", lambda size: json.dumps([{f"k{n}": 1, "text": "hi"} for n in range(size // 25)])),
    "objects": ("a.json", repeated("", '{"a":')),
    "digits": ("a.json", repeated('[{"text":"hi","start":', "9", "}]")),
    "elements": ("a.eaf", repeated("<ANNOTATION_DOCUMENT>", "<a>")),
    "string": ("a.TextGrid", repeated(f'{GRID}1\n0\n9\n"', '""', "a")),
}


def seconds(path: Path, content: str) -> float:
    path.write_text(content, encoding="utf-8")
    best = float("inf")
    for _ in range(2):
        start = time.process_time()
        with suppress(ValueError):
            open_transcript(path)
        best = min(best, time.process_time() - start)
    return best


@pytest.mark.parametrize("kind", HOSTILE)
def test_time_grows_with_the_size(tmp_path: Path, kind: str) -> None:
    name, content = HOSTILE[kind]
    short, long = (seconds(tmp_path / name, content(size)) for size in (10_000, 100_000))
    # A square would be 100 times as long; what is done once, and other work on the machine, allow for the rest.
    assert long < 25 * short + 0.1
