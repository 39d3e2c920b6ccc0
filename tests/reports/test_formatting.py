import pytest

from m2fnet_hf.reports.formatting import abbreviations, shortened, text_width, wrapped


def test_abbreviations_differ() -> None:
    labels = ["neutral", "joy", "happy", "happiness", "hp", "a", "a b", "喜び", ""]
    short = abbreviations(labels)
    assert list(short) == labels
    assert len(set(short.values())) == len(labels)
    assert [short[label] for label in ("neutral", "joy", "happy", "happiness")] == ["ne", "jo", "ha", "hp"]
    assert len(set(abbreviations(["same"] * 1 + [f"same{n}" for n in range(40)]).values())) == 41


@pytest.mark.parametrize(("text", "width"), [("abc", 3), ("田中", 4), ("e\u0301", 1), ("", 0)])
def test_text_is_measured_in_columns(text: str, width: int) -> None:
    assert text_width(text) == width
    assert shortened(text, width) == text


def test_what_is_shortened_says_so() -> None:
    assert shortened("You came!", 5) == "You…"
    assert shortened("田中さん", 5) == "田中…"


def test_lines_lose_nothing() -> None:
    assert wrapped("You came to see me", 8) == ["You came", "to see", "me"]
    assert wrapped("x" * 10, 4) == ["xxxx", "xxxx", "xx"]
    assert wrapped("田中さん", 4) == ["田中", "さん"]
    assert wrapped("", 4) == []
