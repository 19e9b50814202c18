"""Arrays that lie in files once they are large, so that memory does not grow with the number of images."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from typing import Any

import numpy as np

LIMIT = 2**23  # bytes that one accumulator holds in memory


def room_beside(arrays: Iterable[np.ndarray]) -> int:
    """Bytes of `LIMIT` that an accumulator has left which holds these."""
    return LIMIT - sum(array.nbytes for array in arrays)


def zeros(shape: tuple[int, ...], dtype: Any = np.float64, room: int | None = None) -> np.ndarray:
    """An array of zeros, in a file without a name where it takes more than `room` bytes.

    Parameters
    ----------
    shape, dtype
        As numpy has them.
    room
        None: `LIMIT`.

    Raises
    ------
    OSError
        When the temporary folder's disk is full: now, and not when the array is written into.
    """
    dtype = np.dtype(dtype)
    size = dtype.itemsize * int(np.prod(shape))
    if not size or size <= (LIMIT if room is None else room):
        return np.zeros(shape, dtype=dtype)
    with tempfile.TemporaryFile(prefix="value_nb-") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        return np.asarray(np.memmap(file, dtype=dtype, mode="w+", shape=shape))
