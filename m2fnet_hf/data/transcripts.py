"""Transcripts: SRT, VTT, csv and JSON files to a dialogue."""

import codecs
import csv
import html
import io
import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import webvtt
from pysubs2 import SSAFile
from pysubs2.time import TIMESTAMP, ms_to_str
from webvtt.errors import MalformedFileError

from ..dialogue_m2fnet import Dialogue, Utterance
from .meld import COLUMNS as MELD_COLUMNS
from .meld import read_meld_csv

COLUMNS = ("text", "speaker", "start", "end", "label", "id")

_CLOCK = re.compile(r"(?:(?:(\d+):)?(\d{1,2}):)?(\d+(?:[.,]\d+)?)")
# The arrow, or two times of three parts and nothing else: nobody says that.
_TIMING = r"(?:.*-->|\s*\d+:\d\d:\d\d\S*\s+(?:\S{1,4}\s+)?\d+:\d\d:\d\d\S*\s*$)"
_BROKEN_CUE = re.compile(rf"^(?:\d+[ \t]*\n)?{_TIMING}", re.MULTILINE)
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]+)>")
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<[\d:.]+>|\{\\[^}]*\}")
_DASH = re.compile(r"^[-\u2013\u2014]+(?:\s+|(?=\D))")
_BRACKETED = re.compile(r"[\[(]([^\])]+)[\])]")
_NAME_WORD = re.compile(r"(?:[a-z]\.)+|(?:mr|mrs|ms|dr|prof|sgt|lt|capt|rev|jr|sr)\.|[^.!?,;]+", re.IGNORECASE)
_JOINING_WORDS = frozenset({"and", "at", "de", "in", "of", "on", "the", "van", "von", "with"})
_NOT_NAMES = frozenset({"note", "nb", "n.b.", "ps", "p.s."})


class _Cue(NamedTuple):
    """A subtitle: times in seconds, text with its lines and tags."""

    start: float
    end: float
    text: str


def read_transcript(path: str | Path) -> Dialogue:
    """The dialogue that a transcript holds, with the file's stem as its id.

    Args:
        path: of one of
            .srt, .vtt: subtitles; the speaker is `NAME: text` or VTT's `<v NAME>`, cues are sorted by their start.
            .csv: MELD's columns, or `text` and optionally `speaker`, `start`, `end`, `label`, `id`; times in seconds
                or as `HH:MM:SS.mmm`.
            .json: a list of utterances, an object with `utterances` (and `id`), or what Whisper and WhisperX write.

    Raises:
        FileNotFoundError: without the file.
        ValueError: naming the file, what was expected and what was found.

    Warns:
        UserWarning: counting the cues that could not be read.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"A transcript must be a file, found none at {path}; check the path.")
    reader = _READERS.get(path.suffix.lower())
    if reader is None or not path.is_file():
        found = repr(path.suffix) if path.is_file() else "a folder"
        raise ValueError(
            f"{path.name} must be a file that ends in {', '.join(_READERS)}, found {found}; convert or rename it."
        )
    return reader(path)


def _read_srt(path: Path) -> Dialogue:
    text = _read_text(path)
    # pysubs2 takes a last line of digits for the number of the next cue, even when it is what the last cue says.
    subtitles = SSAFile.from_string(f"{text}\n\n0", format_="srt", keep_html_tags=True)
    cues = [_Cue(cue.start / 1000, cue.end / 1000, _own_text(cue.text.replace(r"\N", "\n"))) for cue in subtitles]
    timings = (line for line in text.split("\n") if re.match(_TIMING, line))
    unread = sum(len(TIMESTAMP.findall(line)) != 2 for line in timings)
    return _from_cues(path, cues, unread)


def _read_vtt(path: Path) -> Dialogue:
    text = _read_text(path)
    try:
        captions = webvtt.from_string(text).captions
    except MalformedFileError:
        line = text.partition("\n")[0]
        raise ValueError(f"{path.name} must start with `WEBVTT`, found {line[:40]!r}; add it as first line.") from None
    cues = [_Cue(_seconds(cue.start), _seconds(cue.end), cue.raw_text) for cue in captions]
    unread = sum("-->" in line for line in text.split("\n")) - len(cues)
    return _from_cues(path, cues, unread)


def _read_csv(path: Path) -> Dialogue:
    lines = io.StringIO(_read_text(path), newline="")
    header = lines.readline()
    delimiter = max(",;\t", key=header.count)
    names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter, skipinitialspace=True))]
    if set(MELD_COLUMNS) <= set(names):
        return _read_meld(path)
    columns = [name.lower() for name in names]
    if "text" not in columns:
        raise ValueError(
            f"{path.name} must have the column text (and may have {', '.join(COLUMNS[1:])}) or MELD's columns, found "
            f"{', '.join(names)}; rename its columns."
        )
    reader = csv.DictReader(lines, columns, delimiter=delimiter, skipinitialspace=True, strict=True)
    utterances = []
    try:
        for row in reader:
            if any(row.values()):
                utterances.append(_from_row(row))
    except csv.Error as error:
        raise ValueError(f"{path.name}, after line {reader.line_num + 1}: {error}; correct its quotes.") from None
    except ValueError as error:
        raise ValueError(f"{path.name}, line {reader.line_num + 1}: {error}") from None
    return _dialogue(path, utterances)


def _read_meld(path: Path) -> Dialogue:
    dialogues = read_meld_csv(path)
    if len(dialogues) > 1:
        raise ValueError(
            f"{path.name} holds {len(dialogues)} dialogues, expected one; give a whole data set with `--meld`, or keep "
            "the rows of one dialogue."
        )
    return _dialogue(path, dialogues[0].utterances)


def _read_json(path: Path) -> Dialogue:
    text = _read_text(path)
    try:
        source = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{path.name} must be valid JSON, found an error: {error}; correct it.") from None
    if isinstance(source, list):
        return _dialogue(path, source)
    if isinstance(source, dict) and "utterances" in source:
        return _dialogue(path, source["utterances"], source.get("id"))
    if isinstance(source, dict) and isinstance(source.get("segments"), list):
        return _dialogue(path, _from_segments(path, source["segments"]))
    found = f"an object with {', '.join(source) or 'no keys'}" if isinstance(source, dict) else type(source).__name__
    raise ValueError(
        f"{path.name} must be a list of utterances, or an object with a list of `utterances` or of Whisper's "
        f"`segments`, found {found}; see `Utterance` for the form."
    )


_READERS: dict[str, Callable[[Path], Dialogue]] = {
    ".srt": _read_srt,
    ".vtt": _read_vtt,
    ".csv": _read_csv,
    ".json": _read_json,
}
FORMATS = tuple(_READERS)


def _read_text(path: Path) -> str:
    """The file's text, with `\\n` at the end of its lines."""
    try:
        text = _decode(path.read_bytes())
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path.name} must be text in UTF-8, UTF-16 or Windows-1252, found {error.reason} at byte {error.start}; "
            "save it as UTF-8."
        ) from None
    if not text.strip():
        raise _no_utterance(path)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decode(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252")


def _dialogue(path: Path, utterances: Sequence[Any], key: str | int | None = None) -> Dialogue:
    if not utterances:
        raise _no_utterance(path)
    try:
        return Dialogue.from_any({"utterances": utterances, "id": path.stem if key is None else key})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path.name}: {error}") from None


def _no_utterance(path: Path) -> ValueError:
    return ValueError(
        f"{path.name} holds no utterance that can be read, expected one at least; check that it is a whole "
        f"{path.suffix.lower()} file with words in it."
    )


def _from_cues(path: Path, cues: list[_Cue], unread: int) -> Dialogue:
    if unread:
        warnings.warn(
            f"{path.name}: {unread} of {unread + len(cues)} cues could not be read and are left out; write their times "
            "as 00:00:01,500 --> 00:00:02,500 (with a point in VTT).",
            stacklevel=4,
        )
    for number, cue in enumerate(cues, start=1):
        if cue.start > cue.end:
            raise ValueError(
                f"{path.name}, cue {number}: a cue must end after it starts, found start {_clock(cue.start)} and end "
                f"{_clock(cue.end)}; correct its times."
            )
    return _dialogue(
        path,
        [
            Utterance(text=words, speaker=speaker, start=cue.start, end=cue.end)
            for cue in sorted(cues, key=lambda cue: cue.start)
            for speaker, words in _turns(cue.text)
            if words
        ],
    )


def _own_text(text: str) -> str:
    """The text of a cue without the broken cue after it, which pysubs2 joins to it."""
    return _BROKEN_CUE.split(text)[0]


def _turns(text: str) -> Iterator[tuple[str | None, str]]:
    """Speaker and words of each turn of a cue: one by `<v NAME>`, by line where each opens a turn, or one in all."""
    unvoiced, *voiced = _VOICE.split(text)
    lines = [line for line in map(_words, unvoiced.split("\n")) if line]
    turns = lines if all(map(_opens_turn, lines)) else [" ".join(lines)]
    yield from map(_speaker_and_words, turns)
    for name, said in zip(voiced[::2], voiced[1::2], strict=True):
        yield _words(name) or None, _words(said)


def _words(text: str) -> str:
    """Text without tags, entities and line breaks."""
    return " ".join(html.unescape(_TAG.sub("", text)).split())


def _opens_turn(line: str) -> bool:
    return _DASH.match(line) is not None or _speaker_and_words(line)[0] is not None


def _speaker_and_words(turn: str) -> tuple[str | None, str]:
    """`NAME: text` apart, without the dash that opens a turn."""
    turn = _DASH.sub("", turn)
    before, _, after = turn.partition(":")
    # Neither a time (12:30), nor an address (https://), nor a colon that ends the turn.
    says = after.strip() and after[0] not in "/0123456789"
    name = _name(before.strip()) if says else None
    return (None, turn) if name is None else (name, after.strip())


def _name(run: str) -> str | None:
    """The name in front of a colon: bracketed, or four capitalised words at most, where a point only abbreviates."""
    if len(run) > 40 or run.casefold() in _NOT_NAMES:
        return None
    if bracketed := _BRACKETED.fullmatch(run):
        return bracketed[1].strip()
    words = _BRACKETED.sub("", run).split()
    if not 1 <= len(words) <= 4 or not run[0].isalpha() or run[0].islower():
        return None
    return run if all(map(_may_be_in_name, words)) else None


def _may_be_in_name(word: str) -> bool:
    return _NAME_WORD.fullmatch(word) is not None and (word in _JOINING_WORDS or not word[0].islower())


def _from_row(row: Mapping[str | None, Any]) -> Utterance:
    if None in row:
        raise ValueError(f"a row must have a value per column, found {len(row[None])} more; quote its text.")
    values: dict[str, Any] = {column: (row.get(column) or "").strip() or None for column in COLUMNS}
    for column in ("start", "end"):
        if values[column] is not None:
            values[column] = _seconds(values[column])
    return Utterance(**values)


def _from_segments(path: Path, segments: list[Any]) -> list[Utterance]:
    """The utterances of Whisper's segments; one without words is a silence."""
    utterances = []
    for number, segment in enumerate(segments, start=1):
        try:
            if not isinstance(segment, dict) or not isinstance(segment.get("text"), str):
                raise ValueError(f"a segment must be an object with a string `text`, found {segment!r:.40}.")
            if text := segment["text"].strip():
                speaker, start, end = (segment.get(name) for name in ("speaker", "start", "end"))
                utterances.append(Utterance(text=text, speaker=speaker or None, start=start, end=end))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path.name}, segment {number}: {error}") from None
    return utterances


def _seconds(time: str) -> float:
    """`HH:MM:SS.mmm`, `MM:SS,mmm` or seconds to seconds."""
    match = _CLOCK.fullmatch(time)
    if match is None:
        raise ValueError(f"A time must be in seconds or HH:MM:SS.mmm, found {time!r}.")
    hours, minutes, seconds = match.groups(default="0")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds.replace(",", "."))


def _clock(seconds: float) -> str:
    return ms_to_str(round(seconds * 1000), fractions=True)
