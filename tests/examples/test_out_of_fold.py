"""Every training utterance is predicted by a model that learnt without it, and a fold that is done is kept."""

import csv
from pathlib import Path

import out_of_fold
import pytest
import tiny
from transformers import AutoModel

from m2fnet_hf.data.folder import read_dialogues
from m2fnet_hf.evaluation.records import read_records
from m2fnet_hf.training.distillation import taught

WORDS = {"joy": "happy day", "anger": "go away", "neutral": "the table"}
VARIANTS = 2


@pytest.fixture
def meld(tmp_path: Path) -> Path:
    """Thirty dialogues in which a few words decide, and three of dev."""
    columns = ["Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID", "StartTime", "EndTime"]
    for split, count in (("train", 30), ("dev", 3)):
        with (tmp_path / f"{split}_sent_emo.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(columns)
            for number in range(count):
                for place, label in enumerate((*WORDS, *WORDS)[number % 3 :][:3]):
                    time = f"0{number // 10}:0{number % 10}:0{2 * place}"
                    said = [WORDS[label], "AB"[place % 2], label, "neutral", number, place]
                    table.writerow([*said, f"{time},000", f"{time},900"])
    return tmp_path


def test_beliefs_are_of_what_was_not_seen(meld: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, output = tmp_path / "encoder", tmp_path / "taught"
    AutoModel.from_config(tiny.text_config("bert"), add_pooling_layer=False).save_pretrained(encoder)
    tiny.tokenizer().save_pretrained(encoder)
    monkeypatch.setattr(out_of_fold, "EPOCHS", 15)
    monkeypatch.setattr(out_of_fold, "ENCODER_LEARNING_RATE", 3e-3)
    monkeypatch.setattr(out_of_fold, "LEARNING_RATE", 3e-3)
    monkeypatch.setattr(out_of_fold, "LONGEST_DIALOGUE", 40)  # several pieces of some dialogues
    words = ["out_of_fold", "--encoder", str(encoder), "--meld", str(meld), "--variants", str(VARIANTS)]
    monkeypatch.setattr("sys.argv", [*words, "--output", str(output)])
    out_of_fold.main()
    dialogues = read_dialogues(output)
    assert [one.id for one in dialogues["train"]] == [f"{n}.{k}" for n in range(30) for k in range(VARIANTS + 1)]
    assert [[one.text for one in dialogue] for dialogue in dialogues["dev"]] == [
        [[*WORDS.values()][(number + place) % 3] for place in range(3)] for number in range(3)
    ]
    beliefs = output / "beliefs"
    records = list(read_records(beliefs / "all.jsonl"))
    original = [one for one in records if one.dialogue.endswith(".0")]
    assert sum(one.prediction == one.label for one in original) > 80
    names = dict(enumerate(WORDS))
    student = tiny.config(audio=None, visual=False, id2label=names, label2id={name: i for i, name in names.items()})
    learnt = taught(dialogues["train"], [beliefs / "all.jsonl"], student)
    assert all(one.label_probabilities.sum() == pytest.approx(1, abs=1e-4) for dialogue in learnt for one in dialogue)
    folds = [{one.dialogue.split(".")[0] for one in read_records(beliefs / f"fold-{k}.jsonl")} for k in range(3)]
    assert set().union(*folds) == {str(number) for number in range(30)}
    assert sum(map(len, folds)) == 30

    kept = (beliefs / "fold-1.jsonl").stat().st_mtime_ns
    (beliefs / "fold-2.jsonl").unlink()
    out_of_fold.main()
    assert list(read_records(beliefs / "all.jsonl")) == records
    assert (beliefs / "fold-1.jsonl").stat().st_mtime_ns == kept
