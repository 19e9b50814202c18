"""What mentions look at in every head: reduced batch by batch, and gathered for a whole data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from value_nb import spilled
from value_nb.exact import exact
from value_nb.probes.coreference_statistics import top_regions
from value_nb.probes.mentions import Placed

if TYPE_CHECKING:
    from torch import Tensor

Key = tuple[str, tuple[str, int]]
"""Direction and (stack, layer)."""

FEWEST = 256  # mentions that an array has room for when it is made


@dataclass(frozen=True, slots=True)
class Looks:
    """What some mentions look at.

    Attributes
    ----------
    top
        `(mention, head)` int16: the region with the largest weight.
    weights
        `(mention, head, 2)` float32: mean weights of linked and of unlinked regions; nan where there are
        none.
    """

    top: np.ndarray
    weights: np.ndarray


def reduced(weights: Tensor, placed: Placed) -> tuple[Tensor, Tensor]:
    """`Looks.top` and `Looks.weights` of the weights `(mention, head, region)` of a batch, on its device."""
    import torch

    top = top_regions(weights, placed.rank, placed.valid).to(torch.int16)
    return top, (exact(weights) @ placed.averaging).float()


class Gathered:
    """The looks of all mentions by direction and layer, each in the order that its batches came in.

    Whatever is more than `value_nb.spilled.LIMIT` lies in files, which go with it.

    Examples
    --------
    >>> gathered = Gathered()
    >>> looks = Looks(np.array([[3], [1]], dtype=np.int16), np.zeros((2, 1, 2), dtype=np.float32))
    >>> for _ in range(2):
    ...     gathered.add(("text->image", ("joint", 1)), looks)
    >>> gathered.top([("text->image", ("joint", 1))], [3, 0]).tolist()
    [[1], [3]]
    """

    def __init__(self) -> None:
        self._used: dict[Key, int] = {}
        self._top: dict[Key, np.ndarray] = {}
        self._weights: dict[Key, np.ndarray] = {}

    def keys(self, direction: str) -> list[Key]:
        """The layers that a direction has, sorted."""
        return sorted(key for key in self._used if key[0] == direction)

    def heads(self, key: Key) -> int:
        """How many heads a layer has."""
        return int(self._top[key].shape[1])

    def add(self, key: Key, looks: Looks) -> None:
        """Add the mentions of a batch to a layer."""
        start = self._used.get(key, 0)
        stop = self._used[key] = start + len(looks.top)
        for arrays, new in ((self._top, looks.top), (self._weights, looks.weights)):
            self._grow(arrays, key, stop, new)[start:stop] = new

    def absorb(self, other: Gathered) -> None:
        """Add what another one holds, which is left as it is."""
        for key, used in other._used.items():
            self.add(key, Looks(other._top[key][:used], other._weights[key][:used]))

    def top(self, keys: Sequence[Key], rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """`(mention, head)` int16: regions looked at most by some mentions, heads of all these layers."""
        return np.concatenate([self._top[key][rows] for key in keys], axis=1)

    def weights(self, keys: Sequence[Key], rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """`(mention, head, 2)` float32: mean weights of linked and of unlinked regions."""
        return np.concatenate([self._weights[key][rows] for key in keys], axis=1)

    def __getstate__(self) -> dict[Key, Looks]:
        """Without the room that is not used yet."""
        return {key: Looks(self._top[key][:n], self._weights[key][:n]) for key, n in self._used.items()}

    def __setstate__(self, state: dict[Key, Looks]) -> None:
        self._used = {key: len(looks.top) for key, looks in state.items()}
        self._top = {key: looks.top for key, looks in state.items()}
        self._weights = {key: looks.weights for key, looks in state.items()}

    def _grow(self, arrays: dict[Key, np.ndarray], key: Key, rows: int, like: np.ndarray) -> np.ndarray:
        """The array of a layer, with room for so many rows."""
        there = arrays.get(key)
        if there is None or len(there) < rows:
            more = max(rows, FEWEST if there is None else 2 * len(there))
            room = spilled.room_beside((*self._top.values(), *self._weights.values()))
            arrays[key] = spilled.zeros((more, *like.shape[1:]), like.dtype, room)
            if there is not None:
                arrays[key][: len(there)] = there
        return arrays[key]
