"""Classifier probes: a sweep collects features of items layer by layer, linear probes are fitted on them.

A classifier learns on one split, is chosen on another and scored on a third, so it is swept over the
examples of all three in one go; each example says which split it is of:

    data = vnb.load_splits("mini-flickr30k")
    results = vnb.sweep(model, data, [MyProbe()])

Everything that the classifier's own result needs beside it is in that result: the majority, the control
task, one side only. Random weights and mismatched pairs are conditions of the sweep, and go through the same.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from value_nb import stats
from value_nb.probes.base import Needs, Probe
from value_nb.probes.features import LIMIT, FeatureStore
from value_nb.probes.items import Item, ItemTable
from value_nb.probes.linear import GRID
from value_nb.probes.report import Reporter
from value_nb.probes.spans import Placed, place
from value_nb.probes.views import View

if TYPE_CHECKING:
    from collections.abc import Mapping

    from value_nb.controls import Control
    from value_nb.data.example import Example
    from value_nb.layout import LayerBatch, Layout
    from value_nb.models.base import VLModel

Rows = dict[str, Any]


class ClassifierProbe(Probe):
    """Base of the probes that fit linear classifiers: a subclass says what the items are, and the views.

    Measures, each for the groups (views, sides alone, baselines) and layers that it applies to:

    accuracy
        Share of test items that are answered rightly, 0 to 1; higher: the answer can be read off the
        features by a linear map.
    validation_accuracy
        The same on validation. C is chosen by it once for each group, at the first, middle and last layer
        together; the best layer is the one where it is highest.
    majority_accuracy
        Of the most frequent training label.
    control_task_accuracy, selectivity
        Accuracy of the same probe, same C, on a random label for each type of item; accuracy minus that,
        paired. nan with unit "not defined" where `type_recurrence` is below 0.8 or items have no types; the
        column `note` says which.
    type_recurrence
        Share of the types in test that occur in training.
    description_length, compression
        Only with `description_length=True`: bits that a training label takes in the online code, and
        log2(labels) over that (above 1: the features help). Its C is the one with which validation
        labels take the fewest bits.

    Sides alone (`group` "embedding: phrase only") are fitted at the best layer, with a C of their own.

    A subclass whose items vanish when a pair is mismatched (a swap takes the links of phrases away) must
    leave "mismatched" out of its `controls`, or name a control of its own.

    Parameters
    ----------
    description_length
        Also measure description length: about twice the fits.
    grid
        Values of C to choose from.
    limit
        Bytes of features held in memory; beyond, they go to a temporary folder.
    dtype
        "float16" or "float32": how features are held.
    n_jobs
        Fits at the same time; -1: one on each core. Does not change the result.
    """

    controls: ClassVar[frozenset[str]] = frozenset({"random weights", "mismatched"})

    def __init__(
        self,
        description_length: bool = False,
        grid: Sequence[float] = GRID,
        limit: int = LIMIT,
        dtype: str = "float16",
        n_jobs: int = -1,
    ) -> None:
        self.description_length, self.grid = bool(description_length), [float(C) for C in grid]
        self.limit, self.dtype = int(limit), dtype
        self._n_jobs = int(n_jobs)
        self._current: _Batch | None = None
        self._start()

    @abstractmethod
    def items(self, example: Example) -> Sequence[Item]:
        """The questions put to an example; none for an example that has nothing to ask."""

    @abstractmethod
    def views(self) -> Sequence[View]:
        """The kinds of features that classifiers are fitted on."""

    def baselines(self) -> Mapping[str, Sequence[str]]:
        """Name of a baseline -> which of the items' known features it takes, side by side."""
        return {}

    def default_controls(self, seed: int) -> tuple[Control, ...]:
        """One random-weight model, and mismatched pairs; of these, the ones that make sense for it."""
        from value_nb.controls import Mismatched, RandomWeights

        both = RandomWeights((seed,)), Mismatched(seed)
        return tuple(control for control in both if control.name in self.controls)

    def needs(self, model: VLModel) -> Needs:
        """What its views look at."""
        views = [view for view in self.views() if view.stacks(model)]
        return Needs(
            stacks=frozenset().union(*(view.stacks(model) for view in views)),
            hidden=any(view.hidden for view in views),
            attention=frozenset().union(*(view.directions for view in views)),
        )

    def not_defined(self, model: VLModel) -> str | None:
        """A model without a stack that any view can look at."""
        if any(view.stacks(model) for view in self.views()):
            return None
        asked = ", ".join(view.name for view in self.views())
        return f"no stack of {model.name} has what is looked at ({asked}); stacks: {', '.join(model.stacks)}"

    def update(self, batch: LayerBatch) -> None:
        """Take features of the batch's items from one layer."""
        if self._current is None or self._current.layout is not batch.layout:
            self._current = _Batch.of(batch.layout, self, self._table)
        for view in self.views():
            for ids, placed in self._current.groups(view):
                if _looks_at(view, batch):
                    for part, values in view.extract(batch, placed).items():
                        self._store.append((view.name, batch.stack, batch.layer, part), ids, _numpy(values))

    def rows(self, *, replicates: int = stats.REPLICATES) -> list[Rows]:
        """Fit everything: values by group, layer and measure, with intervals over the images of a split."""
        return [*self._rows(replicates)]

    def _rows(self, replicates: int) -> Iterator[Rows]:
        self._current = None
        given = (self._table, self._store, self.seed, replicates, self.grid, self._n_jobs)
        report = Reporter(*given, progress=self.progress)
        yield from report.task_rows()
        for view in self.views():
            yield from report.view_rows(view, self.description_length)
        for name, known in self.baselines().items():
            yield from report.baseline_rows(name, known)

    def _start(self) -> None:
        self._table = ItemTable()
        self._store = FeatureStore(self.limit, self.dtype)
        self._current = None

    def state(self) -> dict[str, Any]:
        """Items and features; the batch at hand goes."""
        return {"_table": self._table, "_store": self._store}

    def _absorb(self, other: Self) -> None:
        self._table.absorb(other._table)
        self._store.absorb(other._store)


class _Batch:
    """The items of one batch and where their sides lie; used for all its layers."""

    def __init__(self, layout: Layout, items: list[Item], rows: list[int], ids: np.ndarray) -> None:
        self.layout, self.items, self.rows, self.ids = layout, items, rows, ids
        self._found: dict[str, list[tuple[np.ndarray, dict[str, Placed]]]] = {}

    @classmethod
    def of(cls, layout: Layout, probe: ClassifierProbe, table: ItemTable) -> _Batch:
        asked = [(item, row) for row, e in enumerate(layout.examples) for item in probe.items(e)]
        ids = table.add((item, layout.examples[row]) for item, row in asked)
        return cls(layout, [item for item, _ in asked], [row for _, row in asked], ids)

    def groups(self, view: View) -> list[tuple[np.ndarray, dict[str, Placed]]]:
        """(ids, side -> positions) of the items, those together that bring the same sides of the view."""
        if view.name not in self._found:
            self._found[view.name] = [*self._place(view)]
        return self._found[view.name]

    def _place(self, view: View) -> Iterator[tuple[np.ndarray, dict[str, Placed]]]:
        wanted = [view.wants(frozenset(item.spans)) for item in self.items]
        for sides in sorted(set(wanted) - {frozenset()}, key=sorted):
            chosen = [k for k, mine in enumerate(wanted) if mine == sides]
            placed = {}
            for side in sorted(sides):
                spans = [self.items[k].spans[side] for k in chosen]
                placed[side] = place(spans, [self.rows[k] for k in chosen], self.layout)
                if placed[side].stream != view.streams[side]:
                    raise ValueError(
                        f"side {side!r} came as a span of the {placed[side].stream}, and {view.name} "
                        f"expects the {view.streams[side]}"
                    )
            yield self.ids[chosen], placed


def _looks_at(view: View, batch: LayerBatch) -> bool:
    """Whether the layer has what the view looks at."""
    if view.hidden:
        return set(view.streams.values()) <= set(batch.hidden)
    return view.directions <= set(batch.attention)


def _numpy(values: Any) -> np.ndarray:
    return values.detach().cpu().numpy()
