"""Sentences longer than a model was trained with: how long that is, and scoring them apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from value_nb import stats
from value_nb.models.runs import Run
from value_nb.probes.linear import Fit, Source, choose_C, fit_many
from value_nb.probes.report import NOWHERE, Layer, Reporter, Row
from value_nb.probes.task import Task

if TYPE_CHECKING:
    from value_nb.models.base import VLModel

MINI = 24
TRAINED = {
    "mini-bert": MINI, "mini-uniter": MINI, "mini-lxmert": MINI, "mini-vilbert": MINI,
    "uniter-base": 62, "lxmert-base": 20,
}  # fmt: skip
"""Longest sentence of pre-training in positions, [CLS] and [SEP] included: the miniature's captions; UNITER's
60 word pieces, LXMERT's `max_seq_length`. Models that are not here: not known."""

BEYOND = "accuracy_beyond_trained_length"
SHARE = "beyond_trained_length"
NOTHING: Row = {
    "value": np.nan, "lo": np.nan, "hi": np.nan, "n": 0, "n_images": 0, "unit": "not defined"
}  # fmt: skip


def trained_length(model: VLModel) -> int | None:
    """Positions of the longest sentence that a model was pre-trained with, specials included.

    None where it is not known: then no sentence is flagged, unless the reader says how long it is.
    """
    return TRAINED.get(Run.parse(model.name.split(" [")[0]).model)


class LengthReporter(Reporter):
    """A reporter that keeps sentences beyond the trained length out of every score, and scores them apart.

    Classifiers are fitted, and C is chosen, on all sentences; what is scored is different. So `accuracy`,
    `validation_accuracy`, the majority and the control task count sentences of trained length alone, and
    `accuracy_beyond_trained_length` the others of the test split, where there are any.

    Parameters
    ----------
    beyond
        `(item,)` bool, in the order of the table's ids: the sentence is longer. None: not known.
    others
        As of `Reporter`.
    """

    def __init__(self, *others: Any, beyond: np.ndarray | None) -> None:
        super().__init__(*others)
        self.known = beyond is not None
        self.beyond = np.zeros(len(self.table), dtype=bool) if beyond is None else beyond

    def task_rows(self) -> Iterator[Row]:
        """Majority and recurrence, and how many test sentences are longer than the trained length."""
        yield from super().task_rows()
        task = self.table.task(self.table.ids)
        yield from self._apart(task.majority(), task, NOWHERE, "majority")
        images = task.images[task.rows("test")]
        row = {"stack": None, "layer": None, "split": "test", "measure": SHARE}
        if not self.known:
            yield row | NOTHING
            return
        flags = self.beyond[task.rows("test")]
        found = stats.mean_interval(flags, images, seed=self.seed, replicates=self.replicates)
        yield row | _numbers(found) | {"n": len(flags)}

    def _mean(
        self,
        measure: str,
        right: np.ndarray,
        task: Task,
        at: Layer = NOWHERE,
        group: str = "",
        split: str = "test",
    ) -> Row:
        rows = task.rows(split)
        return self._scored(measure, right, task, rows, ~self.beyond[rows], at, group, split)

    def _apart(self, right: np.ndarray, task: Task, at: Layer, group: str) -> Iterator[Row]:
        """Accuracy on the longer test sentences; nothing where there are none."""
        rows = task.rows("test")
        if self.beyond[rows].any():
            yield self._scored(BEYOND, right, task, rows, self.beyond[rows], at, group, "test")

    def _scored(
        self,
        measure: str,
        right: np.ndarray,
        task: Task,
        rows: np.ndarray,
        counted: np.ndarray,
        at: Layer,
        group: str,
        split: str,
    ) -> Row:
        place = {"stack": at[0], "layer": at[1], "group": group, "split": split, "measure": measure}
        if not counted.any():
            return place | NOTHING
        found = stats.mean_interval(right[counted], task.images[rows][counted], **self._draws)
        return place | _numbers(found) | {"n": int(counted.sum())}

    def _fit_rows(self, group: str, at: Layer, task: Task, fits: list[Fit]) -> Iterator[Row]:
        for row in super()._fit_rows(group, at, task, fits):
            yield row if row["measure"] != "selectivity" else self._selectivity(row, task, fits)
        yield from self._apart(fits[0].test, task, at, group)

    def _selectivity(self, row: Row, task: Task, fits: list[Fit]) -> Row:
        """The row over sentences of trained length; where it is not defined, as it is."""
        if len(fits) == 1:
            return row
        rows = task.rows("test")
        kept = ~self.beyond[rows]
        if not kept.any():
            return row | NOTHING
        right, control = fits[0].test[kept], fits[1].test[kept]
        gap = stats.mean_difference(control, right, task.images[rows][kept], **self._draws)
        return row | _numbers(gap) | {"n": int(kept.sum())}

    def _single(self, group: str, at: Layer, source: Source, task: Task) -> Iterator[Row]:
        C = choose_C([source], task, self.grid, self.n_jobs)
        (found,) = fit_many({at: source}, [task], C, self.n_jobs)[at]
        yield self._mean("accuracy", found.test, task, at, group)
        yield self._mean("validation_accuracy", found.val, task, at, group, split="val")
        yield from self._apart(found.test, task, at, group)


def _numbers(found: stats.Interval) -> Row:
    return {
        "value": float(found.value), "lo": float(found.lo), "hi": float(found.hi),
        "n_images": int(found.n_images), "unit": "fraction",
    }  # fmt: skip
