"""The fields of one picture as LXMERT's and VOLTA's files name them, as base64 text or as arrays.

Boxes are x1 y1 x2 y2 in pixels and are divided by the picture's size; class indices count from 0 with the
background left out. Attributes (attrs_id, attrs_conf) have no place in a region store and are not read.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from value_nb.data.features.source import damaged, fractions, picture_size, raw_array, stored
from value_nb.data.problems import DataFormatError
from value_nb.data.regions import StoredImage

ALSO_NAMED = {
    "img_id": ("img_id", "image_id"),
    "img_w": ("img_w", "image_w"),
    "img_h": ("img_h", "image_h"),
    "objects_id": ("objects_id", "obj_id"),
    "objects_conf": ("objects_conf", "obj_conf"),
}
"""A field and its names: LXMERT's first, then that of bottom-up attention and ViLBERT, or of H5 files."""

TEXT_TYPES = {"objects_id": "<i8", "objects_conf": "<f4", "boxes": "<f4", "features": "<f4"}
"""Number types of the fields that are base64 text."""


def pick(fields: Mapping[str, Any], name: str) -> Any:
    """Return a field by any of its names, None where it is missing."""
    return next((fields[key] for key in ALSO_NAMED.get(name, (name,)) if key in fields), None)


def fields_image(image_id: str, fields: Mapping[str, Any], path: Path | str) -> StoredImage:
    """Return the picture that some fields describe.

    Raises
    ------
    DataFormatError
        When a field is missing or cannot be decoded, or the fields do not fit together.
    """
    place = f"picture {image_id}"
    missing = [name for name in ("img_w", "img_h", "boxes", "features") if pick(fields, name) is None]
    if missing:
        raise damaged(path, place, f"without {', '.join(missing)}", "img_w, img_h, boxes and features")
    size = picture_size(_number(pick(fields, "img_w")), _number(pick(fields, "img_h")), path, place)
    boxes = _array(fields["boxes"], "boxes", path, place)
    boxes = boxes.reshape(-1, 4) if boxes.size % 4 == 0 and boxes.ndim == 1 else boxes
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise damaged(path, place, f"boxes {boxes.shape} came", "(region, 4)")
    rows = _count(fields, len(boxes), path, place)
    features = _rows_of(_array(fields["features"], "features", path, place), rows, path, place)
    parts = [_per_region(fields, name, rows, path, place) for name in ("objects_conf", "objects_id")]
    return stored(image_id, size, fractions(boxes, size), features, parts[0], parts[1])


def _number(value: Any) -> Any:
    """Return a number that may be text, or an array of one number."""
    return value.reshape(-1)[0] if isinstance(value, np.ndarray) and value.size == 1 else value


def _count(fields: Mapping[str, Any], rows: int, path: Path | str, place: str) -> int:
    """Compare num_boxes, where there is one, with the number of boxes."""
    said = _number(fields.get("num_boxes", rows))
    try:
        same = int(said) == rows
    except (TypeError, ValueError, OverflowError):
        same = False
    if not same:
        raise damaged(path, place, f"{rows} boxes came", f"as many as num_boxes says, {said!r:.40}")
    return rows


def _array(value: Any, name: str, path: Path | str, place: str) -> NDArray[Any]:
    if isinstance(value, np.ndarray):
        return value
    if not isinstance(value, (str, bytes)):
        raise damaged(path, f"{place}, {name}", f"{type(value).__name__} came", "base64 text, or an array")
    dtype = TEXT_TYPES[name]
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise damaged(path, f"{place}, {name}", f"it is no whole base64 ({error})", "base64 text") from error
    count, rest = divmod(len(data), int(dtype[-1]))
    if rest:
        raise damaged(path, f"{place}, {name}", f"{len(data)} bytes came", f"a multiple of {dtype[-1]}")
    return raw_array(data, dtype, (count,), path, f"{place}, {name}")


def _rows_of(features: NDArray[Any], rows: int, path: Path | str, place: str) -> NDArray[Any]:
    if features.dtype.kind != "f":
        raise damaged(path, place, f"features of {features.dtype} came", "floating point numbers")
    if features.ndim == 1 and rows and features.size % rows == 0:
        return features.reshape(rows, -1)
    if features.ndim == 1 and features.size == rows == 0:
        return features.reshape(0, 0)
    if features.ndim != 2 or len(features) != rows:
        raise damaged(path, place, f"features {features.shape} for {rows} boxes came", "(region, width)")
    return features


def _per_region(
    fields: Mapping[str, Any], name: str, rows: int, path: Path | str, place: str
) -> NDArray[Any] | None:
    value = pick(fields, name)
    if value is None:
        return None
    array = _array(value, name, path, place)
    if array.size != rows:
        raise damaged(path, place, f"{array.size} numbers in {name} came", f"{rows}, one a region")
    if array.dtype.kind not in ("iu" if name == "objects_id" else "f"):
        raise damaged(path, place, f"{name} of {array.dtype} came", "whole numbers and probabilities")
    return array.reshape(rows)


def text_of(value: Any, path: Path | str, place: str) -> str:
    """Return an id as text. Raises DataFormatError when it is neither text nor UTF-8 bytes."""
    try:
        return value.decode() if isinstance(value, bytes) else str(value)
    except UnicodeDecodeError as error:
        raise DataFormatError(
            path, place, f"an id that is no UTF-8 ({error}) came; expected text."
        ) from error
