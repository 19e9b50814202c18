"""From collected features to the rows of a classifier probe's result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from value_nb import stats
from value_nb.probes.description_length import choose_C_for_code, online_code, sending_order
from value_nb.probes.linear import Fit, choose_fits, fit_many, in_parallel
from value_nb.probes.task import NotDefined, Task
from value_nb.progress import bar

if TYPE_CHECKING:
    from value_nb.probes.features import FeatureStore
    from value_nb.probes.items import ItemTable
    from value_nb.probes.linear import Features, Source
    from value_nb.probes.views import View

Layer = tuple[str | None, int | None]
NOWHERE: Layer = (None, None)  # of what belongs to no layer, or to all of them
NO_ITEM = "no item of the split counts here"
Row = dict[str, Any]


class Reporter:
    """Fits linear probes on what was collected and writes down how they do.

    Parameters
    ----------
    table, store
        The items and their features.
    seed, replicates
        Of the intervals, the control task and the online code.
    grid, n_jobs
        Values of C to choose from; fits at the same time.
    progress
        Show a bar while fits are made.
    """

    def __init__(
        self,
        table: ItemTable,
        store: FeatureStore,
        seed: int,
        replicates: int,
        grid: Sequence[float],
        n_jobs: int,
        progress: bool = False,
    ) -> None:
        self.table, self.store, self.seed, self.replicates = table, store, seed, replicates
        self.grid, self.n_jobs, self.progress = grid, n_jobs, progress

    def task_rows(self) -> Iterator[Row]:
        """Majority, and how many types recur."""
        if not len(self.table):
            raise ValueError(
                "no items came: no example has anything to ask. Captions and pictures that were swapped lose "
                "the links of their phrases; such a probe leaves 'mismatched' out of its controls"
            )
        task = self.table.task(self.table.ids)
        yield from self._scores("majority_accuracy", task.majority(), task, NOWHERE, "majority")
        if task.types is not None:
            share, test = task.recurrence(), task.rows("test")
            yield _where(NOWHERE, "control task") | {
                "measure": "type_recurrence", "value": share, "n": len(np.unique(task.types[test])),
                "n_images": len(np.unique(task.images[test])), "unit": "fraction",
            }  # fmt: skip

    def view_rows(self, view: View, description_length: bool) -> Iterator[Row]:
        """A view at every layer with its control task; its sides alone at the best layer."""
        layers = self._layers(view)
        if not layers:
            return
        ids = self._ids(view, layers[0])
        task = self.table.task(ids)
        places = layers if view.per_layer else [NOWHERE]
        train = task.rows("train")
        sources = {
            at: self._source(view, view.parts, layers if at == NOWHERE else [at], ids, train) for at in places
        }
        tried = _first_middle_last(places)
        some = [sources[at] for at in tried]
        control = _control(task, self.seed)
        tasks = [task, control] if isinstance(control, Task) else [task]
        jobs = len(some) * (len(self.grid) if len(self.grid) > 1 else 0) + len(places)
        with self._bar(view.name, jobs * (2 if description_length else 1)) as moved:
            C, made = choose_fits(some, task, self.grid, self.n_jobs, moved)
            fits = fit_many(sources, tasks, C, self.n_jobs, dict(zip(tried, made, strict=True)), moved)
            codes: list[Row] = []
            if description_length:
                codes += self._description_rows(view.name, sources, some, task, moved)
        for at in places:
            yield from self._fit_rows(view.name, at, task, fits[at])
        yield from codes
        counted = task.scored("val") if task.scored("val").any() else slice(None)
        best = places[int(np.argmax([fits[at][0].val[counted].mean() for at in places]))]
        for part in view.alone:
            source = self._source(view, (part,), layers if best == NOWHERE else [best], ids, train)
            yield from self._single(f"{view.name}: {part} only", best, source, task)

    def baseline_rows(self, name: str, known: Sequence[str]) -> Iterator[Row]:
        """What is known without a model."""
        missing = [one for one in known if not self.table.has(one)]
        if missing:
            raise ValueError(f"baseline {name!r} takes {missing}, and no item has it among what is known")
        ids = self.table.ids
        features = self.table.known(known, ids)
        yield from self._single(name, NOWHERE, lambda: features, self.table.task(ids))

    def _single(self, group: str, at: Layer, source: Source, task: Task) -> Iterator[Row]:
        """One classifier with a C of its own and no control task."""
        with self._bar(group, len(self.grid)) as moved:
            _, (found,) = choose_fits([source], task, self.grid, self.n_jobs, moved)
        yield from self._fit_scores(found, task, at, group)

    def _bar(self, group: str, fits: int) -> Any:
        return bar(label=f"classifiers ({group})", total=fits, progress=self.progress, unit=" fits")

    def _fit_rows(self, group: str, at: Layer, task: Task, fits: list[Fit]) -> Iterator[Row]:
        yield from self._fit_scores(fits[0], task, at, group)
        if len(fits) == 1:
            for measure in ("control_task_accuracy", "selectivity"):
                yield _where(at, group) | not_defined(measure, str(_control(task, self.seed)))
            return
        yield self._mean("control_task_accuracy", fits[1].test, task, at, group)
        counted = task.scored("test")
        if not counted.any():
            yield _where(at, group) | not_defined("selectivity", NO_ITEM)
            return
        images = task.images[task.rows("test")][counted]
        gap = stats.mean_difference(fits[1].test[counted], fits[0].test[counted], images, **self._draws)
        yield _row("selectivity", gap, len(images), at, group)

    def _description_rows(
        self, group: str, sources: dict[Layer, Source], some: Sequence[Source], task: Task, moved: Any
    ) -> Iterator[Row]:
        C = choose_C_for_code(some, task, self.grid, self.n_jobs, moved)
        train = task.rows("train")
        train = train[sending_order(task.images[train], self.seed)]
        labels, uniform = task.labels[train], np.full(len(train), np.log2(len(task.classes)))

        def code(source: Source) -> np.ndarray:
            return online_code(source()[train], labels, C)

        jobs = [partial(code, source) for source in sources.values()]
        for at, bits in zip(sources, in_parallel(jobs, self.n_jobs, moved), strict=True):
            length = stats.mean_interval(bits, task.images[train], **self._draws)
            yield _row("description_length", length, len(train), at, group, "bits per label", "train")
            ids, total, _ = stats.image_sums(np.stack([uniform, bits], axis=1), task.images[train])
            ratio = stats.ratio_interval(total[:, 0], total[:, 1], ids, **self._draws)
            yield _row("compression", ratio, len(train), at, group, "ratio", "train")

    @property
    def _draws(self) -> dict[str, int]:
        return {"seed": self.seed, "replicates": self.replicates}

    def _fit_scores(self, fit: Fit, task: Task, at: Layer, group: str) -> Iterator[Row]:
        yield from self._scores("accuracy", fit.test, task, at, group)
        yield self._mean("validation_accuracy", fit.val, task, at, group, split="val")

    def _scores(self, measure: str, right: np.ndarray, task: Task, at: Layer, group: str) -> Iterator[Row]:
        """On test: of what counts, of each subset of it, and of what is scored apart."""
        yield self._mean(measure, right, task, at, group)
        rows, counted = task.rows("test"), task.scored("test")
        if task.subsets is not None:
            for subset in sorted(set(task.subsets[rows].tolist()) - {""}):
                inside = counted & (task.subsets[rows] == subset)
                yield self._mean_over(inside, measure, right, task, at, f"{group}, {subset}")
        if task.apart is not None:
            for name in sorted(set(task.apart[rows].tolist()) - {""}):
                yield self._mean_over(task.scored("test", name), f"accuracy_{name}", right, task, at, group)

    def _mean(
        self,
        measure: str,
        right: np.ndarray,
        task: Task,
        at: Layer = NOWHERE,
        group: str = "",
        split: str = "test",
    ) -> Row:
        return self._mean_over(task.scored(split), measure, right, task, at, group, split)

    def _mean_over(
        self,
        counted: np.ndarray,
        measure: str,
        right: np.ndarray,
        task: Task,
        at: Layer,
        group: str,
        split: str = "test",
    ) -> Row:
        """The mean over those items of a split that are counted."""
        if not counted.any():
            return _where(at, group, split) | not_defined(measure, NO_ITEM)
        images = task.images[task.rows(split)][counted]
        interval = stats.mean_interval(right[counted], images, **self._draws)
        return _row(measure, interval, len(images), at, group, split=split)

    def _layers(self, view: View) -> list[Layer]:
        """Stacks and layers that the view has features of, in order of arrival."""
        keys: list[Any] = self.store.keys
        return list(dict.fromkeys((stack, layer) for name, stack, layer, _ in keys if name == view.name))

    def _ids(self, view: View, at: Layer) -> np.ndarray:
        """Items of which all parts of the view are there."""
        ids = self.table.ids
        for part in view.parts:
            ids = np.intersect1d(ids, self.store.ids((view.name, *at, part)), assume_unique=True)
        return ids

    def _source(
        self,
        view: View,
        parts: Sequence[str],
        layers: Sequence[Layer],
        ids: np.ndarray,
        train: np.ndarray,
    ) -> Callable[[], Features]:
        def source() -> Features:
            blocks = [
                _aligned(*self.store.read((view.name, *at, part)), ids) for at in layers for part in parts
            ]
            return view.combine(blocks, train)

        return source


def _first_middle_last(places: Sequence[Layer]) -> list[Layer]:
    return [places[k] for k in sorted({0, len(places) // 2, len(places) - 1})]


def _aligned(have: np.ndarray, values: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Rows of the wanted ids; both lists of ids ascend."""
    return values if len(have) == len(ids) else values[np.searchsorted(have, ids)]


def not_defined(measure: str, note: str) -> Row:
    """The part of a row that says that a measure has no value, and in the column `note` why."""
    return {
        "measure": measure, "value": np.nan, "n": 0, "n_images": 0, "unit": "not defined", "note": note
    }  # fmt: skip


def _control(task: Task, seed: int) -> Task | NotDefined:
    """The control task, or why there is none."""
    try:
        return task.control(seed)
    except NotDefined as problem:
        return problem


def _where(at: Layer, group: str, split: str = "test") -> Row:
    return {"stack": at[0], "layer": at[1], "group": group, "split": split}


def _row(
    measure: str,
    interval: stats.Interval,
    n: int,
    at: Layer,
    group: str,
    unit: str = "fraction",
    split: str = "test",
) -> Row:
    return _where(at, group, split) | {
        "measure": measure, "value": float(interval.value), "lo": float(interval.lo),
        "hi": float(interval.hi), "n": n, "n_images": int(interval.n_images), "unit": unit,
    }  # fmt: skip
