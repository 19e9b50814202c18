"""Pairs whose answer is planted: a phrase and its region, or two regions, carry one sign, or none do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from tests.probes.planted import TypedModel
from tests.probes.planted_model import Place, Positions
from value_nb import seeds
from value_nb.data.example import Example


@dataclass
class PairModel(TypedModel):
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

    def states(self, at: Place, example: Example, where: Positions) -> np.ndarray:
        made, layer = super().states(at, example, where), at[1]
        name = f"{example.id}/{example.caption}"
        draw = 1 if seeds.uniforms(name, layer, 1, purpose="sign")[0] < 0.5 else -1
        for k, phrase in enumerate(example.phrases):
            mine = where.words(phrase.words) | where.regions([k])
            made[mine, 1] += draw * (1 - 2 * k) * self.pairs.get(layer, 0.0) / 2
        return made

    def rows(self, at: Place, example: Example, where: Positions) -> np.ndarray:
        made = super().rows(at, example, where)
        for k, phrase in enumerate(example.phrases if at[1] == 2 else ()):
            made[1][np.ix_(where.words(phrase.words), where.regions([k]))] += self.links
        return made


def pick(frame: pd.DataFrame, group: str, measure: str = "accuracy", **more: Any) -> pd.Series:
    """The only row of a group and measure, without control unless `control` says which."""
    more = {"control": "none"} | more
    rows = frame[(frame["measure"] == measure) & (frame["group"] == group)]
    for column, value in more.items():
        rows = rows[rows[column] == value]
    assert len(rows) == 1, (group, measure, more, rows)
    return rows.iloc[0]
