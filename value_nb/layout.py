"""What stands at each position of a batch, and one layer of a batch as probes receive it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from value_nb.data.example import Example


class PositionClass(IntEnum):
    """What a position is: a piece of the caption, a region or patch, or a special of either stream."""

    PAD = 0
    TEXT = 1
    IMAGE = 2
    SPECIAL = 3


@dataclass(frozen=True, slots=True)
class StreamLayout:
    """The positions of one stream ("text" or "image") of a batch.

    Attributes
    ----------
    position_class
        `(example, position)` integers of `PositionClass`.
    unit
        `(example, position)`: the word or region that the position belongs to, -1 where none
        ([CLS], [SEP], a global feature row, padding).
    tokens
        For each example its valid positions in words: "[CLS]", "a", "##n"; "r3 dog" for a region.
    """

    position_class: Tensor
    unit: Tensor
    tokens: tuple[tuple[str, ...], ...]

    @property
    def valid(self) -> Tensor:
        """`(example, position)` bool: False on padding."""
        return self.position_class != PositionClass.PAD


@dataclass(frozen=True, slots=True)
class Layout:
    """The examples of a batch and where their words and regions stand in each stream."""

    examples: tuple[Example, ...]
    streams: dict[str, StreamLayout]


@dataclass(frozen=True, slots=True)
class LayerBatch:
    """One published layer of one batch, handed to probes as soon as it is made and freed after.

    Attributes
    ----------
    stack, layer
        "joint", "text", "image" or "cross"; 1-based, 0 is what enters the stack (states only).
    hidden
        stream -> `(example, position, width)`: the state after this layer.
    attention
        direction ("text->image": query->key) -> `(example, head, query, key)`: raw blocks.
    joint
        True when the rows of "text->text" and "text->image" share one softmax (and so for image
        queries), so that only their sum is one; False when each block sums to one alone.
    """

    layout: Layout
    stack: str
    layer: int
    hidden: dict[str, Tensor]
    attention: dict[str, Tensor]
    joint: bool
