"""Text encoders on utterances one behind the other in a single row, without padding.

Shapes: T tokens, N of all utterances together, L of the longest, H the encoder's hidden size.
"""

from itertools import groupby
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

# Encoders that run on utterances one behind the other in a single row: all that mixes tokens is attention, through the
# library's interface, and positions can be given.
PACKED_TEXT_ENCODERS = {"bart", "bert", "roberta", "xlm-roberta"}
PACKED_ATTENTION = "m2fnet_packed"


def packed_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    lengths: list[int] | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The library's attention; with `lengths`, of each utterance in a packed row [1, heads, N, H / heads] to itself."""
    if lengths is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    # Neighbours of equal length are attended to together.
    runs = [(length, len(list(run))) for length, run in groupby(lengths)]
    sizes = [length * count for length, count in runs]
    parts = zip(*(rows[0].split(sizes, dim=1) for rows in (query, key, value)), strict=True)
    states = []
    for (length, count), part in zip(runs, parts, strict=True):
        query, key, value = (rows.unflatten(1, (count, length)).transpose(0, 1) for rows in part)
        states.append(sdpa_attention_forward(module, query, key, value, None, **kwargs)[0].flatten(0, 1))
    return torch.cat(states).unsqueeze(0), None


AttentionInterface.register(PACKED_ATTENTION, packed_attention)
AttentionMaskInterface.register(PACKED_ATTENTION, sdpa_mask)


def can_pack(encoder: PreTrainedModel) -> bool:
    """Whether an encoder can be packed; it is then switched to attention that can, unless another kind was chosen."""
    config = encoder.config
    if getattr(config, "encoder_layerdrop", 0):
        return False
    if config.model_type in PACKED_TEXT_ENCODERS and config._attn_implementation == "sdpa":
        config._attn_implementation = PACKED_ATTENTION
    return config._attn_implementation == PACKED_ATTENTION


def packed_states(encoder: Any, rows: list[torch.Tensor]) -> torch.Tensor:
    """Tokens [T] of n utterances to states [n, L, H]; before the last step, there is no padding."""
    lengths = [len(row) for row in rows]
    ids = torch.cat(rows).unsqueeze(0)
    positions = torch.cat([torch.arange(length, device=ids.device) for length in lengths])
    if encoder.config.model_type == "bart":  # takes no positions
        states = encoder.embed_tokens(ids) + encoder.embed_positions(ids, position_ids=positions)
        states = nn.functional.dropout(encoder.layernorm_embedding(states), encoder.dropout, encoder.training)
        for layer in encoder.layers:
            states = layer(states, None, lengths=lengths)
    else:
        # RoBERTa and its kin count positions from behind the padding index.
        padding = encoder.embeddings.position_embeddings.padding_idx
        positions = positions if padding is None else positions + padding + 1
        states = encoder(input_ids=ids, position_ids=positions.unsqueeze(0), lengths=lengths).last_hidden_state
    return pad_sequence(states[0].split(lengths), batch_first=True)
