"""Probes whose layers are reduced where the model runs, and fetched from there once for each batch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from value_nb.probes.base import Probe

if TYPE_CHECKING:
    from torch import Tensor

    from value_nb.layout import LayerBatch, Layout

Reduced = tuple[Hashable, tuple["Tensor", ...]]
"""What a layer comes to: its key, and small tensors."""


class Batchwise(Probe):
    """A probe that leaves small numbers of each layer on the device until the batch is over.

    To fetch anything from a GPU is to wait until all is computed that was asked before; done in each layer,
    the GPU idles while Python adds up. Here it happens once a batch, when the next one comes or the pass is
    over, and the adding up is done for all layers in one go.
    """

    @abstractmethod
    def _look(self, layout: Layout) -> Any:
        """What all layers of a batch need, worked out once; None: there is nothing to see in it."""

    @abstractmethod
    def _reduce(self, batch: LayerBatch, about: Any) -> Iterable[Reduced]:
        """Small tensors of one layer, on the device it was computed on; nothing may wait for that."""

    @abstractmethod
    def _add(self, about: Any, keys: Sequence[Any], *values: np.ndarray) -> None:
        """Add up a batch: each of the values is `(key, ...)`. Layers of other shapes come in another call."""

    def _start(self) -> None:
        self._layout: Layout | None = None
        self._about: Any = None
        self._waiting: dict[Hashable, tuple[Tensor, ...]] = {}

    def update(self, batch: LayerBatch) -> None:
        """Reduce one layer of one batch."""
        if self._layout is not batch.layout:
            self._turn_to(batch.layout)
        if self._about is None:
            return
        for key, tensors in self._reduce(batch, self._about):
            if key in self._waiting:  # the same batch is run once more
                self._turn_to(batch.layout)
            self._waiting[key] = tensors

    def _turn_to(self, layout: Layout) -> None:
        """The batch at hand is over, the next one begins."""
        self.settle()
        self._layout, self._about = layout, self._look(layout)

    def settle(self) -> None:
        """Fetch what waits, add it up, and let go of the batch."""
        for keys, values in together(self._waiting):
            self._add(self._about, keys, *values)
        self._layout, self._about, self._waiting = None, None, {}

    def state(self) -> dict[str, Any]:
        """What it has added up; the batch at hand is over."""
        self.settle()
        return {name: value for name, value in super().state().items() if name not in AT_HAND}

    def merge(self, other: Self) -> Self:
        """A new probe that has seen what both have, their last batches included."""
        self.settle()
        other.settle()
        return super().merge(other)


AT_HAND = frozenset({"_layout", "_about", "_waiting"})


def together(
    waiting: Mapping[Any, tuple[Tensor, ...]],
) -> Iterator[tuple[list[Any], tuple[np.ndarray, ...]]]:
    """Tensors of like shapes stacked `(key, ...)` and fetched in one piece, in order of first arrival."""
    import torch

    groups: dict[Any, list[Any]] = {}
    for key, tensors in waiting.items():
        groups.setdefault(tuple((t.shape, t.dtype) for t in tensors), []).append(key)
    for keys in groups.values():
        columns = zip(*(waiting[key] for key in keys), strict=True)
        yield keys, tuple(torch.stack(column).cpu().numpy() for column in columns)
