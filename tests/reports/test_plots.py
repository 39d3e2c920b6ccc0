from pathlib import Path

import numpy as np
import pytest
from sample_predictions import dialogues, records_of

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from m2fnet_hf.evaluation.calibration import calibration_metrics
from m2fnet_hf.evaluation.columns import PredictionColumns
from m2fnet_hf.evaluation.evaluate import compute_metrics
from m2fnet_hf.reports.palette import MELD_COLORS
from m2fnet_hf.reports.plots import ablation_rows, draw_ablation, draw_confusion, draw_f1, draw_reliability, write_plots

SEVEN = list(MELD_COLORS)
ROWS = [{"name": "text", "mean": 0.61, "sd": 0.02}, {"name": "text, $sound$", "mean": 0.63, "sd": None}]
TABLES = {
    "modalities": [
        {
            "overrides": {"modalities": ["text", "audio"]},
            "metrics": {"test": {"weighted_f1": {"mean": 0.6, "std": 0.1}}},
        },
    ],
    "fusion": [{"overrides": {}, "metrics": {"test": {"weighted_f1": {"mean": 0.5, "std": None}}}}],
}
SURE = calibration_metrics(np.tile([0.9, 0.1], (10, 1)), np.arange(10) % 2)


def ticks(axis: Axes) -> tuple[list[str], list[str]]:
    return ([text.get_text() for text in axis.get_xticklabels()], [text.get_text() for text in axis.get_yticklabels()])


def words(axis: Axes) -> list[str]:
    return [text.get_text() for text in axis.texts]


def lines(axis: Axes) -> list[list[float]]:
    """The ends of all intervals."""
    return [segment[:, 0].tolist() for line in axis.collections for segment in line.get_segments()]


def test_a_picture_for_all_that_there_is(tmp_path: Path) -> None:
    calibrated = {"temperature": 2.0, "before": SURE, "after": SURE}
    results = {**compute_metrics(PredictionColumns(dialogues(20, 5))), **calibrated, "tables": TABLES}
    written = write_plots(results, tmp_path / "new")
    assert [path.name for path in written] == [
        "confusion.png",
        "f1.png",
        "reliability.png",
        "calibration.png",
        "ablation.png",
    ]
    for path in written:
        image = np.asarray(Image.open(path).convert("RGB"))
        assert min(image.shape[:2]) > 200
        assert (image[0, 0] == 255).all()
        assert image.min() < 64
    assert [path.name for path in write_plots(calibrated, tmp_path / "one")] == ["calibration.png"]
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["calibration.png"]


def test_a_single_dialogue_is_drawn_without_intervals(tmp_path: Path) -> None:
    assert len(write_plots(compute_metrics(PredictionColumns(records_of([0, 1], [0, 0]))), tmp_path)) == 3


@pytest.mark.parametrize("names", [SEVEN, ["no", "yes"]])
def test_every_class_of_a_confusion_is_named(names: list[str]) -> None:
    counts = np.arange(len(names) ** 2).reshape(len(names), -1)
    counts[0] = 0
    (axis,) = draw_confusion(counts.tolist(), names).axes
    assert ticks(axis) == (names, names)
    assert words(axis)[: len(names)] == [""] * len(names), "a label that never occurs has no shares"
    total = counts[-1].sum()
    assert words(axis)[-1] == f"{counts[-1, -1] / total:.0%}\n{counts[-1, -1]}"


@pytest.mark.parametrize("names", [SEVEN, ["no", "yes"]])
def test_nothing_is_cut_off_or_on_top_of_another(names: list[str]) -> None:
    counts = 1000 + np.eye(len(names), dtype=int)
    figure = draw_confusion(counts.tolist(), names)
    figure.draw_without_rendering()
    (axis,) = figure.axes
    tight = axis.get_tightbbox()
    assert tight is not None
    assert figure.bbox.x0 <= tight.x0 < tight.x1 <= figure.bbox.x1 + 1
    assert figure.bbox.y0 <= tight.y0 < tight.y1 <= figure.bbox.y1 + 1
    boxes = [text.get_window_extent() for text in axis.texts]
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])


def test_classes_have_their_color_and_interval() -> None:
    per_class = {name: {"f1": 0.1 * number} for number, name in enumerate(SEVEN, start=1)}
    intervals = {name: [0.1 * number - 0.05, 0.1 * number + 0.02] for number, name in enumerate(SEVEN, start=1)}
    (axis,) = draw_f1(per_class, intervals).axes
    assert ticks(axis)[1] == SEVEN
    assert words(axis) == [f"{10 * number:.1f}" for number in range(1, 8)]
    assert lines(axis)[1] == pytest.approx([15, 22])
    assert not lines(draw_f1(per_class).axes[0])


def test_rows_of_an_ablation() -> None:
    (axis,) = draw_ablation(ROWS).axes
    assert ticks(axis)[1] == ["text", "text, $sound$"]
    assert lines(axis) == [pytest.approx([59, 63])]
    assert words(axis) == ["61.0 ± 2.0", "63.0"]


def test_rows_of_every_table_are_named() -> None:
    assert ablation_rows(TABLES) == [
        {"name": "modalities: text + audio", "mean": 0.6, "sd": 0.1},
        {"name": "fusion: as it is", "mean": 0.5, "sd": None},
    ]


def test_reliability_of_every_panel() -> None:
    figure = draw_reliability({"Before": SURE, "After": SURE})
    titles = [axis.get_title(loc="left") for axis in figure.axes[:2]]
    assert [title.split("\n")[0] for title in titles] == ["Before", "After"]
    assert "calibration error 0.400" in titles[0]
    (bar,) = figure.axes[0].patches
    assert bar.get_height() == pytest.approx(0.5)
    assert (bar.get_x(), bar.get_width()) == pytest.approx((13 / 15, 1 / 15))
    assert figure.axes[2].patches[0].get_height() == 10


def test_pyplot_is_left_alone(tmp_path: Path) -> None:
    from matplotlib import pyplot

    write_plots({"tables": TABLES}, tmp_path)
    assert isinstance(draw_ablation(ROWS), Figure)
    assert pyplot.get_fignums() == []
