"""Results and examples -> matplotlib axes. Numbers come in ready; nothing is computed here but places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from value_nb import paper as published_numbers
from value_nb import style
from value_nb.ablation_plots import plot_cross_modal_ablation, plot_head_ablation, plot_head_ablation_panels
from value_nb.coreference_plots import plot_coreference, plot_coreference_map
from value_nb.crossmodal_plots import (
    plot_cross_modal,
    plot_cross_modal_maps,
    plot_region_counts,
    plot_subset_rule,
)
from value_nb.curves import draw_with_controls, title
from value_nb.data.grid_boxes import regions_note
from value_nb.general_plots import plot_any
from value_nb.growth_plots import plot_growth
from value_nb.linguistic_plots import plot_linguistic, plot_linguistic_tasks
from value_nb.modality_plots import plot_modality, plot_modality_map, plot_modality_maps
from value_nb.probe_plots import plot_question_panels, plot_questions
from value_nb.reasons import draw_reason
from value_nb.scoreboard_plots import plot_scoreboard

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from value_nb.data.example import Example
    from value_nb.result import Result

__all__ = [
    "MEASURES",
    "PLOTTERS",
    "plot_attention",
    "plot_coreference",
    "plot_coreference_map",
    "plot_cross_modal",
    "plot_cross_modal_ablation",
    "plot_cross_modal_maps",
    "plot_fusion",
    "plot_growth",
    "plot_head_ablation",
    "plot_head_ablation_panels",
    "plot_linguistic",
    "plot_linguistic_tasks",
    "plot_modality",
    "plot_modality_map",
    "plot_modality_maps",
    "plot_question_panels",
    "plot_questions",
    "plot_region_counts",
    "plot_regions",
    "plot_scoreboard",
    "plot_subset_rule",
    "plotter",
    "title",
]

Plot = Callable[..., "Axes"]
MEASURES = {
    "nmi": "NMI of clusters and modalities\n(higher: less fused)",
    "ami": "AMI of clusters and modalities\n(higher: less fused)",
    "effective_rank": "effective rank of a pair's states\n(directions)",
    "separability": "linear separability of the modality\n(balanced accuracy, chance 0.5)",
}
STACKS = {
    "joint": "layer of the joint stack (0: embeddings)",
    "cross": "cross-modality layer (0: what enters)",
}
CHANCE = 0.5  # of a balanced accuracy
NAMED = 8  # with more regions than this only highlighted ones carry their name


def plotter(probe: str) -> Plot:
    """The function that draws a probe's result; `general_plots.plot_any` where it has none of its own."""
    return PLOTTERS.get(probe, plot_any)


def plot_fusion(
    result: Result,
    ax: Axes | None = None,
    paper: str | None = None,
    measure: str = "nmi",
    specials: str = "paper",
) -> Axes:
    """Fusion degree by layer, with its interval, its controls, and the paper's points.

    Parameters
    ----------
    result
        Of `FusionDegree`, pooled or not.
    ax
        Where to draw; None makes a new figure.
    paper
        "uniter" or "lxmert": draw that model's published NMI, placed by relative depth where the
        number of layers differs. None: none.
    measure
        "nmi", "ami", "effective_rank" or "separability".
    specials
        "paper" or "excluded".

    Returns
    -------
    The axes; they carry the reason, and no number, where the probe is not defined for the model.

    Raises
    ------
    ValueError
        For an unknown measure, treatment of specials or paper model, or published numbers beside
        another measure than NMI or another treatment than the paper's.
    """
    _check_fusion(result, measure, paper, specials)
    if result.reason is not None:
        with style.styled():
            ax = style.new_axes() if ax is None else ax
            return draw_reason(ax, f"Fusion of {result.meta['model']}", result.reason)
    rows = result.select(measure=measure, specials=specials)
    layers = int(rows["layer"].max())
    with style.styled():
        ax = style.new_axes() if ax is None else ax
        draw_with_controls(ax, rows, result.meta["model"])
        if paper:
            _draw_paper(ax, paper, layers, published_numbers.data_name(result.meta["data"]))
        _dress_fusion(ax, result, measure, specials, str(rows["stack"].iloc[0]), layers)
    return ax


def plot_attention(
    matrix: pd.DataFrame, ax: Axes | None = None, title: str = "", annotate: bool | None = None
) -> Axes:
    """An attention map: who (rows) looks at whom (columns), light is little.

    Parameters
    ----------
    matrix
        Labelled, as `trace.attention(...)` gives it; every column is drawn, `unassigned` too.
    ax
        Where to draw; None makes a new figure that fits the labels.
    title
        Title of the axes.
    annotate
        Write the numbers into the cells; None: up to 10 by 10.
    """
    import seaborn as sns

    small = max(matrix.shape) <= 10
    with style.styled():
        ax = style.new_axes(*_map_size(matrix)) if ax is None else ax
        sns.heatmap(
            matrix.astype(float),
            ax=ax,
            cmap=style.SEQUENTIAL,
            vmin=0.0,
            annot=small if annotate is None else annotate,
            fmt=".2f",
            annot_kws={"size": 8},
            cbar_kws={"label": "attention", "pad": 0.02},
            xticklabels=True,
            yticklabels=True,
            linewidths=0.4,
            linecolor="white",
        )
        if "unassigned" in matrix.columns:  # what the row spends elsewhere is no key: set it apart
            ax.axvline(list(matrix.columns).index("unassigned"), color="white", linewidth=5)
        ax.set(xlabel="key: looked at", ylabel="query: looks", title=title)
        ax.tick_params(axis="x", rotation=60, length=0)
        ax.tick_params(axis="y", rotation=0, length=0)
        for label in ax.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    return ax


def plot_regions(
    example: Example,
    ax: Axes | None = None,
    highlight: Sequence[int] = (),
    weights: np.ndarray | None = None,
) -> Axes:
    """The picture with its region boxes; a grey sheet where the picture file is not on this machine.

    Parameters
    ----------
    example
        With regions.
    ax
        Where to draw; None makes a new figure.
    highlight
        Regions drawn strongly and named.
    weights
        `(region,)` numbers of at least 0, for instance attention to each region: boxes are filled in
        proportion, the heaviest most.

    Raises
    ------
    ValueError
        For an example without regions, a region that is not there, or weights of another length.
    """
    boxes, names, shares = _check_regions(example, highlight, weights)
    width, height = example.size or (1, 1)
    with style.styled():
        ax = style.new_axes(5.2, 5.2 * height / width + 0.5) if ax is None else ax
        _draw_picture(ax, example, width, height)
        order = sorted(range(len(boxes)), key=lambda i: (i in highlight, shares[i]))
        boxes = boxes * [width, height, width, height]
        for index in order:
            x1, y1, x2, y2 = boxes[index]
            _draw_box(ax, (x1, y1, x2 - x1, y2 - y1), index in highlight, float(shares[index]))
        _draw_names(ax, boxes, names, _named(len(boxes), highlight, shares), height)
        ax.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
        ax.set_title("\n".join(filter(None, (_wrapped(example.caption), regions_note(example)))))
        ax.set_axis_off()
    return ax


def _check_fusion(result: Result, measure: str, paper: str | None, specials: str) -> None:
    if measure not in MEASURES:
        raise ValueError(f"measure={measure!r}; expected one of {', '.join(map(repr, MEASURES))}")
    if paper is None:
        return
    if paper not in published_numbers.MODELS:
        known = ", ".join(map(repr, published_numbers.MODELS))
        raise ValueError(f"paper={paper!r}; expected one of {known} or None")
    if measure != "nmi" or specials != "paper" or result.probe != "fusion_degree":
        raise ValueError(
            f"the paper has NMI per pair, specials counted; {result.probe} {measure} with "
            f"specials={specials!r} has no published counterpart: use paper=None"
        )


def _draw_paper(ax: Axes, paper: str, layers: int, data: str | None) -> None:
    """Published points on our axis: depth 0 stands at our layer 1, depth 1 at our last."""
    found = published_numbers.published("fusion_degree", paper, data, "nmi")
    for name, marker in (("Flickr30k", "D"), ("Visual Genome", "^")):
        points = [p for p in found if p.data == name and p.depth is not None]
        if not points:
            continue
        x = np.array([1 + (p.depth or 0.0) * (layers - 1) for p in points])
        y = np.array([p.value for p in points], dtype=float)
        there = points[0].layers
        place = f"; {there} layers,\nby relative depth" if there != layers else ""
        label = f"{points[0].model} in the paper\n({name}{place})"
        ax.plot(
            x,
            y,
            linestyle="none",
            marker=marker,
            markersize=8,
            color=style.PAPER,
            markeredgecolor="white",
            label=label,
            zorder=4,
        )


def _dress_fusion(ax: Axes, result: Result, measure: str, specials: str, stack: str, layers: int) -> None:
    ax.set_xlabel(STACKS[stack])
    ax.set_ylabel(MEASURES[measure])
    ax.set_xticks(range(layers + 1))
    ax.set_xlim(-0.3, layers + 0.3)
    _limit(ax, measure)
    ax.grid(axis="y")
    ax.set_axisbelow(True)
    left_out = "\n[CLS], [SEP] and global rows left out" if specials == "excluded" else ""
    ax.set_title(title(result) + left_out)
    style.legend_outside(ax)


def _limit(ax: Axes, measure: str) -> None:
    """From 0 where 0 means something, up to what is drawn; separability from below chance to 1."""
    low, high = ax.get_ylim()
    if measure == "separability":
        ax.axhline(CHANCE, color="#606060", linewidth=0.8, zorder=0)
        ax.set_ylim(min(CHANCE - 0.05, low), 1.02)
    elif measure == "effective_rank":
        ax.set_ylim(0.0, high)
    else:
        ax.set_ylim(min(0.0, low), min(1.05, max(high, 0.1)))


def _map_size(matrix: pd.DataFrame) -> tuple[float, float]:
    rows, columns = matrix.shape
    longest = max((len(str(label)) for label in matrix.index), default=1)
    return min(14.0, 2.2 + 0.07 * longest + 0.42 * columns), min(12.0, 1.9 + 0.34 * rows)


def _check_regions(
    example: Example, highlight: Sequence[int], weights: np.ndarray | None
) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    if example.regions is None:
        raise ValueError(f"example {example.id!r} has no regions to draw; choose one with a picture")
    n = len(example.regions)
    wrong = [index for index in highlight if not 0 <= index < n]
    if wrong:
        raise ValueError(f"no region {wrong[0]} in example {example.id!r}; it has regions 0 to {n - 1}")
    boxes, names = np.asarray(example.regions.boxes, dtype=float), example.regions.names
    if weights is None:
        return boxes, names, np.zeros(n)
    shares = np.asarray(weights, dtype=float)
    if shares.shape != (n,) or (shares < 0).any():
        raise ValueError(f"weights of shape {shares.shape} for {n} regions; expected one each, at least 0")
    top = shares.max(initial=0.0)
    return boxes, names, shares / (top if top > 0 else 1.0)


def _draw_picture(ax: Axes, example: Example, width: float, height: float) -> None:
    if example.image is None or not example.image.is_file():
        ax.add_patch(_rectangle((0, 0, width, height), facecolor="#f2f2f2", edgecolor="#c8c8c8"))
        return
    from PIL import Image

    with Image.open(example.image) as picture:
        ax.imshow(np.asarray(picture.convert("RGB")), extent=(0, width, height, 0))


def _rectangle(box: tuple[float, float, float, float], **how: Any) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(box[:2], box[2], box[3], **how)


def _draw_box(ax: Axes, box: tuple[float, float, float, float], strong: bool, share: float) -> None:
    from matplotlib.colors import to_rgba

    edge = style.PAPER if strong else style.OURS
    face = to_rgba(style.PAPER, 0.55 * share)
    line = 2.6 if strong else 0.8 + 1.6 * share
    ax.add_patch(_rectangle(box, facecolor="none", edgecolor="white", linewidth=line + 1.6, zorder=2))
    ax.add_patch(_rectangle(box, facecolor=face, edgecolor=edge, linewidth=line, zorder=2.1))


def _named(n: int, highlight: Sequence[int], shares: np.ndarray) -> list[int]:
    """The regions that carry their name: highlighted ones and the heaviest three, or all of a few."""
    if n <= NAMED:
        return list(range(n))
    heaviest = [int(i) for i in np.argsort(-shares, kind="stable")[:3] if shares[i] > 0]
    return list(dict.fromkeys([*highlight, *heaviest]))


def _draw_names(
    ax: Axes, boxes: np.ndarray, names: tuple[str, ...], chosen: Sequence[int], height: float
) -> None:
    """Names at the boxes' upper corners, moved down until none lies on another."""
    taken: list[tuple[float, float, float]] = []
    line = 0.055 * height
    for index in sorted(chosen, key=lambda i: (boxes[i, 1], boxes[i, 0])):
        text = f"r{index} {names[index]}".strip()
        x, y, wide = boxes[index, 0], boxes[index, 1], 0.55 * line * len(text)
        while any(abs(y - other) < line and x < right and left < x + wide for left, right, other in taken):
            y += 0.5 * line
        taken.append((x, x + wide, y))
        ax.text(
            x, y, text, va="top", ha="left", fontsize=8.5, color="#202020", zorder=5,
            bbox={"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.2},
        )  # fmt: skip


def _wrapped(caption: str) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(caption, 58))


PLOTTERS: dict[str, Plot] = {
    "coreference_attention": plot_coreference,
    "coreference_probe": plot_questions,
    "cross_modal_ablation": plot_cross_modal_ablation,
    "cross_modal_heads": plot_cross_modal,
    "fusion_degree": plot_fusion,
    "fusion_degree_pooled": plot_fusion,
    "head_ablation": plot_head_ablation,
    "linguistic_probe": plot_linguistic,
    "modality_importance": plot_modality,
    "relation_probe": plot_questions,
}
"""Probe -> the function that draws its result."""
