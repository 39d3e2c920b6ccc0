"""Many conversations in a folder, by the command line in this process."""

import json
import os
import shutil
from pathlib import Path

import pytest
from tracks import write_tracks

from m2fnet_hf.cli import main
from m2fnet_hf.recordings.pairs import find_pairs

SRT = "1\n00:00:00,000 --> 00:00:01,000\nANN: You came!\n\n2\n00:00:01,000 --> 00:00:02,000\nBEN: Never again.\n"
GERMAN = "1\n00:00:00,000 --> 00:00:02,000\nANN: Ich hätte beinahe den Zug verpasst, weißt du?\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "talks"
    folder.mkdir()
    return folder


def fill(folder: Path, *names: str) -> None:
    import numpy as np

    for name in names:
        path = folder / name
        if path.suffix in (".mkv", ".wav"):
            write_tracks(folder / "sound.mkv", [0.5 * np.sin(np.arange(32_000) / 20)]).replace(path)
        else:
            path.write_text(SRT)


def predict(folder: Path, model: Path, *arguments: str) -> int:
    output = folder.parent / "out"
    return main(["predict", str(folder), "--model", str(model), "--faces", "none", "--output", str(output), *arguments])


def pairs(folder: Path) -> dict[str, tuple[str | None, str | None]]:
    found, _ = find_pairs(folder, ["en"])
    names = [(None if path is None else path.name for path in (one.recording, one.transcript)) for one in found]
    return {one.name: tuple(files) for one, files in zip(found, names, strict=True)}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["talk.mkv", "talk.srt"], {"talk": ("talk.mkv", "talk.srt")}),
        (["Talk.mkv", "talk.SRT"], {"Talk": ("Talk.mkv", "talk.SRT")}),
        (["talk.mkv", "talk.en.vtt"], {"talk": ("talk.mkv", "talk.en.vtt")}),
        (["talk.mkv", "talk.mkv.srt"], {"talk": ("talk.mkv", "talk.mkv.srt")}),
        (["talk.mkv", "talk.srt", "talk.de.srt"], {"talk": ("talk.mkv", "talk.srt")}),
        (["talk.mkv", "talk.de.srt", "talk.en-GB.srt"], {"talk": ("talk.mkv", "talk.en-GB.srt")}),
        (["talk.mkv", "talk1.srt"], {"talk": ("talk.mkv", None), "talk1": (None, "talk1.srt")}),
        (["talk.mkv", "talk.wav", "talk.srt"], {f"talk{e}": (f"talk{e}", "talk.srt") for e in (".mkv", ".wav")}),
        (["talk.srt", "talk.vtt"], {"talk.srt": (None, "talk.srt"), "talk.vtt": (None, "talk.vtt")}),
        (
            ["a.srt", "a.vtt", "a.srt.json"],
            {name: (None, name) for name in ("a.srt", "a.srt.json", "a.vtt")},
        ),
    ],
)
def test_pairs_by_name(folder: Path, names: list[str], expected: dict[str, tuple[str | None, str | None]]) -> None:
    for name in names:
        (folder / name).touch()
    assert pairs(folder) == expected


def test_what_cannot_be_told_is_a_problem(folder: Path) -> None:
    for name in ("talk.mkv", "talk.srt", "talk.vtt", "notes.docx", ".hidden.srt"):
        (folder / name).touch()
    (folder / "older").mkdir()
    (pair,), remarks = find_pairs(folder)
    assert pair.problem == (
        "talk.mkv must have one transcript, found talk.srt and talk.vtt; rename or move the others."
    )
    assert remarks == ["talks also holds what was not used: notes.docx, older."]


def test_one_that_fails_stops_no_other(capsys: pytest.CaptureFixture[str], folder: Path, tiny_checkpoint: Path) -> None:
    fill(folder, "a.mkv", "a.srt", "b.mkv", "d.srt")
    (folder / "c.srt").write_text("")
    assert predict(folder, tiny_checkpoint) == 1
    captured = capsys.readouterr()
    assert "b: b.mkv needs the words that are said in it, found none" in captured.err
    assert "c: c.srt holds no utterance" in captured.err
    assert captured.err.endswith("m2fnet: 2 of 4 could not be predicted: b, c.\n")
    rows = [line.split() for line in captured.out.splitlines() if line[:2] in ("a ", "b ", "c ", "d ")]
    assert [(row[0], row[-1]) for row in rows] == [("a", "a.json"), ("b", "failed"), ("c", "failed"), ("d", "d.json")]
    result = json.loads((folder.parent / "out" / "a.json").read_text())
    assert [one["modalities"] for one in result["utterances"]] == [["text", "audio"]] * 2


def test_what_is_there_is_kept(capsys: pytest.CaptureFixture[str], folder: Path, tiny_checkpoint: Path) -> None:
    fill(folder, "a.srt", "b.srt")
    output = folder.parent / "out"
    assert predict(folder, tiny_checkpoint) == 0
    stamps = {path.name: path.stat().st_mtime_ns for path in output.iterdir()}
    (output / "b.json").unlink()
    capsys.readouterr()
    assert predict(folder, tiny_checkpoint) == 0
    shown = capsys.readouterr().out
    assert "1 of 1: b" in shown
    assert "1 of 2 were there already; --overwrite predicts them again." in shown
    assert (output / "a.json").stat().st_mtime_ns == stamps["a.json"]

    later = (output / "a.json").stat().st_mtime + 5
    os.utime(folder / "a.srt", (later, later))  # it changed
    assert predict(folder, tiny_checkpoint) == 0
    assert "1 of 1: a" in capsys.readouterr().out
    os.utime(output / "a.json", (later, later))

    assert predict(folder, tiny_checkpoint, "--report", "csv") == 0
    assert "2 of 2: b" in capsys.readouterr().out, "a report is wanted that is not there"
    assert predict(folder, tiny_checkpoint, "--overwrite") == 0
    assert "2 of 2: b" in capsys.readouterr().out
    other = folder.parent / "other-model"
    shutil.copytree(tiny_checkpoint, other)
    assert predict(folder, other) == 0
    assert "2 of 2: b" in capsys.readouterr().out


def test_a_file_that_is_no_result_is_replaced_on_request(folder: Path, tiny_checkpoint: Path) -> None:
    fill(folder, "a.srt")
    (folder.parent / "out").mkdir()
    (folder.parent / "out" / "a.json").write_text("{")
    assert predict(folder, tiny_checkpoint) == 1
    assert (folder.parent / "out" / "a.json").read_text() == "{"
    assert predict(folder, tiny_checkpoint, "--overwrite") == 0
    assert json.loads((folder.parent / "out" / "a.json").read_text())["source"] == "a.srt"


def test_all_reports_of_each(folder: Path, tiny_checkpoint: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    fill(folder, "a.srt", "a.vtt")
    assert predict(folder, tiny_checkpoint, "--report", "all") == 0
    names = {path.name for path in (folder.parent / "out").iterdir()}
    kinds = ("json", "csv", "emotions.srt", "emotions.vtt", "eaf", "png", "html")
    assert names == {f"{stem}.{kind}" for stem in ("a.srt", "a.vtt") for kind in kinds}


def test_the_language_is_said_before_the_work(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "talk.srt").write_text(GERMAN)
    output = folder.parent / "out"
    assert main(["predict", str(folder), "--output", str(output), "--model", "meld-mini"]) == 0
    said = "What is said is in German, and the model was trained on English: do not trust its labels for that."
    captured = capsys.readouterr()
    assert captured.err == f"m2fnet: talk: {said}\n"
    assert captured.out.startswith("This model reads text only")
    result = json.loads((output / "talk.json").read_text())
    assert result["language"] == {"trained_on": ["en"], "foreign": {"0": "German"}}
    assert result["note"].endswith(said)
    assert result["warnings"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "a folder needs --output FOLDER for its results"),
        (["--output", "talks"], "--output must be another folder than the one with the recordings"),
        (["--output", "out", "--transcript", "a.srt"], "--transcript needs one recording, found a folder"),
        (["--output", "out", "--report", "docx"], "--report takes json, "),
    ],
)
def test_wrong_usage(
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(folder.parent)
    with pytest.raises(SystemExit) as stopped:
        main(["predict", "talks", *arguments])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_an_empty_folder(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert main(["predict", str(folder), "--output", str(folder.parent / "out")]) == 1
    assert "must hold recordings or transcripts, found none" in capsys.readouterr().err
