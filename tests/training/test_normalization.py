"""What is usual for voices and faces comes from the training data, once, before the first step."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from test_trainer import corpus, normalizing
from transformers import TrainerCallback

from m2fnet_hf import Dialogue, M2FNetForEmotionClassification
from m2fnet_hf.features.extract import extract
from m2fnet_hf.features.store import open_features
from m2fnet_hf.training.normalization import fit_normalization, speaker_norms
from m2fnet_hf.training.trainer import EmotionTrainer, build_model, build_processor, train

Fitted = dict[str, torch.Tensor]


def fitted(model: M2FNetForEmotionClassification) -> Fitted:
    """Means and scales of a model."""
    return {
        f"{modality} {name}": value.clone()
        for modality, norm in speaker_norms(model).items()
        for name, value in norm.named_buffers()
    }


def spoken(dialogues: int, seed: int) -> list[Dialogue]:
    """Conversations of A and B, whose names mean others in each."""
    return [
        Dialogue([one.replace(speaker="AB"[n % 2], id=n) for n, one in enumerate(dialogue)], id=number)
        for number, dialogue in enumerate(corpus(dialogues, seed))
    ]


def fit(data: list[Dialogue], seed: int = 0, **settings: int) -> Fitted:
    torch.manual_seed(0)
    run = normalizing()
    processor = build_processor(run)
    model = build_model(run, processor)
    fit_normalization(model, processor, data, seed, **settings)
    return fitted(model)


def same(one: Fitted, other: Fitted) -> bool:
    return one.keys() == other.keys() and all(torch.allclose(one[name], other[name], atol=1e-5) for name in one)


def test_training_fits_what_is_usual(tmp_path: Path) -> None:
    data = spoken(12, 0)
    train(normalizing(learning_rate=0.0), data, spoken(3, 1), tmp_path)
    found = fitted(M2FNetForEmotionClassification.from_pretrained(tmp_path))
    assert len(found) == 4
    for name, value in found.items():
        usual = 0 if name.endswith("mean") else 1
        assert (value - usual).abs().max() > 0.1, name
    # The first Action Unit's own numbers; the mean over an utterance's frames is its feature.
    values = [[float(one.action_units[:, 0, 0].mean()) for one in dialogue] for dialogue in data]
    speakers = [np.array(dialogue[start::2]) for dialogue in values for start in (0, 1)]
    total = sum(map(len, speakers))
    assert found["visual mean"][0].item() == pytest.approx(np.concatenate(speakers).mean(), abs=1e-5)
    variance = sum(((one - one.mean()) ** 2).sum() for one in speakers if len(one)) / (total - len(speakers))
    assert found["visual scale"][0].item() == pytest.approx(variance**0.5, abs=1e-5)


def test_features_from_a_folder_give_the_same(tmp_path: Path) -> None:
    data = spoken(6, 0)
    torch.manual_seed(0)
    run = normalizing()
    processor = build_processor(run)
    model = build_model(run, processor)
    extract(model, processor, {"train": data}, tmp_path)
    stored = open_features(tmp_path).dialogues("train")
    assert stored[0][0].audio is None
    fit_normalization(model, processor, stored, seed=0)
    assert same(fitted(model), fit(data))


def test_a_part_of_much_data_is_drawn_by_the_seed() -> None:
    data = spoken(30, 0)
    drawn = fit(data, utterances=10)
    assert same(drawn, fit(data, utterances=10))
    assert not same(drawn, fit(data, utterances=10, seed=1))
    assert not same(drawn, fit(data))
    assert same(fit(data), fit(data, seed=1))


def test_a_modality_that_the_data_lacks_stays_as_it_was() -> None:
    data = [Dialogue([one.replace(audio=None) for one in dialogue]) for dialogue in spoken(6, 0)]
    found = fit(data)
    assert not found["audio mean"].any()
    assert found["audio scale"].eq(1).all()
    assert found["visual mean"].any()


def test_a_run_that_goes_on_and_one_that_starts_from_a_model_keep_theirs(tmp_path: Path) -> None:
    class StoppedError(Exception):
        pass

    class Stop(TrainerCallback):
        def on_epoch_begin(self, args: object, state: object, *_: object, **__: object) -> None:
            if state.epoch >= 1:
                raise StoppedError

    def stopping(*arguments: object, **values: object) -> EmotionTrainer:
        return EmotionTrainer(*arguments, callbacks=[Stop()], **values)

    dev = spoken(3, 1)
    settings = {"num_train_epochs": 2, "load_best_model_at_end": False}
    with pytest.raises(StoppedError):
        train(normalizing(**settings), spoken(8, 0), dev, tmp_path / "first", trainer_type=stopping)
    first = fitted(M2FNetForEmotionClassification.from_pretrained(next((tmp_path / "first").glob("checkpoint-*"))))
    # Other data would be fitted otherwise; they are taken, since an older record does not say which they were.
    record = tmp_path / "first" / "run.json"
    known = json.loads(record.read_text())
    del known["data"]
    record.write_text(json.dumps(known))
    trainer = train(normalizing(**settings), spoken(8, 7), dev, tmp_path / "first")
    assert trainer.state.epoch == 2
    assert same(fitted(trainer.model), first)
    start = {"start_from": str(tmp_path / "first"), **settings}
    assert same(fitted(train(normalizing(**start), spoken(8, 9), dev, tmp_path / "second").model), first)
    assert not same(fit(spoken(8, 7)), first)
