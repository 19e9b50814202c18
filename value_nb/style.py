"""How figures look: a palette that colour-blind readers can tell apart, one type, one width."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS, PAPER, MISMATCHED, RANDOM = "#0173b2", "#d55e00", "#029e73", "#8c8c8c"
"""From seaborn's "colorblind" palette; random weights are grey everywhere."""

SEQUENTIAL = "mako_r"
"""Colour map of attention and other shares: light is little."""

WIDTH, HEIGHT = 7.0, 4.0  # inches, legend included

RC: dict[str, Any] = {
    "font.size": 10.5,
    "axes.titlesize": 11,
    "axes.labelsize": 10.5,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "legend.fontsize": 9.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#606060",
    "grid.color": "#e4e4e4",
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "figure.dpi": 110,
    "text.parse_math": False,  # a caption with two dollar signs holds no formula
}


@contextmanager
def styled() -> Iterator[None]:
    """The kit's look inside a `with`; matplotlib's settings outside stay as they are."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    plt.draw_if_interactive()  # loads the backend: what it sets would be undone at the end of the context

    with mpl.rc_context(RC):  # type: ignore[arg-type]  # its keys are spelled out one by one there
        yield


def new_axes(width: float = WIDTH, height: float = HEIGHT) -> Axes:
    """Axes of a new figure that makes room for what stands outside them."""
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def legend_outside(ax: Axes, fontsize: float = 9.5, labelspacing: float = 0.9) -> None:
    """Put the legend to the right of the axes, where it covers nothing; smaller where it has many lines."""
    ax.legend(
        loc="upper left",
        bbox_to_anchor=(1.02, 1.0),
        borderaxespad=0.0,
        fontsize=fontsize,
        labelspacing=labelspacing,
    )
