"""A model and examples for classifier probes: answers are planted in states and maps, or are nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.probes.planted_model import STREAMS, Place, PlantedModel, Positions
from value_nb import seeds
from value_nb.data.example import Example, Phrase, Regions
from value_nb.probes.classifier import ClassifierProbe
from value_nb.probes.items import Item
from value_nb.probes.spans import regions, words
from value_nb.probes.views import Attention, States, View

WIDTH, HEADS = 5, 3
TYPES = ("animals", "people")
SIDES = {"phrase": "text", "region": "image"}


def planted_examples(images: int = 24, seed: int = 0) -> list[Example]:
    """Two phrases of two words and two regions to a picture; of six pictures, one val, one test."""
    return [_example(image, seed) for image in range(images)]


def _example(image: int, seed: int) -> Example:
    kinds = [int(k) for k in seeds.raw(f"i{image}", seed, 2, purpose="kinds") % np.uint64(2)]
    boxes = np.array([[0.1, 0.1, 0.4, 0.4], [0.5, 0.5, 0.9, 0.9]], dtype=np.float32)
    heads = [
        f"{TYPES[k]}{int(n)}"
        for k, n in zip(kinds, seeds.raw(f"h{image}", seed, 2, purpose="heads") % np.uint64(3), strict=True)
    ]
    sentence = ("the", heads[0], "the", heads[1])
    return Example(
        id=f"i{image}#0",
        image_id=f"i{image}",
        caption=" ".join(sentence),
        words=sentence,
        size=(320, 240),
        regions=Regions(boxes, None, ("thing", "thing"), ("annotated", "annotated")),
        phrases=tuple(Phrase(2 * k, 2 * k + 1, str(k), (TYPES[kinds[k]],), (k,)) for k in range(2)),
        dataset="planted",
        split=("train", "train", "val", "train", "train", "test")[image % 6],
    )


@dataclass
class TypedModel(PlantedModel):
    """Layers 0, 1, 2 of one stack. [CLS] and words of two pieces, then regions.

    Attributes
    ----------
    signal
        Layer -> by how much a phrase's type moves the states of its words along axis 0.
    looks
        Head 1 of layer 2 puts this share of a word's attention on its region when the type is "people".
    """

    signal: Mapping[int, float] = field(default_factory=lambda: {2: 6.0})
    looks: float = 0.0
    stack: str = "joint"
    width: int = WIDTH
    n_heads: int = HEADS
    pieces: int = 2

    def __post_init__(self) -> None:
        self.stacks = {self.stack: 2}
        super().__post_init__()

    def with_random_weights(self, seed: int) -> TypedModel:
        return type(self)(signal={}, stack=self.stack, weights=f"random:{seed}")

    def states(self, at: Place, example: Example, where: Positions) -> np.ndarray:
        made = np.concatenate([self._drawn(at, example, where, stream) for stream in STREAMS])
        for phrase in example.phrases:
            sign = 1 if phrase.types[0] == "people" else -1
            made[where.words(phrase.words), 0] += sign * self.signal.get(at[1], 0.0) / 2
        return made

    def rows(self, at: Place, example: Example, where: Positions) -> np.ndarray:
        made = super().rows(at, example, where)
        for phrase in example.phrases if at[1] == 2 else ():
            if phrase.types[0] == "people" and phrase.regions:
                made[1][np.ix_(where.words(phrase.words), where.regions(phrase.regions[:1]))] += self.looks
        return made

    def _drawn(self, at: Place, example: Example, where: Positions, stream: str) -> np.ndarray:
        """States drawn once for an example, layer and stream: the same in any batch."""
        key = seeds.raw(f"{self.weights}/{stream}/{example.id}", at[1], 1, purpose="states")
        span = where.stream(stream)
        return np.random.default_rng(int(key[0])).normal(size=(span.stop - span.start, self.width))


class PhraseType(ClassifierProbe):
    """Entity type of a linked pair; the head word is its type for the control task."""

    name, title, question = "phrase_type", "Phrase type", "Which type is the phrase of?"

    controls = frozenset({"random weights"})

    def __init__(self, baseline: bool = True, **settings: Any) -> None:
        self.baseline = baseline
        super().__init__(**({"n_jobs": 1, "grid": (0.01, 0.1)} | settings))

    def items(self, example: Example) -> list[Item]:
        return [
            Item(
                name=f"{example.id}/{k}",
                label=phrase.types[0],
                spans={"phrase": words(phrase.words), "region": regions(*phrase.regions)},
                type=example.words[phrase.last],
                known={"head": {example.words[phrase.last]: 1.0}, "box": [0.5, float(k)]},
            )
            for k, phrase in enumerate(example.phrases)
            if phrase.regions
        ]

    def views(self) -> list[View]:
        return [States(SIDES), Attention(SIDES)]

    def baselines(self) -> dict[str, list[str]]:
        return {"head word": ["head"], "head + box": ["head", "box"]} if self.baseline else {}
