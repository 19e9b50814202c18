"""Classifier probes -> axes: accuracy by layer beside controls and baselines, attention probe as a level."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from value_nb import answers, style
from value_nb import paper as published_numbers
from value_nb.curves import title
from value_nb.reasons import draw_reason

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from value_nb.result import Result

ATTENTION, CONTROL_TASK = "#cc78bc", "#de8f05"
LEVELS = ("#56b4e9", "#ca9161", "#000000")
LOWEST = 0.35  # where the axis begins, unless something lies below
ROW = 4.5  # inches of one question of several: up to 18 lines of legend beside it
NOTE_LINE = 34  # characters of a line in the legend
GAP = 1.5  # between the last layer of a stack and the first of the next
QUESTIONS = {
    "VCD": "VCD: do phrase and region belong together?",
    "VCD of one class": "VCD of one class: which of two alike?",
    "VCC": "VCC: of which entity type is a linked pair?",
    "VRI": "VRI: is there a relation between two regions?",
    "VRC": "VRC: which relation is it?",
}


def plot_questions(
    result: Result,
    ax: Axes | None = None,
    question: str | None = None,
    subset: str | None = None,
    paper: str | None = None,
) -> Axes:
    """Accuracy of the embedding probe by layer, with intervals, beside everything that it must beat.

    Drawn are the model's curve, the same with random weights and with mismatched pairs, the control task,
    the attention probe (one number for all layers) and the baselines as levels, each side alone at the best
    layer, and chance. Where a question cannot be asked of the model or the data, the axes carry the reason.

    Parameters
    ----------
    result
        Of `CoreferenceProbe` or `RelationProbe`.
    ax
        Where to draw; None makes a new figure.
    question
        "VCD", "VCC", "VRI", ...; None: the first that was asked.
    subset
        "pair mentioned" or "pair not mentioned": scores of these items alone; None: of all.
    paper
        "uniter" or "lxmert": draw what the paper says of that model as levels. None: none.

    Raises
    ------
    ValueError
        For a question, subset or paper model that there is not; the message lists those there are.
    """
    with style.styled():
        ax = style.new_axes(7.6, 4.2) if ax is None else ax
        if result.reason is not None:
            return draw_reason(ax, str(result.meta["model"]), result.reason)
        asked = answers.pick_question(result, question)
        if (why := answers.why_not(result, asked)) is not None:
            return draw_reason(ax, f"{title(result)}\n{QUESTIONS.get(asked, asked)}", why)
        draw_question(ax, result, asked, subset, paper)
        about = QUESTIONS.get(asked, asked) + (f" ({subset})" if subset else "")
        ax.set_title(f"{title(result)}\n{about}")
        style.legend_outside(ax)
    return ax


def plot_question_panels(result: Result, paper: str | None = None) -> np.ndarray:
    """All questions of a result below one another; parameters as in `plot_questions`.

    Returns
    -------
    `(question,)` axes of a new figure; one with the reason where the probe is not defined for the model.
    """
    import matplotlib.pyplot as plt

    with style.styled():
        if result.reason is not None:
            return np.array([draw_reason(style.new_axes(), str(result.meta["model"]), result.reason)])
        asked = answers.questions(result)
        figure, axes = plt.subplots(
            len(asked), 1, squeeze=False, layout="constrained", figsize=(7.6, ROW * len(asked) + 0.5)
        )
        for ax, question in zip(axes[:, 0], asked, strict=True):
            why = answers.why_not(result, question)
            if why is not None:
                draw_reason(ax, QUESTIONS.get(question, question), why)
                continue
            draw_question(ax, result, question, None, paper)
            ax.set_title(QUESTIONS.get(question, question))
            style.legend_outside(ax, fontsize=8.5, labelspacing=0.4)
        figure.suptitle(title(result), x=0.01, ha="left", fontsize=11)
    return axes[:, 0]


def draw_question(ax: Axes, result: Result, question: str, subset: str | None, paper: str | None) -> None:
    """Curves, levels and markers of one question on given axes, without title and legend."""
    own = answers.curve(result, question, "none", subset)
    places = _places(own)
    _draw_curve(
        ax, own, places, style.OURS, f"{result.meta['model']}: {answers.view(result, question)}", "-", "o"
    )
    others = {
        "mismatched": (style.MISMATCHED, "mismatched pairs", "--", "s"),
        "random weights": (style.RANDOM, "random weights", ":", ""),
    }
    for control, look in others.items():
        _draw_curve(ax, answers.curve(result, question, control, subset), places, *look)
    if subset is None:
        _draw_control_task(ax, result, question, places)
        _draw_sides(ax, result, question, places)
    _draw_levels(ax, result, question, subset)
    if paper is not None:
        _draw_paper(ax, result.probe, question, paper)
    _dress(ax, own, places, question)


def _places(rows: pd.DataFrame) -> dict[tuple[str, int], float]:
    """(stack, layer) -> place on the axis: stacks one after the other with a gap."""
    places: dict[tuple[str, int], float] = {}
    start = 0.0
    for stack, mine in rows.groupby("stack", sort=False):
        layers = sorted(int(layer) for layer in mine["layer"].unique())
        places |= {(str(stack), layer): start + layer - layers[0] for layer in layers}
        start = max(places.values()) + GAP
    return places


def _draw_curve(
    ax: Axes,
    rows: pd.DataFrame,
    places: dict[tuple[str, int], float],
    colour: str,
    label: str,
    line: str,
    marker: str,
) -> None:
    for k, (_, mine) in enumerate(rows.groupby("stack", sort=False)):
        at = zip(mine["stack"].astype(str), mine["layer"].astype(int), strict=True)
        x = np.array([places[stack, layer] for stack, layer in at])
        order = np.argsort(x)
        value, lo, hi = (mine[column].to_numpy(float)[order] for column in ("value", "lo", "hi"))
        ax.plot(
            x[order], value, color=colour, linestyle=line, marker=marker or None, markersize=4,
            label=label if k == 0 else None, zorder=3,
        )  # fmt: skip
        ax.fill_between(x[order], lo, hi, color=colour, alpha=0.15, linewidth=0, zorder=2)


def _draw_control_task(ax: Axes, result: Result, question: str, places: dict[tuple[str, int], float]) -> None:
    """The control task by layer; where the data allow none, the legend says so and why."""
    rows = answers.curve(result, question, "none", None, "control_task_accuracy")
    defined = rows.dropna(subset=["value"])
    if defined.empty and len(rows):
        why = str(rows["note"].iloc[0]).partition(",")[0]
        ax.plot([], [], " ", label="\n".join(textwrap.wrap(f"control task not defined: {why}", NOTE_LINE)))
        return
    _draw_curve(ax, defined, places, CONTROL_TASK, "control task (random labels)", "-.", "v")


def _draw_sides(ax: Axes, result: Result, question: str, places: dict[tuple[str, int], float]) -> None:
    """Each side alone, as a marker with its interval at the layer that is best on validation."""
    for marker, (name, row) in zip("<>", answers.sides(result, question).items(), strict=False):
        x = places[row["stack"], int(row["layer"])]
        ax.errorbar(
            [x], [row["value"]], [[row["value"] - row["lo"]], [row["hi"] - row["value"]]], fmt=marker,
            color=style.OURS, markerfacecolor="white", markersize=7, zorder=4,
            label=f"{name} (best layer): {row['value']:.2f}",
        )  # fmt: skip


def _draw_levels(ax: Axes, result: Result, question: str, subset: str | None) -> None:
    attention = answers.level(result, question, "attention probe", subset)
    if attention is not None:
        ax.axhspan(attention["lo"], attention["hi"], color=ATTENTION, alpha=0.15, linewidth=0)
        label = f"attention probe, all layers: {attention['value']:.2f}"
        ax.axhline(attention["value"], color=ATTENTION, label=label)
    for colour, name in zip(LEVELS, answers.baselines(result, question), strict=False):
        row = answers.level(result, question, name, subset)
        if row is not None:
            ax.axhline(
                row["value"], color=colour, linestyle=(0, (5, 2)), linewidth=1.2,
                label=f"{name}: {row['value']:.2f}",
            )  # fmt: skip
    chance = answers.floor(result, question, subset)
    ax.axhline(chance.value, color="#606060", linewidth=1, linestyle=(0, (1, 2)), label=chance.label)


def _draw_paper(ax: Axes, probe: str, question: str, paper: str) -> None:
    found = published_numbers.published(probe, paper)
    lines: Sequence[tuple[int, ...]] = ((6, 2), (2, 2))
    said = [p for p in found if p.group and p.group.startswith(f"{question},") and p.value is not None]
    for dashes, p in zip(lines, said, strict=False):
        kind = str(p.group).partition(", ")[2]
        ax.axhline(
            (p.value or 0.0) / 100, color=style.PAPER, linestyle=(0, dashes), linewidth=1.4,
            label=f"paper, {p.model}:\n{kind}, {p.said}",
        )  # fmt: skip


def _dress(ax: Axes, own: pd.DataFrame, places: dict[tuple[str, int], float], question: str) -> None:
    n, images = int(own["n"].max()), int(own["n_images"].max())
    stacks = list(dict.fromkeys(stack for stack, _ in places))
    ax.set_xticks([*places.values()], [str(layer) for _, layer in places])
    for stack in stacks[1:]:
        ax.axvline(
            min(x for (s, _), x in places.items() if s == stack) - GAP / 2, color="#d0d0d0", linewidth=1
        )
    ax.set_xlabel("layer: " + ", then ".join(f"{stack} stack" for stack in stacks) + " (0: what enters)")
    ax.set_ylabel(f"accuracy, {question}\n({n:,} test pairs, {images:,} images)")
    ax.set_ylim(LOWEST if ax.get_ylim()[0] >= LOWEST - 0.02 else 0.0, 1.02)
    ax.grid(axis="y")
