"""Sums and counts per image: what a probe keeps of a data set, however many examples it has."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from value_nb import spilled

PIECE = 1024  # images whose rows are brought in order at one time


class ImageSums:
    """For each key (a layer, for instance) and image: the sum of values and how many there were.

    Adding is the only thing that happens to it, so accumulators of shards merge in any order. Sums are
    float64: another order of the captions of one image can move a sum by rounding (1e-16 of its size). What
    is larger than `value_nb.spilled.LIMIT` lies in files without a name in the temporary folder, which go
    with it, so that memory does not grow with the number of images; its arrays look as they always do.

    Examples
    --------
    >>> sums = ImageSums()
    >>> sums.add("layer 1", ["a", "a", "b"], np.array([[1.0], [3.0], [5.0]]))
    >>> ids, num, den = sums.table("layer 1")
    >>> ids, num[:, 0].tolist(), den[:, 0].tolist()
    (['a', 'b'], [4.0, 5.0], [2.0, 1.0])
    """

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._sums: dict[Hashable, np.ndarray] = {}  # key -> (sum or count, image, cell, ...)

    def __len__(self) -> int:
        """Number of images."""
        return len(self._rows)

    @property
    def keys(self) -> list[Hashable]:
        """Everything that values were added under, in order of first arrival."""
        return list(self._sums)

    @property
    def image_ids(self) -> list[str]:
        """All images, sorted."""
        return sorted(self._rows)

    def add(self, key: Hashable, image_ids: Sequence[str], values: np.ndarray) -> None:
        """Add a batch.

        Parameters
        ----------
        key
            Where to add; all values under one key have the same cells.
        image_ids
            `(example,)`: the image of each example.
        values
            `(example, cell, ...)`; nan means not defined there, and counts nothing.
        """
        values = np.asarray(values, dtype=np.float64)
        if len(values) != len(image_ids):
            raise ValueError(
                f"{len(values)} rows of values for {len(image_ids)} examples; expected a row each"
            )
        known = ~np.isnan(values)
        rows = self._rows_of(image_ids)
        store = self._store(key, values.shape[1:])
        for total, new in zip(store, (np.where(known, values, 0.0), known), strict=True):
            if len(set(image_ids)) == len(rows):
                total[rows] += new
            else:  # several captions of an image: slower
                np.add.at(total, rows, new)

    def merge(self, other: ImageSums) -> ImageSums:
        """A new accumulator with what both hold; neither is changed. Associative and commutative."""
        merged = ImageSums()
        merged.absorb(self)
        merged.absorb(other)
        return merged

    def absorb(self, other: ImageSums) -> None:
        """Add what another accumulator holds, which is left as it is; costs what the other one holds."""
        rows = self._rows_of(other._rows)
        for key, store in other._sums.items():
            there = min(store.shape[1], len(rows))  # the last images may have come under other keys alone
            target = self._store(key, store.shape[2:])
            target[:, rows[:there]] += store[:, :there]

    def table(self, key: Hashable) -> tuple[list[str], np.ndarray, np.ndarray]:
        """(image ids sorted, sums `(image, cell, ...)`, counts of the same shape) of one key."""
        if key not in self._sums:
            raise KeyError(f"nothing was added under {key!r}; keys: {self.keys}")
        ids = self.image_ids
        store = self._store(key, self._sums[key].shape[2:])
        rows = np.array([self._rows[i] for i in ids], dtype=np.intp)
        found = spilled.zeros((2, len(ids), *store.shape[2:]))
        for start in range(0, len(ids), PIECE):
            piece = slice(start, start + PIECE)
            found[:, piece] = store[:, rows[piece]]
        return ids, found[0], found[1]

    def _rows_of(self, image_ids: Iterable[str]) -> np.ndarray:
        rows = self._rows
        return np.array([rows.setdefault(i, len(rows)) for i in image_ids], dtype=np.intp)

    def _store(self, key: Hashable, cells: tuple[int, ...]) -> np.ndarray:
        """The array of a key, with room for all images known so far."""
        store = self._sums.get(key)
        if store is None:
            store = self._room((2, max(len(self._rows), 16), *cells))
        if store.shape[2:] != cells:
            raise ValueError(f"values of shape {cells} under {key!r}, which holds {store.shape[2:]}")
        if store.shape[1] < len(self._rows):
            larger = self._room((2, max(2 * store.shape[1], len(self._rows)), *cells))
            larger[:, : store.shape[1]] = store
            store = larger
        self._sums[key] = store
        return store

    def _room(self, shape: tuple[int, ...]) -> np.ndarray:
        """Zeros, in memory as long as all arrays together stay below the limit."""
        return spilled.zeros(shape, room=spilled.room_beside(self._sums.values()))
