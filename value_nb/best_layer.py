"""The layer of a classifier's result that is best on validation, so that its test score is not flattered."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def best_layer(frame: pd.DataFrame, group: str = "embedding", control: str = "none") -> tuple[str, int]:
    """(stack, layer) of a classifier's result with the best validation accuracy; of equals the first.

    Parameters
    ----------
    frame
        Of a `Result` of a classifier probe.
    group
        The view.
    control
        Under which condition it is chosen.

    Raises
    ------
    ValueError
        When the frame has no layers of that group under that condition.
    """
    wanted = (frame["measure"] == "validation_accuracy") & (frame["group"] == group)
    rows = frame[wanted & (frame["control"] == control)]
    rows = rows[rows["layer"].notna()] if "layer" in rows else rows.iloc[:0]
    if rows.empty:
        there = ", ".join(map(repr, frame["group"].dropna().unique()))
        raise ValueError(f"no layers of group {group!r} under control {control!r}; groups: {there}")
    best = rows.iloc[int(rows["value"].to_numpy().argmax())]
    return str(best["stack"]), int(best["layer"])
