"""What a reader makes of a file, and how that becomes a dialogue."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ...dialogue_m2fnet import Dialogue, Utterance
from ...utils.text import shown
from ..encoding import read_text

NAMED_AT_MOST = 6
MOST_UTTERANCES = 100_000  # a day of one each second has less


@dataclass(frozen=True)
class Source:
    """A file to read.

    Args:
        path: of the file.
        duration: of the recording it belongs to, in seconds.
        frame_rate: of that recording, in frames a second.
        trusted: whether the media files that it names may be opened.
    """

    path: Path
    duration: float | None = None
    frame_rate: float | None = None
    trusted: bool = True

    @property
    def name(self) -> str:
        """Its name, as it may be shown."""
        return shown(self.path.name)

    @property
    def stem(self) -> str:
        """Its name without the ending."""
        return Path(self.name).stem

    @cached_property
    def text(self) -> str:
        """Without an empty end, for which there is no word.

        Raises:
            ValueError: where it holds nothing.
        """
        text = read_text(self.path)
        if not text.strip():
            raise no_utterance(self)
        return text


@dataclass
class Said:
    """A row, cue or segment of a file.

    Args:
        place: of it in the file, as `cue 3`.
        text: the words, for speakers still with their marks and lines.
        start, end: in seconds of the recording.
        others: further fields of [`Utterance`].
    """

    place: str
    text: str | None
    speaker: str | None = None
    start: float | None = None
    end: float | None = None
    others: dict[str, Any] = field(default_factory=dict)


@dataclass
class Draft:
    """What a reader found.

    Args:
        said: in the order of the file.
        remarks: sentences about what was not used or was assumed, without the file's name.
        unread: places that could not be read, and why.
        id: of the dialogue, where the file names it.
        is_timed: it is a list of cues, to be sorted by their start.
    """

    said: list[Said]
    remarks: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    id: str | int | None = None
    is_timed: bool = False


def no_utterance(source: Source, why: str | None = None) -> ValueError:
    """The error of a file in which nothing is said."""
    because = f": {why}" if why else ""
    kind = source.path.suffix.lower()
    return ValueError(
        f"{source.name} holds no utterance that can be read, expected one at least; check that it is a whole "
        f"{kind} file with words in it{because}."
    )


def check_count(source: Source, count: int) -> None:
    """Refuse more utterances than a conversation has, before the work.

    Raises:
        ValueError: above 100,000.
    """
    if count > MOST_UTTERANCES:
        raise ValueError(
            f"{source.name} must hold one conversation of at most {MOST_UTTERANCES} utterances, found {count}; divide "
            "it."
        )


def finish(source: Source, draft: Draft) -> tuple[Dialogue, list[str]]:
    """The dialogue, and all that is to be said about it.

    Raises:
        ValueError: where nothing is left, or too much for a conversation.
    """
    check_count(source, len(draft.said))
    utterances: list[Utterance] = []
    unread, before = list(draft.unread), 0
    said = sorted(draft.said, key=lambda one: one.start or 0.0) if draft.is_timed else draft.said
    for one in said:
        try:
            before += sum(time is not None and time < 0 for time in (one.start, one.end))
            utterances.append(_utterance(one, clamp=draft.is_timed))
        except (TypeError, ValueError) as error:
            unread.append(f"{one.place}: {str(error).partition('; give')[0]}")
    if not utterances:
        raise no_utterance(source, unread[0].rstrip(".") if unread else None)
    remarks = list(draft.remarks)
    if unread:
        count = len(unread) + len(utterances)
        remarks.insert(0, f"{len(unread)} of {count} cues could not be read and are left out ({some(unread)})")
    if before:
        remarks.append(f"{number(before, 'time')} before the start of the recording taken as 0")
    key = source.stem if draft.id is None else draft.id
    return Dialogue(utterances, id=key), [f"{source.name}: {remark}." for remark in remarks]


def _utterance(said: Said, clamp: bool) -> Utterance:
    start, end = said.start, said.end
    for time in (start, end):
        if time is not None and not math.isfinite(time):
            raise ValueError(f"a time must be in seconds, found {time}.")
    if start is not None and end is not None and start > end:
        raise ValueError(
            f"a cue must end after it starts, found start {clock(start)} and end {clock(end)}; correct its times."
        )
    if clamp:
        start, end = (None if time is None else max(0.0, time) for time in (start, end))
    return Utterance(text=(said.text or "").strip() or None, speaker=said.speaker, start=start, end=end, **said.others)


def clock(seconds: float) -> str:
    """Seconds as `H:MM:SS.mmm`."""
    sign, thousandths = "-" if seconds < 0 else "", round(abs(seconds) * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    return f"{sign}{minutes // 60}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def name_unused(kind: str, names: Sequence[str]) -> list[str]:
    """A remark that names what was not used, none where all was."""
    if not names:
        return []
    return [
        f"the {kind}{'s' if len(names) > 1 else ''} {some(names, ', ')} {'were' if len(names) > 1 else 'was'} not used"
    ]


def number(of: int | Sequence[Any], what: str) -> str:
    """`1 cue`, `2 cues`."""
    count = of if isinstance(of, int) else len(of)
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def some(sentences: Sequence[str], between: str = "; ") -> str:
    """The first of them, and how many there are."""
    different = list(dict.fromkeys(sentences))
    shortened = [one if len(one) <= 160 else f"{one[:157]}..." for one in different[:NAMED_AT_MOST]]
    more = len(different) - NAMED_AT_MOST
    return between.join(one.rstrip(".") for one in shortened) + (f"{between}and {more} more" if more > 0 else "")


def speaker_name(value: Any) -> str | None:
    """A speaker as a tool writes it: a name, a number or an object with either."""
    if isinstance(value, dict):
        value = next((value[key] for key in ("name", "label", "displayName", "id") if value.get(key) is not None), None)
    if value is None or isinstance(value, (list, dict)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return plain_speaker(str(value))


def plain_speaker(name: str) -> str | None:
    """A name without what cannot be seen; `None` where no letter or digit is left."""
    name = " ".join(_INVISIBLE.sub("", name).split())
    return name if any(map(str.isalnum, name)) else None


_INVISIBLE = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")


def drop_repeats(keys: Sequence[Any]) -> list[int]:
    """Places of those that were not there before, in order."""
    seen: Counter = Counter()
    kept = []
    for place, key in enumerate(keys):
        if not seen[key]:
            kept.append(place)
        seen[key] += 1
    return kept
