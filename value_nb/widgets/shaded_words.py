"""A caption whose words are shaded by weights, each with its number below it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from value_nb import style
from value_nb.widgets.picture import INK, rectangle

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

SIZES = (13.5, 12.0, 10.5, 9.5, 8.0, 6.5, 5.0)  # points; the first in which the caption fits
GAP, LINE, TALL = 0.55, 3.4, 1.7  # between words, between lines, height of a word's ground, in letter heights
NUMBER = 0.65  # size of a number, of the words'


class ShadedWords:
    """Words in lines, laid out once; their grounds, numbers and marks change in place.

    Parameters
    ----------
    ax
        Where; its figure must have a renderer. The whole of it is used.
    words
        Of a caption.
    colour
        Of the strongest word's ground.

    Attributes
    ----------
    grounds, numbers, gold
        For each word its ground, its number, and the line under it that marks an annotated link.
    """

    def __init__(self, ax: Axes, words: Sequence[str], colour: str = style.OURS) -> None:
        self.colour = colour
        box = ax.get_window_extent()
        width, height = box.width, box.height
        ax.set(xlim=(0, width), ylim=(height, 0))
        ax.set_axis_off()
        places, size, letter = _lay_out(ax, words, width, height)
        self.words = [_word(ax, word, place, size) for word, place in zip(words, places, strict=True)]
        self.grounds = [_ground(ax, place, letter) for place in places]
        self.numbers = [
            _word(ax, "", (x, y + 1.6 * letter, wide), NUMBER * size, "#505050") for x, y, wide in places
        ]
        self.gold = [
            ax.plot([x - wide / 2, x + wide / 2], [y + TALL / 2 * letter + 2] * 2, color=style.MISMATCHED,
                    linestyle=(0, (2, 1)), linewidth=2.2, zorder=4)[0]
            for x, y, wide in places
        ]  # fmt: skip
        self.frame = rectangle(np.zeros(4), edgecolor=style.PAPER, linewidth=2.2, zorder=5, clip_on=False)
        ax.add_patch(self.frame)

    @property
    def moving(self) -> list[Artist]:
        """What `update` changes."""
        return [*self.grounds, *self.words, *self.numbers, *self.gold, self.frame]

    def update(self, weights: np.ndarray, focus: int, linked: Collection[int] = ()) -> int:
        """Shade the words, each by its share of the largest weight.

        Parameters
        ----------
        weights
            `(word,)`, from 0 upwards.
        focus
            The word that is framed.
        linked
            Words that the annotation links.

        Returns
        -------
        The word with the largest weight.
        """
        from matplotlib.colors import to_rgba

        top = float(weights.max(initial=0.0))
        shares = weights / top if top > 0 else weights
        for index, (weight, share) in enumerate(zip(weights, shares, strict=True)):
            self.grounds[index].set_facecolor(to_rgba(self.colour, float(share)))
            self.words[index].set_color("white" if share > 0.55 else INK)
            self.numbers[index].set_text(_short(float(weight)))
            self.gold[index].set_visible(index in linked)
        self.frame.set_bounds(*self.grounds[focus].get_bbox().bounds)
        return int(np.argmax(weights))


def _lay_out(
    ax: Axes, words: Sequence[str], width: float, height: float
) -> tuple[list[tuple[float, float, float]], float, float]:
    """(middle x, middle y, width) of each word in pixels, the size of type, and the height of a letter."""
    for size in SIZES:
        letter = size / 72 * ax.figure.dpi
        least = 2.6 * NUMBER * letter  # a number such as .123 needs this much
        wide = [max(_width(ax, word, size) + 0.5 * letter, least) for word in words]
        places = _lines(wide, width, letter)
        if not places or places[-1][1] + 2 * letter <= height:
            break
    return places, size, letter


def _lines(wide: Sequence[float], width: float, letter: float) -> list[tuple[float, float, float]]:
    places, x, y = [], 0.0, TALL / 2 * letter + 3
    for one in wide:
        if x and x + one > width:
            x, y = 0.0, y + LINE * letter
        places.append((x + one / 2, y, one))
        x += one + GAP * letter
    return places


def _width(ax: Axes, word: str, size: float) -> float:
    made = ax.text(0, 0, word, fontsize=size)
    found = made.get_window_extent(ax.figure.canvas.get_renderer()).width  # type: ignore[attr-defined]
    made.remove()
    return float(found)


def _word(ax: Axes, word: str, place: tuple[float, float, float], size: float, colour: str = INK) -> Any:
    x, y, _ = place
    return ax.text(x, y, word, ha="center", va="center_baseline", fontsize=size, color=colour, zorder=3)


def _ground(ax: Axes, place: tuple[float, float, float], letter: float) -> Any:
    x, y, wide = place
    tall = TALL * letter
    return ax.add_patch(rectangle(np.array([x - wide / 2, y - tall / 2, wide, tall]), edgecolor="#d8d8d8",
                                  linewidth=0.6, zorder=2))  # fmt: skip


def _short(weight: float) -> str:
    """A weight in three letters or so: ".123"."""
    return f"{weight:.3f}".removeprefix("0") if weight < 1 else f"{weight:.2f}"
