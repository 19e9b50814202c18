"""Attention between the regions of a relation: arrows on the picture, and all heads beside it."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from ipywidgets import Dropdown, IntSlider, SelectionSlider

from value_nb import style
from value_nb.export import describe_example
from value_nb.probes.geometry import aspect, distance
from value_nb.reasons import draw_reason
from value_nb.relation_arrows import OTHERS, Arrow, arrows, draw_arrows, mark_pairs
from value_nb.widgets import picture
from value_nb.widgets.panel import Panel
from value_nb.widgets.state import State, offer

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from value_nb.data.example import Example
    from value_nb.models.base import VLModel

MEAN, DIRECTION = "mean", "image->image"
KEPT = 16  # so many pictures' weights are kept
KEY = (
    "blue: subject, and its look at the object; orange: object, and back\n"
    "thin: the strongest between other annotated regions"
)
PICTURE, MAP, SCALE = (0.005, 0.2, 0.52, 0.66), (0.615, 0.2, 0.295, 0.6), (0.92, 0.2, 0.014, 0.6)
REASON = (0.06, 0.1, 0.88, 0.7)
SIZE = (8.4, 4.5)


class RelationPanel(Panel):
    """One relation of one picture: who looks at whom, in the chosen head.

    Left: the picture. A blue arrow goes from the subject of the chosen relation to its object, an orange one
    back; their width and opacity are the attention that goes that way. Thin dark arrows are the strongest
    between other annotated regions. Right: for every head of the stack the attention from subject to object
    (mean over the pairs of this picture that have the relation); an orange frame marks the chosen head.

    Parameters
    ----------
    model
        Any; one without attention between regions gets the reason.
    data
        Examples with relations, for instance some of `load_dataset("mini-vg")`; those without are left out.
    predicate, example, stack, layer, head
        To start with; by default the most frequent predicate, the example whose pair lies furthest apart, the
        last stack, its last layer, the mean over heads.

    Attributes
    ----------
    predicate
        Name of the relation.
    example
        Index of the example in `data`.
    stack
        Whose attention: "joint", or "image" and "cross" of a two-stream model.
    layer
        1-based.
    head
        0-based, or "mean".

    Raises
    ------
    ValueError
        For data without relations, or a value that is not among the choices.
    """

    predicate = State("Name of the relation.")
    example = State("Index of the example in the data.")
    stack = State("The stack whose attention is shown.")
    layer = State("1-based layer.")
    head = State("0-based head, or 'mean'.")

    def __init__(
        self,
        model: VLModel,
        data: Sequence[Example],
        predicate: str | None = None,
        example: int | None = None,
        stack: str | None = None,
        layer: int | None = None,
        head: int | str = MEAN,
    ) -> None:
        self.model, self.data = model, data
        self._having = _by_predicate(data)
        self._stacks = [s for s, there in model.directions.items() if DIRECTION in there]
        self._weights: dict[tuple[int, str], np.ndarray] = {}
        self._drawn: tuple[Any, ...] | None = None
        self._parts: _Parts | None = None
        self.controls = {
            "predicate": Dropdown(options=_named(self._having), description="relation"),
            "example": SelectionSlider(options=[("0", 0)], description="example"),
            "stack": Dropdown(options=self._stacks or [""], description="stack"),
            "layer": IntSlider(min=1, max=1, description="layer"),
            "head": SelectionSlider(options=[MEAN], description="head"),
        }
        if self.reason:
            for control in self.controls.values():
                control.disabled = True
        else:
            self._begin(predicate, example, stack, layer, head)
        rows = (("predicate", "example"), (*(("stack",) if len(self._stacks) > 1 else ()), "layer", "head"))
        super().__init__(self.controls, rows, *SIZE)

    @property
    def reason(self) -> str:
        """Why there is nothing to show; "" when there is."""
        if self._stacks:
            return ""
        return f"{self.model.name} has no attention from region to region ({DIRECTION})"

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """(subject, object) of the present relation in the present picture."""
        found = self.data[self.example].relations
        return list(dict.fromkeys((r.subject, r.object) for r in found if r.predicate == self.predicate))

    @property
    def arrows(self) -> list[Arrow]:
        """What is drawn on the picture, the relation's own arrows last."""
        if self.reason:
            return []
        return arrows(self._chosen(), self.pairs, _annotated(self.data[self.example]), OTHERS)

    @property
    def table(self) -> pd.DataFrame:
        """The arrows as numbers; one cell with the reason where there is nothing."""
        if self.reason:
            return pd.DataFrame({"not defined": [self.reason]})
        labels = _labels(self.data[self.example])
        rows = [(one.role, labels[one.query], labels[one.key], one.weight) for one in self.arrows[::-1]]
        return pd.DataFrame(rows, columns=["arrow", "looks", "is looked at", "weight"])

    @property
    def even(self) -> float:
        """What every position would get of a region's attention if it were spread evenly."""
        self._all_weights()
        return self._even[int(self.example)]

    def _begin(self, predicate: Any, example: Any, stack: Any, layer: Any, head: Any) -> None:
        self._even: dict[int, float] = {}
        if predicate is not None:
            self.predicate = predicate
        self._fit_examples()
        self.example = self._widest() if example is None else example
        self.stack = self._stacks[-1] if stack is None else stack
        self._fit_layers()
        self.layer = self.controls["layer"].max if layer is None else layer
        self.head = head

    def _origin(self) -> dict[str, str]:
        return describe_example(self.data[int(self.example)], self.model)

    def _follow(self, name: str) -> None:
        if name == "predicate":
            self._fit_examples()
        if name == "stack":
            self._fit_layers()

    def _fit_examples(self) -> None:
        offer(self.controls["example"], [(str(i), i) for i in self._having[self.predicate]])

    def _widest(self) -> int:
        """The example of the present relation in which its regions lie furthest apart."""
        light = self.data.without_features() if hasattr(self.data, "without_features") else self.data
        return max(self._having[self.predicate], key=lambda index: _distance(light[index], self.predicate))

    def _fit_layers(self) -> None:
        self.controls["layer"].max = self.model.stacks[self.stack]
        offer(self.controls["head"], [MEAN, *range(self.model.heads(self.stack, DIRECTION))])

    def _all_weights(self) -> np.ndarray:
        """`(layer, head, region, region)` of the present picture and stack."""
        key = (int(self.example), str(self.stack))
        if key not in self._weights:
            while len(self._weights) >= KEPT:
                self._weights.pop(next(iter(self._weights)))
            trace = self.model.trace(self.data[key[0]])
            keys = ("text", "image") if trace.joint else ("image",)
            self._even[key[0]] = 1.0 / sum(len(trace.streams[s].tokens) for s in keys)
            heads = range(self.model.heads(key[1], DIRECTION))
            self._weights[key] = np.array([
                [trace.attention(DIRECTION, layer + 1, head, key[1]).to_numpy()[:, :-1] for head in heads]
                for layer in range(trace.stacks[key[1]])
            ])  # fmt: skip
        return self._weights[key]

    def _chosen(self) -> np.ndarray:
        layer = self._all_weights()[self.layer - 1]
        return layer.mean(axis=0) if self.head == MEAN else layer[self.head]

    def _draw(self, figure: Figure, fresh: bool) -> str:
        if self.reason:
            figure.clear()
            draw_reason(
                figure.add_axes(REASON), f"Attention between regions of {self.model.name}", self.reason
            )
            return f"There is nothing to show: {self.reason}."
        scene = (self.predicate, self.example, self.stack)
        parts = self._parts
        if fresh or parts is None or self._drawn != scene:
            figure.clear()
            parts = _Parts(figure, self.data[self.example], self.pairs, self._heads(), self._map_title())
            if not fresh:
                self._parts, self._drawn, self._background = parts, scene, None
        parts.update(self.arrows, self.layer, self.head, self._title())
        return self._say()

    def _moving(self) -> Sequence[Artist]:
        return () if self._parts is None else self._parts.moving

    def _heads(self) -> np.ndarray:
        """`(layer, head)`: mean weight from subject to object."""
        weights = self._all_weights()
        return np.mean([weights[:, :, s, o] for s, o in self.pairs], axis=0)

    def _map_title(self) -> str:
        where = "" if len(self._stacks) == 1 else f", {self.stack} stack"
        return f"“{self.predicate}”: attention from\nsubject to object, by head{where}"

    def _title(self) -> str:
        where = "" if len(self._stacks) == 1 else f" of the {self.stack} stack"
        return f"Layer {self.layer}{where}, {self._head_name()}"

    def _head_name(self) -> str:
        if self.head != MEAN:
            return f"head {self.head}"
        return f"mean over {self.model.heads(self.stack, DIRECTION)} heads"

    def _say(self) -> str:
        weights, labels = self._chosen(), _labels(self.data[self.example])
        subject, other = max(self.pairs, key=lambda pair: weights[pair])
        row = weights[subject].copy()
        row[subject] = -1.0
        best = int(row.argmax())
        most = f" Of all other regions it looks most at “{labels[best]}” ({row[best]:.3f})."
        most = "" if best == other else most
        return (
            f"{self._title()}: in “{labels[subject]} {self.predicate} {labels[other]}” the subject gives "
            f"{weights[subject, other]:.3f} of its attention to the object and gets "
            f"{weights[other, subject]:.3f} of the object's; spread evenly, every position would get "
            f"{self.even:.3f}.{most}"
        )


class _Parts:
    """What the panel draws into: made once for a picture, relation and stack, then changed in place."""

    def __init__(
        self, figure: Figure, example: Example, pairs: list[tuple[int, int]], heads: np.ndarray, title: str
    ) -> None:
        import seaborn  # noqa: F401  # brings its colour maps

        self.example, self.heads = example, heads
        self.picture, self.map = figure.add_axes(PICTURE), figure.add_axes(MAP)
        picture.show_picture(self.picture, example)
        mark_pairs(self.picture, example, pairs)
        key = f"“{picture.wrapped(example.caption, 66)}”\n{KEY}"
        self.picture.text(
            0.0, -0.025, key, transform=self.picture.transAxes, va="top", fontsize=8.5, color="#404040"
        )
        self.title = self.picture.set_title(" ", fontsize=10)
        self.drawn: list[Any] = []
        self._make_map(figure, title)

    def _make_map(self, figure: Figure, title: str) -> None:
        layers, heads = self.heads.shape
        mesh = self.map.pcolormesh(
            np.arange(layers + 1) + 0.5, np.arange(heads + 1) - 0.5, self.heads.T, cmap=style.SEQUENTIAL,
            vmin=0.0, edgecolors="white", linewidth=0.3,
        )  # fmt: skip
        self.map.set_title(title, fontsize=9.5)
        self.map.set(xlabel="layer", ylabel="head", xticks=range(1, layers + 1), yticks=range(heads))
        self.map.invert_yaxis()
        self.map.tick_params(length=0)
        for side in self.map.spines.values():
            side.set_visible(False)
        bar = figure.colorbar(mesh, cax=figure.add_axes(SCALE))
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=2, labelsize=8)
        self.frame = picture.rectangle(
            np.array([0.5, -0.5, 1, heads]), edgecolor=style.PAPER, linewidth=2.2, zorder=5, clip_on=False
        )
        self.map.add_patch(self.frame)

    @property
    def moving(self) -> list[Artist]:
        """What `update` changes."""
        return [*self.drawn, self.frame, self.title]

    def update(self, drawn: list[Arrow], layer: int, head: int | str, title: str) -> None:
        """Show other arrows, and another chosen cell."""
        before, self.drawn = self.drawn, draw_arrows(self.picture, self.example, drawn)
        for artist in before:
            artist.remove()
        heads = self.heads.shape[1]
        self.frame.set_x(layer - 0.5)
        self.frame.set_y(-0.5 if head == MEAN else int(head) - 0.5)
        self.frame.set_height(heads if head == MEAN else 1)
        self.title.set_text(textwrap.shorten(title, 70))


def _by_predicate(data: Sequence[Example]) -> dict[str, list[int]]:
    """Predicate -> the examples that have it, one for each picture; most frequent first."""
    light = data.without_features() if hasattr(data, "without_features") else data
    having: dict[str, dict[str, int]] = {}
    counts: Counter[str] = Counter()
    for index, example in enumerate(light):
        for predicate in dict.fromkeys(relation.predicate for relation in example.relations):
            first = having.setdefault(predicate, {})
            if example.image_id not in first:
                first[example.image_id] = index
                counts[predicate] += 1
    if not having:
        raise ValueError("no example has a relation; pass data with relations, for instance 'mini-vg'")
    ordered = sorted(having, key=lambda predicate: (-counts[predicate], predicate))
    return {predicate: [*having[predicate].values()] for predicate in ordered}


def _named(having: dict[str, list[int]]) -> list[tuple[str, str]]:
    return [(f"{predicate} ({len(mine)} pictures)", predicate) for predicate, mine in having.items()]


def _distance(example: Example, predicate: str) -> float:
    """Largest distance of the centres of two regions that have the relation."""
    if example.regions is None:
        return 0.0
    boxes, ratio = example.regions.boxes, aspect(example.size)
    found = [r for r in example.relations if r.predicate == predicate]
    return max((distance(boxes, r.subject, r.object, ratio) for r in found), default=0.0)


def _annotated(example: Example) -> list[int]:
    sources = () if example.regions is None else example.regions.sources
    return [k for k, source in enumerate(sources) if source == "annotated"]


def _labels(example: Example) -> list[str]:
    names = () if example.regions is None else example.regions.names
    return [f"r{k} {name}".rstrip() for k, name in enumerate(names)]
