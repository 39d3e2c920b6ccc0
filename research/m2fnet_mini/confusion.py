"""Stage 4: which emotion is heard in a corpus that was never heard, RAVDESS and EmoDB by turns.

    python -m research.m2fnet_mini.confusion

Two trainings on sound alone, each with the other corpus's simulated conversations to listen to. Writes
`confusion.json`: for each fold, whose speakers are held out of all, and for `all`: `table` [7, 7] (rows true, columns
said; rows sum to 1). EmoDB has no surprise: that column, and that row but for its diagonal, come from the one direction
that has them, and its diagonal is the mean of the others.
"""

import json

import numpy as np
import torch

from .common import CLASSES, FOLDS, MELD_EMOTIONS, RUNS
from .evaluate import evaluate
from .train import STRANGERS, train

SURPRISE = MELD_EMOTIONS.index("surprise")


def main() -> None:
    torch.set_num_threads(1)
    path = RUNS / "confusion.json"
    found = json.loads(path.read_text()) if path.is_file() else {}
    for fold in (*map(str, range(FOLDS)), "all"):
        if fold in found:
            continue
        rates = []
        for corpus in STRANGERS:
            run = corpus if fold == "all" else f"{corpus}-not-{fold}"
            folder = train(run, 0, {}, RUNS / "runs" / f"heard-{run}")
            counts = np.array(evaluate(folder, "dev")["strangers"]["confusion"])
            rates.append(counts / np.maximum(counts.sum(1, keepdims=True), 1))
        found[fold] = {"table": combine(*rates).round(4).tolist()}
        path.write_text(json.dumps(found, indent=1))
        print(fold, np.diagonal(found[fold]["table"]).round(2), flush=True)


def combine(to_emodb: np.ndarray, to_ravdess: np.ndarray) -> np.ndarray:
    """One table of rates of two, of which the first has no surprise to hear, the second none to say."""
    others = [n for n in range(CLASSES) if n != SURPRISE]
    table = (to_emodb + to_ravdess) / 2
    table[others, SURPRISE] = to_emodb[others, SURPRISE]
    table[others] /= table[others].sum(1, keepdims=True)
    right = np.diagonal(table)[others].mean()
    table[SURPRISE] = to_ravdess[SURPRISE] * (1 - right) / to_ravdess[SURPRISE].sum()
    table[SURPRISE, SURPRISE] = right
    return table


if __name__ == "__main__":
    main()
