"""Who sees whom among the utterances of a batch: no padding, and with a window a cost that grows with their number.

Dialogues, or blocks of them with a window around, are tiles; those of one shape are attended to together, and a long
batch piece by piece.

Shapes: N real utterances, K of them and of those before (a cache's), B dialogues, U utterances, H hidden; n tiles of
q rows that ask and k rows that they may see.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch.nn.attention.flex_attention import create_block_mask
from transformers.utils.import_utils import is_tracing

from .configuration_m2fnet import M2FNetConfig
from .encoders_m2fnet import Rows

# Blocks of a windowed dialogue are as long as its window, but not so short that there are too many of them.
LEAST_BLOCK = 64
# A step computes so many rows at a time: memory for more is fetched from the system anew for every step.
ROWS_AT_ONCE = 1024


class Shape(NamedTuple):
    """Of a tile: rows that ask, rows that they may see, and at which of these the first one asks."""

    queries: int
    keys: int
    offset: int


class Block(NamedTuple):
    """A tile: its first row that asks, the first one that is seen (counted with those of a cache), and its shape."""

    query: int
    key: int
    shape: Shape


class Group(NamedTuple):
    """Tiles of one shape.

    Args:
        tiles, queries, keys: n, q and k.
        mask: who sees whom [n or 1, 1, q, k], for flex attention in a class of its own; `None` where a row sees all (in
            a causal model: up to itself).
    """

    tiles: int
    queries: int
    keys: int
    mask: Any


@dataclass
class Tiles:
    """The tiles of a piece of a batch, and where its rows are in them.

    Args:
        groups: tiles by shape.
        asking, seen: the rows of the batch that ask in this piece, and those that they may see.
        queries, keys: which of `asking` and of `seen` is at each place of the tiles, group after group.
        answers: where in the tiles each of `asking` is.
        places, columns: where the weights at each place of the tiles belong in [B * U] and in `size`.
        size: B, U and how many columns weights have.
    """

    groups: list[Group]
    asking: slice
    seen: slice
    queries: torch.Tensor
    keys: torch.Tensor
    answers: torch.Tensor
    places: torch.Tensor
    columns: torch.Tensor
    size: tuple[int, int, int]

    def split_queries(self, rows: torch.Tensor) -> list[torch.Tensor]:
        """The rows that ask to [n, q, ...] by group."""
        return self._split(rows.index_select(0, self.queries), [group.queries for group in self.groups])

    def split_keys(self, rows: torch.Tensor) -> list[torch.Tensor]:
        """The rows that are seen to [n, k, ...] by group."""
        return self._split(rows.index_select(0, self.keys), [group.keys for group in self.groups])

    def join(self, answers: list[torch.Tensor]) -> torch.Tensor:
        """[n, q, ...] by group to the rows that ask."""
        return torch.cat([answer.flatten(0, 1) for answer in answers]).index_select(0, self.answers)

    def spread(self, weights: list[torch.Tensor]) -> torch.Tensor:
        """Weights [n, heads, q, k] by group to [B, heads, U, columns], zero where nobody looks."""
        dialogues, utterances, columns = self.size
        whole = weights[0].new_zeros(dialogues * utterances, columns, weights[0].shape[1])
        places = self._split(self.places, [group.queries for group in self.groups])
        seen = self._split(self.columns, [group.keys for group in self.groups])
        for group, place, column in zip(weights, places, seen, strict=True):
            whole[place.unsqueeze(2), column.unsqueeze(1)] = group.permute(0, 2, 3, 1)
        return whole.unflatten(0, (dialogues, utterances)).permute(0, 3, 1, 2)

    def _split(self, tiled: torch.Tensor, sizes: list[int]) -> list[torch.Tensor]:
        shapes = [(group.tiles, size) for group, size in zip(self.groups, sizes, strict=True)]
        parts = tiled.split([count * size for count, size in shapes])
        return [part.unflatten(0, shape) for part, shape in zip(parts, shapes, strict=True)]


def in_pieces(step: Callable[..., torch.Tensor], *rows: torch.Tensor) -> torch.Tensor:
    """What a step that sees each row by itself makes of rows [N, ...], so many at a time."""
    if is_tracing(rows[0]) or len(rows[0]) <= ROWS_AT_ONCE:
        return step(*rows)
    return torch.cat([step(*piece) for piece in zip(*(every.split(ROWS_AT_ONCE) for every in rows), strict=True)])


def join_pieces(pieces: Iterable[tuple[torch.Tensor, ...]]) -> tuple[Any, ...]:
    """What a layer gives for each piece of a batch, rows and attention weights (or `None`), in one."""
    rows, *weights = zip(*pieces, strict=True)
    return torch.cat(rows), *(None if parts[0] is None else sum(parts[1:], parts[0]) for parts in weights)


def tile(rows: Rows, config: M2FNetConfig, implementation: str, cache: "M2FNetCache | None" = None) -> list[Tiles]:
    """The tiles of a batch by pieces; each row asks in one of them.

    Args:
        implementation: of attention, which decides on the form of the masks.
        cache: what was said before in the only dialogue.

    Raises:
        ValueError: for padding alone, and for flash attention, which takes no masks, where there is a window.
    """
    if config.attention_window is not None and "flash" in implementation:
        raise ValueError("`attention_window` cannot run on flash attention, use `attn_implementation='sdpa'`.")
    # A graph that is compiled or exported cannot depend on how long the dialogues of one batch are.
    if is_tracing(rows.mask):
        return [_padded_tile(rows, config)]
    if not len(rows.index):
        raise ValueError("A batch needs one real utterance at least, found none in `utterance_mask`.")
    past = 0 if cache is None else cache.kept
    tiler = partial(_tiles, rows=rows, past=past, mask=partial(_mask, config, implementation, rows.index.device))
    lengths = rows.mask.sum(1).tolist()
    piece: list[Block] = []
    pieces = []
    for block in _blocks(lengths, past, config):
        piece.append(block)
        if cache is None and block.query + block.shape.queries - piece[0].query >= ROWS_AT_ONCE:
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


def _tiles(blocks: list[Block], rows: Rows, past: int, mask: Callable[[Shape], Any]) -> Tiles:
    """The blocks of a piece, those of one shape together."""
    asking = slice(blocks[0].query, blocks[-1].query + blocks[-1].shape.queries)
    last = max(block.key + block.shape.keys for block in blocks)
    seen = slice(0 if past else min(block.key for block in blocks), last)  # a cache's rows stand in front of all
    corners: dict[Shape, list[tuple[int, int]]] = defaultdict(list)
    for block in blocks:
        corners[block.shape].append((block.query - asking.start, block.key - seen.start))
    device = rows.index.device
    starts = [torch.tensor(pairs, device=device) for pairs in corners.values()]
    query = torch.cat([_ranges(s[:, 0], shape.queries) for s, shape in zip(starts, corners, strict=True)])
    key = torch.cat([_ranges(s[:, 1], shape.keys) for s, shape in zip(starts, corners, strict=True)])
    groups = [Group(len(pairs), shape.queries, shape.keys, mask(shape)) for shape, pairs in corners.items()]
    dialogues, utterances = rows.mask.shape
    column = torch.arange(past + len(rows.index), device=device) if past else rows.index % utterances
    return Tiles(
        groups=groups,
        asking=asking,
        seen=seen,
        queries=query,
        keys=key,
        answers=query.argsort(),
        places=rows.index[asking][query],
        columns=column[seen][key],
        size=(dialogues, utterances, past + utterances),
    )


def _ranges(starts: torch.Tensor, length: int) -> torch.Tensor:
    return (starts.unsqueeze(1) + torch.arange(length, device=starts.device)).flatten()


def _mask(config: M2FNetConfig, implementation: str, device: torch.device, shape: Shape) -> Any:
    """Who sees whom [q, k] in a tile, in the form that the attention implementation takes."""
    window, is_flex = config.attention_window, "flex" in implementation
    back, ahead = shape.offset + shape.queries - 1, shape.keys - 1 - shape.offset
    is_square = shape.queries == shape.keys and shape.offset == 0
    sees_too_far = window is not None and max(back, 0 if config.causal else ahead) > window
    # Implementations cut the future off a square tile by themselves, but for flex attention.
    sees_future = config.causal and ahead > 0 and (is_flex or not is_square)
    if not sees_too_far and not sees_future:
        return None
    if is_flex:
        return create_block_mask(
            lambda _batch, _head, query, key: _sees(query + shape.offset - key, config),
            None,
            None,
            shape.queries,
            shape.keys,
            device,
        )
    query = torch.arange(shape.queries, device=device) + shape.offset
    return _sees(query.unsqueeze(1) - torch.arange(shape.keys, device=device), config)[None, None]


def _sees(distance: torch.Tensor, config: M2FNetConfig) -> torch.Tensor:
    """Whether an utterance sees one that lies so far before it (negative: behind it)."""
    sees = torch.ones_like(distance, dtype=torch.bool)
    if config.attention_window is not None:
        sees = distance.abs() <= config.attention_window
    return sees & (distance >= 0) if config.causal else sees


def _padded_tile(rows: Rows, config: M2FNetConfig) -> Tiles:
    """The whole batch as it is. Nobody sees padding, which itself sees all: what it asks is answered, and dropped."""
    mask = rows.mask
    dialogues, utterances = mask.shape
    row = (mask.flatten().cumsum(0) - 1).clamp(min=0)
    place = mask.cumsum(1)
    sees = _sees(place.unsqueeze(2) - place.unsqueeze(1), config) & mask.unsqueeze(1) | ~mask.unsqueeze(2)
    everywhere = torch.arange(dialogues * utterances, device=mask.device)
    return Tiles(
        groups=[Group(dialogues, utterances, utterances, sees.unsqueeze(1))],
        asking=slice(None),
        seen=slice(None),
        queries=row,
        keys=row,
        answers=rows.index,
        places=everywhere,
        columns=everywhere % utterances,
        size=(dialogues, utterances, utterances),
    )


class M2FNetCache:
    """Keys and values of what was said before, from which a causal model goes on with one dialogue.

    With `attention_window` it keeps no more than the window.

    Args:
        config: of the model.

    Attributes:
        seen: utterances before.
        states: keys and values [K, H] of each attention.
    """

    def __init__(self, config: M2FNetConfig) -> None:
        self.window = config.attention_window
        self.seen = 0
        self.states: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    @property
    def kept(self) -> int:
        """Utterances that can still be seen."""
        return self.seen if self.window is None else min(self.seen, self.window)

    def extend(self, attention: int, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of one attention for new rows [N, H], behind those before."""
        if attention in self.states:
            key, value = (torch.cat(pair) for pair in zip(self.states[attention], (key, value), strict=True))
        since = 0 if self.window is None else max(0, len(key) - self.window)
        self.states[attention] = key[since:].clone(), value[since:].clone()
        return key, value


__all__ = ["M2FNetCache"]
