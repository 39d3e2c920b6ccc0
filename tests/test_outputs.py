"""What somebody else wrote, and what is read, is never replaced; what m2fnet wrote is, by the next run."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from test_cli import MELD_HEADER, MELD_ROWS, SRT, failure

from m2fnet_hf.cli import main
from m2fnet_hf.reports.ownership import is_ours

pytest.importorskip("matplotlib", reason="the extra `reports` is not installed")

MINE = b"mine\n"
NAMES = {
    "json": "talk.json",
    "csv": "talk.csv",
    "srt": "talk.emotions.srt",
    "vtt": "talk.emotions.vtt",
    "eaf": "talk.eaf",
    "png": "talk.png",
    "html": "talk.html",
    "mp4": "talk.annotated.mp4",
}


@pytest.fixture(scope="module")
def work(tiny_checkpoint: Path, recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a recording, its transcript, a model and all results."""
    folder = tmp_path_factory.mktemp("work")
    shutil.copytree(tiny_checkpoint, folder / "model")
    shutil.copy(recording, folder / f"talk{recording.suffix}")
    (folder / "talk.srt").write_text(SRT)
    assert main(words(folder, folder / "out", "--report", "all", "--annotate")) == 0
    return folder


def words(folder: Path, output: Path, *more: str) -> list[str]:
    (recording,) = folder.glob("talk.[mw]*")
    given = ["predict", recording, "--transcript", folder / "talk.srt", "--model", folder / "model", "--output", output]
    return [*map(str, given), "--faces", "none", "--no-cache", *more]


def test_results_are_replaced_by_those_of_the_next_run(work: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(work, tmp_path / "copy")
    before = {path.name: path.read_bytes() for path in (copy / "out").iterdir()}
    assert before.keys() == set(NAMES.values())
    assert all(is_ours(copy / "out" / name, kind) for kind, name in NAMES.items())
    assert main(words(copy, copy / "out", "--report", "all", "--annotate")) == 0
    assert {path.name: path.read_bytes() for path in (copy / "out").iterdir()} == before


@pytest.mark.parametrize("kind", NAMES)
def test_files_of_others_are_refused_before_the_work(
    capsys: pytest.CaptureFixture[str], work: Path, tmp_path: Path, kind: str
) -> None:
    (tmp_path / NAMES[kind]).write_bytes(MINE)
    more = ("--report", "all", "--annotate", "--model", "nobody/nothing")
    said = failure(capsys, *words(work, tmp_path, *more))
    assert f"{NAMES[kind]} must be a new file or one that m2fnet wrote, found another" in said
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(NAMES[kind], MINE)]


def test_the_other_json_of_a_transcript_stays(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "talk.srt").write_text(SRT)
    (tmp_path / "talk.json").write_text('{"utterances": [], "labels": []}')
    given = ["predict", str(tmp_path / "talk.srt"), "--model", "meld-mini", "--output", str(tmp_path)]
    assert "talk.json must be a new file" in failure(capsys, *given)
    assert main([*given, "--overwrite"]) == 0
    assert len(json.loads((tmp_path / "talk.json").read_text())["utterances"]) == 2
    assert (tmp_path / "talk.srt").read_text() == SRT


@pytest.mark.parametrize("link", [None, os.link, os.symlink])
def test_an_input_is_never_an_output(
    capsys: pytest.CaptureFixture[str], work: Path, tmp_path: Path, link: object
) -> None:
    (recording,) = work.glob("talk.[mw]*")
    result = tmp_path / "result.json"
    shutil.copy(work / "out" / "talk.json", result)
    for read in (result, Path(shutil.copy(recording, tmp_path))):
        output, before = read, read.read_bytes()
        if callable(link):
            output = tmp_path / f"link-to-{read.name}"
            link(read, output)
        given = ["annotate", result, "--recording", tmp_path / recording.name, "--output", output, "--overwrite"]
        assert "must be another file than those that are read" in failure(capsys, *given)
        assert read.read_bytes() == before
    (tmp_path / "talk.csv").write_bytes(MINE)
    given = words(work, tmp_path, "--report", "csv", "--overwrite", "--faces", str(tmp_path / "talk.csv"))
    assert "talk.csv must be another file than those that are read" in failure(capsys, *given)


@pytest.mark.parametrize(("make", "found"), [(os.mkdir, "a folder"), (os.mkfifo, "a pipe")])
def test_what_is_no_file_is_not_even_replaced_on_demand(
    capsys: pytest.CaptureFixture[str], work: Path, tmp_path: Path, make: Callable[[Path], None], found: str
) -> None:
    make(tmp_path / "talk.json")
    said = failure(capsys, *words(work, tmp_path, "--overwrite", "--model", "nobody/nothing"))
    assert f"talk.json must be a place that can be written to, found: {found}; name another" in said


def test_metrics_replace_metrics_alone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "test_sent_emo.csv").write_text("\n".join([MELD_HEADER, *MELD_ROWS]))
    given = ["evaluate", "--meld", tmp_path, "--model", "meld-mini"]
    outputs = {"--output": tmp_path / "metrics.json", "--predictions": tmp_path / "all.jsonl", "--figures": tmp_path}
    more = [word for pair in outputs.items() for word in pair]
    for _ in range(2):
        assert main([str(word) for word in (*given, *more)]) == 0
    assert json.loads((tmp_path / "metrics.json").read_text())["split"] == "test"
    capsys.readouterr()
    for option, path in {**outputs, "--figures": tmp_path / "f1.png"}.items():
        path.write_bytes(MINE)
        wanted = tmp_path if option == "--figures" else path
        assert f"{path.name} must be a new file" in failure(capsys, *given, option, wanted)
        assert path.read_bytes() == MINE


def test_metrics_and_predictions_are_two_files_however_they_are_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "test_sent_emo.csv").write_text("\n".join([MELD_HEADER, *MELD_ROWS]))
    monkeypatch.chdir(tmp_path)
    Path("here").symlink_to(tmp_path)
    for other in ("a.json", str(tmp_path / "a.json"), "here/a.json"):
        given = ["evaluate", "--meld", ".", "--model", "meld-mini", "--output", "a.json", "--predictions", other]
        assert "--output and --predictions must be two files, found a.json for both" in failure(capsys, *given)
    assert not Path("a.json").exists()
