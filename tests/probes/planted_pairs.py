"""Pairs whose answer is planted: a phrase and its region, or two regions, carry one sign, or none do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from tests.probes.planted import HEADS, WIDTH, PlantedModel
from value_nb import seeds
from value_nb.data.example import Example
from value_nb.layout import Layout


@dataclass
class PairModel(PlantedModel):
    """Phrase k and region k of a picture both get a sign on axis 1, the other phrase and region the other.

    Which one is positive is drawn for each run of caption and picture, so a state says nothing alone.

    Attributes
    ----------
    pairs
        Layer -> by how much the sign moves a state.
    links
        Head 1 of layer 2 puts this share of each word of phrase k on region k.
    """

    pairs: Mapping[int, float] = field(default_factory=dict)
    links: float = 0.0

    def with_random_weights(self, seed: int) -> PairModel:
        return PairModel(signal={}, stack=self.stack, weights=f"random:{seed}")

    def _states(self, layout: Layout, stream: str, n: int, layer: int) -> torch.Tensor:
        states = super()._states(layout, stream, n, layer)
        for row, example in enumerate(layout.examples):
            unit = layout.streams[stream].unit[row].numpy()
            name = f"{example.id}/{example.caption}"
            draw = 1 if seeds.uniforms(name, layer, 1, purpose="sign")[0] < 0.5 else -1
            for k, phrase in enumerate(example.phrases):
                mine = np.isin(unit, phrase.words) if stream == "text" else unit == k
                states[row, mine, 1] += draw * (1 - 2 * k) * self.pairs.get(layer, 0.0) / 2
        return states

    def _map(self, layout: Layout, direction: str, sizes: dict[str, int], layer: int) -> torch.Tensor:
        block = super()._map(layout, direction, sizes, layer)
        if direction == "text->image" and layer == 2:
            for row, example in enumerate(layout.examples):
                unit = layout.streams["text"].unit[row].numpy()
                for k, phrase in enumerate(example.phrases):
                    block[row, 1, np.isin(unit, phrase.words), k] += self.links
        return block


@dataclass
class NoisyModel(PlantedModel):
    """States and maps of noise alone; another `name` draws others."""

    def _states(self, layout: Layout, stream: str, n: int, layer: int) -> torch.Tensor:
        return self._noise(layout, f"{stream}", layer, (n, WIDTH))

    def _map(self, layout: Layout, direction: str, sizes: dict[str, int], layer: int) -> torch.Tensor:
        query, key = direction.split("->")
        return self._noise(layout, direction, layer, (HEADS, sizes[query], sizes[key])).abs()

    def _noise(self, layout: Layout, what: str, layer: int, shape: tuple[int, ...]) -> torch.Tensor:
        drawn = []
        for example in layout.examples:
            key = int(seeds.raw(f"{self.name}/{what}/{example.id}", layer, 1, purpose="noise")[0])
            drawn.append(np.random.default_rng(key).normal(size=shape))
        return torch.from_numpy(np.stack(drawn)).float()


def pick(frame: pd.DataFrame, group: str, measure: str = "accuracy", **more: Any) -> pd.Series:
    """The only row of a group and measure, without control unless `control` says which."""
    more = {"control": "none"} | more
    rows = frame[(frame["measure"] == measure) & (frame["group"] == group)]
    for column, value in more.items():
        rows = rows[rows[column] == value]
    assert len(rows) == 1, (group, measure, more, rows)
    return rows.iloc[0]


def of_one_class(example: Example) -> Example:
    """The example with both regions of one class."""
    assert example.regions is not None
    return replace(example, regions=replace(example.regions, names=("thing",) * len(example.regions)))
