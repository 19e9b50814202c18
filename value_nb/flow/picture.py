"""The static twin of a flow: the same items and lines as a figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from value_nb import style
from value_nb.widgets.panel_figure import PanelFigure
from value_nb.widgets.picture import LINKS, plain_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL.Image import Image

    from value_nb.flow.lines import Lines
    from value_nb.flow.scene import Scene, Side

COLOURS = LINKS
"""One for each head that is shown, in order."""

WIDE, ROW = 7.0, 0.28  # inches: the figure, and one row of items
CELL, PICTURE, NAME = 0.62, (0.46, 0.3), 0.13  # inches: a region, its picture, the line of its name
TILE = 0.2  # inches: a patch
ABOVE, NOTE_LINE = 0.72, 0.155  # inches: title and heads; a line of the note
NEAR = 0.05  # inches from the centre of a picture: there a line ends, under the picture
WORD = 1.5  # inches of a side of words
LEAST_THICK, MORE_THICK = 0.6, 3.4  # points: a line, and what the strongest has more
NUMBERED = 8  # lines of one item that get their number


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the items of a side are.

    Attributes
    ----------
    centres
        `(item, 2)`: x and y in inches from the left and the top.
    ends
        `(item,)`: x of the end of its lines, in inches.
    rims
        `(item,)`: x of the side of an item that its lines come to; a number stands beside it.
    cell
        (width, height) of an item in inches; of words, of a row.
    """

    centres: np.ndarray
    ends: np.ndarray
    rims: np.ndarray
    cell: tuple[float, float]


def flow_figure(
    scene: Scene, lines: Lines, thumbs: Sequence[Image] | None, title: str, note: str
) -> PanelFigure:
    """Draw a flow.

    Parameters
    ----------
    lines
        Those to draw; `head` counts in `scene.heads`.
    thumbs
        The regions' pictures; None: grey boxes.
    title, note
        A line above, and lines below.
    """
    high = max(_height(scene.left), _height(scene.right))
    below = NOTE_LINE * (note.count("\n") + 1) + 0.12
    whole = ABOVE + high + below
    figure = PanelFigure(WIDE, whole)
    with style.styled(), plain_text():
        ax = figure.add_axes((0.0, below / whole, 1.0, (high + 0.1) / whole))
        ax.set(xlim=(0, WIDE), ylim=(high, -0.1))
        ax.set_axis_off()
        left = _placed(scene.left, high, "left")
        right = _placed(scene.right, high, "right")
        _draw_lines(ax, lines, left, right)
        for side, placed, name in ((scene.left, left, "left"), (scene.right, right, "right")):
            _draw_items(ax, side, placed, thumbs, name)
        figure.text(0.015, 1 - 0.07 / whole, title, va="top", fontsize=10.5)
        _heads(figure, scene, whole)
        figure.text(0.015, (below - 0.06) / whole, note, va="top", fontsize=8.5, color="#404040")
    return figure


def _cell(side: Side) -> tuple[float, float]:
    """(width, height) of an item in inches."""
    if side.tiled:
        return TILE, TILE
    return (CELL, PICTURE[1] + NAME + 0.05) if side.pictured else (WORD, ROW)


def _height(side: Side) -> float:
    """Inches of a side; every second column of regions stands half a region lower."""
    return (max(1, math.ceil(len(side.labels) / side.columns)) + _shift(side)) * _cell(side)[1]


def _shift(side: Side) -> float:
    """How much lower every second column stands: so a line to it does not run under the first one."""
    return 0.5 if side.columns > 1 and not side.tiled else 0.0


def _placed(side: Side, high: float, name: str) -> Placed:
    """Items row by row, spread over the whole height; patches lie close together."""
    columns, (wide, tall) = side.columns, _cell(side)
    rows, index = math.ceil(len(side.labels) / columns), np.arange(len(side.labels))
    step = tall if side.tiled else high / (max(1, rows) + _shift(side))
    top = (high - rows * tall) / 2 if side.tiled else 0.0
    x0 = 0.1 if name == "left" else WIDE - 0.1 - columns * wide
    x = x0 + (index % columns + 0.5) * wide
    y = top + (index // columns + 0.5 + _shift(side) * (index % columns % 2)) * step
    outward = 1 if name == "left" else -1
    half = outward * (min(wide, PICTURE[0]) if side.pictured else wide) / 2
    ends = x if side.tiled else x + (outward * NEAR if side.pictured else half)
    return Placed(np.stack([x, y], axis=1), ends, x + half, (wide, tall))


def _draw_lines(ax: Axes, lines: Lines, left: Placed, right: Placed) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    top = float(lines.weight.max(initial=0.0)) or 1.0
    over = TILE in (left.cell[0], right.cell[0])  # a line to a patch ends inside the picture
    for place in reversed(range(len(lines))):  # the strongest on top
        a, b, strength = lines.left[place], lines.right[place], lines.weight[place] / top
        (x1, y1), (x2, y2) = (left.ends[a], left.centres[a, 1]), (right.ends[b], right.centres[b, 1])
        bend = 0.45 * (x2 - x1)
        curve = Path([(x1, y1), (x1 + bend, y1), (x2 - bend, y2), (x2, y2)], [1, 4, 4, 4])
        ax.add_patch(
            PathPatch(
                curve,
                facecolor="none",
                edgecolor=COLOURS[int(lines.head[place]) % len(COLOURS)],
                linewidth=LEAST_THICK + MORE_THICK * strength,
                alpha=0.3 + 0.6 * strength,
                zorder=5 if over else 1,
                capstyle="butt",
            )
        )
    _number(ax, lines, left, right)


def _number(ax: Axes, lines: Lines, left: Placed, right: Placed) -> None:
    """Weights at the far end of the lines of a single item."""
    for ours, far, where, shift, align in (
        (lines.left, lines.right, right, -0.05, "right"),
        (lines.right, lines.left, left, 0.05, "left"),
    ):
        if len(lines) and len(set(ours.tolist())) == 1:
            for place in range(min(NUMBERED, len(lines))):
                x, y = where.rims[far[place]] + shift, where.centres[far[place], 1]
                ground = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
                said = f"{lines.weight[place]:.3f}"
                ax.text(x, y, said, ha=align, va="center", fontsize=7.5, zorder=6, bbox=ground)
            return


def _draw_items(ax: Axes, side: Side, placed: Placed, thumbs: Sequence[Image] | None, name: str) -> None:
    align = "right" if name == "left" else "left"
    ax.text(
        placed.rims.max() if name == "left" else placed.centres[:, 0].min() - placed.cell[0] / 2,
        -0.06, side.heading, ha=align, va="bottom", fontsize=8.5, color="#606060",
    )  # fmt: skip
    for index, label in enumerate(side.labels):
        x, y = placed.centres[index]
        if not side.pictured:
            shift = -0.06 if name == "left" else 0.06
            ax.text(placed.rims[index] + shift, y, label, ha=align, va="center", fontsize=9.5)
            continue
        box = (TILE, TILE) if side.tiled else PICTURE
        _thumb(ax, thumbs[index] if thumbs else None, x, y, box)
        if not side.tiled:
            ax.text(
                x, y + box[1] / 2 + 0.02, _short(label), ha="center", va="top", fontsize=6, color="#404040"
            )


def _thumb(ax: Axes, picture: Any, x: float, y: float, box: tuple[float, float]) -> None:
    """The picture at its own proportions inside a box; a grey sheet where there is none."""
    if picture is None:
        from matplotlib.patches import Rectangle

        ax.add_patch(
            Rectangle((x - box[0] / 2, y - box[1] / 2), *box, color="#d4d4d4", linewidth=0, zorder=3)
        )
        return
    scale = min(box[0] / picture.width, box[1] / picture.height)
    wide, high = picture.width * scale, picture.height * scale
    extent = (x - wide / 2, x + wide / 2, y + high / 2, y - high / 2)
    limits = ax.get_xlim(), ax.get_ylim()
    ax.imshow(np.asarray(picture), extent=extent, aspect="auto", zorder=3, interpolation="antialiased")
    ax.set(xlim=limits[0], ylim=limits[1])


def _heads(figure: PanelFigure, scene: Scene, high: float) -> None:
    """Names of the heads in their colours, in one line under the title."""
    from matplotlib.offsetbox import AnchoredOffsetbox, HPacker, TextArea

    names: list[Any] = [
        TextArea(name, textprops={"color": COLOURS[i % len(COLOURS)], "size": 9, "weight": "bold"})
        for i, name in enumerate(scene.heads)
    ]
    figure.add_artist(
        AnchoredOffsetbox(
            loc="upper left",
            child=HPacker(children=names, pad=0, sep=10),
            frameon=False,
            pad=0.0,
            borderpad=0.0,
            bbox_to_anchor=(0.015, 1 - 0.3 / high),
            bbox_transform=figure.transFigure,
        )
    )


def _short(label: str, most: int = 12) -> str:
    return label if len(label) <= most else f"{label[: most - 1]}…"
