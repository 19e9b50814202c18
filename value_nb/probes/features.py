"""What a sweep collects for classifiers: rows of features, in memory up to a size and on disk beyond it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import IO, Any

import numpy as np

LIMIT = 2**28  # bytes held in memory
DTYPES = ("float16", "float32")


def row_id(name: str) -> int:
    """64 bits that stand for the name of a row: the same in any process and for any order of the data."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")


class FeatureStore:
    """Rows of features under keys (a view, a stack, a layer); rows are known by `row_id`.

    Rows are read in the order of their ids, which is random with respect to the data and the same
    however they arrived. What is held in memory moves to a temporary file as soon as it exceeds
    `limit`; the file has no name, and goes when the store or its process does.

    Parameters
    ----------
    limit
        Bytes to hold in memory, 0 for none. Every store has its own.
    dtype
        "float16" (half the room; about three digits) or "float32".

    Examples
    --------
    >>> store = FeatureStore()
    >>> store.append("layer 1", np.array([7, 3], dtype=np.uint64), np.array([[1.0], [2.0]]))
    >>> ids, values = store.read("layer 1")
    >>> ids.tolist(), values[:, 0].tolist()
    ([3, 7], [2.0, 1.0])
    """

    def __init__(self, limit: int = LIMIT, dtype: str = "float16") -> None:
        if limit < 0:
            raise ValueError(f"limit is {limit} bytes; expected 0 (all on disk) or more")
        if dtype not in DTYPES:
            raise ValueError(f"dtype is {dtype!r}; expected one of {', '.join(map(repr, DTYPES))}")
        self.limit, self.dtype = int(limit), dtype
        self._shelves: dict[Hashable, _Shelf] = {}
        self._in_memory = 0
        self._file: IO[bytes] | None = None  # without a name: it goes with the process, however that ends

    @property
    def keys(self) -> list[Hashable]:
        """Everything that rows were appended under, in order of first arrival."""
        return list(self._shelves)

    @property
    def on_disk(self) -> bool:
        """Whether some rows lie in a file."""
        return self._file is not None

    @property
    def nbytes(self) -> int:
        """Bytes of all features, in memory and on disk."""
        width = np.dtype(self.dtype).itemsize
        return sum(shelf.rows * shelf.width * width for shelf in self._shelves.values())

    def append(self, key: Hashable, ids: np.ndarray, values: np.ndarray) -> None:
        """Add rows; they are copied.

        Parameters
        ----------
        key
            Where to add; all rows under one key have the same number of features.
        ids
            `(row,)` uint64, from `row_id`.
        values
            `(row, feature)`.

        Raises
        ------
        ValueError
            For another number of ids or features, or for a value that is not finite in the store's dtype.
        """
        ids, given = np.asarray(ids, dtype=np.uint64), np.asarray(values)
        if given.ndim != 2 or ids.shape != (len(given),):
            raise ValueError(
                f"ids of shape {ids.shape} for values of shape {given.shape}; expected (row,), (row, feature)"
            )
        with np.errstate(over="ignore"):
            kept = given.astype(self.dtype)
        if not np.isfinite(kept).all():
            raise ValueError(
                f"under {key!r} a value is not finite in {self.dtype} (largest: {np.abs(given).max()}); "
                'if the model itself is sound, pass dtype="float32"'
            )
        shelf = self._shelves.setdefault(key, _Shelf(kept.shape[1]))
        shelf.add(ids.copy(), kept, key)
        self._in_memory += kept.nbytes
        if self._in_memory > self.limit:
            self._spill()

    def read(self, key: Hashable) -> tuple[np.ndarray, np.ndarray]:
        """(ids `(row,)` uint64 ascending, features `(row, feature)`) of one key, in memory.

        Raises
        ------
        KeyError
            When nothing was appended under it.
        ValueError
            When a row came twice: the same example was swept twice.
        """
        ids, order = self._order(key)
        return ids, np.concatenate([*self._shelves[key].chunks(self.dtype)])[order]

    def ids(self, key: Hashable) -> np.ndarray:
        """`(row,)` uint64 ascending: the ids of `read`, without its features. Errors as there."""
        return self._order(key)[0]

    def _order(self, key: Hashable) -> tuple[np.ndarray, np.ndarray]:
        """Ids in ascending order, and the rows that they came in."""
        if key not in self._shelves:
            raise KeyError(f"nothing was appended under {key!r}; keys: {self.keys}")
        ids = np.concatenate([*self._shelves[key].ids, np.zeros(0, dtype=np.uint64)])
        order = np.argsort(ids, kind="stable")
        ids = ids[order]
        if (ids[1:] == ids[:-1]).any():
            raise ValueError(f"under {key!r} a row came twice; sweep each example once")
        return ids, order

    def merge(self, other: FeatureStore) -> FeatureStore:
        """A new store with the rows of both; neither is changed. Associative and commutative.

        Raises
        ------
        ValueError
            When the stores have another dtype or limit.
        """
        if (self.limit, self.dtype) != (other.limit, other.dtype):
            raise ValueError(
                f"stores with limit {self.limit}, {self.dtype} and limit {other.limit}, {other.dtype} "
                "do not merge; make both alike"
            )
        merged = FeatureStore(self.limit, self.dtype)
        merged.absorb(self)
        merged.absorb(other)
        return merged

    def absorb(self, other: FeatureStore) -> None:
        """Append every row of another store, chunk by chunk; the other is left as it is."""
        for key, shelf in other._shelves.items():
            start, ids = 0, np.concatenate(shelf.ids)
            for chunk in shelf.chunks(other.dtype):
                self.append(key, ids[start : start + len(chunk)], chunk)
                start += len(chunk)

    def __getstate__(self) -> dict[str, Any]:
        """Everything it holds, read back from disk: a copy in another process has its own folder."""
        rows = [(key, *self._arrived(shelf)) for key, shelf in self._shelves.items()]
        return {"limit": self.limit, "dtype": self.dtype, "rows": rows}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["limit"], state["dtype"])  # type: ignore[misc]
        for key, ids, values in state["rows"]:
            self.append(key, ids, values)

    def _arrived(self, shelf: _Shelf) -> tuple[np.ndarray, np.ndarray]:
        ids = np.concatenate([*shelf.ids, np.zeros(0, dtype=np.uint64)])
        return ids, np.concatenate([*shelf.chunks(self.dtype)])

    def _spill(self) -> None:
        """Move what is in memory to the end of the file."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="value_nb-features-")  # noqa: SIM115
        for shelf in self._shelves.values():
            shelf.spill(self._file)
        self._file.flush()
        self._in_memory = 0


PIECE = 4096  # rows read from a file at a time


@dataclass(slots=True)
class _Shelf:
    """The rows of one key, in order of arrival: first those in the file, then those in memory."""

    width: int
    ids: list[np.ndarray] = field(default_factory=list)
    memory: list[np.ndarray] = field(default_factory=list)
    file: IO[bytes] | None = None
    pieces: list[tuple[int, int]] = field(default_factory=list)  # in the file: where, how many rows

    @property
    def rows(self) -> int:
        return sum(map(len, self.ids))

    def add(self, ids: np.ndarray, values: np.ndarray, key: Hashable) -> None:
        if values.shape[1] != self.width:
            raise ValueError(f"{values.shape[1]} features under {key!r}, which holds {self.width} a row")
        self.ids.append(ids)
        self.memory.append(values)

    def spill(self, file: IO[bytes]) -> None:
        start, rows = file.seek(0, os.SEEK_END), sum(map(len, self.memory))
        for values in self.memory:
            file.write(np.ascontiguousarray(values).tobytes())
        if rows:
            self.pieces.append((start, rows))
        self.file, self.memory = file, []

    def chunks(self, dtype: str) -> Iterator[np.ndarray]:
        for offset, rows in self.pieces:
            shape = (rows, self.width)
            if not self.width:
                yield np.zeros(shape, dtype=dtype)
                continue
            file: Any = self.file
            mapped = np.memmap(file, dtype=dtype, mode="r", offset=offset, shape=shape)
            for start in range(0, rows, PIECE):
                yield np.array(mapped[start : start + PIECE])
        yield from self.memory
        if not self.rows:
            yield np.zeros((0, self.width), dtype=dtype)
