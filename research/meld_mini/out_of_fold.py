"""Fine-tune a larger encoder on MELD, and write what it predicts for dialogues that it did not see, for a small model.

    python research/meld_mini/out_of_fold.py --encoder sentence-transformers/all-mpnet-base-v2 --meld MELD.Raw \\
        --variants 11 --unlabelled runs/scripts --output runs/out_of_fold

The encoder reads a whole dialogue at once, each utterance behind its speaker's name, and an MLP reads the mean over an
utterance's tokens. Three of them are fine-tuned, each on two thirds of the dialogues. Each reads the last third,
variants of it that never took place (`vary_dialogues`), and a third of the dialogues in `--unlabelled`.

The output holds `train.jsonl`, all that was read, and `teachers`, what was made of it: for `distill.py` a file for each
fold with an array per dialogue, [U, C + K], the probabilities of the labels and the principal components of the MLP's
hidden layer; for `training.teachers` of `m2fnet train` the predictions of the training split, `predictions.jsonl`.
A fold that is done is kept.
"""

import argparse
import json
import random
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerBase, get_cosine_schedule_with_warmup
from vary_dialogues import Varier, near_words

from m2fnet_hf import Dialogue
from m2fnet_hf.data.folder import read_dialogues
from m2fnet_hf.data.meld import load_meld_split
from m2fnet_hf.evaluation.predictions import UtterancePrediction, tee_predictions
from m2fnet_hf.utils.console import progress
from m2fnet_hf.utils.files import write_whole

FOLDS = 3
EPOCHS = 3
BATCH_SIZE = 4  # dialogues
ENCODER_LEARNING_RATE = 4e-5  # of the last layer
LAYER_DECAY = 0.9
LEARNING_RATE = 4e-4
WEIGHT_DECAY = 0.01
WARMUP_STEPS = 60
LABEL_SMOOTHING = 0.05
LONGEST_UTTERANCE, LONGEST_DIALOGUE = 200, 480  # tokens
COMPONENTS = 48  # of the hidden layer, with seven tenths of its variance

# Tokens of a dialogue and, of each, whose utterance it is (-1 for the first token, which belongs to none).
Tokens = tuple[torch.Tensor, torch.Tensor]


class DialogueClassifier(nn.Module):
    """One pass of an encoder over a dialogue; each utterance is the mean of its own tokens."""

    def __init__(self, encoder: nn.Module, labels: int) -> None:
        super().__init__()
        size: Any = encoder.config.hidden_size
        self.encoder = encoder
        self.hidden = nn.Sequential(nn.LayerNorm(size), nn.Linear(size, size), nn.GELU())
        self.output = nn.Sequential(nn.Dropout(0.1), nn.Linear(size, labels))

    def forward(self, dialogues: Sequence[Tokens]) -> tuple[torch.Tensor, torch.Tensor]:
        """Dialogues to logits [N, C] of their N utterances, and the hidden layer [N, H]."""
        ids = pad_sequence([tokens for tokens, _ in dialogues], batch_first=True)
        mask = pad_sequence([torch.ones_like(tokens) for tokens, _ in dialogues], batch_first=True)
        with torch.autocast(ids.device.type, torch.bfloat16):
            states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        own = [state[: len(whose)] for state, (_, whose) in zip(states.float(), dialogues, strict=True)]
        means = [
            torch.stack([rows[whose == number].mean(0) for number in range(int(whose.max()) + 1)])
            for rows, (_, whose) in zip(own, dialogues, strict=True)
        ]
        hidden = self.hidden(torch.cat(means))
        return self.output(hidden), hidden


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", required=True, help="folder or Hub name")
    parser.add_argument("--meld", type=Path, required=True)
    parser.add_argument("--variants", type=int, default=0, help="of each dialogue of the training data")
    parser.add_argument("--unlabelled", type=Path, metavar="FOLDER", help="other dialogues, as `--data` reads them")
    parser.add_argument("--output", type=Path, required=True, help="folder")
    options = parser.parse_args()
    train = load_meld_split(options.meld, "train")
    others = read_dialogues(options.unlabelled)["train"] if options.unlabelled else []
    folds = _folds(len(train))
    versions = vary(train, folds, options.variants, options.encoder)
    versions += [[replace(one, id=f"unlabelled.{number}")] for number, one in enumerate(others)]
    teachers = options.output / "teachers"
    teachers.mkdir(parents=True, exist_ok=True)
    write(options.output / "train.jsonl", chain.from_iterable(versions))
    files = [teachers / f"fold-{fold}.safetensors" for fold in range(FOLDS)]
    for fold, file in enumerate(files):
        if not file.is_file():
            learn = [dialogue for dialogue, own in zip(train, folds, strict=True) if own != fold]
            own = [same for same, its in zip(versions, folds + _folds(len(others)), strict=True) if its == fold]
            with write_whole(file) as part:
                save_file(read_unseen(options.encoder, learn, own, fold), part)
    found = {name: rows for file in files for name, rows in load_file(file).items()}
    deque(tee_predictions(_predictions(train, found), teachers / "predictions.jsonl"), maxlen=0)


def vary(dialogues: Sequence[Dialogue], folds: Sequence[int], count: int, encoder: str) -> list[list[Dialogue]]:
    """Each dialogue and `count` variants of it, in which only dialogues of its own fold break in."""
    decide = random.Random(0)
    embeddings = AutoModel.from_pretrained(encoder).get_input_embeddings().weight.detach()
    varier = Varier(near_words(AutoTokenizer.from_pretrained(encoder), embeddings), decide)
    versions = []
    for dialogue, fold in zip(dialogues, folds, strict=True):
        same = [other for other, own in zip(dialogues, folds, strict=True) if own == fold]
        made = [dialogue, *(varier.vary(dialogue, decide.choice(same)) for _ in range(count))]
        versions.append([replace(one, id=f"{dialogue.id}.{number}") for number, one in enumerate(made)])
    return versions


def write(path: Path, dialogues: Iterable[Dialogue]) -> None:
    """Dialogues as JSON lines, which `--data` reads."""
    with path.open("w", encoding="utf-8") as file:
        for dialogue in dialogues:
            said = [{name: getattr(one, name) for name in ("id", "speaker", "text", "label")} for one in dialogue]
            file.write(json.dumps({"id": dialogue.id, "utterances": said}, ensure_ascii=False) + "\n")


def read_unseen(
    encoder: str, learn: Sequence[Dialogue], versions: Sequence[Sequence[Dialogue]], seed: int
) -> dict[str, torch.Tensor]:
    """Probabilities and components [U, C + K] of dialogues, by a classifier that learned from others.

    Args:
        versions: of each dialogue, the first as it was spoken.
    """
    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    names = label_names(learn)
    model = DialogueClassifier(AutoModel.from_pretrained(encoder, add_pooling_layer=False), len(names))
    fit(model, learn, tokenizer, names, seed)
    made = {}
    for dialogue in progress(list(chain.from_iterable(versions)), description=f"fold {seed} reads"):
        with torch.inference_mode():
            logits, hidden = model(tokenize(dialogue, tokenizer))
        made[dialogue.id] = logits.softmax(-1), hidden
    spoken = torch.cat([made[same[0].id][1] for same in versions if same[0][0].label is not None])
    middle = spoken.mean(0)
    axes = torch.linalg.svd(spoken - middle, full_matrices=False).Vh[:COMPONENTS]
    scale = ((spoken - middle) @ axes.T).square().mean().sqrt()
    return {
        str(name): torch.cat([probabilities, (hidden - middle) @ axes.T / scale], -1)
        for name, (probabilities, hidden) in made.items()
    }


def label_names(dialogues: Sequence[Dialogue]) -> list[str]:
    return sorted({str(one.label) for dialogue in dialogues for one in dialogue})


def fit(
    model: DialogueClassifier,
    dialogues: Sequence[Dialogue],
    tokenizer: PreTrainedTokenizerBase,
    names: Sequence[str],
    seed: int,
) -> None:
    """Train a classifier on dialogues of which every utterance has one of the labels."""
    shuffle = random.Random(seed)
    tokens = [tokenize(dialogue, tokenizer) for dialogue in dialogues]
    labels = [torch.tensor([names.index(one.label) for one in dialogue]) for dialogue in dialogues]
    steps = EPOCHS * -(-len(dialogues) // BATCH_SIZE)
    optimizer = torch.optim.AdamW(parameter_groups(model), weight_decay=WEIGHT_DECAY)
    schedule = get_cosine_schedule_with_warmup(optimizer, WARMUP_STEPS, steps)
    batches = (batch for _ in range(EPOCHS) for batch in _batches(range(len(dialogues)), shuffle))
    model.train()
    for batch in progress(batches, description=f"fold {seed}", total=steps):
        logits, _ = model([piece for number in batch for piece in tokens[number]])
        targets = torch.cat([labels[number] for number in batch])
        nn.functional.cross_entropy(logits, targets, label_smoothing=LABEL_SMOOTHING).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    model.eval()


def tokenize(dialogue: Dialogue, tokenizer: PreTrainedTokenizerBase) -> list[Tokens]:
    """The utterances one behind the other, in several pieces where they are too many for the encoder."""
    pieces: list[list[list[int]]] = [[]]
    for one in dialogue:
        said = tokenizer(f"{one.speaker}: {one.text}", add_special_tokens=False)["input_ids"][:LONGEST_UTTERANCE]
        said = [*said, tokenizer.sep_token_id]
        if pieces[-1] and 1 + sum(map(len, pieces[-1])) + len(said) > LONGEST_DIALOGUE:
            pieces.append([])
        pieces[-1].append(said)
    return [
        (
            torch.tensor([tokenizer.cls_token_id, *(token for said in piece for token in said)]),
            torch.tensor([-1, *(number for number, said in enumerate(piece) for _ in said)]),
        )
        for piece in pieces
    ]


def parameter_groups(model: DialogueClassifier) -> list[dict[str, Any]]:
    """Every layer of the encoder learns more slowly than the one above it."""
    depth = model.encoder.config.num_hidden_layers
    groups = []
    for name, parameter in model.named_parameters():
        layer = re.search(r"layer\.(\d+)\.", name)
        below = depth if layer is None else depth - 1 - int(layer[1])
        rate = ENCODER_LEARNING_RATE * LAYER_DECAY**below if name.startswith("encoder.") else LEARNING_RATE
        groups.append({"params": [parameter], "lr": rate})
    return groups


def _folds(count: int) -> list[int]:
    """The fold of each dialogue."""
    folds = [number % FOLDS for number in range(count)]
    random.Random(0).shuffle(folds)
    return folds


def _batches(numbers: Sequence[int], shuffle: random.Random) -> Iterator[list[int]]:
    order = shuffle.sample(numbers, len(numbers))
    return (order[start : start + BATCH_SIZE] for start in range(0, len(order), BATCH_SIZE))


def _predictions(train: Sequence[Dialogue], found: Mapping[str, torch.Tensor]) -> Iterator[UtterancePrediction]:
    """Predictions of the training split as it is, as `m2fnet evaluate --predictions` writes them."""
    names = label_names(train)
    for number, dialogue in enumerate(train):
        rows = found[f"{dialogue.id}.0"][:, : len(names)].tolist()
        for position, (one, row) in enumerate(zip(dialogue, rows, strict=True), start=1):
            yield UtterancePrediction(
                dialogue=dialogue.id,
                dialogue_number=number,
                position=position,
                utterance=one.id,
                speaker=one.speaker,
                label=one.label,
                prediction=max(zip(row, names, strict=True))[1],
                probabilities=dict(zip(names, row, strict=True)),
                modalities=["text"],
            )


if __name__ == "__main__":
    main()
