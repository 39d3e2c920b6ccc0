"""The project's own Trainer on a corpus in which each modality alone carries a part of the label."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import deque
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from transformers import pipeline

from m2fnet_hf import Dialogue, M2FNetForEmotionClassification, M2FNetProcessor, Utterance
from m2fnet_hf.evaluation.evaluate import evaluate
from m2fnet_hf.evaluation.predictions import predict_utterances, tee_predictions
from m2fnet_hf.pipeline_m2fnet import MultimodalEmotionPipeline
from m2fnet_hf.registration import TASK
from m2fnet_hf.training.settings import RunConfig
from m2fnet_hf.training.trainer import (
    EmotionTrainer,
    build_model,
    build_processor,
    class_weights,
    last_checkpoint,
    load_weights,
    train,
)

LABELS = [f"{word}{tone}{face}" for word in "ab" for tone in "ab" for face in "ab"]
SETTINGS = {
    "num_train_epochs": 12,
    "per_device_train_batch_size": 8,
    "learning_rate": 3e-3,
    "lr_scheduler_type": "linear",
    "use_cpu": True,
    "eval_strategy": "epoch",
    "save_strategy": "epoch",
    "load_best_model_at_end": True,
    "metric_for_best_model": "weighted_f1",
    "save_total_limit": 1,
    "disable_tqdm": True,
    "seed": 0,
}


def corpus(dialogues: int, seed: int) -> list[Dialogue]:
    """Eight classes, of which the word, the pitch and the face decide one bit each."""
    random = np.random.default_rng(seed)

    def utterance() -> Utterance:
        word, tone, face = random.integers(0, 2, 3)
        time = np.arange(1_600) / 16_000
        units = random.random((2, 1, tiny.ACTION_UNITS)) * 0.2
        units[..., 0] += face
        return Utterance(
            text=("yes great", "no awful")[word],
            audio=np.sin(2 * np.pi * (200, 2_000)[tone] * time) + 0.1 * random.standard_normal(len(time)),
            sampling_rate=16_000,
            action_units=units,
            label=LABELS[4 * word + 2 * tone + face],
        )

    return [Dialogue([utterance() for _ in range(random.integers(2, 6))]) for _ in range(dialogues)]


def run(modalities: tuple[str, ...], **training: object) -> RunConfig:
    model = tiny.config(
        text="bart" if "text" in modalities else None,
        audio="layer" if "audio" in modalities else None,
        visual="visual" in modalities,
        num_hidden_layers=1,
        num_fusion_layers=1,
        freeze_text_encoder=False,
        freeze_audio_encoder=False,
        id2label=dict(enumerate(LABELS)),
        label2id={label: index for index, label in enumerate(LABELS)},
    ).to_dict()
    settings = {
        name: model[name] for name in tiny.config().to_dict() if name in model and name != "transformers_version"
    }
    return RunConfig(
        model=settings,
        processor={"tokenizer": tiny.tokenizer()},
        training={**SETTINGS, **training},
    )


@pytest.mark.slow
def test_three_modalities_beat_each_alone(tmp_path: Path) -> None:
    training, dev, test = corpus(160, seed=1), corpus(30, seed=2), corpus(60, seed=3)
    metrics = {}
    for modalities in (("text", "audio", "visual"), ("text",), ("audio",), ("visual",)):
        trainer = train(run(modalities), training, dev, tmp_path / "-".join(modalities))
        pipe = MultimodalEmotionPipeline(model=trainer.model, processor=trainer.processing_class, device="cpu")
        metrics[modalities] = evaluate(pipe, test)["weighted_f1"]
    all_three = metrics.pop(("text", "audio", "visual"))
    assert all_three > 0.8, metrics
    # One bit of three is the best that a single modality can know.
    assert all(figure < 0.5 for figure in metrics.values()), metrics


def test_a_logger_of_the_library_gets_what_training_measures(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    logged = run(("text",), num_train_epochs=1, report_to=["tensorboard"], logging_steps=1)
    trainer = train(logged, corpus(4, seed=1), corpus(2, seed=2), tmp_path)
    logs = [accumulator.EventAccumulator(str(path)).Reload() for path in tmp_path.rglob("events.out.tfevents.*")]
    measured = {name: log.Scalars(name)[-1].value for log in logs for name in log.Tags()["scalars"]}
    assert "train/loss" in measured
    assert measured["eval/weighted_f1"] == pytest.approx(trainer.state.best_metric)


def test_what_is_saved_is_the_best_epoch_and_loads(tmp_path: Path) -> None:
    dev = corpus(6, seed=2)
    trainer = train(run(("text", "visual"), num_train_epochs=2), corpus(12, seed=1), dev, tmp_path)
    assert (tmp_path / "dev_results.json").is_file()
    model = M2FNetForEmotionClassification.from_pretrained(tmp_path)
    processor = M2FNetProcessor.from_pretrained(tmp_path)
    inputs = processor(dev[0], modalities=model.config.modalities)
    with torch.no_grad():
        torch.testing.assert_close(model(**inputs).logits, trainer.model.eval()(**inputs).logits)


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    data = corpus(12, seed=1), corpus(4, seed=2)
    whole = train(run(("visual",), num_train_epochs=3), *data, tmp_path / "whole")

    class StoppedError(Exception):
        pass

    def stop(*_: object, **__: object) -> None:
        raise StoppedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EmotionTrainer, "save_model", _after(EmotionTrainer.save_model, stop, calls=2))
        with pytest.raises(StoppedError):
            train(run(("visual",), num_train_epochs=3), *data, tmp_path / "parts")
    resumed = train(run(("visual",), num_train_epochs=3), *data, tmp_path / "parts")
    assert resumed.state.global_step == whole.state.global_step
    for (name, one), other in zip(whole.model.named_parameters(), resumed.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, msg=name)


def _after(function: object, then: object, calls: int) -> object:
    """`function`, until it was called that number of times; `then` from then on."""
    count = iter(range(calls))

    def called(*args: object, **kwargs: object) -> object:
        return then() if next(count, None) is None else function(*args, **kwargs)  # type: ignore[operator]

    return called


def test_a_checkpoint_that_was_being_saved_is_passed_over(tmp_path: Path) -> None:
    settings = run(("visual",), num_train_epochs=3, save_total_limit=3)
    train(settings, corpus(8, seed=1), corpus(2, seed=2), tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "killed")
    first, second, last = sorted((tmp_path / "killed").glob("checkpoint-*"))
    (last / "trainer_state.json").unlink()
    (first / "optimizer.pt").unlink()  # as one that was being removed
    assert last_checkpoint(tmp_path / "killed") == str(second)
    assert list((tmp_path / "killed").glob("checkpoint-*")) == [second]
    trainer = train(settings, corpus(8, seed=1), corpus(2, seed=2), tmp_path / "killed")
    assert trainer.state.epoch == 3
    assert last_checkpoint(tmp_path / "whole", limit=1) == str(tmp_path / "whole" / last.name)
    left = {path.name for path in (tmp_path / "whole").glob("checkpoint-*")}
    assert left == {last.name, Path(trainer.state.best_model_checkpoint).name}


def test_encoders_have_their_own_learning_rate(tmp_path: Path) -> None:
    settings = run(("text", "visual"), encoder_learning_rate=1e-5)
    args = settings.training_arguments(tmp_path)
    processor = tiny.processor()
    model = build_model(settings, processor)
    trainer = EmotionTrainer(model, args, processor, corpus(2, seed=1), corpus(2, seed=2))
    trainer.create_optimizer()
    rates = {id(parameter): group["lr"] for group in trainer.optimizer.param_groups for parameter in group["params"]}
    names = {name: rates[id(parameter)] for name, parameter in model.named_parameters()}
    assert {rate for name, rate in names.items() if "_encoder." in name} == {1e-5}
    assert {rate for name, rate in names.items() if "_encoder." not in name} == {3e-3}


def test_class_weights_are_inverse_frequencies() -> None:
    config = tiny.config(num_labels=3, id2label={0: "a", 1: "b", 2: "c"}, label2id={"a": 0, "b": 1, "c": 2})
    dialogue = Dialogue([{"text": "x", "label": label} for label in ("a", "a", "a", "b", None)])
    assert class_weights([dialogue], config) == pytest.approx([4 / 3, 4, 4])


@pytest.mark.parametrize(
    ("yaml", "overrides", "message"),
    [
        ("modle: {}", [], "sections among encoders, model, processor, training, media, found modle"),
        ("- 1", [], "must hold a mapping, found a list"),
        ("model: {a: [", [], "must be a YAML file"),
        ("model: {}", ["hidden_size=3"], "section.key=value, found 'hidden_size=3'"),
        ("model: {}", ["model.hidden_size"], "section.key=value"),
    ],
)
def test_a_bad_run_file_is_named(tmp_path: Path, yaml: str, overrides: list[str], message: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(yaml)
    with pytest.raises(ValueError, match=message):
        RunConfig.load(path, overrides)


def test_overrides_come_on_top(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("model: {hidden_size: 8}\ntraining: {learning_rate: 1e-4, eval_strategy: no}\n")
    loaded = RunConfig.load(path, ["model.hidden_size=16", "training.seed=3"])
    assert loaded.model == {"hidden_size": 16}
    args = loaded.training_arguments(tmp_path)
    assert (args.learning_rate, args.seed, args.eval_strategy) == (1e-4, 3, "no")
    with pytest.raises(ValueError, match="`training` has no setting `learning_rat`; did you mean `learning_rate`"):
        RunConfig.load(path, ["training.learning_rat=1"]).training_arguments(tmp_path)


@pytest.mark.parametrize("kind", ["bart", "bert", "roberta"])
def test_lower_layers_learn_slower(tmp_path: Path, kind: str) -> None:
    settings = run(("text", "audio"), encoder_learning_rate=1e-3, layer_decay=0.5, max_steps=1)
    settings.model["text_config"] = tiny.text_config(kind).to_dict()
    trainer = train(settings, corpus(2, seed=1), corpus(1, seed=2), tmp_path)
    names = {parameter: name for name, parameter in trainer.model.named_parameters()}
    rates = {names[p]: group["initial_lr"] for group in trainer.optimizer.param_groups for p in group["params"]}
    assert len(rates) == sum(parameter.requires_grad for parameter in trainer.model.parameters())
    for part, rate in (
        ("text_encoder.*embed", 2.5e-4),
        (r"text_encoder.*layers?\.0\.", 5e-4),
        (r"text_encoder.*layers?\.1\.", 1e-3),
        ("audio_encoder.*conv", 2.5e-4),
        ("audio_encoder.encoder.layer_norm", 1e-3),
        ("classifier", 3e-3),
        (r"modalities.text.layers.0", 3e-3),
    ):
        found = [value for name, value in rates.items() if re.search(part, name)]
        assert found == pytest.approx([rate] * len(found)), part
        assert found, part


def test_it_stops_when_dev_gets_no_better(tmp_path: Path) -> None:
    settings = run(("visual",), num_train_epochs=30, early_stopping_patience=1, learning_rate=0.0)
    trainer = train(settings, corpus(4, seed=1), corpus(2, seed=2), tmp_path)
    assert trainer.state.epoch == 2


def featured(dialogues: int, seed: int, utterances: int = 4) -> list[Dialogue]:
    """Two classes told apart by the sum of a value of each modality's cached features."""
    random = np.random.default_rng(seed)

    def utterance() -> Utterance:
        audio, visual = random.standard_normal(5), random.standard_normal(7)
        label = ("calm", "stressed")[int(audio[0] + visual[0] > 0)]
        return Utterance(audio_features=audio, visual_features=visual, label=label)

    return [Dialogue([utterance() for _ in range(utterances)]) for _ in range(dialogues)]


def test_own_features_labels_and_modalities_need_a_config_alone(tmp_path: Path) -> None:
    settings = RunConfig(
        model={
            **{"labels": ["calm", "stressed"], "audio_feature_size": 5, "visual_feature_size": 7},
            **{"hidden_size": 16, "num_hidden_layers": 1, "num_fusion_layers": 1, "num_attention_heads": 2},
        },
        training={**SETTINGS, "num_train_epochs": 10, "learning_rate": 2e-3},
    )
    train(settings, [*featured(200, seed=1), *featured(1, seed=4, utterances=300)], featured(10, seed=2), tmp_path)
    pipe = pipeline(TASK, model=str(tmp_path))
    metrics = evaluate(pipe, featured(40, seed=3))
    assert metrics["accuracy"] > 0.75
    assert metrics["modalities"] == {"text": 0, "audio": 160, "visual": 160}
    with pytest.raises(ValueError, match="must be one of calm, stressed, found 'angry'"):
        train(settings, [Dialogue([{"audio_features": np.zeros(5), "label": "angry"}])], featured(1, 2), tmp_path / "x")


PROCESSES = """
import json, sys; sys.path[:0] = {paths!r}
from collections import deque
from pathlib import Path
from test_trainer import corpus, run
from m2fnet_hf.training.trainer import train
size = int(sys.argv[2])
settings = run(("text", "visual"), per_device_train_batch_size=size, max_steps=4, logging_steps=1, ddp_backend="gloo")
settings.training["ddp_find_unused_parameters"] = True
settings.model |= dict.fromkeys(("hidden_dropout", "attention_dropout", "classifier_dropout"), 0.0)
settings.model["text_config"] |= dict.fromkeys(("dropout", "attention_dropout", "activation_dropout"), 0.0)
trainer = train(settings, corpus(16, seed=1), corpus(2, seed=2), Path(sys.argv[1]))
trainer.accelerator.wait_for_everyone()
if trainer.is_world_process_zero():
    losses = [float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]
    Path(sys.argv[1], "said.json").write_text(json.dumps({{"world": trainer.args.world_size, "losses": losses}}))
trainer.accelerator.end_training()
"""


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    script = tmp_path / "learn.py"
    script.write_text(PROCESSES.format(paths=[str(Path(__file__).parents[n]) for n in (0, 1)] + sys.path))
    said = {}
    for processes, size in ((1, 4), (2, 2)):
        launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", str(processes), "--standalone"]
        words = [*launch, str(script), str(tmp_path / str(processes)), str(size)]
        ran = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        assert ran.returncode == 0, ran.stderr[-2000:]
        said[processes] = json.loads((tmp_path / str(processes) / "said.json").read_text())
        assert said[processes]["world"] == processes
    assert len(said[1]["losses"]) == 4
    assert said[2]["losses"] == pytest.approx(said[1]["losses"], abs=2e-4)


def test_a_model_learns_from_teachers(tmp_path: Path) -> None:
    """From their beliefs alone, in whatever order they name their labels."""
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_fusion_layers": 1, "num_attention_heads": 2}

    def settings(labels: list[str], **training: object) -> RunConfig:
        model = {**sizes, "labels": labels, "audio_feature_size": 5, "visual_feature_size": 7}
        return RunConfig(model=model, training={**SETTINGS, "num_train_epochs": 12, "learning_rate": 5e-3, **training})

    teachers = [str(tmp_path / "teacher"), str(tmp_path / "twisted")]
    train(settings(["calm", "stressed"]), featured(60, seed=1), featured(10, seed=2), teachers[0])
    train(settings(["stressed", "calm"], seed=1), featured(60, seed=1), featured(10, seed=2), teachers[1])
    wrong = [Dialogue([one.replace(label="calm") for one in dialogue]) for dialogue in featured(60, seed=5)]
    student = settings(["calm", "stressed"], teachers=teachers, teachers_share=1.0)
    train(student, wrong, featured(10, seed=2), tmp_path / "student")
    metrics = evaluate(pipeline(TASK, model=str(tmp_path / "student")), featured(40, seed=3))
    assert metrics["accuracy"] > 0.7  # what the labels alone teach is right half of the time
    with pytest.raises(ValueError, match="A teacher must know the labels calm, stressed, cross, found"):
        train(settings(["calm", "stressed", "cross"], teachers=teachers), wrong, wrong, tmp_path / "x")

    written = tmp_path / "predictions.jsonl"
    deque(tee_predictions(predict_utterances(pipeline(TASK, model=teachers[1]), wrong), written), maxlen=0)
    student.training["teachers"] = [str(written)]
    train(student, wrong, featured(10, seed=2), tmp_path / "reader")
    assert evaluate(pipeline(TASK, model=str(tmp_path / "reader")), featured(40, seed=3))["accuracy"] > 0.7
    with pytest.raises(ValueError, match=r"predictions.jsonl must hold a prediction of every labelled utterance"):
        train(student, featured(60, seed=5), wrong, tmp_path / "y")


def test_training_starts_from_a_trained_model(tmp_path: Path) -> None:
    train_split, dev = corpus(16, 0), corpus(8, 1)
    train(run(("text",), num_train_epochs=2), train_split, dev, tmp_path / "first")
    still = {"start_from": str(tmp_path / "first"), "num_train_epochs": 1, "learning_rate": 0.0}
    train(run(("text",), **still), train_split, dev, tmp_path / "second")
    first, second = (json.loads((tmp_path / name / "dev_results.json").read_text()) for name in ("first", "second"))
    assert second["eval_loss"] == pytest.approx(first["eval_loss"], abs=1e-6)


def normalizing(modalities: tuple[str, ...] = ("audio", "visual"), **training: object) -> RunConfig:
    """A run whose model normalises voices and faces by speaker."""
    settings = run(modalities, **{"num_train_epochs": 1, **training})
    settings.model |= {
        "speaker_normalization": ["audio", "visual"],
        "visual_config": {"num_action_units": tiny.ACTION_UNITS, "hidden_size": None, "face_pooling": "area"},
    }
    settings.processor["au_feature_extractor"] = {"person_normalization": False}
    return settings


def test_speakers_normalised_in_the_model_need_no_resting_face(tmp_path: Path) -> None:
    settings = normalizing()
    train(settings, corpus(6, 0), corpus(3, 1), tmp_path)
    extractor = M2FNetProcessor.from_pretrained(tmp_path).au_feature_extractor
    assert (extractor.person_normalization, extractor.num_action_units) == (False, tiny.ACTION_UNITS)
    model = M2FNetForEmotionClassification.from_pretrained(tmp_path)
    assert model.model.modalities["visual"].norm.output_size == 2 * tiny.ACTION_UNITS + 1


def test_other_labels_start_with_a_last_layer_of_their_own(tmp_path: Path) -> None:
    model = build_model(run(("text",)), build_processor(run(("text",))))
    model.save_pretrained(tmp_path)
    other = run(("text",))
    other.model |= {"labels": ["calm", "upset"]}
    for name in ("id2label", "label2id", "num_labels"):
        other.model.pop(name, None)
    new = build_model(other, build_processor(other))
    kept = new.classifier.output.weight.clone()
    load_weights(new, tmp_path)
    assert torch.equal(new.classifier.output.weight, kept)
    assert torch.equal(new.classifier.first.weight, model.classifier.first.weight)


def test_a_model_of_other_sizes_is_no_start(tmp_path: Path) -> None:
    build_model(run(("text",)), build_processor(run(("text",)))).save_pretrained(tmp_path)
    other = run(("text", "audio"))
    with pytest.raises(ValueError, match=r"same sizes and modalities, found \d+ weights that differ"):
        load_weights(build_model(other, build_processor(other)), tmp_path)
