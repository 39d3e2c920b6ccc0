"""The serving recipes: the service is started and called, the endpoint's handler is called, the image is small."""

import base64
import json
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest
import torch
from packaging.requirements import Requirement

testclient = pytest.importorskip("fastapi.testclient", reason="fastapi is not installed")
pytest.importorskip("python_multipart", reason="python-multipart is not installed")

SERVING = Path(__file__).parents[2] / "examples" / "serving"
SAMPLE = SERVING.parent / "sample_dialogue"
PACKAGE = SERVING.parents[1] / "m2fnet_hf"
SRT = "1\n00:00:00,000 --> 00:00:00,800\nANN: You came!\n\n2\n00:00:01,000 --> 00:00:02,500\nBEN: Never again.\n"
LARGEST_IMAGE = 2.0e9  # bytes
BASE_IMAGE = 0.16e9  # python:3.12-slim, unpacked


@pytest.fixture(scope="module")
def recipes(tiny_checkpoint: Path) -> Iterator[Path]:
    """The folder among those that Python imports from, as on a server, and a model that is quick."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SERVING))
        patch.setenv("M2FNET_MODEL", str(tiny_checkpoint))
        yield SERVING
        for name in ("app", "handler", "predictor"):
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def client(recipes: Path) -> Iterator[Any]:
    from app import app

    with testclient.TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def handler(recipes: Path, tiny_checkpoint: Path) -> Any:
    from handler import EndpointHandler

    return EndpointHandler(str(tiny_checkpoint))


def test_a_recording_and_its_transcript(client: Any) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    with (SAMPLE / "conversation.mp4").open("rb") as video, (SAMPLE / "conversation.srt").open("rb") as words:
        answer = client.post("/predict", files={"recording": video, "transcript": words})
    assert answer.status_code == 200
    said = answer.json()["utterances"]
    assert len(said) == 10
    assert all({"text", "audio"} <= set(one["modalities"]) for one in said)


def test_words_alone(client: Any) -> None:
    answer = client.post("/utterances", json={"utterances": [{"speaker": "Ann", "text": "You came!"}, "Never again."]})
    assert [one["text"] for one in answer.json()["utterances"]] == ["You came!", "Never again."]
    assert client.post("/predict", files={"transcript": ("talk.srt", SRT)}).json()["utterances"][1]["speaker"] == "BEN"


def test_a_transcript_that_names_a_file_of_the_server_gets_nothing_of_it(client: Any) -> None:
    segments = [{"text": "You came!", "start": 0, "end": 1, "video": str(SAMPLE / "conversation.mp4")}]
    answer = client.post("/predict", files={"transcript": ("talk.json", json.dumps(segments))})
    assert answer.json()["utterances"][0]["modalities"] == ["text"]


@pytest.mark.parametrize(
    ("path", "request_", "sentence"),
    [
        ("/predict", {"files": {"transcript": ("t.csv", "a,b\n1,2\n")}}, "rename its columns."),
        ("/predict", {"files": {"transcript": ("t.srt", SRT), "recording": ("r.mp4", b"junk")}}, "video or sound"),
        (
            "/predict",
            {"files": {"transcript": ("t.srt", SRT), "recording": ("r.mp4", b"#EXTM3U\n/etc/passwd")}},
            "video",
        ),
        ("/predict", {"files": {"transcript": ("../../x" + 300 * "y", SRT + "\0")}}, ""),
        ("/predict", {}, "a problem with transcript"),
        ("/utterances", {"json": {"utterances": []}}, "must have 1 to 2000 utterances, found 0"),
        ("/utterances", {"json": {"utterances": [{"text": "a", "video": "/etc/passwd"}]}}, "leave the rest out."),
        ("/utterances", {"json": {"utterances": [{"text": "a", "start": "soon"}]}}, "must be seconds, found str"),
        ("/utterances", {"json": {"utterances": "a"}}, "a problem with utterances"),
        ("/utterances", {"content": b"{", "headers": {"content-type": "application/json"}}, "a problem with"),
        ("/utterances", {"headers": {"content-length": str(10**12)}}, "send a smaller file."),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(
    client: Any, path: str, request_: dict[str, Any], sentence: str
) -> None:
    answer = client.post(path, **request_)
    if sentence:
        assert answer.status_code in (413, 422)
        assert sentence in answer.json()["error"]
        assert answer.json()["error"].endswith(".")
    else:
        assert answer.status_code == 200


def test_an_error_of_another_library_stays_in_the_log(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    from predictor import UNKNOWN, sentence

    assert sentence(RuntimeError("shape '[3]' is invalid")) == UNKNOWN
    assert sentence(ValueError("could not convert string to float: 'a'")) == UNKNOWN
    assert "is invalid" in caplog.text


def test_the_handler_of_an_endpoint(handler: Any) -> None:
    assert [one["text"] for one in handler({"inputs": "You came!"})["utterances"]] == ["You came!"]
    recording = base64.b64encode((SAMPLE / "conversation.mp4").read_bytes()).decode()
    answer = handler({"inputs": {"transcript": (SAMPLE / "conversation.srt").read_text(), "recording": recording}})
    assert {"text", "audio"} <= set(answer["utterances"][0]["modalities"])
    json.dumps(answer)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({}, "found NoneType"),
        ({"inputs": {"recording": "AAAA"}}, "found dict"),
        ({"inputs": {"transcript": SRT, "recording": "%"}}, "must be the bytes of a file in base64"),
        ({"inputs": {"transcript": SRT, "recording": "AAAA"}}, "must have video or sound"),
        ({"inputs": []}, "must have 1 to 2000 utterances, found 0"),
    ],
)
def test_the_handler_answers_with_a_sentence(handler: Any, data: dict[str, Any], sentence: str) -> None:
    assert sentence in handler(data)["error"]


def test_the_image_is_below_two_gigabytes() -> None:
    """Its packages as they are installed here, with a torch for CPUs as the image has it."""
    if "+cpu" not in torch.__version__:
        pytest.skip("the torch that is installed is none for CPUs alone")
    seen: dict[str, int] = {}
    waiting = [Requirement(line).name for line in (SERVING / "requirements.txt").read_text().split()]
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in seen:
            continue
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        files = [Path(str(file.locate())) for file in found.files or ()]
        seen[name] = sum(file.stat().st_size for file in files if file.is_file())
        needed = [Requirement(line) for line in found.requires or ()]
        waiting += [one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    assert {"torch", "transformers", "fastapi", "uvicorn"} <= seen.keys()
    seen["m2fnet-hf"] = sum(path.stat().st_size for path in PACKAGE.rglob("*") if path.is_file())
    assert sum(seen.values()) + BASE_IMAGE < LARGEST_IMAGE
    assert "whl/cpu torch" in (SERVING / "Dockerfile").read_text()
