"""One picture as UNITER's image databases store it: a msgpack map of arrays, or a compressed npz file.

Arrays, all float16: features `(region, 2048)`; norm_bb `(region, 6)`: x1 y1 x2 y2 width height as fractions;
conf `(region, 1)`; soft_labels `(region, 1601)`, whose first column is the background.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from value_nb.data.features.npz_file import read_arrays
from value_nb.data.features.source import damaged, raw_array, stored
from value_nb.data.problems import DataFormatError
from value_nb.data.regions import StoredImage

ARRAYS = ("norm_bb", "features", "conf", "soft_labels")
ZIP_MARK = b"PK\x03\x04"
Record = dict[str, NDArray[Any]]


def decode_record(value: bytes, path: Path | str, place: str) -> Record:
    """Return the arrays of a value, whichever of the two ways it is written in.

    Raises
    ------
    DataFormatError
        When it is neither, is cut short, or holds anything but arrays of numbers.
    """
    if value.startswith(ZIP_MARK):
        record = read_arrays(value, ARRAYS, path, place)
    else:
        record = _decode_msgpack(value, path, place)
    missing = [name for name in ("norm_bb", "features") if name not in record]
    if missing:
        raise damaged(path, place, f"only {', '.join(record) or 'nothing'} came", " and ".join(missing))
    boxes, features = record["norm_bb"], record["features"]
    if boxes.ndim != 2 or features.ndim != 2 or boxes.shape[1] < 4 or len(boxes) != len(features):
        found = f"norm_bb {boxes.shape} and features {features.shape} came"
        raise damaged(path, place, found, "(region, 6) and (region, width)")
    return record


def _decode_msgpack(value: bytes, path: Path | str, place: str) -> Record:
    import msgpack

    try:
        found = msgpack.unpackb(value, raw=False, strict_map_key=True)
    except Exception as error:  # cut or damaged bytes raise nearly anything
        raise damaged(path, place, f"it is no whole msgpack value ({error})", "a map of arrays") from error
    if not isinstance(found, dict):
        raise damaged(path, place, f"{type(found).__name__} came", "a map of arrays")
    return {name: _array(found[name], path, f"{place}, {name}") for name in ARRAYS if name in found}


def _array(part: Any, path: Path | str, place: str) -> NDArray[Any]:
    """Return an array as msgpack-numpy writes it: a map with the keys nd, type, kind, shape, data."""
    if not isinstance(part, dict):
        raise damaged(path, place, f"{type(part).__name__} came", "an array")
    by_name = {key.decode("latin1") if isinstance(key, bytes) else key: item for key, item in part.items()}
    dtype, shape, data = (by_name.get(key) for key in ("type", "shape", "data"))
    dtype = dtype.decode("latin1") if isinstance(dtype, bytes) else dtype
    if (
        by_name.get("nd") is not True
        or not isinstance(shape, list)
        or not all(type(side) is int for side in shape)
        or not isinstance(data, bytes)
        or not isinstance(dtype, str)
    ):
        raise damaged(
            path, place, f"a map of {', '.join(map(str, by_name))} came", "nd, type, shape and data"
        )
    return raw_array(data, dtype, tuple(shape), path, place)


def record_image(record: Record, image_id: str, rows: int, path: Path | str) -> StoredImage:
    """Return the first `rows` regions of a record as a picture; its size is not in the record.

    Class index: the column of the largest soft label among those after the background, counted from 0.
    """
    place, n = f"picture {image_id}", len(record["norm_bb"])
    confidence, soft = record.get("conf"), record.get("soft_labels")
    if confidence is not None and confidence.shape not in ((n,), (n, 1)):
        raise damaged(path, place, f"conf {confidence.shape} came", f"({n}, 1)")
    if soft is not None and (soft.ndim != 2 or len(soft) != n or soft.shape[1] < 2):
        raise damaged(path, place, f"soft_labels {soft.shape} came", f"({n}, classes + 1)")
    if soft is not None and not np.isfinite(soft).all():
        raise damaged(path, place, "nan or infinity among soft_labels came", "finite numbers")
    return stored(
        image_id,
        None,
        record["norm_bb"][:rows, :4].astype(np.float32),
        record["features"][:rows],
        None if confidence is None else confidence.reshape(n)[:rows],
        None if soft is None else soft[:rows, 1:].argmax(axis=1),
    )


def conf_of(record: Record, path: Path | str, place: str) -> NDArray[Any]:
    """Return conf, one number a region, as stored. Raises DataFormatError where it is missing."""
    confidence = record.get("conf")
    if confidence is None or confidence.size != len(record["norm_bb"]):
        raise DataFormatError(
            path, place, "there is no conf; it is needed to choose regions. Give another database."
        )
    return confidence.reshape(-1)
