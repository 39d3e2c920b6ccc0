"""Every training utterance is predicted by a model that learnt without it, and a fold that is done is kept."""

import csv
from pathlib import Path

import out_of_fold
import pytest
import tiny
from transformers import AutoModel

from m2fnet_hf.evaluation.records import read_records

WORDS = {"joy": "happy day", "anger": "go away", "neutral": "the table"}


@pytest.fixture
def meld(tmp_path: Path) -> Path:
    """Thirty dialogues in which a few words decide."""
    columns = ["Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID", "StartTime", "EndTime"]
    with (tmp_path / "train_sent_emo.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(columns)
        for number in range(30):
            for place, label in enumerate((*WORDS, *WORDS)[number % 3 :][:3]):
                time = f"0{number // 10}:0{number % 10}:0{2 * place}"
                said = [WORDS[label], "AB"[place % 2], label, "neutral", number, place, f"{time},000", f"{time},900"]
                table.writerow(said)
    return tmp_path


def test_beliefs_are_of_what_was_not_seen(meld: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, output = tmp_path / "encoder", tmp_path / "beliefs.jsonl"
    AutoModel.from_config(tiny.text_config("bert"), add_pooling_layer=False).save_pretrained(encoder)
    tiny.tokenizer().save_pretrained(encoder)
    monkeypatch.setattr(out_of_fold, "EPOCHS", 15)
    monkeypatch.setattr(out_of_fold, "ENCODER_LEARNING_RATE", 3e-3)
    monkeypatch.setattr(out_of_fold, "LEARNING_RATE", 3e-3)
    monkeypatch.setattr(out_of_fold, "LONGEST_DIALOGUE", 40)  # several pieces of some dialogues
    words = ["out_of_fold", "--encoder", str(encoder), "--meld", str(meld), "--output", str(output)]
    monkeypatch.setattr("sys.argv", words)
    out_of_fold.main()
    records = list(read_records(output))
    assert [(one.dialogue, one.position) for one in records] == [(n, place) for n in range(30) for place in (1, 2, 3)]
    assert sum(one.prediction == one.label for one in records) > 80
    folds = [{one.dialogue for one in read_records(output.with_suffix(f".{fold}.jsonl"))} for fold in range(3)]
    assert set().union(*folds) == set(range(30))
    assert sum(map(len, folds)) == 30

    kept = output.with_suffix(".1.jsonl").stat().st_mtime_ns
    output.with_suffix(".2.jsonl").unlink()
    out_of_fold.main()
    assert list(read_records(output)) == records
    assert output.with_suffix(".1.jsonl").stat().st_mtime_ns == kept
