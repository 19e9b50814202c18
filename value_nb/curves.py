"""Pieces that figures by layer share: their title, a curve with its interval, the band of random models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from value_nb import quality_gate, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from value_nb.result import Result


def title(result: Result) -> str:
    """Model, data, n, and what its quality card or sanity gate says: what every figure's title says."""
    meta = result.meta
    counted = f"{meta['n']:,} pairs of {meta['n_images']:,} images"
    lines = [f"{meta['model']} on {meta['data']} ({meta['split']}), {counted}"]
    return "\n".join(line for line in (*lines, quality_gate.note(meta)) if line)


def by_layer(rows: pd.DataFrame, control: str) -> pd.DataFrame:
    """The rows of one control ("none" for the model itself), in the order of layers."""
    return rows[rows["control"] == control].sort_values("layer")


def draw_curve(ax: Axes, rows: pd.DataFrame, colour: str, label: str, line: str, marker: str) -> None:
    """Values by layer with their interval as a band; nothing for no rows."""
    if rows.empty:
        return
    x = rows["layer"].to_numpy(float)
    ax.plot(
        x, rows["value"], color=colour, linestyle=line, marker=marker, markersize=5, label=label, zorder=3
    )
    ax.fill_between(x, rows["lo"], rows["hi"], color=colour, alpha=0.2, linewidth=0, zorder=2)


def draw_random(ax: Axes, rows: pd.DataFrame) -> None:
    """Mean over the seeds as a line, from the lowest to the highest seed as a band."""
    if rows.empty:
        return
    spread = rows.groupby("layer")["value"].agg(["mean", "min", "max"])
    x, seeds = spread.index.to_numpy(float), rows["weights"].nunique()
    label = f"random weights ({seeds} seed{'s' * (seeds != 1)}):\nmean, lowest to highest"
    ax.plot(x, spread["mean"], color=style.RANDOM, linestyle=":", label=label, zorder=2)
    ax.fill_between(x, spread["min"], spread["max"], color=style.RANDOM, alpha=0.3, linewidth=0, zorder=1)


def draw_with_controls(ax: Axes, rows: pd.DataFrame, model: str) -> None:
    """One measure by layer: the model's curve, the mismatched pairs' and the random models'."""
    draw_random(ax, by_layer(rows, "random weights"))
    draw_curve(ax, by_layer(rows, "mismatched"), style.MISMATCHED, "mismatched pictures", "--", "s")
    draw_curve(ax, by_layer(rows, "none"), style.OURS, f"{model}, 95 % interval", "-", "o")
