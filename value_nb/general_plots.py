"""Any result -> axes: heads by layers where a measure has heads, else a curve by layer with its controls.

What a probe of one's own gets without a line of plotting; the kit's own probes have figures of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from value_nb import style
from value_nb.curves import draw_with_controls, title
from value_nb.headmap import draw_head_map, write_numbers
from value_nb.reasons import draw_reason

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from value_nb.result import Result

APART = ("measure", "stack", "direction", "group", "specials")
"""Columns that tell one figure from another; the first value of each is drawn unless another is asked for."""


def plot_any(
    result: Result,
    ax: Axes | None = None,
    measure: str | None = None,
    stack: str | None = None,
    direction: str | None = None,
    group: str | None = None,
    specials: str | None = None,
) -> Axes:
    """One measure of a result of any probe: a map of heads, or a curve by layer beside its controls.

    Parameters
    ----------
    result
        Of any probe whose rows have a layer.
    ax
        Where to draw; None makes a new figure.
    measure, stack, direction, group, specials
        Which rows; None takes the first value that the frame has, or all where it has no such column.

    Raises
    ------
    ValueError
        For a choice that the frame does not have (the message lists those it has), and for rows without
        layers.
    KeyError
        For a choice in a column that the frame does not have.
    """
    with style.styled():
        ax = style.new_axes() if ax is None else ax
        if result.reason is not None:
            return draw_reason(ax, str(result.meta.get("model", "")), result.reason)
        asked = dict(zip(APART, (measure, stack, direction, group, specials), strict=True))
        rows, chosen = _rows(result, asked)
        if "layer" not in rows or rows["layer"].isna().all():
            raise ValueError(f"the rows {chosen} of {result.probe!r} have no layer; draw them from r.frame")
        heads = rows[rows["head"].notna()] if "head" in rows else rows[:0]
        if len(heads):
            _draw_heads(ax, heads[heads["control"] == "none"], chosen["measure"])
        else:
            draw_with_controls(ax, rows, result.meta["model"])
            ax.set(xlabel="layer", ylabel=_spoken(chosen["measure"]))
            ax.set_xticks(sorted(rows["layer"].dropna().unique().astype(int)))
            style.legend_outside(ax)
        ax.set_title(f"{title(result)}\n{', '.join(_spoken(word) for word in chosen.values())}")
    return ax


def _rows(result: Result, asked: dict[str, str | None]) -> tuple[pd.DataFrame, dict[str, str]]:
    """The rows of one figure, and what they are."""
    wanted = {column: value for column, value in asked.items() if value is not None}
    rows = result.select(**wanted)
    chosen: dict[str, str] = {}
    for column in (column for column in APART if column in rows and rows[column].notna().any()):
        chosen[column] = str(rows[column].dropna().iloc[0])
        rows = rows[rows[column] == chosen[column]]
    return rows, chosen


def _draw_heads(ax: Axes, rows: pd.DataFrame, measure: str) -> None:
    from matplotlib.colors import Normalize

    table = rows.pivot(index="head", columns="layer", values="value")
    values = table.to_numpy(float)
    norm = Normalize(float(np.nanmin(values)), float(np.nanmax(values)))
    mesh = draw_head_map(ax, table, norm, style.SEQUENTIAL)
    write_numbers(ax, mesh, table)
    ax.set(xlabel="layer", ylabel="head")
    ax.figure.colorbar(mesh, ax=ax, pad=0.02, label=_spoken(measure))


def _spoken(name: str) -> str:
    return name.replace("_", " ")
