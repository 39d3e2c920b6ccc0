# ruff: noqa: E501  lines and letters as people have them
"""What people really have: files of tools, people and programs that are not as the books say, and what is in them."""

import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cue_files import rows, said, srt, vtt

from m2fnet_hf.data.transcripts import Transcript, open_transcript, read_transcript

Open = Callable[..., Transcript]


ROLLING = """WEBVTT
Kind: captions
Language: en

00:00:00.160 --> 00:00:02.429 align:start position:0%
\x20
Marta,<00:00:00.560><c> did</c><00:00:00.920><c> you</c><00:00:01.159><c> really</c><00:00:01.560><c> sell</c>

00:00:02.429 --> 00:00:02.439 align:start position:0%
Marta, did you really sell
\x20

00:00:02.439 --> 00:00:04.749 align:start position:0%
Marta, did you really sell
my<00:00:02.760><c> bike</c><00:00:03.000><c> without</c>

00:00:04.749 --> 00:00:04.759 align:start position:0%
my bike without
\x20

00:00:04.759 --> 00:00:07.000 align:start position:0%
my bike without
asking<00:00:05.000><c> me?</c>
"""


def test_captions_that_roll_say_each_word_once(opened: Open) -> None:
    assert rows(opened("a.vtt", ROLLING)) == [
        (None, "Marta, did you really sell", 0.16, 2.429),
        (None, "my bike without", 2.439, 4.749),
        (None, "asking me?", 4.759, 7.0),
    ]


def test_captions_that_grow_word_by_word(opened: Open) -> None:
    lines = ["I", "I am", "I am so", "I am so sorry", "Are", "Are you", "Are you really"]
    assert rows(opened("a.srt", srt(*lines))) == [(None, "I am so sorry", 1.0, 4.9), (None, "Are you really", 5.0, 7.9)]


def test_captions_of_two_lines_that_move_up(opened: Open) -> None:
    lines = ["one two", "three four", "five six", "seven &amp; eight"]
    shown = [lines[0], *("\n".join(pair) for pair in pairwise(lines))]
    assert [text for _, text in said(opened("a.srt", srt(*shown)))] == [*lines[:3], "seven & eight"]


@pytest.mark.parametrize(
    "texts", [["No.", "No.", "No."], ["No.", "No way."], ["Yes.", "Yes, he is.", "Is he?", "Yes.", "Good."]]
)
def test_what_is_said_again_is_not_a_caption_that_rolls(opened: Open, texts: list[str]) -> None:
    assert [text for _, text in said(opened("a.srt", srt(*texts)))] == texts


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("a.csv", 'start,end,text\n0,2500," You came back"\n2500,4000," Really?"\n', {}),
        ("a.csv", "start\tend\ttext\n0\t2500\tYou came back\n2500\t4000\tReally?\n", {}),
        ("a.csv", "start_ms,end_ms,text\n0,2500,You came back\n2500,4000,Really?\n", {}),
        ("a.csv", "Start (ms);End (ms);Text\n0;2500;You came back\n2500;4000;Really?\n", {}),
        ("a.csv", "tStartMs,dDurationMs,text\n0,2500,You came back\n2500,1500,Really?\n", {}),
        ("a.csv", "start,end,text\n0s,2.5s,You came back\n2500ms,4 s,Really?\n", {}),
        ("a.csv", "start,length,text\n0,2500,You came back\n2500,1500,Really?\n", {"duration": 4.2}),
        ("a.csv", "start_frame,end_frame,text\n0,75,You came back\n75,120,Really?\n", {"frame_rate": 30.0}),
        ("a.csv", "in,out,text\n00:00:00:00,00:00:02:15,You came back\n00:00:02:15,4,Really?\n", {"frame_rate": 30.0}),
        (
            "a.json",
            [{"start": 0, "end": 2500, "text": "You came back"}, {"start": 2500, "end": 4000, "text": "Really?"}],
            {},
        ),
        (
            "a.json",
            [{"start": "0", "end": "2.5", "text": "You came back"}, {"start": 2.5, "end": 4, "text": "Really?"}],
            {},
        ),
    ],
)
def test_times_in_whatever_unit(opened: Open, name: str, content: Any, options: dict[str, float]) -> None:
    expected = [(None, "You came back", 0.0, 2.5), (None, "Really?", 2.5, 4.0)]
    assert rows(opened(name, content, **options)) == expected


def test_times_that_may_be_either_are_refused_or_told_by_the_recording(opened: Open) -> None:
    content = "start,text\n250,Smoke\n900,Fire\n"
    with pytest.raises(
        ValueError, match=r"^a\.csv: its times must be in seconds or milliseconds, .* up to 250 that may"
    ):
        opened("a.csv", "start,text\n250,Smoke\n")
    assert [one.start for one in opened("a.csv", content, duration=1200.0).dialogue] == [250.0, 900.0]
    assert [one.start for one in opened("a.csv", content, duration=2.0).dialogue] == [0.25, 0.9]
    with pytest.raises(ValueError, match=r"times count frames, .* give the recording"):
        opened("a.csv", "start_frame,text\n25,Smoke\n")


def test_timecodes_of_editors(opened: Open) -> None:
    head = '"Speaker Name","Start Time","End Time","Text"\n\n'
    content = f'{head}"Speaker 1","00:00:00:12","00:00:11:10","What is it?"\n\n"Speaker 2","00:00:11:18","00:00:31:23","I hate this."\n'
    transcript = opened("a.csv", content)
    assert [(one.speaker, one.text) for one in transcript.dialogue] == [
        ("Speaker 1", "What is it?"),
        ("Speaker 2", "I hate this."),
    ]
    assert [one.start for one in transcript.dialogue] == [12 / 24, pytest.approx(11 + 18 / 24)]
    assert transcript.remarks == (
        "a.csv: its timecodes count frames, taken as 24 a second, the least that holds them all.",
    )
    known = opened("a.csv", content, frame_rate=25.0)
    assert ([one.start for one in known.dialogue], known.remarks) == ([12 / 25, 11 + 18 / 25], ())
    drop = opened("a.csv", content.replace("00:12", "00;12")).dialogue[0]
    assert drop.start == pytest.approx(12 * 1001 / 30000)


def test_columns_are_found_by_what_they_are_called_or_named(opened: Open) -> None:
    content = '"Number","Start time","End time","Text","Actor","Forced"\n"1","00:00:01.000","00:00:03.000","Hello, ""you""","Anna","False"\n'
    transcript = opened("a.csv", content)
    assert rows(transcript) == [("Anna", 'Hello, "you"', 1.0, 3.0)]
    assert transcript.remarks == ("a.csv: the column Forced was not used.",)
    transcript = opened("a.csv", "dialogue,utterance_text,text,emotion,start_time,mood\n1,Ho,Hi,joy,0.5,good\n")
    assert [(one.text, one.label, one.start) for one in transcript.dialogue] == [("Hi", "joy", 0.5)]
    assert transcript.remarks == ("a.csv: the columns utterance_text, mood were not used.",)


@pytest.mark.parametrize(
    "header",
    [
        "Speaker,Start,End,Text",
        "SPEAKER_NAME,startTime,endTime,Transcript",
        "sprecher,beginn,ende,äußerung",
        "locuteur,début,fin,texte",
        "hablante,inicio,fin,texto",
        "说话人,开始时间,结束时间,内容",
        "話者,開始,終了,発言",
        "화자,시작,종료,텍스트",
        "говорящий,начало,конец,текст",
        "character,in,out,line",
        "who,onset,stop,utterance",
    ],
)
def test_headers_of_many_tools_and_languages(opened: Open, header: str) -> None:
    assert rows(opened("a.csv", f"{header}\nAnna,0.5,2.25,You came!\n")) == [("Anna", "You came!", 0.5, 2.25)]


@pytest.mark.parametrize(
    "content",
    [
        "00:45:15.640 --> 00:45:16.760 line:91%\nDid he?\n\n00:45:16.960 --> 00:45:20.600\n\nThe captain\nsaw him.\n",
        "1\n00:45:15.640 --> 00:45:16.760\nDid he?\n2\n00:45:16.960 --> 00:45:20.600\nThe captain\nsaw him.\n",
        "00:45:15.640 --> 00:45:16.760\nDid he?\n00:45:16.960 --> 00:45:20.600\nThe captain\nsaw him.",
        "NOTE\nof a tool\nlong\n\none\n45:15.640 --> 45:16.760\nDid he?\n\nNOTE two\n\ntwo\n45:16.960 --> 45:20.600\nThe captain\nsaw him.",
        "REGION\nid:a\n\n00:45:15,640-->00:45:16,760\nDid he?\n\n\n\n00:45:16,960  -->  00:45:20,600  \nThe captain\nsaw him.   \n",
        "7\n00:45:15.64 --> 00:45:16.76\nDid he?\n\n9\n00:45:16.960 --> 00:45:20.6\nThe captain\n\nsaw him.\n",
        "2\n00:45:16.960 --> 00:45:20.600\nThe captain\nsaw him.\n\n1\n00:45:15.640 --> 00:45:16.760\nDid he?\n",
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("head", ["WEBVTT\n\n", "WEBVTT - a title\nKind: captions\n\n"])
def test_cues_however_they_are_parted(opened: Open, content: str, newline: str, head: str) -> None:
    content = (head + content).replace("\n", newline)
    assert rows(opened("a.vtt", content)) == [
        (None, "Did he?", 2715.64, 2716.76),
        (None, "The captain saw him.", 2716.96, 2720.6),
    ]


def test_times_without_thousandths_before_zero_and_twice(opened: Open) -> None:
    transcript = opened(
        "a.srt", "1\n-00:00:01,500 --> 00:00:02\nHello\n\n2\n00:20 --> 00:24,5\nYou\n\n3\n00:20 --> 00:24,5\nYou\n"
    )
    assert rows(transcript) == [(None, "Hello", 0.0, 2.0), (None, "You", 20.0, 24.5)]
    assert transcript.remarks == (
        "a.srt: 1 cue left out that came before with the same times and words.",
        "a.srt: 1 time before the start of the recording taken as 0.",
    )
    assert rows(opened("b.srt", "1\n00:00:01:12 --> 00:00:02:00\nHi\n", frame_rate=24.0)) == [(None, "Hi", 1.5, 2.0)]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        (
            "a.vtt",
            vtt("Anna: Why?", "Ben: Hm.", "Anna: Oh.").replace("02.900", "01.900"),
            "cue 2: a cue must end after",
        ),
        (
            "a.json",
            '[{"start":1,"end":1.9,"text":"Anna: Why?"},{"start":NaN,"end":NaN,"text":"Hm."},{"start":3,"end":3.9,"text":"Anna: Oh."}]',
            "segment 2: a time must be in seconds, found nan",
        ),
        (
            "a.json",
            '[{"start":1,"end":1.9,"text":"Anna: Why?"},{"start":2,"text":["Hm."]},{"start":3,"end":3.9,"text":"Anna: Oh."}]',
            "segment 2: text must be a string",
        ),
        (
            "a.json",
            '[{"start":1,"end":1.9,"text":"Anna: Why?"},{"start":2,"end":1e999,"text":"Hm."},{"start":3,"end":3.9,"text":"Anna: Oh."}]',
            "segment 2: a time must be in seconds, found inf",
        ),
        (
            "a.srt",
            srt("Anna: Why?", "Ben: Hm.", "Anna: Oh.").replace("00:00:02,000", "0x0:02,000"),
            "cue 2: its times must be like",
        ),
        (
            "a.csv",
            "text,start,end\nAnna: Why?,1,1.9\nHm.,2.0,1.5\nAnna: Oh.,3,3.9\n",
            "line 3: a cue must end after it starts",
        ),
    ],
)
def test_one_bad_cue_among_good_ones_is_left_out_and_said(
    opened: Open, tmp_path: Path, name: str, content: str, why: str
) -> None:
    transcript = opened(name, content)
    assert rows(transcript) == [("Anna", "Why?", 1.0, 1.9), ("Anna", "Oh.", 3.0, 3.9)]
    assert transcript.remarks[0].startswith(f"{name}: 1 of 3 cues could not be read and are left out ({why}")
    with pytest.warns(UserWarning, match="1 of 3 cues could not be read") as caught:
        read_transcript(tmp_path / name)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("speaker", [0, 1, "0", 1.0, {"name": "1"}, {"id": 1, "label": "1"}])
def test_speakers_as_numbers(opened: Open, speaker: Any) -> None:
    segments = [{"start": 0.0, "end": 2.5, "text": "Why?", "speaker": speaker}]
    assert opened("a.json", {"segments": segments}).dialogue[0].speaker == ("0" if speaker in (0, "0") else "1")
    if not isinstance(speaker, dict):
        assert opened("a.csv", f"text,speaker\nWhy?,{speaker}\n").dialogue[0].speaker == str(speaker)[:1]


def test_json_of_recognition(opened: Open) -> None:
    expected = [(None, "I can't believe it!", 0.0, 2.5), (None, "Really?", 2.5, 4.0)]
    named = [("SPEAKER_00", *expected[0][1:]), ("SPEAKER_01", "Really?", 2.5, None)]
    tuples = [[1, 0, 0.0, 2.5, " I can't believe it!", [1, 2], -0.2, 1.1], [2, 0, 2.5, 4.0, " Really?", [1], -0.2, 1.1]]
    assert rows(opened("a.json", {"segments": tuples})) == expected
    assert rows(opened("a.json", tuples)) == expected
    chunks = [{"timestamp": [0.0, 2.5], "text": " I can't believe it!"}, {"timestamp": [2.5, 4.0], "text": " Really?"}]
    assert rows(opened("a.json", {"text": "", "chunks": chunks})) == expected
    speakers = [
        {"speaker": "SPEAKER_00", **chunks[0]},
        {"speaker": "SPEAKER_01", "timestamp": [2.5, None], "text": "Really?"},
    ]
    assert rows(opened("a.json", {"speakers": speakers, "chunks": chunks, "text": ""})) == named
    youtube = [{"tStartMs": 0, "dDurationMs": 2500, "segs": [{"utf8": "I can't"}, {"utf8": " believe it!"}]}]
    assert (
        rows(opened("a.json", {"wireMagic": "pb3", "events": [{"tStartMs": 0, "id": 1}, *youtube]}))[0] == expected[0]
    )
    amazon = [
        {
            "id": 0,
            "transcript": "Why?",
            "start_time": "0.25",
            "end_time": "2.65",
            "speaker_label": "spk_0",
            "items": [1],
        }
    ]
    assert rows(opened("a.json", {"jobName": "x", "results": {"audio_segments": amazon}})) == [
        ("spk_0", "Why?", 0.25, 2.65)
    ]
    paragraphs = {
        "paragraphs": {"paragraphs": [{"speaker": 1, "sentences": [{"text": "Why?", "start": 0.2, "end": 1.5}]}]}
    }
    deepgram = {"results": {"channels": [{"alternatives": [paragraphs]}]}}
    assert rows(opened("a.json", deepgram)) == [("1", "Why?", 0.2, 1.5)]


def test_fields_that_were_not_understood_are_named(opened: Open) -> None:
    transcript = opened(
        "a.json", [{"text": "Hi", "start": 0.5, "valence": 0.3, "tokens": [1]}, {"text": "Ho", "arousal": 1}]
    )
    assert transcript.remarks == ("a.json: the fields valence, arousal were not used.",)


def test_our_own_files_come_back_without_a_remark(opened: Open) -> None:
    header = "start,end,speaker,text,label,score,joy,anger,modalities,missing\n"
    transcript = opened("a.csv", f"\ufeff{header}1.0,2.5,ANN,You came!,joy,0.6,0.6,0.4,text,audio: no sound\n")
    assert (rows(transcript), transcript.remarks) == ([("ANN", "You came!", 1.0, 2.5)], ())


def test_names_and_contents_that_no_one_expects(tmp_path: Path) -> None:
    path = Path(str(tmp_path / "a") + "\udcff.srt")
    path.write_text(srt("Anna: a\0b\x1b[31mc\x07"))
    dialogue = read_transcript(path)
    assert (dialogue.id, dialogue[0].speaker, dialogue[0].text) == ("a\ufffd", "Anna", "abc")
    with pytest.raises(FileNotFoundError, match=r"none at .*b\ufffd\.srt"):
        read_transcript(Path(str(tmp_path / "b") + "\udcff.srt"))
    (tmp_path / "a.csv").write_text(f"text,speaker\n{'word ' * 60_000},Anna\n")
    assert len(read_transcript(tmp_path / "a.csv")[0].text or "") == 299_999


def test_tsv_with_quotes_that_are_text(opened: Open) -> None:
    content = 'start\tend\ttext\n0.5\t1.0\t"No, he said.\n1.0\t1.5\tThe 5" disk\n'
    assert [text for _, text in said(opened("a.tsv", content))] == ['"No, he said.', 'The 5" disk']


def test_elan_with_times_between_and_words_below(tmp_path: Path) -> None:
    slots = "".join(
        f'<TIME_SLOT TIME_SLOT_ID="ts{n}"{time}/>'
        for n, time in enumerate((' TIME_VALUE="0"', "", ' TIME_VALUE="2000"'))
    )
    roots = "".join(
        f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{n}" TIME_SLOT_REF1="ts{n}" TIME_SLOT_REF2="ts{n + 1}">'
        f"<ANNOTATION_VALUE>x.{n}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>"
        for n in range(2)
    )
    texts = "".join(
        f'<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="b{n}" ANNOTATION_REF="a{n}"><ANNOTATION_VALUE>{text}</ANNOTATION_VALUE>'
        "</REF_ANNOTATION></ANNOTATION>"
        for n, text in enumerate(("Why?", "Oh."))
    )
    (tmp_path / "a.eaf").write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n<ANNOTATION_DOCUMENT VERSION="3.0" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="http://x">'
        f'<TIME_ORDER>{slots}</TIME_ORDER><TIER TIER_ID="ref@Anna" LINGUISTIC_TYPE_REF="r">{roots}</TIER>'
        f'<TIER TIER_ID="tx@Anna" PARENT_REF="ref@Anna" LINGUISTIC_TYPE_REF="t">{texts}</TIER></ANNOTATION_DOCUMENT>'
    )
    assert rows(open_transcript(tmp_path / "a.eaf")) == [("Anna", "Why?", 0.0, 1.0), ("Anna", "Oh.", 1.0, 2.0)]
    (tmp_path / "b.eaf").write_text("<ANNOTATION_DOCUMENT")
    with pytest.raises(ValueError, match=r"b\.eaf must be a file that ELAN can open, found"):
        read_transcript(tmp_path / "b.eaf")


def grid(*tiers: tuple[str, list[tuple[float, float, str]]]) -> str:
    """A TextGrid of Praat's short form, with a comment."""
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "0",
        "9 ! seconds",
        "<exists>",
        str(len(tiers)),
    ]
    for name, intervals in tiers:
        lines += ['"IntervalTier"', f'"{name}"', "0", "9", str(len(intervals))]
        for start, end, text in intervals:
            lines += [str(start), str(end), '"' + text.replace('"', '""') + '"']
    return "\n".join(lines)


def test_praat_with_silences_labels_and_words(opened: Open) -> None:
    text = ("text", [(0, 1e-05, ""), (1e-05, 2.5, 'She said "no"'), (2.5, 3, "sil"), (3, 4, "two\nlines")])
    speakers = ("speaker", [(0, 2.6, "Anna"), (2.6, 9, "Ben")])
    labels = ("emotion", [(0, 2.5, "joy"), (2.5, 9, "")])
    words = ("words", [(0, 1, "She")])
    transcript = opened("a.TextGrid", grid(text, speakers, labels, words))
    assert rows(transcript) == [("Anna", 'She said "no"', 1e-05, 2.5), ("Ben", "two\nlines", 3.0, 4.0)]
    assert [one.label for one in transcript.dialogue] == ["joy", None]
    assert transcript.remarks == ("a.TextGrid: the tier words was not used.",)
    with pytest.raises(ValueError, match=r"a tier for each speaker with what is said, found words; name the tiers"):
        opened("a.TextGrid", grid(words))
    with pytest.raises(ValueError, match="a TextGrid that Praat can open, found: its end is missing"):
        opened("a.TextGrid", grid(text)[:-40])


def test_nothing_is_said_of_a_file_that_was_understood(opened: Open) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert opened("a.srt", srt("Anna: Why?")).remarks == ()


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "a.csv",
            "Timecode In;Duration;Name;Dialogue\n00:00:01.0;00:00:02.0;Anna;Hi there\n",
            [("Anna", "Hi there", 1.0, 3.0)],
        ),
        (
            "a.csv",
            "00:00:01,00:00:02,Anna,Hi\n00:00:02,00:00:03,Ben,No\n",
            [("Anna", "Hi", 1.0, 2.0), ("Ben", "No", 2.0, 3.0)],
        ),
        (
            "a.csv",
            "speaker,text,time\nAnna,Hi,0:01 - 0:03\nBen,No,0:03-0:05.5\n",
            [("Anna", "Hi", 1.0, 3.0), ("Ben", "No", 3.0, 5.5)],
        ),
        (
            "a.csv",
            "start,end,text\n0.0,2.5,Hello, you\n2.5,3,Anna\n",
            [(None, "Hello, you", 0.0, 2.5), (None, "Anna", 2.5, 3.0)],
        ),
        (
            "a.csv",
            "start,end,text\n00:01,00:03,Hi\n00:03,,No\nnan,NaT,Oh\n",
            [(None, "Hi", 1.0, 3.0), (None, "No", 3.0, None), (None, "Oh", None, None)],
        ),
        ("a.csv", "start,end,text\n1,2,Anna: Hi\n2,3,ben: No\n", [("Anna", "Hi", 1.0, 2.0), ("ben", "No", 2.0, 3.0)]),
        (
            "a.srt",
            "1\r\r\n00:00:01,000 --> 00:00:02,000\r\r\nHi[br]you\r\r\n\r\r\n2\r\r\n00:00:02,000 --> 00:00:03,000\r\r\nNo\r\r\n",
            [(None, "Hi you", 1.0, 2.0), (None, "No", 2.0, 3.0)],
        ),
        (
            "a.srt",
            "1\n00:00:01,000 --> 00:00:02,000\nANNA\nHi there\n\n2\n00:00:02,000 --> 00:00:03,000\nBEN\nNo\n",
            [("ANNA", "Hi there", 1.0, 2.0), ("BEN", "No", 2.0, 3.0)],
        ),
        ("a.txt", "[00:01.20]Hello\n[00:04.10]You\n", [(None, "Hello", 1.2, None), (None, "You", 4.1, None)]),
        (
            "a.txt",
            "[0.00s -> 2.50s]  Hello\n[2.50s -> 4.00s]  You\n",
            [(None, "Hello", 0.0, 2.5), (None, "You", 2.5, 4.0)],
        ),
        (
            "a.txt",
            "0:0:5.79 --> 0:0:8.5\nAnna\nHi\n0:0:8.5 --> 0:0:9.0\nBen\nNo\n0:0:9.0 --> 0:0:9.5\nAnna\nOh\n0:0:9.5 --> 0:0:10\nBen\nYes\n",
            [("Anna", "Hi", 5.79, 8.5), ("Ben", "No", 8.5, 9.0), ("Anna", "Oh", 9.0, 9.5), ("Ben", "Yes", 9.5, 10.0)],
        ),
        (
            "a.txt",
            "00:00:00\nAnna: Hi\nBen: No\n\n00:05:00\nAnna: Done?\nBen: Yes.\n",
            [
                ("Anna", "Hi", 0.0, None),
                ("Ben", "No", None, None),
                ("Anna", "Done?", 300.0, None),
                ("Ben", "Yes.", None, None),
            ],
        ),
        (
            "a.json",
            [{"speaker": "Anna", "startTime": "1.5s", "endTime": "2.5s", "text": "Hi"}],
            [("Anna", "Hi", 1.5, 2.5)],
        ),
        ("a.json", {"output": {"segments": [{"start": 1.5, "end": 2.5, "text": "Hi"}]}}, [(None, "Hi", 1.5, 2.5)]),
        ("a.json", {"transcript": {"segments": [{"start": 1.5, "end": 2.5, "text": "Hi"}]}}, [(None, "Hi", 1.5, 2.5)]),
        (
            "a.json",
            {
                "results": [
                    {
                        "alternatives": [
                            {
                                "transcript": "Hi you",
                                "words": [
                                    {"startTime": "0.5s", "endTime": "1s", "word": "Hi"},
                                    {"startTime": "1s", "endTime": "2s", "word": "you", "speakerTag": 2},
                                ],
                            }
                        ]
                    }
                ]
            },
            [("2", "Hi you", 0.5, 2.0)],
        ),
        (
            "a.json",
            {
                "recognizedPhrases": [
                    {
                        "speaker": 1,
                        "offset": "PT1.5S",
                        "duration": "PT2S",
                        "offsetInTicks": 15000000.0,
                        "nBest": [{"display": "Hi."}],
                    }
                ]
            },
            [("1", "Hi.", 1.5, 3.5)],
        ),
    ],
)
def test_exports_of_further_tools(opened: Open, name: str, content: Any, expected: list[tuple]) -> None:
    assert rows(opened(name, content)) == expected


def test_a_broken_line_of_ass_costs_that_line(opened: Open) -> None:
    head = (
        "[Script Info]\n\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
    )
    lines = (
        "0:00:01.00,0:00:02.00,Default,,0,0,0,,{\\k20}He{\\k30}llo\\Nyou",
        "bad,0:00:02.00,Default,,0,0,0,,x",
        "0:00:03.00,0:00:04.00,Default,Ben,0,0,0,,No, no",
    )
    transcript = opened("a.ass", head + "".join(f"Dialogue: 0,{line}\n" for line in lines))
    assert rows(transcript) == [(None, "Hello you", 1.0, 2.0), ("Ben", "No, no", 3.0, 4.0)]
    assert transcript.remarks[0].startswith(
        "a.ass: 1 of 3 cues could not be read and are left out (a line must have times"
    )
