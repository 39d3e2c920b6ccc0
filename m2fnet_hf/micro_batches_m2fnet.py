"""Batches of rows that hold little padding, for encoders."""

from collections.abc import Iterator

# Encoders run on micro-batches of at most this many tokens or samples, padding included.
TOKEN_BUDGET = 8192
SAMPLE_BUDGET = 16_000 * 60
# They are filled with real positions to at least this share.
LEAST_FILL = 0.95


def micro_batches(
    lengths: list[int], budget: int, longest: int | None, equal: bool = False, least_fill: float = LEAST_FILL
) -> Iterator[list[int]]:
    """Indices of rows, shortest first, in batches of a padded size of at most `budget`.

    They are filled to `least_fill`, or of equal length. A row above `longest` or `budget` comes alone.
    """
    batch: list[int] = []
    real = 0
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        length = lengths[index]
        size = length * (len(batch) + 1)
        unlike = length != lengths[batch[0]] if equal and batch else real + length < least_fill * size
        if batch and (unlike or size > budget or (longest is not None and length > longest)):
            yield batch
            batch, real = [], 0
        batch.append(index)
        real += length
    if batch:
        yield batch


__all__ = ["LEAST_FILL", "SAMPLE_BUDGET", "TOKEN_BUDGET", "micro_batches"]
