"""What panels of one example share: a model with data or a single trace, and one or several heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from ipywidgets import Dropdown, IntSlider, Layout, SelectMultiple

from value_nb import quality_gate
from value_nb.widgets.shell import Shell
from value_nb.widgets.state import State, pairs
from value_nb.widgets.traced import MEAN, places
from value_nb.widgets.traces import Heads, ModelTraces, Source, source_of

if TYPE_CHECKING:
    from value_nb.data.example import Example
    from value_nb.models.base import VLModel
    from value_nb.trace import Trace


class ExamplePanel(Shell):
    """Shows one example at a time in the controls "example", "direction", "layer" and "head".

    A subclass calls `_open` first, makes its `controls` with those of `_place_controls` among them, calls
    `_begin`, and then `Shell.__init__`.

    Attributes
    ----------
    example
        Index of the example in `data`; there is no such control for one trace.
    direction
        "text->image" and so on; with the stack after a comma where two stacks have the direction.
    layer
        1-based.
    head
        0-based, a tuple of several, or "mean".
    """

    example = State("Index of the example in the data.")
    direction = State("Who looks at whom: 'query->key'.")
    layer = State("1-based layer.")

    most_heads: ClassVar[int | None] = None
    """At most so many heads are chosen together; None: any number."""

    def _open(self, model: VLModel | Trace, data: Sequence[Example] | None) -> None:
        """Where traces come from; nothing is drawn until `Shell.__init__`."""
        self._drawing = False
        self.model, self.data = model, data
        self._source = source_of(model, data)
        self._places = places(cast("VLModel", self._source))  # reads `directions` alone

    def _place_controls(self) -> dict[str, Any]:
        count = len(self._source)
        example = {"example": IntSlider(max=count - 1, description="example")} if count > 1 else {}
        return {
            **example,
            "direction": Dropdown(options=list(self._places), description="direction"),
            "layer": IntSlider(min=1, max=1, description="layer"),
            "head": SelectMultiple(
                options=[MEAN], value=(MEAN,), rows=3, description="head", layout=Layout(width="150px")
            ),
        }

    def _begin(
        self, direction: str | None, layer: int | None, head: int | str | Sequence[int], example: int
    ) -> None:
        """Set what to start with; None: the first direction that fits, and the last layer."""
        if example or "example" in self.controls:
            self.example = example
        self.direction = self._first_direction() if direction is None else direction
        self._fit_layers()
        self.layer = self.controls["layer"].max if layer is None else layer
        self.head = head

    def _first_direction(self) -> str:
        """What to start with: directions across come first."""
        return next(iter(self._places))

    @property
    def head(self) -> Heads:
        """The chosen head, several of them as a tuple, or "mean" over all."""
        chosen = tuple(self.controls["head"].value)
        return chosen[0] if len(chosen) == 1 else chosen

    @head.setter
    def head(self, value: int | str | Sequence[int]) -> None:
        wanted = [value] if isinstance(value, int | str) else list(value)
        offered = [one for _, one in pairs(self.controls["head"])]
        bad = [one for one in wanted if isinstance(one, bool) or one not in offered]
        most = len(offered) if self.most_heads is None else self.most_heads
        if bad or not wanted or len(wanted) > most or (MEAN in wanted and len(wanted) > 1):
            several = "several heads" if self.most_heads is None else f"at most {most} heads"
            choices = ", ".join(map(repr, offered))
            raise ValueError(f"head={value!r}; expected one of {choices}, or a tuple of {several}")
        self.controls["head"].value = tuple(one for one in offered if one in wanted)

    @property
    def trace(self) -> Trace:
        """Everything that the model did to the present example."""
        return self._source.trace(self._index)

    @property
    def place(self) -> tuple[str, str]:
        """(stack, direction) of the present map."""
        return self._places[self.controls["direction"].value]

    @property
    def _index(self) -> int:
        return int(self.controls["example"].value) if "example" in self.controls else 0

    def _fit_layers(self) -> None:
        """Layers and heads that the stack of this direction has; the present ones stay where they can."""
        stack, direction = self.place
        self.controls["layer"].max = self._source.stacks[stack]
        offered = (MEAN, *range(self._source.heads(stack, direction)))
        control = self.controls["head"]
        if tuple(control.options) != offered:
            kept = tuple(one for one in control.value if one in offered)
            control.options = offered
            control.value = kept or (MEAN,)

    def _fit_heads(self) -> None:
        """Something is always chosen, never too many, and the mean stands alone."""
        control = self.controls["head"]
        heads = [one for one in control.value if one != MEAN] or [MEAN]
        control.value = tuple(heads[: self.most_heads])

    def _gate(self, *others: Source) -> str:
        """What a card or a sanity gate holds against the model, or another one that is shown; else ""."""
        models = {id(one.model): one.model for one in (self._source, *others) if isinstance(one, ModelTraces)}
        said = [f"{model.name}: {missed}." for model in models.values() if (missed := _missed(model))]
        return " ".join(dict.fromkeys(said))

    def _origin(self) -> dict[str, str]:
        trace, example = self.trace, self.trace.example
        known = {"model": trace.model, "weights": trace.weights, "data": example.dataset}
        found = {name: value for name, value in {**known, "split": example.split}.items() if value}
        seed = self._source.seed
        seeded = {} if seed is None else {"seed": str(seed)}
        return {**found, "example": example.id, "n": "1", "n_images": "1", **seeded}


def _missed(model: VLModel) -> str:
    """What is wrong with the model in a few words; "" where nothing is, or nothing is known."""
    return quality_gate.short({"gate_met": model.gate_met, "gate": quality_gate.of_model(model)})
