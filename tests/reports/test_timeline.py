from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from sample_results import conversation, result, utterance

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

from matplotlib.figure import Figure
from PIL import Image

from m2fnet_hf.reports.palette import MELD_COLORS, blend, contrast
from m2fnet_hf.reports.timeline import opacity, write_timeline

LONG_NAME = "Prof. Dr. Maximiliane von Hohenfels-Oettingen zu Spielberg"


def drawn(content: dict, path: Path) -> np.ndarray:
    write_timeline(content, path)
    return np.asarray(Image.open(path).convert("RGB"))


def pixels(image: np.ndarray, color: str) -> int:
    return int((image == np.array(list(bytes.fromhex(color[1:])))).all(-1).sum())


def figure_of(content: dict, path: Path, monkeypatch: pytest.MonkeyPatch) -> Figure:
    """The figure behind the file."""
    figures = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *args, **options: (figures.append(self), save(self, *args, **options))
    )
    write_timeline(content, path)
    return figures[0]


def words(figure: Figure) -> list[str]:
    legends = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return legends + [text.get_text() for text in figure.findobj(lambda one: hasattr(one, "get_text"))]


def test_colors_say_the_emotion_and_the_probability(tmp_path: Path) -> None:
    image = drawn(result([utterance("", "anger", 1.0), utterance("", "joy", 0.4, start=3, end=9)]), tmp_path / "t.png")
    assert pixels(image, MELD_COLORS["anger"]) > 20_000
    assert pixels(image, blend(MELD_COLORS["joy"], opacity(0.4))) > 20_000
    assert pixels(image, MELD_COLORS["joy"]) > 100, "the legend has the full color"
    assert pixels(image, MELD_COLORS["disgust"]) == 0


def test_the_least_probable_can_be_seen() -> None:
    assert all(contrast(blend(color, opacity(0.0)), "#FFFFFF") > 1.25 for color in MELD_COLORS.values())


@pytest.mark.parametrize(("fewer", "more"), [((20, 1), (20, 12)), ((20, 2), (90, 2))])
def test_the_picture_grows_with_speakers_and_utterances(
    tmp_path: Path, fewer: tuple[int, int], more: tuple[int, int]
) -> None:
    small, large = (drawn(conversation(*size), tmp_path / "t.png") for size in (fewer, more))
    assert large.shape[0] > 1.5 * small.shape[0]
    assert large.shape[1] == small.shape[1]


def test_nothing_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = conversation(50, speakers=3)
    for one in content["utterances"][::3]:
        one["speaker"] = LONG_NAME
    content["source"] = "a rather long name " * 10
    figure = figure_of(content, tmp_path / "t.png", monkeypatch)
    page = figure.bbox
    for axis in figure.axes:
        tight = axis.get_tightbbox()
        assert page.x0 <= tight.x0 < tight.x1 <= page.x1 + 1
        assert page.y0 <= tight.y0 < tight.y1 <= page.y1 + 1
    for legend in figure.legends:
        assert page.x0 <= legend.get_window_extent().x0
        assert legend.get_window_extent().x1 <= page.x1
    emotions, shades = (legend.get_window_extent() for legend in figure.legends)
    assert not emotions.overlaps(shades)


def test_the_legend_lists_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = figure_of(result([utterance(), utterance(label="fear")]), tmp_path / "t.png", monkeypatch)
    emotions, shades = ([text.get_text() for text in legend.get_texts()] for legend in figure.legends)
    assert emotions == ["fear", "joy"]
    assert shades == ["probability 20%", "probability 60%", "probability 100%"]
    assert any("reads text only" in text for text in words(figure))


def test_dollars_are_not_formulas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = result([utterance("$5 or $6_{", speaker="$x$", end=60.0)], source="$a$.srt", note="$^ $")
    figure = figure_of(content, tmp_path / "t.png", monkeypatch)
    written = [text for text in figure.findobj(lambda one: hasattr(one, "get_parse_math")) if "$" in text.get_text()]
    assert {text.get_text() for text in written} == {"$5 or $6_{", "$x$", "$a$.srt", "Model meld-mini. $^ $"}
    assert not any(text.get_parse_math() for text in written)


def test_overlapping_and_momentary_utterances_are_all_seen(tmp_path: Path) -> None:
    spans = {"anger": (0, 100), "joy": (10, 90), "fear": (200, 200)}
    utterances = [utterance("", label, 1.0, start=start, end=end) for label, (start, end) in spans.items()]
    image = drawn(result(utterances), tmp_path / "t.png")
    legend = pixels(
        drawn(result([utterance("", "neutral", 1.0), utterance("", "fear", 0.0)]), tmp_path / "l.png"),
        MELD_COLORS["fear"],
    )
    assert all(pixels(image, MELD_COLORS[label]) > legend + 50 for label in spans)


def test_without_times_the_axis_counts_utterances(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = figure_of(conversation(12, timed=False), tmp_path / "t.png", monkeypatch)
    assert figure.axes[-1].get_xlabel() == "utterance"
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == [str(n) for n in range(1, 13)]


def test_utterances_without_times_among_others_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    utterances = [utterance(), utterance(start=None, end=None)]
    figure = figure_of(result(utterances), tmp_path / "t.png", monkeypatch)
    assert figure.axes[0].get_title(loc="left").endswith("Without times and not shown: 1.")


@pytest.mark.parametrize("suffix", [".svg", ".pdf"])
def test_other_formats_by_suffix(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    write_timeline(conversation(5), path)
    if suffix == ".svg":
        assert ElementTree.parse(path).getroot().tag.endswith("svg")
    else:
        assert path.read_bytes().startswith(b"%PDF-")


def test_pyplot_is_left_alone(tmp_path: Path) -> None:
    from matplotlib import pyplot

    write_timeline(conversation(5), tmp_path / "t.png")
    assert pyplot.get_fignums() == []
