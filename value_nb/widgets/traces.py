"""Where a panel's traces come from: a model and its examples, or one finished trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from value_nb.provenance import seed_of

if TYPE_CHECKING:
    from value_nb.data.example import Example
    from value_nb.models.base import VLModel
    from value_nb.trace import Trace

Heads = int | str | tuple[int, ...]
"""One head, several (their mean, where one number is shown), or "mean" over all."""

KEPT = 16  # traces of so many examples are kept


class OneTrace:
    """A single trace: there is no other example to go to."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self.seed = seed_of(trace.weights, {})
        self.stacks, self.directions = trace.stacks, trace.directions

    def __len__(self) -> int:
        return 1

    def trace(self, index: int) -> Trace:
        """The trace."""
        return self._trace

    def heads(self, stack: str, direction: str) -> int:
        """Heads of a direction, as its first computed map has them."""
        layers = range(1, self.stacks[stack] + 1)
        maps = (self._trace.maps.get((stack, layer), {}) for layer in layers)
        return next((len(one[direction]) for one in maps if direction in one), 1)


class ModelTraces:
    """Traces of a model over examples, made when they are first asked for; the last ones are kept.

    Parameters
    ----------
    model, data
        Whose, and over what. ValueError without any example.
    check
        Called with an example before its first trace; raises where it cannot be shown.
    """

    def __init__(
        self,
        model: VLModel,
        data: Sequence[Example],
        check: Callable[[Example], None] = lambda example: None,
    ) -> None:
        if not len(data):
            raise ValueError("no examples came; check the data set and its limit")
        self.model, self.data = model, data
        self.stacks, self.directions = model.stacks, model.directions
        self.seed = seed_of(model.weights, model.card)
        self._check = check
        self._kept: dict[int, Trace] = {}

    def __len__(self) -> int:
        return len(self.data)

    def trace(self, index: int) -> Trace:
        """The trace of an example. ValueError for an index that the data do not have."""
        if index not in self._kept:
            if not 0 <= index < len(self.data):
                raise ValueError(f"example={index!r}; expected a whole number from 0 to {len(self.data) - 1}")
            example = self.data[index]
            self._check(example)
            while len(self._kept) >= KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[index] = self.model.trace(example)
        return self._kept[index]

    def heads(self, stack: str, direction: str) -> int:
        """Heads of a direction."""
        return self.model.heads(stack, direction)


Source = OneTrace | ModelTraces


def source_of(subject: VLModel | Trace, data: Sequence[Example] | None) -> Source:
    """Tell a trace from a model with data.

    Raises
    ------
    ValueError
        For a trace with data, and a model without.
    """
    from value_nb.trace import Trace

    if isinstance(subject, Trace):
        if data is not None:
            raise ValueError("a trace is of one example: pass the trace alone, or a model and data")
        return OneTrace(subject)
    if data is None:
        raise ValueError(f"{getattr(subject, 'name', subject)!r} came without examples; pass data too")
    return ModelTraces(subject, data)
