"""One conversation of 20 utterances in every format that tools export: always the same dialogue."""

import html
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pympi import Eaf, TextGrid

from m2fnet_hf.data.transcripts import FORMATS, open_transcript, read_transcript

SPEAKERS = ("Anna", "Ben Carter")
SENTENCES = """Where have you been all night?|I was at my mother's, I told you.|You never told me anything!
Of course I did, twice, on the phone.|That was last week.|Was it? Then I am sorry.|You are always sorry.
Well, what else can I be?|Honest, for example.|Honest about what?|About the money, Ben.|What money?
The 3,000 that went missing: on Monday.|Oh. That money.|So you do know!|I wanted to surprise you.
With what? A hole in our account?|With two tickets to Lisbon.|You did not.|I did; we leave at 7:30 tomorrow.""".replace(
    "\n", "|"
).split("|")
# Speaker, text, start, end: gaps, overlaps and hundredths.
TALK = [
    (SPEAKERS[n % 2], text, round(2.5 * n + 0.25, 2), round(2.5 * n + 2.25 + (0.75 if n % 5 == 0 else 0), 2))
    for n, text in enumerate(SENTENCES)
]


def clock(seconds: float, mark: str = ",", digits: int = 3) -> str:
    units = round(seconds * 10**digits)
    whole, rest = divmod(units, 10**digits)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}{mark}{rest:0{digits}d}"


def srt(line: str = "{speaker}: {text}", **marks: Any) -> str:
    return "\n".join(
        f"{n}\n{clock(start, **marks)} --> {clock(end, **marks)}\n{line.format(speaker=speaker, text=text)}\n"
        for n, (speaker, text, start, end) in enumerate(TALK, start=1)
    )


def vtt(line: str) -> str:
    cues = (
        f"{clock(start, '.')} --> {clock(end, '.')} align:start\n"
        f"{line.format(speaker=speaker, text=html.escape(text, quote=False))}\n"
        for speaker, text, start, end in TALK
    )
    return "WEBVTT\nKind: captions\n\nNOTE made by a tool\n\nSTYLE\n::cue { color: red }\n\n" + "\n".join(cues)


def teams() -> str:
    cues = (
        f"8e0c-{n}/{n}-0\n{clock(start, '.')} --> {clock(end, '.')}\n<v {speaker}>{text}</v>\n"
        for n, (speaker, text, start, end) in enumerate(TALK)
    )
    return "WEBVTT\n\n" + "\n".join(cues)


def highlighted() -> str:
    """Whisper's `--highlight_words`: a cue for each word, with all words of its segment."""
    cues = ["WEBVTT\n"]
    for speaker, text, start, end in TALK:
        some = f"{speaker}: {text}".split()
        step = (end - start) / len(some)
        for n, word in enumerate(some):
            line = " ".join([*some[:n], f"<u>{word}</u>", *some[n + 1 :]])
            cues.append(f"{clock(start + n * step, '.')} --> {clock(start + (n + 1) * step, '.')}\n{line}\n")
    return "\n".join(cues)


def ass() -> str:
    lines = [
        f"Dialogue: 0,{clock(start, '.', 2)[1:]},{clock(end, '.', 2)[1:]},Default,{speaker},0,0,0,,{{\\k20\\an8}}{text}"
        for speaker, text, start, end in TALK
    ]
    lines.insert(3, r"Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,{\p1}m 0 0 l 10 10{\p0}")
    lines.insert(9, "Comment: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,to be checked")
    return (
        "[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname\nStyle: Default,Arial\n\n"
        "[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n" + "\n".join(lines)
    )


def table(header: str, row: Callable[..., list[str]], separator: str = ",") -> str:
    rows = [row(n, *one) for n, one in enumerate(TALK)]
    quoted = (separator.join('"' + cell.replace('"', '""') + '"' for cell in cells) for cells in rows)
    return header.replace(",", separator) + "\n" + "\n".join(quoted) + "\n"


def segments(
    text: str = "text", start: str = "start", end: str = "end", factor: float = 1, **others: Any
) -> list[dict]:
    time = (lambda value: round(value * factor)) if factor != 1 else float
    return [{text: t, start: time(s), end: time(e), **others, "speaker": name} for name, t, s, e in TALK]


def eaf(path: Path) -> None:
    file = Eaf(author="someone")
    file.remove_tier("default")
    file.add_linguistic_type("gloss", constraints="Symbolic_Association", timealignable=False)
    for name in SPEAKERS:
        file.add_tier(f"Transcript@{name[0]}", part=name)
        file.add_tier(f"emotion@{name[0]}", ling="gloss", parent=f"Transcript@{name[0]}")
    file.add_tier("gaze")
    file.add_annotation("gaze", 0, 900, "left")
    for name, text, start, end in TALK:
        file.add_annotation(f"Transcript@{name[0]}", round(start * 1000), round(end * 1000), text)
        file.add_ref_annotation(f"emotion@{name[0]}", f"Transcript@{name[0]}", round(start * 1000) + 1, "anger")
    file.to_file(str(path))


def textgrid(mode: str, codec: str = "utf-8") -> Callable[[Path], None]:
    def write(path: Path) -> None:
        grid = TextGrid(xmin=0, xmax=60)
        for name in SPEAKERS:
            tier = grid.add_tier(name)
            for speaker, text, start, end in TALK:
                if speaker == name:
                    tier.add_interval(start, end, text)
        grid.add_tier("clicks", tier_type="TextTier").add_point(1.0, "click")
        grid.to_file(str(path), mode=mode, codec=codec)

    return write


def deepgram() -> Any:
    utterances = [
        {
            "start": s,
            "end": e,
            "transcript": t,
            "speaker": SPEAKERS.index(name),
            "id": f"u{s}",
            "words": [],
            "channel": 0,
        }
        for name, t, s, e in TALK
    ]
    return {"metadata": {"duration": 60.0}, "results": {"channels": [], "utterances": utterances}}


def rev_ai() -> Any:
    monologues = []
    for name, text, start, end in TALK:
        first, _, rest = text.partition(" ")
        elements = [
            {"type": "text", "value": first, "ts": start, "end_ts": start + 0.2},
            {"type": "punct", "value": " "},
            {"type": "text", "value": rest, "ts": start + 0.2, "end_ts": end},
        ]
        monologues.append({"speaker": SPEAKERS.index(name), "elements": elements})
    return {"monologues": monologues}


def whispercpp() -> Any:
    transcription = [
        {
            "timestamps": {"from": clock(s), "to": clock(e)},
            "offsets": {"from": round(s * 1000), "to": round(e * 1000)},
            "text": f" {t}",
            "speaker": str(SPEAKERS.index(name)),
        }
        for name, t, s, e in TALK
    ]
    return {"systeminfo": "AVX = 1", "params": {"language": "en"}, "transcription": transcription}


def chunks(key: str) -> Any:
    some = [{"timestamp": [s, e], "text": f" {t}", "speaker": name} for name, t, s, e in TALK]
    return {"text": " ".join(SENTENCES), key: some}


def own_result() -> Any:
    utterances = [
        {"start": s, "end": e, "speaker": name, "text": t, "label": "joy", "score": 0.5}
        | {"scores": {"joy": 0.5, "anger": 0.5}, "modalities": ["text"], "missing": {"audio": "no sound"}}
        for name, t, s, e in TALK
    ]
    return {"model": "m2fnet-mini", "labels": ["joy", "anger"], "utterances": utterances, "note": None}


def plain(line: str) -> str:
    return "\n".join(
        line.format(speaker=name, text=t, start=clock(s, "."), end=clock(e, ".")) for name, t, s, e in TALK
    )


def seconds(mark: str = ".") -> Callable[..., list[str]]:
    return lambda n, name, t, s, e: [str(n), name, str(s).replace(".", mark), str(e).replace(".", mark), t]


def thousandths(n: int, name: str, text: str, start: float, end: float) -> list[str]:
    return [str(n), name, str(round(start * 1000)), str(round(end * 1000)), text]


def clocks(n: int, name: str, text: str, start: float, end: float) -> list[str]:
    return [str(n), name, clock(start), clock(end), text]


CONTENTS: dict[str, Any] = {
    "names.srt": srt(),
    "points.srt": srt(mark="."),
    "crlf.srt": srt().replace("\n", "\r\n") + "  \r\n",
    "dashes.srt": srt("-{speaker}: {text}"),
    "brackets.srt": srt("[{speaker}] {text}"),
    "styled.srt": srt('{{\\an8}}<font color="#fff"><i>{speaker}:</i> {text}</font>'),
    "stamped.srt": srt("{speaker} [00:12]: {text}"),
    "wide.srt": srt("{speaker}\uff1a{text}"),
    "arrows.srt": srt(">> {speaker}: {text}"),
    "tight.srt": srt().replace("\n\n", "\n"),
    "zoom.vtt": vtt("{speaker}: {text}"),
    "voices.vtt": vtt("<v.loud {speaker}>{text}</v>"),
    "teams.vtt": teams(),
    "meet.vtt": vtt("({speaker})\n{text}"),
    "highlighted.vtt": highlighted(),
    "youtube.sbv": srt(mark=".").replace(" --> ", ","),
    "aegisub.ass": ass(),
    "seconds.csv": table("n,Speaker,Start,End,Text", seconds()),
    "unnamed-unit.csv": table("no,speaker_name,start,end,transcript", thousandths),
    "milliseconds.tsv": table("index,spk,start_ms,end_ms,text", thousandths, "\t"),
    "german.csv": "sep=;\n" + table("Nr,Sprecher,Beginn,Ende,\u00c4u\u00dferung", seconds(","), ";"),
    "clock.csv": table("id,Actor,Start Time,End Time,Caption", clocks, "|"),
    "header.csv": "Exported 1 May\n\n" + table("#,Speaker,Begin (hh:mm:ss.ms),End (hh:mm:ss.ms),Dialogue Text", clocks),
    "table.txt": table("n,Speaker,Start,End,Text", seconds(), "\t"),
    "lasting.csv": table("speaker,start,duration,text", lambda n, name, t, s, e: [name, str(s), f"{e - s:.2f}", t]),
    "audacity.txt": plain("{start}\t{end}\t{speaker}: {text}").replace("00:00:", "").replace("00:01:", "6"),
    "otter.json": json.dumps(segments(text="transcript", start="start_time", end="end_time")),
    "whisperx.json": json.dumps({"segments": segments(words=[], avg_logprob=-0.2), "language": "en"}),
    "list.json": json.dumps(segments(seek=0, tokens=[1])),
    "lines.jsonl": "\n".join(map(json.dumps, segments())),
    "assembly.json": json.dumps({"audio_duration": 60, "utterances": segments(factor=1000, confidence=0.9)}),
    "deepgram.json": json.dumps(deepgram()),
    "rev.json": json.dumps(rev_ai()),
    "whispercpp.json": json.dumps(whispercpp()),
    "transformers.json": json.dumps(chunks("chunks")),
    "insanely-fast.json": json.dumps(chunks("speakers")),
    "ours.json": json.dumps(own_result()),
    "whisper.txt": plain("[{start} --> {end}]  {speaker}: {text}"),
    "spans.txt": plain("{start} - {end}\n{speaker}: {text}\n"),
    "named.eaf": eaf,
    "long.TextGrid": textgrid("normal"),
    "short.TextGrid": textgrid("short", "utf-16"),
    "binary.TextGrid": textgrid("binary"),
}
# What is rightly said about these.
REMARKS = {
    "aegisub.ass": ["1 comment not used; 1 drawing not used"],
    "long.TextGrid": ["the point tier clicks was not used"],
    "short.TextGrid": ["the point tier clicks was not used"],
    "binary.TextGrid": ["the point tier clicks was not used"],
    "named.eaf": ["the tier gaze was not used"],
}


def write(path: Path, content: Any) -> Path:
    content(path) if callable(content) else path.write_text(content, encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize("name", CONTENTS)
def test_the_same_dialogue_in_every_format(tmp_path: Path, name: str) -> None:
    transcript = open_transcript(write(tmp_path / name, CONTENTS[name]))
    dialogue = transcript.dialogue
    assert dialogue.id == Path(name).stem
    assert [one.text for one in dialogue] == SENTENCES
    numbered = {"deepgram.json", "rev.json", "whispercpp.json"}
    names = ["0", "1"] if name in numbered else list(SPEAKERS)
    assert [one.speaker for one in dialogue] == names * 10
    for one, (_, _, start, end) in zip(dialogue, TALK, strict=True):
        assert (one.start, one.end) == (pytest.approx(start, abs=0.01), pytest.approx(end, abs=0.01))
    assert "; ".join(one.partition(": ")[2].rstrip(".") for one in transcript.remarks) == "; ".join(
        REMARKS.get(name, [])
    )


def test_every_format_has_an_example() -> None:
    assert {Path(name).suffix.lower() for name in CONTENTS} | {".ssa"} == set(FORMATS)


@pytest.mark.parametrize(
    "name", ["zoom.vtt", "aegisub.ass", "named.eaf", "long.TextGrid", "names.srt", "ours.json", "clock.csv"]
)
@pytest.mark.parametrize("other", ["talk", "talk.txt", "talk.dat"])
def test_the_content_decides_where_the_name_does_not(tmp_path: Path, name: str, other: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dialogue = read_transcript(write(tmp_path / other, CONTENTS[name]))
    assert [one.text for one in dialogue] == SENTENCES


@pytest.mark.parametrize(
    "line",
    [
        "{speaker}  0:{n:02d}\n{text}\n",
        "{speaker} (00:{n:02d}):\n{text}\n",
        "[{speaker}] 00:00:{n:02d}\n{text}\n",
        "[00:00:{n:02d}] {speaker}: {text}",
        "00:{n:02d} {speaker}: {text}",
        "{speaker} [00:{n:02d}]: {text}",
        "00:{n:02d}\n{speaker}: {text}\n",
        "{speaker}: [00:{n:02d}] {text}",
        "[00:{n:02d}] {speaker}\n{text}\n",
    ],
    ids=["otter", "rev", "zoom", "stamped", "bare", "beside", "above", "behind", "head"],
)
def test_text_with_a_time_for_each_turn(tmp_path: Path, line: str) -> None:
    text = "\n".join(line.format(speaker=name, text=t, n=2 * n) for n, (name, t, *_) in enumerate(TALK))
    path = write(tmp_path / "talk.txt", f"{text}\n\nTranscribed by https://otter.ai\n")
    with pytest.warns(UserWarning, match=r"the line 'Transcribed by https://otter.ai' was not used"):
        dialogue = read_transcript(path)
    assert [(one.speaker, one.text) for one in dialogue] == [one[:2] for one in TALK]
    assert [(one.start, one.end) for one in dialogue] == [(2.0 * n, None) for n in range(20)]


@pytest.mark.parametrize("between", ["\n", "\n\n"])
@pytest.mark.parametrize(
    "line", ["{speaker}: {text}", "{speaker}:\t{text}", "{speaker}:\n{text}", "**{speaker}:** {text}"]
)
def test_text_with_names_alone(tmp_path: Path, between: str, line: str) -> None:
    text = between.join(line.format(speaker=name, text=t) for name, t, *_ in TALK)
    dialogue = read_transcript(write(tmp_path / "talk.txt", text))
    assert [(one.speaker, one.text, one.start) for one in dialogue] == [(*one[:2], None) for one in TALK]


def test_a_play(tmp_path: Path) -> None:
    text = "THE MONEY\n\n" + "\n\n".join(f"{name.upper()}\n{t[:20]}\n{t[20:]}" for name, t, *_ in TALK)
    with pytest.warns(UserWarning, match="1 line before the first turn, from 'THE MONEY', not used"):
        dialogue = read_transcript(write(tmp_path / "talk.txt", text))
    assert [one.speaker for one in dialogue] == ["ANNA", "BEN CARTER"] * 10
    assert [one.text for one in dialogue][-1] == "I did; we leave at 7 :30 tomorrow."


def test_lines_without_speakers_and_times(tmp_path: Path) -> None:
    path = write(tmp_path / "talk.txt", "\n".join(SENTENCES))
    with pytest.warns(UserWarning, match="neither speakers nor times, each of its lines is an utterance"):
        dialogue = read_transcript(path)
    assert [(one.speaker, one.text) for one in dialogue] == [(None, text) for text in SENTENCES]
