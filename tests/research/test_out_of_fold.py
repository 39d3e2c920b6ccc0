"""Teachers read what they did not see, a fold that is done is kept, and a student learns it."""

import csv
from pathlib import Path

import distill
import out_of_fold
import pytest
import tiny
import torch
from safetensors.torch import load_file
from transformers import AutoModel, pipeline

from m2fnet_hf.data.folder import read_dialogues
from m2fnet_hf.data.meld import load_meld_split
from m2fnet_hf.evaluation.predictions import read_predictions
from m2fnet_hf.registration import TASK
from m2fnet_hf.training.distillation import with_teacher_probabilities

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


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    folder = tmp_path / "encoder"
    AutoModel.from_config(tiny.text_config("bert"), add_pooling_layer=False).save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def run_teachers(meld: Path, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the teachers wrote; the command can be run again."""
    other = tmp_path / "other"
    other.mkdir()
    said = '"utterances": [{"speaker": "Eve", "text": "happy day"}, {"speaker": "Ben", "text": "go away"}]'
    (other / "talk.jsonl").write_text("\n".join(f'{{"id": "{number}", {said}}}' for number in range(5)))
    monkeypatch.setattr(out_of_fold, "EPOCHS", 15)
    monkeypatch.setattr(out_of_fold, "ENCODER_LEARNING_RATE", 3e-3)
    monkeypatch.setattr(out_of_fold, "LEARNING_RATE", 3e-3)
    monkeypatch.setattr(out_of_fold, "LONGEST_DIALOGUE", 40)  # several pieces of some dialogues
    words = ["--encoder", encoder, "--meld", meld, "--variants", VARIANTS, "--unlabelled", other]
    monkeypatch.setattr("sys.argv", ["out_of_fold", *map(str, words), "--output", str(tmp_path / "teachers")])
    out_of_fold.main()
    return tmp_path / "teachers"


def test_teachers_speak_of_what_they_did_not_see(meld: Path, run_teachers: Path) -> None:
    dialogues = read_dialogues(run_teachers)["train"]
    own = [f"{n}.{k}" for n in range(30) for k in range(VARIANTS + 1)]
    assert [one.id for one in dialogues] == own + [f"unlabelled.{n}" for n in range(5)]
    predictions = list(read_predictions(run_teachers / "teachers" / "predictions.jsonl"))
    assert sum(one.prediction == one.label for one in predictions) > 80
    names = dict(enumerate(WORDS))
    student = tiny.config(audio=None, visual=False, id2label=names, label2id={name: i for i, name in names.items()})
    learnt = with_teacher_probabilities(
        load_meld_split(meld, "train"), [run_teachers / "teachers" / "predictions.jsonl"], student
    )
    assert all(one.label_probabilities.sum() == pytest.approx(1, abs=1e-4) for dialogue in learnt for one in dialogue)

    folds = [load_file(run_teachers / "teachers" / f"fold-{k}.safetensors") for k in range(3)]
    assert sorted(name for fold in folds for name in fold) == sorted(str(one.id) for one in dialogues)
    for fold in folds:
        assert len({name.split(".")[0] for name in fold if not name.startswith("unlabelled")}) == 10
        components = torch.cat([rows[:, 3:] for name, rows in fold.items() if name.endswith(".0")])
        assert components.square().mean() == pytest.approx(1, abs=0.5), "of what was spoken, with a dialogue of others"
    said = folds[0] | folds[1] | folds[2]
    assert [said[f"unlabelled.{n}"][:, :3].argmax(-1).tolist() for n in range(5)] == [[1, 0]] * 5, "joy, then anger"


def test_a_fold_that_is_done_is_kept(run_teachers: Path) -> None:
    teachers = run_teachers / "teachers"
    before = {file.name: file.read_bytes() for file in teachers.iterdir()}
    kept = (teachers / "fold-1.safetensors").stat().st_mtime_ns
    (teachers / "fold-2.safetensors").unlink()
    out_of_fold.main()
    assert (teachers / "fold-1.safetensors").stat().st_mtime_ns == kept
    assert {file.name: file.read_bytes() for file in teachers.iterdir()} == before


def test_a_student_learns_what_teachers_make_of_dialogues(
    meld: Path, encoder: Path, run_teachers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = f"""
encoders: {{text: {encoder}}}
model: {{hidden_size: 16, num_hidden_layers: 0, num_attention_heads: 2, labels: [neutral, joy, anger],
  freeze_text_encoder: false}}
processor: {{context: dialogue, speaker_prefix: name}}
training: {{num_train_epochs: 8, per_device_train_batch_size: 4, learning_rate: 3.0e-3, teachers_share: 0.9,
  eval_strategy: epoch, use_cpu: true, disable_tqdm: true, save_strategy: epoch, save_total_limit: 1}}
"""
    (tmp_path / "student.yaml").write_text(settings)
    words = [tmp_path / "student.yaml", "--teachers", run_teachers, "--meld", meld, "--output", tmp_path / "student"]
    monkeypatch.setattr("sys.argv", ["distill", *map(str, words)])
    distill.main()
    student = tmp_path / "student"
    weights = (student / "model.safetensors").read_bytes()
    (student / "model.safetensors").unlink()
    distill.main()  # goes on from the last checkpoint, where nothing is left to do
    assert (student / "model.safetensors").read_bytes() == weights
    pipe = pipeline(TASK, model=str(student), device="cpu")
    answers = [pipe(dialogue) for dialogue in load_meld_split(meld, "dev")]
    said = [one.label for dialogue in load_meld_split(meld, "dev") for one in dialogue]
    assert [one["label"] for dialogue in answers for one in dialogue] == said
