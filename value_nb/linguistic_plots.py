"""Probing tasks -> axes: one task by layer, and all tasks beside each other at their best layers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from value_nb import linguistic_scores as scores
from value_nb import quality_gate, style
from value_nb.curves import draw_curve
from value_nb.reasons import draw_reason

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from value_nb.result import Result

COLOURS = {"[CLS]": style.OURS, "mean": "#de8f05", "heads": "#cc78bc"}
MARKERS = {"[CLS]": "o", "mean": "s", "heads": "D"}
CONTROL_TASK = "#ca9161"
BASELINES: dict[str, Any] = {
    "majority": (0, (1, 1.5)), "length": (0, (4, 2)), "bag of words": "-"
}  # fmt: skip
"""Baseline -> how its line is drawn."""
LABELS = {"accuracy": "accuracy on {task}", "selectivity": "selectivity on {task}"}
"""Measure by layer -> what its axis says."""
COLUMNS = 3  # of panels


def plot_linguistic(
    result: Result, ax: Axes | None = None, pooling: str = "both", measure: str = "accuracy"
) -> Axes:
    """One probing task by layer, on test with its interval, beside controls and baselines.

    With one pooling the control task's accuracy is drawn too; between it and the accuracy lies the
    selectivity. Where the selectivity is not defined, the axes say why.

    Parameters
    ----------
    result
        Of `LinguisticProbe`, or one of `value_nb.probe_linguistics`.
    ax
        Where to draw; None makes a new figure.
    pooling
        "[CLS]", "mean" or "both".
    measure
        "accuracy", or "selectivity" (accuracy minus that on the control task; no levels of baselines).

    Raises
    ------
    ValueError
        For another probe's result, another pooling or measure.
    """
    if pooling not in (*scores.EMBEDDINGS, "both"):
        raise ValueError(f"pooling={pooling!r}; expected '[CLS]', 'mean' or 'both'")
    if measure not in LABELS:
        raise ValueError(f"measure={measure!r}; expected one of {', '.join(map(repr, LABELS))}")
    rows = scores.check(result).select(measure=measure)
    shown = scores.EMBEDDINGS if pooling == "both" else (pooling,)
    with style.styled():
        ax = style.new_axes() if ax is None else ax
        if measure == "selectivity" and (why := scores.no_selectivity(result)):
            return draw_reason(ax, f"Selectivity of {_heading(result)[0]}", why)
        places = places_of(result)
        for group in shown:
            _draw_layers(ax, rows[rows["group"] == group], group, places)
        if measure == "accuracy":
            if pooling != "both":
                _draw_control_task(ax, result, pooling, places)
            _draw_levels(ax, result)
        else:
            ax.axhline(0.0, color="#303030", linewidth=1.1, zorder=1)
        _dress(ax, result, places, measure)
        style.legend_outside(ax)
    return ax


def plot_linguistic_tasks(
    results: Mapping[str, Result] | Sequence[Mapping[str, Result]],
) -> np.ndarray:
    """All tasks at once, a panel each: test accuracy at the layer that is best on validation.

    A row for each model and view: the model's score with its interval, its layer at the right, and as an open
    circle the same with random weights (best layer of its own); a cross is the mean region. Lines: baselines.

    Parameters
    ----------
    results
        What `value_nb.probe_linguistics` returns, or a list of them to compare models on the same tasks:
        `[of_mini_uniter, of_mini_bert]`.

    Returns
    -------
    `(panel row, panel column)` axes of a new figure.

    Raises
    ------
    ValueError
        For no results, two of one model, or models with different tasks.
    """
    import matplotlib.pyplot as plt

    many = [results] if isinstance(results, Mapping) else list(results)
    tasks = _check_tasks(many)
    tables = {task: [scores.scores(one[task]) for one in many] for task in tasks}
    columns = min(COLUMNS, len(tasks))
    rows = math.ceil(len(tasks) / columns)
    lines = sum(len(_own(table)) for table in tables[tasks[0]])
    with style.styled():
        figure, axes = plt.subplots(
            rows, columns, squeeze=False, sharey=True, layout="constrained",
            figsize=(2.6 + 2.7 * columns, 1.5 + rows * (0.75 + 0.24 * lines)),
        )  # fmt: skip
        for ax, task in zip(axes.flat, tasks, strict=False):
            _draw_panel(ax, tables[task])
            ax.set_title(scores.task_name(many[0][task]))
        for ax in axes.flat[len(tasks) :]:
            ax.set_axis_off()
        for ax in axes[-1]:
            ax.set_xlabel("accuracy on test")
        _legend(figure, axes.flat[0])
        figure.suptitle(_title(many), x=0.01, ha="left", fontsize=11)
    return axes


def _check_tasks(many: list[Mapping[str, Result]]) -> list[str]:
    if not many or not all(many):
        raise ValueError("no results came; pass what value_nb.probe_linguistics returns")
    tasks = list(many[0])
    models = [next(iter(one.values())).meta["model"] for one in many]
    for model, one in zip(models, many, strict=True):
        if set(one) != set(tasks):
            raise ValueError(f"tasks of {model}: {', '.join(one)}; of {models[0]}: {', '.join(tasks)}")
    if len(set(models)) < len(models):
        raise ValueError(f"models {', '.join(models)} came; expected each once")
    return tasks


def _own(table: pd.DataFrame) -> pd.DataFrame:
    """The views of the model itself."""
    return table[(table["control"] == "none") & table["group"].isin(COLOURS)]


def _draw_panel(ax: Axes, tables: Sequence[pd.DataFrame]) -> None:
    place, labels = 0, []
    for table in tables:
        for _, row in _own(table).iterrows():
            _draw_row(ax, table, row, place)
            labels.append(f"{row['model']}  {row['group']}")
            place += 1
    ax.set_yticks(range(place), labels)
    ax.set_ylim(place - 0.4, -0.6)
    _draw_baselines(ax, tables[0])
    ax.grid(axis="x")
    ax.set_axisbelow(True)
    low, high = ax.get_xlim()
    ax.set_xlim(max(0.0, low - 0.02), min(1.12, high + 0.1))


def _draw_row(ax: Axes, table: pd.DataFrame, row: pd.Series, place: int) -> None:
    group, value = row["group"], row["value"]
    ax.errorbar(
        value, place, xerr=[[value - row["lo"]], [row["hi"] - value]], zorder=4,
        color=COLOURS[group], marker=MARKERS[group], markersize=5.5, linewidth=1.6,
        label=f"{_NAMES[group]}, 95 % interval" if place < len(COLOURS) else None,
    )  # fmt: skip
    same = table[table["group"] == group]
    for control, look in _OTHERS.items():
        for _, other in same[same["control"] == control].iterrows():
            ax.plot(other["value"], place, linestyle="none", zorder=3, **look)
    edge = ax.get_yaxis_transform()
    ax.text(1.015, place, _layer(row), transform=edge, va="center", fontsize=8, color="#505050")


_NAMES = {"[CLS]": "[CLS]", "mean": "mean over words", "heads": "statistics of heads"}
_OTHERS: dict[str, dict[str, Any]] = {
    "random weights": {"marker": "o", "color": style.RANDOM, "markersize": 6, "markerfacecolor": "none"},
    "mean region": {"marker": "x", "color": "#404040", "markersize": 5.5},
}


def _layer(row: pd.Series) -> str:
    """Where the score is from: "cross 2"; "" for what belongs to no one layer."""
    stack = row["stack"]
    return f"{stack} {row['layer']}" if isinstance(stack, str) else ""


def _draw_baselines(ax: Axes, table: pd.DataFrame) -> None:
    for name, look in BASELINES.items():
        value = table[(table["group"] == name) & (table["control"] == "none")]["value"].item()
        ax.axvline(value, color="#303030", linewidth=1.1, linestyle=look, zorder=1, label=name)


def _legend(figure: Any, ax: Axes) -> None:
    from matplotlib.lines import Line2D

    handles, labels = ax.get_legend_handles_labels()
    shown = {label: handle for label, handle in zip(labels, handles, strict=True) if label}
    drawn = {line.get_marker() for line in ax.get_lines() if line.get_linestyle() == "None"}
    for name, look in _OTHERS.items():
        if look["marker"] in drawn:
            shown[name] = Line2D([], [], linestyle="none", **look)
    figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=4)


def _title(many: Sequence[Mapping[str, Result]]) -> str:
    metas = [next(iter(one.values())).meta for one in many]
    lines = [f"Probing tasks without a picture: {', '.join(meta['model'] for meta in metas)}"]
    counts = sorted({int(scores.score(r, "majority")["n"]) for one in many for r in one.values()})
    n = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    lines.append(f"{n} test sentences a task; at the right: the layer, chosen on validation")
    return "\n".join([*lines, *_gates(metas)])


def _gates(metas: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for all models whose card says no, and one for each model that a sanity gate speaks of."""
    notes = {str(meta["model"]): quality_gate.note(meta).splitlines() for meta in metas}
    missed = [model for model, said in notes.items() if quality_gate.CARD_MISSED in said]
    lines = [f"{', '.join(missed)}: quality gate not met, cannot support the figure"] if missed else []
    return lines + [
        f"{m}: {one}" for m, said in notes.items() for one in said if one != quality_gate.CARD_MISSED
    ]


def places_of(result: Result) -> dict[tuple[str, int], int]:
    """(stack, layer) -> its place on the axis of layers: stacks one after the other, a gap between them."""
    found: dict[tuple[str, int], int] = {}
    frame = result.select(measure="accuracy")
    layers = frame[frame["layer"].notna()] if "layer" in frame else frame.iloc[:0]
    start = 0
    for stack in layers["stack"].unique():
        numbers = sorted(set(layers[layers["stack"] == stack]["layer"].astype(int)))
        found |= {(stack, layer): start + k for k, layer in enumerate(numbers)}
        start += len(numbers) + 1
    return found


def _draw_layers(ax: Axes, rows: pd.DataFrame, group: str, places: dict[tuple[str, int], int]) -> None:
    """The curves of one pooling, one for each stack."""
    name, look = _NAMES[group], {"colour": COLOURS[group], "marker": MARKERS[group]}
    for number, own in enumerate(_by_stack(rows, places)):
        labels = (f"{name},\n95 % interval", f"{name},\nrandom weights", f"{name}, mean region")
        model, random, region = labels if number == 0 else ("", "", labels[2])
        spread = _spread(own[own["control"] == "random weights"])
        draw_curve(ax, spread, style.RANDOM, random, ":", MARKERS[group])
        seen = own[(own["control"] == "mean region") & (own["stack"] == "cross")]
        draw_curve(ax, seen, label=region, line="--", **look)
        draw_curve(ax, own[own["control"] == "none"], label=model, line="-", **look)


def _draw_control_task(ax: Axes, result: Result, group: str, places: dict[tuple[str, int], int]) -> None:
    """Accuracy on labels drawn at random for each final content word; nothing where it is not defined."""
    if scores.no_selectivity(result):
        return
    rows = result.select(measure="control_task_accuracy", group=group, control="none")
    for number, own in enumerate(_by_stack(rows, places)):
        label = "control task:\nrandom label a word" if number == 0 else ""
        draw_curve(ax, own, CONTROL_TASK, label, "-.", "v")


def _spread(rows: pd.DataFrame) -> pd.DataFrame:
    """Random-weight models by layer: their mean as value, from the lowest to the highest as interval."""
    found = rows.groupby("layer")["value"].agg(["mean", "min", "max"]).reset_index()
    return found.rename(columns={"mean": "value", "min": "lo", "max": "hi"})


def _by_stack(rows: pd.DataFrame, places: dict[tuple[str, int], int]) -> Iterator[pd.DataFrame]:
    for stack in dict.fromkeys(stack for stack, _ in places):
        own = rows[rows["stack"] == stack]
        spots = [places[stack, int(layer)] for layer in own["layer"]]
        yield own.assign(layer=np.array(spots, dtype=float)).sort_values("layer", kind="stable")


def _draw_levels(ax: Axes, result: Result) -> None:
    """What belongs to no layer: baselines, and the statistics of heads with their interval."""
    for name, look in BASELINES.items():
        level = scores.score(result, name)["value"]
        ax.axhline(level, color="#303030", linewidth=1.1, linestyle=look, zorder=1, label=name)
    own = scores.score(result, scores.HEADS)
    colour = COLOURS[scores.HEADS]
    ax.axhline(
        own["value"], color=colour, linewidth=1.6, zorder=2, label="statistics of heads\nof all layers"
    )
    ax.axhspan(own["lo"], own["hi"], color=colour, alpha=0.15, linewidth=0, zorder=0)


def _dress(ax: Axes, result: Result, places: dict[tuple[str, int], int], measure: str) -> None:
    stacks = list(dict.fromkeys(stack for stack, _ in places))
    ax.set_xticks(list(places.values()), [str(layer) for _, layer in places])
    ax.set_xlabel("layer of the " + ", then of the ".join(stacks) + " stack (0: what enters)")
    ax.set_ylabel(LABELS[measure].format(task=scores.task_name(result)))
    ax.grid(axis="y")
    ax.set_axisbelow(True)
    ax.set_title("\n".join(_heading(result)))


def _heading(result: Result) -> list[str]:
    """Lines of the title: model, task and n; what the quality card or sanity gate says."""
    meta = result.meta
    n = int(scores.score(result, "majority")["n"])
    lines = [f"{meta['model']} on {meta['data']}, {n:,} test sentences"]
    return lines + quality_gate.note(meta).splitlines()
