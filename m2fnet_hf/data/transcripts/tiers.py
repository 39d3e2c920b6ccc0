"""ELAN and Praat: tiers of intervals, one for each speaker."""

import io
import re
import warnings
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..columns import plain_name
from .draft import Draft, Said, Source, name_unused, plain_speaker
from .tables import with_speakers
from .vocabulary import LABEL_TIERS, OTHER_TIERS, SILENCES, SPEAKER_TIERS, TEXT_TIERS, WORD_TIERS

if TYPE_CHECKING:
    from pympi import Eaf

_PRAAT = re.compile(r'"((?:[^"]|"")*+)"|(?<!\S)(-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)(?!\S)|(?<!\S)(<exists>|<absent>)|!.*')


@dataclass
class _Tier:
    """A tier: intervals (start and end in seconds, value), and the values for each of the tiers that refer to it."""

    name: str
    participant: str | None
    intervals: list[tuple[float, float, str]]
    children: dict[str, list[str | None]] = field(default_factory=dict)

    @property
    def parts(self) -> list[str]:
        return [one for one in re.split(r"[@\s_:.-]+", self.name) if one]

    def is_of(self, names: frozenset[str]) -> bool:
        return _is_of(self.name, names)


def _is_of(name: str, names: frozenset[str]) -> bool:
    return plain_name(name) in names or any(plain_name(one) in names for one in re.split(r"[@\s_:.-]+", name))


def read_eaf(source: Source) -> Draft:
    """ELAN: what is said on the tiers that refer to no other, by participant; an `emotion` beside it is its label.

    Raises:
        ValueError: where ELAN could not open it, or where it holds no utterance.
    """
    from pympi import Eaf

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions of the format
            eaf = Eaf(str(source.path))
        tiers = list(_eaf_tiers(eaf))
    except Exception:  # whatever its tags lack, and pympi's own of no class
        raise ValueError(
            f"{source.name} must be a file that ELAN can open, found damaged XML, or tiers that lack something; "
            "save it with ELAN."
        ) from None
    return _draft(source, tiers)


def _eaf_tiers(eaf: "Eaf") -> Iterator[_Tier]:
    times = _time_slots(eaf)
    of_root = {name: tier for name, tier in eaf.tiers.items() if tier[2].get("PARENT_REF") is None}
    referring: dict[str, list[str]] = {}
    for name, tier in eaf.tiers.items():
        if (parent := tier[2].get("PARENT_REF")) is not None:
            referring.setdefault(parent, []).append(name)
    for name, (aligned, _, attributes, _) in of_root.items():
        keys = sorted(aligned, key=lambda key: times[aligned[key][0]])
        intervals = [(times[aligned[key][0]], times[aligned[key][1]], aligned[key][2]) for key in keys]
        tier = _Tier(name, attributes.get("PARTICIPANT") or None, intervals)
        for child in referring.get(name, ()):
            values: dict[str, list[str]] = {}
            for parent, value, *_ in eaf.tiers[child][1].values():
                values.setdefault(parent, []).append(value)
            tier.children[child] = [" ".join(values[key]) if key in values else None for key in keys]
            for grandchild in referring.get(child, ()):
                tier.children[grandchild] = [None] * len(keys)
        yield tier


def _time_slots(eaf: "Eaf") -> dict[str, float]:
    """Seconds of each time slot; those without a value lie evenly between their neighbours."""
    names = list(eaf.timeslots)
    values = [eaf.timeslots[name] for name in names]
    known = [place for place, value in enumerate(values) if value is not None]
    seconds: dict[str, float] = {}
    for place, name in enumerate(names):
        after = bisect_right(known, place)
        left = known[after - 1] if after else known[0]
        right = known[after] if after < len(known) else left
        share = 0.0 if place <= left or right == left else (place - left) / (right - left)
        seconds[name] = (values[left] + share * (values[right] - values[left])) / 1000
    return seconds


class _BrokenError(ValueError):
    """What is wrong with a TextGrid."""


def read_textgrid(source: Source) -> Draft:
    """Praat's TextGrid, long, short or binary: what is said on its interval tiers, by their names.

    Raises:
        ValueError: where Praat could not open it, or where it holds no utterance.
    """
    data = source.path.read_bytes()
    try:
        if data.startswith(b"ooBinaryFile"):
            from pympi import TextGrid

            grid = TextGrid(xmax=0)
            grid.from_file(io.BytesIO(data))
            found = [(tier.name, tier.tier_type == "IntervalTier", tier.intervals) for tier in grid.tiers]
        else:
            found = list(_praat_tiers(source.text))
    except Exception as error:  # of whatever class pympi lets out
        if isinstance(error, ValueError) and str(error).startswith(source.name):
            raise
        why = str(error) if isinstance(error, _BrokenError) else "it is damaged"
        raise ValueError(
            f"{source.name} must be a TextGrid that Praat can open, found: {why}; save it with Praat."
        ) from None
    tiers = [_Tier(name, None, list(intervals)) for name, is_interval, intervals in found if is_interval]
    points = [name for name, is_interval, _ in found if not is_interval]
    draft = _draft(source, tiers)
    draft.remarks[:0] = name_unused("point tier", points)
    return draft


def _praat_tiers(text: str) -> Iterator[tuple[str, bool, list[tuple[float, float, str]]]]:
    """Name, whether it has intervals, and those. What Praat reads are strings and numbers that stand free, in order."""
    tokens = [match for match in _PRAAT.finditer(text) if not match[0].startswith("!")]
    place = 0

    def read(group: int) -> str:
        nonlocal place
        if place >= len(tokens):
            raise _BrokenError("its end is missing")
        token = tokens[place]
        place += 1
        if token[group] is None:
            raise _BrokenError(
                f"{' '.join(token[0].split()):.40} where a {'string' if group == 1 else 'number'} was expected"
            )
        return token[group].replace('""', '"')

    if (read(1), read(1)) != ("ooTextFile", "TextGrid"):
        raise _BrokenError("another kind of Praat's files")
    read(2), read(2), read(3)
    for _ in range(int(read(2))):
        is_interval = read(1) == "IntervalTier"
        name = read(1)
        read(2), read(2)
        intervals = []
        for _ in range(int(read(2))):
            start = float(read(2))
            end = float(read(2)) if is_interval else start
            intervals.append((start, end, read(1)))
        yield name, is_interval, intervals


def _draft(source: Source, tiers: Sequence[_Tier]) -> Draft:
    spoken = [
        tier
        for tier in tiers
        if not any(map(tier.is_of, (LABEL_TIERS, SPEAKER_TIERS, WORD_TIERS))) and not _is_aside(tier)
    ]
    spoken = [tier for tier in spoken if _values(tier)[1]]
    if not spoken:
        found = ", ".join(tier.name for tier in tiers) or "none"
        raise ValueError(
            f"{source.name} must have a tier for each speaker with what is said, found {found}; name the tiers after "
            "the speakers or `text`."
        )
    said, used = [], set()
    for tier in spoken:
        own, values = _values(tier)
        labels = next((name for name in tier.children if _is_of(name, LABEL_TIERS)), None)
        used |= {tier.name, own, labels}
        speaker = _speaker(tier)
        for place, ((start, end, _), value) in enumerate(zip(tier.intervals, values, strict=True)):
            if value and value.strip() and value.strip().casefold() not in SILENCES:
                label = tier.children[labels][place] if labels else None
                said.append(Said(f"tier {tier.name}", value, speaker, start, end, {"label": label or None}))
    for tier in tiers:
        if tier.name not in used and tier.is_of(LABEL_TIERS | SPEAKER_TIERS):
            _attach(said, tier, "label" if tier.is_of(LABEL_TIERS) else "speaker")
            used.add(tier.name)
    names = [name for tier in tiers for name in (tier.name, *tier.children)]
    kinds = {name for name in names if _is_of(name, frozenset({"probability"}))}  # ours
    unused = [name for name in names if name not in used | kinds and name != "default"]
    notes: list[str] = []
    if not any(one.speaker for one in said):
        said, notes = with_speakers(said)
    return Draft(said, [*name_unused("tier", unused), *notes], is_timed=True)


def _is_aside(tier: _Tier) -> bool:
    """Whether a tier holds remarks, gestures and the like; Toolbox's `ref` holds keys, and its child the words."""
    return tier.is_of(OTHER_TIERS) and _values(tier)[0] == tier.name


def _values(tier: _Tier) -> tuple[str, list[str | None]]:
    """Name of the tier that has the words, this one or a child, and its values."""
    if not tier.is_of(TEXT_TIERS):
        for name, values in tier.children.items():
            if _is_of(name, TEXT_TIERS) and any(values):
                return name, values
    return tier.name, [value for *_, value in tier.intervals]


def _speaker(tier: _Tier) -> str | None:
    """The participant, or the name of the tier without the part that says what it holds."""
    if tier.participant:
        return None if tier.participant == "unknown" else plain_speaker(tier.participant)
    if plain_name(tier.name) in TEXT_TIERS | {"unknown", "default"}:
        return None
    parts = tier.parts
    own = [one for one in parts if plain_name(one) not in TEXT_TIERS | OTHER_TIERS]
    return plain_speaker(tier.name if len(own) == len(parts) else " ".join(own))


def _attach(said: Sequence[Said], tier: _Tier, kind: str) -> None:
    """Give what is said the value of another tier that lasts for most of it."""
    intervals = sorted(tier.intervals)
    starts = [start for start, *_ in intervals]
    for one in said:
        if one.start is None or one.end is None:
            continue
        middle = (one.start + one.end) / 2
        place = bisect_right(starts, middle) - 1
        if place < 0 or intervals[place][1] < middle or not intervals[place][2].strip():
            continue
        if kind == "label":
            one.others["label"] = one.others.get("label") or intervals[place][2].strip()
        else:
            one.speaker = one.speaker or plain_speaker(intervals[place][2])
