"""The explorer as a static figure: picture, caption, map of heads; a second row for what is pinned."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from value_nb import style
from value_nb.explorer.pane import Links, Pane
from value_nb.explorer.selection import Partners, Selection
from value_nb.explorer.view import scale
from value_nb.headmap import draw_head_map
from value_nb.widgets import picture
from value_nb.widgets.panel_figure import PanelFigure
from value_nb.widgets.shaded_words import ShadedWords
from value_nb.widgets.tinted import TintedRegions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from value_nb.data.example import Example
    from value_nb.explorer.measures import HeadMap

WIDTH, FIRST, NEXT = 8.4, 4.7, 3.7  # inches: all rows, the first row, every other one
TITLE_LINE, NOTE_LINE = 118, 58  # characters


def explorer_figure(
    example: Example,
    panes: Sequence[Pane],
    selection: Selection | None,
    found: HeadMap,
    threshold: float,
    links: Links,
) -> PanelFigure:
    """Draw it.

    Parameters
    ----------
    panes
        What is chosen, and what is pinned; the first one's row holds the map.
    threshold
        Weights below it are drawn as 0.
    links
        Annotated links that are marked.
    """
    figure = PanelFigure(WIDTH, FIRST + NEXT * (len(panes) - 1))
    with style.styled(), picture.plain_text():
        top = 1.0
        for number, pane in enumerate(panes):
            tall = (FIRST if number == 0 else NEXT) / figure.get_figheight()
            _draw_pane(figure, (top - tall, tall), example, pane, selection, threshold, links, number == 0)
            top -= tall
        _draw_map(figure, panes, found)
    return figure


def _draw_pane(
    figure: Figure,
    row: tuple[float, float],
    example: Example,
    pane: Pane,
    selection: Selection | None,
    threshold: float,
    links: Links,
    first: bool,
) -> None:
    low, tall = row
    inch = 1 / figure.get_figheight()
    title = "\n".join(textwrap.wrap(pane.title, TITLE_LINE))
    figure.text(0.006, low + tall - 0.1 * inch, title, fontsize=10, va="top")
    weights = {kind: _kept(pane.partners.get(kind), threshold) for kind in ("word", "region")}
    pictured = example.regions is not None and len(example.regions) > 0
    if pictured:
        ax = figure.add_axes((0.006, low + 0.12 * inch, 0.45, tall - 0.62 * inch))
        _draw_regions(ax, example, weights["region"], selection, links)
    left = 0.48 if pictured else 0.02
    height = 1.75 * inch if first else tall - 0.9 * inch
    words = figure.add_axes((left, low + tall - 0.5 * inch - height, 0.99 - left, height))
    _draw_words(words, example, weights["word"], selection, links)
    listed = [
        f"{token} {weight:.3f}"
        for one in pane.specials
        for token, weight in zip(one.labels, one.weights, strict=True)
    ]
    if threshold > 0:
        listed.append(f"weights below {threshold:g} are not shown")
    said = "   ".join(listed)
    figure.text(left, words.get_position().y0 - 0.03 * inch, said, fontsize=8.5, color="#505050", va="top")


def _kept(found: Partners | None, threshold: float) -> np.ndarray | None:
    return None if found is None else np.where(found.weights >= threshold, found.weights, 0.0)


def _draw_regions(
    ax: Axes, example: Example, weights: np.ndarray | None, selection: Selection | None, links: Links
) -> None:
    tinted = TintedRegions(ax, example)
    ax.set_anchor("N")
    count = 0 if example.regions is None else len(example.regions)
    tinted.update(np.zeros(count) if weights is None else weights, links.regions)
    if selection is not None and selection.kind == "region":
        box = tinted.boxes[selection.index]
        ax.add_patch(picture.rectangle(box, edgecolor=style.OURS, linewidth=3.5, zorder=5))


def _draw_words(
    ax: Axes, example: Example, weights: np.ndarray | None, selection: Selection | None, links: Links
) -> None:
    words = ShadedWords(ax, example.words)
    chosen = selection.index if selection is not None and selection.kind == "word" else 0
    words.update(np.zeros(len(example.words)) if weights is None else weights, chosen, links.words)
    words.frame.set_visible(selection is not None and selection.kind == "word")
    if weights is None:
        for one in words.numbers:
            one.set_visible(False)


def _draw_map(figure: Figure, panes: Sequence[Pane], found: HeadMap) -> None:
    """The map under the first caption."""
    inch = 1 / figure.get_figheight()
    low = 1.0 - (FIRST - 0.5) * inch
    title = "\n".join(textwrap.wrap(found.title, NOTE_LINE))
    if found.table is None:
        why = "\n".join(textwrap.wrap(f"not defined: {found.reason}", NOTE_LINE))
        figure.text(0.53, low + 1.6 * inch, f"{title}\n{why}", fontsize=9, va="top", color="#404040")
        return
    ax = figure.add_axes((0.53, low, 0.38, 1.4 * inch))
    mesh = draw_head_map(ax, found.table, *scale(found))
    ax.set_xlabel("layer", fontsize=8.5, labelpad=2)
    ax.set_ylabel("head", fontsize=8.5, labelpad=2)
    ax.tick_params(labelsize=8)
    ax.set_title(title, fontsize=9, pad=4)
    bar = figure.colorbar(mesh, cax=figure.add_axes((0.925, low, 0.012, 1.4 * inch)))
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2, labelsize=7.5)
    for number, pane in enumerate(panes):
        layer, heads = pane.cell or (0, ())
        for head in heads:
            box = np.array([layer - 0.5, head - 0.5, 1.0, 1.0])
            how = {"edgecolor": style.OURS, "linestyle": "--"} if number else {"edgecolor": style.PAPER}
            ax.add_patch(picture.rectangle(box, linewidth=2.2, zorder=5, clip_on=False, **how))
