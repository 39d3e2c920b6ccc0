"""Subtitles that name the emotion of each utterance."""

import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import webvtt
from pysubs2 import SSAEvent, SSAFile
from webvtt.models import Timestamp

from .formatting import emotion, one_line
from .palette import palette
from .timeline_layout import by_start, milliseconds

_PLAIN_NAME = re.compile(r"(?!(?i:note|nb|ps)$)[A-Z][\w'-]*(?: [A-Z0-9(][\w')-]*){0,3}")
# SRT knows no escapes: what would be taken for a tag, an entity, an arrow or a line break becomes an entity.
_SRT_MARKUP = re.compile(r"\\|<(?=[/\w:.])|&(?=#?\w+;)|(?<=--)>")


def write_srt(result: Mapping[str, Any], path: Path) -> None:
    """SubRip: `ANN: [joy 61%] You came!`, the speaker first because only so do readers of subtitles see it.

    Utterances without both times are left out.
    """
    subtitles = SSAFile()
    for utterance in by_start(result["utterances"]):
        start, end = milliseconds(utterance)
        text = _SRT_MARKUP.sub(lambda match: f"&#{ord(match[0])};", _srt_line(utterance))
        subtitles.append(SSAEvent(start=start, end=end, text=text))
    subtitles.save(str(path), format_="srt", keep_ssa_tags=True)


def write_vtt(result: Mapping[str, Any], path: Path) -> None:
    """WebVTT: `<v.joy ANN>[joy 61%] You came!`, each emotion in its colour.

    Utterances without both times are left out.
    """
    captions = []
    for utterance in by_start(result["utterances"]):
        start, end = (str(Timestamp.from_seconds(time / 1000)) for time in milliseconds(utterance))
        captions.append(webvtt.Caption(start, end, _vtt_line(utterance)))
    colors = palette(result["labels"])
    styles = [webvtt.Style(f"::cue(.{_css_class(label)}) {{ color: {color}; }}") for label, color in colors.items()]
    path.write_text(webvtt.WebVTT(captions=captions, styles=styles).content, encoding="utf-8", newline="\n")


def _srt_line(utterance: Mapping[str, Any]) -> str:
    name = one_line(utterance["speaker"])
    if name and not _PLAIN_NAME.fullmatch(name):
        name = f"[{name}]"  # in brackets, readers take any name for one
    return f"{name}: {_said(utterance)}" if name else _said(utterance)


def _vtt_line(utterance: Mapping[str, Any]) -> str:
    name = html.escape(one_line(utterance["speaker"]), quote=False)
    text = html.escape(_said(utterance), quote=False)
    style = _css_class(utterance["label"])
    return f"<v.{style} {name}>{text}</v>" if name else f"<c.{style}>{text}</c>"


def _said(utterance: Mapping[str, Any]) -> str:
    return f"[{emotion(utterance)}] {one_line(utterance['text'])}".rstrip()


def _css_class(label: str) -> str:
    return "-".join(re.findall(r"\w+", label))
