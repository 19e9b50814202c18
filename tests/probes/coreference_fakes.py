"""Pictures with chains of phrases, and a model that hands out made maps between their words and regions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from tests.fakes import FakeBatch, FakeModel
from value_nb import seeds
from value_nb.data.example import Example, Phrase, Regions
from value_nb.layout import LayerBatch, Layout, PositionClass, StreamLayout

Plan = Callable[[Example, str, int, int], np.ndarray]
"""(example, direction, layer, head) -> `(word, region)` weights, whichever looks at the other."""


def corners(count: int) -> np.ndarray:
    """Boxes that do not touch, in a row."""
    left = np.arange(count) / count
    return np.stack([left, np.zeros(count), left + 0.5 / count, np.ones(count)], axis=1).astype(np.float32)


def scene(
    image: str,
    chains: dict[str, tuple[str, tuple[int, ...]]],
    captions: Sequence[Sequence[str]],
    regions: int = 6,
    split: str = "test",
    boxes: np.ndarray | None = None,
    gold: dict[str, np.ndarray] | None = None,
) -> list[Example]:
    """Captions of a picture; `chains` says type and regions of each, every phrase has two words of three."""
    boxes = corners(regions) if boxes is None else boxes
    examples = []
    for number, mentioned in enumerate(captions):
        words = tuple(word for chain in mentioned for word in ("the", f"thing{chain}", "and"))
        phrases = tuple(
            Phrase(3 * k, 3 * k + 1, chain, (chains[chain][0],), chains[chain][1])
            for k, chain in enumerate(mentioned)
        )
        examples.append(
            Example(
                id=f"{image}#{number}", image_id=image, caption=" ".join(words), words=words, size=(9, 9),
                regions=Regions(boxes, None, ("thing",) * len(boxes), ("annotated",) * len(boxes)),
                phrases=phrases, dataset="fake-flickr30k", split=split,
                extra={"gold_boxes": gold} if gold else {},
            )
        )  # fmt: skip
    return examples


def world(
    images: int, split: str = "test", types: Sequence[str] = ("people", "people", "other", "other")
) -> list[Example]:
    """Pictures of one chain for each type, each on the region of its number, two captions; 6 regions."""
    chains = {str(k): (kind, (k,)) for k, kind in enumerate(types)}
    names = list(chains)
    return [
        example
        for image in range(images)
        for example in scene(f"{split}{image}", chains, (names, names[::-1][:2]), split=split)
    ]


class Mapped(FakeModel):
    """Hands out `plan` as blocks between the modalities; whatever belongs to no word or region holds 7."""

    plan: Plan

    def prepare(self, examples: Sequence[Example]) -> FakeBatch:
        text = _stream([[None, *range(len(e.words)), None] for e in examples], PositionClass.TEXT)
        image = _stream([[*range(len(e.regions or ()))] for e in examples], PositionClass.IMAGE)
        return FakeBatch({}, Layout(examples=tuple(examples), streams={"text": text, "image": image}))

    def run(self, batch: Any, on_layer: Any = None) -> None:
        layout = batch.layout
        sizes = {s: layout.streams[s].unit.shape[1] for s in ("text", "image")}
        for layer in range(1, self.stacks[self.stack] + 1):
            maps = {}
            for direction in ("image->text", "text->image"):
                query, key = direction.split("->")
                block = torch.full((len(layout.examples), self.n_heads, sizes[query], sizes[key]), 7.0)
                for row, example in enumerate(layout.examples):
                    for head in range(self.n_heads):
                        weights = torch.from_numpy(
                            np.asarray(self.plan(example, direction, layer, head))
                        ).float()
                        words, regions = weights.shape
                        if query == "text":
                            block[row, head, 1 : words + 1, :regions] = weights
                        else:
                            block[row, head, :regions, 1 : words + 1] = weights.T
                maps[direction] = block
            on_layer(LayerBatch(layout, self.stack, layer, {}, maps, self.joint))


def mapped(plan: Plan, layers: int = 2, heads: int = 2, stack: str = "joint", joint: bool = True) -> Mapped:
    model = Mapped(gap=(0.0,) * (layers + 1), n_heads=heads, stack=stack, joint=joint)
    model.plan = plan
    model.with_random_weights = lambda seed: _random(layers, heads, stack, joint, seed)  # type: ignore[method-assign]
    return model


def _random(layers: int, heads: int, stack: str, joint: bool, seed: int) -> Mapped:
    model = Mapped(
        gap=(0.0,) * (layers + 1), n_heads=heads, stack=stack, joint=joint, weights=f"random:{seed}"
    )
    model.plan = noise(f"random:{seed}")
    return model


def noise(name: str = "") -> Plan:
    """Weights drawn once for each example, direction, layer and head."""

    def plan(example: Example, direction: str, layer: int, head: int) -> np.ndarray:
        key = int(seeds.raw(f"{name}/{example.id}/{direction}/{head}", layer, 1, purpose="planted")[0])
        return np.random.default_rng(key).random((len(example.words), len(example.regions or ())))

    return plan


def looking(example: Example, weights: np.ndarray, at: Callable[[Phrase], Sequence[int]]) -> np.ndarray:
    """The weights with 1 more from each phrase to some regions; a new array."""
    weights = weights.copy()
    for phrase in example.phrases:
        weights[np.ix_(list(phrase.words), list(at(phrase)))] += 1.0
    return weights


def _stream(units: list[list[int | None]], own: PositionClass) -> StreamLayout:
    longest = max(map(len, units))
    unit, kinds = torch.full((len(units), longest), -1), torch.zeros((len(units), longest), dtype=torch.long)
    for row, line in enumerate(units):
        unit[row, : len(line)] = torch.tensor([-1 if u is None else u for u in line], dtype=torch.long)
        kinds[row, : len(line)] = torch.tensor(
            [int(PositionClass.SPECIAL if u is None else own) for u in line]
        )
    return StreamLayout(kinds, unit, tuple(tuple("x" for _ in line) for line in units))
