"""Maps of heads: one cell for each head of each layer, layers from left to right as in the curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.colors import Normalize

MISSING = "#d0d0d0"
NUMBERED = 12  # up to so many layers the cells carry their numbers
DARK = 0.45  # luminance below which a number is written in white


def draw_head_map(ax: Axes, table: pd.DataFrame, norm: Normalize, colours: str) -> QuadMesh:
    """Draw a table of heads (rows) by layers (columns); grey where there is no value.

    Parameters
    ----------
    ax
        Where to draw; ticks are centred on whole layers and heads, so that a curve below can share them.
    table
        Index: heads, columns: layers; missing cells are nan.
    norm, colours
        From value to colour.

    Returns
    -------
    The cells, for a colour bar.
    """
    import matplotlib as mpl
    import seaborn  # noqa: F401  # brings its colour maps

    values = np.ma.masked_invalid(table.to_numpy(float))
    colour_map = mpl.colormaps[colours].with_extremes(bad=MISSING)
    edges = [np.append(np.asarray(labels, float), float(labels[-1]) + 1) - 0.5 for labels in _labels(table)]
    mesh = ax.pcolormesh(
        edges[1], edges[0], values, norm=norm, cmap=colour_map, edgecolors="white", linewidth=0.6
    )
    heads, layers = _labels(table)
    ax.set_xticks(layers)
    ax.set_yticks(heads)
    ax.set(xlim=(edges[1][0], edges[1][-1]), ylim=(edges[0][-1], edges[0][0]))
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return mesh


def write_numbers(ax: Axes, mesh: QuadMesh, table: pd.DataFrame, size: float = 7.5) -> None:
    """Write two digits into every cell, white on dark ones; nothing for maps of too many layers."""
    if len(table.columns) > NUMBERED:
        return
    values = table.to_numpy(float)
    colours = mesh.to_rgba(values)
    heads, layers = _labels(table)
    for row, head in enumerate(heads):
        for column, layer in enumerate(layers):
            if np.isfinite(values[row, column]):
                light = _luminance(colours[row, column])
                ax.text(
                    layer, head, f"{values[row, column]:.2f}", ha="center", va="center", fontsize=size,
                    color="white" if light < DARK else "#202020",
                )  # fmt: skip


def _labels(table: pd.DataFrame) -> tuple[list[int], list[int]]:
    return [int(head) for head in table.index], [int(layer) for layer in table.columns]


def _luminance(rgba: Any) -> float:
    red, green, blue = np.asarray(rgba, float)[:3]
    return float(0.299 * red + 0.587 * green + 0.114 * blue)
