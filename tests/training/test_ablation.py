"""Ablations of tiny models on cached features, of which text and sound carry one bit of the label each."""

import json
import shutil
from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from m2fnet_hf import Dialogue, M2FNetConfig, M2FNetForEmotionClassification, Utterance
from m2fnet_hf.reports.console_tables import ablation_table
from m2fnet_hf.training.ablation import (
    METRICS,
    ablate,
    default_grid,
    load_grid,
)
from m2fnet_hf.training.overrides import override, run_modalities, with_modalities
from m2fnet_hf.training.settings import RunConfig
from m2fnet_hf.training.trainer import EmotionTrainer

CONFIGS = Path(__file__).parents[2] / "m2fnet_hf" / "configs"
LABELS = ["aa", "ab", "ba", "bb"]
SEEDS = (0, 1)
SUBSETS = ["text", "audio", "visual", "text audio", "text visual", "audio visual", "text audio visual"]
GRID = {
    "modalities": [{"modalities": subset.split()} for subset in SUBSETS],
    "fusion": [{"model.fusion": "gated"}],
}


def corpus(dialogues: int, seed: int) -> list[Dialogue]:
    random = np.random.default_rng(seed)
    words, tones = np.eye(6)[:2], np.eye(5)[:2]

    def utterance() -> Utterance:
        word, tone = random.integers(0, 2, 2)
        return Utterance(
            text_features=words[word] + 0.1 * random.standard_normal(6),
            audio_features=tones[tone] + 0.1 * random.standard_normal(5),
            visual_features=random.standard_normal(4),
            label=LABELS[2 * word + tone],
        )

    return [Dialogue([utterance() for _ in range(4)]) for _ in range(dialogues)]


DATA: dict[str, Any] = {"train": corpus(24, seed=1), "dev": corpus(8, seed=2), "test": corpus(12, seed=3)}


def run(**training: Any) -> RunConfig:
    return RunConfig(
        model={
            **{"labels": LABELS, "text_feature_size": 6, "audio_feature_size": 5, "visual_feature_size": 4},
            **{"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24},
            **{"num_fusion_layers": 1, "hidden_dropout": 0.0, "classifier_dropout": 0.0},
        },
        training={
            **{"num_train_epochs": 4, "per_device_train_batch_size": 4, "learning_rate": 1e-2},
            **{"use_cpu": True, "disable_tqdm": True, "logging_strategy": "no"},
            **training,
        },
    )


@pytest.fixture(scope="module")
def ablated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("ablation")
    return folder, ablate(run(), GRID, **DATA, output=folder, seeds=SEEDS)


def results(folder: Path) -> dict[str, dict[str, Any]]:
    return {path.parent.name: json.loads(path.read_text()) for path in folder.glob("runs/*/results.json")}


def times(folder: Path) -> dict[str, int]:
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("runs/*/results.json")}


def test_every_row_is_a_smaller_model_of_every_seed(ablated: tuple[Path, dict[str, Any]]) -> None:
    folder, result = ablated
    assert json.loads((folder / "ablation.json").read_text()) == result
    files = results(folder)
    assert len(files) == (len(SUBSETS) + 1) * len(SEEDS)
    for row, subset in zip(result["tables"]["modalities"], SUBSETS, strict=True):
        for key, seed in zip(row["runs"], SEEDS, strict=True):
            settings = files[key]["settings"]
            sizes = [name.removesuffix("_feature_size") for name in settings["model"] if "_feature_size" in name]
            assert (" ".join(sizes), settings["training"]["seed"]) == (subset, seed)
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == [
        "ablation.json",
        *["results.json"] * len(files),
        "run.json",
    ]


def test_metrics_are_those_of_the_rows_and_their_controls(ablated: tuple[Path, dict[str, Any]]) -> None:
    folder, result = ablated
    files = results(folder)
    text = result["tables"]["modalities"][0]["runs"]
    for row in [row for rows in result["tables"].values() for row in rows]:
        assert row["control"] == text
        for split in ("dev", "test"):
            for metric in METRICS:
                one, other = (
                    np.array([files[key][split][metric] for key in row[name]]) for name in ("runs", "control")
                )
                for name, values in (("metrics", one), ("difference", one - other)):
                    expected = {"mean": values.mean(), "std": values.std(ddof=1)}
                    assert row[name][split][metric] == pytest.approx(expected), (row["overrides"], split, metric)


def test_sound_helps_and_noise_does_not(ablated: tuple[Path, dict[str, Any]]) -> None:
    rows = dict(zip(SUBSETS, ablated[1]["tables"]["modalities"], strict=True))
    gains = {name: row["difference"]["test"]["accuracy"]["mean"] for name, row in rows.items()}
    assert gains["text"] == 0
    assert gains["text audio"] > 0.2 < gains["text audio visual"]
    assert gains["visual"] < -0.1
    assert gains["text visual"] < 0.1


def test_what_is_finished_is_not_trained_again(ablated: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(ablated[0], folder)
    before = times(folder)
    assert ablate(run(), GRID, **DATA, output=folder, seeds=SEEDS) == ablated[1]
    assert times(folder) == before

    spoilt = ablated[1]["tables"]["fusion"][0]["runs"][1]
    (folder / "runs" / spoilt / "results.json").write_text('{"settings": {')
    assert ablate(run(), GRID, **DATA, output=folder, seeds=SEEDS) == ablated[1]
    assert {key for key, time in times(folder).items() if time != before[key]} == {spoilt}


def test_a_folder_is_of_one_run(ablated: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(ablated[0], folder)
    before = times(folder)
    text = {"modalities": [{"modalities": ["text"]}]}
    with pytest.raises(ValueError, match=r"found that training\.weight_decay was None and is 0\.1; use the same again"):
        ablate(run(weight_decay=0.1), text, **DATA, output=folder, seeds=[0])
    with pytest.raises(ValueError, match="found that the data are others; use the same again"):
        ablate(run(), text, **{**DATA, "train": DATA["train"][1:]}, output=folder, seeds=[0])
    assert times(folder) == before


def test_a_killed_ablation_goes_on_in_the_middle_of_a_run(
    ablated: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, saves = [], []
    step, save = EmotionTrainer.training_step, EmotionTrainer.save_model

    def counted(trainer: EmotionTrainer, *args: Any, **kwargs: Any) -> Any:
        steps.append(trainer.state.global_step)
        return step(trainer, *args, **kwargs)

    def killed(trainer: EmotionTrainer, *args: Any, **kwargs: Any) -> None:
        saves.append(trainer.state.global_step)
        save(trainer, *args, **kwargs)
        if len(saves) == 8:  # four epochs and the best one are saved of each run, first the weights
            raise KeyboardInterrupt

    monkeypatch.setattr(EmotionTrainer, "training_step", counted)
    monkeypatch.setattr(EmotionTrainer, "save_model", killed)
    grid = {"modalities": GRID["modalities"][:1]}
    with pytest.raises(KeyboardInterrupt):
        ablate(run(), grid, **DATA, output=tmp_path, seeds=SEEDS)
    assert len(results(tmp_path)) == 1
    result = ablate(run(), grid, **DATA, output=tmp_path, seeds=SEEDS)
    assert result["tables"]["modalities"] == ablated[1]["tables"]["modalities"][:1]
    assert len(steps) == (4 + 3 + 2) * 6, "of the second run, the epoch that was not saved and the last are done again"


def test_weights_are_kept_where_they_are_wanted(tmp_path: Path) -> None:
    seen: list[Any] = []

    def progress(runs: Iterable[Any], description: str, total: int) -> Iterable[Any]:
        seen.append((description, total))
        return runs

    grid = {"sound": [{"modalities": ["audio"], "training.num_train_epochs": 1}]}
    result = ablate(run(), grid, **DATA, output=tmp_path, seeds=[5], keep_weights=True, progress=progress)
    assert seen == [("Runs", 2)]
    (key,) = result["tables"]["sound"][0]["runs"]
    model = M2FNetForEmotionClassification.from_pretrained(tmp_path / "runs" / key / "model")
    assert model.config.modalities == ("audio",)
    assert not list(tmp_path.rglob("checkpoint-*"))
    assert result["tables"]["sound"][0]["metrics"]["test"]["accuracy"]["std"] is None


def test_without_text_there_is_no_control(tmp_path: Path) -> None:
    deaf = with_modalities(run(num_train_epochs=1), ["audio", "visual"])
    result = ablate(deaf, {"sound": [{"modalities": ["audio"]}, {}]}, **DATA, output=tmp_path, seeds=[0])
    assert [(row["control"], row["difference"]) for row in result["tables"]["sound"]] == [(None, None)] * 2
    assert len(results(tmp_path)) == 2
    assert "as it is" in rendered(result)


def test_a_row_of_text_is_its_own_control(tmp_path: Path) -> None:
    spoken = with_modalities(run(num_train_epochs=1), ["text"])
    result = ablate(spoken, {"fusion": [{}, {"model.fusion": "gated"}]}, **DATA, output=tmp_path, seeds=[0])
    assert [row["runs"] for row in result["tables"]["fusion"]] == [list(results(tmp_path))] * 2
    assert [row["control"] for row in result["tables"]["fusion"]] == [list(results(tmp_path))] * 2


def rendered(result: dict[str, Any], width: int = 100) -> str:
    text = StringIO()
    Console(file=text, width=width).print(ablation_table(result))
    return text.getvalue()


def test_the_table_says_it_in_per_cent(ablated: tuple[Path, dict[str, Any]]) -> None:
    row = ablated[1]["tables"]["modalities"][3]
    figure, gain = (row[name]["dev"]["weighted_f1"] for name in ("metrics", "difference"))
    (line,) = [line for line in rendered(ablated[1]).splitlines() if line.startswith("text + audio  ")]
    assert f"{100 * figure['mean']:.2f} ± {100 * figure['std']:.2f}" in line
    assert f"+{100 * gain['mean']:.2f} ± {100 * gain['std']:.2f}" in line
    assert "fusion gated" in rendered(ablated[1])


def test_the_example_is_the_grid_of_the_papers_preset() -> None:
    preset = RunConfig.load(CONFIGS / "paper-meld.yaml")
    grid = default_grid(preset)
    assert load_grid(CONFIGS / "ablation.yaml") == grid
    for row in grid["modalities"]:
        smaller = with_modalities(preset, row["modalities"])
        assert list(smaller.encoders) == [name for name in ("text", "audio") if name in row["modalities"]]
        assert list(M2FNetConfig(**smaller.model).modalities) == row["modalities"] == run_modalities(smaller)


def test_a_grid_holds_only_what_its_run_can_do() -> None:
    assert set(default_grid(with_modalities(run(), ["text"]))) == {"modalities", "dialogue encoders"}
    causal = override(RunConfig.load(CONFIGS / "meld-mini.yaml"), {"model.causal": True})
    grid = default_grid(causal)
    assert set(grid) == {"modalities", "dialogue encoders", "context"}
    assert {row["processor.context"] for row in grid["context"]} == {"none", "past"}


def test_overriding_changes_a_copy() -> None:
    before = RunConfig(model={"visual_config": {"num_action_units": 20}})
    changed = override(before, {"model.visual_config.face_pooling": "area", "training.seed": 3})
    assert changed.model == {"visual_config": {"num_action_units": 20, "face_pooling": "area"}}
    assert changed.training == {"seed": 3}
    assert before == RunConfig(model={"visual_config": {"num_action_units": 20}})


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"fusion": "gated"}, "must read section.key with one of encoders, .*, found 'fusion'"),
        ({"modle.fusion": "gated"}, "found 'modle.fusion'"),
        ({"modalities": ["text", "smell"]}, r"some of the run's \(text, audio, visual\), found \['text', 'smell'\]"),
        ({"modalities": []}, r"found \[\]"),
    ],
)
def test_a_row_that_cannot_be_is_named_before_any_run(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ablate(run(), {"good": [{}], "bad": [row]}, **DATA, output=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("fusion: gated", "the table `fusion` must be a list of rows"),
        ("fusion: [gated]", "the table `fusion` must be a list of rows"),
        ("- 1", "must hold a mapping"),
        ("fusion: [", "must be a YAML file"),
    ],
)
def test_a_bad_grid_is_named(tmp_path: Path, yaml: str, message: str) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(yaml)
    with pytest.raises(ValueError, match=message):
        load_grid(path)
    with pytest.raises(FileNotFoundError, match=r"found no .*none\.yaml"):
        load_grid(tmp_path / "none.yaml")
