"""Attention of one example: words and regions as a map, and the strongest regions in the picture."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ipywidgets import Dropdown, IntSlider, Layout, SelectionSlider

from value_nb import style
from value_nb.data.grid_boxes import regions_note
from value_nb.widgets import picture
from value_nb.widgets.scale import Scale
from value_nb.widgets.state import State, pairs
from value_nb.widgets.tinted import TintedRegions
from value_nb.widgets.traced import MEAN, TracedPanel, places

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from value_nb.data.example import Example
    from value_nb.models.base import VLModel
    from value_nb.trace import Trace

NAMED = 60  # rows or columns of the map that are named; of more, every second or third
KEY_LINE = 50  # characters of a line under the picture
KEY_SIZE, KEY_LEADING = 8.5, 11.3  # points: of its letters, and from line to line
NO_REGION = "No region takes part in this direction."
PICTURE, MAP, SCALE = (0.005, 0.2, 0.375, 0.62), (0.495, 0.215, 0.425, 0.66), (0.93, 0.215, 0.012, 0.66)
SIZE = (8.4, 4.4)  # inches; as wide as JupyterLab leaves beside its file browser on a small screen


@dataclass(frozen=True, slots=True)
class View:
    """One attention map as the panel shows it.

    Attributes
    ----------
    matrix
        Rows are words (regions, for "image->image"), columns are regions (words, for "text->text").
    roles
        Who looks and who is looked at, in words.
    weights
        `(region,)`: attention between the chosen word or region and each region; None without a picture side.
    even
        What each position would get if the softmax were spread evenly.
    sizes
        `(column,)`: how many patches each region covers; None where regions are looked at by their features,
        or are not looked at.
    """

    matrix: pd.DataFrame
    roles: str
    weights: np.ndarray | None
    even: float
    sizes: np.ndarray | None = None


class AttentionPanel(TracedPanel):
    """Picture and attention map of one example at a time.

    Left: the picture; regions are tinted by the attention between them and the chosen word, and the
    strongest are numbered; dashed green is what the annotation links to the word's phrase. Right: the
    map. Its rows are words and its columns regions whichever way the attention goes, so that both ways
    compare; its title says who looks. What goes to [CLS], [SEP] and the other modality is not shown.

    Parameters
    ----------
    model
        Of any kind; one of text alone shows words looking at words, beside a picture that it does not see.
    data
        Examples with regions, for instance from `load_dataset`.
    layer, head, direction, example
        To start with; by default the last layer, the mean over heads, "text->image", and the first example.

    Attributes
    ----------
    example
        Index of the example in `data`.
    direction
        "text->image" (words look at regions) and so on; with the stack after a comma where two stacks have
        the direction, as in "text->text, cross".
    layer
        1-based.
    head
        0-based, or "mean".
    focus
        Index of the chosen word, or region for "image->image".

    Raises
    ------
    ValueError
        For data without pictures, or a value that is not among the choices.
    """

    example = State("Index of the example in the data.")
    direction = State("Who looks at whom: 'query->key'.")
    layer = State("1-based layer.")
    head = State("0-based head, or 'mean'.")
    focus = State("Index of the chosen word, or region for 'image->image'.")

    def __init__(
        self,
        model: VLModel,
        data: Sequence[Example],
        layer: int | None = None,
        head: int | str = MEAN,
        direction: str | None = None,
        example: int = 0,
    ) -> None:
        self._take(model, data)
        self._places = places(model)
        self._drawn: tuple[int, str] | None = None
        first = next((d for d in self._places if d.startswith("text->image")), next(iter(self._places)))
        controls = {
            "example": IntSlider(max=len(data) - 1, description="example"),
            "direction": Dropdown(options=list(self._places), value=first, description="direction"),
            "layer": IntSlider(min=1, max=1, description="layer"),
            "head": SelectionSlider(options=[MEAN], description="head"),
            "focus": Dropdown(options=[("", 0)], description="word", layout=Layout(width="300px")),
        }
        self.controls = controls
        self._traces.trace(example)
        self.example, self.direction = example, first if direction is None else direction
        self._fit_layers()
        self._fit_focus()
        self.layer = controls["layer"].max if layer is None else layer
        self.head = head
        rows = (("example", "direction", "focus"), ("layer", "head"))
        super().__init__(controls, rows, *SIZE)

    @property
    def table(self) -> pd.DataFrame:
        """The map as it is shown, with its labels."""
        return self._view().matrix

    def _follow(self, name: str) -> None:
        if name == "direction":
            self._fit_layers()
        if name in ("example", "direction"):
            self._fit_focus()

    def _fit_focus(self) -> None:
        """Words of this example, or its regions where no word takes part."""
        control, words = self.controls["focus"], self.place[1] != "image->image"
        labels = self.trace.streams["text" if words else "image"].labels
        offered = [(f"{index} {label}" if words else label, index) for index, label in enumerate(labels)]
        if pairs(control) != offered:
            control.options = offered
            control.value = first_linked(self.trace.example) if words else 0
        control.description = "word" if words else "region"

    def _view(self) -> View:
        return look(self.trace, self.place, self.layer, self.head, self.focus)

    def _draw(self, figure: Figure, fresh: bool) -> str:
        view, trace = self._view(), self.trace
        scene = (int(self.example), str(self.direction))
        if fresh or self._drawn != scene:
            figure.clear()
            axes = _Axes(figure, trace.example, view)
            if not fresh:
                self._axes, self._drawn, self._background = axes, scene, None
        else:
            axes = self._axes
        if axes.update(view, int(self.focus), self._title()) and not fresh:
            self._background = None
        return say(trace, view, self.place[1], int(self.focus), self._title())

    def _moving(self) -> Sequence[Artist]:
        return self._axes.moving


def look(trace: Trace, place: tuple[str, str], layer: int, head: int | str, focus: int) -> View:
    """The map of one place as the panel lays it out; see `View`."""
    stack, direction = place
    matrix = trace.attention(direction, layer, head, stack).drop(columns="unassigned")
    query, key = direction.split("->")
    names = {"text": "words", "image": "regions"}
    even = 1.0 / sum(len(trace.streams[s].tokens) for s in (("text", "image") if trace.joint else (key,)))
    roles = f"rows: {names[query]} look; columns: {names[key]} are looked at"
    if direction == "image->text":
        matrix, roles = matrix.T, "columns: regions look; rows: words are looked at"
    weights = None if direction == "text->text" else matrix.to_numpy(float)[focus]
    keys = trace.streams[key]
    sizes = keys.membership.sum(axis=1) if key == "image" and keys.boxes is not None else None
    return View(matrix, roles, weights, even, sizes)


def say(trace: Trace, view: View, direction: str, focus: int, place: str) -> str:
    """The strongest partner of the chosen word or region, and whether the annotation links it."""
    best = int(view.matrix.to_numpy(float)[focus].argmax())
    seen = "" if "image" in trace.streams else f" {trace.model} does not see the picture."
    told = f"{say_strongest(view, direction, focus, place)}{_gold(trace.example, direction, focus, best)}"
    return f"{told}{seen}{say_note(trace.example)}"


def say_strongest(view: View, direction: str, focus: int, place: str) -> str:
    """The strongest partner of the chosen word or region, beside what an even spread would give."""
    row = view.matrix.to_numpy(float)[focus]
    best = int(row.argmax())
    chosen, partner = (f"“{view.matrix.index[focus]}”", f"“{view.matrix.columns[best]}”")
    what = f"{chosen} looks most at {partner}"
    if direction == "image->text":
        what = f"the region that looks most at {chosen} is {partner}"
    even = f"{row[best]:.3f} of its attention; spread evenly, every position would get {view.even:.3f}"
    if view.sizes is not None:
        own = view.even * float(view.sizes[best])
        even = f"{row[best]:.3f} of its attention; spread evenly, a region of its size would get {own:.3f}"
    return f"{place}: {what} ({even})."


def say_note(example: Example) -> str:
    """A sentence where the regions were neither annotated nor detected, else ""."""
    note = regions_note(example)
    return f" Regions here are {note}." if note else ""


def _gold(example: Example, direction: str, focus: int, best: int) -> str:
    """Whether the annotation links the chosen word to that region; "" where the question makes no sense."""
    if direction not in ("text->image", "image->text"):
        return ""
    linked = linked_regions(example, focus)
    if not linked:
        return " The annotation links no region to this word."
    return (
        " The annotation links that region to the word."
        if best in linked
        else " The annotation links another region to the word."
    )


def linked_regions(example: Example, word: int) -> set[int]:
    """The regions of all phrases that the word is part of."""
    return {region for phrase in example.phrases if word in phrase.words for region in phrase.regions}


def first_linked(example: Example) -> int:
    """Last word of the first phrase that a region shows: usually a noun."""
    return next((phrase.last for phrase in example.phrases if phrase.regions), 0)


class _Axes:
    """What the panel draws into: made once for an example and direction, then changed in place."""

    def __init__(self, figure: Figure, example: Example, view: View) -> None:
        import seaborn  # noqa: F401  # brings its colour maps

        self.example, self.figure = example, figure
        self.picture, self.map = figure.add_axes(PICTURE), figure.add_axes(MAP)
        self.regions = TintedRegions(self.picture, example)
        self.picture.set_title(picture.wrapped(example.caption, 48), fontsize=10.5)
        self.key, self.note = self._line_below(), self._line_below()
        self._make_map(view)

    def _line_below(self) -> Any:
        """Text under the picture."""
        return self.picture.annotate(
            "", (0, 0), xycoords="axes fraction", xytext=(0, -4), textcoords="offset points", va="top",
            fontsize=KEY_SIZE, color="#404040", annotation_clip=False,
        )  # fmt: skip

    def _make_map(self, view: View) -> None:
        rows, columns = view.matrix.shape
        self.mesh = self.map.pcolormesh(
            view.matrix.to_numpy(float), cmap=style.SEQUENTIAL, edgecolors="white", linewidth=0.15
        )
        self.map.invert_yaxis()
        size = 8.5 if max(rows, columns) <= 16 else 7.5
        across, down = (slice(None, None, -(-many // NAMED)) for many in (columns, rows))
        names = view.matrix.columns[across]
        self.map.set_xticks(np.arange(columns)[across] + 0.5, names, rotation=90, fontsize=size)
        self.map.set_yticks(np.arange(rows)[down] + 0.5, view.matrix.index[down], fontsize=size)
        self.map.tick_params(length=0, pad=2)
        self.map.set_title(view.roles, fontsize=10)
        self.title = self.map.annotate(
            "", (0, 1), xycoords="axes fraction", xytext=(0, 22), textcoords="offset points", fontsize=10
        )
        for side in self.map.spines.values():
            side.set_visible(False)
        self.scale = Scale(self.figure.add_axes(SCALE))
        self.row = picture.rectangle(
            np.array([0, 0, columns, 1]), edgecolor=style.PAPER, linewidth=2.0, zorder=5, clip_on=False
        )
        self.map.add_patch(self.row)

    @property
    def moving(self) -> list[Artist]:
        """What `update` changes."""
        return [*self.regions.moving, self.note, self.mesh, self.row, self.title, *self.scale.moving]

    def update(self, view: View, focus: int, title: str) -> bool:
        """Show other numbers at the same places; whether what stands still has changed."""
        values = view.matrix.to_numpy(float)
        top = max(float(values.max()), 1e-9)
        self.mesh.set_array(values)
        self.mesh.set_clim(0.0, top)
        self.scale.update(top)
        self.row.set_y(focus)
        self.title.set_text(title)
        before = self.key.get_text()
        self._tint(view, focus)
        return bool(self.key.get_text() != before)

    def _tint(self, view: View, focus: int) -> None:
        weights = np.zeros(len(self.regions.boxes)) if view.weights is None else view.weights
        linked = (
            linked_regions(self.example, focus)
            if "words" in view.roles and view.weights is not None
            else set()
        )
        strongest = self.regions.update(weights, linked)
        named = [f"{label} {weights[i]:.3f}" for i, label in _labels(self.example, strongest)]
        key = [] if view.weights is None else _key(bool(linked), regions_note(self.example))
        self.key.set_text("\n".join(key))
        self.note.set_y(-4 - KEY_LEADING * len(key))
        said = f"orange: {', '.join(named)}" if view.weights is not None else NO_REGION
        self.note.set_text("\n".join(textwrap.wrap(said, KEY_LINE)))


def _key(linked: bool, note: str) -> list[str]:
    """What the boxes in the picture mean, but for the strongest."""
    dashed = ["dashed green: linked to the word by annotation"] if linked else []
    return [*dashed, note or "thin: other annotated regions"]


def _labels(example: Example, chosen: Sequence[int]) -> list[tuple[int, str]]:
    names = () if example.regions is None else example.regions.names
    return [(i, f"r{i} {names[i]}".rstrip()) for i in chosen]
