"""Heads in which one modality looks at the other: the map of heads, the chosen head, and random weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from ipywidgets import Dropdown, IntSlider, SelectionSlider

from value_nb import crossmodal, style
from value_nb.crossmodal_plots import LEFT_OUT, SIDES, at_band, draw_distribution, draw_map
from value_nb.curves import title
from value_nb.pointed_heads import pointed_heads
from value_nb.reasons import reason_table
from value_nb.result import Result
from value_nb.widgets.attention import AttentionPanel
from value_nb.widgets.by_model import Given
from value_nb.widgets.head_panel import MAP, SCALE, HeadPanel, cell_frame, frame_cells
from value_nb.widgets.panel import Panel
from value_nb.widgets.reason import ReasonPanel
from value_nb.widgets.state import State, offer

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from value_nb.data.example import Example
    from value_nb.models.base import VLModel

MEASURES = (
    ("share of pairs", "share_of_pairs"),
    ("attention", "mass"),
    ("attention beyond positions", "mass_minus_expected"),
    ("attention to specials", "mass_on_specials"),
)
"""What the control says, and the measure behind it."""

NAMES = {
    "share_of_pairs": "Share of pairs",
    "mass": "Attention to {looked_at}",
    "mass_minus_expected": "To {looked_at}, beyond positions",
    "mass_on_specials": "Attention to specials",
}
LINE = (0.545, 0.13, 0.44, 0.68)


class CrossModalPanel(HeadPanel):
    """The map of heads with one head chosen, and that head among all heads and those of random models.

    Left: one cell for each head and layer; an orange frame marks the chosen head. Right: the same numbers on
    a line, a point for each head, beside mismatched pictures and heads with random weights; inside a band
    layers go from top to bottom. The dotted line is the 99th percentile of the random heads, heads of the
    model above it are filled, and the orange point is the chosen head with its interval. For a model in
    which the probe is not defined, the panel says why.

    Parameters
    ----------
    results
        A cross-modal heads result, what `sweep` returned, or a list of results (one for each model).

    Attributes
    ----------
    model
        Name of the model shown.
    measure
        "share_of_pairs" (the paper's), "mass", "mass_minus_expected" or "mass_on_specials".
    direction
        "image->text" (regions look at words) or "text->image".
    specials
        "paper" or "excluded".
    layer
        1-based. The panel starts at the head that gives most across beyond the share of positions.
    head
        0-based.

    Raises
    ------
    ValueError
        For a result of another probe, no result, or a value that is not among the choices.
    """

    measure = State("Which measure the map shows.")
    direction = State("Who looks at whom: 'image->text' or 'text->image'.")
    specials = State("'paper': [CLS] and [SEP] counted with the text; 'excluded': left out.")
    layer = State("1-based layer.")
    head = State("0-based head.")

    probe, swept, empty = crossmodal.PROBE, "CrossModalHeads()", crossmodal.NO_PAIRS

    def __init__(self, results: Given) -> None:
        self._parts: dict[tuple[str, ...], Result] = {}
        self._started = False
        controls = {
            "measure": Dropdown(options=list(MEASURES), description="measure"),
            "direction": Dropdown(options=list(SIDES), description="direction"),
            "specials": Dropdown(options=list(crossmodal.SPECIALS), description="specials"),
            "layer": IntSlider(min=1, max=1, description="layer"),
            "head": SelectionSlider(options=[0], description="head"),
        }
        super().__init__(results, controls, (("measure", "direction", "specials"), ("layer", "head")))

    @property
    def table(self) -> pd.DataFrame:
        """The rows behind the picture; one cell with the reason where there is no number."""
        return reason_table(self.result, self.reason) if self.reason else self._part.frame

    @property
    def chosen(self) -> pd.Series | None:
        """The row of the chosen head: value, lo, hi, n, ...; None where it has no number."""
        return None if self.reason else self._row()

    def look(self, model: VLModel, data: Sequence[Example], example: int = 0) -> Panel:
        """Where the chosen head looks, on pictures: an attention panel that starts at this head.

        Without a number to choose a head by, it starts at the last layer and the mean over heads. For a model
        or data without pictures it is a panel that says so.

        Parameters
        ----------
        model, data
            Those of the result, or others with the same layers and heads.
        example
            Index of the example to start with.

        Raises
        ------
        ValueError
            For an example that is not there.
        """
        heading = f"Where heads of {model.name} look"
        if not any("image" in direction for names in model.directions.values() for direction in names):
            return ReasonPanel(heading, f"{model.name} sees no picture")
        if 0 <= example < len(data) and data[example].regions is None:
            return ReasonPanel(heading, f"example {data[example].id!r} has no picture")
        if self.reason:
            return AttentionPanel(model, data, example=example, direction=self._offered(model))
        return AttentionPanel(model, data, self.layer, self.head, self.direction, example)

    def _offered(self, model: VLModel) -> str | None:
        """The panel's direction where one stack has it, else None: what an attention panel starts with."""
        places = [names for names in model.directions.values() if self.direction in names]
        return str(self.direction) if len(places) == 1 else None

    def _row(self) -> pd.Series | None:
        table = self.table
        own = table[(table["control"] == "none") & (table["layer"] == self.layer)]
        found = own[own["head"] == self.head]
        return found.iloc[0] if len(found) else None

    @property
    def _part(self) -> Result:
        """The heads of what is shown, under every control; small, so that it is fast."""
        key = (str(self.model), *self._state)
        if key not in self._parts:
            found = crossmodal.heads(self.result, *self._state)
            self._parts[key] = Result(self.probe, found, self.result.meta)
        return self._parts[key]

    @property
    def _state(self) -> tuple[str, str, str]:
        return str(self.measure), str(self.direction), str(self.specials)

    def _follow(self, name: str) -> None:
        if name == "model":
            self._fit()

    def _fit_choices(self) -> None:
        table = self.result.frame
        self.controls["layer"].max = int(table["layer"].max())
        offer(self.controls["head"], sorted(table["head"].dropna().astype(int).unique().tolist()))
        if not self._started:
            _, self.layer, self.head = pointed_heads(self.result, str(self.direction))[0]
            self._started = True

    def _heading(self) -> str:
        return f"Cross-modal heads of {self.model}"

    def _scene(self, figure: Figure) -> _Marks:
        """Draw what stands still: the map with its scale, and all heads on a line."""
        cells, line = figure.add_axes(MAP), figure.add_axes(LINE)
        bar = figure.colorbar(draw_map(cells, self._part, *self._state), cax=figure.add_axes(SCALE))
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=2, labelsize=8)
        looked_at = SIDES[self._state[1]][1]
        cells.set_title(NAMES[self._state[0]].format(looked_at=looked_at), fontsize=9.5)
        draw_distribution(line, self._part, *self._state, size=8.0, intervals=False)
        figure.text(0.055, 0.975, title(self.result), fontsize=9.5, va="top")
        return _Marks(cells, line, self.controls["layer"].max)

    def _place(self, marks: _Marks) -> None:
        marks.update(self._row(), self.layer, self.head)

    def _say(self) -> str:
        row, place = self._row(), f"Layer {self.layer}, head {self.head}"
        if row is None:
            return f"{place} has no number: all its attention goes to [CLS] and [SEP]."
        measure, direction, specials = self._state
        interval = f" ({_number(measure, row['lo'])} to {_number(measure, row['hi'])})"
        number = _number(measure, row["value"]) + (interval if np.isfinite(row["lo"]) else " (no interval)")
        what = _spelled(measure, direction, specials).format(number)
        return f"{place}: {what}, over {row['n']:,} pairs.{self._beside(row)}"

    def _beside(self, row: pd.Series) -> str:
        """Where the head lies against the random models, and how many of all heads lie above them."""
        table, measure = self.table, str(self.measure)
        level = crossmodal.threshold(table)
        if not np.isfinite(level):
            return ""
        own = table[table["control"] == "none"]["value"]
        side = "above" if row["value"] > level else "not above"
        return (
            f" That is {side} {_number(measure, level)}, the 99th percentile of heads with random weights; "
            f"{int((own > level).sum())} of {len(own)} heads are above it."
        )


class _Marks:
    """What moves: the frame around the chosen cell, and the chosen head's point with its interval."""

    def __init__(self, cells: Axes, line: Axes, layers: int) -> None:
        self.layers = layers
        self.frame = cell_frame(cells)
        (self.interval,) = line.plot([], [], color=style.PAPER, linewidth=2.0, zorder=4)
        (self.point,) = line.plot(
            [], [], color=style.PAPER, marker="o", markersize=8, markeredgecolor="white", zorder=5
        )
        self.heading = line.set_title(" ", fontsize=9.5)

    @property
    def moving(self) -> list[Artist]:
        """What `update` changes."""
        return [self.frame, self.interval, self.point, self.heading]

    def update(self, row: pd.Series | None, layer: int, head: int) -> None:
        """Put the marks at a head; without a number the line carries none."""
        frame_cells(self.frame, layer, head, head)
        at = float(at_band(0, layer, self.layers))
        ends = [] if row is None else [row["lo"], row["hi"]]
        self.interval.set_data(ends, [at] * len(ends))
        self.point.set_data(*(([], []) if row is None else ([row["value"]], [at])))
        said = "no number" if row is None else _number(str(row["measure"]), row["value"])
        self.heading.set_text(f"Layer {layer}, head {head}: {said}")


def _number(measure: str, value: float) -> str:
    """Two digits; a difference with its sign."""
    return f"{value:+.2f}" if measure == "mass_minus_expected" else f"{value:.2f}"


def _spelled(measure: str, direction: str, specials: str) -> str:
    """What a number is, with "{}" at the place of the number."""
    looking, looked_at = SIDES[direction]
    without = f", {LEFT_OUT}," if specials == "excluded" and measure != "mass_on_specials" else ""
    if measure == "share_of_pairs":
        one = f"a {looking[:-1]} gives{without} more than half of its attention to {looked_at}"
        return f"in {{}} of the pairs {one}"
    if measure == "mass_on_specials":
        return f"{looking} give [CLS], [SEP] and global rows {{}} of their attention"
    if measure == "mass":
        return f"{looking} give {looked_at}{without} {{}} of their attention"
    return f"what {looking} give {looked_at}{without} differs from its share of the positions by {{}}"
