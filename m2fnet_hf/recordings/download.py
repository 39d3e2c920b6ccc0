"""Files from the web: whole, or not at all."""

import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from ..utils.files import write_whole

TIMEOUT = 30.0  # seconds without an answer, or in which less comes than is of use
LEAST = 1 << 10  # bytes a second
PAUSES = (1.0, 4.0)  # seconds before it is tried once more
# Of a server that may do better soon.
_PASSING = {408, 425, 429, 500, 502, 503, 504}


class _StatusError(Exception):
    """An answer that is no file."""

    def __init__(self, status: int) -> None:
        names = {one.value: f" ({one.phrase})" for one in HTTPStatus}
        super().__init__(f"status {status}{names.get(status, '')}")
        self.is_passing = status in _PASSING


def download(url: str, path: Path) -> None:
    """Write what lies at a URL to a file.

    Raises:
        OSError: for a server that is not there, stops to send, or sends less than it announced; names and passwords in
            the URL are not said.
    """
    for pause in (*PAUSES, None):
        try:
            _download(url, path)
            return
        except (_StatusError, httpx.HTTPError, httpx.InvalidURL) as error:
            if pause is None or not _is_passing(error):
                raise OSError(
                    f"{public_address(url)} must be a file that can be fetched, found {_said(error)}; check the "
                    "address, or fetch it yourself."
                ) from None
            time.sleep(pause)


def public_address(url: str) -> str:
    """A URL without names, passwords and keys."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _download(url: str, path: Path) -> None:
    # As it is: the length that is announced is that of what is sent.
    options = {"headers": {"Accept-Encoding": "identity"}, "timeout": TIMEOUT, "follow_redirects": True}
    with httpx.stream("GET", url, **options) as answer:  # type: ignore[arg-type]
        if not answer.is_success:
            raise _StatusError(answer.status_code)
        with write_whole(path) as part, part.open("wb") as file:
            for block in _in_time(answer.iter_raw()):
                file.write(block)


def _in_time(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The blocks, unless they come so slowly that the file would never be whole."""
    start, received = time.monotonic(), 0
    for block in blocks:
        yield block
        received += len(block)
        if time.monotonic() - start > TIMEOUT:
            if received < LEAST * TIMEOUT:
                raise httpx.ReadTimeout("too slow")
            start, received = time.monotonic(), 0


def _is_passing(error: Exception) -> bool:
    if isinstance(error, _StatusError):
        return error.is_passing
    return isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError)


def _said(error: Exception) -> str:
    """Without what the library or the server say, which may hold the address."""
    if isinstance(error, _StatusError):
        return str(error)
    if isinstance(error, httpx.TimeoutException):
        return f"that for {TIMEOUT:g} seconds too little came"
    if isinstance(error, httpx.ConnectError):
        return "no server that answers"
    if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
        return "that it broke off"
    if isinstance(error, httpx.TooManyRedirects):
        return "that it leads round in a circle"
    return "no such address"
