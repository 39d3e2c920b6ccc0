"""Times in words."""

import pytest

from m2fnet_hf.utils.times import clock, span


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0:00.0"),
        (-0.1, "0:00.0"),
        (59.96, "1:00.0"),
        (61.25, "1:01.2"),
        (3599.96, "1:00:00.0"),
        (7325.5, "2:02:05.5"),
    ],
)
def test_clock(seconds: float, words: str) -> None:
    assert clock(seconds) == words


def test_span_says_what_is_known() -> None:
    assert [span(1.5, 3), span(None, 3), span(1.5, None), span(None, None)] == ["0:01.5-0:03.0", "0:03.0", "0:01.5", ""]
