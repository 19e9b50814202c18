"""The panel of a flow: which example, direction, layer and heads, and how many lines."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
from ipywidgets import IntSlider, SelectionSlider

from value_nb.flow import aloud, picture
from value_nb.flow.lines import Lines, only, strongest
from value_nb.flow.scene import Scene, boxes_of, scene_of
from value_nb.flow.thumbnails import crops, data_urls
from value_nb.flow.view import SIDES, FlowView, lines_message, scene_message
from value_nb.widgets.example_panel import ExamplePanel
from value_nb.widgets.state import State
from value_nb.widgets.traced import MEAN

if TYPE_CHECKING:
    from value_nb.data.example import Example
    from value_nb.models.base import VLModel
    from value_nb.trace import Trace
    from value_nb.widgets.panel_figure import PanelFigure

MOST, MOST_OFFERED = 24, 120  # lines
LEAST = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
NOTE_LINE = 98  # characters of a line under the figure
SAID = {
    "text->image": "words look at regions",
    "image->text": "regions look at words",
    "text->text": "words look at words",
    "image->image": "regions look at regions",
}


@dataclass(frozen=True, slots=True)
class Now:
    """What the panel shows: the scene, the strongest lines of all, and those of the pinned item alone."""

    trace: Trace
    scene: Scene
    lines: Lines
    shown: Lines


class AttentionFlow(ExamplePanel):
    """Words on one side, regions on the other, and a line for each strong attention weight between them.

    What bertviz's head view is for text, for a picture and a text. In the directions across, words stand on
    the left whichever looks; "text->text" and "image->image" have the same items on both sides, and the left
    one looks. Weights are raw, pooled to words and regions; what goes to [CLS], [SEP] and, in a single-stream
    model, to the other kind is not shown. Only the strongest lines are drawn; the panel says how many of how
    many, and what share of the weight.

    Point at a word or a picture, or go to it with the keyboard, to see its lines and their numbers; a click,
    Enter or the space bar keeps them, Escape lets go.

    Parameters
    ----------
    model, data
        A model and examples; or a single trace in place of both.
    direction, layer, head, example
        To start with; by default "text->image" where there is one, the last layer, the mean over heads, and
        the first example.
    most, least
        At most so many lines, none weaker than this.

    Attributes
    ----------
    example
        Index of the example in `data`; a flow of one trace has none.
    direction
        "text->image" (words look at regions) and so on; with the stack after a comma where two stacks have
        the direction, as in "text->text, cross".
    layer
        1-based.
    head
        0-based, a tuple of several, or "mean".
    most
        The strongest so many lines are drawn.
    least
        No line weaker than this is drawn.
    pinned
        The item whose lines are kept, ("left" or "right", index), or None.

    Raises
    ------
    ValueError
        For no data, or a value that is not among the choices.
    """

    most_heads = len(picture.COLOURS)
    most = State("At most so many lines are drawn.")
    least = State("No line weaker than this is drawn.")

    def __init__(
        self,
        model: VLModel | Trace,
        data: Sequence[Example] | None = None,
        direction: str | None = None,
        layer: int | None = None,
        head: int | str | Sequence[int] = MEAN,
        example: int = 0,
        most: int = MOST,
        least: float = 0.0,
    ) -> None:
        self._open(model, data)
        self._sent: tuple[int, str] | None = None
        self.controls = self._new_controls()
        self._begin(direction, layer, head, example)
        self.most, self.least = most, least
        self.view = FlowView()
        first = ["example"] if "example" in self.controls else []
        rows = ([*first, "direction"], ["layer", "head"], ["most", "least"])
        super().__init__(self.controls, rows, self.view)
        self.view.observe(self._pinned_changed, names="pinned")

    def _new_controls(self) -> dict[str, Any]:
        return {
            **self._place_controls(),
            "most": IntSlider(min=1, max=MOST_OFFERED, value=MOST, description="lines"),
            "least": SelectionSlider(
                options=[(f"{one:g}" if one else "any", one) for one in LEAST],
                value=0.0,
                description="at least",
            ),
        }

    @property
    def pinned(self) -> tuple[str, int] | None:
        """The item whose lines are kept; None: all lines are shown."""
        value = self.view.pinned
        return (value[0], int(value[1])) if value else None

    @pinned.setter
    def pinned(self, value: tuple[str, int] | None) -> None:
        sizes = {side: len(self.view.scene[side]["labels"]) for side in SIDES}
        if value is not None and (value[0] not in SIDES or value[1] not in range(sizes[value[0]])):
            said = " or ".join(f"({side!r}, 0 to {size - 1})" for side, size in sizes.items())
            raise ValueError(f"pinned={value!r}; expected {said}, or None")
        self.view.pinned = [] if value is None else [value[0], int(value[1])]

    @property
    def figure(self) -> PanelFigure:
        """The flow as a figure: the strongest lines, or those of the pinned item."""
        now = self._now()
        thumbs = crops(now.trace.example.image, boxes_of(now.trace))
        note = "\n".join(textwrap.wrap(self._say(now, named=False), NOTE_LINE))
        return picture.flow_figure(now.scene, now.shown, thumbs, self._title(now.trace), note)

    @property
    def table(self) -> pd.DataFrame:
        """The lines of the figure, strongest first: who looks at whom, where, and the weight."""
        now = self._now()
        left, right = now.shown.left, now.shown.right
        ends = [(left, now.scene.left.labels), (right, now.scene.right.labels)]
        (query, who), (key, whom) = ends if now.scene.left.looks else ends[::-1]
        chosen = self.controls["head"].value
        stack, direction = self.place
        columns = {
            "example": now.trace.example.id,
            "stack": stack,
            "direction": direction,
            "layer": self.layer,
            "head": [chosen[head] for head in now.shown.head],
            "query": [who[item] for item in query],
            "key": [whom[item] for item in key],
            "query_index": query,
            "key_index": key,
            "weight": now.shown.weight,
        }
        return pd.DataFrame(columns)

    def _first_direction(self) -> str:
        """The first direction for which this example has both sides."""
        seen = len(boxes_of(self.trace)) > 0
        fits = (name for name, (_, direction) in self._places.items() if seen or "image" not in direction)
        return next(fits, next(iter(self._places)))

    def _follow(self, name: str) -> None:
        if name == "direction":
            self._fit_layers()
        if name == "head":
            self._fit_heads()

    def _now(self) -> Now:
        stack, direction = self.place
        trace, heads = self.trace, self.controls["head"].value
        count = self._source.heads(stack, direction)
        scene = scene_of(trace, stack, direction, self.layer, heads, count)
        lines = strongest(scene.weights, self.most, self.least)
        shown = lines if self.pinned is None else only(scene.weights, lines, *self.pinned)
        return Now(trace, scene, lines, shown)

    def _redraw(self) -> None:
        moved = self._sent != (self._index, self.direction)
        with self.view.hold_sync():
            if moved:
                self.view.pinned = []
            now = self._now()
            if moved:
                self._send_items(now)
            note = aloud.say_drawn(now.lines)
            self.view.lines = lines_message(now.scene, now.lines, picture.COLOURS, note)
        self._shown(self._say(now))

    def _send_items(self, now: Now) -> None:
        """The items of both sides; the pictures only where the example is another one."""
        if self._sent is None or self._sent[0] != self._index:
            boxes = boxes_of(now.trace)
            self.view.thumbs = data_urls(crops(now.trace.example.image, boxes))
        self.view.scene = scene_message(now.scene)
        self._sent = (self._index, self.direction)

    def _pinned_changed(self, _: Any) -> None:
        with self._guarded():
            self._shown(self._say(self._now()))

    def _title(self, trace: Trace) -> str:
        """Model, layer, stack where there are several, and who looks."""
        stack, direction = self.place
        named = "" if len(self._source.stacks) == 1 else f" of the {stack} stack"
        return f"{trace.named}, layer {self.layer}{named}, {direction}: {SAID[direction]}"

    def _say(self, now: Now, named: bool = True) -> str:
        """What is seen: which map, how much of it, and the strongest line."""
        heads = f", {', '.join(now.scene.heads)}."
        parts = [f"{self._title(now.trace)}{heads}"] if named else []
        parts.append(aloud.say_drawn(now.lines))
        if self.pinned is not None:
            parts.append(aloud.say_item(now.scene, *self.pinned, now.shown))
        parts += [aloud.say_strongest(now.scene, now.shown), aloud.say_note(now.trace.example), self._gate()]
        return " ".join(filter(None, parts))
