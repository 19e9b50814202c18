"""What two boxes say about each other without any model: distance, and the features of a baseline."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from value_nb.data.matching import iou

if TYPE_CHECKING:
    from value_nb.data.example import Regions

STEPS = (-1.5, -0.5, 0.5, 1.5)
"""Where an offset, in sizes of the subject, passes from one of five steps to the next."""

TINY = 1e-6
DIGITS = 5  # equal boxes stay equal: rounding noise would be standardised into a feature


def aspect(size: tuple[int, int] | None) -> float:
    """Width over height of a picture; 1 where the size is not known."""
    return 1.0 if size is None else size[0] / size[1]


def distance(boxes: np.ndarray, first: int, second: int, ratio: float = 1.0) -> float:
    """Distance of the centres of two boxes as a share of the picture's diagonal, 0 to 1.

    Parameters
    ----------
    boxes
        `(region, 4)`, x1 y1 x2 y2 as fractions.
    first, second
        Which.
    ratio
        Width over height of the picture.

    Examples
    --------
    >>> distance(np.array([[0, 0, 0, 0], [0.6, 0.8, 0.6, 0.8]]), 0, 1, ratio=1.0) * 2**0.5
    1.0
    """
    x, y = _centre(boxes[first]) - _centre(boxes[second])
    return math.hypot(x * ratio, y) / math.hypot(ratio, 1.0)


def distance_bin(boxes: np.ndarray, first: int, second: int, ratio: float, edges: tuple[float, ...]) -> int:
    """Which bin the distance falls into: the number of edges that it reaches."""
    return int(np.searchsorted(edges, distance(boxes, first, second, ratio), side="right"))


def relative_geometry(regions: Regions, subject: int, target: int, ratio: float = 1.0) -> list[float]:
    """Features of a pair of boxes for a linear classifier.

    Centre, width and height of either; offset of the centres, raw and in sizes of the subject; logarithms of
    the ratios of sizes; IoU and distance; and the offset once more as one of 5 x 5 steps, since what is left
    and right of a thing lies on no line.

    Returns
    -------
    A list of numbers, the same length for any pair, to five digits.
    """
    a, b = (np.asarray(regions.boxes[i], dtype=np.float64) for i in (subject, target))
    sizes = [np.maximum(box[2:] - box[:2], TINY) for box in (a, b)]
    offset = _centre(b) - _centre(a)
    relative = offset / sizes[0]
    overlap = float(iou(a[None], b[None])[0, 0])
    steps = np.zeros((len(STEPS) + 1, len(STEPS) + 1))
    column, row = np.searchsorted(STEPS, relative)
    steps[row, column] = 1.0
    far = distance(regions.boxes, subject, target, ratio)
    parts = [
        _centre(a), sizes[0], _centre(b), sizes[1], offset, np.clip(relative, -8, 8),
        np.log(sizes[1] / sizes[0]), [overlap, far], steps.ravel(),
    ]  # fmt: skip
    return [float(value) for value in np.concatenate(parts).round(DIGITS)]


def _centre(box: np.ndarray) -> np.ndarray:
    return (np.asarray(box[:2], dtype=np.float64) + box[2:]) / 2
