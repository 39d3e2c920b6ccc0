"""A page to look through the result beside its recording: one file, which loads nothing from elsewhere."""

import base64
import hashlib
import mimetypes
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote
from uuid import uuid4

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from .console_tables import UNREAD
from .formatting import MARK, one_line, speaker_name
from .page_sections import sections
from .palette import palette
from .result import summary
from .speaker_charts import speaker_charts
from .timeline_layout import is_timed

LARGEST_EMBEDDED = 64 * 2**20  # bytes; a longer recording is linked
_RECORDING = uuid4().hex  # stands in the page where the bytes of the recording go
_BLOCK = 3 * 2**18  # bytes, a multiple of the three that base64 takes at a time
_SCRIPTS = ("page_rows.js", "page_filters.js", "page_player.js")


def write_page(result: Mapping[str, Any], path: Path, recording: Path | None = None) -> None:
    """An HTML page with the recording, each speaker's emotions over time, and sections of timeline and table.

    Args:
        recording: a video or a sound file. It becomes part of the page up to 64 MiB, else the page links it
            relative to `path`.
    """
    utterances = result["utterances"]
    colors = palette(result["labels"])
    counts = Counter(utterance["label"] for utterance in utterances)
    script = "\n".join(_part(name) for name in _SCRIPTS)
    page = _template().render(
        mark=MARK,
        result=result,
        summary=list(summary(result)),
        utterances=utterances,
        speakers=Counter(speaker_name(utterance) for utterance in utterances),
        names=UNREAD,
        timed=any(map(is_timed, utterances)),
        sections=sections(utterances, result["labels"]),
        charts=speaker_charts(utterances),
        counts=[(label, counts[label]) for label in colors if label in counts],
        colors=list(colors.values()),
        number={label: number for number, label in enumerate(colors)},
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


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    environment.filters |= {"line": one_line, "count": _count, "percent": "{:.0%}".format, "columns": _columns}
    environment.tests["timed"] = is_timed
    return environment.from_string(_part("page.html"))


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _columns(shares: Sequence[float]) -> str:
    """The path of a chart that is as high as 10, a column for each share."""
    return "".join(f"M{place} 10v{-10 * share:.1f}h1V10z" for place, share in enumerate(shares) if share)


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
