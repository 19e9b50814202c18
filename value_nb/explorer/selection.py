"""What is chosen, a word or a region, and the attention between it and everything else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from value_nb.layout import PositionClass
from value_nb.models.gates import key_of, query_of
from value_nb.trace import UNASSIGNED
from value_nb.widgets.traces import Heads

if TYPE_CHECKING:
    import pandas as pd

    from value_nb.trace import StreamPositions, Trace

KINDS = ("word", "region")
SPECIAL = "special"
STREAM = {"word": "text", "region": "image"}


@dataclass(frozen=True, slots=True)
class Selection:
    """A word of the caption or a region of the picture.

    Attributes
    ----------
    kind
        "word" or "region".
    index
        In `Example.words` or `Example.regions`.
    label
        "dog", or "r3 dog".
    """

    kind: str
    index: int
    label: str


@dataclass(frozen=True, slots=True)
class Partners:
    """Attention between the chosen item and all items of one kind.

    Attributes
    ----------
    kind
        "word" or "region"; "special" for [CLS], [SEP] and their like.
    direction
        The block that the weights are from, "query->key".
    labels
        Of the items.
    weights
        `(item,)` in [0, 1]: raw attention, pooled to words and regions.
    even
        `(item,)`: what each would get, or give, if the softmax were spread evenly over positions.
    """

    kind: str
    direction: str
    labels: tuple[str, ...]
    weights: np.ndarray
    even: np.ndarray


def block_of(chosen: str, other: str, gives: bool) -> str:
    """The direction between a chosen kind and another one: from it where it gives, else to it."""
    mine, theirs = STREAM[chosen], STREAM[other]
    return f"{mine}->{theirs}" if gives else f"{theirs}->{mine}"


def partners(
    trace: Trace, stack: str, layer: int, head: Heads, selection: Selection, gives: bool
) -> dict[str, Partners]:
    """Attention of one layer between the selection and words, and between it and regions.

    A kind is absent where the stack has no such block, or not so many heads in it, and where the example has
    none of its kind.

    Parameters
    ----------
    layer
        1-based.
    head
        0-based, several (their mean), or "mean".
    gives
        What the selection gives to others; else what it receives from them.
    """
    found = {}
    for kind in KINDS:
        direction = block_of(selection.kind, kind, gives)
        if not _computed(trace, stack, layer, direction, head):
            continue
        frame = mean_map(trace, stack, layer, direction, head).drop(columns=UNASSIGNED)
        matrix = frame.to_numpy(float) if gives else frame.to_numpy(float).T
        labels = frame.columns if gives else frame.index
        if len(labels) and selection.index < len(matrix):
            even = _even(trace, direction, selection.index, gives)
            found[kind] = Partners(kind, direction, tuple(map(str, labels)), matrix[selection.index], even)
    return found


def specials(
    trace: Trace, stack: str, layer: int, head: Heads, selection: Selection, gives: bool
) -> tuple[Partners, ...]:
    """Attention between the selection and [CLS], [SEP] and their like: for each stream that has some.

    Parameters and pooling are those of `partners`; a special position is a partner of its own.
    """
    found = []
    for kind in KINDS:
        direction = block_of(selection.kind, kind, gives)
        theirs = trace.streams.get(STREAM[kind])
        if theirs is None or not _computed(trace, stack, layer, direction, head):
            continue
        own = np.flatnonzero(theirs.position_class == PositionClass.SPECIAL)
        members = trace.streams[STREAM[selection.kind]].membership
        if not len(own) or selection.index >= len(members):
            continue
        mine = members[selection.index]
        block = mean_map(trace, stack, layer, direction, head, unit="position").to_numpy(float)
        weights = mine / max(mine.sum(), 1e-12) @ block[:, own] if gives else block[own] @ mine
        even = (1.0 if gives else float(mine.sum())) / _positions(trace, direction)
        labels = tuple(theirs.tokens[place] for place in own)
        found.append(Partners(SPECIAL, direction, labels, weights, np.full(len(own), even)))
    return tuple(found)


def mean_map(
    trace: Trace, stack: str, layer: int, direction: str, head: Heads, unit: str = "word"
) -> pd.DataFrame:
    """The labelled map of one head, or the mean of several."""
    if not isinstance(head, tuple):
        return trace.attention(direction, layer, head, stack, unit)
    frames = [trace.attention(direction, layer, one, stack, unit) for one in head]
    return frames[0].copy() if len(frames) == 1 else sum(frames[1:], frames[0]) / len(frames)


def _computed(trace: Trace, stack: str, layer: int, direction: str, head: Heads) -> bool:
    """Whether the layer has this block, and these heads in it."""
    block = trace.maps.get((stack, layer), {}).get(direction)
    return block is not None and (head == "mean" or max(_listed(head)) < len(block))


def _listed(head: Heads) -> Sequence[int]:
    return head if isinstance(head, tuple) else (int(head),)


def _even(trace: Trace, direction: str, index: int, gives: bool) -> np.ndarray:
    """What an even spread would give: sizes in positions / positions of the softmax."""
    queries, keys = trace.streams[query_of(direction)], trace.streams[key_of(direction)]
    total = _positions(trace, direction)
    if gives:
        return _sizes(keys) / total
    return np.full(len(queries.labels), _sizes(keys)[index] / total)


def _positions(trace: Trace, direction: str) -> int:
    """Over how many positions a row of the softmax goes."""
    streams = trace.streams.values() if trace.joint else [trace.streams[key_of(direction)]]
    return sum(len(stream.tokens) for stream in streams)


def _sizes(positions: StreamPositions) -> np.ndarray:
    """`(unit,)`: of how many positions each word or region is made."""
    return positions.membership.sum(axis=1)
