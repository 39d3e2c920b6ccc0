"""The benchmarks run, tell what they measured, and fail when a measurement falls short; no time is asserted."""

import json
import runpy
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks import measurements, padding, profiles, timing, workload

SPEED = Path(__file__).parents[2] / "docs" / "speed.py"
SMALL = ("exactness", "padding", "text", "audio", "fusion", "window", "online", "reports", "readers")


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing is written beside the committed results."""
    monkeypatch.setattr(command, "RESULTS", tmp_path)
    return tmp_path


def told_in_readme(name: str, results: dict[str, Any], folder: Path) -> int:
    """How many rows README's table of speed makes of these results."""
    (folder / f"{name}.json").write_text(json.dumps(results))
    return runpy.run_path(str(SPEED))["speed_table"](folder).count("\n") - 1


@pytest.mark.parametrize("name", SMALL)
def test_a_benchmark_tells_its_figures(name: str, results: Path) -> None:
    told = import_module(f"benchmarks.{name}").measure(quick=True)
    assert told["ran"]
    for measurement in told["measurements"].values():
        low, high = measurement["spread"]
        assert low <= measurement["value"] <= high
        assert measurement["repetitions"] >= 1
        assert measurement["direction"] in ("at least", "at most", "told")
    assert told_in_readme(name, told, results) == (name in ("reports", "readers", "online"))


def test_the_gpu_benchmark_runs_on_any_device() -> None:
    measurements = import_module("benchmarks.gpu").measure(quick=True, device="cpu")["measurements"]
    assert measurements["gpu: seconds of a training epoch on features"]["value"] > 0


def test_a_smoke_run_judges_exactness_and_writes_nothing(results: Path, capsys: pytest.CaptureFixture) -> None:
    assert command.main(["--quick", "padding"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 benchmarks ran in small; nothing falls short."
    assert not list(results.iterdir())


def test_a_figure_that_falls_short_is_named_and_is_the_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(padding, "at_most", lambda _, values: measurements.at_most(-1, values))
    assert command.main(["--quick", "padding"]) == 1
    assert "falls short: share of padding in the rows of linear layers" in capsys.readouterr().out.splitlines()[-1]


def test_what_cannot_run_here_is_named_and_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.delenv("MELD_ROOT", raising=False)
    assert command.main(["--quick", "precision"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "precision: not measured (MELD's csv files: give --meld FOLDER)" in lines
    assert lines[-1].startswith("1 benchmarks ran in small; not measured: precision")


def test_a_full_run_writes_its_results(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(quick: bool) -> dict[str, Any]:
        return {"ran": "nothing", "measurements": {"one": measurements.at_least(1, [1.0, 2.0, 3.0])}}

    monkeypatch.setattr(import_module("benchmarks.exactness"), "measure", measure)
    assert command.main(["exactness"]) == 0
    written = json.loads((results / "exactness.json").read_text())
    assert written["measurements"]["one"] == {
        "value": 2.0,
        "spread": [1.5, 2.5],
        "repetitions": 3,
        "reach": 1,
        "direction": "at least",
    }
    assert written["machine"]["cores"] >= 1
    assert "torch" in written["versions"]


@pytest.mark.parametrize(
    ("measurement", "is_reached"), [(measurements.at_least(2, [2]), True), (measurements.at_most(2, [3]), False)]
)
def test_what_is_reached(measurement: measurements.Measurement, is_reached: bool) -> None:
    assert measurements.reached(measurement) == is_reached
    assert ("FALLS SHORT" in measurements.sentence("one", measurement)) != is_reached


def test_dialogues_have_the_shape_of_meld() -> None:
    counts = workload.utterance_counts(200)
    assert min(counts) == 1
    assert 30 <= max(counts) <= 33
    assert sum(counts) / len(counts) == pytest.approx(9.6, abs=0.5)
    tokens = [len(row) for row in workload.token_rows(500, 100)]
    assert sum(tokens) / len(tokens) == pytest.approx(11, abs=0.5)
    seconds = [len(row) / workload.SAMPLING_RATE for row in workload.sound_rows(200)]
    assert sum(seconds) / len(seconds) == pytest.approx(3.1, abs=0.2)


def test_shares_are_of_the_matrix_products_rate() -> None:
    product = timing.MatrixProduct()
    assert timing.operations(product) == product.operations
    assert product.shares(product.operations, [2.0], [1.0]) == [0.5]


def test_a_profile_is_of_the_whole_job() -> None:
    found = profiles.train(steps=1)
    assert sum(found.values()) == pytest.approx(1)
    assert all(0 < share < 1 for share in found.values()), found


@pytest.mark.slow
@pytest.mark.parametrize(("name", "rows"), [("cold", 1), ("mini", 2)])
def test_the_benchmarks_of_the_embedded_model_tell_their_figures(name: str, rows: int, results: Path) -> None:
    told = import_module(f"benchmarks.{name}").measure(quick=True)
    assert all(measurement["value"] > 0 for measurement in told["measurements"].values())
    assert told_in_readme(name, told, results) == rows


@pytest.mark.slow
@pytest.mark.parametrize("name", ["precision", "export"])
def test_the_benchmarks_on_meld_tell_their_figures(name: str, meld_root: Path) -> None:
    told = import_module(f"benchmarks.{name}").measure(quick=True, meld=meld_root)
    assert all(measurement["repetitions"] >= 1 for measurement in told["measurements"].values())
