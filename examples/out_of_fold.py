"""Fine-tune a larger encoder on MELD, and write what it believes of the training utterances that it did not see.

    python examples/out_of_fold.py --encoder sentence-transformers/all-mpnet-base-v2 --meld MELD.Raw \\
        --output runs/beliefs.jsonl

The encoder reads a whole dialogue at once, each utterance behind its speaker's name, and an MLP reads the mean over an
utterance's tokens. Three of them are fine-tuned, each on two thirds of the dialogues, and predict the last third. With
`training.teachers=[runs/beliefs.jsonl]` a small model learns from that. A fold that is done is kept beside the output.
"""

import argparse
import random
import re
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.progress import track
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerBase, get_cosine_schedule_with_warmup

from m2fnet_hf import Dialogue
from m2fnet_hf.data.meld import load_meld_split
from m2fnet_hf.evaluation.records import Record, read_records, tee_records

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

# Tokens of a dialogue and, of each, whose utterance it is (-1 for the first token, which is nobody's).
Tokens = tuple[torch.Tensor, torch.Tensor]


class DialogueClassifier(nn.Module):
    """One pass of an encoder over a dialogue; each utterance is the mean of its own tokens."""

    def __init__(self, encoder: nn.Module, labels: int) -> None:
        super().__init__()
        size: Any = encoder.config.hidden_size
        self.encoder = encoder
        self.head = nn.Sequential(
            nn.LayerNorm(size), nn.Linear(size, size), nn.GELU(), nn.Dropout(0.1), nn.Linear(size, labels)
        )

    def forward(self, dialogues: Sequence[Tokens]) -> torch.Tensor:
        """Dialogues to logits [N, C] of their N utterances."""
        ids = pad_sequence([tokens for tokens, _ in dialogues], batch_first=True)
        mask = pad_sequence([torch.ones_like(tokens) for tokens, _ in dialogues], batch_first=True)
        with torch.autocast(ids.device.type, torch.bfloat16):
            states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        own = [state[: len(whose)] for state, (_, whose) in zip(states.float(), dialogues, strict=True)]
        means = [
            torch.stack([rows[whose == number].mean(0) for number in range(int(whose.max()) + 1)])
            for rows, (_, whose) in zip(own, dialogues, strict=True)
        ]
        return self.head(torch.cat(means))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", required=True, help="folder or Hub name")
    parser.add_argument("--meld", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    dialogues = load_meld_split(options.meld, "train")
    folds = _folds(len(dialogues))
    files = [options.output.with_suffix(f".{fold}.jsonl") for fold in range(FOLDS)]
    for fold, file in enumerate(files):
        if not file.is_file():
            deque(tee_records(believe(options.encoder, dialogues, folds, fold), file), maxlen=0)
    found = sorted((record for file in files for record in read_records(file)), key=_order)
    deque(tee_records(found, options.output), maxlen=0)


def believe(encoder: str, dialogues: Sequence[Dialogue], folds: Sequence[int], fold: int) -> Iterator[Record]:
    """What a classifier that was trained on the other folds predicts of one; the fold is its seed, too."""
    torch.manual_seed(fold)
    shuffle = random.Random(fold)
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    names = list(dict.fromkeys(one.label for dialogue in dialogues for one in dialogue))
    tokens = [tokenize(dialogue, tokenizer) for dialogue in dialogues]
    labels = [torch.tensor([names.index(one.label) for one in dialogue]) for dialogue in dialogues]
    model = DialogueClassifier(AutoModel.from_pretrained(encoder, add_pooling_layer=False), len(names)).train()
    seen = [number for number, own in enumerate(folds) if own != fold]
    steps = EPOCHS * -(-len(seen) // BATCH_SIZE)
    optimizer = torch.optim.AdamW(parameter_groups(model), weight_decay=WEIGHT_DECAY)
    schedule = get_cosine_schedule_with_warmup(optimizer, WARMUP_STEPS, steps)
    batches = (batch for _ in range(EPOCHS) for batch in _batches(seen, shuffle))
    for batch in track(batches, description=f"fold {fold}", total=steps):
        logits = model([piece for number in batch for piece in tokens[number]])
        targets = torch.cat([labels[number] for number in batch])
        nn.functional.cross_entropy(logits, targets, label_smoothing=LABEL_SMOOTHING).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    model.eval()
    for number, own in enumerate(folds):
        if own == fold:
            with torch.inference_mode():
                probabilities = model(tokens[number]).softmax(-1)
            yield from _records(number, dialogues[number], probabilities, names)


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
        rate = LEARNING_RATE if name.startswith("head.") else ENCODER_LEARNING_RATE * LAYER_DECAY**below
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


def _records(number: int, dialogue: Dialogue, probabilities: torch.Tensor, names: list[str]) -> Iterator[Record]:
    for position, (one, row) in enumerate(zip(dialogue, probabilities.tolist(), strict=True), start=1):
        yield Record(
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


def _order(record: Record) -> tuple[int, int]:
    return record.dialogue_number, record.position


if __name__ == "__main__":
    main()
