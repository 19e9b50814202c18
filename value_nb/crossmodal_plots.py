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

    from value_nb.position_counts import RegionCounts
    from value_nb.result import Result

SIDES = {"image->text": ("regions", "the text"), "text->image": ("words", "the image")}
LABELS = {
    "share_of_pairs": "share of pairs",
    "mass": "attention (share of 1)",
    "mass_minus_expected": "attention minus\nshare of positions",
    "mass_on_specials": "attention to specials (share of 1)",
}
TITLE = 54  # characters of a line above one of two maps
LEFT_OUT = "[CLS] and [SEP] left out"
HALF = crossmodal.HALF
FIXED = {"share_of_pairs": HALF, "mass_minus_expected": 0.0}
"""Measure -> the value of its dashed line."""
BANDS = {"none": style.OURS, "mismatched": style.MISMATCHED, "random weights": "#6e6e6e"}
"""Control -> its colour, in the order of bands from the top."""

LAYERS, MIDDLE = 0.58, 0.07  # height that a band's layers take, and how far below the band's middle they lie
SPREAD = 0.28  # of the room of a layer is for the heads on one side of its tick
FAINT: dict[str, Any] = {"s": 12, "edgecolor": "none", "alpha": 0.55}
NAME = -0.5  # where a band's name begins


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
        mesh = draw_map(ax, result, measure, direction, specials)
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
            mesh = draw_map(above, result, measure, direction, specials)
            lines = _said(result, measure, direction, specials)
            above.set_xlabel("")
            above.set_title("\n".join(line for long in lines for line in wrap(long, TITLE)), fontsize=9.5)
            bar = figure.colorbar(mesh, ax=above, pad=0.02)
            bar.outline.set_visible(False)
            draw_heads_by_layer(below, result, measure, direction, specials)
        handles, labels = axes[1, 1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
        figure.suptitle(f"Cross-modal heads, {direction}\n{title(result)}", x=0.01, ha="left", fontsize=11)
    return axes


def plot_subset_rule(result: Result) -> np.ndarray:
    """The rule for "a subset of heads": every head on a line, beside mismatched pairs and random models.

    One axes for each direction, `mass_minus_expected` with specials excluded; the dotted line is the 99th
    percentile of the random-weight models' heads. Filled points lie above it.

    Returns
    -------
    `(direction,)` axes of a new figure; `(1,)` with the reason where there is no number.
    """
    import matplotlib.pyplot as plt

    with style.styled():
        if why := crossmodal.nothing(result):
            return np.array([_reason(style.new_axes(), result, why)])
        figure, axes = plt.subplots(1, len(SIDES), figsize=(8.6, 4.4), layout="constrained")
        for ax, direction in zip(axes, SIDES, strict=True):
            draw_distribution(ax, result, "mass_minus_expected", direction, "excluded")
            looking, looked_at = SIDES[direction]
            ax.set_title(
                f"{direction}: {looking} look at {looked_at}\n{_rule(result, direction)}", fontsize=10
            )
        ends = [end for ax in axes for end in ax.get_xlim()]
        for ax in axes:
            ax.set_xlim(min(ends), max(ends))
        figure.suptitle(f"{title(result)}\n{LEFT_OUT}", x=0.01, ha="left", fontsize=11)
    return axes


def draw_distribution(
    ax: Axes,
    result: Result,
    measure: str,
    direction: str,
    specials: str,
    size: float = 8.5,
    intervals: bool = True,
) -> None:
    """Every head as a point on the axis of a measure, in a band each: own, mismatched, random weights.

    Inside a band layers go from top (the first) to bottom. The dotted line is the 99th percentile of the
    random models' heads; own heads above it are filled. `size` is that of the letters; `intervals` draws
    those of the own heads.
    """
    found = crossmodal.heads(result, measure, direction, specials)
    level, layers = crossmodal.threshold(found), int(found["layer"].max())
    bands = [name for name in BANDS if (found["control"] == name).any()]
    for band, control in enumerate(bands):
        rows, colour = found[found["control"] == control], BANDS[control]
        x, y = rows["value"].to_numpy(float), at_band(band, rows["layer"].to_numpy(float), layers)
        if control == "none" and intervals:
            ax.hlines(y, rows["lo"], rows["hi"], color=colour, linewidth=0.9, alpha=0.6, zorder=2)
        filled = x > level if control == "none" and np.isfinite(level) else np.full(len(x), control != "none")
        ax.scatter(
            x, y, zorder=3, facecolor=[colour if one else "white" for one in filled],
            **({"s": 22, "edgecolor": colour, "linewidth": 1.1} if control == "none" else FAINT),
        )  # fmt: skip
        ax.text(
            0.0, band + NAME, _band(control, rows, result.meta["model"]), fontsize=size, va="top", zorder=4,
            transform=ax.get_yaxis_transform(), bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
        )  # fmt: skip
    ends = [(band, layer) for band in range(len(bands)) for layer in sorted({1, layers})]
    ax.set_yticks([at_band(*end, layers) for end in ends], [str(layer) for _, layer in ends], fontsize=size)
    _draw_levels(ax, measure, level)
    _dress_distribution(ax, found, measure, len(bands), size)


def at_band(band: int, layer: np.ndarray | float, layers: int) -> Any:
    """Height of a layer inside a band: the first at its top, the last at its bottom."""
    return band + MIDDLE + LAYERS * ((layer - 1) / max(layers - 1, 1) - 0.5)


def _band(control: str, rows: Any, model: str) -> str:
    if control == "random weights":
        n = rows["weights"].nunique()
        return f"{len(rows)} heads of {n} model{'s' * (n != 1)} with random weights"
    return f"{len(rows)} heads of {model}" + (", mismatched pictures" if control == "mismatched" else "")


def _draw_levels(ax: Axes, measure: str, level: float) -> None:
    """The paper's limit, or what position counts expect, and the random models' percentile."""
    if measure in FIXED:
        ax.axvline(FIXED[measure], color="#404040", linewidth=0.9, linestyle=(0, (6, 3)), zorder=1)
    if np.isfinite(level):
        ax.axvline(level, color="#404040", linewidth=1.3, linestyle=":", zorder=1)


def _dress_distribution(ax: Axes, found: Any, measure: str, bands: int, size: float) -> None:
    shares = measure != "mass_minus_expected"
    low, high = (0.0, 1.0) if shares else (min(found["value"].min(), 0.0), max(found["value"].max(), 0.0))
    pad = 0.04 * (high - low) if high > low else 0.05
    ax.set(xlim=(low - pad, high + pad), ylim=(bands - 0.5, -0.55))
    ax.set_xlabel(LABELS[measure].replace("\n", " "), fontsize=size + 0.5)
    ax.set_ylabel("layer", fontsize=size + 0.5)
    ax.tick_params(axis="x", labelsize=size)
    ax.tick_params(axis="y", length=0)
    for side in ("left", "top", "right"):
        ax.spines[side].set_visible(False)
    ax.grid(axis="x")
    ax.set_axisbelow(True)


def _rule(result: Result, direction: str) -> str:
    if crossmodal.random_models(result) < crossmodal.RANDOM_MODELS:
        return "no rule: it needs five models with random weights"
    found = crossmodal.verdict(result, direction)
    return f"{found.above} of {found.heads} heads above the dotted line ({found.threshold:+.2f})"


def plot_region_counts(found: RegionCounts) -> np.ndarray:
    """The paper's share, and attention beyond positions, for the same captions with fewer regions.

    Left: share of heads above 0.5, the model with its interval, a copy with random weights, and what an even
    spread gives. Right: mean over heads of `mass_minus_expected`.

    Returns
    -------
    `(2,)` axes of a new figure; `(1,)` with the reason where there is no number.
    """
    import matplotlib.pyplot as plt

    with style.styled():
        if found.reason:
            heading = f"Cross-modal heads of {found.model}, by number of regions"
            return np.array([draw_reason(style.new_axes(), heading, found.reason)])
        figure, axes = plt.subplots(1, 2, figsize=(8.6, 4.2), layout="constrained")
        table, x = found.table, found.table.index.to_numpy(float)
        even = table["an even spread", "share of pairs"]
        dashed = {"color": "#404040", "linewidth": 1.1, "linestyle": (0, (6, 3)), "zorder": 1}
        axes[0].plot(x, even, label="spreading evenly", **dashed)
        axes[1].axhline(0.0, **dashed)
        for name, colour, marker in ((found.model, style.OURS, "o"), ("random weights", "#6e6e6e", "s")):
            how = {"color": colour, "marker": marker, "markersize": 5, "zorder": 3}
            axes[0].plot(x, table[name, "share of heads"], label=name, **how)
            axes[0].fill_between(
                x, table[name, "lo"], table[name, "hi"], color=colour, alpha=0.2, linewidth=0
            )
            axes[1].plot(x, table[name, "mean beyond positions"], **how)
        beyond = table.xs("mean beyond positions", axis=1, level=1).to_numpy(float)
        span = max(0.2, 1.3 * float(np.abs(beyond).max()))
        axes[0].set(title="The paper's share", ylabel="share of heads above 0.5", ylim=(-0.04, 1.04))
        axes[1].set(
            title="Attention beyond positions", ylabel="mean over heads (share of 1)", ylim=(-span, span)
        )
        for ax in axes:
            ax.set(xlabel="regions of each picture (at most)", xticks=x)
            ax.grid(axis="y")
            ax.set_axisbelow(True)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
        figure.suptitle(f"Regions looking at text\n{found.title}", x=0.01, ha="left", fontsize=11)
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
            ax.axhline(
                crossmodal.threshold(found), color=style.RANDOM, linestyle=":", label="their 99th percentile"
            )
    if len(other):
        ax.plot(_beside(other, 0.06), other["value"], linestyle="none", marker="s",
                markersize=4, color=style.MISMATCHED, label="mismatched pictures")  # fmt: skip
    x = _beside(own, -0.34)
    ax.vlines(x, own["lo"], own["hi"], color=style.OURS, linewidth=0.9, alpha=0.6)
    ax.plot(x, own["value"], linestyle="none", marker="o", markersize=4,
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


def _beside(rows: Any, start: float) -> np.ndarray:
    """Places of heads beside their layer's tick, from `start` on, so that their intervals do not meet."""
    heads = rows["head"].to_numpy(float)
    return rows["layer"].to_numpy(float) + start + SPREAD * heads / max(heads.max(), 1)


def draw_map(ax: Axes, result: Result, measure: str, direction: str, specials: str) -> Any:
    """The map of heads of one measure with its numbers; its cells are returned for a colour bar."""
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
    line = f"here: {_percent(share)} of {n} heads above 0.5, largest {largest:.2f}"
    if "random weights" in table:
        line += f" (random weights: {_percent(table['random weights']['share_of_heads'])})"
    return line


def _percent(share: float) -> str:
    """As the paper's numbers are written."""
    return f"{100 * share:.0f} %"


def _reason(ax: Axes, result: Result, why: str) -> Axes:
    return draw_reason(ax, f"Cross-modal heads of {result.meta['model']}", why)


def _size(heads: int, layers: int) -> tuple[float, float]:
    return 2.2 + max(0.5 * layers, 4.4), 2.0 + 0.3 * heads
