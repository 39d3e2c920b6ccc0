"""Sources behind addresses."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from m2fnet_hf.recordings import open as sources
from m2fnet_hf.recordings.cache import Cache

WORDS = b"1\n00:00:00,000 --> 00:00:01,000\nANN: Hi.\n"
NAMES_A_FILE = b'[{"text": "Hi.", "video": "/etc/passwd"}]'


class Handler(BaseHTTPRequestHandler):
    """A server whose `/half` breaks off and whose `/slow` says nothing."""

    def do_GET(self) -> None:
        if "slow" in self.path:
            threading.Event().wait(3)
            return
        self.send_response(200 if "talk" in self.path or "half" in self.path else 500)
        content = NAMES_A_FILE if self.path.endswith(".json") else WORDS
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:5] if "half" in self.path else content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> object:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_what_is_fetched_is_named_like_its_source(address: str, tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    path = sources.fetch(f"{address}/a/talk.srt?key=1", cache)
    assert (path.name, path.read_bytes()) == ("talk.srt", WORDS)
    assert path != sources.fetch(f"{address}/b/talk.srt", cache)
    assert sources.fetch(tmp_path / "talk.srt", cache) == tmp_path / "talk.srt"


@pytest.mark.parametrize("place", ["gone", "half.srt", "slow.srt"])
def test_what_does_not_come_whole_leaves_no_file(
    address: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "TIMEOUT", 0.5)
    with pytest.raises(OSError, match=rf"{place} must be a file that can be fetched, found: .*; check the address"):
        sources.fetch(f"{address}/{place}", Cache(tmp_path))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_what_was_fetched_opens_no_file_of_this_machine(address: str, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="the field video was not used"):
        dialogue, _ = sources.open_source(f"{address}/talk.json", cache=Cache(tmp_path))
    assert [(one.text, one.video) for one in dialogue] == [("Hi.", None)]


def test_nobody_answers(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(OSError, match="must be a file that can be fetched"):
            sources.fetch(f"http://127.0.0.1:{unused.getsockname()[1]}/talk.srt", Cache(tmp_path))
