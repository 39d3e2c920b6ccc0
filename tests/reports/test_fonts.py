"""The real fonts of matplotlib, and one that is made here of them for a letter that no other has."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

import matplotlib
from fontTools.ttLib import TTFont
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, fontManager
from PIL import Image

from m2fnet_hf.reports import fonts
from m2fnet_hf.reports.fonts import FIRST, fonts_for

RARE = "\U0001e900"  # of the Adlam script, of which no font comes with matplotlib


@pytest.fixture
def rare_font(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A font with one letter, installed after matplotlib made its list."""
    font = TTFont(findfont(FIRST))
    for table in font["cmap"].tables:
        table.cmap = {ord(RARE): table.cmap[ord("W")]} if table.format == 12 else {}
    for name in font["name"].names:
        if name.nameID in (1, 4, 6, 16):
            name.string = "Rare Sans"
    path = tmp_path / "rare.ttf"
    font.save(path)
    monkeypatch.setattr(fonts, "findSystemFonts", lambda: [str(path)])
    before = list(fontManager.ttflist)
    fonts._further.cache_clear()
    yield path
    fontManager.ttflist[:] = before
    fonts._further.cache_clear()


def test_a_font_that_has_the_letter_is_found(rare_font: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fonts_for(["Ann", RARE]):
            assert matplotlib.rcParams["font.family"] == [FIRST, "Rare Sans"]
            figure = Figure(figsize=(1, 1))
            figure.text(0.1, 0.1, RARE)
            figure.savefig(tmp_path / "rare.png")
    figure = Figure(figsize=(1, 1))
    figure.text(0.1, 0.1, "W")
    figure.savefig(tmp_path / "w.png")
    assert Image.open(tmp_path / "rare.png") == Image.open(tmp_path / "w.png"), "its outline is that of W"


def test_what_no_font_has_is_named_once_by_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_further", list)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with fonts_for(["Ann \u200d\ufe0f\n", "田中さん", "김", f"{RARE}\U0001e901", "\U0001fae8"]):
            figure = Figure(figsize=(1, 1))
            figure.text(0.1, 0.1, "田中")
            figure.savefig(tmp_path / "t.png")
    (warning,) = said
    assert "letters of Adlam (\U0001e900), Chinese (中), Japanese (さ), Korean (김), emoji and symbols (" in str(
        warning.message
    )


def test_common_letters_need_no_further_font(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_further", lambda: pytest.fail("all fonts were looked through"))
    with fonts_for(["Élodie", "Иван", "محمد علي", "דוד", "😀"]):
        assert matplotlib.rcParams["font.family"] == [FIRST]
