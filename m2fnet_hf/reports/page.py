"""A page to look through the result beside its recording: one file, which loads nothing from elsewhere."""

import base64
import hashlib
import mimetypes
import os
from collections import Counter
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote
from uuid import uuid4

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from ..utils.times import clock
from .console_tables import UNREAD
from .formatting import MARK, emotion, one_line, speaker_name
from .palette import palette
from .timeline_layout import Bar, Layout, is_timed, lay_out

LARGEST_EMBEDDED = 64 * 2**20  # bytes; a longer recording is linked
_RECORDING = uuid4().hex  # stands in the page where the bytes of the recording go
_BLOCK = 3 * 2**18  # bytes, a multiple of the three that base64 takes at a time
BAR_WIDTH = 12  # pixels that the timeline has per utterance: it scrolls where they are many


def write_page(result: Mapping[str, Any], path: Path, recording: Path | None = None) -> None:
    """An HTML page with the recording, a timeline and a table.

    Args:
        recording: a video or a sound file. It becomes part of the page up to 64 MiB, else the page links it
            relative to `path`.
    """
    utterances = result["utterances"]
    layout = lay_out(utterances, shortest=0.25 / max(1, len(utterances)))
    colors = palette(result["labels"])
    counts = Counter(utterance["label"] for utterance in utterances)
    script = _part("page.js")
    page = _template().render(
        mark=MARK,
        result=result,
        utterances=utterances,
        speakers=len({speaker_name(utterance) for utterance in utterances}),
        names=UNREAD,
        by_modality=[_by_modality(utterance) for utterance in utterances],
        places=[_place(index, utterance) for index, utterance in enumerate(utterances)],
        counts=[(label, counts[label]) for label in colors if label in counts],
        colors=colors,
        layout=layout,
        ticks=_ticks(layout, most=max(8, len(utterances) // 8)),
        bars=[_bar(bar, utterances[bar.number], layout) for bar in sorted(layout.bars, key=lambda bar: bar.left)],
        track_width=BAR_WIDTH * len(layout.bars),
        player=None if recording is None else _player(recording, path.parent),
        media_source="data:" if recording is not None and _is_embedded(recording) else Markup("'self' file:"),
        style=_part("page.css"),
        script=script,
        script_hash=_hash(f"\n{script}\n"),
    )
    before, _, after = page.partition(_RECORDING)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(before)
        if recording is not None and _is_embedded(recording):
            _write_base64(recording, file)
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


def _template() -> Template:
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    environment.filters |= {"line": one_line, "count": _count, "percent": "{:.0%}".format}
    environment.tests["timed"] = is_timed
    return environment.from_string(_part("page.html"))


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _is_embedded(recording: Path) -> bool:
    return recording.stat().st_size <= LARGEST_EMBEDDED


def _player(recording: Path, folder: Path) -> dict[str, str]:
    kind = mimetypes.guess_type(recording.name)[0] or "video/mp4"
    if _is_embedded(recording):
        source = f"data:{kind};base64,{_RECORDING}"
    else:
        source = quote(Path(os.path.relpath(recording, folder)).as_posix())
    element = "audio" if kind.startswith("audio/") else "video"
    return {"element": element, "name": one_line(recording.name), "source": source}


def _ticks(layout: Layout, most: int) -> list[tuple[float, str]]:
    """Positions in per cent, and what stands there."""
    ticks = layout.ticks(layout.first, layout.last, most)
    return [(_percent(tick, layout), layout.mark(tick)) for tick in ticks]


def _bar(bar: Bar, utterance: Mapping[str, Any], layout: Layout) -> dict[str, Any]:
    """A bar's place, across in per cent and down in rows."""
    left, height = _percent(bar.left, layout), 0.8 / bar.lanes
    place = _place(bar.number, utterance)
    return {
        "index": bar.number,
        "title": f"{place} {speaker_name(utterance)}, {emotion(utterance)}: {utterance['text'] or ''}",
        "left": left,
        "width": _percent(bar.right, layout) - left,
        "top": bar.row + 0.1 + bar.lane * height,
        "height": height,
    }


def _percent(position: float, layout: Layout) -> float:
    return 100 * (position - layout.first) / (layout.last - layout.first)


def _by_modality(utterance: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    """From what an answer was made, the emotion and its probability: each modality alone, and all but each."""
    said = utterance.get("modality_scores", {"alone": {}, "without": {}})
    # Of two modalities, without the one is the other alone.
    kinds = {"{} alone": said["alone"], "without {}": said["without"] if len(said["without"]) > 2 else {}}
    found = [(kind.format(UNREAD[name]), scores) for kind, each in kinds.items() for name, scores in each.items()]
    best = [(source, max(scores, key=scores.__getitem__), max(scores.values())) for source, scores in found]
    return best if len(said["alone"]) > 1 else []


def _place(index: int, utterance: Mapping[str, Any]) -> str:
    """Where an utterance stands: its start, or its number where that is not known."""
    return clock(utterance["start"]) if is_timed(utterance) else str(index + 1)
