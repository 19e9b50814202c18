"""Pictures with related and unrelated regions of the same classes, with captions that name them or do not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from tests.probes.planted import PlantedModel
from value_nb import seeds
from value_nb.data.example import Example, Regions, Relation
from value_nb.layout import Layout

PREDICATES = ("holding", "near", "wearing")
NAMES = ("man", "dog", "man", "dog", "tree")
PAIRS = ((0, 1), (2, 3))
BOXES = np.array(
    [
        [0.10, 0.10, 0.20, 0.20], [0.30, 0.10, 0.40, 0.20], [0.10, 0.60, 0.20, 0.70],
        [0.30, 0.60, 0.40, 0.70], [0.80, 0.80, 0.90, 0.90],
    ],
    dtype=np.float32,
)  # fmt: skip


def relation_examples(images: int = 36, seed: int = 0) -> list[Example]:
    """Two men and two dogs; in each picture one of two like pairs is related; two captions each."""
    return [_example(image, k, seed) for image in range(images) for k in range(2)]


def related(image: int, seed: int) -> tuple[tuple[int, int], str]:
    """The related pair of a picture, and its predicate."""
    draws = seeds.raw(f"i{image}", seed, 2, purpose="relation")
    return PAIRS[int(draws[0] % np.uint64(2))], PREDICATES[int(draws[1] % np.uint64(3))]


def _example(image: int, k: int, seed: int) -> Example:
    pair, predicate = related(image, seed)
    words = ("a", "man", "and", "dogs") if k == 0 else ("a", "tree", "in", "wind")
    return Example(
        id=f"i{image}#{k}",
        image_id=f"i{image}",
        caption=" ".join(words),
        words=words,
        size=(100, 100),
        regions=Regions(BOXES, None, NAMES, ("annotated",) * 5),
        relations=(Relation(pair[0], predicate, pair[1]),),
        dataset="planted-vg",
        split=("train", "train", "val", "train", "train", "test")[image % 6],
    )


@dataclass
class RelationModel(PlantedModel):
    """In layer 2, the state of a related subject says that it is one, and of which predicate.

    Attributes
    ----------
    shows
        By how much; only when the caption is one of the picture's own, where `needs_caption`.
    points
        Head 0 of layer 1 puts this share of a related subject's attention on its object.
    """

    shows: float = 0.0
    points: float = 0.0
    needs_caption: bool = False
    seed: int = 0
    extra: dict[str, Any] = field(default_factory=dict)

    def with_random_weights(self, seed: int) -> RelationModel:
        return RelationModel(stack=self.stack, weights=f"random:{seed}", seed=self.seed)

    def _states(self, layout: Layout, stream: str, n: int, layer: int) -> torch.Tensor:
        states = super()._states(layout, stream, n, layer)
        if stream == "image" and layer == 2:
            for row, example in enumerate(layout.examples):
                if self.needs_caption and "~" in example.id:
                    continue
                for relation in example.relations:
                    axis = 1 + PREDICATES.index(relation.predicate)
                    states[row, relation.subject, 0] += self.shows
                    states[row, relation.subject, axis] += self.shows
        return states

    def _map(self, layout: Layout, direction: str, sizes: dict[str, int], layer: int) -> torch.Tensor:
        block = super()._map(layout, direction, sizes, layer)
        if direction == "image->image" and layer == 1:
            for row, example in enumerate(layout.examples):
                for relation in example.relations:
                    block[row, 0, relation.subject, relation.object] += self.points
        return block
