"""What stands at each position of a batch, and one layer of a batch as probes receive it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from value_nb.data.example import Example


class PositionClass(IntEnum):
    """What a position is: a piece of the caption, a region or patch, or a special of either stream."""

    PAD = 0
    TEXT = 1
    IMAGE = 2
    SPECIAL = 3


@dataclass(frozen=True, slots=True)
class Members:
    """Which positions belong to which words or regions: one entry for each pair with a share above 0.

    Attributes
    ----------
    example, position, unit
        `(entry,)` int64, in order of examples, then positions, then units.
    share
        `(entry,)` float32 in (0, 1]: the part of the position that belongs to the unit.
    """

    example: np.ndarray
    position: np.ndarray
    unit: np.ndarray
    share: np.ndarray


@dataclass(frozen=True, slots=True)
class StreamLayout:
    """The positions of one stream ("text" or "image") of a batch.

    A position belongs to words or regions by shares. For pieces of words and for region features the share
    is 1 of one unit, and `unit` says it all. A patch of the picture can lie in several regions, or partly in
    one: `shares` then holds area of the patch inside the region / area of the patch. Whoever pools positions
    asks `membership` or `members`, which know both.

    Attributes
    ----------
    position_class
        `(example, position)` integers of `PositionClass`.
    unit
        `(example, position)`: the word or region that the position belongs to, the one with the largest
        share where there are several, -1 where none ([CLS], [SEP], a global feature row, padding).
    tokens
        For each example its valid positions in words: "[CLS]", "a", "##n"; "r3 dog" for a region;
        "patch 3,4" for a patch (row and column from 0).
    shares
        `(example, position, unit)` float in [0, 1]; None where every position belongs to one unit or none.
    loose
        `(example, position)` float in [0, 1]: the part of each position that is in no unit. Where regions
        overlap this is not 1 - the sum of shares. None where `shares` is.
    boxes
        `(example, position, 4)`: the piece of the picture that a position is, x1 y1 x2 y2 as fractions of
        width and height, nan where it is none. None where positions are no pieces of the picture by
        themselves, but words, or regions with features.
    """

    position_class: Tensor
    unit: Tensor
    tokens: tuple[tuple[str, ...], ...]
    shares: Tensor | None = None
    loose: Tensor | None = None
    boxes: Tensor | None = None

    @property
    def valid(self) -> Tensor:
        """`(example, position)` bool: False on padding."""
        return self.position_class != PositionClass.PAD

    def membership(self, units: int | None = None) -> Tensor:
        """`(example, position, unit)` float32 in [0, 1]: what part of each position belongs to each unit.

        Parameters
        ----------
        units
            Number of units in the answer; None: as many as there are. Units beyond those there are get 0.
        """
        import torch

        if self.shares is None:
            n = int(self.unit.max().item()) + 1 if self.unit.numel() else 0
            wanted = torch.arange(n if units is None else units, device=self.unit.device)
            return (self.unit[:, :, None] == wanted).float()
        there = self.shares.float()
        if units is None or units == there.shape[2]:
            return there
        padding = max(0, units - there.shape[2])
        return torch.nn.functional.pad(there[:, :, :units], (0, padding))

    @property
    def unassigned(self) -> Tensor:
        """`(example, position)` float32 in [0, 1]: the part that is in no word or region; 0 on padding."""
        if self.loose is None:
            return ((self.unit < 0) & self.valid).float()
        return self.loose.float() * self.valid

    def members(self) -> Members:
        """Every position of every unit, as arrays."""
        import numpy as np

        if self.shares is None:
            unit = self.unit.cpu().numpy()
            example, position = np.nonzero(unit >= 0)
            found = unit[example, position]
            return Members(example, position, found, np.ones(len(found), dtype=np.float32))
        shares = self.shares.float().cpu().numpy()
        example, position, found = np.nonzero(shares > 0)
        return Members(example, position, found, shares[example, position, found])


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
