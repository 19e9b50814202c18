"""Which positions a span of words or regions covers in a batch, and pooling of states and maps over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from value_nb.layout import Layout, StreamLayout

Stream = Literal["text", "image"]
FIRST = -1
ROWS = 2**24  # numbers of attention rows that are held at a time while spans are pooled


@dataclass(frozen=True, slots=True)
class Span:
    """Some words of the caption, some regions of the picture, or the first position of the text.

    Attributes
    ----------
    stream
        "text" or "image".
    units
        Word or region indices of the example; (FIRST,) is the stream's first position ([CLS] in text).
    """

    stream: Stream
    units: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.stream not in ("text", "image"):
            raise ValueError(f"stream is {self.stream!r}; expected 'text' or 'image'")
        if not self.units or len(set(self.units)) != len(self.units) or min(self.units) < FIRST:
            raise ValueError(
                f"units is {self.units}; expected one or more different indices from 0, or FIRST"
            )


CLS = Span("text", (FIRST,))
"""The position of [CLS]."""


def words(units: Sequence[int]) -> Span:
    """Span of words, by their indices in `Example.words`."""
    return Span("text", tuple(map(int, units)))


def regions(*units: int) -> Span:
    """Span of regions, by their indices in `Example.regions`."""
    return Span("image", tuple(map(int, units)))


@dataclass(frozen=True, slots=True)
class Placed:
    """Spans as positions of a batch. One entry for each (span, position), in order of the spans.

    Attributes
    ----------
    stream
        The stream of all the spans.
    n
        Number of spans.
    span, example, position
        `(entry,)` int64.
    share
        `(entry,)` float32: 1 / units of the span, times the position's part of its unit (1 / positions of
        the unit, where they are whole); adds up to 1 over a span.
    weight
        `(entry,)` float32 in (0, 1]: the part of the position that belongs to the unit, 1 for pieces of words
        and regions with features, for a patch its share of area inside the region.
    """

    stream: str
    n: int
    span: np.ndarray
    example: np.ndarray
    position: np.ndarray
    share: np.ndarray
    weight: np.ndarray


def place(spans: Sequence[Span], examples: Sequence[int], layout: Layout) -> Placed:
    """Find the positions of spans of one stream.

    Parameters
    ----------
    spans
        All of one stream.
    examples
        `(span,)`: the row of the batch that each belongs to.
    layout
        Of the batch.

    Raises
    ------
    ValueError
        For spans of several streams, or a word or region that has no position in its example.
    """
    streams = sorted({span.stream for span in spans})
    if len(streams) != 1:
        raise ValueError(f"spans of streams {streams} came; expected one or more spans of one stream")
    units = np.array([unit for span in spans for unit in span.units], dtype=np.int64)
    sizes = np.array([len(span.units) for span in spans], dtype=np.int64)
    of_span = np.repeat(np.arange(len(spans)), sizes)
    of_example = np.asarray(examples, dtype=np.int64)[of_span]
    found = _find(layout.streams[streams[0]], of_example, units)
    if (found.counts == 0).any():
        lost = int(np.flatnonzero(found.counts == 0)[0])
        example = layout.examples[of_example[lost]]
        kind = "word" if streams[0] == "text" else "region"
        raise ValueError(f"{kind} {units[lost]} of example {example.id!r} has no position; it was asked for")
    entry = np.repeat(np.arange(len(units)), found.counts)
    weight = found.weight[found.entries]
    whole = np.bincount(entry, weights=weight, minlength=len(units))
    return Placed(
        stream=streams[0],
        n=len(spans),
        span=of_span[entry],
        example=of_example[entry],
        position=found.position[found.entries],
        share=(weight / whole[entry] / sizes[of_span][entry]).astype(np.float32),
        weight=weight,
    )


def pool_states(states: Tensor, placed: Placed) -> Tensor:
    """Mean state of each span: over the pieces of a word or the patches of a region, then over these.

    Patches count by their share in the region.

    Parameters
    ----------
    states
        `(example, position, width)` of the spans' stream.

    Returns
    -------
    `(span, width)` float32.
    """
    import torch

    example, position, share, span = _on(states.device, placed)
    values = states[example, position].float() * share[:, None]
    pooled = torch.zeros((placed.n, states.shape[-1]), dtype=torch.float32, device=states.device)
    return pooled.index_add_(0, span, values)


def pool_attention(block: Tensor, queries: Placed, keys: Placed) -> Tensor:
    """Attention from span to span: sum over what is looked at, mean over what looks.

    A patch that lies in a region in part counts in part: attention to it times its share, and as much in the
    mean. In a span of several regions that overlap, no patch counts more than once.

    Parameters
    ----------
    block
        `(example, head, query, key)`.
    queries, keys
        As many spans each; the i-th pair lies in one example.

    Returns
    -------
    `(span, head)` float32 between 0 and 1.
    """
    import torch

    example, position, share, span = _on(block.device, queries)
    _, key, _, of = _on(block.device, keys)
    weight = torch.from_numpy(keys.weight).to(block.device)
    looked_at = torch.zeros((keys.n, block.shape[-1]), dtype=torch.float32, device=block.device)
    looked_at = looked_at.index_put_((of, key), weight, accumulate=True).clamp_(max=1.0)
    pooled = torch.zeros((queries.n, block.shape[1]), dtype=torch.float32, device=block.device)
    step = max(1, ROWS // max(1, block.shape[1] * block.shape[3]))
    for first in range(0, len(span), step):
        part = slice(first, first + step)
        rows = block[example[part], :, position[part]].float()  # (entry, head, key)
        values = torch.einsum("ehk,ek->eh", rows, looked_at[span[part]]) * share[part, None]
        pooled.index_add_(0, span[part], values)
    return pooled


@dataclass(frozen=True, slots=True)
class _Found:
    """Positions of asked units: their number by unit, and where they stand in `position` and `weight`."""

    counts: np.ndarray
    entries: np.ndarray
    position: np.ndarray
    weight: np.ndarray


def _find(stream: StreamLayout, examples: np.ndarray, units: np.ndarray) -> _Found:
    """The positions of each (example, unit)."""
    members, many = stream.members(), len(stream.position_class)
    base = max(int(members.unit.max(initial=0)), int(units.max(initial=0))) + 2  # room for FIRST
    codes = np.concatenate([members.example * base + members.unit + 1, np.arange(many) * base + FIRST + 1])
    position = np.concatenate([members.position, np.zeros(many, dtype=members.position.dtype)])
    weight = np.concatenate([members.share, np.ones(many, dtype=np.float32)])
    order = np.argsort(codes, kind="stable")
    wanted = examples * base + units + 1
    starts = np.searchsorted(codes[order], wanted, side="left")
    counts = np.searchsorted(codes[order], wanted, side="right") - starts
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return _Found(counts, order[np.repeat(starts, counts) + within], position, weight)


def _on(device: torch.device, placed: Placed) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    import torch

    example, position, share, span = (
        torch.from_numpy(x) for x in (placed.example, placed.position, placed.share, placed.span)
    )
    return example.to(device), position.to(device), share.to(device), span.to(device)
