"""The scale beside a map whose largest value changes: the colours stand still, and the numbers move."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from value_nb import style

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

MOST = 5  # steps between numbers
SIZE = 8  # points


class Scale:
    """Colours from 0 at the foot to the largest value at the top, with round numbers at their heights.

    A colour bar of matplotlib draws its axes anew for other numbers, which takes longer than the map.

    Parameters
    ----------
    ax
        Narrow axes of its own.

    Attributes
    ----------
    moving
        What `update` changes.
    """

    def __init__(self, ax: Axes) -> None:
        import seaborn  # noqa: F401  # brings its colour maps

        colours = np.linspace(0, 1, 256)[:, None]
        ax.imshow(colours, cmap=style.SEQUENTIAL, origin="lower", aspect="auto", extent=(0, 1, 0, 1))
        ax.set(xticks=[], yticks=[])
        for side in ax.spines.values():
            side.set_visible(False)
        how: dict[str, Any] = {"va": "center", "fontsize": SIZE, "clip_on": False}
        self._numbers = [ax.text(1.5, 0.0, "", **how) for _ in range(MOST + 2)]
        (self._marks,) = ax.plot([], [], color="black", linewidth=0.8, clip_on=False)
        ax.set(xlim=(0, 1), ylim=(0, 1))

    @property
    def moving(self) -> Sequence[Artist]:
        """What `update` changes."""
        return (self._marks, *self._numbers)

    def update(self, top: float) -> None:
        """Show the numbers from 0 to `top`, which is above 0."""
        values = ticks(top)
        labels = [*named(values, top), *[""] * len(self._numbers)]
        for place, number in enumerate(self._numbers):
            number.set_text(labels[place])
            number.set_y(values[place] / top if labels[place] else 0.0)
        heights = np.repeat(np.array(values) / top, 3)
        heights[2::3] = np.nan
        self._marks.set_data(np.tile([1.0, 1.3, np.nan], len(values)), heights)


def ticks(top: float) -> list[float]:
    """Round numbers from 0 to at most `top`.

    Examples
    --------
    >>> [round(value, 3) for value in ticks(0.097)]
    [0.0, 0.02, 0.04, 0.06, 0.08]
    """
    from matplotlib.ticker import MaxNLocator

    found = MaxNLocator(nbins=MOST, steps=[1, 2, 2.5, 5, 10]).tick_values(0.0, top)
    return [float(value) for value in found if -1e-12 <= value <= top * (1 + 1e-9)]


def named(values: Sequence[float], top: float) -> list[str]:
    """Numbers of a scale from 0 to `top`, with as many digits as they need.

    Examples
    --------
    >>> named([0.0, 0.025, 0.05], 0.06)
    ['0.000', '0.025', '0.050']
    """
    from matplotlib.ticker import ScalarFormatter

    plain = ScalarFormatter(useOffset=False)
    plain.set_scientific(False)
    plain.create_dummy_axis()
    plain.axis.set_view_interval(0.0, top)  # type: ignore[union-attr]
    return [str(label) for label in plain.format_ticks(list(values))]
