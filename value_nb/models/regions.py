"""Boxes and features of regions as each family wants them."""

from __future__ import annotations

import numpy as np

WHOLE_PICTURE = (0.0, 0.0, 1.0, 1.0)
GLOBAL_ROWS = ("none", "first", "last")


def locations(boxes: np.ndarray, size: int) -> np.ndarray:
    """Return `(region, size)` float32 location numbers of `(region, 4)` boxes in fractions of the picture.

    4 (LXMERT): x1 y1 x2 y2. 5 (ViLBERT, VOLTA): and the area. 7 (UNITER): x1 y1 x2 y2, width, height, area.
    0 (VisualBERT): none.
    """
    boxes = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
    x1, y1, x2, y2 = boxes.T
    width, height = x2 - x1, y2 - y1
    columns: dict[int, tuple[np.ndarray, ...]] = {
        0: (),
        4: (x1, y1, x2, y2),
        5: (x1, y1, x2, y2, width * height),
        7: (x1, y1, x2, y2, width, height, width * height),
    }
    if size not in columns:
        raise ValueError(f"location_size is {size}; valid: {', '.join(map(str, columns))}")
    return np.stack(columns[size], axis=1) if size else np.zeros((len(boxes), 0), dtype=np.float32)


def region_rows(
    boxes: np.ndarray, features: np.ndarray, location_size: int, global_row: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return (features, locations) of one picture, the arguments untouched.

    With `global_row` "first" a row stands before the regions, with "last" behind them: the mean of their
    features, at the whole picture's box. "none" adds nothing. ValueError for another `global_row`.
    """
    if global_row not in GLOBAL_ROWS:
        raise ValueError(f"global_row is {global_row!r}; valid: {', '.join(map(repr, GLOBAL_ROWS))}")
    features = np.asarray(features, dtype=np.float32)
    if global_row != "none" and len(features):
        whole = np.array([WHOLE_PICTURE], dtype=np.float32)
        features = _joined(features.mean(axis=0, keepdims=True), features, global_row)
        boxes = _joined(whole, boxes, global_row)
    return features, locations(boxes, location_size)


def _joined(row: np.ndarray, rows: np.ndarray, where: str) -> np.ndarray:
    return np.concatenate([row, rows] if where == "first" else [rows, row])
