"""Padded batches without their padding, and batches that hold little of it.

Shapes: B dialogues, U utterances, N real ones, L positions of a row. Masks are true where real.
"""

import torch
from transformers.utils.import_utils import is_tracing


class PackedBatch:
    """The real utterances of a padded [B, U] batch, to compute on them alone."""

    def __init__(self, mask: torch.Tensor) -> None:
        self.mask = mask
        self.index = mask.flatten().nonzero().squeeze(-1)
        # Without padding, as in any dialogue alone, nothing needs to be copied.
        self.are_all = not is_tracing(mask) and len(self.index) == mask.numel()

    def pack(self, padded: torch.Tensor) -> torch.Tensor:
        """[B, U, ...] to [N, ...]."""
        return padded.flatten(0, 1) if self.are_all else padded.flatten(0, 1).index_select(0, self.index)

    def unpack(self, packed: torch.Tensor) -> torch.Tensor:
        """[N, ...] to [B, U, ...], zero at padding."""
        if self.are_all:
            return packed.unflatten(0, self.mask.shape)
        padded = packed.new_zeros(self.mask.numel(), *packed.shape[1:])
        return padded.index_copy(0, self.index, packed).unflatten(0, self.mask.shape)


class SharedRows:
    """N rows [N, T] as the M different ones among neighbours: utterances that read their whole dialogue share it."""

    def __init__(self, values: torch.Tensor, mask: torch.Tensor) -> None:
        values = values.masked_fill(~mask, -1)
        changes = torch.ones(len(values), dtype=torch.bool, device=values.device)
        changes[1:] = (values[1:] != values[:-1]).any(1)
        self.first = changes.nonzero().squeeze(-1)
        self.row = changes.cumsum(0) - 1
        self.part = torch.arange(len(values), device=values.device) - self.first[self.row]

    def pack(self, masks: torch.Tensor) -> torch.Tensor:
        """What each of the N utterances marks of its row [N, T], beside that of the others: [M, T, u]."""
        packed = masks.new_zeros(len(self.first), int(self.part.max()) + 1, masks.shape[1])
        return packed.index_put((self.row, self.part), masks).transpose(1, 2)

    def unpack(self, parts: torch.Tensor) -> torch.Tensor:
        """[M, u, D] to [N, D]."""
        return parts[self.row, self.part]


def split_rows(values: torch.Tensor, mask: torch.Tensor) -> list[torch.Tensor]:
    """[N, L, ...] to N rows of their real length, wherever the padding was."""
    return list(values[mask].split(mask.sum(1).tolist()))


def length_mask(lengths: torch.Tensor, longest: int) -> torch.Tensor:
    """[N] to [N, longest]."""
    return torch.arange(longest, device=lengths.device) < lengths.unsqueeze(-1)
