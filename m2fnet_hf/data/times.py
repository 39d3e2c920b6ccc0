"""Times as tools write them, to seconds in the recording."""

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, overload

RATES = (24.0, 25.0, 30.0, 50.0, 60.0)
# Characters of speech a second: whoever reads fast stays below, whoever is silent for long stays above.
SLOWEST, FASTEST = 0.05, 60.0
# Of a recording, the share before the last utterance, where ends are not known.
LEAST_FILLED = 0.2
# As milliseconds, times below would be those of a single sound.
SHORT = 100

_CLOCK = re.compile(r"(-)?(?:(?:(\d{1,6}):)?(\d{1,2}):)?(\d{1,2})(?:[.,](\d+))?")
_TIMECODE = re.compile(r"(\d{1,6}):(\d\d):(\d\d)([:;.])(\d\d)")
_LONG_CLOCK = re.compile(r"(\d{1,6}):(\d\d):(\d\d)[:;](\d{3})")
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)?(?:[eE][-+]?\d+)?")
_WITH_UNIT = re.compile(
    r"(?:(\d{1,6}) ?h(?:ours?|rs?)? ?)?(?:(\d{1,6}) ?m(?:in(?:utes?|s)?)? ?)?"
    r"(?:(\d+(?:[.,]\d+)?) ?s(?:ec(?:onds?|s)?)?)?"
)
_MILLISECONDS = re.compile(r"(\d+(?:\.\d+)?) ?ms(?:ec)?")
_ISO = re.compile(r"PT(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d+(?:\.\d+)?)S)?")
_EMPTY = frozenset({"", "nan", "none", "null", "na", "n/a", "nat", "-", "--", "?", "undefined"})


class Time(NamedTuple):
    """A time as it was written.

    Args:
        value: in seconds where `is_clock`, otherwise in a unit that is yet to be told.
        frames: further frames of the video, of a timecode.
        is_drop_frame: whether the timecode follows the clock at 29.97 frames a second.
    """

    value: float
    is_clock: bool
    frames: int | None = None
    is_drop_frame: bool = False


def is_empty(cell: str) -> bool:
    """Whether a cell says that there is nothing."""
    return cell.strip().casefold() in _EMPTY


def read_time(cell: str | float) -> Time | None:
    """A time; `None` where the cell is empty.

    Raises:
        ValueError: for what is none.
    """
    if isinstance(cell, (int, float)):
        if not math.isfinite(cell):
            raise ValueError(f"A time must be in seconds or HH:MM:SS.mmm, found {cell!r}.")
        return Time(float(cell), is_clock=False)
    text = cell.strip()
    if is_empty(text):
        return None
    if _NUMBER.fullmatch(text):
        return Time(float(text.replace(",", ".")), is_clock=False)
    if match := _LONG_CLOCK.fullmatch(text):
        hours, minutes, seconds, thousandths = map(int, match.groups())
        return Time(hours * 3600 + minutes * 60 + seconds + thousandths / 1000, is_clock=True)
    if (match := _TIMECODE.fullmatch(text)) and match[4] != ".":
        hours, minutes, seconds, frames = (int(match[group]) for group in (1, 2, 3, 5))
        return Time(hours * 3600 + minutes * 60 + seconds, True, frames, is_drop_frame=match[4] == ";")
    for pattern in (_CLOCK, _ISO, _WITH_UNIT):
        if match := pattern.fullmatch(text):
            return Time(_clock_seconds(text, match), is_clock=True)
    if match := _MILLISECONDS.fullmatch(text):
        return Time(float(match[1]) / 1000, is_clock=True)
    raise ValueError(f"A time must be in seconds or HH:MM:SS.mmm, found {cell!r:.60}.")


def _clock_seconds(text: str, match: re.Match) -> float:
    if match.re is not _CLOCK:
        hours, minutes, seconds = match.groups()
        return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float((seconds or "0").replace(",", "."))
    sign, hours, minutes, seconds, fraction = match.groups()
    if int(seconds) >= 60 or (hours and int(minutes) >= 60):
        raise ValueError(f"A time must be in seconds or HH:MM:SS.mmm, found {text!r:.60}.")
    total = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds) + float(f"0.{fraction or 0}")
    return -total if sign else total


class Unit(NamedTuple):
    """How written times become seconds.

    Args:
        seconds: in a number that is not a clock time; 0 where numbers are frames.
        rate: frames a second.
        remark: what was assumed.
    """

    seconds: float = 1.0
    rate: float = 25.0
    remark: str | None = None

    @overload
    def to_seconds(self, time: Time) -> float: ...
    @overload
    def to_seconds(self, time: Time | None) -> float | None: ...
    def to_seconds(self, time: Time | None) -> float | None:
        """Seconds of a time, none of none."""
        if time is None:
            return None
        if not time.is_clock:
            return time.value * self.seconds if self.seconds else time.value / self.rate
        if time.frames is None:
            return time.value
        # A timecode that follows no clock counts its seconds by whole frames.
        seconds = time.value if time.is_drop_frame else time.value * math.ceil(self.rate - 0.01) / self.rate
        return seconds + time.frames / self.rate


def find_unit(
    spans: Sequence[tuple[Time | None, Time | None]],
    lengths: Sequence[int],
    named: float | None = None,
    duration: float | None = None,
    frame_rate: float | None = None,
) -> Unit:
    """The unit of the times of a file.

    Args:
        spans: start and end of each utterance.
        lengths: characters of what is said in each.
        named: seconds that the header says; 0 for frames.
        duration: of the recording, in seconds.
        frame_rate: of the recording, in frames a second.

    Raises:
        ValueError: where it stays unclear, saying what helps.
    """
    times = [time for span in spans for time in span if time is not None]
    timecodes = [time for time in times if time.frames is not None]
    if timecodes or named == 0:
        return _frame_unit(timecodes, named, frame_rate)
    numbers = [time.value for time in times if not time.is_clock]
    if named is not None:
        return Unit(named)
    if not numbers or any(value % 1 for value in numbers) or max(numbers) < SHORT:
        return Unit()
    spoken = _characters_per_unit(spans, lengths)
    if duration:
        in_time = [unit for unit in (1.0, 1e-3) if max(numbers) * unit <= duration * 1.02 + 1]
        if len(in_time) > 1:
            # Both fit a long recording: then it is the one in which people speak neither too slowly nor too early.
            fills = max(numbers) >= LEAST_FILLED * duration and not any(end for _, end in spans)
            in_time = [1.0] if fills or spoken is None or spoken >= SLOWEST else [1e-3]
        if in_time:
            return Unit(in_time[0])
    if spoken is not None and spoken >= SLOWEST and spoken * 1000 > FASTEST:
        return Unit()
    if spoken is not None and 0 < spoken < SLOWEST and spoken * 1000 <= FASTEST:
        return Unit(1e-3)
    raise ValueError(
        f"its times must be in seconds or milliseconds, found whole numbers up to {max(numbers):g} that may be either; "
        "name the columns start_s and end_s, or start_ms and end_ms."
    )


def _frame_unit(timecodes: Sequence[Time], named: float | None, frame_rate: float | None) -> Unit:
    if frame_rate:
        return Unit(0.0 if named == 0 else 1.0, frame_rate)
    if named == 0:
        raise ValueError(
            "its times count frames, expected how many a second has; give the recording beside the transcript, or "
            "times in seconds."
        )
    if any(time.is_drop_frame for time in timecodes):
        return Unit(rate=30000 / 1001)
    last = max(time.frames or 0 for time in timecodes)
    rate = next((rate for rate in RATES if rate > last), last + 1.0)
    return Unit(
        rate=rate, remark=f"its timecodes count frames, taken as {rate:g} a second, the least that holds them all"
    )


def _characters_per_unit(spans: Sequence[tuple[Time | None, Time | None]], lengths: Sequence[int]) -> float | None:
    """Characters said in a unit of time, by the middle one of the utterances; `None` where nothing tells."""
    ends = [end for _, end in spans]
    if not any(ends):
        starts = sorted((start.value, length) for (start, _), length in zip(spans, lengths, strict=True) if start)
        rates = [length / (after - before) for (before, length), (after, _) in pairwise(starts) if after > before]
    else:
        rates = [
            length / (end.value - start.value)
            for (start, end), length in zip(spans, lengths, strict=True)
            if start and end and end.value > start.value
        ]
    return sorted(rates)[len(rates) // 2] if rates else None
