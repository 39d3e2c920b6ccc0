"""Transcripts become dialogues: no word is lost, moved or given to another speaker, and every refusal says why."""

import codecs
import json
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from m2fnet_hf.data.transcripts import open_transcript, read_transcript
from m2fnet_hf.dialogue_m2fnet import Dialogue

SRT = """1
00:00:01,000 --> 00:00:02,500
MONICA: There's nothing
to tell!

2
00:00:02,500 --> 00:00:04,000
<i>He's just some guy.</i>
"""
VTT = """WEBVTT

NOTE a comment

00:01.000 --> 00:02.500
<v Monica Geller>There's <b>nothing</b>
to tell!</v>

cue-2
01:00:02.500 --> 01:00:04.000 align:start
He&#39;s just &lt;some&gt; guy.
"""
MELD_HEADER = "Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID,StartTime,EndTime\n"
MELD_ROWS = (
    'Why?,Ross,Surprise,4,0,"00:00:01,000","00:00:02,000"\n',
    'Oh.,Joey,neutral,4,3,"00:00:02,000","00:00:03,500"\n',
)

Read = Callable[[str, str | bytes], Dialogue]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(name: str, content: str | bytes) -> Dialogue:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_transcript(path)

    return read


def rows(dialogue: Dialogue) -> list[tuple]:
    return [(u.speaker, u.text, u.start, u.end) for u in dialogue]


def srt(*texts: str) -> str:
    return "\n".join(f"{n}\n00:00:0{n},000 --> 00:00:0{n},500\n{text}\n" for n, text in enumerate(texts, start=1))


def said(dialogue: Dialogue) -> list[tuple]:
    return [(u.speaker, u.text) for u in dialogue]


@pytest.fixture(autouse=True)
def no_unexpected_warning() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_srt(read: Read) -> None:
    dialogue = read("scene 1.SRT", SRT)
    assert dialogue.id == "scene 1"
    assert rows(dialogue) == [
        ("MONICA", "There's nothing to tell!", 1.0, 2.5),
        (None, "He's just some guy.", 2.5, 4.0),
    ]


def test_vtt(read: Read) -> None:
    assert rows(read("scene.vtt", VTT)) == [
        ("Monica Geller", "There's nothing to tell!", 1.0, 2.5),
        (None, "He's just <some> guy.", 3602.5, 3604.0),
    ]


def test_path_may_be_a_string(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_text(SRT)
    assert len(read_transcript(str(tmp_path / "a.srt"))) == 2


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (b"", "cp1252"),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(read: Read, mark: bytes, encoding: str, newline: str) -> None:
    text = srt("Zoë: “naïve”", "Ross: hi").replace("\n", newline)
    assert said(read("a.srt", mark + text.encode(encoding))) == [("Zoë", "“naïve”"), ("Ross", "hi")]


@pytest.mark.parametrize(
    ("cue", "speaker", "text"),
    [
        ("Ross: hi: there", "Ross", "hi: there"),
        ("ROSS:hi", "ROSS", "hi"),
        ("ROSS:\nhi", "ROSS", "hi"),
        ("- Ross: hi", "Ross", "hi"),
        ("<i>Ross:</i> hi", "Ross", "hi"),
        (r"{\an8}Ross: hi", "Ross", "hi"),
        ("Dr. Geller: hi", "Dr. Geller", "hi"),
        ("MRS. GELLER: hi", "MRS. GELLER", "hi"),
        ("J.R. Ewing: hi", "J.R. Ewing", "hi"),
        ("[SPEAKER_00]: hi", "SPEAKER_00", "hi"),
        ("[man on phone]: hi", "man on phone", "hi"),
        ("ROSS (on the phone): hi", "ROSS (on the phone)", "hi"),
        ("Guy #2: hi", "Guy #2", "hi"),
        ("Monica and Chandler: hi", "Monica and Chandler", "hi"),
        ("Élodie: hi", "Élodie", "hi"),
        ("田中: hi", "田中", "hi"),
        ("12:30 we meet", None, "12:30 we meet"),
        ("At 12:30 we meet", None, "At 12:30 we meet"),
        ("https://example.org", None, "https://example.org"),
        ("Https://example.org", None, "Https://example.org"),
        ("Note: hi", None, "Note: hi"),
        ("listen: hi", None, "listen: hi"),
        ("Here's the thing: hi", None, "Here's the thing: hi"),
        ("He said: hi", None, "He said: hi"),
        ("Yes. Ross: hi", None, "Yes. Ross: hi"),
        ("Look, Ross: hi", None, "Look, Ross: hi"),
        ("One Two Three Four Five: hi", None, "One Two Three Four Five: hi"),
        (f"R{40 * 'o'}ss: hi", None, f"R{40 * 'o'}ss: hi"),
        ("and Ross: hi", None, "and Ross: hi"),
        ("2 Men: hi", None, "2 Men: hi"),
        ("Gentlemen:", None, "Gentlemen:"),
        (": hi", None, ": hi"),
        ("- hi", None, "hi"),
        ("-5 degrees", None, "-5 degrees"),
        ("I <3 you", None, "I <3 you"),
        ("a < b or c > d", None, "a < b or c > d"),
        ("{sighs} hi", None, "{sighs} hi"),
    ],
)
def test_speaker_of_a_cue(read: Read, cue: str, speaker: str | None, text: str) -> None:
    assert said(read("a.srt", srt(cue))) == [(speaker, text)]


@pytest.mark.parametrize(
    ("cue", "turns"),
    [
        ("- Hi.\n- Hello.", [(None, "Hi."), (None, "Hello.")]),
        ("-ROSS: Hi.\n-Hello.", [("ROSS", "Hi."), (None, "Hello.")]),
        ("ROSS: Hi.\nJOEY: Hello.", [("ROSS", "Hi."), ("JOEY", "Hello.")]),
        ("- Hi,\nyou.\n- Hello.", [(None, "Hi, you. - Hello.")]),
        ("ROSS: Hi,\nyou.", [("ROSS", "Hi, you.")]),
    ],
)
def test_turns_of_a_cue_share_its_times(read: Read, cue: str, turns: list[tuple]) -> None:
    assert rows(read("a.srt", srt(cue))) == [(*turn, 1.0, 1.5) for turn in turns]


@pytest.mark.parametrize(
    ("cue", "turns"),
    [
        ("<v.loud.first Mary Ann>Hi", [("Mary Ann", "Hi")]),
        ("<v Ross>Hi</v>\n<v Joey>Yo:\nyou</v>", [("Ross", "Hi"), ("Joey", "Yo: you")]),
        ("(A door.) <v Ross>Hi", [(None, "(A door.)"), ("Ross", "Hi")]),
        ("<v R&amp;D>Hi", [("R&D", "Hi")]),
        ("<v>Hi", [(None, "Hi")]),
        ("<v Ross></v><v Joey>Hi", [("Joey", "Hi")]),
        ("ROSS: <00:00:01.200><c>Hi</c>", [("ROSS", "Hi")]),
        ("1 < 2 &amp; 3&nbsp;> 2", [(None, "1 < 2 & 3 > 2")]),
    ],
)
def test_voices_of_a_vtt_cue(read: Read, cue: str, turns: list[tuple]) -> None:
    dialogue = read("a.vtt", f"WEBVTT\n\n00:01.000 --> 00:01.500\n{cue}\n")
    assert rows(dialogue) == [(*turn, 1.0, 1.5) for turn in turns]


def test_cues_are_sorted_stably_and_all_kept(read: Read) -> None:
    cue = "{}\n00:00:0{},000 --> 00:00:0{},000\n{}\n\n"
    content = (
        cue.format(1, 5, 6, "late")
        + cue.format(2, 1, 9, "long")
        + cue.format(3, 1, 1, "short")
        + cue.format(4, 3, 4, "m")
    )
    assert [(u.text, u.start, u.end) for u in read("a.srt", content)] == [
        ("long", 1.0, 9.0),
        ("short", 1.0, 1.0),
        ("m", 3.0, 4.0),
        ("late", 5.0, 6.0),
    ]


@pytest.mark.parametrize("blank", ["", "<i></i>", " \n ", r"{\an8}"])
def test_cues_without_words_are_skipped(read: Read, blank: str) -> None:
    assert said(read("a.srt", srt("one", blank, "three"))) == [(None, "one"), (None, "three")]


def test_digits_are_words(read: Read) -> None:
    assert [u.text for u in read("a.srt", srt("42", "There are\n3", "Room\n7"))] == ["42", "There are 3", "Room 7"]


def test_text_after_a_blank_line_in_a_cue_is_kept(read: Read) -> None:
    assert [u.text for u in read("a.srt", srt("one\n\nmore", "two"))] == ["one more", "two"]


@pytest.mark.parametrize(
    "broken",
    [
        "00:00:xx,000 --> 00:00:03,000",
        "00:00:75,000 --> 00:00:76,000",
        "-->",
        "00:00:02 -> 00:00:03",
        "00:00:02 00:00:03",
    ],
)
@pytest.mark.parametrize("position", [0, 1, 2])
def test_srt_without_its_broken_cues(read: Read, broken: str, position: int) -> None:
    cues = [f"{n}\n00:00:0{n},000 --> 00:00:0{n},500\nROSS: {n} is said\n" for n in (1, 2)]
    cues.insert(position, f"9\n{broken}\nJOEY: lost\n")
    with pytest.warns(UserWarning, match=r"a\.srt: 1 of 3 cues could not be read") as caught:
        dialogue = read("a.srt", "\n".join(cues))
    assert said(dialogue) == [("ROSS", "1 is said"), ("ROSS", "2 is said")]
    assert caught[0].filename == __file__


def test_times_that_are_said_are_no_broken_cue(read: Read) -> None:
    said = "JOEY: From 5:30 to 6:45,\n12:30:00 or so -> never"
    (utterance,) = read("talk.srt", f"1\n00:00:01,000 --> 00:00:02,000\n{said}\n")
    assert utterance.text == "From 5:30 to 6:45, 12:30:00 or so -> never"


def test_vtt_without_its_broken_cues(read: Read) -> None:
    with pytest.warns(UserWarning, match=r"a\.vtt: 2 of 4 cues could not be read"):
        dialogue = read("a.vtt", VTT + "\n00:00:xx.000 --> 00:00:06.000\nlost\n\n00:99.000 --> 01:00.000\nlost\n")
    assert [u.text for u in dialogue] == ["There's nothing to tell!", "He's just <some> guy."]


def test_srt_that_cannot_be_read_at_all(read: Read) -> None:
    with pytest.raises(ValueError, match=r"a\.srt holds no utterance .*: cue 1: its times must be like 00:00:01,500"):
        read("a.srt", "1\n0:1 --> 0:2\nhi\n")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_csv(read: Read, delimiter: str, bom: str) -> None:
    table = [
        ["ID", "Speaker", " Text ", "start", "END", "Label", "notes"],
        ["u7", "Ross", '"Hi, you; there"', "1.5", "00:00:02.250", "Joy", "x"],
        ["", "", "No!", "", "", "", ""],
        ["u2", "Joey", '"two\nlines"', "01:00:01.5", "3:00:00.000", "", ""],
    ]
    with pytest.warns(UserWarning, match=r"^talk\.csv: the column notes was not used\.$"):
        dialogue = read("talk.csv", bom + "\n".join(delimiter.join(row) for row in table))
    assert dialogue.id == "talk"
    assert [(u.id, u.speaker, u.text, u.start, u.end, u.label) for u in dialogue] == [
        ("u7", "Ross", "Hi, you; there", 1.5, 2.25, "Joy"),
        (None, None, "No!", None, None, None),
        ("u2", "Joey", "two\nlines", 3601.5, 10800.0, None),
    ]


def test_csv_times_with_a_comma(read: Read) -> None:
    assert rows(read("a.csv", "text;start;end\nhi;0,5;00:01:00,250\n")) == [(None, "hi", 0.5, 60.25)]


def test_csv_with_spaces_after_its_commas(read: Read) -> None:
    assert said(read("a.csv", '"speaker", "text"\nRoss, "Hi, you"\n')) == [("Ross", "Hi, you")]


def test_csv_of_one_column_and_rows_out_of_time_order(read: Read) -> None:
    assert [u.text for u in read("a.csv", "text\nb\n\na\n")] == ["b", "a"]
    assert [u.text for u in read("b.csv", "text,start\nb,9\na,1\n,\n")] == ["b", "a"]


def test_csv_of_meld(read: Read) -> None:
    dialogue = read("dia4.csv", MELD_HEADER + "".join(reversed(MELD_ROWS)))
    assert dialogue.id == "dia4"
    assert [(u.id, u.label) for u in dialogue] == [(0, "surprise"), (3, "neutral")]
    assert rows(dialogue) == [("Ross", "Why?", 1.0, 2.0), ("Joey", "Oh.", 2.0, 3.5)]


UTTERANCES = [
    {"text": "b", "speaker": "Ross", "start": 5, "end": 6.5, "label": "joy", "id": 0},
    {"text": "a", "start": 1},
    {"video": "clip.mp4"},
]


@pytest.mark.parametrize(
    ("source", "key"),
    [(UTTERANCES, "talk"), ({"utterances": UTTERANCES}, "talk"), ({"utterances": UTTERANCES, "id": 0}, 0)],
)
def test_json(read: Read, source: object, key: str | int) -> None:
    dialogue = read("talk.json", json.dumps(source))
    assert dialogue.id == key
    assert rows(dialogue) == [("Ross", "b", 5.0, 6.5), (None, "a", 1.0, None), (None, None, None, None)]
    assert (dialogue[0].label, dialogue[0].id, dialogue[2].video) == ("joy", 0, "clip.mp4")


def test_clips_that_a_strangers_file_names_are_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "talk.json"
    path.write_text(json.dumps([*UTTERANCES, {"text": "c", "video": "/etc/passwd"}]))
    opened = open_transcript(path, trusted=False)
    assert [(one.text, one.video) for one in opened.dialogue] == [("b", None), ("a", None), ("c", None)]
    assert "talk.json: the field video was not used." in opened.remarks
    path.write_text(json.dumps([{"video": "clip.mp4"}]))
    assert read_transcript(path)[0].video == "clip.mp4"
    with pytest.raises(ValueError, match=r"a segment must be an object with a string `text`"):
        read_transcript(path, trusted=False)


def test_json_of_whisper(read: Read) -> None:
    source = {
        "text": " Hi. Yo.",
        "language": "en",
        "segments": [
            {"id": 0, "seek": 0, "start": 0.0, "end": 1.5, "text": " Hi.", "tokens": [1], "temperature": 0.0},
            {"id": 1, "start": 1.5, "end": 2.0, "text": " "},
            {"start": 1.5, "end": 2.0, "text": " Oh.", "speaker": ""},
            {"start": 2, "end": 3.25, "text": "Yo.", "speaker": "SPEAKER_01", "words": [{"word": "Yo."}]},
        ],
    }
    assert rows(read("talk.json", json.dumps(source))) == [
        (None, "Hi.", 0.0, 1.5),
        (None, "Oh.", 1.5, 2.0),
        ("SPEAKER_01", "Yo.", 2.0, 3.25),
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.srt", "", "a.srt holds no utterance"),
        ("a.vtt", "\ufeff \n", "a.vtt holds no utterance"),
        ("a.csv", "", "a.csv holds no utterance"),
        ("a.json", "", "a.json holds no utterance"),
        ("a.srt", "Only prose.", "a.srt holds no utterance"),
        ("a.srt", srt("<i></i>"), "a.srt holds no utterance"),
        ("a.vtt", "WEBVTT\n\n", "a.vtt holds no utterance"),
        ("a.csv", "text,speaker\n", "a.csv holds no utterance"),
        ("a.json", "[]", "a.json holds no utterance"),
        ("a.json", '{"utterances": []}', "a.json holds no utterance"),
        ("a.json", '{"segments": []}', "a.json holds no utterance"),
        ("a.log", "hi", "a.log must be a file that ends in .srt, .sbv, .vtt, "),
        ("a.docx", b"PK\x03\x04\0\0", "a.docx must be text, found another kind of file; export it"),
        ("a.srt", b"\x81\xff", "a.srt must be text in UTF-8, UTF-16 or an older encoding"),
        (
            "a.srt",
            "1\n01:00:05,250 --> 01:00:03,000\nhi",
            "cue 1: a cue must end after it starts, found start 1:00:05.250 and end 1:00:03.000; correct",
        ),
        ("a.vtt", "WEBVTT\n\n00:05.000 --> 00:03.000\nhi", "cue 1: a cue must end after it starts"),
        ("a.csv", "speaker,words\nRoss,hi\n", "column text (and may have speaker, start, end, label, id)"),
        ("a.csv", "speaker,words\nRoss,hi\n", "found speaker, words; rename"),
        (
            "a.csv",
            "text,start\nhi,1\nyou,soon\n",
            "a.csv, line 3: A time must be in seconds or HH:MM:SS.mmm, found 'soon'; correct it in the column start.",
        ),
        ("a.csv", "text,start\nhi,-1\n", "a.csv, line 2: A time must be"),
        ("a.csv", "text,start\nhi,1:2:3:4\n", "a.csv, line 2: A time must be"),
        ("a.csv", "text,start,end\nhi,2,1\n", "line 2: a cue must end after it starts"),
        ("a.csv", "text,speaker\nHi, you,Ross\n", "a.csv, line 2: a row must have a value per column, found 1 more"),
        ("a.csv", "text,label\n,joy\n", "line 2: An utterance needs one modality"),
        ("a.csv", 'text,label\n"hi,joy\nyou,joy\n', "a.csv, after line 1: quotes must stand around a whole value"),
        (
            "a.csv",
            MELD_HEADER + MELD_ROWS[0] + MELD_ROWS[1].replace(",4,", ",5,"),
            "a.csv holds 2 dialogues, expected one",
        ),
        ("a.csv", MELD_HEADER + "Why?,Ross,joy,4,0,soon,later\n", "a.csv, line 2"),
        ("a.json", "{not json", "a.json must be valid JSON"),
        ("a.json", "3", "a.json must be a list of utterances, or an object with a list of `utterances`"),
        ("a.json", '{"text": "hi", "chunks": []}', "found an object with text, chunks"),
        ("a.json", "{}", "found an object with no keys"),
        ("a.json", json.dumps(dict.fromkeys("abcdefgh")), "an object with a, b, c, d, e, f, and 2 more; see"),
        ("a.json", '{"segments": "hi"}', "found an object with segments"),
        ("a.json", '{"utterances": "hi"}', "a.json: `utterances` must be a list, found a string"),
        ("a.json", '["hi", "you"]', 'segment 1: a segment must be an object with a string `text`, found "hi"'),
        ("a.json", '[{"text": "hi", "start": "soon"}]', "segment 1: A time must be in seconds or HH:MM:SS.mmm"),
        ("a.json", '{"segments": [{"text": " "}, "hi"]}', "segment 2: a segment must be an object"),
        ("a.json", '{"segments": [{"text": "hi", "start": 2, "end": 1}]}', "segment 1: a cue must end"),
        ("a.json", '{"segments": [{"text": ["hi"]}]}', "segment 1: text must be a string, found a list"),
        ("a.json", '[{"text": "hi", "start": ' + 5000 * "9" + "}]", "segment 1: a time must be in seconds, found inf"),
        (
            "a.json",
            '[{"text": "hi", "end": 1e308.5}]',
            "found a mistake at line 1, column 29",
        ),
        (
            "a.json",
            '[{"text": "hi", "start": 0.5, "end": 1e307}]',
            "`end` of an utterance must be a time",
        ),
        ("a.csv", "text,start\nhi," + 5000 * "9" + ":00:00", "a.csv, line 2: A time must be in seconds"),
        ("a.ass", "[Script Info]\nx", "a.ass holds no utterance"),
        ("a.json", 100_000 * "[", "a.json must be a list of utterances, found lists within lists"),
    ],
)
def test_bad_input(read: Read, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        read(name, content)
    assert str(caught.value).startswith(name)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none at .*talk\.srt; check the path"):
        read_transcript(tmp_path / "talk.srt")


def test_folder(tmp_path: Path) -> None:
    folder = tmp_path / "talk.srt"
    folder.mkdir()
    with pytest.raises(ValueError, match=r"A transcript must be a file, found a folder at .*talk\.srt"):
        read_transcript(folder)
