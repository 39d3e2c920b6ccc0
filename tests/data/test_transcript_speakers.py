# ruff: noqa: RUF001  lines and letters as people have them
"""Who says what in cues, by the evidence of the whole file."""

from collections.abc import Callable

import pytest
from cue_files import said, srt, vtt

from m2fnet_hf.data.transcripts import Transcript

Open = Callable[..., Transcript]


# Speaker and words that each cue of a file has; a name alone is to be read as `NAME: Why?`.
ZOOM = [
    "Priya Raman (she/her)",
    "J. O'Neil-Smith",
    "iPhone (2)",
    "maria",
    "+1 555*****12",
    "Dr. Anna Maria van der Berg",
]
MORE = ["2nd Floor Meeting Room", "Rao, Priya (Chennai)", "priya.rao@example.org", "Jean-Luc d'Arc", "Priya's iPhone"]
MORE += ["María José de la Cruz García", "Galaxy S21 Ultra 5G", "bell hooks", "李 娜", "Dr. Smith, Jr."]
TOOLS = [f"{name}{n}" for name in ("Speaker ", "S", "SPEAKER_0", "spk_", "Person ", "speaker") for n in (1, 2)]


@pytest.mark.parametrize("names", [ZOOM, MORE, TOOLS, ["spk_0", "spk_1"], ["A", "B"], ["王芳", "李雷"]])
@pytest.mark.parametrize("line", ["{}: Why?", "{} : Why?", "{}：Why?", "- {}: Why?", ">> {}: Why?", "<i>{}:</i> Why?"])
def test_names_as_tools_write_them(opened: Open, names: list[str], line: str) -> None:
    transcript = opened("a.vtt", vtt(*map(line.format, names), "Yes, of course."))
    assert said(transcript) == [*((name, "Why?") for name in names), (None, "Yes, of course.")]


@pytest.mark.parametrize(
    "text",
    [
        "The thing is: I hate it.",
        "Listen: it is over.",
        "I said: go!",
        "So what I think: no.",
        "Look, Ben: it works.",
        "Here's the thing: no.",
        "We have two rules: run and hide.",
        "At 12:30 we meet.",
        "Note: nobody came.",
        "Wait... what: no?",
    ],
)
def test_a_sentence_with_a_colon_is_no_name_even_among_names(opened: Open, text: str) -> None:
    transcript = opened("a.vtt", vtt("Anna: Why?", "ben: Because.", text, "Anna: Oh.", "ben: Yes."))
    assert said(transcript)[2] == (None, text)
    assert [name for name, _ in said(transcript)] == ["Anna", "ben", None, "Anna", "ben"]


def test_one_name_among_many_cues_without_any_is_a_sentence(opened: Open) -> None:
    texts = ["It rains.", "Paris: what a city.", "I know.", "Do you?", "I do.", "Well.", "So."]
    assert said(opened("a.srt", srt(*texts))) == [(None, text) for text in texts]
    assert said(opened("a.srt", srt(*texts, "BEN: Hi."))) == [*((None, text) for text in texts), ("BEN", "Hi.")]


@pytest.mark.parametrize(
    ("cue", "turns"),
    [
        ("<v ->Did you hear that?</v>", [(None, "Did you hear that?")]),
        (">> JOHN: I heard it too!", [("JOHN", "I heard it too!")]),
        (">> So did I.", [(None, "So did I.")]),
        ("&gt;&gt; So did I.", [(None, "So did I.")]),
        (">>> Good evening. >> Hello.", [(None, "Good evening."), (None, "Hello.")]),
        (" (speaker 0) Then these nets", [("speaker 0", "Then these nets")]),
        (" (speaker 1) properties. [SPEAKER_TURN]", [("speaker 1", "properties.")]),
        ('{\\an8}<font color="#ffff00"><i>MARTHA:</i> Where were you?</font>', [("MARTHA", "Where were you?")]),
        ("- Tom, stop!\n- No, you stop!", [(None, "Tom, stop!"), (None, "No, you stop!")]),
        ("TOM: Stop,\nnow!\nANNA: No!", [("TOM", "Stop, now!"), ("ANNA", "No!")]),
        ("[door slams]", [(None, "[door slams]")]),
        ("(LAUGHS) Stop it.", [(None, "(LAUGHS) Stop it.")]),
        ("[Sighs] Fine.", [(None, "[Sighs] Fine.")]),
        ("♪ la la la ♪", [(None, "♪ la la la ♪")]),
        ("(JOHN) Get out!", [("JOHN", "Get out!")]),
        ("[Anna] You lied to me: twice.", [("Anna", "You lied to me: twice.")]),
        ("(Anna)\nYou lied to me.", [("Anna", "You lied to me.")]),
        ("MAN 1: Who's there?", [("MAN 1", "Who's there?")]),
        ("Dr. Lee [sighing]: Fine.", [("Dr. Lee", "Fine.")]),
        ("ANNA (V.O.): Fine.", [("ANNA", "Fine.")]),
        ("ANNA (CONT'D): Fine.", [("ANNA", "Fine.")]),
        ("Anna [00:12]: Fine.", [("Anna", "Fine.")]),
        ("[00:12] Anna: Fine.", [("Anna", "Fine.")]),
        ("\u200eAnna: Fine.", [("Anna", "Fine.")]),
        ("I <3 you, 2 > 1 & so on <laughs>", [(None, "I <3 you, 2 > 1 & so on <laughs>")]),
        ("Anna: &quot;Tom &amp; I&quot;&nbsp;left", [("Anna", '"Tom & I" left')]),
    ],
)
@pytest.mark.parametrize("write", [srt, vtt])
def test_speaker_and_words_of_a_cue(opened: Open, write: Callable[..., str], cue: str, turns: list[tuple]) -> None:
    assert said(opened("a.vtt", write(cue, "I know.", "ANNA B: Yes."))) == [
        *turns,
        (None, "I know."),
        ("ANNA B", "Yes."),
    ]


def test_a_note_beside_a_name_is_said(opened: Open) -> None:
    transcript = opened("a.srt", srt("Anna [crying]: No!", "Ben: Hush.", "Ben (softly): Hush.", "Ben (2): Yes."))
    assert [name for name, _ in said(transcript)] == ["Anna", "Ben", "Ben", "Ben (2)"]
    assert transcript.remarks == ("a.srt: 2 notes beside names ([crying], (softly)) left out.",)
