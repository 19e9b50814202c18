"""Scoreboard -> figure: observations as rows, models as columns, verdict and deciding number in each cell."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from value_nb import style
from value_nb.observations import FAILS, HOLDS, UNTESTED

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

COLOURS = {HOLDS: "#9fc8e3", FAILS: "#f2c3a0", UNTESTED: "#ececec"}
CLAIM_LINE = 40  # characters
MODEL_LINE = 24  # characters


def plot_scoreboard(board: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the table of verdicts.

    Parameters
    ----------
    board
        From `value_nb.scoreboard`.
    ax
        Where to draw; None makes a new figure.
    """
    observations, models = (list(dict.fromkeys(board[c])) for c in ("observation", "model"))
    with style.styled():
        size = (3.4 + 1.95 * len(models), 1.3 + 0.62 * len(observations))
        ax = style.new_axes(*size) if ax is None else ax
        for _, row in board.iterrows():
            _draw_cell(ax, models.index(row["model"]), observations.index(row["observation"]), row)
        ax.set(xlim=(-0.5, len(models) - 0.5), ylim=(len(observations) - 0.5, -0.5))
        ax.set_xticks(range(len(models)), [_model(board, model) for model in models])
        ax.set_yticks(range(len(observations)), [_claim(board, key) for key in observations])
        ax.xaxis.tick_top()
        ax.tick_params(length=0)
        for side in ax.spines.values():
            side.set_visible(False)
        ax.set_title("The paper's observations, held against each model by rules fixed beforehand", pad=14)
    return ax


def _draw_cell(ax: Axes, x: int, y: int, row: Any) -> None:
    from matplotlib.patches import Rectangle

    colour, word = COLOURS[row["verdict"]], row["verdict"]
    ax.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=colour, edgecolor="none"))
    number = _number(row)
    ax.text(x, y - (0.16 if number else 0.0), word, ha="center", va="center", fontsize=9.5, weight="bold")
    if number:
        ax.text(x, y + 0.2, number, ha="center", va="center", fontsize=8.5)


def _number(row: Any) -> str:
    """The deciding value, its interval and what that was held against, or the count of tasks; or ""."""
    if row["verdict"] == UNTESTED:
        return ""
    if np.isfinite(row["value"]):
        return f"{row['value']:.2f} [{row['lo']:.2f}, {row['hi']:.2f}] vs {row['against']:.2f}"
    return str(row["number"]).partition(":")[0]


def _claim(board: pd.DataFrame, key: str) -> str:
    claim = board.loc[board["observation"] == key, "claim"].iloc[0]
    return "\n".join(textwrap.wrap(f"({key}) {claim}", CLAIM_LINE))


def _model(board: pd.DataFrame, model: str) -> str:
    """Its name, and below it what its quality card or sanity gate holds against it."""
    gates = board.loc[board["model"] == model, "gate"].unique()
    said = [textwrap.wrap(gate.removeprefix("quality "), MODEL_LINE) for gate in gates]
    return "\n".join([model, *(line for lines in said for line in lines)])
