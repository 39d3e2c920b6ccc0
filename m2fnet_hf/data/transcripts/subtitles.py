"""SRT, VTT and SBV by their lines of times, ASS and SSA by pysubs2."""

import re
import warnings
from collections.abc import Iterator
from typing import NamedTuple

from ..times import Time, find_unit, read_time
from .cues import Cue, draft_cues
from .draft import Draft, Source, check_count, no_utterance, number, plain_speaker

_TIME = r"-?(?:\d+:)?\d{1,2}:\d\d(?:[.,:;]\d+)?"
TIMING = re.compile(rf"^[ \t]*({_TIME})[ \t]*(?:-->|,(?=\d+:\d\d:\d\d))[ \t]*({_TIME})(?=[ \t]|$)", re.MULTILINE)
# The arrow, or two times of three parts and nothing else: no one speaks so.
_BROKEN = re.compile(r"^(?:.{0,80}-->|\s*\d+:\d\d:\d\d\S*\s+(?:\S{1,4}\s+)?\d+:\d\d:\d\d\S*\s*$)")
_COMMENT = re.compile(r"^(?:NOTE(?:\s|$)|STYLE\s*$|REGION\s*$)")
_BROKEN_LINE = re.compile(
    r"^Dialogue:(?![^,\n]*,\s*\d{1,6}:\d\d:\d\d[.:]\d+\s*,\s*\d{1,6}:\d\d:\d\d[.:]\d+\s*,(?:[^,\n]*,){6}).*\n?",
    re.MULTILINE,
)
_DRAWING = re.compile(r"\{[^{}]*\\p[1-9]")


class _Block(NamedTuple):
    """A line of times, `None` where they cannot be read, and the lines that follow it."""

    place: str
    times: tuple[Time, Time] | None
    lines: list[str]


def read_srt(source: Source) -> Draft:
    """SubRip, SBV and WebVTT: a number or name, a line of times, lines of words.

    Blank lines, numbers and hours may be there or not, and times may have a comma, a point or no fraction.
    """
    is_vtt = source.text.lstrip().startswith("WEBVTT")
    blocks = list(_blocks(source.text, is_vtt))
    check_count(source, len(blocks))
    pairs = [block.times for block in blocks if block.times]
    unit = find_unit(pairs, [0] * len(pairs), duration=source.duration, frame_rate=source.frame_rate)
    cues, unread = [], []
    for block in blocks:
        if block.times is None:
            unread.append(f"{block.place}: its times must be like 00:00:01,500 --> 00:00:02,500")
        else:
            start, end = (unit.to_seconds(time) for time in block.times)
            cues.append(Cue(start, end, "\n".join(block.lines).replace("[br]", "\n"), block.place))
    remarks = [unit.remark] if unit.remark else []
    if before := [] if is_vtt else _preamble(source.text):
        remarks.append(f"{number(before, 'line')} before the first cue, from {before[0][:40]!r}, not used")
    return draft_cues(cues, unread, remarks)


def _preamble(text: str) -> list[str]:
    """Lines before the first cue of a file, without its number."""
    lines = text.split("\n")
    first = next((place for place, line in enumerate(lines) if TIMING.match(line) or _BROKEN.match(line)), 0)
    before = [line.strip() for line in lines[:first] if line.strip()]
    return before[:-1] if before and before[-1].isdecimal() else before


def _times(match: re.Match | None) -> tuple[Time, Time] | None:
    try:
        start, end = map(read_time, match.groups() if match else ("", ""))
    except ValueError:
        return None
    return None if start is None or end is None else (start, end)


def _blocks(text: str, is_vtt: bool) -> Iterator[_Block]:
    """Cues, as their lines of times part the text."""
    lines = text.split("\n")
    block: _Block | None = None
    is_numbered = _is_numbered(lines)
    count, skipping = 0, is_vtt
    for place, line in enumerate(lines):
        match = TIMING.match(line)
        if match or (_BROKEN.match(line) and not skipping):
            if block is not None:
                _drop_identifier(block, lines, place, is_vtt, is_numbered)
                yield block
            count, skipping = count + 1, False
            block = _Block(f"cue {count}", _times(match), [])
        elif is_vtt and _COMMENT.match(line) and (place == 0 or not lines[place - 1].strip()):
            skipping = True
        elif not line.strip():
            skipping = False
        elif block is not None and not skipping:
            block.lines.append(line)
    if block is not None:
        yield block


def _is_numbered(lines: list[str]) -> bool:
    """Whether the first cue has a number before it."""
    first = next((place for place, line in enumerate(lines) if TIMING.match(line) or _BROKEN.match(line)), 0)
    return first > 0 and lines[first - 1].strip().isdecimal()


def _drop_identifier(block: _Block, lines: list[str], place: int, is_vtt: bool, is_numbered: bool) -> None:
    """Take the number or name of the next cue from the words of this one."""
    before = lines[place - 1].strip()
    if not before or not block.lines or block.lines[-1] != lines[place - 1]:
        return
    parted = place < 2 or not lines[place - 2].strip()
    if (before.isdecimal() and (parted or is_numbered)) or (is_vtt and parted and len(block.lines) > 1):
        block.lines.pop()


def read_ass(source: Source) -> Draft:
    """ASS and SSA; the speaker is the actor of a line. Comments and drawings say nothing."""
    from pysubs2 import SSAFile
    from pysubs2.exceptions import Pysubs2Error

    # pysubs2 gives up at the first line that it cannot read.
    text, broken = _BROKEN_LINE.subn("", source.text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of margins and layers
            subtitles = SSAFile.from_string(text, format_="ssa" if "[V4 Styles]" in text else "ass")
    except (Pysubs2Error, ValueError, LookupError):
        raise no_utterance(source, "its sections or its lines of `Dialogue:` cannot be read") from None
    cues, left_out = [], {"comment": 0, "drawing": 0}
    for place, event in enumerate(subtitles, start=1):
        if event.is_comment or _DRAWING.search(event.text):
            left_out["comment" if event.is_comment else "drawing"] += 1
            continue
        words = re.sub(r"\\[Nn]", "\n", event.text).replace(r"\h", " ")
        cues.append(Cue(event.start / 1000, event.end / 1000, words, f"line {place}", plain_speaker(event.name)))
    unread = ["a line must have times like 0:00:01.50 and a text"] * broken
    return draft_cues(cues, unread, [f"{number(count, kind)} not used" for kind, count in left_out.items() if count])
