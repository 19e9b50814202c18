"""Head ablation and cross-modal ablation -> axes."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from value_nb import cross_modal_losses, head_curves, style
from value_nb.curves import title
from value_nb.head_curves import ACCURACY, AUC, LOSS
from value_nb.reasons import draw_reason

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from value_nb.result import Result

CURVES = {
    ACCURACY: "masked words that are right,\nwith the picture (share of {n:,} words)",
    LOSS: "loss on masked words,\nwith the picture (nats, {n:,} words)",
    AUC: "own picture told from another's\n(area under the ROC curve, {n:,} pairs)",
}
LOSSES = {
    "added": "loss added when it is taken away (nats; 0: as with everything)",
    "loss": "loss (nats)",
    "accuracy": "share that is right",
}
HEADINGS = {
    "masked_phrase": "words of a phrase ({n:,} pieces; loss with everything {loss:.2f})",
    "masked_region": "class of a region ({n:,} regions; loss with everything {loss:.2f})",
}
NOTHING_OFF, BARE = "#1a1a1a", "#7a3e00"
LINE = 58  # characters of a title
PANEL = (4.5, 4.6)  # inches of one panel with what stands around it


def plot_head_ablation(result: Result, ax: Axes | None = None, measure: str = AUC) -> Axes:
    """What is left when heads are switched off: pointed heads, the band of random ones, and two levels.

    Where nothing could be measured, the axes carry the reason and no number.

    Parameters
    ----------
    result
        Of `ablation_curve`.
    ax
        Where to draw; None makes a new figure.
    measure
        "matching_auc", "masked_word_accuracy" or "masked_word_loss".

    Raises
    ------
    ValueError
        For another probe's result, or a measure that there is not.
    """
    with style.styled():
        ax = style.new_axes() if ax is None else ax
        if why := head_curves.nothing(result):
            return draw_reason(ax, f"Heads of {result.meta['model']} switched off", why)
        _draw_curve(ax, result, measure)
        ax.set_title(f"{title(result)}\n{textwrap.fill(ranked_by(result), LINE)}")
        style.legend_outside(ax)
    return ax


def plot_head_ablation_panels(result: Result, measures: tuple[str, ...] = (AUC, ACCURACY)) -> Figure:
    """The measures side by side, with one legend; the reason where nothing could be measured.

    A measure that could not be taken of these data has its reason in its panel.
    """
    import matplotlib.pyplot as plt

    with style.styled():
        if head_curves.nothing(result):
            return _figure(plot_head_ablation(result))
        size = (PANEL[0] * len(measures), PANEL[1])
        figure, axes = plt.subplots(1, len(measures), figsize=size, layout="constrained", squeeze=False)
        for ax, measure in zip(axes[0], measures, strict=True):
            if measure in head_curves.measures(result):
                _draw_curve(ax, result, measure)
            else:
                draw_reason(ax, measure, str(result.select(measure=measure)["note"].iloc[0]))
        drawn = next(ax for ax in axes[0] if ax.get_legend_handles_labels()[0])
        figure.legend(*drawn.get_legend_handles_labels(), loc="outside lower left", ncols=2)
        said = textwrap.fill(ranked_by(result), LINE * len(measures))
        figure.suptitle(f"{title(result)}\n{said}", x=0.01, ha="left", fontsize=11)
    return figure


def ranked_by(result: Result) -> str:
    """Which heads were switched off, in a line."""
    by, settings = result.meta["pointed_by"], result.meta["settings"]
    how = "" if settings["how"] == "zero" else f", each replaced by its {settings['how']}"
    block = f", {settings['direction']} alone" if settings["direction"] else ""
    if by is None:
        return f"heads in the order given{block}{how}"
    where = f"{by['n_images']:,} {by['split']} images"
    return f"heads ranked by {by['said']} ({where}){block}{how}"


def _draw_curve(ax: Axes, result: Result, measure: str) -> None:
    own, random = head_curves.curve(result, measure), head_curves.band(result, measure)
    bare = head_curves.without_picture(result, measure)
    draws = result.meta["settings"]["draws"]
    x, sizes = own["size"].to_numpy(float), random.index.to_numpy(float)
    ax.axhline(
        own["value"].iloc[0],
        color=NOTHING_OFF,
        linewidth=1.0,
        linestyle=(0, (1, 2)),
        label="nothing off",
        zorder=1,
    )
    ax.axhline(
        bare["value"],
        color=BARE,
        linewidth=1.4,
        linestyle="-.",
        label="nothing off, without the picture",
        zorder=1,
    )
    label = f"random heads of the same layers:\nmean, lowest to highest of {draws} draws"
    ax.plot(
        sizes,
        random["mean"],
        color=style.RANDOM,
        linestyle=":",
        marker="s",
        markersize=4,
        label=label,
        zorder=2,
    )
    ax.fill_between(
        sizes, random["min"], random["max"], color=style.RANDOM, alpha=0.35, linewidth=0, zorder=1.5
    )
    ax.plot(
        x,
        own["value"],
        color=style.OURS,
        marker="o",
        markersize=5,
        label="pointed heads, 95 % interval",
        zorder=3,
    )
    ax.fill_between(x, own["lo"], own["hi"], color=style.OURS, alpha=0.18, linewidth=0, zorder=1.2)
    ax.set_xlabel(f"heads switched off (of {result.meta['n_heads']})")
    ax.set_ylabel(CURVES[measure].format(n=int(own["n"].iloc[0])))
    ax.set_xticks(x)
    ax.grid(axis="y")
    ax.set_axisbelow(True)
    if measure != LOSS:
        ax.set_ylim(top=min(1.02, ax.get_ylim()[1]))


def _figure(ax: Axes) -> Figure:
    found: Any = ax.figure
    return found


def plot_cross_modal_ablation(result: Result, ax: Axes | None = None, kind: str = "added") -> Axes:
    """What either modality loses without the part of the other that it is about, without as much else, and
    without all of it: a point with its interval for each, random weights beside it.

    Where nothing could be measured, the axes carry the reason and no number.

    Parameters
    ----------
    result
        Of `cross_modal_ablation`.
    ax
        Where to draw; None makes a new figure.
    kind
        "added" (the loss minus that with everything), "loss" or "accuracy".

    Raises
    ------
    ValueError
        For another probe's result or kind.
    """
    with style.styled():
        ax = style.new_axes(7.6, 4.8) if ax is None else ax
        if why := cross_modal_losses.nothing(result):
            return draw_reason(ax, f"Cross-modal ablation of {result.meta['model']}", why)
        places: list[float] = []
        labels: list[str] = []
        for side in cross_modal_losses.sides(result):
            _draw_side(ax, result, side, kind, places, labels)
        ax.set_yticks(places, labels)
        ax.tick_params(axis="y", length=0)
        ax.set_ylim(max(places) + 0.7, -1.0)
        ax.set_xlabel(LOSSES[kind])
        if kind == "added":
            ax.axvline(0.0, color="#606060", linewidth=0.8, zorder=0)
        ax.grid(axis="x")
        ax.set_axisbelow(True)
        ax.set_title(f"{title(result)}\n{textwrap.fill(taken_away(result), LINE)}")
        ax.legend(loc="upper left", bbox_to_anchor=(0.0, -0.16), ncols=2, borderaxespad=0.0)
    return ax


def taken_away(result: Result) -> str:
    """Which regions go with a phrase, in a line."""
    meta = result.meta
    kind, least = meta["settings"]["overlap"], meta["settings"]["threshold"]
    said = {
        "target": f"those that cover at least {least:.0%} of its box",
        "iou": f"those with an IoU of at least {least:g}",
        "smaller": f"those that share {least:.0%} of the smaller box",
    }[kind]
    return f"its regions: linked ones and {said}, {meta['regions_dropped']:.1f} on average"


def _draw_side(
    ax: Axes, result: Result, side: str, kind: str, places: list[float], labels: list[str]
) -> None:
    """The conditions of one side below each other, under a heading with what there is to start from."""
    rows = cross_modal_losses.losses(result, side, kind)
    start_row = cross_modal_losses.everything(result, side)
    start = max(places, default=-1.0) + (2.0 if places else 1.0)
    at = {group: start + k for k, group in enumerate(rows["group"].unique())}
    said = HEADINGS[side].format(n=int(start_row["n"]), loss=float(start_row["value"]))
    ax.text(
        0.0,
        start - 0.62,
        said,
        transform=ax.get_yaxis_transform(),
        fontsize=9.5,
        fontweight="bold",
        va="center",
    )
    first = not places
    for control, colour, marker, shift, label in (
        ("random weights", style.RANDOM, "s", 0.16, "the same shape with random weights"),
        ("none", style.OURS, "o", -0.08, f"{result.meta['model']}, 95 % interval"),
    ):
        own = rows[rows["control"] == control]
        if own.empty:
            continue
        x, y = own["value"].to_numpy(float), own["group"].map(at).to_numpy(float) + shift
        span = [x - own["lo"].to_numpy(float), own["hi"].to_numpy(float) - x]
        ax.errorbar(
            x, y, xerr=span, linestyle="none", marker=marker, markersize=6, color=colour, elinewidth=1.6,
            capsize=3, label=label if first else None, zorder=3,
        )  # fmt: skip
    places.extend(at.values())
    labels.extend(at)
