"""Pictures with chains of phrases, and a model that hands out made maps between their words and regions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tests.probes.planted_model import WEIGHT_OF_PADDING, Place, PlantedModel, Positions
from value_nb import seeds
from value_nb.data.example import Example, Phrase, Regions

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


@dataclass
class Mapped(PlantedModel):
    """Hands out `plan` as blocks between the modalities; whatever belongs to no word or region holds 7."""

    plan: Plan = field(kw_only=True)
    n_heads: int = 2

    def rows(self, at: Place, example: Example, where: Positions) -> np.ndarray:
        made = np.full((self.n_heads, len(where), len(where)), WEIGHT_OF_PADDING)
        text, image = slice(1, len(example.words) + 1), where.stream("image")
        for head in range(self.n_heads):
            made[head, text, image] = self.plan(example, "text->image", at[1], head)
            made[head, image, text] = np.transpose(self.plan(example, "image->text", at[1], head))
        return made

    def with_random_weights(self, seed: int) -> Mapped:
        return replace(self, plan=noise(f"random:{seed}"), weights=f"random:{seed}")

    def _whole(self, rows: np.ndarray, where: Positions, closed: Sequence[str]) -> np.ndarray:
        """As they are: weights are given, not shares."""
        return rows


def mapped(plan: Plan, layers: int = 2, heads: int = 2, stack: str = "joint", joint: bool = True) -> Mapped:
    return Mapped(plan=plan, stacks={stack: layers}, n_heads=heads, joint=joint)


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
