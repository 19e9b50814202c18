"""Cross-modal heads -> axes: maps of heads beside the paper's numbers, and heads by layer beside controls."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from value_nb import crossmodal, paper, style
from value_nb.curves import title
from value_nb.headmap import draw_head_map, write_numbers
from value_nb.reasons import draw_reason

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize

    from value_nb.result import Result

SIDES = {"image->text": ("regions", "the text"), "text->image": ("words", "the image")}
LABELS = {
    "share_of_pairs": "share of pairs",
    "mass": "attention (share of 1)",
    "mass_minus_expected": "attention minus\nshare of positions",
    "mass_on_specials": "attention to specials (share of 1)",
}
TITLE = 48  # characters of a line above one of two maps
LEFT_OUT = "[CLS] and [SEP] left out"
HALF = 0.5


def plot_cross_modal(
    result: Result,
    ax: Axes | None = None,
    measure: str = "share_of_pairs",
    direction: str = "image->text",
    specials: str = "paper",
) -> Axes:
    """One measure of every head, layers from left to right; the paper's numbers stand in the title.

    Where the probe is not defined for the model, the axes carry the reason and no number.

    Parameters
    ----------
    result
        Of `CrossModalHeads`.
    ax
        Where to draw; None makes a new figure.
    measure
        "share_of_pairs" (the paper's), "mass", "mass_minus_expected" or "mass_on_specials".
    direction
        "image->text" or "text->image".
    specials
        "paper" (counted with their stream) or "excluded".

    Raises
    ------
    ValueError
        For another probe's result, or a measure, direction or treatment that there is not.
    """
    with style.styled():
        if why := crossmodal.nothing(result):
            return _reason(style.new_axes() if ax is None else ax, result, why)
        table = crossmodal.head_map(result, measure, direction, specials)
        ax = style.new_axes(*_size(*table.shape)) if ax is None else ax
        mesh = _draw_map(ax, result, measure, direction, specials)
        bar = ax.figure.colorbar(mesh, ax=ax, pad=0.02)
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=2)
        ax.set_title("\n".join([title(result), *_said(result, measure, direction, specials)]))
    return ax


def plot_cross_modal_maps(result: Result, direction: str = "image->text") -> np.ndarray:
    """The paper's share beside the mass that position counts do not explain, heads and controls below.

    Left: `share_of_pairs`, specials as in the paper. Right: `mass_minus_expected`, specials excluded, with
    the 99th percentile of the random-weight models' heads.

    Returns
    -------
    `(2, 2)` axes of a new figure; `(1, 1)` with the reason where there is no number.
    """
    import matplotlib.pyplot as plt

    with style.styled():
        if why := crossmodal.nothing(result):
            return np.array([[_reason(style.new_axes(), result, why)]])
        shown = (("share_of_pairs", "paper"), ("mass_minus_expected", "excluded"))
        heads, layers = crossmodal.head_map(result, shown[0][0], direction).shape
        figure, axes = plt.subplots(
            2, 2, sharex="col", layout="constrained",
            figsize=(2.6 + 2 * max(3.4, 0.42 * layers), 4.9 + 0.3 * heads),
            height_ratios=(0.55 * heads + 0.4, 3.2),
        )  # fmt: skip
        for column, (measure, specials) in enumerate(shown):
            above, below = axes[:, column]
            mesh = _draw_map(above, result, measure, direction, specials)
            lines = _said(result, measure, direction, specials)
            above.set(xlabel="", title="\n".join(line for long in lines for line in wrap(long, TITLE)))
            bar = figure.colorbar(mesh, ax=above, pad=0.02)
            bar.outline.set_visible(False)
            draw_heads_by_layer(below, result, measure, direction, specials)
        handles, labels = axes[1, 1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
        figure.suptitle(f"Cross-modal heads, {direction}\n{title(result)}", x=0.01, ha="left", fontsize=11)
    return axes


def draw_heads_by_layer(ax: Axes, result: Result, measure: str, direction: str, specials: str) -> None:
    """Every head as a point over its layer, beside mismatched pairs and the random models' heads."""
    found = crossmodal.heads(result, measure, direction, specials)
    own, other, random = (found[found["control"] == c] for c in ("none", "mismatched", "random weights"))
    if len(random):
        spread = random.groupby("layer")["value"].agg(["min", "max"])
        x, n = spread.index.to_numpy(float), random["weights"].nunique()
        label = f"heads of {n} model{'s' * (n != 1)} with random weights"
        ax.vlines(x, spread["min"], spread["max"], color=style.RANDOM, linewidth=14, alpha=0.4, label=label)
        if specials == "excluded":
            level = float(np.percentile(random["value"].to_numpy(float), crossmodal.PERCENTILE))
            ax.axhline(level, color=style.RANDOM, linestyle=":", label="their 99th percentile")
    if len(other):
        ax.plot(other["layer"].to_numpy(float) + 0.16, other["value"], linestyle="none", marker="s",
                markersize=4, color=style.MISMATCHED, label="mismatched pictures")  # fmt: skip
    ax.plot(own["layer"].to_numpy(float) - 0.16, own["value"], linestyle="none", marker="o", markersize=5,
            color=style.OURS, label=f"heads of {result.meta['model']}")  # fmt: skip
    if measure == "mass_minus_expected":
        ax.axhline(
            0.0, color="#404040", linewidth=0.9, linestyle=(0, (6, 3)), label="as position counts expect"
        )
    else:
        ax.axhline(HALF, color="#404040", linewidth=0.9, linestyle=(0, (6, 3)))
        ax.set_ylim(-0.04, 1.04)
    last = int(own["layer"].max())
    ax.set_xticks(range(1, last + 1))
    ax.set(xlabel="layer", ylabel=LABELS[measure], xlim=(0.5, last + 0.5))
    ax.grid(axis="y")
    ax.set_axisbelow(True)


def _draw_map(ax: Axes, result: Result, measure: str, direction: str, specials: str) -> Any:
    table = crossmodal.head_map(result, measure, direction, specials)
    mesh = draw_head_map(ax, table, *_scale(measure, table.to_numpy(float)))
    write_numbers(ax, mesh, table)
    ax.set(xlabel="layer", ylabel="head")
    return mesh


def _scale(measure: str, values: np.ndarray) -> tuple[Normalize, str]:
    """Shares from 0 to 1; differences on both sides of 0, which is white; more than expected is red."""
    from matplotlib.colors import Normalize

    if measure != "mass_minus_expected":
        return Normalize(0.0, 1.0), style.SEQUENTIAL
    span = max(0.05, float(np.nanmax(np.abs(values), initial=0.0)))
    return Normalize(-span, span), "vlag"


def _said(result: Result, measure: str, direction: str, specials: str) -> list[str]:
    """Lines of a title: what is shown, and for the paper's measure its numbers and ours."""
    looking, looked_at = SIDES[direction]
    left_out = f", {LEFT_OUT}" if specials == "excluded" else ""
    if measure == "mass_on_specials":
        return [f"Attention of {looking} to [CLS], [SEP] and global rows"]
    if measure != "share_of_pairs":
        what = "Attention" if measure == "mass" else "Attention beyond the share of positions,"
        return [f"{what} of {looking} to {looked_at}{left_out}"]
    lines = [
        f"Share of pairs in which a {looking[:-1]} gives more than half to {looked_at}{left_out}",
        _ours(result, direction, specials),
    ]
    if direction == "image->text" and specials == "paper":
        said = [p.said for p in paper.published(crossmodal.PROBE) if p.measure != "smallest_head"]
        lines.append(f"VALUE (UNITER-base): {', '.join(said)}")
    return lines


def _ours(result: Result, direction: str, specials: str) -> str:
    table = crossmodal.summary(result, direction, specials)
    share, largest = table["none"][["share_of_heads", "largest_head"]]
    n = crossmodal.head_map(result, "share_of_pairs", direction, specials).size
    line = f"here: {share:.0%} of {n} heads above 0.5, largest {largest:.2f}"
    if "random weights" in table:
        line += f" (random weights: {table['random weights']['share_of_heads']:.0%})"
    return line


def _reason(ax: Axes, result: Result, why: str) -> Axes:
    return draw_reason(ax, f"Cross-modal heads of {result.meta['model']}", why)


def _size(heads: int, layers: int) -> tuple[float, float]:
    return 2.2 + max(0.5 * layers, 4.4), 2.0 + 0.3 * heads
