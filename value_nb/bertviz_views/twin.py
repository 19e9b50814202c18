"""The static twin of a view: the same heads as small matrices, for where no script runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from value_nb import style
from value_nb.widgets.panel_figure import PanelFigure, png
from value_nb.widgets.picture import plain_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from value_nb.bertviz_views.maps import Maps

WIDE = 7.0  # inches
ACROSS = (4, 3)  # heads of one layer that stand side by side: whichever leaves fewer gaps
LINE = 0.105  # inches that a name takes; where there is less room, every second or third is written
LETTERS = 16  # of a name
COLOURS = 192  # of the picture that a notebook keeps


def heads_figure(maps: Maps, layer: int, heads: tuple[int, ...]) -> PanelFigure:
    """The heads of one layer as matrices with names: rows look, columns are looked at.

    Parameters
    ----------
    layer
        1-based, one of `maps.layers`.
    heads
        0-based, the ones that are shown.
    """
    columns = min(len(heads), min(ACROSS, key=lambda across: -len(heads) % across))
    rows = math.ceil(len(heads) / columns)
    wide = (WIDE - 1.55) / columns
    tall = wide * max(0.6, min(1.4, len(maps.queries) / len(maps.keys)))
    high = rows * (tall + 0.27) + 1.3
    values = maps.weights[maps.layers.index(layer)]
    top = float(values[list(heads)].max())
    figure = PanelFigure(WIDE, high)
    with style.styled(), plain_text():
        axes = figure.subplots(rows, columns, squeeze=False)
        figure.subplots_adjust(0.95 / WIDE, 0.9 / high, 1 - 0.6 / WIDE, 1 - 0.55 / high, 0.06, 0.27 / tall)
        for place, ax in enumerate(axes.ravel()):
            if place >= len(heads):
                ax.set_axis_off()
                continue
            mesh = _matrix(ax, values[heads[place]], top)
            ax.set_title(f"head {heads[place]}", fontsize=9, pad=3)
            _names(ax.yaxis, maps.queries if place % columns == 0 else (), tall)
            _names(ax.xaxis, maps.keys if place + columns >= len(heads) else (), wide)
            ax.tick_params(axis="x", rotation=90)
        _scale(figure, mesh)
        title = f"{heading(maps)}, layer {layer}: rows look, columns are looked at"
        figure.text(0.01, 1 - 0.08 / high, title, va="top", fontsize=10)
    return figure


def grid_figure(maps: Maps) -> PanelFigure:
    """Every head of every layer as a small matrix; each has a scale of its own, so that patterns show."""
    layers, heads = maps.weights.shape[:2]
    cell = (WIDE - 0.6) / max(heads, 6)
    figure = PanelFigure(WIDE, layers * cell + 0.75)
    with style.styled(), plain_text():
        axes = figure.subplots(layers, heads, squeeze=False)
        high = figure.get_figheight()
        right, top = (0.55 + heads * cell) / WIDE, 1 - 0.62 / high
        figure.subplots_adjust(0.55 / WIDE, 0.08 / high, right, top, 0.08, 0.08)
        for (layer, head), ax in np.ndenumerate(axes):
            values = maps.weights[layer, head]
            _matrix(ax, values, float(values.max()))
            ax.set(xticks=[], yticks=[])
            if layer == 0:
                ax.set_title(str(head), fontsize=9, pad=3, loc="center")
            if head == 0:
                ax.set_ylabel(str(maps.layers[layer]), fontsize=9, rotation=0, ha="right", va="center")
        title = f"{heading(maps)}: heads across, layers down; each matrix has a scale of its own"
        figure.text(0.01, 1 - 0.08 / high, title, va="top", fontsize=10)
    return figure


def heading(maps: Maps) -> str:
    """What is shown, in words."""
    where = "" if maps.stack == "joint" else f", {maps.stack} stack"
    what = "everything at everything" if maps.direction == "joint" else maps.direction
    return f"Attention, {what}{where}"


def _matrix(ax: Axes, values: np.ndarray, top: float) -> Any:
    import seaborn  # noqa: F401  # brings its colour maps

    mesh = ax.imshow(
        values, cmap=style.SEQUENTIAL, vmin=0.0, vmax=max(top, 1e-9), aspect="auto", interpolation="nearest"
    )
    for side in ax.spines.values():
        side.set(visible=True, color="#c0c0c0", linewidth=0.6)
    return mesh


def _names(axis: Any, names: Sequence[str], room: float) -> None:
    """Names at the rim of the grid, as many as there is room for (inches); inside they would only repeat."""
    step = max(1, math.ceil(len(names) * LINE / room))
    axis.set_ticks(range(0, len(names), step), [short(name, LETTERS) for name in names[::step]])
    axis.set_tick_params(length=0, pad=2, labelsize=6.5)


def short(name: str, most: int | None) -> str:
    """A name of at most so many letters; None: as it is."""
    return name if most is None or len(name) <= most else f"{name[: most - 1]}…"


def _scale(figure: PanelFigure, mesh: Any) -> None:
    high = figure.get_figheight()
    bar = figure.colorbar(mesh, cax=figure.add_axes((1 - 0.52 / WIDE, 0.9 / high, 0.012, 1 - 1.45 / high)))
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2, labelsize=7)
    bar.set_label("attention weight", fontsize=7.5)


def small_png(figure: PanelFigure) -> bytes:
    """The figure as PNG of few colours: about half the size, for a notebook that keeps it."""
    from PIL import Image

    buffer = BytesIO()
    Image.open(BytesIO(png(figure))).convert("RGB").quantize(COLOURS).save(
        buffer, format="png", optimize=True
    )
    return buffer.getvalue()
