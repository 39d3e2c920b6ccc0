"""JSON: our own files, and what speech recognition writes, of whatever tool."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..columns import Column, find_columns, plain_name
from ..times import Time, find_unit, read_time
from .draft import Draft, Said, Source, check_count, name_unused, no_utterance, some, speaker_name
from .tables import with_speakers
from .vocabulary import BOOKKEEPING

# Where the list of segments lies, the most telling first.
PLACES = (
    ("utterances",),
    ("results", "utterances"),
    ("segments",),
    ("speakers",),
    ("chunks",),
    ("transcription",),
    ("results", "audio_segments"),
    ("monologues",),
    ("captions",),
    ("cues",),
    ("subtitles",),
    ("sentences",),
    ("paragraphs",),
    ("recognizedPhrases",),
    ("events",),
    ("transcript",),
    ("results", "transcripts"),
    ("data",),
    ("result", "segments"),
    ("output", "segments"),
    ("output",),
    ("result",),
    ("results",),
)
ROLES = ("text", "speaker", "start", "end", "duration", "label", "id")
_DIGITS = 300
# Whisper and its kin write seconds, whatever the numbers look like.
IN_SECONDS = frozenset({"avg_logprob", "no_speech_prob", "compression_ratio", "scores", "modalities"})


def read_json(source: Source) -> Draft:
    """A list of segments, or an object that holds one.

    Raises:
        ValueError: where it is neither, or holds no utterance.
    """
    content = _load(source)
    if isinstance(content, dict) and isinstance(content.get("utterances"), str):
        raise ValueError(f"{source.name}: `utterances` must be a list, found a string; see `Utterance` for the form.")
    segments, place = _find_segments(content)
    if segments is None:
        keys = some(list(content), ", ") if isinstance(content, dict) else ""
        found = f"an object with {keys or 'no keys'}" if isinstance(content, dict) else _kind(content)
        raise ValueError(
            f"{source.name} must be a list of utterances, or an object with a list of `utterances` or of Whisper's "
            f"`segments`, found {found}; see `Utterance` for the form."
        )
    if not segments:
        raise no_utterance(source)
    check_count(source, len(segments))
    draft = _draft(source, segments)
    if isinstance(content, dict) and place == ("utterances",) and isinstance(content.get("id"), (str, int)):
        draft.id = content["id"]
    return draft


def _kind(value: Any) -> str:
    """What JSON calls a value."""
    names = {bool: "true or false", str: "a string", list: "a list", dict: "an object", type(None): "null"}
    return names.get(type(value), "a number")


def _brief(value: Any) -> str:
    """A value as JSON writes it, or what it is."""
    return _kind(value) if isinstance(value, (dict, list)) else json.dumps(value, ensure_ascii=False)[:40]


def _parsed(text: str) -> Any:
    """What JSON says; a number that is longer than any time or key is infinite."""
    return json.loads(text, parse_int=lambda digits: int(digits) if len(digits) < _DIGITS else math.inf)


def _load(source: Source) -> Any:
    try:
        return _parsed(source.text)
    except RecursionError:
        raise ValueError(f"{source.name} must be a list of utterances, found lists within lists without end.") from None
    except ValueError as error:
        lines = [line for line in source.text.split("\n") if line.strip()]
        try:
            rows = [_parsed(line) for line in lines] if len(lines) > 1 else []
        except (ValueError, RecursionError):
            rows = []
        if rows:
            return rows
        place = (
            f"line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else "some number"
        )
        raise ValueError(f"{source.name} must be valid JSON, found a mistake at {place}; correct it.") from None


def _find_segments(content: Any, depth: int = 2) -> tuple[list[Any] | None, tuple[str, ...]]:
    """The list of segments, and where it was, at most so deep within objects of other names."""
    if isinstance(content, list):
        only = content[0] if len(content) == 1 else None
        if isinstance(only, dict) and not _has_text(only) and "video" not in only:
            return _find_segments(only, depth)
        return content, ()
    if not isinstance(content, dict):
        return None, ()
    empty: tuple[list[Any] | None, tuple[str, ...]] = (None, ())
    for place in PLACES:
        found: Any = content
        for key in place:
            found = found.get(key) if isinstance(found, dict) else None
        if isinstance(found, list) and any(_has_text(one) for one in found):
            return found, place
        if isinstance(found, list) and (place == ("utterances",) or place == ("segments",)):
            empty = (found, place)
    if sentences := list(_deepgram_sentences(content)):
        return sentences, ("results",)
    for key, value in content.items() if depth else ():
        if isinstance(value, dict):
            inner, where = _find_segments(value, depth - 1)
            if inner:
                return inner, (key, *where)
    return empty


def _has_text(segment: Any) -> bool:
    if isinstance(segment, list):
        return _from_list(segment) is not None
    return isinstance(segment, dict) and "text" in _fields(_flat(segment))


def _deepgram_sentences(content: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Deepgram without `utterances` has paragraphs of sentences for each channel."""
    results = content.get("results")
    channels = results.get("channels") if isinstance(results, dict) else None
    for channel in channels if isinstance(channels, list) else []:
        try:
            for paragraph in channel["alternatives"][0]["paragraphs"]["paragraphs"]:
                for sentence in paragraph["sentences"]:
                    yield {**sentence, "speaker": paragraph.get("speaker")}
        except (LookupError, TypeError):
            continue


def _draft(source: Source, segments: Sequence[Any]) -> Draft:
    said: list[Said] = []
    spans: list[tuple[Time | None, Time | None]] = []
    lasting: list[Time | None] = []
    told: float | None = None
    unread: list[str] = []
    unused: dict[str, None] = {}
    for number, segment in enumerate(segments, start=1):
        place = f"segment {number}"
        try:
            flat = _flat(segment)
            clip = flat.pop("video", None) if source.trusted else None
            fields = _fields(flat)
            text = flat.get(fields["text"][0]) if "text" in fields else None
            if text is not None and not isinstance(text, str):
                raise ValueError(f"text must be a string, found {_kind(text)}")
            if "text" not in fields and not clip:
                raise ValueError(f"a segment must be an object with a string `text`, found {_brief(segment)}")
            start, end, duration = (_time(flat, fields.get(role)) for role in ("start", "end", "duration"))
        except (TypeError, ValueError) as error:
            unread.append(f"{place}: {error}")
            continue
        if IN_SECONDS & flat.keys():
            told = 1.0
        told = next(
            (fields[role][1].unit for role in ("start", "duration") if role in fields and fields[role][1].unit), told
        )
        unused |= dict.fromkeys(_unused(flat, fields))
        if text is not None and not text.strip() and not clip:
            continue  # a silence
        said.append(Said(place, text, _speaker(flat, fields), others=_others(flat, fields, clip)))
        spans.append((start, end))
        lasting.append(duration)
    remarks = _set_times(source, said, spans, lasting, told)
    if not any(one.speaker for one in said):
        said, notes = with_speakers(said)
        remarks += notes
    return Draft(said, [*name_unused("field", list(unused)), *remarks], unread)


def _set_times(
    source: Source,
    said: Sequence[Said],
    spans: Sequence[tuple[Time | None, Time | None]],
    lasting: Sequence[Time | None],
    told: float | None,
) -> list[str]:
    try:
        unit = find_unit(spans, [len(one.text or "") for one in said], told, source.duration, source.frame_rate)
    except ValueError as error:
        raise ValueError(f"{source.name}: {error}") from None
    for one, (start, end), duration in zip(said, spans, lasting, strict=True):
        one.start, one.end = unit.to_seconds(start), unit.to_seconds(end)
        if end is None and one.start is not None and (more := unit.to_seconds(duration)) is not None:
            one.end = one.start + more
    return [unit.remark] if unit.remark else []


def _flat(segment: Any) -> dict[str, Any]:
    """A segment's fields, the times and words that tools put one level deeper among them."""
    if isinstance(segment, list):
        found = _from_list(segment)
        if found is None:
            raise ValueError(f"a segment must be an object with a string `text`, found {_brief(segment)}")
        return found
    if not isinstance(segment, dict):
        raise ValueError(f"a segment must be an object with a string `text`, found {_brief(segment)}")
    flat = dict(segment)
    for name in ("timestamp", "timestamps", "offsets", "timespan", "interval"):
        value = segment.get(name)
        if isinstance(value, dict) and {"from", "to"} <= value.keys():
            unit = " ms" if name == "offsets" else ""
            flat |= {f"start{unit}": value["from"], f"end{unit}": value["to"]}
            flat.pop(name)
        elif isinstance(value, list) and len(value) == 2:
            flat |= {"start": value[0], "end": value[1]}
            flat.pop(name)
    if {"start", "start ms"} <= flat.keys():
        flat.pop("start ms"), flat.pop("end ms", None)
    if isinstance(segment.get("segs"), list):  # YouTube
        flat["text"] = "".join(str(one.get("utf8", "")) for one in segment["segs"] if isinstance(one, dict))
    if isinstance(segment.get("elements"), list):  # Rev.ai
        flat |= _from_elements(segment["elements"])
    if isinstance(segment.get("alternatives"), list):  # Google
        flat |= _from_alternatives(segment["alternatives"])
    if isinstance(segment.get("nBest"), list) and segment["nBest"] and isinstance(segment["nBest"][0], dict):  # Azure
        flat["text"] = segment["nBest"][0].get("display")
    return flat


def _from_list(segment: Sequence[Any]) -> dict[str, Any] | None:
    """faster-whisper's segments are named tuples: id, seek, start, end, text, …; others are (start, end, text)."""
    for places in ((2, 3, 4), (0, 1, 2)):
        if len(segment) > places[2]:
            start, end, text = (segment[place] for place in places)
            if isinstance(text, str) and all(isinstance(time, (int, float)) for time in (start, end)):
                return {"start": start, "end": end, "text": text} | ({"seek": 0, "avg_logprob": 0} if places[0] else {})
    return None


def _from_alternatives(alternatives: Sequence[Any]) -> dict[str, Any]:
    best = alternatives[0] if alternatives and isinstance(alternatives[0], dict) else {}
    words = best.get("words")
    timed = [one for one in words if isinstance(one, dict)] if isinstance(words, list) else []
    first, last = (timed[0], timed[-1]) if timed else ({}, {})
    return {
        "text": best.get("transcript"),
        "start": first.get("startTime", first.get("start")),
        "end": last.get("endTime", last.get("end")),
        "speaker": last.get("speakerTag"),
    }


def _from_elements(elements: Sequence[Any]) -> dict[str, Any]:
    parts = [one for one in elements if isinstance(one, dict)]
    starts = [one["ts"] for one in parts if "ts" in one]
    ends = [one["end_ts"] for one in parts if "end_ts" in one]
    text = "".join(str(one.get("value", "")) for one in parts)
    return {"text": text, "start": starts[0] if starts else None, "end": ends[-1] if ends else None, "avg_logprob": 0}


def _fields(flat: Mapping[str, Any]) -> dict[str, tuple[str, Column]]:
    filled = (name for name, value in flat.items() if value is not None or name == "text")
    return find_columns([name for name in filled if plain_name(name) not in BOOKKEEPING], ROLES)


def _time(flat: Mapping[str, Any], field: tuple[str, Column] | None) -> Time | None:
    value = None if field is None else flat[field[0]]
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError(f"a time must be in seconds, found {_brief(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"a time must be in seconds, found {value}")
    time = read_time(value)
    if time is not None and time.value < 0:
        raise ValueError(f"a time must be at least 0 s, found {value}")
    return time


def _speaker(flat: Mapping[str, Any], fields: Mapping[str, tuple[str, Column]]) -> str | None:
    return speaker_name(flat[fields["speaker"][0]]) if "speaker" in fields else None


def _others(flat: Mapping[str, Any], fields: Mapping[str, tuple[str, Column]], clip: Any) -> dict[str, Any]:
    """Label, key and clip, where they are what they should be."""
    others: dict[str, Any] = {}
    for role, kinds in (("label", (str,)), ("id", (str, int))):
        value = flat[fields[role][0]] if role in fields else None
        if isinstance(value, kinds) and not isinstance(value, bool) and value != "":
            others[role] = value
    if isinstance(clip, str):
        others["video"] = clip
    return others


def _unused(flat: Mapping[str, Any], fields: Mapping[str, tuple[str, Column]]) -> Iterator[str]:
    used = {name for name, _ in fields.values()}
    for name, value in flat.items():
        if name not in used and value not in (None, "", [], {}) and plain_name(name) not in BOOKKEEPING:
            yield name
