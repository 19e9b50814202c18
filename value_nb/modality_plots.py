"""Modality importance -> axes: maps of heads, curves of layers, and the reason where there is no number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from value_nb import importance, style
from value_nb.curves import draw_with_controls, title
from value_nb.headmap import draw_head_map, write_numbers
from value_nb.reasons import draw_reason

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize

    from value_nb.result import Result

NAMES = {"text": "text", "image": "the image", "special": "[CLS] and [SEP]"}
LABELS = {
    "cls_mass": "attention from [CLS]\nto {group} (share of 1)",
    "cls_mass_per_position": "attention from [CLS] to {group}\nper position (1: as an even spread)",
    "text_share": "text share of what [CLS]\ngives to text and image",
    "text_share_per_position": "text share per position of what\n[CLS] gives to text and image",
}
TITLES = {
    "cls_mass": "Attention from [CLS]",
    "cls_mass_per_position": "Attention from [CLS] per position, 1: as an even spread",
    "text_share": "Text share of what [CLS] gives to text and image",
    "text_share_per_position": "Text share per position of what [CLS] gives to text and image",
}
EVEN = {
    "cls_mass": "an even spread",
    "cls_mass_per_position": "an even spread",
    "text_share": "as much to either",
    "text_share_per_position": "no preference",
}
RELATIVE = "cls_mass_per_position"
LEFT_OUT = "[CLS] and [SEP] left out"
LEAST_SPAN, MOST_SPAN = 2.0, 16.0  # a colour scale per position goes from 1 / span to span


def plot_modality(
    result: Result,
    ax: Axes | None = None,
    measure: str = "cls_mass",
    specials: str = "paper",
    group: str = "text",
) -> Axes:
    """What [CLS] gives to one modality by layer (mean over heads), with its interval and its controls.

    Where the probe is not defined for the model, the axes carry the reason and no number.

    Parameters
    ----------
    result
        Of `ModalityImportance`.
    ax
        Where to draw; None makes a new figure.
    measure
        "cls_mass", "cls_mass_per_position", "text_share" or "text_share_per_position".
    specials
        "paper" (counted with their stream) or "excluded" (a group of their own).
    group
        "text", "image", or with specials="excluded" also "special"; "text" for a text share.

    Raises
    ------
    ValueError
        For another probe's result, or a measure, treatment or group that there is not.
    """
    with style.styled():
        ax = style.new_axes() if ax is None else ax
        if why := importance.nothing(result):
            return draw_reason(ax, heading(result), why)
        draw_layers(ax, result, measure, specials, group)
        left_out = f"\n{LEFT_OUT}" if specials == "excluded" and group != "special" else ""
        ax.set_title(title(result) + left_out)
        style.legend_outside(ax)
    return ax


def plot_modality_map(
    result: Result,
    ax: Axes | None = None,
    measure: str = "cls_mass",
    specials: str = "paper",
    group: str = "text",
) -> Axes:
    """What each head's [CLS] gives to one modality: heads by layers; parameters as in `plot_modality`."""
    with style.styled():
        ax = style.new_axes(5.6, 4.2) if ax is None else ax
        if why := importance.nothing(result):
            return draw_reason(ax, heading(result), why)
        mesh = draw_heads(ax, result, measure, specials, group, numbers=True)
        scale_bar(ax.figure.colorbar(mesh, ax=ax, pad=0.02), measure)
        ax.set(xlabel="layer", ylabel="head")
        ax.set_title(f"{title(result)}\n{TITLES[measure]},\n{_group(measure, group, specials)}")
    return ax


def plot_modality_maps(result: Result, measure: str = "cls_mass", specials: str = "paper") -> np.ndarray:
    """The paper's form: for each modality its map of heads, and below it the mean over heads by layer.

    All maps share one colour scale. A text share has one map. Parameters as in `plot_modality`.

    Returns
    -------
    `(2, modality)` axes of a new figure; `(1, 1)` with the reason where there is no number.
    """
    import matplotlib.pyplot as plt

    with style.styled():
        if why := importance.nothing(result):
            return np.array([[draw_reason(style.new_axes(), heading(result), why)]])
        groups = importance.groups(result, measure, specials) if measure in importance.MEASURES else ["text"]
        table = importance.heads(result, measure, specials, groups[0])
        figure, axes = plt.subplots(
            2, len(groups), squeeze=False, sharex="col", sharey="row", layout="constrained",
            figsize=_size(len(groups), *table.shape), height_ratios=(0.55 * len(table) + 0.4, 2.6),
        )  # fmt: skip
        for column, group in enumerate(groups):
            above, below = axes[:, column]
            mesh = draw_heads(above, result, measure, specials, group, numbers=True)
            above.set_title(_group(measure, group, specials))
            draw_layers(below, result, measure, specials, group)
            below.set_ylabel("mean over heads" if column == 0 else "")
        axes[1, 0].set_ylim(0.0, top(result, measure, specials, groups))
        axes[0, 0].set_ylabel("head")
        scale_bar(figure.colorbar(mesh, ax=axes[0].tolist(), pad=0.015), measure)
        handles, labels = axes[1, -1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4 if len(groups) > 2 else 2)
        figure.suptitle(f"{TITLES[measure]}\n{title(result)}", x=0.01, ha="left", fontsize=11)
    return axes


def draw_layers(ax: Axes, result: Result, measure: str, specials: str, group: str) -> None:
    """Curves of one measure with controls and the line of no preference, axes dressed, no title."""
    found = importance.layers(result, measure, specials, group)
    draw_with_controls(ax, found, result.meta["model"])
    level = importance.even(result, measure, specials, group)
    ax.axhline(level, color="#404040", linewidth=0.9, linestyle=(0, (6, 3)), zorder=0.5, label=EVEN[measure])
    last = int(found["layer"].max())
    ax.set_xticks(range(1, last + 1))
    ax.set_xlim(0.5, last + 0.5)
    ax.set_ylim(0.0, top(result, measure, specials, [group]))
    ax.set(xlabel="layer", ylabel=LABELS[measure].format(group=NAMES[group]))
    ax.grid(axis="y")
    ax.set_axisbelow(True)


def draw_heads(ax: Axes, result: Result, measure: str, specials: str, group: str, numbers: bool) -> Any:
    """The map of heads of one measure, its cells returned for a colour bar."""
    table = importance.heads(result, measure, specials, group)
    norm, colours = scale(result, measure, specials)
    shown = table.clip(lower=norm.vmin, upper=norm.vmax)
    mesh = draw_head_map(ax, shown, norm, colours)
    if numbers:
        write_numbers(ax, mesh, table)
    return mesh


def scale(result: Result, measure: str, specials: str) -> tuple[Normalize, str]:
    """The colours of a measure, the same for all its modalities.

    Masses go from 0 to 1, light is little. Text shares have their middle, white, at a half; blue is
    text. Masses per position have it at 1, on a scale of factors as wide as the strongest head asks for.
    """
    from matplotlib.colors import LogNorm, Normalize

    if measure == "cls_mass":
        return Normalize(0.0, 1.0), style.SEQUENTIAL
    if measure in importance.SHARES.values():
        return Normalize(0.0, 1.0), "vlag_r"
    groups = importance.groups(result, measure, specials)
    shown = [importance.heads(result, measure, specials, g) for g in groups]
    span = _span(np.concatenate([table.to_numpy(float).ravel() for table in shown]))
    return LogNorm(1 / span, span), "vlag"


def _span(values: np.ndarray) -> float:
    """How many times more or less than even the strongest value is, within bounds."""
    factors = values[np.isfinite(values) & (values > 0)]
    strongest = max(factors.max(), 1 / factors.min()) if len(factors) else MOST_SPAN
    return float(np.clip(strongest, LEAST_SPAN, MOST_SPAN))


def top(result: Result, measure: str, specials: str, groups: Sequence[str]) -> float:
    """Where an axis of layers ends: 1, or, per position, a little above the highest value or interval."""
    if measure != RELATIVE:
        return 1.0
    found = [importance.layers(result, measure, specials, group)[["value", "hi"]] for group in groups]
    return max(1.2, 1.05 * float(max(np.nanmax(table.to_numpy(float)) for table in found)))


def scale_bar(bar: Any, measure: str) -> None:
    """Dress a colour bar; factors per position are written as such."""
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2)
    if measure in importance.SHARES.values():
        bar.set_label("0: image only, 1: text only")
    if measure == RELATIVE:
        low, high = bar.mappable.norm.vmin, bar.mappable.norm.vmax
        factors = [f for f in (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16) if low <= f <= high]
        bar.ax.minorticks_off()
        bar.set_ticks(factors, labels=[f"× {f:g}" if f >= 1 else f"× 1/{1 / f:g}" for f in factors])


def heading(result: Result) -> str:
    """Title of axes without numbers."""
    return f"Modality importance of {result.meta['model']}"


def _group(measure: str, group: str, specials: str) -> str:
    if measure in importance.SHARES.values():
        return LEFT_OUT if specials == "excluded" else "[CLS] and [SEP] counted as text"
    name = f"to {NAMES[group]}"
    return f"{name}, without [CLS] and [SEP]" if (specials, group) == ("excluded", "text") else name


def _size(groups: int, heads: int, layers: int) -> tuple[float, float]:
    """Inches: cells wide enough for their numbers, and room for curves, titles and legend."""
    return 1.6 + max(groups * max(3.0, 0.42 * layers), 4.6), 4.1 + 0.3 * heads
