"""What a flow shows: two sides with their items, and the weights between them, head by head."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from value_nb.models.gates import key_of, query_of
from value_nb.trace import PATCHES, REGIONS, UNASSIGNED

if TYPE_CHECKING:
    from value_nb.trace import Trace

WORDS = "words"
ROWS = 14  # regions of one column, unless there are very many
KINDS = {"text": WORDS, "image": REGIONS}


@dataclass(frozen=True, slots=True)
class Side:
    """One side of the flow.

    Attributes
    ----------
    kind
        "words", "regions" or "patches".
    labels
        One for each item: "man", "r3 dog", "patch 0,1".
    looks
        These look; else they are looked at.
    columns
        Of its items: one for words, as many as the picture has for patches.
    """

    kind: str
    labels: tuple[str, ...]
    looks: bool
    columns: int = 1

    @property
    def pictured(self) -> bool:
        """Items are pieces of the picture."""
        return self.kind != WORDS

    @property
    def tiled(self) -> bool:
        """Items lie as the patches of the picture do, without gaps or names."""
        return self.kind == PATCHES

    @property
    def heading(self) -> str:
        """Kind and role in words."""
        return f"{self.kind} look" if self.looks else f"{self.kind} are looked at"


@dataclass(frozen=True, slots=True)
class Scene:
    """Both sides, and the weights of the chosen heads between them.

    Attributes
    ----------
    left, right
        Words stand on the left of regions whichever looks; of two sides of one kind, the left one looks.
    weights
        `(head, left, right)` in [0, 1]: raw attention, pooled to words and regions; what goes to specials is
        left out.
    heads
        Name of each head: "head 2", "mean over 6 heads".
    """

    left: Side
    right: Side
    weights: np.ndarray
    heads: tuple[str, ...]


def scene_of(
    trace: Trace, stack: str, direction: str, layer: int, heads: Sequence[int | str], count: int
) -> Scene:
    """Cut a scene out of a trace.

    Parameters
    ----------
    layer
        1-based.
    heads
        0-based, or "mean".
    count
        How many heads there are, for the name of their mean.
    """
    image = pieces(trace)
    if direction != "text->text" and not len(boxes_of(trace)):
        raise ValueError(f"example {trace.example.id!r} has no regions; choose one with a picture")
    frames = [
        trace.attention(direction, layer, head, stack, image=image).drop(columns=UNASSIGNED) for head in heads
    ]
    weights = np.stack([frame.to_numpy(float) for frame in frames])
    query, key = query_of(direction), key_of(direction)
    kinds = {**KINDS, "image": image}
    names = (tuple(map(str, frames[0].index)), tuple(map(str, frames[0].columns)))
    sides = (
        Side(kinds[query], names[0], True, _columns(trace, kinds[query], len(names[0]))),
        Side(kinds[key], names[1], False, _columns(trace, kinds[key], len(names[1]))),
    )
    if (query, key) == ("image", "text"):
        sides, weights = sides[::-1], weights.transpose(0, 2, 1)
    said = tuple(f"mean over {count} heads" if head == "mean" else f"head {head}" for head in heads)
    return Scene(*sides, weights, said)


def _columns(trace: Trace, kind: str, count: int) -> int:
    """Patches keep the columns of their picture; regions get so many that they stay on one screen."""
    if kind == WORDS:
        return 1
    if kind == PATCHES:
        return len(np.unique(boxes_of(trace)[:, 0].round(6)))
    return max(1, math.ceil(count / max(ROWS, math.ceil(math.sqrt(count)))))


def pieces(trace: Trace) -> str:
    """Regions, or the patches of a model that looks at patches."""
    picture = trace.streams.get("image")
    return PATCHES if picture is not None and picture.boxes is not None else REGIONS


def boxes_of(trace: Trace) -> np.ndarray:
    """`(region or patch, 4)`, x1 y1 x2 y2 as fractions; nothing for a trace without a picture."""
    picture, regions = trace.streams.get("image"), trace.example.regions
    if picture is not None and picture.boxes is not None:
        own = picture.patches
        return np.asarray(picture.boxes[own.unit >= 0], dtype=float)
    return np.zeros((0, 4)) if picture is None or regions is None else np.asarray(regions.boxes, dtype=float)
