"""A page to look through the result beside its recording: one file, which loads nothing from elsewhere."""

import base64
import hashlib
import mimetypes
import os
from collections import Counter
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, TextIO
from urllib.parse import quote
from uuid import uuid4

from ..utils.times import clock
from .console_tables import UNREAD
from .formatting import emotion, one_line, speaker_name
from .palette import palette
from .timeline_layout import Bar, Layout, is_timed, lay_out

LARGEST_EMBEDDED = 64 * 2**20  # bytes; a longer recording is linked
_RECORDING = uuid4().hex  # stands in the page where the bytes of the recording go
_BLOCK = 3 * 2**18  # bytes, a multiple of the three that base64 takes at a time
BAR_WIDTH = 12  # pixels that the timeline has per utterance: it scrolls where they are many


def write_page(result: Mapping[str, Any], path: Path, video: Path | None = None) -> None:
    """An HTML page with the recording, a timeline and a table.

    Args:
        video: the recording, or a sound file. It becomes part of the page up to 64 MiB, else the page links it
            relative to `path`.
    """
    utterances = result["utterances"]
    colors = palette(result["labels"])
    layout = lay_out(utterances, shortest=0.25 / max(1, len(utterances)))
    script = _part("page.js")
    page = Template(_part("page.html")).substitute(
        source=_text(result["source"]),
        style=_part("page.css"),
        script=script,
        script_hash=_hash(f"\n{script}\n"),
        media_source="data:" if video is not None and _is_embedded(video) else "'self' file:",
        facts=_text(_facts(result)),
        remarks="\n".join(_remarks(result)),
        player="" if video is None else _player(video, path.parent),
        filters="\n".join(_filters(utterances, colors)),
        timeline=_timeline(utterances, layout, colors),
        place="Time" if layout.timed else "No.",
        rows="\n".join(_row(n, utterance, colors, video is not None) for n, utterance in enumerate(utterances)),
    )
    before, _, after = page.partition(_RECORDING)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(before)
        if video is not None and _is_embedded(video):
            _write_base64(video, file)
        file.write(after)


def _write_base64(source: Path, target: TextIO) -> None:
    """Block by block, so that a long recording takes no memory."""
    with source.open("rb") as file:
        while block := file.read(_BLOCK):
            target.write(base64.b64encode(block).decode())


def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8").strip()


def _hash(script: str) -> str:
    """The one script that the page's policy allows."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _text(text: str | None) -> str:
    return escape(one_line(text))


def _facts(result: Mapping[str, Any]) -> str:
    utterances = result["utterances"]
    speakers = len({speaker_name(utterance) for utterance in utterances})
    return f"{_count(len(utterances), 'utterance')}, {_count(speakers, 'speaker')}. Model: {result['model']}."


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _remarks(result: Mapping[str, Any]) -> list[str]:
    missing = [
        f"No {UNREAD.get(modality, modality)} in {_count(number, 'utterance')}: {reason}."
        for modality, reasons in result["missing"].items()
        for reason, number in reasons.items()
    ]
    notes = [f'<p class="remark">{_text(note)}</p>' for note in [result["note"], *missing] if note]
    return notes + [f'<p class="remark warning">{_text(warning)}</p>' for warning in result["warnings"]]


def _is_embedded(video: Path) -> bool:
    return video.stat().st_size <= LARGEST_EMBEDDED


def _player(video: Path, folder: Path) -> str:
    kind = mimetypes.guess_type(video.name)[0] or "video/mp4"
    element = "audio" if kind.startswith("audio/") else "video"
    if _is_embedded(video):
        source = f"data:{kind};base64,{_RECORDING}"
    else:
        source = quote(Path(os.path.relpath(video, folder)).as_posix())
    name = _text(video.name)
    return (
        f'<section class="player" aria-label="Recording"><{element} controls playsinline preload="metadata" '
        f'aria-label="{name}" src="{source}"></{element}>'
        f'<p class="remark warning" id="unplayable" role="alert" hidden>This browser cannot play {name}: it must be '
        "there, in a format that browsers know. Convert it to MP4 (H.264 and AAC) and write the page again.</p>"
        "</section>"
    )


def _filters(utterances: list[Mapping[str, Any]], colors: Mapping[str, str]) -> list[str]:
    counts = Counter(utterance["label"] for utterance in utterances)
    return [
        f'<button type="button" aria-pressed="false" data-label="{_text(label)}"><span class="dot" '
        f'style="--color:{color}"></span>{_text(label)} <span class="quiet">{counts[label]}</span></button>'
        for label, color in colors.items()
        if label in counts
    ]


def _timeline(utterances: list[Mapping[str, Any]], layout: Layout, colors: Mapping[str, str]) -> str:
    names = "".join(f'<span title="{_text(name)}">{_text(name)}</span>' for name in layout.rows)
    ticks = "".join(
        f'<span class="tick" style="left:{_percent(tick, layout):.3f}%">{layout.mark(tick)}</span>'
        for tick in layout.ticks(layout.first, layout.last, most=max(8, len(utterances) // 8))
    )
    bars = "\n".join(
        _bar(bar, utterances[bar.number], layout, colors, is_first=number == 0)
        for number, bar in enumerate(sorted(layout.bars, key=lambda bar: bar.left))
    )
    return (
        f'<div class="timeline" role="group" aria-label="Timeline: arrow keys move, Enter plays" '
        f'style="--rows:{len(layout.rows)}"><div class="names">{names}</div><div class="scroll">'
        f'<div class="track" data-first="{layout.first}" data-last="{layout.last}"{" data-timed" * layout.timed} '
        f'style="min-width:{BAR_WIDTH * len(layout.bars)}px">{ticks}\n{bars}\n'
        f'<span class="playhead" hidden></span></div></div></div>'
    )


def _bar(bar: Bar, utterance: Mapping[str, Any], layout: Layout, colors: Mapping[str, str], is_first: bool) -> str:
    left, width = _percent(bar.left, layout), _percent(bar.right, layout) - _percent(bar.left, layout)
    height = 0.8 / bar.lanes
    top = bar.row + 0.1 + bar.lane * height
    said = _text(
        f"{_place(bar.number, utterance)} {speaker_name(utterance)}, {emotion(utterance)}: {utterance['text'] or ''}"
    )
    return (
        f'<button type="button" class="bar" tabindex="{0 if is_first else -1}" data-index="{bar.number}" '
        f'title="{said}" style="left:{left:.3f}%;width:{width:.3f}%;top:calc({top:.3f}*var(--row));'
        f"height:calc({height:.3f}*var(--row));--color:{colors[utterance['label']]};"
        f'--opacity:{30 + 70 * utterance["score"]:.0f}%"></button>'
    )


def _percent(position: float, layout: Layout) -> float:
    return 100 * (position - layout.first) / (layout.last - layout.first)


def _row(index: int, utterance: Mapping[str, Any], colors: Mapping[str, str], playable: bool) -> str:
    place = _place(index, utterance)
    times = ""
    if is_timed(utterance):
        times = f' data-start="{utterance["start"]}" data-end="{utterance["end"]}"'
        if playable:
            place = f'<button type="button" aria-label="Play from {place}">{place}</button>'
    label = utterance["label"]
    missing = "".join(
        f'<p class="quiet">No {_text(UNREAD.get(modality, modality))}: {_text(reason)}.</p>'
        for modality, reason in utterance["missing"].items()
    )
    scores = "".join(_score("li", name, share, colors) for name, share in utterance["scores"].items())
    return (
        f'<tr data-label="{_text(label)}"{times} style="--color:{colors[label]}"><td class="time">{place}</td>'
        f'<td class="speaker">{_text(utterance["speaker"])}</td><td class="said">{_text(utterance["text"])}</td>'
        f'<td class="emotion"><details>{_score("summary", label, utterance["score"], colors)}'
        f'<ul class="scores">{scores}</ul>{missing}</details></td></tr>'
    )


def _score(tag: str, label: str, share: float, colors: Mapping[str, str]) -> str:
    style = f"--color:{colors[label]};--share:{100 * share:.1f}%"
    return f'<{tag} class="score" style="{style}">{_text(label)}<b>{share:.0%}</b></{tag}>'


def _place(index: int, utterance: Mapping[str, Any]) -> str:
    """Where an utterance stands: its start, or its number where that is not known."""
    return clock(utterance["start"]) if is_timed(utterance) else str(index + 1)
