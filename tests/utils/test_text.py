import pytest

from m2fnet_hf.utils.text import printable, shown


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain, \u05e9\u05dc\u05d5\u05dd \U0001f600\u200d\u2642\ta\nb", None),
        ("\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\", "red link"),
        ("\x1b]never ended", "]never ended"),
        ("\x9b31m\x07\x08\x00\x7f\x1b", "31m"),
        ("a\r\nb\rc\x0bd\u2028e", "a\nb\nc\nd\ne"),
        ("\u202eevil\u202c \u2066x\u2069", "evil x"),
        ("\ud800\udcff", "\ufffd\ufffd"),
    ],
)
def test_printable(text: str, safe: str | None) -> None:
    assert printable(text) == (text if safe is None else safe)


def test_a_path_is_one_line() -> None:
    assert shown("a\nb\x1b[2J\udcff.mp4") == "a b\ufffd.mp4"
