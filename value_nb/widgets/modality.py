"""What [CLS] gives to a modality: the map of heads, the chosen head by layer, and its number in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from ipywidgets import Dropdown, IntSlider, SelectionSlider

from value_nb import importance, style
from value_nb.curves import title
from value_nb.modality_plots import NAMES, draw_heads, draw_layers, heading, scale_bar, top
from value_nb.reasons import reason_table
from value_nb.result import Result
from value_nb.widgets.by_model import Given
from value_nb.widgets.head_panel import MAP, NUMBERED, SCALE, HeadPanel, cell_frame, frame_cells
from value_nb.widgets.state import State, offer

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
CURVES = (0.59, 0.36, 0.395, 0.45)


class ModalityPanel(HeadPanel):
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

    measure = State("Which measure the map shows.")
    specials = State("'paper': [CLS] and [SEP] counted as text; 'excluded': a group of their own.")
    modality = State("'text', 'image', or 'special'.")
    layer = State("1-based layer.")
    head = State("0-based head, or 'mean' over heads.")

    probe, swept, empty = importance.PROBE, "ModalityImportance()", importance.NO_PAIRS

    def __init__(self, results: Given) -> None:
        self._parts: dict[tuple[str, str, str], Result] = {}
        self._views: dict[tuple[str, ...], tuple[pd.DataFrame, float]] = {}
        controls = {
            "measure": Dropdown(options=list(MEASURES), description="measure"),
            "specials": Dropdown(options=["paper", "excluded"], description="specials"),
            "modality": Dropdown(options=["text", "image"], description="modality"),
            "layer": IntSlider(min=1, max=1, description="layer"),
            "head": SelectionSlider(options=[MEAN], description="head"),
        }
        super().__init__(results, controls, (("measure", "specials", "modality"), ("layer", "head")))

    @property
    def table(self) -> pd.DataFrame:
        """The rows behind the map and the curves; one cell with the reason where there is no number."""
        if self.reason:
            return reason_table(self.result, self.reason)
        return self._view[0]

    @property
    def chosen(self) -> pd.Series | None:
        """The row of the chosen cell: value, lo, hi, n, ...; None where there is no number."""
        if self.reason:
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

    @property
    def _state(self) -> tuple[str, str, str]:
        return str(self.measure), str(self.specials), str(self.modality)

    def _fit_choices(self) -> None:
        """Offer what this result has; what is chosen stays where it can."""
        offer(self.controls["modality"], importance.groups(self._part, self.measure, self.specials))
        table = importance.heads(self._part, self.measure, self.specials, self.modality)
        self.controls["layer"].max = int(max(table.columns))
        offer(self.controls["head"], [MEAN, *map(int, table.index)])

    def _heading(self) -> str:
        return heading(self.result)

    def _place(self, marks: _Marks) -> None:
        marks.update(self.table, self.layer, self.head)

    def _scene(self, figure: Figure) -> _Marks:
        """Draw what stands still: the map with its scale, and the curves with their legend."""
        state = self._state
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
        return _Marks(cells, curves)

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
        self.frame = cell_frame(cells)
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
        frame_cells(self.frame, layer, first, last)
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
