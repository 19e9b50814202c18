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
        `(entry,)` float32: 1 / units of the span / positions of the unit; adds up to 1 over a span.
    """

    stream: str
    n: int
    span: np.ndarray
    example: np.ndarray
    position: np.ndarray
    share: np.ndarray


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
    starts, counts, positions = _find(layout.streams[streams[0]], of_example, units)
    if (counts == 0).any():
        lost = int(np.flatnonzero(counts == 0)[0])
        example = layout.examples[of_example[lost]]
        kind = "word" if streams[0] == "text" else "region"
        raise ValueError(f"{kind} {units[lost]} of example {example.id!r} has no position; it was asked for")
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    share = 1.0 / (sizes[of_span] * counts)
    return Placed(
        stream=streams[0],
        n=len(spans),
        span=np.repeat(of_span, counts),
        example=np.repeat(of_example, counts),
        position=positions[np.repeat(starts, counts) + within],
        share=np.repeat(share, counts).astype(np.float32),
    )


def pool_states(states: Tensor, placed: Placed) -> Tensor:
    """Mean state of each span: over the pieces of a word, then over its words.

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
    looked_at = torch.zeros((keys.n, block.shape[-1]), dtype=torch.float32, device=block.device)
    looked_at[_on(block.device, keys)[3], _on(block.device, keys)[1]] = 1.0
    rows = block[example, :, position].float()  # (entry, head, key)
    values = torch.einsum("ehk,ek->eh", rows, looked_at[span]) * share[:, None]
    pooled = torch.zeros((queries.n, block.shape[1]), dtype=torch.float32, device=block.device)
    return pooled.index_add_(0, span, values)


def _find(
    stream: StreamLayout, examples: np.ndarray, units: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the positions of each (example, unit) start in the returned list of positions, and how many."""
    table = stream.unit.cpu().numpy()
    base = max(int(table.max(initial=0)), int(units.max(initial=0))) + 2  # room for FIRST
    rows, columns = np.nonzero(table >= 0)
    codes = rows * base + table[rows, columns] + 1
    firsts = np.arange(len(table)) * base + FIRST + 1
    codes = np.concatenate([codes, firsts])
    columns = np.concatenate([columns, np.zeros(len(table), dtype=columns.dtype)])
    order = np.argsort(codes, kind="stable")
    wanted = examples * base + units + 1
    starts = np.searchsorted(codes[order], wanted, side="left")
    return starts, np.searchsorted(codes[order], wanted, side="right") - starts, columns[order]


def _on(device: torch.device, placed: Placed) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    import torch

    example, position, share, span = (
        torch.from_numpy(x) for x in (placed.example, placed.position, placed.share, placed.span)
    )
    return example.to(device), position.to(device), share.to(device), span.to(device)
