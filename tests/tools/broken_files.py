"""Files that are broken in many ways, the same ones in each run."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

LONGEST_WAIT = 5.0  # seconds of the processor
# What breaks readers, among the bytes that a file has.
HOSTILE = st.sampled_from(
    [
        *(
            b"\x00",
            b"\xff",
            b"\xc3",
            b"\x1b[2J",
            b"\xe2\x80\xae",
            b"\xff\xfe",
            b"\r",
            b"\n\n\n",
            b"\t",
            b"'",
            b'"',
            b",",
            b";",
        ),
        *(b"<v ", b"<", b">", b"-->", b"{\\", b"}", b"[", b"]", b"&#27;", b"&#0;", b":", b">>", b"<!--", b"<![CDATA["),
        *(b"-1", b"1e999", b"NaN", b"Infinity", b"null", b"true", b"9" * 400, b"99:99:99", b"\\ud800", b"\\u0000"),
    ]
)
ANYTHING: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("text", "start", "end", "x")), inner),
    max_leaves=6,
)
few = settings(
    max_examples=60,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@st.composite
def broken(draw: Any, whole: bytes, within: int | None = None) -> bytes:
    """A file with bytes that are changed, put in, taken out, repeated or cut off."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, min(len(content), within or len(content))))
        length = draw(st.integers(0, 12))
        match draw(st.sampled_from(("put", "replace", "take", "repeat", "cut", "random"))):
            case "put":
                content[place:place] = draw(HOSTILE)
            case "replace":
                new = draw(HOSTILE)
                content[place : place + len(new)] = new
            case "take":
                del content[place : place + length]
            case "repeat":
                content[place:place] = content[place : place + length] * 5
            case "cut":
                del content[max(place, 1) :]
            case "random":
                content[place : place + length] = draw(st.binary(min_size=length, max_size=length))
    return bytes(content)


@contextmanager
def within_bounds(*kinds: type[Exception]) -> Iterator[None]:
    """An error is a sentence that names the file, and comes in time; it is a `ValueError` or of these kinds."""
    start = time.process_time()
    found: Exception | None = None
    try:
        yield
    except Exception as error:
        found = error
    said = str(found)
    assert found is None or (type(found) in (kinds or (ValueError,)) and "a." in said and "\n" not in said), repr(found)
    assert time.process_time() - start < LONGEST_WAIT
