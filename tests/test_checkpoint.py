"""The embedded models: what the package ships and reaches, and that every printed figure is in its results file."""

import json
import re
import runpy
from pathlib import Path
from statistics import mean, stdev

import pytest
import torch
from conftest import ROOT
from safetensors import safe_open
from transformers import pipeline

from m2fnet_hf import MultimodalEmotionPipeline, embedded
from m2fnet_hf.cli import main
from m2fnet_hf.hub.license import read_license
from m2fnet_hf.hub.run_files import weights_sha256
from m2fnet_hf.registration import TASK

MELD_MINI, M2FNET_MINI = Path(embedded("meld-mini")), Path(embedded("m2fnet-mini"))
RESULTS = json.loads((MELD_MINI / "results.json").read_text())
CARD = (MELD_MINI / "README.md").read_text()
README = (ROOT / "README.md").read_text()
SHOWN = (ROOT / "docs" / "results.md").read_text()


@pytest.fixture(scope="module")
def pipe() -> MultimodalEmotionPipeline:
    return pipeline(TASK, model=str(MELD_MINI), device="cpu")


def test_it_is_small_half_precision_and_holds_no_path() -> None:
    assert sum(path.stat().st_size for path in MELD_MINI.iterdir()) < 48_000_000
    with safe_open(MELD_MINI / "model.safetensors", "pt") as weights:
        assert {weights.get_tensor(name).dtype for name in weights.keys()} == {torch.float16}  # noqa: SIM118
    for path in MELD_MINI.glob("*.json"):
        assert not re.search(r'"/\w', path.read_text()), path.name


def test_its_pipeline_reads_text_in_single_precision(pipe: MultimodalEmotionPipeline) -> None:
    assert pipe.model.config.modalities == ("text",)
    assert pipe.model.dtype == torch.float32


def test_it_tells_joy_from_anger(pipe: MultimodalEmotionPipeline) -> None:
    answers = pipe(
        [
            {"speaker": "Ann", "text": "Oh my God, this is the best day of my life! I love you!"},
            {"speaker": "Ben", "text": "Get out! I hate you! How dare you do this to me!"},
            {"speaker": "Ann", "text": "The meeting is at three."},
        ]
    )
    assert [answer["label"] for answer in answers] == ["joy", "anger", "neutral"]


def test_context_counts(pipe: MultimodalEmotionPipeline) -> None:
    def after(text: str, said: str) -> dict[str, float]:
        return pipe([{"speaker": "Ben", "text": text}, {"speaker": "Ann", "text": said}])[1]["scores"]

    news = ("I got you the job, we are going to Paris!", "I never loved you and I am leaving.")
    first, second = (after(text, "What?") for text in news)
    assert max(abs(first[label] - second[label]) for label in first) > 0.05
    news = ("We won! We won the lottery!", "The doctor says she has a week to live.")
    first, second = (after(text, "I'm so...") for text in news)
    assert first["joy"] > second["joy"] + 0.1


def test_a_conversation_of_thousands_is_answered(pipe: MultimodalEmotionPipeline) -> None:
    answers = pipe([{"text": ("Yes!", "No.", "Why?")[i % 3], "speaker": ("A", "B")[i % 2]} for i in range(2_000)])
    assert len(answers) == 2_000
    assert len({answer["label"] for answer in answers}) > 1


@pytest.mark.slow
def test_its_metrics_are_reproduced(meld_root: Path, tmp_path: Path) -> None:
    output = tmp_path / "results.json"
    options = ["--model", "meld-mini", "--output", str(output)]
    assert main(["evaluate", "--meld", str(meld_root), "--split", "test", *options]) == 0
    again = json.loads(output.read_text())
    assert sum(again["support"].values()) == 2610
    assert again["weighted_f1"] >= 0.63
    assert again["macro_f1"] >= 0.44
    for name in ("accuracy", "weighted_f1", "macro_f1"):
        assert again[name] == pytest.approx(RESULTS[name], abs=1e-3)
    assert again["calibration"]["ece"] <= 0.05


def row(metrics: dict) -> str:
    return " | ".join(f"{100 * metrics[name]:.2f}" for name in ("weighted_f1", "accuracy", "macro_f1"))


def spread(runs: str, split: str) -> str:
    found = RESULTS["beside"][runs]
    assert [run["seed"] for run in found] == [0, 1, 2]
    metrics = [[100 * run[split][name] for run in found] for name in ("weighted_f1", "accuracy", "macro_f1")]
    return " | ".join(f"{mean(values):.2f} ± {stdev(values):.2f}" for values in metrics)


@pytest.mark.parametrize("checkpoint", [MELD_MINI, M2FNET_MINI], ids=lambda path: path.name)
def test_its_results_are_of_its_weights_and_it_is_calibrated(checkpoint: Path) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    results = json.loads((checkpoint / "results.json").read_text())
    assert config["softmax_temperature"] == results["temperature"] != 1
    assert results["calibration"]["ece"] <= 0.05
    assert results["weights"] == weights_sha256(checkpoint)


def test_every_printed_number_is_in_the_results_file() -> None:
    assert f"| meld-mini | {row(RESULTS)} |" in SHOWN
    rows = {
        "seeds": "single run",
        "without_context": "without context",
        "meld_alone": "MELD alone",
        "windows_with_teachers": "windows, with teachers",
        "windows": "windows",
        "windows_without_context": "windows of one utterance",
    }
    for runs, in_card in rows.items():
        for split in ("test", "dev"):
            assert f"| {split}, {in_card} | {spread(runs, split)} |" in CARD
    assert f"for {100 * RESULTS['out_of_fold']['accuracy']:.2f} % of the utterances" in CARD
    reached = [100 * one["weighted_f1"] for one in RESULTS["teachers"]]
    assert f"reach {min(reached):.2f} to {max(reached):.2f} on it" in CARD
    for read in RESULTS["other_readings_of_test"]:
        assert f"{100 * read['weighted_f1']:.2f}" in CARD
    errors = [f"{100 * RESULTS[name]['ece']:.2f} %" for name in ("calibration", "calibration_before")]
    assert "on test their expected error is {}, without that it is {}".format(*errors) in SHOWN
    assert "is {} with the temperature, {} without".format(*errors) in CARD
    assert f"A temperature of {RESULTS['temperature']:.3f} was" in CARD
    assert f"| test | {row(RESULTS)} |" in CARD
    assert f"| dev | {row(RESULTS['dev'])} |" in CARD
    classes = " | ".join(f"{100 * metrics['f1']:.2f}" for metrics in RESULTS["per_class"].values())
    assert f"| {classes} |" in CARD
    order = [name for name in re.search(r"\| F1 on test \|(.*)\|", CARD).group(1).replace(" ", "").split("|") if name]
    assert order == list(RESULTS["per_class"])


def test_m2fnet_minis_tables_and_figures_are_those_of_its_results_file() -> None:
    results = json.loads((M2FNET_MINI / "results.json").read_text())
    made = runpy.run_path(str(ROOT / "research" / "m2fnet_mini" / "card_tables.py"))["tables"](results)
    table = re.compile(r"<!-- (\w+) -->\n(.*?)\n<!-- end -->", re.S)
    card = (M2FNET_MINI / "README.md").read_text()
    shown = dict(table.findall(card))
    assert dict(table.findall(SHOWN)) == {"short": made.pop("short")}
    assert shown == made

    sizes = [size / 2 for size in results["export"]["bytes_by_part"].values()]
    known = {f"{size / 1e6:.1f}" for size in sizes}
    known |= {f"{100 * one['meld_weighted_f1']:.2f}" for one in results["published"] if "meld_weighted_f1" in one}
    prose = re.sub(r"(?i)(apache|gpl|sa)[- ][\d.]+|10\.5281\S+", "", table.sub("", card))
    assert set(re.findall(r"\d+\.\d+", prose)) <= known
    assert f"\n{sum(sizes) / 1e6:.0f} million weights" in card


def test_m2fnet_minis_licence_is_that_of_its_data() -> None:
    license = read_license(str(M2FNET_MINI))
    assert license is not None
    assert license.name == "cc-by-nc-sa-4.0"
    assert license.datasets == ("MELD", "RAVDESS", "EmoDB")
    notice = (M2FNET_MINI / "LICENSE").read_text()
    for named in (
        "CC-BY-NC-SA-4.0",
        "/by-nc-sa/4.0/legalcode",
        *license.datasets,
        "Livingstone",
        "Burkhardt",
        "OpenAI",
    ):
        assert named in notice


def test_the_ablation_is_in_its_results_file() -> None:
    (table,) = json.loads((MELD_MINI / "ablation.json").read_text())["tables"].values()
    for one in table:
        metrics = [one["metrics"]["test"][name] for name in ("weighted_f1", "accuracy", "macro_f1")]
        cells = " | ".join(f"{100 * found['mean']:.2f} ± {100 * found['std']:.2f}" for found in metrics)
        assert f"| {one['overrides']['model.num_hidden_layers']} | {cells} |" in CARD


def test_the_readme_shows_what_its_code_prints(capsys: pytest.CaptureFixture[str]) -> None:
    code, printed = re.search(r"```python\n(import m2fnet_hf.*?)```\n\nprints\n\n```\n(.*?)```", README, re.S).groups()
    exec(code, {})
    assert capsys.readouterr().out.rstrip() == printed.rstrip()
