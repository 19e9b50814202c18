"""Growth -> figure: curves of the training, and below them the map of heads at each checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from value_nb import style
from value_nb.headmap import draw_head_map

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh

    from value_nb.growth import Growth

CURVES = {
    "object words": ("hidden object words", style.OURS, "-"),
    "colour words": ("hidden colour words", style.PAPER, "--"),
    "matching AUC": ("matching AUC", style.MISMATCHED, "-."),
}
WATCHED = "dev"
SMOOTH = 3  # checkpoints of the curve that a point is the mean of


def plot_growth(growth: Growth, direction: str = "text->image") -> np.ndarray:
    """Above: what the model can do, by step; below: how often each head's largest weight is a hit.

    Marks in the curves are the checkpoints of the maps. The curves are measured on other pictures than the
    maps, and they have no interval; points with bars are the best head of a checkpoint with its 95 %
    interval over pictures.

    Returns
    -------
    The axes: the curves first, then one map for each checkpoint.
    """
    import matplotlib.pyplot as plt

    maps = growth.maps(direction)
    with style.styled():
        figure = plt.figure(figsize=(8.4, 6.2), layout="constrained")
        wide = (*[1.0] * len(maps), 1.5)
        grid = figure.add_gridspec(2, len(maps) + 1, height_ratios=(1.25, 1.0), width_ratios=wide)
        curves, names = figure.add_subplot(grid[0, :-1]), figure.add_subplot(grid[0, -1])
        _draw_curves(curves, growth, direction)
        names.set_axis_off()
        names.legend(*curves.get_legend_handles_labels(), loc="upper left", borderaxespad=0.0)
        cells = [figure.add_subplot(grid[1, i]) for i in range(len(maps))]
        mesh = _draw_maps(cells, maps)
        beside = figure.add_subplot(grid[1, -1])
        beside.set_axis_off()
        bar = figure.colorbar(mesh, cax=beside.inset_axes((0.0, 0.0, 0.1, 1.0)), label="hit rate")
        bar.outline.set_visible(False)
    return np.array([curves, *cells])


def _draw_curves(ax: Axes, growth: Growth, direction: str) -> None:
    watched = growth.curve[growth.curve["split"] == WATCHED]
    for measure, (label, colour, line) in CURVES.items():
        rows = watched[watched["measure"] == measure].sort_values("step")
        if len(rows):
            smooth = rows["value"].rolling(SMOOTH, center=True, min_periods=1).mean()
            ax.plot(rows["step"], smooth, color=colour, linestyle=line, label=label)
    _draw_best(ax, growth, direction)
    for step in growth.results:
        ax.axvline(step, color="#b0b0b0", linewidth=0.8, linestyle=":", zorder=0)
    ax.set(xlabel="step of training", ylabel="share right, AUC, or hit rate", ylim=(0.0, 1.02))
    ax.grid(axis="y")
    ax.set_axisbelow(True)
    meta, mentions = next(iter(growth.results.values())).meta, int(growth.best()["mentions"].max())
    ax.set_title(
        f"{growth.model}: curves on {WATCHED} pictures (mean of {SMOOTH} neighbours);\n"
        f"heads on {mentions:,} phrases of {meta['data']}'s test pictures"
    )


def _draw_best(ax: Axes, growth: Growth, direction: str) -> None:
    best = growth.best()
    best = best[best["direction"] == direction]
    bars = (best[["hit_rate", "hit_rate"]].to_numpy(float) - best[["lo", "hi"]].to_numpy(float)).T
    ax.errorbar(
        best["step"], best["hit_rate"], yerr=np.abs(bars), color="#202020", marker="o", linestyle="none",
        capsize=3, label="best head, hit rate\n(95 % interval)", zorder=4,
    )  # fmt: skip
    chance = float(best["chance"].iloc[0])
    ax.axhline(chance, color=style.RANDOM, linewidth=1.2, linestyle="--", label="chance of a hit")


def _draw_maps(cells: list[Axes], maps: dict[int, pd.DataFrame]) -> QuadMesh:
    """All on one scale; returns the last one's cells, for a colour bar."""
    from matplotlib.colors import Normalize

    top = max(float(np.nanmax(table.to_numpy(float))) for table in maps.values())
    for ax, (step, table) in zip(cells, maps.items(), strict=True):
        mesh = draw_head_map(ax, table, Normalize(0.0, top), style.SEQUENTIAL)
        ax.set_title(f"step {step:,}" if step else "random weights", fontsize=10)
        ax.set_xlabel("layer")
    cells[0].set_ylabel("head")
    return mesh
