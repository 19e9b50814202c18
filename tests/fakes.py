"""A model without weights: its states are planted, so that what a probe should find is known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from value_nb import seeds
from value_nb.data.example import Example, Regions
from value_nb.layout import LayerBatch, Layout, PositionClass, StreamLayout

WIDTH = 6
States = Callable[[Example, int, int], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class FakeBatch:
    inputs: dict[str, Any]
    layout: Layout


def planted(gap: Sequence[float], width: int = WIDTH, weights: str = "trained") -> States:
    """States drawn once for each example and layer: text around gap[layer] / 2, image around minus that.

    The same example gets the same states in any batch; another `weights` or layer gets others.
    """

    def states(example: Example, layer: int, n_text: int) -> tuple[np.ndarray, np.ndarray]:
        key = int(seeds.raw(f"{weights}/{example.id}", layer, 1, purpose="planted")[0])
        rng = np.random.default_rng(key)
        text = rng.normal(size=(n_text, width))
        image = rng.normal(size=(len(example.regions or ()), width))
        text[:, 0] += gap[layer] / 2
        image[:, 0] -= gap[layer] / 2
        return text.astype(np.float32), image.astype(np.float32)

    return states


@dataclass
class FakeModel:
    """Hands out the layers of one stack: [CLS] words [SEP], then regions; padded to the longest."""

    gap: Sequence[float] = (6.0, 3.0, 0.0)
    stack: str = "joint"
    width: int = WIDTH
    weights: str = "trained"
    name: str = "fake"
    family: str = "fake"
    gate_met: bool | None = True
    card: dict[str, Any] = field(default_factory=lambda: {"seed": 7})
    states: States | None = None
    joint: bool = True
    n_heads: int = 2
    widths: dict[str, int] = field(default_factory=dict)
    calls: list[tuple[str, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stacks = {self.stack: len(self.gap) - 1}
        self.directions = {self.stack: ("text->text", "text->image", "image->text", "image->image")}
        self.widths = self.widths or {"text": self.width, "image": self.width}
        self.states = self.states or planted(self.gap, self.width, self.weights)

    def with_random_weights(self, seed: int) -> FakeModel:
        return FakeModel(
            gap=[1.0] * len(self.gap), stack=self.stack, width=self.width, weights=f"random:{seed}", card={}
        )

    def prepare(self, examples: Sequence[Example]) -> FakeBatch:
        text = [
            [PositionClass.SPECIAL, *[PositionClass.TEXT] * len(e.words), PositionClass.SPECIAL]
            for e in examples
        ]
        image = [[PositionClass.IMAGE] * len(e.regions or ()) for e in examples]
        streams = {"text": _stream(text), "image": _stream(image)}
        return FakeBatch({}, Layout(streams=streams, examples=tuple(examples)))

    def run(self, batch: FakeBatch, on_layer: Callable[[LayerBatch], None] | None = None) -> None:
        layout = batch.layout
        self.calls.append(tuple(e.id for e in layout.examples))
        n_text, n_image = (layout.streams[s].position_class.shape[1] for s in ("text", "image"))
        sizes = {"text": n_text, "image": n_image}
        for layer in range(len(self.gap)):
            hidden = {s: torch.full((len(layout.examples), sizes[s], self.width), 1e3) for s in sizes}
            for row, example in enumerate(layout.examples):
                for stream, values in zip(
                    sizes, self.states(example, layer, len(example.words) + 2), strict=True
                ):
                    hidden[stream][row, : len(values)] = torch.from_numpy(values)
            maps = (
                {}
                if layer == 0
                else {d: self._map(len(layout.examples), sizes, d) for d in self.directions[self.stack]}
            )
            if on_layer is not None:
                on_layer(LayerBatch(layout, self.stack, layer, hidden, maps, self.joint))

    def _map(self, n: int, sizes: dict[str, int], direction: str) -> torch.Tensor:
        query, key = direction.split("->")
        return torch.full((n, self.n_heads, sizes[query], sizes[key]), 1.0 / (sizes["text"] + sizes["image"]))


def _stream(classes: list[list[int]]) -> StreamLayout:
    longest = max(map(len, classes))
    padded = torch.tensor([[*row, *[0] * (longest - len(row))] for row in classes], dtype=torch.long)
    padded = padded.reshape(len(classes), longest)
    unit = torch.where((padded == PositionClass.TEXT) | (padded == PositionClass.IMAGE), 0, -1)
    return StreamLayout(padded, unit, tuple(tuple("x" for _ in row) for row in classes))


def fake_examples(
    images: int, captions: int = 2, seed: int = 0, regions: tuple[int, int] = (4, 9)
) -> list[Example]:
    """Examples with different numbers of words and regions; regions without features."""
    rng = np.random.default_rng(seed)
    examples = []
    for image in range(images):
        count = int(rng.integers(*regions, endpoint=True))
        for caption in range(captions):
            words = tuple(f"w{k}" for k in range(rng.integers(3, 9)))
            examples.append(fake_example(f"img{image}", caption, words, count))
    return examples


def fake_example(image: str, caption: int, words: tuple[str, ...], regions: int) -> Example:
    corner = np.linspace(0.0, 0.6, regions, dtype=np.float32)
    boxes = np.stack([corner, corner, corner + 0.3, corner + 0.3], axis=1).astype(np.float32)
    return Example(
        id=f"{image}#{caption}",
        image_id=image,
        caption=" ".join(words),
        words=words,
        size=(320, 240),
        regions=Regions(boxes, None, ("thing",) * regions, ("annotated",) * regions),
        dataset="fake-flickr30k",
        split="test",
    )
