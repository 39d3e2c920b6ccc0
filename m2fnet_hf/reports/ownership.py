"""Whether a file is one that m2fnet wrote, which the next run may replace."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av

from ..media.container import open_container
from .formatting import MARK
from .spreadsheet import COLUMNS

_HEAD = 1 << 16  # bytes
_SAID = re.compile(rb"-->.*\n.*\[[^\]\n]+ \d+%\]")


def is_ours(path: Path, kind: str) -> bool:
    """Whether it is a file of a kind as m2fnet writes it.

    Args:
        path: of a file.
        kind: of report (see `writers`); `mp4` of an annotated recording, `metrics` of an evaluation or a calibration,
            or `jsonl` of predictions.
    """
    try:
        return path.is_file() and _CHECKS[kind](path)
    except (OSError, ValueError):
        return False


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD)


def _is_json_with(*names: str) -> Callable[[Path], bool]:
    def check(path: Path) -> bool:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        return isinstance(content, dict) and content.keys() >= set(names)

    return check


def _is_metrics(path: Path) -> bool:
    return _is_json_with("weighted_f1", "confusion")(path) or _is_json_with("temperature", "before", "after")(path)


def _is_predictions(path: Path) -> bool:
    first = json.loads(_head(path).partition(b"\n")[0])
    return isinstance(first, dict) and first.keys() >= {"dialogue", "prediction", "probabilities"}


def _is_table(path: Path) -> bool:
    header = _head(path).decode("utf-8-sig", "replace").partition("\r\n")[0]
    return header.startswith(",".join(COLUMNS)) and header.endswith(",modalities,missing")


def _is_subtitles(path: Path) -> bool:
    return _SAID.search(_head(path)) is not None


def _is_annotations(path: Path) -> bool:
    content = path.read_bytes()
    # ELAN puts its own date into a file that somebody worked on.
    is_new = f'AUTHOR="{MARK}"'.encode() in content and b'DATE="1970-01-01' in content
    return is_new or (path.name.endswith(".emotions.eaf") and b'CV_ID="emotions"' in content)


def _is_marked(path: Path) -> bool:
    return MARK.encode() in _head(path)


def _is_recording(path: Path) -> bool:
    try:
        with open_container(path) as container:
            return container.metadata.get("comment") == MARK
    except av.FFmpegError:
        return False


_CHECKS: dict[str, Callable[[Path], bool]] = {
    "json": _is_json_with("model", "labels", "source", "utterances"),
    "csv": _is_table,
    "srt": _is_subtitles,
    "vtt": _is_subtitles,
    "eaf": _is_annotations,
    "png": _is_marked,
    "html": _is_marked,
    "mp4": _is_recording,
    "metrics": _is_metrics,
    "jsonl": _is_predictions,
}
