"""Pictures with related and unrelated regions of the same classes, with captions that name them or do not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.probes.planted import TypedModel
from tests.probes.planted_model import Place, Positions
from value_nb import seeds
from value_nb.data.example import Example, Regions, Relation

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
class RelationModel(TypedModel):
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

    def states(self, at: Place, example: Example, where: Positions) -> np.ndarray:
        made = super().states(at, example, where)
        knows = at[1] == 2 and not (self.needs_caption and "~" in example.id)
        for relation in example.relations if knows else ():
            axes = [0, 1 + PREDICATES.index(relation.predicate)]
            made[np.ix_(where.regions([relation.subject]), axes)] += self.shows
        return made

    def rows(self, at: Place, example: Example, where: Positions) -> np.ndarray:
        made = super().rows(at, example, where)
        for relation in example.relations if at[1] == 1 else ():
            subject, target = (where.regions([k]) for k in (relation.subject, relation.object))
            made[0][np.ix_(subject, target)] += self.points
        return made
