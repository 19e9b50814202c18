"""Fusion by layer as tables to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from value_nb.reasons import reason_table

if TYPE_CHECKING:
    import pandas as pd

    from value_nb.result import Result


def fusion_layers(result: Result, measure: str = "ami", specials: str = "paper") -> pd.DataFrame:
    """The model's own values: layer, value, lo, hi, n, n_images; the reason where it has none."""
    if result.reason is not None:
        return reason_table(result, result.reason)
    rows = result.select(measure=measure, specials=specials, control="none")
    return rows[["layer", "value", "lo", "hi", "n", "n_images"]]


def fusion_beside_controls(result: Result, specials: str = "paper") -> pd.DataFrame:
    """All measures, model and controls, by layer; controls of several seeds as their mean."""
    if result.reason is not None:
        return reason_table(result, result.reason)
    shown = result.select(specials=specials).query("layer >= 0")
    return shown.pivot_table(index=["measure", "control"], columns="layer", values="value")
