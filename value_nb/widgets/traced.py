"""What panels of single examples share: kept traces, and layers and heads that follow the direction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from value_nb.export import describe_example
from value_nb.widgets.panel import Panel
from value_nb.widgets.traces import ModelTraces

if TYPE_CHECKING:
    from value_nb.data.example import Example
    from value_nb.models.base import VLModel
    from value_nb.trace import Trace

MEAN = "mean"
ORDER = ("text->image", "image->text", "text->text", "image->image")


class TracedPanel(Panel):
    """A panel of one example at a time with the controls "example", "direction", "layer" and "head".

    A subclass calls `_take` first, and sets `controls` and `_places` (see `places`).
    """

    model: VLModel
    data: Sequence[Example]
    _places: dict[str, tuple[str, str]]
    _traces: ModelTraces

    def _take(self, model: VLModel, data: Sequence[Example]) -> None:
        """Set `model` and `data`. ValueError without any example."""
        self.model, self.data = model, data
        self._traces = ModelTraces(model, data, self._check_picture)

    @property
    def trace(self) -> Trace:
        """Everything that the model did to the present example."""
        return self._traces.trace(int(self.controls["example"].value))

    @property
    def place(self) -> tuple[str, str]:
        """(stack, direction) of the present map."""
        return self._places[self.controls["direction"].value]

    def _origin(self) -> dict[str, str]:
        return describe_example(self.trace.example, self.model)

    def _check_picture(self, example: Example) -> None:
        pixels = getattr(self.model, "picture_input", "regions") == "pixels" and example.image is not None
        if (example.regions is None or not len(example.regions)) and not pixels:
            raise ValueError(f"example {example.id!r} has no regions; this panel needs data with pictures")

    def _fit_layers(self, mean: bool = True) -> None:
        """Layers and heads that the stack of this direction has; the present ones stay where they can.

        Parameters
        ----------
        mean
            Offer the mean over heads, too.
        """
        stack, direction = self.place
        self.controls["layer"].max = self.model.stacks[stack]
        offered = [*([MEAN] if mean else []), *range(self.model.heads(stack, direction))]
        control = self.controls["head"]
        if list(control.options) != offered:
            now = control.value
            control.options = offered
            control.value = now if now in offered else offered[0]

    def _title(self) -> str:
        """Layer, stack where there are several, and head in words."""
        stack, direction = self.place
        named = "" if len(self.model.stacks) == 1 else f" of the {stack} stack"
        head = f"head {self.controls['head'].value}"
        if self.controls["head"].value == MEAN:
            head = f"mean over {self.model.heads(stack, direction)} heads"
        return f"Layer {self.controls['layer'].value}{named}, {head}"


def places(model: VLModel) -> dict[str, tuple[str, str]]:
    """What a direction control offers -> (stack, direction); cross-modal ones first."""
    found = [(stack, direction) for stack, names in model.directions.items() for direction in names]
    found.sort(key=lambda place: place[1].split("->")[0] == place[1].split("->")[1])
    names = [direction for _, direction in found]
    return {
        direction if names.count(direction) == 1 else f"{direction}, {stack}": (stack, direction)
        for stack, direction in sorted(found, key=lambda place: ORDER.index(place[1]))
    }
