"""Attention between regions as arrows on the picture: a relation both ways, and what is stronger."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from value_nb import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from value_nb.data.example import Example

FORWARD, BACK, OTHER = style.OURS, style.PAPER, "#303030"
"""Colours: subject looks at object, object looks at subject, any other region at any other."""

OTHERS = 4  # so many of the other pairs are drawn
WIDTHS = (1.6, 7.0)  # points, of no attention and of the most there is
OPACITY = (0.7, 1.0)
BEND = 0.22  # arrows between two regions bend apart, so that both ways are seen
THIN = 1.1
SHEET = 4.2  # inches, width of a figure of its own
NEAREST = 0.24  # of the picture's height: arrows between things on one spot are drawn at least so long


@dataclass(frozen=True, slots=True)
class Arrow:
    """One region looks at another.

    Attributes
    ----------
    query, key
        Who looks, who is looked at: indices of regions.
    weight
        Share of the attention of `query` that goes to `key`, 0 to 1.
    share
        The weight over the largest weight between two different regions of those considered, 0 to 1.
    role
        "forward": from the subject of the chosen relation to its object; "back": from object to subject;
        "other": neither.
    """

    query: int
    key: int
    weight: float
    share: float
    role: str


def arrows(
    weights: np.ndarray,
    related: Collection[tuple[int, int]],
    regions: Collection[int],
    others: int = OTHERS,
) -> list[Arrow]:
    """The arrows of a picture, strongest last, those of the relation after all others.

    Parameters
    ----------
    weights
        `(region, region)`: rows look, columns are looked at.
    related
        (subject, object) of the chosen relation; each gives an arrow either way.
    regions
        Between which other arrows may lie (the annotated ones).
    others
        How many of the strongest other arrows.

    Raises
    ------
    ValueError
        For weights that are not square, or a region that they do not have.
    """
    pairs = {pair for pair in related} | {pair[::-1] for pair in related}
    named = {region for pair in pairs for region in pair} | set(regions)
    if weights.ndim != 2 or weights.shape[0] != weights.shape[1]:
        raise ValueError(f"weights of shape {weights.shape} came; expected (region, region)")
    if named and not (min(named) >= 0 and max(named) < len(weights)):
        raise ValueError(f"regions {sorted(named)} came; expected 0 to {len(weights) - 1}")
    free = [(i, j) for i in regions for j in regions if i != j and (i, j) not in pairs]
    free.sort(key=lambda pair: -weights[pair])
    top = max((float(weights[pair]) for pair in (*free[:1], *pairs)), default=0.0) or 1.0
    chosen = [(pair, "other") for pair in free[:others] if weights[pair] > 0]
    chosen += [(pair, "back") for pair in {pair[::-1] for pair in related} - set(related)]
    chosen += [(pair, "forward") for pair in set(related)]
    order = ("other", "back", "forward")
    chosen.sort(key=lambda one: (order.index(one[1]), weights[one[0]], one[0]))
    return [Arrow(*pair, float(weights[pair]), float(weights[pair]) / top, role) for pair, role in chosen]


def draw_arrows(ax: Axes, example: Example, drawn: Sequence[Arrow]) -> list[Any]:
    """Draw arrows between the centres of regions; returns the artists.

    Width and opacity grow with the weight. Blue: subject to object; orange: back; thin dark: others. An arrow
    bends to the left of where it goes, so two opposite ones lie beside each other. Where two centres nearly
    coincide (a shirt on its wearer), the ends are pulled apart on the line through them.
    """
    from value_nb.widgets import picture  # late: the panels import this module

    boxes = picture.pixel_boxes(example)
    centres, least = boxes[:, :2] + boxes[:, 2:] / 2, NEAREST * (example.size or (1, 1))[1]
    return [ax.add_patch(_patch(*_apart(centres[a.query], centres[a.key], least), a)) for a in drawn]


def _apart(start: np.ndarray, end: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Both ends at least so far from each other about their middle; one above the other if on one spot."""
    gap = float(np.hypot(*(end - start)))
    if gap >= least:
        return start, end
    way = (end - start) / gap if gap > 1e-6 else np.array([0.0, 1.0])
    middle = (start + end) / 2
    return middle - way * least / 2, middle + way * least / 2


def plot_arrows(
    example: Example,
    weights: np.ndarray,
    related: Collection[tuple[int, int]],
    ax: Axes | None = None,
    title: str = "",
    others: int = OTHERS,
) -> Axes:
    """The relation's arrows and the strongest others on a picture, or on a plain sheet where there is none.

    Parameters
    ----------
    weights, related, others
        As in `arrows`; other arrows lie between all regions.
    """
    from value_nb.widgets import picture  # late: the panels import this module

    width, height = example.size or (1, 1)
    with style.styled():
        ax = style.new_axes(SHEET, SHEET * height / width + 0.4) if ax is None else ax
        if example.image is None:
            ax.set(
                xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[], aspect="equal", facecolor="#f4f4f2"
            )
        else:
            picture.show_picture(ax, example)
        names = () if example.regions is None else example.regions.names
        named = {region for pair in related for region in pair}
        for region, box in enumerate(picture.pixel_boxes(example)):
            ax.add_patch(picture.rectangle(box, edgecolor=OTHER, linewidth=0.9))
            if region not in named:
                picture.place_tags(ax, [picture.Tag(f"r{region} {names[region]}", box[0], box[1], OTHER)])
        mark_pairs(ax, example, related)
        draw_arrows(ax, example, arrows(weights, related, range(len(names)), others))
        ax.set_title(title)
    return ax


def mark_pairs(ax: Axes, example: Example, related: Collection[tuple[int, int]]) -> list[Any]:
    """Frame the regions of the relation (subject blue, object orange) and name them; returns the artists."""
    from value_nb.widgets import picture  # late: the panels import this module

    boxes, names = picture.pixel_boxes(example), () if example.regions is None else example.regions.names
    sides = [({s for s, _ in related}, FORWARD, "subject"), ({o for _, o in related}, BACK, "object")]
    made: list[Any] = []
    tags: dict[int, Any] = {}
    letter = 0.022 * (example.size or (1, 1))[1]  # width of one in a tag
    for regions, colour, role in sides:
        for region in sorted(regions):
            box = boxes[region]
            for line, ink in ((4.2, "white"), (2.2, colour)):
                made.append(ax.add_patch(picture.rectangle(box, edgecolor=ink, linewidth=line, zorder=3)))
            said = f"r{region} {names[region]}".rstrip()
            # Beside the box, subject left and object right: the arrows lie inside and above.
            left = box[0] - letter * (len(said) + 1) if role == "subject" else box[0] + box[2]
            tags.setdefault(region, picture.Tag(said, left, box[1] + 4 * letter, colour))
    return [*made, *picture.place_tags(ax, [*tags.values()])]


def _patch(start: np.ndarray, end: np.ndarray, arrow: Arrow) -> Any:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.patheffects import Normal, Stroke

    colour = {"forward": FORWARD, "back": BACK, "other": OTHER}[arrow.role]
    strong = arrow.role != "other"
    line = WIDTHS[0] + arrow.share * (WIDTHS[1] - WIDTHS[0]) if strong else THIN
    patch = FancyArrowPatch(
        tuple(start), tuple(end), connectionstyle=f"arc3,rad={BEND}", arrowstyle="-|>",
        mutation_scale=9 + 1.2 * line, linewidth=line, color=colour, zorder=5 if strong else 4,
        alpha=OPACITY[0] + arrow.share * (OPACITY[1] - OPACITY[0]), shrinkA=1, shrinkB=1, capstyle="butt",
    )  # fmt: skip
    patch.set_path_effects([Stroke(linewidth=line + 1.4, foreground="white", alpha=0.6), Normal()])
    return patch
