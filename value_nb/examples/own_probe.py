"""A probe of your own: how widely does a head spread its attention over the regions?

Copy this file and change what `update` computes. `vnb.sweep(model, data, [Spread()])` does the rest: batches,
controls, intervals over images, a result with a table, a figure and a sentence.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from value_nb import stats
from value_nb.layout import LayerBatch, PositionClass
from value_nb.models.base import VLModel
from value_nb.probes.base import Needs, Probe
from value_nb.sums import ImageSums

DIRECTION = "text->image"


class Spread(Probe):
    """For each head: the entropy of what a word piece gives to regions, divided by that of an even spread.

    0: all attention that reaches the picture goes to one region; 1: every region gets the same. Mean over
    the word pieces of a caption, then over captions. Captions with fewer than two regions count nothing.
    """

    title: str = "Spread over regions"
    question: str = "Do words look at one region, or at all of them alike?"

    def __init__(self) -> None:
        self.name = "spread"
        self._start()

    def _start(self) -> None:
        self._sums = ImageSums()

    def _absorb(self, other: Self) -> None:
        self._sums.absorb(other._sums)

    def needs(self, model: VLModel) -> Needs:
        """The maps from words to regions, in the stacks that have them."""
        stacks = [stack for stack, directions in model.directions.items() if DIRECTION in directions]
        return Needs(stacks=frozenset(stacks), attention=frozenset({DIRECTION}))

    def not_defined(self, model: VLModel) -> str | None:
        """A model has to look from words at regions."""
        return None if self.needs(model).stacks else f"{model.name} has no attention from text to image"

    def update(self, batch: LayerBatch) -> None:
        """One number for each example and head of this layer."""
        classes = {name: one.position_class.cpu().numpy() for name, one in batch.layout.streams.items()}
        words, regions = classes["text"] == PositionClass.TEXT, classes["image"] == PositionClass.IMAGE
        maps = batch.attention[DIRECTION].detach().cpu().double().numpy()
        values = [spread(m[:, w][:, :, r]) for m, w, r in zip(maps, words, regions, strict=True)]
        ids = [example.image_id for example in batch.layout.examples]
        self._sums.add((batch.stack, batch.layer), ids, np.array(values))

    def rows(self, *, replicates: int = stats.REPLICATES) -> list[dict[str, Any]]:
        """One row for each head: mean over captions with its interval over images."""
        keys: list[Any] = self._sums.keys
        found = []
        for stack, layer in keys:
            ids, sums, counts = self._sums.table((stack, layer))
            mean = stats.ratio_interval(sums, counts, ids, seed=self.seed, replicates=replicates)
            for head, n in enumerate(counts.sum(axis=0).astype(int)):
                found.append({
                    "stack": stack, "layer": layer, "head": head, "direction": DIRECTION,
                    "measure": "spread", "value": mean.value[head], "lo": mean.lo[head], "hi": mean.hi[head],
                    "n": n, "n_images": int(mean.n_images[head]), "unit": "fraction",
                })  # fmt: skip
        return found


def spread(attention: np.ndarray) -> np.ndarray:
    """Entropy over regions, scaled to [0, 1], mean over pieces.

    Parameters
    ----------
    attention
        `(head, piece, region)`: at least 0; rows need not sum to one.

    Returns
    -------
    `(head,)`; nan with fewer than two regions, without pieces, and for a head that gives nothing to regions.

    Examples
    --------
    >>> spread(np.array([[[0.2, 0.2, 0.0, 0.0]]])).round(2).tolist()
    [0.5]
    """
    heads, pieces, regions = attention.shape
    if regions < 2 or not pieces:
        return np.full(heads, np.nan)
    total = attention.sum(axis=2, keepdims=True)
    shares = np.divide(attention, total, out=np.full(attention.shape, np.nan), where=total > 0)
    surprise = -np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return (shares * surprise).sum(axis=2).mean(axis=1) / np.log(regions)
