"""An encoder's output to the features of an utterance.

Shapes: N utterances, L positions of an encoder's output, H its hidden size, D features. Masks are true where real.
"""

import torch


def block_pool(states: torch.Tensor, mask: torch.Tensor, num_blocks: int) -> torch.Tensor:
    """Average the real positions [N, L, H] in `num_blocks` blocks of neighbours to [N, num_blocks * H].

    Blocks overlap where they must (adaptive average pooling), so that a row shorter than `num_blocks` leaves none
    empty. One block is the mean. The report averaged blocks of neighbouring values of zero-padded sequences instead.
    With a mask [N, L, u], u parts of each row are averaged on their own: [N, u, num_blocks * H].
    """
    parts = mask.reshape(*states.shape[:2], -1).transpose(1, 2)
    position = parts.cumsum(2).sub(1).unsqueeze(2)
    length = parts.sum(2)[..., None, None]
    block = torch.arange(num_blocks, device=mask.device).view(-1, 1)
    inside = (position * num_blocks >= block * length - block * length % num_blocks) & (
        position * num_blocks < (block + 1) * length
    )
    weights = (inside & parts.unsqueeze(2)).to(states.dtype)
    # A row with fewer parts than others has empty ones, which are not used: they must not be NaN in its gradient.
    weights = weights / weights.sum(-1, keepdim=True).clamp(min=1)
    pooled = weights.flatten(1, 2) @ states
    return pooled.reshape(*mask.shape[:1], *mask.shape[2:], num_blocks * states.shape[2])


def block_statistics(states: torch.Tensor, mask: torch.Tensor, num_blocks: int, pooling: str) -> torch.Tensor:
    """The means of [`block_pool`] and, with `mean_std`, the blocks' standard deviations: [N, D], mask [N, L]."""
    means = block_pool(states, mask, num_blocks)
    if pooling == "mean":
        return means
    # In single precision, where squares keep their digits, and around the mean of the row.
    states = states.float()
    states = states - block_pool(states, mask, 1).unsqueeze(1)
    variance = block_pool(states.square(), mask, num_blocks) - block_pool(states, mask, num_blocks).square()
    # The root has no gradient at 0, which is the variance of one position.
    deviation = variance.clamp(min=torch.finfo(variance.dtype).tiny).sqrt()
    return torch.cat([means, deviation.to(means.dtype)], dim=-1)
