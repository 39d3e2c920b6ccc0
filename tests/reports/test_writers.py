import json
import sys
import warnings
from pathlib import Path

import pytest
from sample_results import conversation, result, utterance

from m2fnet_hf.reports.writers import KINDS, write_reports

UNTIMED = result([utterance(start=None, end=None)])
HALF_TIMED = result([utterance(), utterance(start=None, end=None), utterance(start=4.0, end=None)])


@pytest.fixture
def _packages() -> None:
    for package in ("matplotlib", "pympi"):
        pytest.importorskip(package)


@pytest.mark.usefixtures("_packages")
def test_all_reports(tmp_path: Path, recording: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        paths = write_reports(conversation(6), tmp_path / "new" / "folder", "talk", recording=recording)
    names = ["json", "csv", "emotions.srt", "emotions.vtt", "eaf", "png", "html"]
    assert [path.name for path in paths] == [f"talk.{name}" for name in names]
    assert sorted(paths) == sorted((tmp_path / "new" / "folder").iterdir()), "nothing else is left there"
    assert all(path.stat().st_size for path in paths)


def test_the_json_file_is_the_result(tmp_path: Path) -> None:
    content = result([utterance("Élodie")])
    (path,) = write_reports(content, tmp_path, "talk", ["json"])
    assert json.loads(path.read_text(encoding="utf-8")) == content


@pytest.mark.parametrize("kind", ["json", "csv", "srt", "vtt"])
def test_the_transcript_is_never_overwritten(tmp_path: Path, kind: str) -> None:
    source = tmp_path / f"talk.{kind}"
    source.write_text("the transcript")
    (path,) = write_reports(result([utterance()], source=source.name), tmp_path, "talk", [kind])
    assert path.name == f"talk.emotions.{kind}"
    assert source.read_text() == "the transcript"


def test_a_failure_leaves_the_older_file(tmp_path: Path) -> None:
    (path,) = write_reports(result([utterance()]), tmp_path, "talk", ["json"])
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_reports(result([utterance()], model=object()), tmp_path, "talk", ["json"])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("_packages")
def test_without_times_all_means_the_reports_that_need_none(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="srt, vtt, eaf need the start and end of utterances, found none in 1"):
        paths = write_reports(UNTIMED, tmp_path, "talk")
    assert [path.suffix for path in paths] == [".json", ".csv", ".png", ".html"]


def test_without_times_subtitles_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"srt need .* found none in 1; give a transcript with times"):
        write_reports(UNTIMED, tmp_path, "talk", ["csv", "srt"])
    assert list(tmp_path.iterdir()) == []


def test_cues_without_times_are_counted(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"2 of 3 utterances have no start and end and are left out of srt, vtt\."):
        write_reports(HALF_TIMED, tmp_path, "talk", ["srt", "vtt", "csv"])


def test_unknown_kinds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"one of json, csv, .*, found docx; correct"):
        write_reports(UNTIMED, tmp_path, "talk", ["json", "docx"])


@pytest.mark.parametrize(("kind", "module", "package"), [("png", "timeline", "matplotlib"), ("eaf", "elan", "pympi")])
def test_a_missing_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, module: str, package: str
) -> None:
    assert kind in KINDS
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"m2fnet_hf.reports.{module}", raising=False)
    with pytest.raises(ImportError, match=rf"{kind} needs {package}.*pip install 'm2fnet-hf\[reports\]'"):
        write_reports(result([utterance()]), tmp_path, "talk", ["json", kind])
    assert list(tmp_path.iterdir()) == [], "nothing is written before"
