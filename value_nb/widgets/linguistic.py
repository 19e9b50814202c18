"""Probing tasks by layer: one layer marked, its number in words beside baselines, control task and heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from ipywidgets import Dropdown, SelectionSlider

from value_nb import linguistic_scores as scores
from value_nb.export import describe
from value_nb.linguistic_plots import COLOURS, LABELS, MARKERS, places_of, plot_linguistic
from value_nb.reasons import draw_reason, reason_table
from value_nb.result import Result
from value_nb.widgets.panel import Panel
from value_nb.widgets.state import State, pairs

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

Tasks = Mapping[str, Result]
"""Task -> its result: what `value_nb.probe_linguistics` returns."""

CURVES, REASON = (0.08, 0.13, 0.595, 0.76), (0.06, 0.1, 0.88, 0.7)
STATES = {"[CLS]": "the state of [CLS]", "mean": "the mean over words"}
MEANT = "accuracy minus that on labels drawn at random for each final content word"


class LinguisticPanel(Panel):
    """One probing task by layer, with one layer chosen; task, pooling and measure can be switched.

    The curve is what a linear classifier gets right on test sentences, with its interval; beside it the same
    with random weights, the control task, the baselines that need no model, and as a level with its band
    the statistics of all heads (the attention variant). The text below says the chosen layer's numbers.
    Where selectivity is not defined, or the probe is not for a model, the panel says why.

    Parameters
    ----------
    results
        What `value_nb.probe_linguistics` returns, a list of these (one for each model), or one result.

    Attributes
    ----------
    model
        Name of the model shown.
    task
        Name of the task, for instance "tree_depth".
    pooling
        "[CLS]" or "mean" (over the words).
    measure
        "accuracy" or "selectivity".
    layer
        Stack and layer: "joint 3"; 0 is what enters the stack.

    Raises
    ------
    ValueError
        For a result of another probe, no result, two of one model, or a value that is not among the choices.
    """

    model = State("Name of the model shown.")
    task = State("Name of the task shown.")
    pooling = State("'[CLS]', or 'mean' over the words.")
    measure = State("'accuracy', or 'selectivity': accuracy minus that on the control task.")
    layer = State("Stack and layer: 'joint 3'.")

    def __init__(self, results: Result | Tasks | Sequence[Tasks]) -> None:
        self._results = _by_model(results)
        self._drawn: tuple[Any, ...] | None = None
        self._marks: tuple[Any, ...] = ()
        names = list(self._results)
        self.controls = {
            "model": Dropdown(options=names, description="model"),
            "task": Dropdown(options=list(self._results[names[0]]), description="task"),
            "pooling": Dropdown(options=[*scores.EMBEDDINGS], description="pooling"),
            "measure": Dropdown(options=[*LABELS], description="measure"),
            "layer": SelectionSlider(options=["0"], description="layer"),
        }
        self._fit()
        chosen = ("model", "task") if len(names) > 1 else ("task",)
        rows = ((*chosen, "pooling", "measure"), ("layer",))
        super().__init__(self.controls, rows, width=8.4, height=4.4)

    @property
    def result(self) -> Result:
        """The result that is shown."""
        return self._results[self.model][self.task]

    @property
    def table(self) -> pd.DataFrame:
        """The rows behind the curves and levels; one cell with the reason where there is no number."""
        if why := self._why:
            return reason_table(self.result, why)
        measures = [self.measure, "control_task_accuracy", "majority_accuracy"]
        frame = self.result.frame
        groups = [self.pooling, *((scores.HEADS, *scores.BASELINES) if self.measure == "accuracy" else ())]
        return frame[frame["measure"].isin(measures) & frame["group"].isin(groups)].reset_index(drop=True)

    @property
    def chosen(self) -> pd.Series | None:
        """The row of the chosen layer: value, lo, hi, n, ...; None where there is no number."""
        return None if self._why else self._at(self.measure)

    @property
    def _why(self) -> str:
        """Why there is nothing to draw; "" when there is."""
        if self.result.reason is not None:
            return self.result.reason
        return scores.no_selectivity(self.result) if self.measure == "selectivity" else ""

    @property
    def _place(self) -> tuple[str, int]:
        stack, _, layer = str(self.layer).rpartition(" ")
        return stack, int(layer)

    def _at(self, measure: str, control: str = "none") -> Any:
        """The row of a measure at the chosen layer; None where it was not run."""
        frame, (stack, layer) = self.result.frame, self._place
        wanted = (frame["measure"] == measure) & (frame["control"] == control)
        wanted &= (frame["group"] == self.pooling) & (frame["stack"] == stack) & (frame["layer"] == layer)
        return frame[wanted].iloc[0] if wanted.any() else None

    def _origin(self) -> dict[str, str]:
        return describe(self.result)

    def _follow(self, name: str) -> None:
        if name in ("model", "task"):
            self._fit()

    def _fit(self) -> None:
        """Offer the tasks of the model, and the layers of the result; what is chosen stays where it can."""
        self._offer("task", list(self._results[self.model]))
        there = self.result.reason is None
        for name in ("pooling", "measure", "layer"):
            self.controls[name].disabled = not there
        if there:
            layers = [f"{stack} {layer}" for stack, layer in places_of(self.result)]
            self._offer("layer", layers, "{} {}".format(*scores.best_layer(self.result.frame, self.pooling)))

    def _offer(self, name: str, options: list[str], first: str | None = None) -> None:
        control = self.controls[name]
        if [value for _, value in pairs(control)] != options:
            now = control.value
            control.options = options
            control.value = now if now in options else first or options[0]

    def _draw(self, figure: Figure, fresh: bool) -> str:
        scene = (self.model, self.task, self.pooling, self.measure)
        if fresh or self._drawn != scene:
            figure.clear()
            marks = self._scene(figure)
            if not fresh:
                self._marks, self._drawn, self._background = marks, scene, None
        else:
            marks = self._marks
        if why := self._why:
            return f"There is no number for {self.model} on {_words(self.task)}: {why}."
        line, point = marks
        x, row = places_of(self.result)[self._place], self._at(self.measure)
        line.set_xdata([x, x])
        point.set_data([x], [row["value"]])
        return self._say(row)

    def _moving(self) -> Sequence[Artist]:
        return self._marks

    def _scene(self, figure: Figure) -> tuple[Any, ...]:
        """Draw what stands still; the marker of the layer is returned."""
        if why := self._why:
            draw_reason(figure.add_axes(REASON), f"{self.model} on {_words(self.task)}", why)
            return ()
        ax = plot_linguistic(self.result, figure.add_axes(CURVES), self.pooling, self.measure)
        ax.legend(
            loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0.0, labelspacing=0.8, fontsize=8.5
        )
        ax.set_title(ax.get_title(loc="left"), loc="left", fontsize=9.5)
        line = ax.axvline(0, color="#202020", linewidth=1.2, alpha=0.7, zorder=1.5)
        look: dict[str, Any] = {"color": COLOURS[self.pooling], "marker": MARKERS[self.pooling]}
        (point,) = ax.plot([], [], markersize=10, markeredgecolor="#202020", zorder=5, **look)
        return line, point

    def _say(self, row: Any) -> str:
        stack, layer = self._place
        where = f"Layer {layer} of the {stack} stack, {STATES[self.pooling]}, {_words(self.task)}"
        if self.measure == "selectivity":
            return f"{where}: the selectivity is {_spell(row)}, {MEANT}."
        said = [f"{where}: {_spell(row)} of {row['n']:,} test sentences right"]
        for name, measure, control in (
            ("random weights", "accuracy", "random weights"),
            ("the control task", "control_task_accuracy", "none"),
        ):
            beside = self._at(measure, control)
            if beside is not None and np.isfinite(beside["value"]):
                said.append(f"{name} {beside['value']:.2f}")
        said += [f"{name} {scores.score(self.result, name)['value']:.2f}" for name in scores.BASELINES]
        heads = scores.score(self.result, scores.HEADS)
        return f"{'; '.join(said)}; statistics of all heads {_spell(heads)}."


def _spell(row: Any) -> str:
    return f"{row['value']:.2f} ({row['lo']:.2f} to {row['hi']:.2f})"


def _words(task: str) -> str:
    return task.replace("_", " ")


def _by_model(results: Result | Tasks | Sequence[Tasks]) -> dict[str, dict[str, Result]]:
    """Results of tasks by the name of their model."""
    if isinstance(results, Result):
        results = {scores.task_name(results).replace(" ", "_"): results}
    many = [results] if isinstance(results, Mapping) else list(results)
    if not many or not all(many):
        raise ValueError("no result came; pass what value_nb.probe_linguistics returns")
    found: dict[str, dict[str, Result]] = {}
    for one in many:
        for task, result in one.items():
            if result.probe != scores.PROBE:
                raise ValueError(f"a result of {result.probe!r} came; expected one of {scores.PROBE!r}")
            tasks = found.setdefault(str(result.meta["model"]), {})
            if task in tasks:
                raise ValueError(f"{task!r} came twice for {result.meta['model']}; expected each model once")
            tasks[task] = result
    return found
