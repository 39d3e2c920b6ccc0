"""Searches over tiny models that read words and cached features."""

import sys
from pathlib import Path
from typing import Any

import pytest
import tiny
from test_ablation import CONFIGS, DATA, corpus, run

from m2fnet_hf import Dialogue
from m2fnet_hf.training.overrides import override, with_modalities
from m2fnet_hf.training.search import load_space, search
from m2fnet_hf.training.settings import RunConfig
from m2fnet_hf.training.trainer import EmotionTrainer, train

optuna = pytest.importorskip("optuna", reason="optuna is not installed")
SPLITS: dict[str, Any] = {"train": DATA["train"][:8], "dev": DATA["dev"]}
RATES: dict[str, Any] = {"training.learning_rate": {"low": 1e-6, "high": 3e-2, "log": True}}


def trials(folder: Path) -> list[list[Any]]:
    """Those of each study in a folder's storage."""
    storage = f"sqlite:///{folder / 'search.db'}"
    names = optuna.get_all_study_names(storage)
    return [optuna.load_study(study_name=name, storage=storage).trials for name in names]


def spoken(dialogues: list[Dialogue]) -> list[Dialogue]:
    """The dialogues with words instead of their text features."""
    words = {"a": "yes great", "b": "no awful"}
    return [
        Dialogue([one.replace(text=words[one.label[0]], speaker="Ann", text_features=None) for one in dialogue])
        for dialogue in dialogues
    ]


def test_training_the_best_run_gives_what_the_search_found(tmp_path: Path) -> None:
    tiny.tokenizer().save_pretrained(tmp_path / "tokenizer")
    settings = {
        "model.text_config": tiny.text_config("bert").to_dict(),
        "model.text_feature_size": None,
        "model.freeze_text_encoder": False,
        "processor.tokenizer": str(tmp_path / "tokenizer"),
        "training.num_train_epochs": 2,
    }
    space = {
        **RATES,
        # Trainer's own default is a whole number, to which it would round.
        "training.warmup_steps": {"low": 0.1, "high": 0.9},
        "training.per_device_train_batch_size": {"low": 2, "high": 4},
        "model.num_fusion_layers": {"low": 0, "high": 2},
        "model.hidden_dropout": {"low": 0.0, "high": 0.2, "step": 0.1},
        "processor.context": {"choices": ["none", "past", "both"]},
        "processor.speaker_prefix": {"choices": ["name"]},
    }
    words = {"train": spoken(DATA["train"]), "dev": spoken(DATA["dev"])}
    found = search(override(run(), settings), space, **words, output=tmp_path, trials=4, seed=1)
    ((*tried,),) = trials(tmp_path)
    values = [trial.value for trial in tried]
    assert found["weighted_f1"] == max(values) > min(values) + 0.1
    assert set(found["settings"]) == set(space)

    best = RunConfig.load(found["run"])
    assert best == override(best, found["settings"])
    trainer = train(best, *words.values(), tmp_path / "best")
    assert trainer.evaluate()["eval_weighted_f1"] == found["weighted_f1"]
    epochs = [entry["eval_weighted_f1"] for entry in trainer.state.log_history if "eval_weighted_f1" in entry]
    assert list(max(tried, key=lambda trial: trial.value).intermediate_values.values()) == epochs[:2]
    assert len(trainer.model.model.fusion_layers) == found["settings"]["model.num_fusion_layers"]
    assert trainer.processing_class.context == found["settings"]["processor.context"]
    assert trainer.args.warmup_steps == found["settings"]["training.warmup_steps"]


def test_a_search_goes_on_to_as_many_trials_as_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = run(num_train_epochs=1)
    search(short, RATES, **SPLITS, output=tmp_path, trials=2)
    ((*first,),) = trials(tmp_path)

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(EmotionTrainer, "training_step", killed)
        with pytest.raises(KeyboardInterrupt):
            search(short, RATES, **SPLITS, output=tmp_path, trials=4)
    found = search(short, RATES, **SPLITS, output=tmp_path, trials=4)
    ((*tried,),) = trials(tmp_path)
    states = [trial.state.name for trial in tried]
    assert states == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert [trial.params for trial in tried[:2]] == [trial.params for trial in first]
    rates = [trial.params["training.learning_rate"] for trial in tried]
    assert len(set(rates)) == len(rates), "a sampler that goes on must not begin again"
    assert search(short, RATES, **SPLITS, output=tmp_path, trials=3) == found
    assert [len(study) for study in trials(tmp_path)] == [5]


def test_a_folder_is_of_one_search(tmp_path: Path) -> None:
    short = with_modalities(run(num_train_epochs=1), ["text"])
    wider = {"training.learning_rate": {"low": 1e-6, "high": 1e-1, "log": True}}
    other = {**SPLITS, "train": corpus(4, seed=9)}
    search(short, RATES, **SPLITS, output=tmp_path, trials=1)
    best = (tmp_path / "best.yaml").read_bytes()
    for settings, space, data, differs in (
        (
            override(short, {"training.weight_decay": 0.1}),
            RATES,
            SPLITS,
            r"run\.training\.weight_decay was None and is 0\.1",
        ),
        (short, wider, SPLITS, r"space\.training\.learning_rate\.(low|high) was"),
        (short, RATES, other, "the data are others"),
    ):
        with pytest.raises(ValueError, match=differs):
            search(settings, space, **data, output=tmp_path, trials=1)
    assert (tmp_path / "best.yaml").read_bytes() == best
    assert [len(study) for study in trials(tmp_path)] == [1]


def test_hopeless_trials_are_given_up(tmp_path: Path) -> None:
    rates = {"training.learning_rate": {"choices": [1e-2, 1e-9]}}
    search(
        with_modalities(run(num_train_epochs=2), ["text"]), rates, DATA["train"], DATA["dev"], output=tmp_path, trials=8
    )
    ((*tried,),) = trials(tmp_path)
    pruned = [trial for trial in tried if trial.state.name == "PRUNED"]
    assert pruned
    assert {trial.params["training.learning_rate"] for trial in pruned} == {1e-9}


def test_the_best_epoch_counts_and_nothing_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = iter([0.2, 0.9, 0.3, 0.3, 0.1, 0.5, 0.4, 0.4])  # three epochs, and the last one as it is kept
    monkeypatch.setattr(EmotionTrainer, "_metrics", lambda *_: {"weighted_f1": next(metrics)})
    found = search(run(num_train_epochs=3), RATES, **SPLITS, output=tmp_path, trials=2)
    assert found["weighted_f1"] == 0.9
    ((*tried,),) = trials(tmp_path)
    assert [trial.value for trial in tried] == [0.9, 0.5]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.yaml", "search.db", "search.json"]


def test_the_example_fits_the_papers_preset() -> None:
    space = load_space(CONFIGS / "search.yaml")
    preset = RunConfig.load(CONFIGS / "paper-meld.yaml")
    assert override(preset, dict.fromkeys(space, 1)).model["num_fusion_layers"] == 1
    assert space["training.learning_rate"] == {"low": 1e-5, "high": 1e-3, "log": True}


@pytest.mark.parametrize("bounds", ["3", "{low: 1}", "{low: 1, high: 2, choices: [1]}", "{low: 1, high: 2, lgo: true}"])
def test_bad_bounds_are_named(tmp_path: Path, bounds: str) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(f"model.num_fusion_layers: {bounds}\n")
    with pytest.raises(ValueError, match=r"`model.num_fusion_layers` must have `low` and `high`.*found"):
        load_space(path)


def test_a_setting_that_no_run_has_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found 'learning_rate'"):
        search(run(), {"learning_rate": {"low": 0.1, "high": 0.2}}, **SPLITS, output=tmp_path, trials=1)
    with pytest.raises(ValueError, match="`training` has no setting `learning_rat`"):
        search(run(), {"training.learning_rat": {"low": 0.1, "high": 0.2}}, **SPLITS, output=tmp_path, trials=1)
    assert not list(tmp_path.iterdir()), "a corrected search may have the folder"


def test_without_optuna_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r"pip install 'm2fnet-hf\[search\]'"):
        search(run(), RATES, **SPLITS, output=tmp_path)
