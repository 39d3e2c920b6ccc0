"""The formats of transcripts in one table, and the functions that read them."""

import gc
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ...dialogue_m2fnet import Dialogue
from ...utils.paths import check_file
from .draft import Draft, Source, finish
from .json_files import read_json
from .plain import read_plain
from .subtitles import TIMING, read_ass, read_srt
from .tables import is_table, read_table
from .tiers import read_eaf, read_textgrid

HEAD = 4096  # characters that tell the format
LARGEST = 64_000_000  # bytes; a day of talk with the time of each word has less


class _Format(NamedTuple):
    """A format.

    Args:
        suffixes: of its files.
        read: the reader.
        opens: what its files begin with, whatever they are called.
    """

    suffixes: tuple[str, ...]
    read: Callable[[Source], Draft]
    opens: re.Pattern | None = None


TABLE = (
    _Format((".srt", ".sbv"), read_srt),
    _Format((".vtt",), read_srt, re.compile(r"WEBVTT")),
    _Format((".ass", ".ssa"), read_ass, re.compile(r"\[Script Info\]", re.IGNORECASE)),
    _Format((".csv", ".tsv"), read_table),
    _Format((".txt",), read_plain),
    _Format((".json", ".jsonl"), read_json),
    _Format(
        (".eaf",), read_eaf, re.compile(r"(?:<\?xml[^>]*>\s*)?(?:<!--.{0,400}?-->\s*)?<ANNOTATION_DOCUMENT", re.DOTALL)
    ),
    _Format((".textgrid",), read_textgrid, re.compile(r'File type\s*=\s*"ooTextFile|"?ooTextFile')),
)
FORMATS = tuple(suffix for one in TABLE for suffix in one.suffixes)
_BY_SUFFIX = {suffix: one for one in TABLE for suffix in one.suffixes}
_JSON = re.compile(r"\{|\[\s*[\{\[\"\]]")


@dataclass(frozen=True)
class Transcript:
    """What a file holds.

    Args:
        dialogue: its utterances.
        remarks: a sentence for each thing that was not used, not understood or assumed: columns, cues, fields, tiers.
    """

    dialogue: Dialogue
    remarks: tuple[str, ...] = ()


def read_transcript(
    path: str | Path, duration: float | None = None, frame_rate: float | None = None, trusted: bool = True
) -> Dialogue:
    """The dialogue that a transcript holds, with the file's stem as its id; see [`open_transcript`].

    Warns:
        UserWarning: for each remark of [`Transcript`].
    """
    transcript = open_transcript(path, duration, frame_rate, trusted)
    for remark in transcript.remarks:
        warnings.warn(remark, stacklevel=2)
    return transcript.dialogue


def open_transcript(
    path: str | Path, duration: float | None = None, frame_rate: float | None = None, trusted: bool = True
) -> Transcript:
    """The dialogue that a transcript holds, and what of the file is not in it.

    Speakers are what tools write: `NAME: text`, `[NAME] text`, `>> NAME: text`, `<v NAME>`, columns, fields, tiers;
    whether something is a name is told by the whole file. A cue that cannot be read is left out and counted.

    Args:
        path: of one of
            .srt, .sbv, .vtt, .ass, .ssa: subtitles, sorted by their start; captions that roll on are joined.
            .csv, .tsv: MELD's columns, or `text` and optionally `speaker`, `start`, `end`, `duration`, `label`, `id`,
                under the names of many tools and with any separator.
            .txt: such a table, or lines of `NAME: text` with or without times, as Otter, Rev, Zoom and Whisper write.
            .json, .jsonl: a list of utterances or an object with `utterances` (and `id`), and what Whisper and its kin,
                transformers' pipeline, Deepgram, AssemblyAI, Rev.ai, Amazon and `m2fnet predict` write.
            .eaf, .TextGrid: ELAN and Praat, a tier for each speaker.
            The content decides where the name does not say. Text is in UTF-8, UTF-16 or an older encoding.
        duration: of the recording in seconds, which tells whole numbers that are seconds from milliseconds.
        frame_rate: of the recording, in frames a second, for times that count its frames.
        trusted: whether the clips that it names (`video` of an utterance in JSON) are taken. Say `False` of a file that
            a stranger uploaded or that was fetched: it could name any file of this machine.

    Raises:
        FileNotFoundError, OSError: without the file, or where it cannot be read.
        ValueError: naming the file, what was expected, what was found and what to do; also for more than 64 MB, and for
            a folder, a pipe or a device.
    """
    path = Path(path)
    source = Source(path, duration, frame_rate, trusted)
    check_file(path, "A transcript", LARGEST)
    with _without_collection():
        dialogue, remarks = finish(source, _format(source).read(source))
    return Transcript(dialogue, tuple(remarks))


@contextmanager
def _without_collection() -> Iterator[None]:
    """Without the collection of garbage, which goes through all cues again and again and finds none."""
    is_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_on:
            gc.enable()


def _format(source: Source) -> _Format:
    """The format of a file, by how it begins, by its name, or by what it looks like."""
    named = _BY_SUFFIX.get(source.path.suffix.lower())
    with source.path.open("rb") as file:
        if file.read(12) == b"ooBinaryFile":
            return _BY_SUFFIX[".textgrid"]
    head = source.text[:HEAD].lstrip()
    for one in TABLE:
        if one.opens and one.opens.match(head):
            return one
    if named and ".txt" not in named.suffixes:
        return named
    if TIMING.search(source.text[:HEAD]):
        return _BY_SUFFIX[".srt"]
    if _JSON.match(head):
        return _BY_SUFFIX[".json"]
    if is_table(source.text):
        return _BY_SUFFIX[".csv"]
    if named is None and source.path.suffix:
        raise _unknown(source, repr(source.path.suffix))
    return _BY_SUFFIX[".txt"]


def _unknown(source: Source, found: str) -> ValueError:
    return ValueError(
        f"{source.name} must be a file that ends in {', '.join(FORMATS)}, found {found}; convert or rename it."
    )
