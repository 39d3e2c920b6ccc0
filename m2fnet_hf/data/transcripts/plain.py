"""Plain text: `NAME: text`, with or without times, as Otter, Rev, Zoom, Whisper and people write it."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from ..times import read_time
from .draft import Draft, Said, Source, number, plain_speaker
from .speakers import is_plain_name, may_be_name, split_turns, with_heads

_CLOCK = r"\d{1,3}:\d\d(?::\d\d)?(?:[.,]\d{1,3})?"
_LOOSE = r"\d{1,3}:\d{1,2}(?::\d{1,2})?(?:[.,]\d+)?"  # Teams writes 0:0:5.79
_SPAN = re.compile(
    rf"[\[(]?\s*({_LOOSE}|\d+(?:\.\d+)?s)\s*(?:-->|->|-|\u2013|to)\s*({_LOOSE}|\d+(?:\.\d+)?s)\s*[\])]?:?(?:\s+|$)(.*)"
)
_STAMPED = re.compile(rf"([\[(]?)({_CLOCK})[\])]?\s*[-\u2013|:]?(?:\s+|$|(?<=[\])]))(.*)")
_HEADER = re.compile(
    rf"\[?([^:\[\]\n]{{1,60}}?)\]?\s*:?(\s*[-\u2013|,]\s*|\s+|(?=[\[(]))([\[(]?)({_CLOCK})[\])]?\s*:?(?:\s+|$)(.*)"
)
_CREDITS = re.compile(r"(?:transcribed by|transcript by|https?://otter\.ai|www\.rev\.com).*", re.IGNORECASE)
# Names in angle brackets, as in chats, or before a tab.
_CHAT = re.compile(r"^<([^<>\t:]{1,60})>\s+|^([^\W\d][^<>:\t]{0,59})\t+(?=\S)")
LONG_LINE = 200  # no header is longer
_BLANKS = re.compile(r"[^\S\n]{3,}")


class _Line(NamedTuple):
    """A line: text that goes on, or that begins a block, which its name or its times say."""

    text: str
    name: str | None = None
    start: str | None = None
    end: str | None = None


def read_plain(source: Source) -> Draft:
    """Lines of text. Times that stand before or beside the names begin a turn; without any, the names do."""
    text = _BLANKS.sub(lambda blanks: "\t" if "\t" in blanks[0] else "  ", source.text.replace("**", ""))
    lines = [_CHAT.sub(r"\1\2: ", line.strip()) for line in text.split("\n")]
    credits = dict.fromkeys(line for line in lines if _CREDITS.fullmatch(line))
    lines = ["" if line in credits else line for line in lines]
    remarks = [f"the line {next(iter(credits))[:60]!r} was not used"] if credits else []
    parsed = _parse(lines)
    if any(line.start for line in parsed):
        return _timed(source, parsed, remarks)
    return _untimed(source, lines, remarks)


def _parse(lines: Sequence[str]) -> list[_Line]:
    """Which lines have times, by the evidence of all."""
    filled = [line for line in lines if line]
    spans = [_SPAN.match(line[:LONG_LINE]) for line in lines]
    if sum(map(bool, spans)) * 3 >= len(filled):
        return [
            _Line(_rest(line, m, 3), None, m[1], m[2]) if m else _Line(line)
            for line, m in zip(lines, spans, strict=True)
        ]
    stamps = [_STAMPED.match(line[:LONG_LINE]) for line in lines]
    count = sum(map(bool, stamps))
    if count and (count * 3 >= len(filled) or all(m[1] or not m[3] for m in stamps if m)):
        named = all(m is None or is_plain_name(m[3]) for m in stamps)
        if all(m is None or (not m[3] and place and is_plain_name(lines[place - 1])) for place, m in enumerate(stamps)):
            return _named_above(lines, stamps)
        return [
            _Line(line) if m is None else _Line("", m[3], m[2]) if named else _Line(_rest(line, m, 3), None, m[2])
            for line, m in zip(lines, stamps, strict=True)
        ]
    headers = [_header(line) for line in lines]
    found = [m for m in headers if m]
    if len(found) > 1 or any(m[3] or len(m[2]) > 1 for m in found):
        return [
            _Line(_rest(line, m, 5), m[1], m[4]) if m else _Line(line) for line, m in zip(lines, headers, strict=True)
        ]
    return [_Line(line) for line in lines]


def _named_above(lines: Sequence[str], stamps: Sequence[re.Match | None]) -> list[_Line]:
    """Names above times, each on a line of its own."""
    parsed = [
        _Line(line) if m is None else _Line("", lines[n - 1], m[2])
        for n, (line, m) in enumerate(zip(lines, stamps, strict=True))
    ]
    return [_Line("") if m else line for line, m in zip(parsed, [*stamps[1:], None], strict=True)]


def _header(line: str) -> re.Match | None:
    """`Anna Smith  0:12`, `Speaker 1 (00:01):` or `[Anna] 10:03:21`; words behind it need brackets around the time."""
    match = _HEADER.match(line[:LONG_LINE])
    return match if match and may_be_name(match[1].strip()) and (match[3] or not match[5]) else None


def _rest(line: str, match: re.Match, group: int) -> str:
    return line[match.start(group) :]


def _timed(source: Source, lines: Sequence[_Line], remarks: list[str]) -> Draft:
    blocks: list[tuple[int, _Line, list[str]]] = []
    before = []
    for place, line in enumerate(lines, start=1):
        if line.start is not None:
            blocks.append((place, line, [line.text] if line.text else []))
        elif line.text and blocks:
            blocks[-1][2].append(line.text)
        elif line.text:
            before.append(line.text)
    if before:
        remarks.append(_unused(before))
    turns, notes = split_turns(["\n".join(some) for some in with_heads([some for _, _, some in blocks])])
    said, unread = [], []
    for (place, line, _), some in zip(blocks, turns, strict=True):
        try:
            start, end = (None if time is None else _seconds(time) for time in (line.start, line.end))
        except ValueError as error:
            unread.append(f"line {place}: {error}")
            continue
        name = plain_speaker(line.name.strip(" :")) if line.name else None
        if line.end is None:  # the time is that of the first turn
            said += [Said(f"line {place}", text, speaker or name) for speaker, text in some if text]
            if some:
                said[-len(some)].start = start
        else:
            said += [Said(f"line {place}", text, speaker or name, start, end) for speaker, text in some if text]
    return Draft(said, [*remarks, *notes], unread)


def _seconds(time: str) -> float | None:
    read = read_time(time)
    return None if read is None else read.value


def _untimed(source: Source, lines: Sequence[str], remarks: list[str]) -> Draft:
    cues: list[list[str]] = [[]]
    for line in lines:
        if line:
            cues[-1].append(line)
        elif cues[-1]:
            cues.append([])
    cues = with_heads([cue for cue in cues if cue])
    if len(cues) == 1:
        cues = [line.split("\n") for line in re.sub(r"(?m)^(.{1,60}:)\n", r"\1 ", "\n".join(cues[0])).split("\n")]
    turns, notes = split_turns(["\n".join(cue) for cue in cues])
    flat = [turn for some in turns for turn in some if turn[1]]
    if not any(name for name, _ in flat):
        remarks.append("it has neither speakers nor times, each of its lines is an utterance")
        return Draft([Said("", text) for _, text in flat], [*remarks, *notes])
    joined: list[tuple[str | None, str]] = []
    before = []
    for name, text in flat:
        if name is None and not joined:
            before.append(text)
        elif name is None:
            joined[-1] = (joined[-1][0], f"{joined[-1][1]} {text}")
        else:
            joined.append((name, text))
    if before:
        remarks.append(_unused(before))
    return Draft([Said("", text, name) for name, text in joined], [*remarks, *notes])


def _unused(before: Sequence[str]) -> str:
    return f"{number(before, 'line')} before the first turn, from {before[0][:40]!r}, not used"
