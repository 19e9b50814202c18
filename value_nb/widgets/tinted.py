"""A picture whose regions are tinted by weights: the strongest named, the annotated links marked."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from value_nb import style
from value_nb.widgets import picture

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from value_nb.data.example import Example

STRONGEST = 3  # so many regions are named in the picture


class TintedRegions:
    """Boxes over a picture, made once and then changed in place.

    Parameters
    ----------
    ax
        Where the picture is drawn.
    example
        With regions.

    Attributes
    ----------
    tags
        The names of the strongest regions.
    gold
        One dashed box for each region, visible where it is linked.
    """

    def __init__(self, ax: Axes, example: Example) -> None:
        self.ax, self.example = ax, example
        picture.show_picture(ax, example)
        self.boxes = picture.pixel_boxes(example)
        self.sheen = [picture.rectangle(box, edgecolor="white", zorder=2) for box in self.boxes]
        self.patches = [picture.rectangle(box, zorder=2.1) for box in self.boxes]
        self.gold = [
            picture.rectangle(box, edgecolor=style.MISMATCHED, linestyle="--", linewidth=2.2, zorder=4)
            for box in self.boxes
        ]
        for patch in (*self.sheen, *self.patches, *self.gold):
            ax.add_patch(patch)
        self.tags: list[Any] = []

    @property
    def moving(self) -> list[Artist]:
        """What `update` changes."""
        return [*self.sheen, *self.patches, *self.gold, *self.tags]

    def update(self, weights: np.ndarray, linked: Collection[int] = ()) -> list[int]:
        """Tint the regions with the largest weights, each by its share of the largest.

        Parameters
        ----------
        weights
            `(region,)`, from 0 upwards; where all are 0 none is tinted.
        linked
            Regions that the annotation links.

        Returns
        -------
        The tinted regions, strongest first.
        """
        top = float(weights.max(initial=0.0))
        shares = weights / top if top > 0 else weights
        strongest = [int(i) for i in np.argsort(-weights, kind="stable")[:STRONGEST] if weights[i] > 0]
        for index in range(len(self.boxes)):
            self._dress(index, float(shares[index]), index in strongest, index in linked)
        for tag in self.tags:
            tag.remove()
        boxes = self.boxes
        tags = [picture.Tag(f"r{i}", boxes[i, 0], boxes[i, 1], style.PAPER) for i in strongest]
        self.tags = picture.place_tags(self.ax, tags)
        return strongest

    def _dress(self, index: int, share: float, strong: bool, linked: bool) -> None:
        from matplotlib.colors import to_rgba

        annotated = _sources(self.example)[index] == "annotated"
        shown = strong or annotated
        line = 2.2 if strong else 0.9
        self.sheen[index].set(visible=shown, linewidth=line + 1.6, alpha=0.8)
        self.patches[index].set(visible=shown, linewidth=line, zorder=3 if strong else 2.1)
        self.patches[index].set_edgecolor(style.PAPER if strong else "#303030")
        self.patches[index].set_facecolor(to_rgba(style.PAPER, 0.28 * share) if strong else "none")
        self.gold[index].set_visible(linked)


def _sources(example: Example) -> tuple[str, ...]:
    return () if example.regions is None else example.regions.sources
