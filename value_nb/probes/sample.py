"""A sample of positions of fixed size, drawn by hash: the same from any order, batching or sharding."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, fields

import numpy as np

from value_nb import seeds


@dataclass(frozen=True, slots=True)
class Positions:
    """Hidden states of some positions and what they belong to; every field has one row for each.

    Attributes
    ----------
    priority
        `(position,)` uint64 random number of the position; the sample keeps the smallest.
    states
        `(position, width)` float32.
    image
        `(position,)` image ids.
    is_image
        `(position,)` bool: of the picture's stream.
    special
        `(position,)` bool.
    """

    priority: np.ndarray
    states: np.ndarray
    image: np.ndarray
    is_image: np.ndarray
    special: np.ndarray

    def __len__(self) -> int:
        return len(self.priority)

    def take(self, rows: np.ndarray) -> Positions:
        """Some of the positions."""
        return Positions(*(getattr(self, field.name)[rows] for field in fields(self)))

    def join(self, other: Positions) -> Positions:
        """Both together."""
        return Positions(
            *(np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self))
        )


class PositionSample:
    """For each key the `size` positions with the smallest random number.

    The number of a position is a hash of its example, its place and the seed, so every layer samples
    the same positions, and the sample of a union is the smallest of the union of the samples.
    """

    def __init__(self, size: int, seed: int) -> None:
        if size < 1:
            raise ValueError(f"sample of {size} positions; at least 1 is needed")
        self.size, self.seed = size, seed
        self._kept: dict[Hashable, Positions] = {}

    @property
    def keys(self) -> list[Hashable]:
        """Everything that positions were added under, in order of first arrival."""
        return list(self._kept)

    def priorities(self, example_id: str, n: int) -> np.ndarray:
        """`(n,)` uint64: the random numbers of an example's first `n` positions."""
        return seeds.raw(example_id, self.seed, n, purpose="positions")

    def limit(self, key: Hashable) -> int:
        """Only positions with a smaller number than this can still enter."""
        kept = self._kept.get(key)
        return 2**64 - 1 if kept is None or len(kept) < self.size else int(kept.priority[-1])

    def add(self, key: Hashable, positions: Positions) -> None:
        """Offer positions; the `size` smallest of old and new stay, in order of their number."""
        old = self._kept.get(key)
        both = positions if old is None else old.join(positions)
        self._kept[key] = both.take(np.argsort(both.priority, kind="stable")[: self.size])

    def merge(self, other: PositionSample) -> PositionSample:
        """A new sample of what both were drawn from."""
        if (self.size, self.seed) != (other.size, other.seed):
            raise ValueError(
                f"samples of size {self.size}, seed {self.seed} and size {other.size}, seed {other.seed} "
                "do not merge; draw both with the same size and seed"
            )
        merged = PositionSample(self.size, self.seed)
        merged.absorb(self)
        merged.absorb(other)
        return merged

    def absorb(self, other: PositionSample) -> None:
        """Offer what another sample with the same size and seed has kept; it is left as it is."""
        for key, positions in other._kept.items():
            entering = positions.priority <= self.limit(key)
            if entering.any():
                self.add(key, positions.take(entering))

    def positions(self, key: Hashable) -> Positions:
        """The sample of one key, in order of its random numbers."""
        return self._kept[key]
