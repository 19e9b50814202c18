"""Hit rates of all heads as a map, and the chosen head by entity type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from ipywidgets import Dropdown, IntSlider

from value_nb import coreference_heads as reading
from value_nb import style
from value_nb.coreference_plots import LABELS, SAID, draw_map
from value_nb.curves import title
from value_nb.reasons import reason_table
from value_nb.widgets.by_model import Given
from value_nb.widgets.head_panel import MAP, NUMBERED, SCALE, HeadPanel, cell_frame, frame_cells
from value_nb.widgets.state import State, offer

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TYPES = (0.615, 0.28, 0.375, 0.53)
BESIDE = {"hit_rate": "chance", "hit_rate_linked": "chance", "linked_weight": "unlinked regions",
          "unlinked_weight": "linked regions"}  # fmt: skip
GUESS = "#56b4e9"
RATES = ("hit_rate", "hit_rate_linked")


class CoreferencePanel(HeadPanel):
    """The map of heads with one cell chosen, and beside it what that head does for every entity type.

    Left: one cell for each head and layer; yellow rings mark heads whose p-value, over all heads at once,
    lies below 0.05; an orange frame marks the chosen head. Right: the chosen head by entity type with its
    interval, beside chance. It starts at the best head, which was chosen on other pictures. For a model in
    which the probe is not defined, the panel says why.

    Parameters
    ----------
    results
        A coreference attention result, what `sweep` returned, or a list of results (one for each model).

    Attributes
    ----------
    model
        Name of the model shown.
    measure
        "hit_rate", "hit_rate_linked", "linked_weight" or "unlinked_weight".
    direction
        "text->image" or "image->text".
    type
        An entity type, or "all".
    layer
        1-based.
    head
        0-based.

    Raises
    ------
    ValueError
        For a result of another probe, no result, or a value that is not among the choices.
    """

    measure = State("Which measure of heads the map shows.")
    direction = State("'text->image' or 'image->text'.")
    type = State("An entity type, or 'all'.")
    layer = State("1-based layer.")
    head = State("0-based head.")

    probe, swept, empty = reading.PROBE, "CoreferenceAttention()", reading.NO_MENTIONS

    def __init__(self, results: Given) -> None:
        controls = {
            "measure": Dropdown(
                options=[(LABELS[m].lower(), m) for m in reading.BESIDE], description="measure"
            ),
            "direction": Dropdown(options=list(reading.DIRECTIONS), description="direction"),
            "type": Dropdown(options=[reading.ALL], description="type"),
            "layer": IntSlider(min=1, max=1, description="layer"),
            "head": IntSlider(min=0, max=0, description="head"),
        }
        super().__init__(results, controls, (("measure", "direction", "type"), ("layer", "head")))

    @property
    def table(self) -> pd.DataFrame:
        """The chosen head by entity type; one cell with the reason where there is no number."""
        if self.reason:
            return reason_table(self.result, self.reason)
        return reading.head_by_type(self.result, self.layer, self.head, self.measure, self.direction)

    @property
    def chosen(self) -> pd.Series | None:
        """The row of the chosen head and type; None where there is no number."""
        return None if self.reason else self.table.loc[self.type]

    @property
    def _state(self) -> tuple[Any, ...]:
        return self.measure, self.direction, self.type

    def _follow(self, name: str) -> None:
        if name == "model":
            self._fit()

    def _fit_choices(self) -> None:
        """Offer what this result has, and go to its best head."""
        there = set(self.result.frame["direction"].dropna())
        offer(self.controls["direction"], [d for d in reading.DIRECTIONS if d in there])
        offer(self.controls["type"], reading.groups(self.result))
        heads = reading.head_map(self.result, "hit_rate", self.controls["direction"].value)
        self.controls["layer"].max = int(max(heads.columns))
        self.controls["head"].max = int(max(heads.index))
        found = reading.best_head(self.result, direction=self.direction)
        if found is not None:
            self.controls["layer"].value, self.controls["head"].value = found[1:]

    def _heading(self) -> str:
        return f"Visual coreference in the attention of {self.model}"

    def _scene(self, figure: Figure) -> _Marks:
        """Draw what stands still: the map with its scale, and the axes of types with what stands beside."""
        cells, types = figure.add_axes(MAP), figure.add_axes(TYPES)
        mesh = draw_map(
            cells,
            self.result,
            self.measure,
            self.direction,
            self.type,
            numbers=self.controls["layer"].max <= NUMBERED,
        )
        bar = figure.colorbar(mesh, cax=figure.add_axes(SCALE))
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=2, labelsize=8)
        whose = "all types" if self.type == reading.ALL else self.type
        ringed = "; ringed: p < 0.05 over all heads" if self.measure in RATES else ""
        cells.set_title(f"{LABELS[self.measure]}, {whose}{ringed}", fontsize=9)
        figure.text(0.055, 0.985, f"{title(self.result)}\n{SAID[self.direction]}", fontsize=9, va="top")
        types.set_xlim(-0.02 * self._top(), 1.02 * self._top())
        return _Marks(cells, types, self.table, self.measure)

    def _top(self) -> float:
        """Room for every head, since any can be chosen: 1 for a rate, the largest upper end for a weight."""
        if self.measure in RATES:
            return 1.0
        frame = self.result.frame
        own = frame["measure"].isin([self.measure, reading.BESIDE[self.measure]]) & (
            frame["control"] == "none"
        )
        return float(frame[own & (frame["direction"] == self.direction)][["value", "hi"]].max().max())

    def _place(self, marks: _Marks) -> None:
        marks.update(self.table, self.layer, self.head)

    def _say(self) -> str:
        row = self.table.loc[self.type]
        whose = "all types" if self.type == reading.ALL else f"type {self.type}"
        what = LABELS[self.measure].lower()
        said = f"Layer {self.layer}, head {self.head}, {self.direction}, {whose}: {what} "
        said += f"{reading.spell(row['value'], row['lo'], row['hi'])} over {int(row['n']):,} mentions"
        said += f"; {BESIDE[self.measure]} {row['beside']:.2f}"
        if "best_guess" in row:
            said += f", best guess {row['best_guess']:.2f}"
        return f"{said}.{self._tested()}{self._best()}"

    def _tested(self) -> str:
        """The p-value over all heads at once, of a rate."""
        if self.measure not in RATES:
            return ""
        frame = self.result.frame
        rows = frame[(frame["measure"] == "p_max") & (frame["control"] == "none")]
        rows = rows[(rows["direction"] == self.direction) & (rows["group"] == self.type)]
        rows = rows[(rows["layer"] == self.layer) & (rows["head"] == self.head)]
        if rows.empty:
            return " Nothing could be swapped, so there is no test."
        p = rows["value"].iloc[0]
        small = p < reading.SMALLEST
        return f" Over all heads at once p {'< ' if small else ''}{max(p, reading.SMALLEST):.3f}."

    def _best(self) -> str:
        """Whether this is the head that was chosen for the type."""
        table = reading.best_heads(self.result, self.direction)
        if self.type not in table.index:
            return ""
        best = table.loc[self.type]
        if (best["layer"], best["head"]) == (self.layer, self.head):
            return " It is the head that was chosen for this, on other pictures."
        return f" Chosen for this, on other pictures: layer {best['layer']}, head {best['head']}."


class _Marks:
    """What moves: the frame around the chosen cell, and the chosen head's points and intervals."""

    def __init__(self, cells: Axes, types: Axes, table: pd.DataFrame, measure: str) -> None:
        self.frame = cell_frame(cells)
        self.types, y = types, np.arange(len(table), dtype=float)
        self.weight = measure not in RATES
        self.ground = _ground(types, table, y, measure)
        self.lines = types.hlines(y, 0, 0, color=style.PAPER, linewidth=1.8, zorder=3)
        (self.points,) = types.plot(
            [],
            [],
            linestyle="none",
            marker="o",
            markersize=7,
            color=style.PAPER,
            label="chosen head",
            zorder=4,
        )
        self.heading = types.set_title(" ", fontsize=9)
        types.legend(loc="upper left", bbox_to_anchor=(-0.36, -0.2), ncol=3, fontsize=8, columnspacing=0.8,
                     handletextpad=0.3)  # fmt: skip

    @property
    def moving(self) -> list[Artist]:
        """What `update` changes."""
        return [self.frame, self.lines, self.points, self.heading, *([self.ground] if self.weight else [])]

    def update(self, table: pd.DataFrame, layer: int, head: int) -> None:
        """Show another head."""
        y = np.arange(len(table), dtype=float)
        frame_cells(self.frame, layer, head, head)
        value, lo, hi = (table[c].to_numpy(float) for c in ("value", "lo", "hi"))
        self.points.set_data(value, y)
        self.lines.set_segments([[(a, k), (b, k)] for a, b, k in zip(lo, hi, y, strict=True)])
        if self.weight:
            self.ground.set_data(table["beside"].to_numpy(float), y)
        self.heading.set_text(f"Layer {layer}, head {head}, by entity type")


def _ground(ax: Axes, table: pd.DataFrame, y: np.ndarray, measure: str) -> Any:
    """Names of types, the grid, and what the chosen head is held against."""
    ax.set_yticks(
        y, [f"{group} ({n:,})" for group, n in zip(table.index, table["n"], strict=True)], fontsize=8.5
    )
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.set_xlabel(LABELS[measure].lower() + ", 95 % interval", fontsize=9)
    ax.grid(axis="x")
    ax.set_axisbelow(True)
    how: dict[str, Any] = {"linestyle": "none", "marker": "|", "markersize": 13, "markeredgewidth": 2.0}
    (ground,) = ax.plot(table["beside"], y, color="#404040", label=BESIDE[measure], **how)
    if "best_guess" in table:
        ax.plot(table["best_guess"], y, color=GUESS, label="best guess", zorder=1, **how)
    return ground
