import time
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from sample_results import conversation, result, utterance

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from m2fnet_hf.reports.palette import MELD_COLORS
from m2fnet_hf.reports.timeline import MOST_LINES, write_timeline

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


def bars(figure: Figure) -> list[tuple[str, float]]:
    """The colour of each bar, and how far it is filled."""
    found = []
    for axis in figure.axes:
        fills, outlines = axis.collections
        for fill, outline, color in zip(fills.get_paths(), outlines.get_paths(), fills.get_facecolors(), strict=True):
            share = np.ptp(fill.vertices[:, 1]) / np.ptp(outline.vertices[:, 1])
            found.append((to_hex(color, keep_alpha=True)[:9].upper(), round(float(share), 2)))
    return found


def on_bars(figure: Figure) -> list[str]:
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_a_bar_is_filled_to_the_probability_and_never_faded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [utterance("", "anger", score, start=n, end=n + 1) for n, score in enumerate((0.02, 0.4, 1.0))]
    figure = figure_of(result(said), tmp_path / "t.png", monkeypatch)
    assert bars(figure) == [(f"{MELD_COLORS['anger']}FF", score) for score in (0.02, 0.4, 1.0)]
    image = np.asarray(Image.open(tmp_path / "t.png").convert("RGB"))
    assert pixels(image, MELD_COLORS["anger"]) > 10_000
    assert pixels(image, MELD_COLORS["disgust"]) == 0


def test_every_bar_has_the_word_of_its_emotion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [
        utterance("I nearly missed the train.", "anger", start=0, end=40),
        utterance("", "neutral", start=40, end=46),
        utterance("Oh.", "surprise", start=60, end=60.1),
    ]
    figure = figure_of(result(said), tmp_path / "t.png", monkeypatch)
    assert on_bars(figure) == ["anger 61%  I nearly missed the train.", "neutral 61%", "su"]
    figure = figure_of(conversation(90, 3), tmp_path / "t.png", monkeypatch)
    assert len(on_bars(figure)) == 90
    assert all(on_bars(figure))


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
    title = "".join(figure.get_suptitle().split())
    assert title == "".join(content["source"].split()), "the title is broken into lines, not cut"
    assert page.x0 <= figure._suptitle.get_window_extent().x0
    assert figure._suptitle.get_window_extent().x1 <= page.x1


def test_the_legend_lists_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = figure_of(result([utterance(), utterance(label="fear")]), tmp_path / "t.png", monkeypatch)
    (emotions,) = ([text.get_text() for text in legend.get_texts()] for legend in figure.legends)
    assert emotions == ["fear (fe)", "joy (jo)"]
    assert any("reads text only" in text for text in words(figure))


def test_dollars_are_not_formulas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = result([utterance("$5 or $6_{", speaker="$x$", end=60.0)], source="$a$.srt", note="$^ $")
    figure = figure_of(content, tmp_path / "t.png", monkeypatch)
    written = [text for text in figure.findobj(lambda one: hasattr(one, "get_parse_math")) if "$" in text.get_text()]
    assert {text.get_text() for text in written} == {
        "joy 61%  $5 or $6_{", "$x$", "$a$.srt",
        "Model meld-mini. A bar is filled to the probability of its emotion. $^ $",
    }  # fmt: skip
    assert not any(text.get_parse_math() for text in written)


def test_overlapping_and_momentary_utterances_are_all_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = {"anger": (0, 100), "joy": (10, 90), "fear": (200, 200)}
    utterances = [utterance("", label, 1.0, start=start, end=end) for label, (start, end) in spans.items()]
    figure = figure_of(result(utterances), tmp_path / "t.png", monkeypatch)
    assert on_bars(figure) == ["anger 100%", "joy 100%", "fe"]
    boxes = [outline.get_extents(figure.axes[0].transData) for outline in figure.axes[0].collections[1].get_paths()]
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])
    assert min(box.width for box in boxes) > 10, "pixels"


def test_without_times_the_axis_counts_utterances(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = figure_of(conversation(12, timed=False), tmp_path / "t.png", monkeypatch)
    assert figure.axes[-1].get_xlabel() == "utterance"
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == [str(n) for n in range(1, 13)]


def test_utterances_without_times_among_others_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = figure_of(result([utterance(), utterance(start=None, end=None)]), tmp_path / "t.png", monkeypatch)
    heading = figure.axes[0].get_title(loc="left").replace("\n", " ")
    assert heading.endswith("Without a place in this picture: 1 of 2 utterances.")


@pytest.mark.parametrize(("speakers", "shown"), [(1, 3), (2000, 48)])
def test_thousands_that_overlap_make_a_picture_of_bounded_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speakers: int, shown: int
) -> None:
    said = [utterance(speaker=f"S{n % speakers}", start=n / 1000, end=100) for n in range(4000)]
    started = time.process_time()
    figure = figure_of(result(said), tmp_path / "t.png", monkeypatch)
    assert time.process_time() - started < 20
    assert figure.get_size_inches()[1] < 40
    assert sum(axis.get_ylim()[0] for axis in figure.axes) <= MOST_LINES
    heading = figure.axes[0].get_title(loc="left").replace("\n", " ")
    assert f"Without a place in this picture: {4000 - shown} of 4000 utterances." in heading


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
