"""Pictures with the boxes that matter: what the annotation links, or what a model looks at."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from value_nb import style
from value_nb.data.grid_boxes import regions_note
from value_nb.widgets.panel import PanelFigure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from value_nb.data.example import Example, Regions

LINKS = ("#0173b2", "#d55e00", "#029e73", "#cc78bc", "#a65628", "#56b4e9", "#7f7f00", "#5b3f95")
"""Colours of linked phrases, one each and then again from the first."""

LINE = 62  # characters of a caption's line
INK = "#202020"


def region_figure(example: Example) -> PanelFigure:
    """Picture, caption and regions of an example, as a figure: the annotation, and what a model gets.

    Left: the boxes that the annotation links to phrases of the caption; box and phrase share a colour.
    Right: every region that is handed to a model, annotated (solid) or found by a detector (dotted).

    Raises
    ------
    ValueError
        For an example without regions.
    """
    _regions(example)
    figure = PanelFigure(8.4, 4.0)
    with style.styled():
        left, right = (
            figure.add_axes(place) for place in ((0.01, 0.17, 0.48, 0.76), (0.51, 0.17, 0.48, 0.76))
        )
        show_picture(left, example)
        show_picture(right, example)
        colours = link_colours(example)
        _draw_links(left, example, colours)
        draw_all(right, example)
        left.set_title("annotated: the caption's phrases and their boxes")
        right.set_title(regions_note(example) or f"the {len(_regions(example))} regions that a model gets")
        figure.add_artist(_coloured_caption(figure, example, colours))
    return figure


@contextmanager
def plain_text() -> Iterator[None]:
    """Text that is made inside shows as it is written: a caption with two dollar signs holds no formula."""
    import matplotlib as mpl

    with mpl.rc_context({"text.parse_math": False}):
        yield


def show_picture(ax: Axes, example: Example) -> None:
    """The picture in pixel coordinates; a grey sheet where its file is not on this machine."""
    width, height = example.size or (1, 1)
    if example.image is not None and example.image.is_file():
        from PIL import Image

        with Image.open(example.image) as picture:
            ax.imshow(
                np.asarray(picture.convert("RGB")), extent=(0, width, height, 0), interpolation="antialiased"
            )
    else:
        ax.set_facecolor("#ececec")
        ax.text(0.5, 0.5, "picture not on this machine", transform=ax.transAxes, ha="center", color="#909090")
    ax.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[], aspect="equal")
    for side in ax.spines.values():
        side.set(visible=True, color="#b0b0b0", linewidth=0.8)


def pixel_boxes(example: Example) -> np.ndarray:
    """`(region, 4)`: x, y, width and height of each region, in pixels of the picture."""
    width, height = example.size or (1, 1)
    corners = np.asarray(_regions(example).boxes, dtype=float) * [width, height, width, height]
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


def draw_all(ax: Axes, example: Example) -> None:
    """Thin boxes of all regions, light around dark so that they show on any ground."""
    for box, source in zip(pixel_boxes(example), _regions(example).sources, strict=True):
        line = "-" if source == "annotated" else ":"
        ax.add_patch(rectangle(box, edgecolor="white", linewidth=2.2, alpha=0.7))
        ax.add_patch(rectangle(box, edgecolor="#1a1a1a", linewidth=1.0, linestyle=line))


def rectangle(box: np.ndarray, **how: Any) -> Any:
    """An empty rectangle from x, y, width, height."""
    from matplotlib.patches import Rectangle

    return Rectangle((box[0], box[1]), box[2], box[3], **{"facecolor": "none", **how})


def wrapped(caption: str, width: int = LINE) -> str:
    """A caption in lines; a final full stop joins its word."""
    return "\n".join(textwrap.wrap(caption.replace(" .", ".").replace(" ,", ","), width))


def link_colours(example: Example) -> dict[str, str]:
    """Coreference chain -> colour, for the chains that have a region."""
    linked = [phrase.chain for phrase in example.phrases if phrase.regions]
    return {chain: LINKS[i % len(LINKS)] for i, chain in enumerate(dict.fromkeys(linked))}


@dataclass(frozen=True, slots=True)
class Tag:
    """A small label at the corner of a box: text, where (x, y in pixels), and its colour."""

    text: str
    x: float
    y: float
    colour: str


def place_tags(ax: Axes, tags: Sequence[Tag]) -> list[Any]:
    """Write labels above their boxes, moved down until none lies on another, inside the picture."""
    right, bottom = max(ax.get_xlim()), max(ax.get_ylim())
    step, taken, made = 0.062 * bottom, list[tuple[float, float, float]](), []
    for tag in sorted(tags, key=lambda tag: (tag.y, tag.x)):
        wide = 0.52 * step * len(tag.text) + 0.3 * step
        x, y = max(0.0, min(tag.x, right - wide)), max(step, tag.y)
        while any(abs(y - other) < step and x < end and start < x + wide for start, end, other in taken):
            y += 0.3 * step
        taken.append((x, x + wide, y))
        made.append(_tag(ax, tag, x, y))
    return made


def _tag(ax: Axes, tag: Tag, x: float, y: float) -> Any:
    ground = {"facecolor": tag.colour, "edgecolor": "white", "linewidth": 0.6, "boxstyle": "square,pad=0.18"}
    return ax.text(x, y, tag.text, va="bottom", ha="left", fontsize=8.5, color="white", zorder=6, bbox=ground)


def _regions(example: Example) -> Regions:
    if example.regions is None or not len(example.regions):
        raise ValueError(f"example {example.id!r} has no regions; choose one with a picture")
    return example.regions


def _draw_links(ax: Axes, example: Example, colours: dict[str, str]) -> None:
    boxes, tags = pixel_boxes(example), list[Tag]()
    for phrase in example.phrases:
        words = " ".join(example.words[i] for i in phrase.words)
        for region in phrase.regions:
            box, colour = boxes[region], colours[phrase.chain]
            ax.add_patch(rectangle(box, edgecolor="white", linewidth=4.2, zorder=3))
            ax.add_patch(rectangle(box, edgecolor=colour, linewidth=2.4, zorder=3.1))
            tags.append(Tag(words, box[0], box[1], colour))
    place_tags(ax, tags)


def _coloured_caption(figure: Figure, example: Example, colours: dict[str, str]) -> Any:
    """The caption under the figure, its linked phrases in their colours."""
    from matplotlib.offsetbox import AnchoredOffsetbox, HPacker, TextArea, VPacker

    lines: list[list[Any]] = [[]]
    length = 0
    for index, word in enumerate(example.words):
        colour = next((colours[p.chain] for p in example.phrases if index in p.words and p.regions), None)
        how = {"color": colour or INK, "size": 12, "weight": "bold" if colour else "normal"}
        if length + len(word) > 76:
            lines.append([])
            length = 0
        lines[-1].append(TextArea(word, textprops=how))
        length += len(word) + 1
    packed: list[Any] = [HPacker(children=line, pad=0, sep=5, align="baseline") for line in lines]
    return AnchoredOffsetbox(
        loc="lower center",
        child=VPacker(children=packed, pad=0, sep=3, align="center"),
        frameon=False,
        bbox_to_anchor=(0.5, 0.01),
        bbox_transform=figure.transFigure,
    )
