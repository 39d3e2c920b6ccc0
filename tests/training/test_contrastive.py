"""The extractor stage, on sounds whose class is hidden under a tone that has nothing to do with it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from safetensors.torch import load_file
from transformers import AutoFeatureExtractor, AutoModel, AutoTokenizer

from m2fnet_hf import Dialogue, M2FNetConfig, M2FNetForEmotionClassification, Utterance
from m2fnet_hf.encoders_m2fnet import build_encoder, load_encoder
from m2fnet_hf.faces.types import Faces
from m2fnet_hf.media.clip import Frame
from m2fnet_hf.training.contrastive.embedder import UtteranceEmbedder
from m2fnet_hf.training.contrastive.examples import Example, UtteranceCollator
from m2fnet_hf.training.contrastive.neighbours import neighbour_metrics
from m2fnet_hf.training.contrastive.sampler import BalancedSampler
from m2fnet_hf.training.contrastive.settings import ExtractorConfig, ExtractorSettings
from m2fnet_hf.training.contrastive.train import train_extractor
from m2fnet_hf.training.contrastive.trainer import ExtractorTrainer
from m2fnet_hf.training.settings import RunConfig
from m2fnet_hf.training.trainer import build_model, build_processor

RATE = 16_000
PITCHES = {"low": 600, "middle": 1_500, "high": 3_000, "shrill": 5_000}
LABELS = list(PITCHES)


def sound(label: str, random: np.random.Generator) -> np.ndarray:
    """The label's tone under another of any pitch, with random length, phases and level."""
    time = np.arange(random.integers(1_200, 2_000)) / RATE

    def tone(pitch: float) -> np.ndarray:
        return np.sin(2 * np.pi * pitch * time + random.uniform(0, 2 * np.pi))

    hidden = random.uniform(0.7, 1) * tone(PITCHES[label] * random.uniform(0.9, 1.1))
    other = random.uniform(0.5, 1.5) * tone(random.uniform(200, 6_000))
    return random.uniform(0.05, 1) * (hidden + other + 0.05 * random.standard_normal(len(time)))


def sounds(dialogues: int, seed: int) -> list[Dialogue]:
    random = np.random.default_rng(seed)

    def utterance() -> Utterance:
        label = random.choice(LABELS)
        return Utterance(audio=sound(label, random), sampling_rate=RATE, label=label)

    return [Dialogue([utterance() for _ in range(5)]) for _ in range(dialogues)]


def faces(dialogues: int, seed: int) -> list[Dialogue]:
    """People who differ at rest, each with an emotion per utterance."""
    random = np.random.default_rng(seed)

    def utterance(rest: np.ndarray) -> Utterance:
        label = random.integers(len(LABELS))
        units = rest + 0.05 * random.standard_normal((3, 1, tiny.ACTION_UNITS))
        units[..., label] += 1
        return Utterance(action_units=units, face_ids=np.zeros((3, 1), int), label=LABELS[label])

    rests = 2 * random.random((dialogues, tiny.ACTION_UNITS))
    return [Dialogue([utterance(rest) for _ in range(6)]) for rest in rests]


def words(dialogues: int, seed: int) -> list[Dialogue]:
    random = np.random.default_rng(seed)
    said = dict(zip(LABELS, ("yes great", "no awful", "go home", "come now"), strict=True))
    labels = random.choice(LABELS, (dialogues, 4))
    return [Dialogue([Utterance(text=said[label], label=label) for label in row]) for row in labels]


def run(modality: str = "audio", extractor: dict[str, Any] | None = None, **training: Any) -> ExtractorConfig:
    config = {
        "audio": tiny.audio_config("layer").to_dict(),
        "text": tiny.text_config("bart").to_dict(),
        "visual": {"num_action_units": tiny.ACTION_UNITS, "hidden_size": 8},
    }[modality]
    return ExtractorConfig(
        model={f"{modality}_config": config, "labels": LABELS},
        processor={"tokenizer": tiny.tokenizer()} if modality == "text" else {},
        training={
            "num_train_epochs": 1,
            "per_device_train_batch_size": 16,
            "per_device_eval_batch_size": 16,
            "learning_rate": 3e-3,
            "use_cpu": True,
            "eval_strategy": "epoch",
            "save_strategy": "epoch",
            "load_best_model_at_end": True,
            "metric_for_best_model": "leave_one_out_accuracy",
            "save_total_limit": 1,
            "logging_steps": 1,
            "disable_tqdm": True,
            **training,
        },
        extractor={"embedding_size": 16, **(extractor or {})},
    )


def embedder(settings: ExtractorSettings | None = None) -> UtteranceEmbedder:
    config = tiny.config(text=None, audio="layer", visual=False, num_hidden_layers=0, num_fusion_layers=0)
    return UtteranceEmbedder(config, build_encoder(config.audio_config), settings or ExtractorSettings())


def examples(dialogues: list[Dialogue]) -> list[Example]:
    return [Example(d, i, LABELS.index(u.label)) for d in dialogues for i, u in enumerate(d)]


def state_of_best(folder: Path) -> dict[str, torch.Tensor]:
    """The encoder in the best checkpoint."""
    (last,) = folder.glob("checkpoint-*/trainer_state.json")
    best = load_file(Path(json.loads(last.read_text())["best_model_checkpoint"]) / "model.safetensors")
    start = "utterance_encoder."
    return {name.removeprefix(start): value for name, value in best.items() if name.startswith(start)}


@pytest.mark.slow
def test_it_learns_what_an_untrained_encoder_does_not_tell_apart(tmp_path: Path) -> None:
    settings = run(extractor={"embedding_size": 64}, num_train_epochs=8, per_device_train_batch_size=32)
    results = train_extractor(settings, "audio", sounds(200, seed=1), sounds(40, seed=2), tmp_path)
    before, after = results["before"], results["after"]
    for figure in ("nearest_neighbour_accuracy", "leave_one_out_accuracy"):
        assert after[figure] > before[figure] + 0.2, results
    assert after["negative_distance"] > 1.2 * after["positive_distance"], results
    assert json.loads((tmp_path / "results.json").read_text()) == results
    assert results["utterances"] == {"train": 1000, "dev": 200}
    assert results["skipped"] == {"train": 0, "dev": 0}


def test_the_fusion_reads_what_was_trained(tmp_path: Path) -> None:
    train_extractor(run(num_train_epochs=2), "audio", sounds(8, seed=1), sounds(4, seed=2), tmp_path)
    fusion = M2FNetForEmotionClassification.from_encoders(audio=str(tmp_path), hidden_size=16, num_attention_heads=2)
    model = embedder().eval()
    model.utterance_encoder.load_state_dict(state_of_best(tmp_path))
    inputs = tiny.inputs([3])
    sound, mask = inputs["input_values"], inputs["audio_attention_mask"]
    with torch.no_grad():
        found = fusion.eval().model.get_audio_features(sound, mask).pooler_output[0]
        torch.testing.assert_close(found, model.features({"input_values": sound[0], "audio_attention_mask": mask[0]}))
    assert AutoFeatureExtractor.from_pretrained(tmp_path).sampling_rate == RATE


def test_an_encoder_decoder_is_saved_whole(tmp_path: Path) -> None:
    train_extractor(run("text"), "text", words(8, seed=1), words(4, seed=2), tmp_path)
    trained = state_of_best(tmp_path)
    for encoder in (load_encoder(str(tmp_path)), AutoModel.from_pretrained(tmp_path).get_encoder()):
        assert encoder.state_dict().keys() == trained.keys()
        for name, value in encoder.state_dict().items():
            torch.testing.assert_close(value, trained[name], msg=name)
    text = "yes great"
    assert AutoTokenizer.from_pretrained(tmp_path)(text)["input_ids"] == tiny.tokenizer()(text)["input_ids"]


def test_faces_are_learnt_against_their_rest(tmp_path: Path) -> None:
    results = train_extractor(run("visual", num_train_epochs=4), "visual", faces(40, 1), faces(20, 2), tmp_path)
    assert results["after"]["leave_one_out_accuracy"] > 0.8, results
    fusion = RunConfig(encoders={"visual": str(tmp_path)}, model={"hidden_size": 16, "num_hidden_layers": 1})
    model = build_model(fusion, build_processor(fusion))
    assert build_processor(fusion).au_feature_extractor.num_action_units == tiny.ACTION_UNITS
    torch.testing.assert_close(dict(model.model.visual_encoder.state_dict()), state_of_best(tmp_path))


def test_faces_of_an_utterance_are_those_of_its_dialogue() -> None:
    dialogue = faces(1, seed=1)[0]
    unseen = dialogue[2].replace(action_units=np.full((1, 1, tiny.ACTION_UNITS), np.nan), face_ids=None)
    dialogue = Dialogue([*list(dialogue)[:2], unseen, *list(dialogue)[3:]])
    config = M2FNetConfig(visual_config={"num_action_units": tiny.ACTION_UNITS}, num_labels=4)
    batch = UtteranceCollator(tiny.processor(), config)([Example(dialogue, index, index) for index in (4, 2, 1)])
    whole = tiny.processor()([dialogue], modalities=["visual"])
    torch.testing.assert_close(batch["faces"], whole["action_units"][0, [4, 1]])
    torch.testing.assert_close(batch["faces_mask"], whole["action_units_mask"][0, [4, 1]])
    assert batch["labels"].tolist() == [4, 1]


def test_a_face_of_which_a_unit_is_unknown_is_masked() -> None:
    dialogue = faces(1, seed=1)[0]
    units = np.array(dialogue[0].action_units)
    units[1, 0, 2] = np.nan
    dialogue = Dialogue([dialogue[0].replace(action_units=units), *list(dialogue)[1:]])
    config = M2FNetConfig(visual_config={"num_action_units": tiny.ACTION_UNITS}, num_labels=4)
    batch = UtteranceCollator(tiny.processor(), config)([Example(dialogue, 0, 0)])
    assert batch["faces_mask"][0, :, 0].tolist() == [True, False, True]


def test_an_encoder_without_weights_is_not_trained(tmp_path: Path) -> None:
    settings = run("visual")
    settings.model["visual_config"] = {"hidden_size": None, "face_pooling": "area"}
    with pytest.raises(ValueError, match="must have weights to be trained"):
        train_extractor(settings, "visual", faces(2, 1), faces(2, 2), tmp_path)


def test_sound_is_read_from_the_clip(recording: Path) -> None:
    config = embedder().config
    clip = Example(Dialogue([Utterance(text="hm", video=recording)]), 0, 1)
    lost = Example(Dialogue([Utterance(text="hm", video=recording.with_name("no.mp4"))]), 0, 2)
    batch = UtteranceCollator(tiny.processor(), config)([lost, clip])
    assert batch["labels"].tolist() == [1]
    assert batch["audio_attention_mask"].sum().item() == pytest.approx(10 * RATE, rel=0.01)
    part = Example(Dialogue([{"text": "hm", "start": 2.0, "end": 3.5}], recording=recording), 0, 3)
    span = UtteranceCollator(tiny.processor(), config)([part])
    assert span["audio_attention_mask"].sum() == 1.5 * RATE
    only_lost = UtteranceCollator(tiny.processor(), config)([lost])
    labels = only_lost.pop("labels")
    assert embedder()(**only_lost)["embeddings"].shape == (len(labels), 300) == (0, 300)


class Shades:
    """One face in every frame, whose first Action Unit is the frame's brightness."""

    action_units = ("AU01", "AU02", "AU04", "AU05", "AU06")
    settings = {"backend": "shades"}

    def detect(self, frames: Sequence[Frame]) -> list[Faces]:
        boxes, scores = np.array([[8.0, 8.0, 40.0, 40.0]]), np.ones(1)
        return [Faces(boxes, scores, np.array([[frame.image.mean() / 50, 0, 0, 0, 0]])) for frame in frames]


def test_faces_are_looked_for_in_recordings(recording: Path, tmp_path: Path) -> None:
    """The recording gets brighter."""
    turns = [{"text": "hm", "start": t, "end": t + 1, "label": "low" if t < 5 else "high"} for t in range(10)]
    data = [Dialogue(turns, recording=recording)]
    settings = run("visual", {"utterances_per_label": 2}, per_device_train_batch_size=8, num_train_epochs=3)
    settings.media = {"faces": Shades()}
    results = train_extractor(settings, "visual", data, data, tmp_path)
    assert (results["utterances"]["train"], results["skipped"]["train"]) == (10, 0)
    assert results["after"]["leave_one_out_accuracy"] >= 0.8


def test_what_cannot_be_read_is_counted(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"not a recording")
    broken = Dialogue([{"video": tmp_path / "broken.mp4", "label": "low"}, {"text": "no sound", "label": "low"}])
    data = [*sounds(8, seed=1), broken], sounds(4, seed=2)
    results = train_extractor(run(), "audio", *data, tmp_path / "out")
    assert results["utterances"] == {"train": 41, "dev": 20}
    assert results["skipped"] == {"train": 1, "dev": 0}


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    data = sounds(8, seed=1), sounds(4, seed=2)
    whole = train_extractor(run(num_train_epochs=3), "audio", *data, tmp_path / "whole")

    class StoppedError(Exception):
        pass

    def stop(self: ExtractorTrainer, *_: object) -> None:
        if self.state.epoch > 2:
            raise StoppedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ExtractorTrainer, "log", stop)
        with pytest.raises(StoppedError):
            train_extractor(run(num_train_epochs=3), "audio", *data, tmp_path / "parts")
    started = []
    with pytest.MonkeyPatch.context() as patch:
        log = ExtractorTrainer.log
        patch.setattr(ExtractorTrainer, "log", lambda self, *a: (started.append(self.state.epoch), log(self, *a)))
        resumed = train_extractor(run(num_train_epochs=3), "audio", *data, tmp_path / "parts")
    assert min(started) > 2
    assert resumed == whole
    parts, all_at_once = (load_file(tmp_path / name / "model.safetensors") for name in ("parts", "whole"))
    torch.testing.assert_close(parts, all_at_once)


@pytest.mark.parametrize(("modality", "corpus"), [("audio", sounds), ("text", words)])
def test_checkpointing_changes_the_memory_only(tmp_path: Path, modality: str, corpus: Any) -> None:
    data = corpus(8, seed=1), corpus(4, seed=2)
    plain, saving = (
        train_extractor(run(modality, gradient_checkpointing=on), modality, *data, tmp_path / str(on))
        for on in (False, True)
    )
    assert plain["after"] == pytest.approx(saving["after"], abs=1e-4)


def test_half_precision_and_accumulation(tmp_path: Path) -> None:
    settings = run(bf16=True, gradient_accumulation_steps=2, num_train_epochs=3)
    train_extractor(settings, "audio", sounds(32, seed=1), sounds(4, seed=2), tmp_path)
    (state,) = tmp_path.glob("checkpoint-*/trainer_state.json")
    steps = [step for step in json.loads(state.read_text())["log_history"] if "loss" in step]
    for step in steps:
        terms = 20 * step["triplet_loss"] + 5 * step["covariance_loss"] + 100 * step["variance_loss"]
        assert step["loss"] == pytest.approx(terms, rel=0.01)  # the mean over micro-batches, not their sum
    assert steps[-1]["loss"] < steps[0]["loss"]


def test_the_terms_of_the_loss_are_logged(tmp_path: Path) -> None:
    settings = {"variance_weight": 3.0, "cross_entropy_weight": 2.0}
    train_extractor(run(extractor=settings), "audio", sounds(8, seed=1), sounds(4, seed=2), tmp_path)
    (state,) = tmp_path.glob("checkpoint-*/trainer_state.json")
    steps = [step for step in json.loads(state.read_text())["log_history"] if "loss" in step]
    for step in steps:
        rest = step["loss"] - 20 * step["triplet_loss"] - 5 * step["covariance_loss"] - 3 * step["variance_loss"]
        # Twice the cross entropy of four classes, of which an untrained classifier knows nothing.
        assert rest == pytest.approx(2 * np.log(4), abs=1)


def test_every_batch_holds_several_of_several_labels(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    labels = random.choice(4, 203, p=[0.9, 0.06, 0.03, 0.01])
    data = [Example(Dialogue([Utterance(audio=np.ones(800), sampling_rate=RATE)]), 0, int(label)) for label in labels]
    settings = ExtractorSettings()
    args = run().training_arguments(tmp_path)
    trainer = ExtractorTrainer(embedder(), args, tiny.processor(), data, data, settings)
    batches = [batch["labels"].tolist() for batch in trainer.get_train_dataloader()]
    assert len(batches) == 203 // 16
    for batch in batches:
        assert {batch.count(label) for label in batch} == {4}
        assert len(set(batch)) == 4


@pytest.mark.parametrize(("batch_size", "labels"), [(8, 5), (12, 2), (40, 3)])
def test_batches_of_any_number_of_labels(batch_size: int, labels: int) -> None:
    of = np.arange(90) % labels
    order = list(BalancedSampler(of, batch_size, 4, seed=0))
    assert len(order) == 90 // batch_size * batch_size
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        counts = [len({place for place in batch if of[place] == label}) for label in set(of[batch])]
        assert len(counts) == min(labels, batch_size // 4)
        assert min(counts) >= 2


def test_each_epoch_has_its_own_draw() -> None:
    sampler, same = (BalancedSampler(np.arange(64) % 4, 16, 4, seed=3) for _ in range(2))
    first = list(sampler)
    assert first == list(same)
    sampler.set_epoch(1)
    assert list(sampler) != first
    # As many of each label as there are, so that each comes once.
    assert sorted(first) == list(range(64))


def test_epochs_reach_the_sampler(tmp_path: Path) -> None:
    seen: list[list[int]] = []
    collate = UtteranceCollator.__call__

    def note(self: UtteranceCollator, batch: list[Example]) -> Any:
        seen[-1].extend(id(example) for example in batch)
        return collate(self, batch)

    data = examples(sounds(8, seed=1))
    args = run().training_arguments(tmp_path)
    trainer = ExtractorTrainer(embedder(), args, tiny.processor(), data, data, ExtractorSettings())
    loader = trainer.get_train_dataloader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UtteranceCollator, "__call__", note)
        for epoch in (0, 1, 0):
            seen.append([])
            loader.set_epoch(epoch)
            list(loader)
    assert seen[0] == seen[2] != seen[1]


def test_neighbours_by_hand() -> None:
    embeddings = torch.tensor([[0.0], [1.0], [3.0], [3.5]])
    metrics = neighbour_metrics(embeddings, torch.tensor([0, 0, 0, 1]))
    assert metrics["leave_one_out_accuracy"] == 0.5
    assert metrics["positive_distance"] == pytest.approx((1 + 3 + 2) / 3)
    assert metrics["negative_distance"] == pytest.approx((3.5 + 2.5 + 0.5) / 3)


def test_bad_settings_are_named(tmp_path: Path) -> None:
    data = sounds(8, seed=1)
    with pytest.raises(ValueError, match=r"one of text, audio, visual, found 'sound'"):
        train_extractor(run(), "sound", data, data, tmp_path)
    with pytest.raises(ValueError, match=r"`extractor` has no setting `margin`; it has embedding_size"):
        train_extractor(run(extractor={"margin": 1}), "audio", data, data, tmp_path)
    with pytest.raises(ValueError, match=r"must be 4 .* times 2 or more, found 10; set `per_device_train_batch_size`"):
        train_extractor(run(per_device_train_batch_size=10), "audio", data, data, tmp_path)
    with pytest.raises(ValueError, match="utterances of two labels at least, found 1"):
        BalancedSampler([3, 3, 3], 8, 4, seed=0)
    with pytest.raises(ValueError, match="labelled utterances with audio in train and dev, found none"):
        train_extractor(run(), "audio", data, words(2, seed=1), tmp_path)


def test_the_example_is_a_run(tmp_path: Path) -> None:
    config = Path(__file__).parents[2] / "m2fnet_hf" / "configs" / "extractor-audio.yaml"
    loaded = ExtractorConfig.load(config, ["training.bf16=false"])
    assert isinstance(loaded, ExtractorConfig)
    settings, args = loaded.settings(), loaded.training_arguments(tmp_path)
    BalancedSampler([0, 1], args.train_batch_size, settings.utterances_per_label, args.seed)
    assert (settings.embedding_size, args.metric_for_best_model) == (300, "leave_one_out_accuracy")
