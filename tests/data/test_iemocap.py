import re
from pathlib import Path

import pytest

from m2fnet_hf.data.iemocap import load_iemocap, read_iemocap

TURNS = ("F000", "M000", "M001", "F001", "F002", "M002", "F003", "MXX0")
CODES = ("neu", "hap", "exc", "sad", "ang", "fru", "xxx", "sur")
LABELS = ["neutral", "happy", "excited", "sad", "angry", "frustrated", None, None]


def write_dialogue(root: Path, session: int, name: str) -> None:
    """The files of a dialogue as IEMOCAP has them, evaluations out of order."""
    folder = root / f"Session{session}" / "dialog"
    spoken, evaluated = ["M: [LAUGHTER]"], ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""]
    for number, (turn, code) in enumerate(zip(TURNS, CODES, strict=True)):
        start, end = 6.2901 + 2 * number, 8.2357 + 2 * number
        spoken.append(f"{name}_{turn} [{start:08.4f}-{end:08.4f}]: Words {number} of {name}.")
        evaluated += [
            f"[{start:.4f} - {end:.4f}]\t{name}_{turn}\t{code}\t[2.5000, 2.5000, 2.5000]",
            "C-E2:\tNeutral;\t()",
            "C-F1:\tNeutral;\t(curious)",
            "A-E3:\tval 3; act 2; dom  2;\t()",
            "",
        ]
    for place, lines in (("transcriptions", spoken), ("EmoEvaluation", evaluated)):
        (folder / place).mkdir(parents=True, exist_ok=True)
        (folder / place / f"{name}.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for session in range(1, 6):
        for scene in ("F_impro01", "F_script01_1", "M_impro02"):
            write_dialogue(tmp_path, session, f"Ses0{session}{scene}")
    return tmp_path


def test_turns_times_speakers_and_labels(root: Path) -> None:
    dialogue = read_iemocap(root)["test"][0]
    assert (dialogue.id, dialogue.recording) == ("Ses05F_impro01", None)
    assert [utterance.label for utterance in dialogue] == LABELS
    assert [utterance.speaker for utterance in dialogue] == [f"Ses05_{turn[0]}" for turn in TURNS]
    assert [utterance.id for utterance in dialogue] == [f"Ses05F_impro01_{turn}" for turn in TURNS]
    first = dialogue[0]
    assert (first.text, first.start, first.end) == ("Words 0 of Ses05F_impro01.", 6.2901, 8.2357)
    assert not first.missing


def test_test_is_a_session_of_its_own_and_dev_is_drawn(root: Path) -> None:
    names = {split: {d.id for d in dialogues} for split, dialogues in read_iemocap(root, dev_share=0.25).items()}
    assert {split: len(members) for split, members in names.items()} == {"train": 9, "dev": 3, "test": 3}
    assert all(name.startswith("Ses05") for name in names["test"])
    assert not any(name.startswith("Ses05") for name in names["train"] | names["dev"])
    again, other = ({d.id for d in read_iemocap(root, dev_share=0.25, seed=seed)["dev"]} for seed in (0, 1))
    assert again == names["dev"] != other


def test_four_emotions(root: Path) -> None:
    labels = [utterance.label for utterance in read_iemocap(root, "emotion4")["test"][0]]
    assert labels == ["neutral", "happy", "happy", "sad", "angry", None, None, None]
    with pytest.raises(ValueError, match="one of emotion, emotion4, found 'sentiment'"):
        read_iemocap(root, "sentiment")


def test_the_recording_is_the_video_or_else_the_sound(root: Path) -> None:
    dialog = root / "Session5" / "dialog"
    for file in ("avi/DivX/Ses05F_impro01.avi", "wav/Ses05F_impro01.wav", "wav/Ses05F_script01_1.wav"):
        (dialog / file).parent.mkdir(parents=True, exist_ok=True)
        (dialog / file).touch()
    video, sound, neither = read_iemocap(root)["test"]
    assert video.recording == str(dialog / "avi/DivX/Ses05F_impro01.avi")
    assert sound.recording == str(dialog / "wav/Ses05F_script01_1.wav")
    assert neither.recording is None
    reason = "IEMOCAP's folder has no recording of Ses05M_impro02"
    assert neither[0].missing == {"audio": reason, "visual": reason}


def test_a_turn_that_nobody_wrote_down_keeps_its_label(root: Path) -> None:
    path = root / "Session5/dialog/transcriptions/Ses05F_impro01.txt"
    path.write_text(re.sub(r"Ses05F_impro01_M000 .*\n", "", path.read_text()).replace("Words 0 of Ses05F_impro01.", ""))
    dialogue = read_iemocap(root)["test"][0]
    assert [utterance.label for utterance in dialogue] == LABELS
    for utterance in list(dialogue)[:2]:
        assert utterance.text is None
        assert utterance.missing == {"text": f"Ses05F_impro01.txt has no words of {utterance.id}"}


def test_a_line_that_cannot_be_read_is_named(root: Path) -> None:
    path = root / "Session2/dialog/transcriptions/Ses02F_impro01.txt"
    path.write_text(path.read_text().replace("_F000 [", "_F000 <"))
    with pytest.warns(UserWarning, match=r"Ses02F_impro01\.txt, line 2, cannot be read and is left out"):
        read_iemocap(root)


def test_a_wrong_folder_is_named(root: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"must hold Session1/dialog/transcriptions/.* found none in .*Session1"
    ):
        read_iemocap(root / "Session1")
    (root / "Session3/dialog/EmoEvaluation/Ses03F_impro01.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"must have Ses03F_impro01\.txt in EmoEvaluation"):
        read_iemocap(root)


def test_as_a_table(root: Path) -> None:
    table = load_iemocap(root)
    assert table["test"][0]["utterances"][1]["label"] == "happy"
