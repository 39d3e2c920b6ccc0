"""The result of a conversation to files."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from ..utils.files import write_json, write_whole
from ..utils.paths import short_stem
from .timeline_layout import is_timed

KINDS = ("json", "csv", "srt", "vtt", "eaf", "png", "html")
KNOWN = (*KINDS, "parquet")
SUBTITLES = ("srt", "vtt")
NEED_TIMES = (*SUBTITLES, "eaf")
REPORTS_EXTRA = "pip install 'm2fnet-hf[reports]'"
TABLES_EXTRA = "pip install 'm2fnet-hf[tables]'"


def write_reports(
    result: Mapping[str, Any],
    folder: str | Path,
    stem: str,
    kinds: Sequence[str] | Literal["all"] = "all",
    recording: str | Path | None = None,
    transcript: str | Path | None = None,
) -> list[Path]:
    """Write a file per kind: the new one takes the place of an older one only when it is whole.

    Args:
        folder: made where it is not there.
        stem: of the names: `<stem>.json`, but `<stem>.emotions.srt`, because the transcript may lie in the same folder.
        kinds: of `json`, `csv`, `srt`, `vtt`, `eaf` (ELAN), `png` (timeline) `html` (page with the recording) and
            `parquet`; `all` are all but the last, which is for programs.
        recording: what the page shows and ELAN opens.
        transcript: what was predicted; where it is ELAN's, `eaf` is that file with the predictions.

    Returns:
        The files, in the order of `kinds`.

    Raises:
        ValueError: for an unknown kind, or one that needs times where no utterance has any.
        ImportError: for a kind whose package is missing.

    Warns:
        UserWarning: where subtitles and ELAN are left out for want of times, or lack some utterances.
    """
    kinds = _possible_kinds(result["utterances"], kinds)
    recording = None if recording is None else Path(recording)
    own = Path(transcript) if transcript is not None and Path(transcript).suffix.lower() == ".eaf" else None
    writers = [(kind, _writer(kind, recording, own)) for kind in kinds]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return [_replace(folder / report_name(result, stem, kind), partial(write, result)) for kind, write in writers]


def check_packages(kinds: Sequence[str] | Literal["all"]) -> None:
    """Whether all that the reports need is installed, before any long work for them.

    Raises:
        ImportError: naming the report and what it lacks.
    """
    for kind in KINDS if kinds == "all" else kinds:
        _writer(kind, None)


def _possible_kinds(utterances: Sequence[Mapping[str, Any]], kinds: Sequence[str] | Literal["all"]) -> list[str]:
    chosen = list(KINDS) if kinds == "all" else list(kinds)
    unknown = [kind for kind in chosen if kind not in KNOWN]
    if unknown:
        raise ValueError(f"A report must be one of {', '.join(KNOWN)}, found {', '.join(unknown)}; correct its name.")
    needy = [kind for kind in chosen if kind in NEED_TIMES]
    untimed = sum(not is_timed(utterance) for utterance in utterances)
    if not needy or not untimed:
        return chosen
    if untimed < len(utterances):
        warnings.warn(
            f"{untimed} of {len(utterances)} utterances have no start and end and are left out of {', '.join(needy)}.",
            stacklevel=3,
        )
        return chosen
    found = f"{', '.join(needy)} need the start and end of utterances, found none in {len(utterances)}"
    if kinds != "all":
        raise ValueError(f"{found}; give a transcript with times, or choose other reports.")
    warnings.warn(f"{found}, and are left out.", stacklevel=3)
    return [kind for kind in chosen if kind not in needy]


def _writer(
    kind: str, recording: Path | None, transcript: Path | None = None
) -> Callable[[Mapping[str, Any], Path], None]:
    """What writes a kind of file; its packages are loaded here, before any file is written."""
    try:
        match kind:
            case "json":
                return write_json
            case "csv":
                from .spreadsheet import write_csv

                return write_csv
            case "parquet":
                import pandas  # noqa: F401
                import pyarrow  # noqa: F401  pandas finds it when it writes

                from .data_frame import write_parquet

                return write_parquet
            case "srt":
                from .subtitles import write_srt

                return write_srt
            case "vtt":
                from .subtitles import write_vtt

                return write_vtt
            case "eaf":
                from .elan import write_elan

                return partial(write_elan, recording=recording, transcript=transcript)
            case "png":
                from .timeline import write_timeline

                return partial(write_timeline, format="png")
            case _:
                from .page import write_page

                return partial(write_page, recording=recording)
    except ImportError as error:
        extra = TABLES_EXTRA if kind == "parquet" else REPORTS_EXTRA
        raise ImportError(f"The report {kind} needs {error.name}: {extra}") from None


def report_name(result: Mapping[str, Any], stem: str, kind: str) -> str:
    """The name of a report, never that of the transcript."""
    stem = short_stem(stem)
    name = f"{stem}.{kind}"
    return f"{stem}.emotions.{kind}" if kind in SUBTITLES or name == Path(result["source"]).name else name


def _replace(path: Path, write: Callable[[Path], None]) -> Path:
    with write_whole(path) as part:
        write(part)
    return path
