"""When a model of the miniature is good enough for its figures to be read without a warning."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from data.build.measures import REMOVED

LEAST_REMOVED = 0.5
LEAST_AUC = 0.95


@dataclass(frozen=True)
class Criterion:
    """One condition of the gate: the value must reach `least`; nan or nothing measured does not."""

    name: str
    value: float
    least: float

    @property
    def met(self) -> bool:
        """Whether the value is high enough."""
        return math.isfinite(self.value) and self.value >= self.least


def criteria(metrics: dict[str, Any]) -> list[Criterion]:
    """Conditions for a model that sees pictures: what the right picture brings, and matching.

    At least half of the errors on hidden colour words, and on hidden object words, are removed by the right
    picture; matching AUC is at least 0.95.
    """
    removed = [
        Criterion(f"errors removed, {kind} words", metrics["words"][kind][REMOVED]["value"], LEAST_REMOVED)
        for kind in ("colour", "object")
    ]
    auc = metrics["matching AUC"]
    return [*removed, Criterion("matching AUC", auc["value"] if auc else math.nan, LEAST_AUC)]


def gate_met(metrics: dict[str, Any]) -> bool | None:
    """Whether all conditions are met; None for a model that sees no pictures."""
    if "matching AUC" not in metrics:
        return None
    return all(criterion.met for criterion in criteria(metrics))
