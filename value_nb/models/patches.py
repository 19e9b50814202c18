"""Patches of a picture and the regions that they lie in: shares by area of overlap."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from value_nb.data.example import Regions
from value_nb.data.grid_boxes import NOTES, PATCH, grid_boxes, grid_names
from value_nb.data.matching import as_boxes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from value_nb.data.example import Example

LEAST = 1e-6
"""Shares below are rounding of boxes that are stored as float32, and count as none."""


@dataclass(frozen=True, slots=True)
class PatchShares:
    """How the patches of one picture are divided among its regions.

    Attributes
    ----------
    shares
        `(patch, region)` in [0, 1]: area of the patch inside the region / area of the patch. Overlapping
        regions each get their share, so a row can add up to more than 1.
    loose
        `(patch,)` in [0, 1]: part of the patch that lies in no region.
    """

    shares: np.ndarray
    loose: np.ndarray

    @property
    def unit(self) -> np.ndarray:
        """`(patch,)` int64: the region with the largest share (the first of equals), -1 where none."""
        if not self.shares.shape[1]:
            return np.full(len(self.shares), -1, dtype=np.int64)
        return np.where(self.shares.max(axis=1) > LEAST, self.shares.argmax(axis=1), -1).astype(np.int64)


def patch_shares(patches: ArrayLike, regions: ArrayLike) -> PatchShares:
    """Divide patches among regions by area.

    Every region gets at least one patch. A region without area inside any patch (a line, a point, or all its
    patches were left out of the model's sample) is given a share of 1e-6 of the patch that is nearest to its
    middle: it looks as that patch does, and is looked at by next to nothing.

    Parameters
    ----------
    patches
        `(patch, 4)`, x1 y1 x2 y2, each with an area; at least one.
    regions
        `(region, 4)` in the same unit.

    Examples
    --------
    >>> two = [[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]]
    >>> found = patch_shares(two, [[0.25, 0.0, 1.0, 1.0], [0.0, 0.0, 0.25, 0.5]])
    >>> found.shares.tolist(), found.loose.tolist()
    ([[0.5, 0.25], [1.0, 0.0]], [0.25, 0.0])
    """
    pieces, boxes = as_boxes(patches), as_boxes(regions)
    shares = _overlap(pieces, boxes)
    for region in np.flatnonzero(~(shares >= LEAST).any(axis=0)):
        shares[_nearest(pieces, boxes[region], shares[:, region]), region] = LEAST
    return PatchShares(np.where(shares >= LEAST, shares, 0.0), _uncovered(pieces, boxes))


def with_patch_regions(example: Example, rows: int, columns: int, kept: np.ndarray | None = None) -> Example:
    """The example itself where it has regions, else a copy whose regions are the patches.

    Parameters
    ----------
    example
        With a picture.
    rows, columns
        Of the grid that the model cuts the picture into.
    kept
        Indices of the patches that it looks at, row by row; None: all.
    """
    if example.regions is not None and len(example.regions):
        return example
    chosen = np.arange(rows * columns) if kept is None else kept
    names = grid_names(rows, columns, PATCH)
    regions = Regions(
        boxes=grid_boxes(rows, columns)[chosen].astype(np.float32),
        features=None,
        names=tuple(names[i] for i in chosen),
        sources=(PATCH,) * len(chosen),
    )
    return replace(example, regions=regions, extra={**example.extra, "regions": NOTES[PATCH]})


def _overlap(patches: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """`(patch, region)`: area of both / area of the patch."""
    low = np.maximum(patches[:, None, :2], regions[None, :, :2])
    high = np.minimum(patches[:, None, 2:], regions[None, :, 2:])
    both = np.clip(high - low, 0.0, None).prod(axis=2)
    own = (patches[:, 2:] - patches[:, :2]).prod(axis=1)
    return np.clip(both / own[:, None], 0.0, 1.0)


def _nearest(patches: np.ndarray, region: np.ndarray, shares: np.ndarray) -> int:
    """The patch that a region overlaps most, or else the one nearest to its middle."""
    if shares.max() > 0.0:
        return int(shares.argmax())
    middles = (patches[:, :2] + patches[:, 2:]) / 2
    return int(((middles - (region[:2] + region[2:]) / 2) ** 2).sum(axis=1).argmin())


def _uncovered(patches: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """`(patch,)`: share of each patch in no region, exactly: the plane is cut at every edge there is."""
    edges = [np.unique(np.concatenate([patches[:, (k, k + 2)].ravel(), regions[:, (k, k + 2)].ravel()]))
             for k in (0, 1)]  # fmt: skip
    inside = [[_between(boxes, edges[k], k) for k in (0, 1)] for boxes in (patches, regions)]
    covered = np.einsum("ry,rx->yx", inside[1][1], inside[1][0]) > 0
    area = np.outer(np.diff(edges[1]), np.diff(edges[0])) * ~covered
    free = np.einsum("py,yx,px->p", inside[0][1], area, inside[0][0], optimize=True)
    return np.clip(free / (patches[:, 2:] - patches[:, :2]).prod(axis=1), 0.0, 1.0)


def _between(boxes: np.ndarray, edges: np.ndarray, axis: int) -> np.ndarray:
    """`(box, cell)` 0 or 1: which cells between neighbouring edges lie inside each box along one axis."""
    middle = (edges[:-1] + edges[1:]) / 2
    return ((middle >= boxes[:, axis, None]) & (middle <= boxes[:, axis + 2, None])).astype(float)
