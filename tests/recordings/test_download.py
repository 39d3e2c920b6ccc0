"""Files from the web are whole, or not there; a server that does not send them is said in one sentence."""

import base64
import re
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from m2fnet_hf.recordings import download as web
from m2fnet_hf.recordings import open as sources
from m2fnet_hf.recordings.cache import Cache

WORDS = b"1\n00:00:00,000 --> 00:00:01,000\nANN: Hi.\n"
NAMES_A_FILE = b'[{"text": "Hi.", "video": "/etc/passwd"}]'
SECRET = f"Basic {base64.b64encode(b'ann:pass').decode()}"


class Handler(BaseHTTPRequestHandler):
    """What each path does is said by its name."""

    def do_GET(self) -> None:
        name = Path(self.path.partition("?")[0]).stem
        self.server.asked.append(name)
        getattr(self, name)()

    def send(self, status: int = 200, body: bytes = WORDS, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for header, value in headers.items():
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(body)

    def talk(self) -> None:
        self.send()

    def names_a_file(self) -> None:
        self.send(body=NAMES_A_FILE)

    def gone(self) -> None:
        self.send(404)

    def half(self) -> None:
        self.send(body=WORDS[:5], length=len(WORDS))

    def half_chunk(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"5\r\n" + WORDS[:5] + b"\r\n10\r\nxx")

    def silent(self) -> None:
        threading.Event().wait(6)

    def stalls(self) -> None:
        self.send(body=WORDS[:5], length=len(WORDS))
        threading.Event().wait(6)

    def drips(self) -> None:
        self.send(body=b"", length=1000)
        for _ in range(60):
            self.wfile.write(b"x")
            time.sleep(0.1)

    def better_soon(self) -> None:
        self.send(200 if self.server.asked.count("better_soon") == 3 else 503)

    def around(self) -> None:
        self.send(302, Location="/around")

    def elsewhere(self) -> None:
        self.send(302, Location="file:///etc/passwd")

    def moved(self) -> None:
        self.send(302, Location="/talk.srt")

    def private(self) -> None:
        self.send(200 if self.headers.get("Authorization") == SECRET else 401)

    def garbage(self) -> None:
        self.wfile.write(b"\x00\xff no HTTP \x1b[31m\r\n\r\n")

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []

    def handle_error(self, *_: object) -> None:  # of a client that went
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(web, "TIMEOUT", 2.0)
    monkeypatch.setattr(web, "PAUSES", (0.01, 0.01))
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def address(server: Server, place: str) -> str:
    return f"http://127.0.0.1:{server.server_port}/{place}"


@pytest.mark.parametrize("place", ["talk.srt?key=1", "moved.srt", "better_soon.srt"])
def test_a_whole_file_is_named_like_its_source(server: Server, tmp_path: Path, place: str) -> None:
    path = sources.fetch(address(server, place), Cache(tmp_path))
    assert (path.name, path.read_bytes()) == (place.partition("?")[0], WORDS)
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == [path]


def test_files_of_one_name_are_told_apart(server: Server, tmp_path: Path) -> None:
    one, other = (sources.fetch(address(server, place), Cache(tmp_path)) for place in ("talk.srt", "a/talk.srt"))
    assert one.name == other.name
    assert one != other
    assert sources.fetch(tmp_path / "talk.srt", Cache(tmp_path)) == tmp_path / "talk.srt"


def test_what_was_fetched_opens_no_file_of_this_machine(server: Server, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="the field video was not used"):
        dialogue, _ = sources.open_source(address(server, "names_a_file.json"), cache=Cache(tmp_path))
    assert [(one.text, one.video) for one in dialogue] == [("Hi.", None)]


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("gone", r"status 404 \(Not Found\)"),
        ("half", "that it broke off"),
        ("half_chunk", "that it broke off"),
        ("silent", "that for 2 seconds too little came"),
        ("stalls", "that for 2 seconds too little came"),
        ("drips", "that for 2 seconds too little came"),
        ("around", "that it leads round in a circle"),
        ("elsewhere", "no such address"),
        ("garbage", "that it broke off"),
    ],
)
def test_what_does_not_come_whole_leaves_no_file(server: Server, tmp_path: Path, place: str, found: str) -> None:
    url = address(server, f"{place}.srt")
    start = time.monotonic()
    sentence = rf"{re.escape(url)} must be a file that can be fetched, found {found}; check the address, or fetch it"
    with pytest.raises(OSError, match=sentence):
        sources.fetch(url, Cache(tmp_path))
    assert time.monotonic() - start < 30
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_only_what_may_pass_is_tried_again(server: Server, tmp_path: Path) -> None:
    for place, times in (("gone", 1), ("half", 3), ("stalls", 1)):
        with pytest.raises(OSError, match="must be a file"):
            web.download(address(server, place), tmp_path / "file")
        assert server.asked.count(place) == times


def test_passwords_and_keys_are_used_and_never_said(server: Server, tmp_path: Path) -> None:
    url = address(server, "private.srt").replace("//", "//ann:pass@")
    assert sources.fetch(url, Cache(tmp_path)).read_bytes() == WORDS
    for wrong in (
        url.replace("pass", "hidden"),
        address(server, "gone.srt?sig=hidden"),
        "http://ann:hidden@[/talk.srt",
    ):
        with pytest.raises((OSError, ValueError)) as caught:
            sources.fetch(wrong, Cache(tmp_path))
        assert "hidden" not in str(caught.value)


def test_nobody_answers(server: Server, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(OSError, match="found no server that answers"):
            sources.fetch(f"http://127.0.0.1:{unused.getsockname()[1]}/talk.srt", Cache(tmp_path))
