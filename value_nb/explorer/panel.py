"""The central panel: a picture, its caption and a map of heads that answer each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from ipywidgets import (
    Button,
    Checkbox,
    Dropdown,
    HBox,
    Layout,
    SelectionSlider,
    VBox,
)

from value_nb.explorer import aloud
from value_nb.explorer.measures import OF_EXAMPLE, HeadMap, Measure, of_results
from value_nb.explorer.pane import Links, Pane, links_of
from value_nb.explorer.pinned import Pinned, check_place, place_for
from value_nb.explorer.scene import labels, scene
from value_nb.explorer.selection import (
    KINDS,
    STREAM,
    Partners,
    Selection,
    block_of,
    partners,
    specials,
)
from value_nb.explorer.twin import explorer_figure
from value_nb.explorer.view import ExplorerView, head_map_message, pane_message, state_message
from value_nb.models.gates import key_of, query_of
from value_nb.widgets.attention import first_linked
from value_nb.widgets.example_panel import ExamplePanel
from value_nb.widgets.state import State
from value_nb.widgets.traced import MEAN
from value_nb.widgets.traces import Source, source_of

if TYPE_CHECKING:
    from value_nb.data.example import Example
    from value_nb.models.base import VLModel
    from value_nb.result import Result
    from value_nb.trace import Trace
    from value_nb.widgets.panel_figure import PanelFigure

THRESHOLDS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)


class Explorer(ExamplePanel):
    """Words, regions and heads of one example at a time: choose one of them and see the others answer.

    Choose a word: regions light up by the attention that it gives them, and words by what it gives to words;
    the switch turns it round to what the word receives. Choose a region: words are shaded, and other regions
    light up; click again for the region underneath. Choose a cell of the map: that head; with Ctrl or Shift
    several heads of a layer, whose mean is shown. Tab goes from words to regions to the map, arrow keys walk
    inside, Enter or the space bar chooses, Escape lets go. Weights are raw attention, pooled to words and
    regions; [CLS] and [SEP] are shown where `specials` is on. A second head or model can be pinned beside
    the chosen one.

    In a single-stream model one head holds all four blocks, and words and regions are shown together. In a
    two-stream model the head belongs to the direction alone; blocks within a modality are then those of the
    layer's own self-attention, head of the same number.

    Parameters
    ----------
    model, data
        A model and examples; or a single trace in place of both.
    results
        What sweeps of this model found: each measure with numbers of single heads is offered for the map.
    direction, layer, head, example, measure
        To start with; by default "text->image" where there is one, the last layer, the mean over heads, the
        first example and its first measure that is defined.

    Attributes
    ----------
    example
        Index of the example in `data`; an explorer of one trace has none.
    direction
        The block that the map is about, "text->image" and so on; it follows the selection.
    layer, head
        1-based; 0-based, a tuple of several, or "mean".
    measure
        What the map shows.
    threshold
        Weights below it are not shown.
    gives
        True: attention that the selection gives; False: that it receives.
    links
        Whether annotated links are marked.
    specials
        Whether [CLS], [SEP] and their like are shown; they can be looked at, not chosen.
    selection
        What is chosen: kind, index and label, or None; set it to ("word", 3), ("region", 1) or None.
    pinned
        What is pinned, or None.

    Raises
    ------
    ValueError
        For no data, a result without heads, or a value that is not among the choices.
    """

    measure = State("What the map of heads shows.")
    threshold = State("Weights below it are not shown.")
    links = State("Whether annotated links are marked.")
    specials = State("Whether [CLS], [SEP] and their like are shown.")
    gives = State("True: attention that the selection gives; False: that it receives.")

    def __init__(
        self,
        model: VLModel | Trace,
        data: Sequence[Example] | None = None,
        results: Result | Mapping[str, Result] | Iterable[Result] | None = None,
        direction: str | None = None,
        layer: int | None = None,
        head: int | str | Sequence[int] = MEAN,
        example: int = 0,
        measure: str | None = None,
    ) -> None:
        self._open(model, data)
        self._measures: dict[str, Measure] = {
            **({} if results is None else of_results(results)),
            **OF_EXAMPLE,
        }
        self._maps: dict[tuple[Any, ...], HeadMap] = {}
        self._sent: tuple[Any, ...] = ()
        self._selection: Selection | None = None
        self._pin: tuple[Source, Pinned] | None = None
        self.controls = self._new_controls()
        self._begin(direction, layer, head, example)
        self.measure = self._first_measure() if measure is None else measure
        self._select_first()
        self.view = ExplorerView()
        self.view.on_msg(self._heard)
        first = ["example"] if "example" in self.controls else []
        rows = (
            [*first, "layer", "head"],
            ["direction", "measure"],
            ["gives", "threshold", "links", "specials"],
        )
        super().__init__(self.controls, rows, VBox([self._pin_row(), self.view]))

    def _new_controls(self) -> dict[str, Any]:
        wide = Layout(width="380px", max_width="100%")
        return {
            **self._place_controls(),
            "measure": Dropdown(options=list(self._measures), description="map shows", layout=wide),
            "gives": Dropdown(
                options=[("what it gives", True), ("what it receives", False)],
                description="selection",
                layout=Layout(width="240px"),
            ),
            "threshold": SelectionSlider(
                options=[(f"{one:g}" if one else "none", one) for one in THRESHOLDS],
                value=0.0,
                description="threshold",
            ),
            "links": _switch("annotated links", True, "140px"),
            "specials": _switch("specials", False, "100px"),
        }

    def _pin_row(self) -> HBox:
        """Buttons to put the present head beside what follows, and to take it away."""
        pin = Button(description="Pin this head", tooltip="Keep this head beside the one chosen next")
        unpin = Button(description="Unpin", disabled=True, layout=Layout(width="80px"))
        pin.on_click(lambda _: self._try(self.pin))
        unpin.on_click(lambda _: self._try(self.unpin))
        self._unpin_button = unpin
        return HBox([pin, unpin], layout=Layout(flex_flow="row wrap"))

    def _try(self, action: Any) -> None:
        with self._guarded():
            action()

    @property
    def selection(self) -> Selection | None:
        """The chosen word or region; None where nothing is chosen."""
        return self._selection

    @selection.setter
    def selection(self, value: Selection | tuple[str, int] | None) -> None:
        self._choose(value)
        self._redraw()

    @property
    def pinned(self) -> Pinned | None:
        """What is pinned beside the chosen head; None where nothing is."""
        return None if self._pin is None else self._pin[1]

    def pin(
        self,
        head: int | str | Sequence[int] | None = None,
        layer: int | None = None,
        model: VLModel | None = None,
    ) -> Pinned:
        """Put a head beside the chosen one: the same example, the same selection.

        Parameters
        ----------
        head, layer
            By default those chosen now; of another model the mean over heads of the last layer.
        model
            Another model; None is this one.

        Returns
        -------
        What is pinned.

        Raises
        ------
        ValueError
            For a layer or head that the model does not have, a model without this direction, and another
            model beside an explorer of a single trace.
        """
        stack, direction = self.place
        source = self._source
        if model is not None:
            if self.data is None:
                raise ValueError("an explorer of one trace has no examples to run another model on")
            source = source_of(model, self.data)
            stack, direction = place_for(source, direction, stack)
        own = model is None
        chosen: Any = (self.head if own else MEAN) if head is None else head
        chosen = chosen if isinstance(chosen, int | str) else tuple(chosen)
        at: Any = (self.layer if own else source.stacks[stack]) if layer is None else layer
        check_place(source, (stack, direction), at, chosen)
        self._pin = (source, Pinned(source.trace(self._index).named, at, chosen, stack, direction))
        self._redraw()
        return self._pin[1]

    def unpin(self) -> None:
        """Take away what is pinned."""
        self._pin = None
        self._redraw()

    @property
    def head_map(self) -> HeadMap:
        """The map as it is shown: title and table, or the reason why there is none."""
        stack, direction = self.place
        key = (self._index, stack, direction, self.measure)
        if key not in self._maps:
            self._maps[key] = self._measures[self.measure](self.trace, stack, direction)
        return self._maps[key]

    @property
    def weights(self) -> pd.DataFrame:
        """Attention between the selection and everything else, strongest first.

        Columns: model, layer, head, direction, selection, gives, kind ("word" or "region"), index, label,
        weight, even (what an even spread would give), linked (by the annotation). Empty without a selection.
        """
        parts = [
            aloud.weight_rows(pane, self._selection, self.gives, self._links(True)) for pane in self._panes()
        ]
        return pd.concat(parts, ignore_index=True)

    @property
    def table(self) -> pd.DataFrame:
        """The weights; without a selection the map of heads."""
        if self._selection is not None or self.head_map.table is None:
            return self.weights
        heads = self.head_map.table.reset_index()
        return heads.melt("head", var_name="layer", value_name="value").assign(measure=self.measure)

    @property
    def figure(self) -> PanelFigure:
        """Picture, caption and map as a figure of its own."""
        links, example = self._links(self.links), self.trace.example
        return explorer_figure(example, self._panes(), self._selection, self.head_map, self.threshold, links)

    def _links(self, wanted: bool) -> Links:
        return links_of(self.trace.example, self._selection) if wanted else Links()

    def _first_measure(self) -> str:
        """The first measure that is defined here."""
        stack, direction = self.place
        for name, measure in self._measures.items():
            if measure(self.trace, stack, direction).table is not None:
                return name
        return next(iter(self._measures))

    def _select_first(self) -> None:
        """A noun that a region shows, so that there is something to see."""
        self._choose(("word", first_linked(self.trace.example)))

    def _choose(self, value: Selection | tuple[str, int] | None) -> None:
        """Check and take a selection, and turn the direction so that the selection takes part in it."""
        if value is None:
            self._selection = None
            return
        kind, index = (value.kind, value.index) if isinstance(value, Selection) else value
        example = self.trace.example
        names = {"word": list(example.words), "region": labels(example)}
        if kind not in KINDS or isinstance(index, bool) or index not in range(len(names[kind])):
            said = " or ".join(f"({k!r}, 0 to {len(n) - 1})" for k, n in names.items() if n)
            raise ValueError(f"selection={value!r}; expected {said}, or None")
        self._selection = Selection(kind, int(index), names[kind][index])
        with self._together():
            self._turn()

    def _turn(self) -> None:
        """Of two directions across, take the one in which the selection gives, or receives."""
        chosen = self._selection
        query, key = (side(self.place[1]) for side in (query_of, key_of))
        if chosen is None or query == key:
            return
        other = next(kind for kind in KINDS if kind != chosen.kind)
        wanted = (self.place[0], block_of(chosen.kind, other, bool(self.gives)))
        name = next((name for name, place in self._places.items() if place == wanted), None)
        if name is not None and name != self.direction:
            self.controls["direction"].value = name
            self._fit_layers()

    def _follow(self, name: str) -> None:
        if name == "direction":
            self._fit_layers()
            self._fit_gives()
        elif name == "example":
            self._select_first()
        elif name == "gives":
            self._turn()
        elif name == "head":
            self._fit_heads()

    def _fit_gives(self) -> None:
        """Another direction across: the selection now gives where it looks, else it receives."""
        query, key = (side(self.place[1]) for side in (query_of, key_of))
        if self._selection is not None and query != key:
            self.controls["gives"].value = STREAM[self._selection.kind] == query

    def _heard(self, _: Any, content: Any, __: Any) -> None:
        """What a person chose in the view."""
        with self._guarded():
            if "select" in content:
                wanted = content["select"]
                self._choose(None if wanted is None else (str(wanted[0]), int(wanted[1])))
            elif "cell" in content:
                layer, head = content["cell"]
                self._choose_cell(int(layer), int(head), bool(content.get("add")))
            self._redraw()

    def _choose_cell(self, layer: int, head: int, add: bool) -> None:
        """A head of the map; `add`: to those of the same layer, or away from them."""
        with self._together():
            now = [one for one in self.controls["head"].value if one != MEAN]
            if add and layer == self.layer:
                heads = [one for one in now if one != head] if head in now else [*now, head]
            else:
                heads = [head]
            self.layer = layer
            self.head = heads or MEAN

    def _panes(self) -> list[Pane]:
        """What is shown of the chosen head, and of the pinned one."""
        now = Pinned(self.trace.named, int(self.layer), self.head, *self.place)
        found = [self._pane(self._source, now, True)]
        if self._pin is not None:
            source, pinned = self._pin
            found.append(self._pane(source, pinned, source is self._source and pinned.stack == now.stack))
        return found

    def _pane(self, source: Source, where: Pinned, mapped: bool) -> Pane:
        trace = source.trace(self._index)
        partner: dict[str, Partners] = {}
        special: tuple[Partners, ...] = ()
        if self._selection is not None:
            wanted = (trace, where.stack, where.layer, where.head, self._selection, bool(self.gives))
            partner, special = partners(*wanted), specials(*wanted) if self.specials else ()
        several = len(source.stacks) > 1
        title = aloud.title(where, self._selection, bool(self.gives), several)
        heads = (
            () if where.head == MEAN else where.head if isinstance(where.head, tuple) else (int(where.head),)
        )
        return Pane(where, title, partner, (where.layer, heads) if mapped else None, special)

    def _redraw(self) -> None:
        panes, found = self._panes(), self.head_map
        key = (self._index, self.place, self.measure)
        with self.view.hold_sync():
            if self._sent[:1] != key[:1]:
                self.view.scene = scene(self.trace)
            if self._sent != key:
                self.view.heads = head_map_message(found, self.place[0])
            self._sent = key
            self.view.panes = [self._message(pane) for pane in panes]
            heads = () if panes[0].cell is None else panes[0].cell[1]
            self.view.state = state_message(
                self._selection, int(self.layer), heads, float(self.threshold), bool(self.gives), self.links
            )
        self._unpin_button.disabled = self._pin is None
        self._shown(self._say(panes))

    @staticmethod
    def _message(pane: Pane) -> dict[str, Any]:
        cell = None if pane.cell is None else {"layer": pane.cell[0], "heads": list(pane.cell[1])}
        return {**pane_message(pane.title, pane.partners, pane.specials), "cell": cell}

    def _say(self, panes: Sequence[Pane]) -> str:
        """What is seen, in words: for each pane the strongest partners."""
        links = self._links(True)
        parts = [aloud.say(pane, self._selection, links) for pane in panes]
        others = () if self._pin is None else self._pin[:1]
        return " ".join(filter(None, [*parts, self._gate(*others)]))

    def _origin(self) -> dict[str, str]:
        chosen = "nothing" if self._selection is None else f"{self._selection.kind} {self._selection.label}"
        pinned = {} if self.pinned is None else {"pinned": aloud.where(self.pinned, True)}
        return {**super()._origin(), "selection": chosen, **pinned}


def _switch(description: str, value: bool, width: str) -> Checkbox:
    return Checkbox(value=value, description=description, indent=False, layout=Layout(width=width))
