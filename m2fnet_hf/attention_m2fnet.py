"""Attention among the utterances of a dialogue: without padding, and with a window at a linear cost.

Dialogues, or blocks of them with a window around, are tiles; those of one shape are attended to together, and a long
batch piece by piece.

Shapes: N real utterances, K of them and of the cached ones before, B dialogues, U utterances, H hidden; n tiles of q
queries and k keys.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.attention.flex_attention import create_block_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.utils.import_utils import is_tracing

from .configuration_m2fnet import M2FNetConfig
from .normalization_m2fnet import PastSpeakers
from .packing_m2fnet import PackedBatch

# Blocks of a windowed dialogue are as long as its window, but not so short that there are too many of them.
LEAST_BLOCK = 64
# Utterances that a step computes at a time: memory for more is requested from the system in every step.
ROWS_AT_ONCE = 1024


class Shape(NamedTuple):
    """Of a tile: its number of queries and of keys, and which key belongs to the first query's utterance."""

    queries: int
    keys: int
    offset: int


class Block(NamedTuple):
    """A tile: its first query, its first key (counted with the cached ones), and its shape."""

    query: int
    key: int
    shape: Shape


class Group(NamedTuple):
    """Tiles of one shape.

    Args:
        tiles, queries, keys: n, q and k.
        mask: true where a query attends to a key [n or 1, 1, q, k], for flex attention in a class of its own; `None`
            where it attends to all (in a causal model: up to itself).
    """

    tiles: int
    queries: int
    keys: int
    mask: Any


@dataclass
class Tiles:
    """The tiles of a piece of a batch, and where its utterances are in them.

    Args:
        groups: tiles by shape.
        query_rows, key_rows: the rows of the packed batch that are queries in this piece, and those that are keys.
        query_index, key_index: which of `query_rows` and of `key_rows` is where in the tiles, group after group.
        output_index: where in the tiles each of `query_rows` is.
        weight_rows, weight_columns: where the weights at each place of the tiles belong in [B * U] and in `size`.
        size: B, U and the number of columns of weights.
    """

    groups: list[Group]
    query_rows: slice
    key_rows: slice
    query_index: torch.Tensor
    key_index: torch.Tensor
    output_index: torch.Tensor
    weight_rows: torch.Tensor
    weight_columns: torch.Tensor
    size: tuple[int, int, int]

    def split_queries(self, rows: torch.Tensor) -> list[torch.Tensor]:
        """The queries to [n, q, ...] by group."""
        return self._split(rows.index_select(0, self.query_index), [group.queries for group in self.groups])

    def split_keys(self, rows: torch.Tensor) -> list[torch.Tensor]:
        """The keys or values to [n, k, ...] by group."""
        return self._split(rows.index_select(0, self.key_index), [group.keys for group in self.groups])

    def join(self, outputs: list[torch.Tensor]) -> torch.Tensor:
        """[n, q, ...] by group to one row for each query."""
        return torch.cat([output.flatten(0, 1) for output in outputs]).index_select(0, self.output_index)

    def spread(self, weights: list[torch.Tensor]) -> torch.Tensor:
        """Weights [n, heads, q, k] by group to [B, heads, U, columns], zero where there is no attention."""
        dialogues, utterances, columns = self.size
        whole = weights[0].new_zeros(dialogues * utterances, columns, weights[0].shape[1])
        for group, (row, column) in zip(weights, self._weight_places(), strict=True):
            whole[row, column] = group.permute(0, 2, 3, 1)
        return whole.unflatten(0, (dialogues, utterances)).permute(0, 3, 1, 2)

    def collect(self, weights: torch.Tensor) -> list[torch.Tensor]:
        """What `spread` made, back to [n, heads, q, k] by group."""
        whole = weights.permute(0, 2, 3, 1).flatten(0, 1)
        return [whole[row, column].permute(0, 3, 1, 2) for row, column in self._weight_places()]

    def _weight_places(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        rows = self._split(self.weight_rows, [group.queries for group in self.groups])
        columns = self._split(self.weight_columns, [group.keys for group in self.groups])
        for row, column in zip(rows, columns, strict=True):
            yield row.unsqueeze(2), column.unsqueeze(1)

    def _split(self, tiled: torch.Tensor, sizes: list[int]) -> list[torch.Tensor]:
        shapes = [(group.tiles, size) for group, size in zip(self.groups, sizes, strict=True)]
        parts = tiled.split([count * size for count, size in shapes])
        return [part.unflatten(0, shape) for part, shape in zip(parts, shapes, strict=True)]


def in_pieces(step: Callable[..., torch.Tensor], *rows: torch.Tensor) -> torch.Tensor:
    """A step that treats each row by itself, applied to rows [N, ...] piece by piece."""
    if is_tracing(rows[0]) or len(rows[0]) <= ROWS_AT_ONCE:
        return step(*rows)
    return torch.cat([step(*piece) for piece in zip(*(one.split(ROWS_AT_ONCE) for one in rows), strict=True)])


def join_pieces(pieces: Iterable[tuple[torch.Tensor, ...]]) -> tuple[Any, ...]:
    """A layer's pieces of a batch in one: rows [N, H], and attention weights, which need a single piece."""
    rows, *weights = zip(*pieces, strict=True)
    return torch.cat(rows), *(parts[0] for parts in weights)


def tile(
    batch: PackedBatch,
    config: M2FNetConfig,
    implementation: str,
    cache: "M2FNetCache | None" = None,
    in_one_piece: bool = False,
) -> list[Tiles]:
    """The tiles of a batch by pieces; each utterance is a query in one of them.

    Args:
        implementation: of attention, which decides on the form of the masks.
        cache: the earlier utterances of the only dialogue.
        in_one_piece: however long the batch is, as attention weights need it.

    Raises:
        ValueError: for padding alone, and for flash attention, which takes no masks, where there is a window.
    """
    if config.attention_window is not None and "flash" in implementation:
        raise ValueError("`attention_window` cannot run on flash attention, use `attn_implementation='sdpa'`.")
    # A graph that is compiled or exported cannot depend on how long the dialogues of one batch are.
    if is_tracing(batch.mask):
        return [_padded_tile(batch, config)]
    if not len(batch.index):
        raise ValueError("A batch needs one real utterance at least, found none in `utterance_mask`.")
    past = 0 if cache is None else cache.kept
    tiler = partial(_tiles, batch=batch, past=past, mask=partial(_mask, config, implementation, batch.index.device))
    lengths = batch.mask.sum(1).tolist()
    piece: list[Block] = []
    pieces = []
    for block in _blocks(lengths, past, config):
        piece.append(block)
        if cache is None and not in_one_piece and block.query + block.shape.queries - piece[0].query >= ROWS_AT_ONCE:
            pieces.append(tiler(piece))
            piece = []
    return [*pieces, tiler(piece)] if piece else pieces


def _blocks(lengths: list[int], past: int, config: M2FNetConfig) -> Iterator[Block]:
    """The tiles of dialogues of these lengths, one after the other."""
    window = config.attention_window
    first = 0
    for length in lengths:
        size = length if window is None else max(window, LEAST_BLOCK)
        for start in range(0, length, size or 1):
            stop = min(start + size, length)
            near = 0 if window is None else max(0, past + start - window)
            far = past + (stop if config.causal or window is None else min(length, stop + window))
            yield Block(first + start, first + near, Shape(stop - start, far - near, past + start - near))
        first += length


def _tiles(blocks: list[Block], batch: PackedBatch, past: int, mask: Callable[[Shape], Any]) -> Tiles:
    """The blocks of a piece, those of one shape together."""
    query_rows = slice(blocks[0].query, blocks[-1].query + blocks[-1].shape.queries)
    last = max(block.key + block.shape.keys for block in blocks)
    key_rows = slice(0 if past else min(block.key for block in blocks), last)  # cached keys stand in front of all
    corners: dict[Shape, list[tuple[int, int]]] = defaultdict(list)
    for block in blocks:
        corners[block.shape].append((block.query - query_rows.start, block.key - key_rows.start))
    device = batch.index.device
    starts = [torch.tensor(pairs, device=device) for pairs in corners.values()]
    query = torch.cat([_ranges(s[:, 0], shape.queries) for s, shape in zip(starts, corners, strict=True)])
    key = torch.cat([_ranges(s[:, 1], shape.keys) for s, shape in zip(starts, corners, strict=True)])
    groups = [Group(len(pairs), shape.queries, shape.keys, mask(shape)) for shape, pairs in corners.items()]
    dialogues, utterances = batch.mask.shape
    column = torch.arange(past + len(batch.index), device=device) if past else batch.index % utterances
    return Tiles(
        groups=groups,
        query_rows=query_rows,
        key_rows=key_rows,
        query_index=query,
        key_index=key,
        output_index=query.argsort(),
        weight_rows=batch.index[query_rows][query],
        weight_columns=column[key_rows][key],
        size=(dialogues, utterances, past + utterances),
    )


def _ranges(starts: torch.Tensor, length: int) -> torch.Tensor:
    return (starts.unsqueeze(1) + torch.arange(length, device=starts.device)).flatten()


def _mask(config: M2FNetConfig, implementation: str, device: torch.device, shape: Shape) -> Any:
    """The mask [q, k] of a tile, in the form that the attention implementation takes."""
    window, is_flex = config.attention_window, "flex" in implementation
    back, ahead = shape.offset + shape.queries - 1, shape.keys - 1 - shape.offset
    is_square = shape.queries == shape.keys and shape.offset == 0
    exceeds_window = window is not None and max(back, 0 if config.causal else ahead) > window
    # Implementations mask the future of a square tile by themselves, but for flex attention.
    has_future = config.causal and ahead > 0 and (is_flex or not is_square)
    if not exceeds_window and not has_future:
        return None
    if is_flex:
        return create_block_mask(
            lambda _batch, _head, query, key: _attends(query + shape.offset - key, config),
            None,
            None,
            shape.queries,
            shape.keys,
            device,
        )
    query = torch.arange(shape.queries, device=device) + shape.offset
    return _attends(query.unsqueeze(1) - torch.arange(shape.keys, device=device), config)[None, None]


def _attends(distance: torch.Tensor, config: M2FNetConfig) -> torch.Tensor:
    """Whether an utterance attends to one at this distance before it (negative: behind it)."""
    attends = torch.ones_like(distance, dtype=torch.bool)
    if config.attention_window is not None:
        attends = distance.abs() <= config.attention_window
    return attends & (distance >= 0) if config.causal else attends


def _padded_tile(batch: PackedBatch, config: M2FNetConfig) -> Tiles:
    """The whole batch with its padding, to which no utterance attends and whose own output is dropped."""
    mask = batch.mask
    dialogues, utterances = mask.shape
    row = (mask.flatten().cumsum(0) - 1).clamp(min=0)
    place = mask.cumsum(1)
    attends = _attends(place.unsqueeze(2) - place.unsqueeze(1), config) & mask.unsqueeze(1) | ~mask.unsqueeze(2)
    everywhere = torch.arange(dialogues * utterances, device=mask.device)
    return Tiles(
        groups=[Group(dialogues, utterances, utterances, attends.unsqueeze(1))],
        query_rows=slice(None),
        key_rows=slice(None),
        query_index=row,
        key_index=row,
        output_index=batch.index,
        weight_rows=everywhere,
        weight_columns=everywhere % utterances,
        size=(dialogues, utterances, utterances),
    )


class M2FNetCache:
    """What a causal model keeps of the earlier utterances of one dialogue, which it continues.

    With `attention_window` it keeps keys and values of no more than the window.

    Args:
        config: of the model.

    Attributes:
        past_length: earlier utterances.
        states: keys and values [K, H] of each attention.
        speakers: by modality, the sums over what each speaker said, for normalisation by speaker.
    """

    def __init__(self, config: M2FNetConfig) -> None:
        self.window = config.attention_window
        self.past_length = 0
        self.states: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self.speakers: dict[str, PastSpeakers] = defaultdict(PastSpeakers)

    @property
    def kept(self) -> int:
        """Utterances to which the next one attends."""
        return self.past_length if self.window is None else min(self.past_length, self.window)

    def extend(self, attention: int, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of one attention for new rows [N, H], behind those before."""
        if attention in self.states:
            key, value = (torch.cat(pair) for pair in zip(self.states[attention], (key, value), strict=True))
        since = 0 if self.window is None else max(0, len(key) - self.window)
        self.states[attention] = key[since:].clone(), value[since:].clone()
        return key, value


def attention_weights(
    module: nn.Module, query: torch.Tensor, key: torch.Tensor, attention_mask: torch.Tensor | None, scaling: float
) -> torch.Tensor:
    """Softmax of the scaled scores: [n, heads, q, H / heads] and [n, heads, k, H / heads] to [n, heads, q, k]."""
    scores = query @ key.transpose(2, 3) * scaling
    if attention_mask is None and module.is_causal and query.shape[2] == key.shape[2]:
        attention_mask = torch.ones(scores.shape[2:], dtype=torch.bool, device=scores.device).tril()
    if attention_mask is not None:
        scores = scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
    return nn.functional.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)


def weighted_values(module: nn.Module, weights: torch.Tensor, value: torch.Tensor, dropout: float) -> torch.Tensor:
    """Values [n, heads, k, H / heads] to their sums [n, q, heads, H / heads]."""
    output = nn.functional.dropout(weights, p=dropout, training=module.training) @ value
    return output.transpose(1, 2).contiguous()


def eager_attention_forward(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scaled dot-product attention with its weights: [n, heads, q, H / heads] to [n, q, heads, H / heads]."""
    weights = attention_weights(module, query, key, attention_mask, scaling)
    return weighted_values(module, weights, value, dropout), weights


class M2FNetAttention(nn.Module):
    """Multi-head attention over the utterances of a dialogue; no row of it is padding."""

    def __init__(self, config: M2FNetConfig) -> None:
        super().__init__()
        self.config = config
        self.head_size = config.hidden_size // config.num_attention_heads
        self.scaling = self.head_size**-0.5
        self.is_causal = config.causal
        self.number = 0  # in the model, which numbers them for the cache
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)
        self.output = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        tiles: Tiles,
        cache: M2FNetCache | None = None,
        output_attentions: bool = False,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Queries, keys and values [N, H] to [N, H] and, on request, weights [B, heads, U, U]."""
        attend: Callable = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, eager_attention_forward
        )
        dropout = self.config.attention_dropout if self.training else 0.0
        query, key, value = self.query(query), self.key(key), self.value(value)
        if cache is not None:
            key, value = cache.extend(self.number, key, value)
        split = tiles.split_queries(query), tiles.split_keys(key), tiles.split_keys(value)
        heads = [tuple(map(self._heads, group)) for group in zip(*split, strict=True)]
        groups = list(zip(tiles.groups, heads, strict=True))
        weights = None
        if output_attentions:
            # The values are weighted by what is returned, so that a gradient reaches it.
            weights = tiles.spread(
                [attention_weights(self, q, k, group.mask, self.scaling) for group, (q, k, _) in groups]
            )
            pairs = zip(tiles.collect(weights), heads, strict=True)
            outputs = [weighted_values(self, one, v, dropout) for one, (_, _, v) in pairs]
        else:
            outputs = [
                attend(self, q, k, v, group.mask, scaling=self.scaling, dropout=dropout, **kwargs)[0]
                for group, (q, k, v) in groups
            ]
        return self.output(tiles.join([output.flatten(2) for output in outputs])), weights

    def _heads(self, rows: torch.Tensor) -> torch.Tensor:
        """[n, q, H] to [n, heads, q, H / heads]."""
        return rows.unflatten(-1, (self.config.num_attention_heads, self.head_size)).transpose(1, 2)


__all__ = ["M2FNetCache"]
