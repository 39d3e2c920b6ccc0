"""Batches in which labels are balanced."""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from torch.utils.data import Sampler


# Not MPerClassSampler: it repeats utterances early, refuses more draws than labels, and has no seed of its own.
class BalancedSampler(Sampler[int]):
    """Indices in an order in which every batch holds several utterances each of several labels.

    Each batch draws its own labels, each of them as often as the others; an utterance comes again only when all others
    of its label have come. An epoch has as many batches as there are utterances for.

    Args:
        labels: of all utterances.
        batch_size: utterances in a batch.
        utterances_per_label: utterances that are drawn of a label at a time.
        seed: of the draw, which is another in each epoch (`set_epoch`).

    Raises:
        ValueError: for less than two labels, or a batch that does not hold two full draws or a whole number of them.
    """

    def __init__(self, labels: Sequence[int], batch_size: int, utterances_per_label: int, seed: int) -> None:
        places = np.asarray(labels)
        self.members = [np.flatnonzero(places == label) for label in np.unique(places)]
        if len(self.members) < 2:
            raise ValueError(f"An extractor needs utterances of two labels at least, found {len(self.members)}.")
        self.draws, rest = divmod(batch_size, utterances_per_label)
        if self.draws < 2 or rest:
            raise ValueError(
                f"The batch size must be {utterances_per_label} (`utterances_per_label`) times 2 or more, "
                f"found {batch_size}; set `per_device_train_batch_size`."
            )
        self.utterances_per_label = utterances_per_label
        self.batches = max(1, len(labels) // batch_size)
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the draw."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.batches * self.draws * self.utterances_per_label

    def __iter__(self) -> Iterator[int]:
        random = np.random.default_rng([self.seed, self.epoch])
        queues = [_endless(members, random) for members in self.members]
        for _ in range(self.batches):
            for label in np.resize(random.permutation(len(queues)), self.draws):
                yield from islice(queues[label], self.utterances_per_label)


def _endless(members: np.ndarray, random: np.random.Generator) -> Iterator[int]:
    while True:
        yield from random.permutation(members).tolist()
