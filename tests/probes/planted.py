"""A model and examples for classifier probes: answers are planted in states and maps, or are nowhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from tests.fakes import FakeBatch
from value_nb import seeds
from value_nb.data.example import Example, Phrase, Regions
from value_nb.layout import LayerBatch, Layout, PositionClass, StreamLayout
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
class PlantedModel:
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
    weights: str = "trained"
    name: str = "planted"
    family: str = "planted"
    gate_met: bool | None = True
    card: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stacks = {self.stack: 2}
        both = ("text->text", "text->image", "image->text", "image->image")
        self.directions = {self.stack: ("text->text",) if self.stack == "text" else both}
        self.widths = {"text": WIDTH, "image": WIDTH}

    def with_random_weights(self, seed: int) -> PlantedModel:
        return PlantedModel(signal={}, stack=self.stack, weights=f"random:{seed}")

    def prepare(self, examples: Sequence[Example]) -> FakeBatch:
        text = [[-1, *np.repeat(np.arange(len(e.words)), 2).tolist(), -1] for e in examples]
        image = [list(range(len(e.regions or ()))) for e in examples]
        streams = {
            "text": stream_of(text, PositionClass.TEXT),
            "image": stream_of(image, PositionClass.IMAGE),
        }
        return FakeBatch({}, Layout(tuple(examples), streams))

    def run(self, batch: FakeBatch, on_layer: Callable[[LayerBatch], None]) -> None:
        layout = batch.layout
        sizes = {s: layout.streams[s].unit.shape[1] for s in ("text", "image")}
        for layer in range(3):
            hidden = {s: self._states(layout, s, n, layer) for s, n in sizes.items()}
            if self.stack == "text":
                hidden = {"text": hidden["text"]}
            maps = (
                {d: self._map(layout, d, sizes, layer) for d in self.directions[self.stack]} if layer else {}
            )
            on_layer(LayerBatch(layout, self.stack, layer, hidden, maps, True))

    def _states(self, layout: Layout, stream: str, n: int, layer: int) -> torch.Tensor:
        states = torch.full((len(layout.examples), n, WIDTH), 1e3)
        for row, example in enumerate(layout.examples):
            unit = layout.streams[stream].unit[row].numpy()
            key = int(seeds.raw(f"{self.weights}/{stream}/{example.id}", layer, 1, purpose="states")[0])
            values = np.random.default_rng(key).normal(size=(n, WIDTH))
            if stream == "text":
                for phrase in example.phrases:
                    sign = 1 if phrase.types[0] == "people" else -1
                    values[np.isin(unit, phrase.words), 0] += sign * self.signal.get(layer, 0.0) / 2
            states[row] = torch.from_numpy(values)
        return states

    def _map(self, layout: Layout, direction: str, sizes: dict[str, int], layer: int) -> torch.Tensor:
        query, key = direction.split("->")
        block = torch.full((len(layout.examples), HEADS, sizes[query], sizes[key]), 1 / sum(sizes.values()))
        if direction == "text->image" and layer == 2:
            for row, example in enumerate(layout.examples):
                unit = layout.streams["text"].unit[row].numpy()
                for phrase in example.phrases:
                    if phrase.types[0] == "people" and phrase.regions:
                        block[row, 1, np.isin(unit, phrase.words), phrase.regions[0]] += self.looks
        return block


def stream_of(units: list[list[int]], kind: PositionClass) -> StreamLayout:
    """A stream whose positions belong to these units, -1 for specials; padded to the longest."""
    longest = max(map(len, units))
    classes = [[PositionClass.SPECIAL if u < 0 else kind for u in row] for row in units]
    padded = [[*row, *[-1] * (longest - len(row))] for row in units]
    filled = [[*row, *[0] * (longest - len(row))] for row in classes]
    tokens = tuple(tuple("x" for _ in row) for row in units)
    return StreamLayout(torch.tensor(filled), torch.tensor(padded), tokens)


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
