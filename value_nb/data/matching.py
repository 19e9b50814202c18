"""Boxes: overlap, cutting at the border, and linking annotated boxes to the regions of a region store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray

from value_nb.data.example import Regions
from value_nb.data.problems import Spot

Box = tuple[float, float, float, float]
"""x1 y1 x2 y2 as fractions of width and height."""

LINK_THRESHOLD = 0.5
"""Smallest IoU at which an annotated box and a region show the same thing."""

ROUNDING = 1e-6
"""Boxes are stored as float32: an IoU short of the threshold by no more than this still counts."""


def as_boxes(boxes: ArrayLike) -> NDArray[np.float64]:
    """Return boxes as a new `(box, 4)` float64 array. Raises ValueError on other shapes."""
    array = np.array(boxes, dtype=np.float64)
    if array.size == 0:
        return np.zeros((0, 4))
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(
            f"Boxes of shape {array.shape} came; expected (box, 4) with columns x1 y1 x2 y2. Reshape them "
            "first."
        )
    return array


def iou(boxes_a: ArrayLike, boxes_b: ArrayLike) -> NDArray[np.float64]:
    """Intersection over union of every pair of boxes.

    Area that both boxes cover, divided by the area that at least one covers. 0: apart. 1: the same box;
    higher means more alike. A pair without any area gives 0.

    Parameters
    ----------
    boxes_a, boxes_b
        `(a, 4)` and `(b, 4)`, x1 y1 x2 y2 in one common unit.

    Returns
    -------
    `(a, b)` float64 in [0, 1].

    Examples
    --------
    >>> iou([[0, 0, 2, 1]], [[1, 0, 3, 1], [0, 0, 2, 1]]).round(3).tolist()
    [[0.333, 1.0]]
    """
    a, b = as_boxes(boxes_a), as_boxes(boxes_b)
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    both = np.clip(high - low, 0.0, None).prod(axis=2)
    either = _areas(a)[:, None] + _areas(b)[None, :] - both
    return np.divide(both, either, out=np.zeros_like(both), where=either > 0).clip(0.0, 1.0)


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(boxes[:, 2:] - boxes[:, :2], 0.0, None).prod(axis=1)


@dataclass(frozen=True, slots=True)
class Match:
    """Which region shows each annotated box.

    Attributes
    ----------
    rows
        Per annotated box the index of its region, -1 where no region overlaps enough.
    overlaps
        Per annotated box the IoU with that region, 0.0 where there is none.
    """

    rows: tuple[int, ...]
    overlaps: tuple[float, ...]

    @property
    def matched(self) -> int:
        """Number of annotated boxes that have a region."""
        return sum(row >= 0 for row in self.rows)

    @property
    def share(self) -> float:
        """Matched boxes divided by all boxes, in [0, 1]; nan without boxes. Higher: more are linked."""
        return self.matched / len(self.rows) if self.rows else float("nan")


def check_threshold(threshold: float) -> float:
    """Return the threshold as a float. Raises ValueError unless it is a number above 0 and at most 1."""
    number = isinstance(threshold, Real) and not isinstance(threshold, (bool, np.bool_))
    if not number or not 0.0 < threshold <= 1.0:
        raise ValueError(
            f"threshold={threshold!r} came; expected an IoU above 0 and at most 1, for instance 0.5."
        )
    return float(threshold)


def match_boxes(boxes: ArrayLike, regions: ArrayLike, threshold: float = LINK_THRESHOLD) -> Match:
    """Link annotated boxes to regions, best overlap first, one to one where that is possible.

    First pass: pairs with an IoU of at least `threshold` are taken in descending order of IoU (ties: lower
    box index, then lower region index), each box and each region once. Second pass: a box that came away
    empty although some region overlaps it enough shares the region that overlaps it most. So a box is
    unmatched only when no region reaches the threshold.

    Parameters
    ----------
    boxes, regions
        `(box, 4)` and `(region, 4)`, x1 y1 x2 y2 in one common unit.
    threshold
        Smallest IoU of a link, in (0, 1].

    Raises
    ------
    ValueError
        When the threshold is outside (0, 1].
    """
    lowest = check_threshold(threshold) - ROUNDING
    overlap = iou(boxes, regions)
    rows = _one_to_one(overlap, lowest)
    for box in range(len(rows)):
        if rows[box] < 0 and overlap.shape[1] and overlap[box].max() >= lowest:
            rows[box] = int(overlap[box].argmax())
    overlaps = tuple(float(overlap[box, row]) if row >= 0 else 0.0 for box, row in enumerate(rows))
    return Match(tuple(rows), overlaps)


def _one_to_one(overlap: NDArray[np.float64], lowest: float) -> list[int]:
    pairs = np.argwhere(overlap >= lowest)
    order = np.argsort(-overlap[pairs[:, 0], pairs[:, 1]], kind="stable")
    rows, taken = [-1] * len(overlap), set()
    for box, region in pairs[order].tolist():
        if rows[box] < 0 and region not in taken:
            rows[box] = region
            taken.add(region)
    return rows


def annotated_regions(boxes: ArrayLike, names: Sequence[str]) -> Regions:
    """Make regions of the annotated boxes alone: no features, source "annotated", confidence unknown.

    Raises ValueError when there is not one name per box.
    """
    array = as_boxes(boxes).astype(np.float32)
    if len(names) != len(array):
        raise ValueError(
            f"{len(names)} names for {len(array)} boxes; expected one name per box ('' if unknown)."
        )
    return Regions(array, None, tuple(names), ("annotated",) * len(array))


def link_regions(
    boxes: ArrayLike, names: Sequence[str], stored: Regions | None, threshold: float = LINK_THRESHOLD
) -> tuple[Regions, Match]:
    """Return the regions of a picture and, per annotated box, which of them shows it.

    With `stored` (the picture's regions from a region store) the boxes are linked by `match_boxes` at an IoU
    of at least `threshold`. A linked region takes the annotated name, where there is one (of several boxes on
    one region the first name counts); its box and features stay the stored ones. Where all regions are
    detected ones, those that are linked count as "annotated", since it is known what they show. Without
    `stored` the annotated boxes are the regions, in their order.
    """
    if stored is None:
        regions = annotated_regions(boxes, names)
        return regions, Match(tuple(range(len(regions))), (1.0,) * len(regions))
    match = match_boxes(boxes, stored.boxes, threshold)
    named: dict[int, str] = {}
    for row, name in zip(match.rows, names, strict=True):
        if row >= 0 and name:
            named.setdefault(row, name)
    all_names = tuple(named.get(row, name) for row, name in enumerate(stored.names))
    linked = set() if "annotated" in stored.sources else set(match.rows)
    sources = tuple("annotated" if row in linked else was for row, was in enumerate(stored.sources))
    return Regions(stored.boxes, stored.features, all_names, sources, stored.confidence), match


def clip_box(box: Box, spot: Spot) -> Box | None:
    """Cut a box at the picture's border; None, and reported as skipped, when nothing of it is left."""
    if 0.0 <= box[0] < box[2] <= 1.0 and 0.0 <= box[1] < box[3] <= 1.0:
        return box
    x1, y1, x2, y2 = (min(max(value, 0.0), 1.0) for value in box)
    shown = " ".join(f"{value:.3f}" for value in box)
    if x2 <= x1 or y2 <= y1:
        spot.skip(
            "empty box",
            f"the box {shown} (fractions of the picture) has no area inside the picture; expected x1 < x2 "
            "and y1 < y2.",
            "The box is left out; correct its coordinates to have it back.",
        )
        return None
    spot.change(
        "box cut at the border",
        f"the box {shown} (fractions of the picture) reaches outside the picture.",
        "It was cut at the border; nothing needs doing.",
    )
    return x1, y1, x2, y2
