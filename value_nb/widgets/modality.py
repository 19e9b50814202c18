"""What [CLS] gives to a modality: the map of heads, the chosen head by layer, and its number in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from ipywidgets import Dropdown, IntSlider, SelectionSlider

from value_nb import importance, style
from value_nb.curves import title
from value_nb.modality_plots import NAMES, draw_heads, draw_layers, heading, scale_bar, top
from value_nb.reasons import draw_reason
from value_nb.result import Result
from value_nb.widgets.panel import Panel
from value_nb.widgets.picture import rectangle
from value_nb.widgets.state import State, pairs

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEAN = "mean"
MEASURES = (
    ("raw", "cls_mass"),
    ("per position", "cls_mass_per_position"),
    ("text share, raw", "text_share"),
    ("text share, per position", "text_share_per_position"),
)
"""What the control says, and the measure behind it."""

UNITS = {"cls_mass": "share of [CLS]'s attention", "cls_mass_per_position": "times an even spread"}
NUMBERED = 8  # up to so many layers the cells carry their numbers
MAP, SCALE, CURVES = (0.055, 0.13, 0.37, 0.68), (0.433, 0.13, 0.012, 0.68), (0.59, 0.36, 0.395, 0.45)
REASON = (0.06, 0.1, 0.88, 0.7)


class ModalityPanel(Panel):
    """The map of heads with one cell chosen, and beside it the chosen head and the mean over heads by layer.

    Left: one cell for each head and layer, what its [CLS] gives to the modality; an orange frame marks
    the chosen head, or the whole layer for "mean". Right: the mean over heads with its interval and its
    controls, the chosen head as an orange line. The text below says the chosen number with its interval.
    For a model in which the probe is not defined, the panel says why.

    Parameters
    ----------
    results
        A modality importance result, what `sweep` returned, or a list of results (one for each model).

    Attributes
    ----------
    model
        Name of the model shown.
    measure
        "cls_mass" (raw), "cls_mass_per_position", "text_share" or "text_share_per_position".
    specials
        "paper" or "excluded".
    modality
        "text", "image", or with specials="excluded" also "special"; a text share has "text" alone.
    layer
        1-based.
    head
        0-based, or "mean" over heads.

    Raises
    ------
    ValueError
        For a result of another probe, no result, or a value that is not among the choices.
    """

    model = State("Name of the model shown.")
    measure = State("Which measure the map shows.")
    specials = State("'paper': [CLS] and [SEP] counted as text; 'excluded': a group of their own.")
    modality = State("'text', 'image', or 'special'.")
    layer = State("1-based layer.")
    head = State("0-based head, or 'mean' over heads.")

    def __init__(self, results: Result | Mapping[str, Result] | Sequence[Result]) -> None:
        self._results = _by_model(results)
        self._parts: dict[tuple[str, str, str], Result] = {}
        self._views: dict[tuple[str, ...], tuple[pd.DataFrame, float]] = {}
        self._drawn: tuple[Any, ...] | None = None
        names = list(self._results)
        self.controls = {
            "model": Dropdown(options=names, description="model"),
            "measure": Dropdown(options=list(MEASURES), description="measure"),
            "specials": Dropdown(options=["paper", "excluded"], description="specials"),
            "modality": Dropdown(options=["text", "image"], description="modality"),
            "layer": IntSlider(min=1, max=1, description="layer"),
            "head": SelectionSlider(options=[MEAN], description="head"),
        }
        self._fit()
        chosen = ("model", "measure") if len(names) > 1 else ("measure",)
        super().__init__(
            self.controls, ((*chosen, "specials", "modality"), ("layer", "head")), width=8.4, height=4.3
        )

    @property
    def result(self) -> Result:
        """The result that is shown."""
        return self._results[self.model]

    @property
    def table(self) -> pd.DataFrame:
        """The rows behind the map and the curves; one cell with the reason where there is no number."""
        if why := importance.nothing(self.result):
            return pd.DataFrame({"not defined": [why]})
        return self._view[0]

    @property
    def chosen(self) -> pd.Series | None:
        """The row of the chosen cell: value, lo, hi, n, ...; None where there is no number."""
        if importance.nothing(self.result):
            return None
        return self._row()

    def _row(self) -> pd.Series:
        table = self.table
        head = table["head"].isna() if self.head == MEAN else table["head"] == self.head
        return table[(table["control"] == "none") & (table["layer"] == self.layer) & head].iloc[0]

    @property
    def _part(self) -> Result:
        """What the result has of the present measure and treatment of specials; small, so that it is fast."""
        key = (str(self.model), str(self.measure), str(self.specials))
        if key not in self._parts:
            frame = self.result.select(specials=self.specials)
            frame = frame[frame["measure"].isin([self.measure, "position_share"])]
            self._parts[key] = Result(importance.PROBE, frame, self.result.meta)
        return self._parts[key]

    @property
    def _view(self) -> tuple[pd.DataFrame, float]:
        """The rows of what is shown, and what no preference gives."""
        key = (str(self.model), str(self.measure), str(self.specials), str(self.modality))
        if key not in self._views:
            part, state = self._part, key[1:]
            self._views[key] = importance.rows(part, *state), importance.even(part, *state)
        return self._views[key]

    def _follow(self, name: str) -> None:
        if name in ("model", "measure", "specials"):
            self._fit()

    def _fit(self) -> None:
        """Offer what this result has; what is chosen stays where it can."""
        there = not importance.nothing(self.result)
        for name in ("measure", "specials", "modality", "layer", "head"):
            self.controls[name].disabled = not there
        if not there:
            return
        self._offer("modality", importance.groups(self._part, self.measure, self.specials))
        table = importance.heads(self._part, self.measure, self.specials, self.modality)
        self.controls["layer"].max = int(max(table.columns))
        self._offer("head", [MEAN, *map(int, table.index)])

    def _offer(self, name: str, options: list[Any]) -> None:
        control = self.controls[name]
        if [value for _, value in pairs(control)] != options:
            now = control.value
            control.options = options
            control.value = now if now in options else options[0]

    def _draw(self, figure: Figure, fresh: bool) -> str:
        why = importance.nothing(self.result)
        scene = (self.model,) if why else (self.model, self.measure, self.specials, self.modality)
        if fresh or self._drawn != scene:
            figure.clear()
            self._drawn = self._drawn if fresh else None
            marks = None if why else _Marks(*self._scene(figure))
            if why:
                draw_reason(figure.add_axes(REASON), heading(self.result), why)
            if not fresh:
                self._marks, self._drawn, self._background = marks, scene, None
        else:
            marks = self._marks
        if marks is None:
            return f"There is no number for {self.model}: {why}."
        marks.update(self.table, self.layer, self.head)
        return self._say()

    def _moving(self) -> Sequence[Artist]:
        return () if self._marks is None else self._marks.moving

    def _scene(self, figure: Figure) -> tuple[Axes, Axes]:
        """Draw what stands still: the map with its scale, and the curves with their legend."""
        state = (self.measure, self.specials, self.modality)
        cells, curves = figure.add_axes(MAP), figure.add_axes(CURVES)
        mesh = draw_heads(cells, self._part, *state, numbers=self.controls["layer"].max <= NUMBERED)
        scale_bar(figure.colorbar(mesh, cax=figure.add_axes(SCALE)), self.measure)
        cells.set(xlabel="layer", ylabel="head")
        text_share = self.measure in importance.SHARES.values()
        of = "Text share" if text_share else f"From [CLS] to {NAMES[self.modality]}"
        cells.set_title(of, fontsize=9.5)
        draw_layers(curves, self._part, *state)
        curves.set_ylabel(UNITS.get(self.measure, "text share"))
        curves.set_ylim(0.0, self._top())
        curves.plot([], [], color=style.PAPER, linewidth=1.6, label="chosen head")
        curves.legend(loc="upper left", bbox_to_anchor=(-0.16, -0.25), ncol=2, fontsize=8, columnspacing=0.8)
        figure.text(0.055, 0.975, title(self.result), fontsize=9.5, va="top")
        return cells, curves

    def _top(self) -> float:
        """Room for every head of the model, since any can be chosen."""
        state = (self.measure, self.specials)
        heads = importance.heads(self._part, *state, self.modality).to_numpy(float)
        return max(top(self._part, *state, [self.modality]), 1.05 * float(np.nanmax(heads)))

    def _say(self) -> str:
        row, heads = self._row(), len(self.controls["head"].options) - 1
        head = f"mean over {heads} heads" if self.head == MEAN else f"head {self.head}"
        interval = f" ({row['lo']:.2f} to {row['hi']:.2f})" if np.isfinite(row["lo"]) else ", no interval"
        even = self._view[1]
        what = _spelled(self.measure, self.modality, self.specials).format(f"{row['value']:.2f}{interval}")
        return f"Layer {self.layer}, {head}: {what}, over {row['n']:,} pairs; no preference gives {even:.2f}."


class _Marks:
    """What moves: the frame around the chosen cell, and the chosen head's line with its point."""

    def __init__(self, cells: Axes, curves: Axes) -> None:
        frame = {"edgecolor": style.PAPER, "linewidth": 2.4, "zorder": 5, "clip_on": False}
        self.frame = rectangle(np.array([0.0, 0.0, 1.0, 1.0]), **frame)
        cells.add_patch(self.frame)
        (self.line,) = curves.plot([], [], color=style.PAPER, linewidth=1.6, zorder=4)
        (self.point,) = curves.plot([], [], color=style.PAPER, marker="o", markersize=8, zorder=5)
        self.heading = curves.set_title(" ", fontsize=9.5)

    @property
    def moving(self) -> list[Artist]:
        """What `update` changes."""
        return [self.frame, self.line, self.point, self.heading]

    def update(self, table: pd.DataFrame, layer: int, head: int | str) -> None:
        """Put the marks at a layer and head."""
        own = table[table["control"] == "none"]
        heads = own["head"].dropna().astype(int)
        chosen = own[own["head"].isna() if head == MEAN else own["head"] == head].sort_values("layer")
        first, last = (heads.min(), heads.max()) if isinstance(head, str) else (head, head)
        self.frame.set_bounds(layer - 0.5, first - 0.5, 1, last - first + 1)
        self.line.set_data(chosen["layer"].to_numpy(float), chosen["value"].to_numpy(float))
        at = chosen[chosen["layer"] == layer]
        self.point.set_data(at["layer"].to_numpy(float), at["value"].to_numpy(float))
        named = "mean over heads" if head == MEAN else f"head {head}"
        self.heading.set_text(f"Layer {layer}, {named}: {at['value'].iloc[0]:.2f}")


def _spelled(measure: str, modality: str, specials: str) -> str:
    """What a number is, with "{}" at the place of the number."""
    apart = specials == "excluded" and modality == "text"
    without = ", [CLS] and [SEP] left out," if apart else ""
    if measure in importance.SHARES.values():
        each = "per position, " if measure == "text_share_per_position" else ""
        return f"of what [CLS] gives to text and image{without or ','} {each}the text gets {{}}"
    each = "times what an even spread would" if measure == "cls_mass_per_position" else "of its attention"
    return f"[CLS] gives {NAMES[modality]}{without} {{}} {each}"


def _by_model(results: Result | Mapping[str, Result] | Sequence[Result]) -> dict[str, Result]:
    """Modality importance results by the name of their model."""
    if isinstance(results, Mapping):
        results = [results[importance.PROBE]] if importance.PROBE in results else list(results.values())
    listed = [results] if isinstance(results, Result) else list(results)
    if not listed:
        raise ValueError("no result came; pass what sweep returned for [ModalityImportance()]")
    for result in listed:
        importance.nothing(result)  # refuses results of other probes
    return {str(result.meta["model"]): result for result in listed}
