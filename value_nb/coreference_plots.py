"""Coreference attention -> axes: the best head of each entity type beside its controls, and maps of heads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from value_nb import coreference_heads as reading
from value_nb import style
from value_nb.curves import title
from value_nb.headmap import draw_head_map, write_numbers
from value_nb.reasons import draw_reason

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from value_nb.result import Result

RING = "#ece133"  # of seaborn's "colorblind" palette; shows on light and on dark cells
LABELS = {
    "hit_rate": "Hit rate",
    "hit_rate_linked": "Hit rate, linked regions alone",
    "linked_weight": "Mean attention, linked",
    "unlinked_weight": "Mean attention, unlinked",
    "p_max": "P-value over all heads",
}
SAID = {
    "text->image": "phrases looking at their regions (text->image)",
    "image->text": "regions looking at their phrases (image->text)",
}


def plot_coreference(result: Result, ax: Axes | None = None, direction: str = "text->image") -> Axes:
    """The chosen head of each entity type: hit rate with its interval, beside chance and controls.

    Heads are chosen on other pictures than those shown. A full point: better than the best guess, with a
    p-value below 0.05, corrected over types and directions (that of all types together stands alone).
    Where the probe has no number, the axes carry the reason.

    Parameters
    ----------
    result
        Of `CoreferenceAttention`.
    ax
        Where to draw; None makes a new figure.
    direction
        "text->image" or "image->text".

    Raises
    ------
    ValueError
        For another probe's result, or a direction that it does not have.
    """
    with style.styled():
        if (why := reading.nothing(result)) or not len(reading.chosen(result)):
            return _reason(style.new_axes() if ax is None else ax, result, why or reading.NO_MENTIONS)
        table = reading.best_heads(result, direction)
        ax = style.new_axes(8.6, 2.0 + 0.46 * len(table)) if ax is None else ax
        places = np.arange(len(table), dtype=float)
        _draw_guesses(ax, table, places)
        _draw_rates(ax, table, places, _full(result, table, direction), result.meta["model"])
        _dress(ax, result, table, places, direction)
    return ax


def plot_coreference_map(
    result: Result,
    ax: Axes | None = None,
    measure: str = "hit_rate",
    direction: str = "text->image",
    group: str = "all",
) -> Axes:
    """One measure of every head; a ring around heads whose p-value over all heads lies below 0.05.

    Parameters
    ----------
    measure
        "hit_rate", "hit_rate_linked", "linked_weight", "unlinked_weight" or "p_max".
    direction, group
        "text->image" or "image->text"; an entity type or "all".

    Raises
    ------
    ValueError
        For a measure, direction or entity type that there is not.
    """
    with style.styled():
        if why := reading.nothing(result):
            return _reason(style.new_axes() if ax is None else ax, result, why)
        table = reading.head_map(result, measure, direction, group)
        ax = (
            style.new_axes(2.4 + max(0.5 * table.shape[1], 4.2), 1.9 + 0.3 * len(table)) if ax is None else ax
        )
        mesh = draw_map(ax, result, measure, direction, group)
        bar = ax.figure.colorbar(mesh, ax=ax, pad=0.02)
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=2)
        whose = "all types" if group == reading.ALL else group
        lines = [
            title(result),
            f"{LABELS[measure]}, {whose}:",
            *_map_lines(result, measure, direction, group),
        ]
        ax.set_title("\n".join(lines))
    return ax


def _full(result: Result, table: pd.DataFrame, direction: str) -> set[str]:
    full = set(reading.holding(result, direction))
    own = table[(table["hit_rate"] > table["best_guess"]) & (table["p"] < reading.LEVEL)]
    return full | (set(own.index) & {reading.ALL})


def _draw_guesses(ax: Axes, table: pd.DataFrame, y: np.ndarray) -> None:
    """What a hit rate has to be held against, as ticks, bars and squares."""
    for column, colour, label in (
        ("chance", "#404040", "chance: regions that are a hit / all"),
        ("best_guess", style.PAPER, "best guess: largest or central region"),
    ):
        ax.plot(table[column], y, linestyle="none", marker="|", markersize=15, markeredgewidth=2.2,
                color=colour, label=label)  # fmt: skip
    ax.plot(table["permuted"], y, linestyle="none", marker="D", markersize=5, color="#de8f05",
            label="chains of a picture swapped")  # fmt: skip
    if "random_low" in table:
        ax.hlines(y, table["random_low"], table["random_high"], color=style.RANDOM, alpha=0.5, linewidth=9,
                  label="best heads of random models", zorder=1)  # fmt: skip
    if "mismatched" in table:
        ax.plot(table["mismatched"], y, linestyle="none", marker="s", markersize=5, color=style.MISMATCHED,
                label="mismatched pictures")  # fmt: skip


def _draw_rates(ax: Axes, table: pd.DataFrame, y: np.ndarray, full: set[str], model: str) -> None:
    ax.hlines(y, table["lo"], table["hi"], color=style.OURS, linewidth=1.8, zorder=3)
    for place, (group, row) in zip(y, table.iterrows(), strict=True):
        label = f"best head of {model}, 95 % interval" if place == y[0] else None
        face = style.OURS if group in full else "white"
        ax.plot(row["hit_rate"], place, marker="o", markersize=8, color=style.OURS, markerfacecolor=face,
                linestyle="none", label=label, zorder=4)  # fmt: skip


def _dress(ax: Axes, result: Result, table: pd.DataFrame, y: np.ndarray, direction: str) -> None:
    ax.set_yticks(y, [_name(str(group), row) for group, row in table.iterrows()])
    ax.set(xlim=(-0.02, 1.02), ylim=(len(table) - 0.5, -0.5))
    ax.set_xlabel("share of mentions whose largest weight is on a region that shows them")
    ax.grid(axis="x")
    ax.set_axisbelow(True)
    full = "full: beats the best guess, p < 0.05 (Holm over types and directions)"
    ax.set_title("\n".join([title(result), SAID[direction], full]))
    style.legend_outside(ax)


def _name(group: str, row: Any) -> str:
    """Type, chosen head and p-value; corrected where there is one."""
    p = row["p"] if group == reading.ALL else row["p_holm"]
    said = "no test" if not np.isfinite(p) else f"p {p:.3f}" if p >= 0.001 else "p < 0.001"
    return f"{group} ({row['mentions']:,})\nlayer {row['layer']}, head {row['head']}, {said}"


def draw_map(ax: Axes, result: Result, measure: str, direction: str, group: str, numbers: bool = True) -> Any:
    """One measure of every head on given axes, rings included; returns the cells, for a colour bar.

    Parameters
    ----------
    ax, result, measure, direction, group
        As in `plot_coreference_map`.
    numbers
        Write them into the cells.
    """
    from matplotlib.colors import Normalize

    table = reading.head_map(result, measure, direction, group)
    weights = measure.endswith("weight")
    top = float(np.nanmax(table.to_numpy(float), initial=0.0)) if weights else 1.0
    mesh = draw_head_map(ax, table, Normalize(0.0, top or 1.0), style.SEQUENTIAL)
    if numbers:
        write_numbers(ax, mesh, table)
    ax.set(xlabel="layer", ylabel="head")
    if measure.startswith("hit_rate"):
        _ring(ax, result, direction, group)
    return mesh


def _ring(ax: Axes, result: Result, direction: str, group: str) -> None:
    from matplotlib.patches import Rectangle

    for head, layer in _found(result, direction, group):
        ax.add_patch(
            Rectangle((layer - 0.42, head - 0.42), 0.84, 0.84, fill=False, edgecolor=RING, linewidth=2)
        )


def _found(result: Result, direction: str, group: str) -> list[tuple[int, int]]:
    """(head, layer) of the heads found at once over all heads; none where nothing could be swapped."""
    frame = result.frame
    rows = frame[
        (frame["measure"] == "p_max") & (frame["direction"] == direction) & (frame["control"] == "none")
    ]
    rows = rows[(rows["group"] == group) & (rows["value"] < reading.LEVEL)]
    return list(zip(rows["head"].astype(int), rows["layer"].astype(int), strict=True))


def _map_lines(result: Result, measure: str, direction: str, group: str) -> list[str]:
    lines = [SAID[direction]]
    if measure in ("hit_rate", "hit_rate_linked"):
        name = "chance" if measure == "hit_rate" else "chance_linked"
        chance = result.select(measure=name, group=group, control="none")["value"].iloc[0]
        lines.append(f"chance {chance:.2f}; ringed: p < 0.05 over all heads at once")
    return lines


def _reason(ax: Axes, result: Result, why: str) -> Axes:
    return draw_reason(ax, f"Visual coreference in the attention of {result.meta['model']}", why)
