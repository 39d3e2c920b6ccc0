"""Visitors without a browser: many at once, hostile ones, and what they leave behind."""

import gc
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

import pytest

gradio_client = pytest.importorskip("gradio_client", reason="gradio is not installed")

import tiny  # noqa: E402
from app_server import app_server  # noqa: E402

from m2fnet_hf import M2FNetForEmotionClassification  # noqa: E402
from m2fnet_hf.app.handlers import KEPT  # noqa: E402
from m2fnet_hf.app.serve import load  # noqa: E402
from m2fnet_hf.export.onnx import export_onnx  # noqa: E402

SAMPLE = Path(__file__).parents[2] / "examples" / "sample_dialogue"
FIELDS = ["start", "end", "speaker", "text"]
ALERT = re.compile(r'<p class="alert" role="alert">(.*)</p>', re.DOTALL)
PYTHON = re.compile(r"Traceback|Exception|\bError\b|NoneType|object has no|invalid literal|could not convert")
GROWTH = 1.05
CALLS = 10  # of a visitor
PATIENCE = 120  # seconds, on a machine that does other things as well


class Answer(NamedTuple):
    """What the page shows.

    Args:
        problem: the sentence of an error, or nothing.
        timeline, modalities: HTML.
        rows: of the table.
    """

    problem: str
    timeline: str = ""
    modalities: str = ""
    rows: Sequence[Sequence[Any]] = ()


class Session(NamedTuple):
    """What a handler knows of a visitor."""

    session_hash: str


class Visitor:
    """Somebody who sends what they like."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.client = gradio_client.Client(address, verbose=False, httpx_kwargs={"timeout": PATIENCE})

    def predict(self, rows: Any = (), recording: Path | None = None, transcript: Path | None = None) -> Answer:
        files = [None if path is None else gradio_client.handle_file(path) for path in (recording, transcript)]
        table = {"headers": FIELDS, "data": rows, "metadata": None}
        try:
            problem, timeline, modalities, _, table = self.client.predict(*files, table, None, api_name="/predict")
        except gradio_client.exceptions.AppError as error:
            return Answer(unescape(str(error)))
        if alerts := ALERT.findall(problem):
            (sentence,) = alerts
            return Answer(unescape(sentence))
        return Answer("", timeline, modalities, table["data"])

    def predict_path(self, path: str) -> Answer:
        """Name a file instead of sending it, as no browser and no client library does."""
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        table = {"headers": FIELDS, "data": [[None, None, "Ann", "You came!"]], "metadata": None}
        body = json.dumps({"data": [file, None, table, None]}).encode()
        address = f"{self.address}gradio_api/call/predict"
        with urlopen(Request(address, body, {"content-type": "application/json"})) as response:
            event = json.load(response)["event_id"]
        with urlopen(f"{address}/{event}") as stream:
            return Answer(unescape(json.loads(stream.read().decode().split("data: ")[-1])["error"]))

    def page(self, answer: Answer) -> str:
        """The timeline."""
        (source,) = re.findall(r'src="([^"]+)"', answer.timeline)
        with urlopen(f"{self.address}{source}") as response:
            return response.read().decode()


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    with app_server(tmp_path_factory.mktemp("app")) as serve:
        yield serve


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def address(serve: Callable[..., str], tiny_checkpoint: Path, folder: Path) -> str:
    return serve(str(tiny_checkpoint), "none", folder)


def words(name: str) -> list[list[Any]]:
    return [[None, None, name, f"{name} came!"], [None, None, "Ben", "Never again."]]


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_twenty_visitors_at_once_are_each_answered(address: str, tmp_path: Path) -> None:
    """Ten come in peace and get their own answers, ten do not and are told why; none waits for ever."""
    inside = json.dumps([{"text": "You came!", "start": 0, "end": 1, "video": str(SAMPLE / "conversation.mp4")}])
    deep, large = written(tmp_path / "deep.json", 10**5 * "["), written(tmp_path / "large.txt", 6 * 2**20 * "a")
    playlist = written(tmp_path / "list.m3u8", "#EXTM3U\n/etc/passwd\n")
    hostile: list[tuple[dict[str, Any], str]] = [
        ({"path": "/etc/passwd"}, "must be uploaded to this page, found '/etc/passwd'"),
        ({"path": "http://localhost:1/a.mp4"}, "must be uploaded to this page, found 'http"),
        ({"rows": [["soon", None, "Ann", "You came!"]]}, "Row 1 of the table must have times"),
        ({"rows": [[2, 1, "Ann", "You came!"]]}, "must end after it starts"),
        ({"rows": [[1, 2, 3]]}, "found 3 cells; correct it."),
        ({"rows": words(2**20 * "a")}, "no more than 1,000,000 characters"),
        ({}, "The words that are said are needed, found none"),
        ({"transcript": deep}, "deep.json must"),
        ({"transcript": large}, "no larger than 5 MB"),
        ({"rows": words("Ann"), "recording": playlist}, "list.m3u8 must be a video or a sound recording"),
    ]
    peaceful = [f"Visitor {number}" for number in range(10)]

    def visit(number: int) -> tuple[Visitor, Answer]:
        visitor, half = Visitor(address), number // 2
        given = hostile[half][0] if number % 2 else {"rows": words(peaceful[half])}
        return visitor, visitor.predict_path(**given) if "path" in given else visitor.predict(**given)

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(visit, range(20)))
    for (visitor, answer), name in zip(answers[::2], peaceful, strict=True):
        assert answer.problem == ""
        assert [row[2] for row in answer.rows] == [name, "Ben"]
        assert set(re.findall(r"Visitor \d", visitor.page(answer))) == {name}
    for (_, answer), (_, sentence) in zip(answers[1::2], hostile, strict=True):
        assert sentence in answer.problem
        assert answer.problem.endswith(".")
        assert not PYTHON.search(answer.problem)
    named = Visitor(address).predict((), transcript=written(tmp_path / "named.json", inside))
    assert named.problem == ""
    assert "had none" in named.modalities, "the video that the transcript names was not opened"


def test_an_exported_model_answers_too(serve: Callable[..., str], tmp_path: Path) -> None:
    model = M2FNetForEmotionClassification(tiny.config(audio=None, visual=False, num_hidden_layers=1)).eval()
    export_onnx(model, tiny.processor(), tmp_path / "exported")
    answer = Visitor(serve(str(tmp_path / "exported"), "none", tmp_path)).predict(words("Ann"))
    assert answer.problem == ""
    assert [row[2] for row in answer.rows] == ["Ann", "Ben"]


def test_a_file_that_is_there_is_not_served(address: str) -> None:
    for path in ("/etc/passwd", "../../etc/passwd", str(SAMPLE / "conversation.srt"), f"{Path.cwd()}/setup.cfg"):
        with pytest.raises(OSError, match=r"40[34]"):
            urlopen(f"{address}gradio_api/file={path}")


def test_several_files_are_answered_one_by_one(address: str, tmp_path: Path) -> None:
    files = [
        SAMPLE / "conversation.srt",
        written(tmp_path / "talk.txt", "ANN: You came!\nBEN: Never again.\n"),
        written(tmp_path / "broken.csv", "a,b\n1,2\n"),
        written(tmp_path / "notes.pdf", "%PDF"),
    ]
    client = gradio_client.Client(address, verbose=False, httpx_kwargs={"timeout": PATIENCE})
    problem, table, reports = client.predict([gradio_client.handle_file(path) for path in files], api_name="/several")
    assert problem == ""
    rows = dict(re.findall(r'<th scope="row">(.*?)</th><td>(.*?)</td>', table))
    assert rows.keys() == {"conversation", "talk", "broken", "notes.pdf"}
    assert re.fullmatch(r"[a-z]+ \d+(, [a-z]+ \d+)*", rows["conversation"])
    assert rows["broken"].endswith("rename its columns.")
    assert rows["notes.pdf"] == "not used"
    assert reports["value"][0].endswith(".zip")
    problem, *_ = client.predict([], api_name="/several")
    assert "Recordings or transcripts are needed" in problem


def resident() -> float:
    """MB of memory of this process, in which the app runs."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the memory of a process is told by /proc")
def test_memory_and_folders_do_not_grow_with_calls(address: str, folder: Path) -> None:
    def visit(_: int) -> None:
        visitor = Visitor(address)
        for _ in range(CALLS):
            assert visitor.predict([[None, None, "Ann", "You came!"]]).problem == ""

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(visit, range(5)))
        used = resident()
        list(threads.map(visit, range(15)))
    assert resident() <= GROWTH * used
    assert threading.active_count() < 100
    assert all(len(list(one.iterdir())) <= CALLS for one in folder.iterdir())


def test_results_of_former_visitors_are_deleted(serve: Callable[..., str], tmp_path: Path) -> None:
    handlers = load("meld-mini", str(tmp_path))
    old, new = (Path(handlers.new_folder(Session(name))).parent for name in ("old", "new"))  # type: ignore[arg-type]
    past = time.time() - KEPT - 60
    os.utime(old, (past, past))
    handlers.new_folder(Session("third"))  # type: ignore[arg-type]
    assert not old.exists()
    assert new.exists()
    handlers.forget(Session("new"))  # type: ignore[arg-type]
    assert not new.exists()
