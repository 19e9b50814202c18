"""Regions of many pictures at once, as each family wants them: the twin of `value_nb.models.regions`."""

from __future__ import annotations

import numpy as np

from value_nb.models.regions import WHOLE_PICTURE, locations


def region_row_batch(
    boxes: np.ndarray, features: np.ndarray, location_size: int, global_row: str
) -> tuple[np.ndarray, np.ndarray]:
    """Do what `region_rows` does for one picture, for pictures with equally many regions.

    Parameters
    ----------
    boxes, features
        `(example, region, 4)` and `(example, region, feature)`.
    location_size, global_row
        As in `EncoderConfig`.

    Returns
    -------
    float32 features `(example, row, feature)` and locations `(example, row, location_size)`.
    """
    features = np.asarray(features, dtype=np.float32)
    boxes = np.asarray(boxes, dtype=np.float32)
    if global_row == "first" and features.shape[1]:
        features = np.concatenate([features.mean(axis=1, keepdims=True), features], axis=1)
        whole = np.broadcast_to(np.array(WHOLE_PICTURE, dtype=np.float32), (len(boxes), 1, 4))
        boxes = np.concatenate([whole, boxes], axis=1)
    flat = locations(boxes.reshape(-1, 4), location_size)
    return features, flat.reshape(len(boxes), boxes.shape[1], location_size)
