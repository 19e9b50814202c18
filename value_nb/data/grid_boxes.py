"""Boxes of a grid laid over a picture: regions where nobody annotated or detected any."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from value_nb.data.example import Regions

if TYPE_CHECKING:
    from value_nb.data.example import Example

GRID, PATCH = "grid", "patch"
NOTES = {
    GRID: "grid boxes, not detected regions",
    PATCH: "patches of the picture, not detected regions",
}
"""`Regions.sources` -> what every figure has to say of such regions."""
MOST = 64  # rows, or columns


def grid_boxes(rows: int, columns: int) -> np.ndarray:
    """`(rows * columns, 4)` float64: x1 y1 x2 y2 as fractions of the picture, row by row from the top left.

    Together they cover the picture, and none overlaps another.

    Raises
    ------
    ValueError
        For fewer than one row or column.

    Examples
    --------
    >>> grid_boxes(1, 2).tolist()
    [[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]]
    """
    if rows < 1 or columns < 1:
        raise ValueError(f"a grid of {rows} rows and {columns} columns; expected at least one of each")
    y, x = (np.linspace(0.0, 1.0, count + 1) for count in (rows, columns))
    top, left = (edge.ravel() for edge in np.meshgrid(y[:-1], x[:-1], indexing="ij"))
    bottom, right = (edge.ravel() for edge in np.meshgrid(y[1:], x[1:], indexing="ij"))
    return np.stack([left, top, right, bottom], axis=1)


def grid_names(rows: int, columns: int, kind: str = GRID) -> tuple[str, ...]:
    """Name of each box, "grid 0,1": row and column, counted from 0 at the top left."""
    return tuple(f"{kind} {row},{column}" for row in range(rows) for column in range(columns))


def grid_regions(rows: int, columns: int, kind: str = GRID) -> Regions:
    """A grid's boxes as the regions of a picture, without features.

    Parameters
    ----------
    rows, columns
        1 to 64 each.
    kind
        "grid" (chosen by the reader) or "patch" (what the model cuts the picture into); stands in `sources`.

    Raises
    ------
    ValueError
        For a grid outside these limits.
    """
    if not (1 <= rows <= MOST and 1 <= columns <= MOST):
        raise ValueError(f"a grid of {rows} rows and {columns} columns; expected 1 to {MOST} of each")
    boxes = grid_boxes(rows, columns).astype(np.float32)
    return Regions(boxes, None, grid_names(rows, columns, kind), (kind,) * len(boxes))


def regions_note(example: Example) -> str:
    """What a figure has to say of an example's regions; "" where they were annotated or detected.

    Examples
    --------
    >>> from value_nb.data.example import Example
    >>> regions_note(Example("1", "1", "a dog", ("a", "dog"), regions=grid_regions(2, 2)))
    'grid boxes, not detected regions'
    """
    sources = () if example.regions is None else example.regions.sources
    return "; ".join(note for source, note in NOTES.items() if source in sources)
