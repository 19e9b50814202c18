"""The linear probe that all classifier probes share, and its fits on many layers at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np

from value_nb.probes.task import Task

Features = Any
"""`(example, feature)`: an array, float16 or wider, or a sparse matrix of scipy in CSR form."""

Source = Callable[[], Features]
"""Gives features when they are needed, so that one layer's are in memory at a time."""

GRID = (0.001, 0.01, 0.1, 1.0)
MAX_ITER = 1000
Key = TypeVar("Key", bound=Hashable)


class LinearProbe:
    """Standardised features, then multinomial logistic regression with an l2 penalty (scikit-learn's).

    Deterministic: the same rows in the same order give the same weights.

    Parameters
    ----------
    C
        Inverse strength of the penalty; smaller is stricter.
    max_iter
        Most steps of the optimiser.

    Attributes
    ----------
    classes_
        Labels, sorted.
    converged_
        Whether the optimiser was done before `max_iter`.

    Examples
    --------
    >>> states, labels = np.array([[0.0], [1.0], [4.0], [5.0]]), np.array(["low", "low", "high", "high"])
    >>> LinearProbe(C=1.0).fit(states, labels).predict(np.array([[0.5], [6.0]])).tolist()
    ['low', 'high']
    """

    def __init__(self, C: float = 0.1, max_iter: int = MAX_ITER) -> None:
        if not C > 0 or max_iter < 1:
            raise ValueError(f"C={C}, max_iter={max_iter}; expected C above 0 and at least 1 step")
        self.C, self.max_iter = float(C), int(max_iter)

    def fit(self, features: Features, labels: np.ndarray) -> LinearProbe:
        """Learn from `(example, feature)` features, dense or sparse, and `(example,)` labels.

        Raises
        ------
        ValueError
            When all labels are the same.
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        if len(labels) != features.shape[0] or len(np.unique(labels)) < 2:
            raise ValueError(
                f"{len(labels)} labels, {len(np.unique(labels))} different, on {features.shape[0]} rows; "
                "expected one each, and at least two different ones"
            )
        self.scaler_: Any = StandardScaler(with_mean=isinstance(features, np.ndarray))
        self.model_: Any = LogisticRegression(C=self.C, max_iter=self.max_iter)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # converged_ says it
            self.model_.fit(self.scaler_.fit_transform(_wide(features)), labels)
        self.classes_ = self.model_.classes_
        self.converged_ = bool((self.model_.n_iter_ < self.max_iter).all())
        return self

    def predict(self, features: Features) -> np.ndarray:
        """`(example,)` most probable labels."""
        return self.model_.predict(self.scaler_.transform(_wide(features)))

    def probabilities(self, features: Features) -> np.ndarray:
        """`(example, class)` probabilities, in the order of `classes_`."""
        return self.model_.predict_proba(self.scaler_.transform(_wide(features)))


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """How a probe that was fitted on training examples does on the others.

    Attributes
    ----------
    C
        Its penalty.
    val, test
        `(example of the split,)` bool: whether the answer is right.
    converged
        Whether the optimiser was done.
    """

    C: float
    val: np.ndarray
    test: np.ndarray
    converged: bool


def fit(features: Features, task: Task, C: float) -> Fit:
    """Fit on the training rows, answer the others.

    Parameters
    ----------
    features
        `(example, feature)`, rows as in the task.
    """
    if features.shape[0] != len(task):
        raise ValueError(f"{features.shape[0]} rows of features for a task of {len(task)} examples")
    train, val, test = (task.rows(split) for split in ("train", "val", "test"))
    probe = LinearProbe(C).fit(features[train], task.labels[train])
    right = [probe.predict(features[rows]) == task.labels[rows] for rows in (val, test)]
    return Fit(C, right[0], right[1], probe.converged_)


def choose_C(
    sources: Sequence[Source], task: Task, grid: Sequence[float] = GRID, n_jobs: int | None = -1
) -> float:
    """The penalty with the best accuracy on validation, mean over the sources; of equals the strictest.

    Parameters
    ----------
    sources
        Each gives features `(example, feature)`; some layers, of which one at least should have something
        to find, since on a layer without, all penalties are alike.
    grid
        Penalties to try.
    n_jobs
        Fits at the same time, -1 for one on each core.
    """

    return choose_fits(sources, task, grid, n_jobs)[0]


def choose_fits(
    sources: Sequence[Source],
    task: Task,
    grid: Sequence[float] = GRID,
    n_jobs: int | None = -1,
    moved: Any = None,
) -> tuple[float, list[Fit]]:
    """The penalty of `choose_C`, and the fits of the sources with it, which need not be made again.

    Parameters and order of the fits as there; `moved` as in `in_parallel`.
    """
    made: dict[tuple[int, float], Fit] = {}

    def mistakes(source: Source, C: float) -> float:
        found = made[id(source), C] = fit(source(), task, C)
        return float(1 - found.val.mean())

    C = best_C(mistakes, sources, grid, n_jobs, moved)
    for source in sources:
        if (id(source), C) not in made:  # nothing was to be chosen
            mistakes(source, C)
    return C, [made[id(source), C] for source in sources]


def best_C(
    cost: Callable[[Source, float], float],
    sources: Sequence[Source],
    grid: Sequence[float],
    n_jobs: int | None,
    moved: Any = None,
) -> float:
    """The penalty with the smallest `cost(source, C)`, mean over the sources; of equals the strictest."""
    if not len(grid) or not len(sources):
        raise ValueError(
            f"{len(grid)} values of C and {len(sources)} sources came; expected at least one each"
        )
    values = sorted(grid)
    if len(values) == 1:
        return float(values[0])
    costs = in_parallel([partial(cost, source, C) for source in sources for C in values], n_jobs, moved)
    means = np.array(costs).reshape(len(sources), len(values)).mean(axis=0)
    return float(values[int(np.argmin(means.round(9)))])


def fit_many(
    sources: Mapping[Key, Source],
    tasks: Sequence[Task],
    C: float,
    n_jobs: int | None = -1,
    first: Mapping[Key, Fit] | None = None,
    moved: Any = None,
) -> dict[Key, list[Fit]]:
    """Fit every source (a layer) to every task; features of a source are read once.

    Parameters
    ----------
    sources
        Key -> gives features `(example, feature)`; called in a worker, so that no more features are
        in memory than there are workers.
    tasks
        On the same examples: the task itself, and its control task.
    C, n_jobs
        As in `fit` and `choose_C`.
    first
        Key -> the fit of that source to the first task, where there is one already (`choose_fits`).
    moved
        As in `in_parallel`.

    Returns
    -------
    Key -> one `Fit` for each task.
    """
    there = first or {}

    def work(key: Key, source: Source) -> list[Fit]:
        made = [there[key]] if key in there else []
        features = source() if len(made) < len(tasks) else None
        return made + [fit(features, task, C) for task in tasks[len(made) :]]

    done = in_parallel([partial(work, key, source) for key, source in sources.items()], n_jobs, moved)
    return dict(zip(sources, done, strict=True))


def in_parallel(jobs: Sequence[Callable[[], Any]], n_jobs: int | None, moved: Any = None) -> list[Any]:
    """Results of the jobs in their order, from threads that each compute on one core.

    One core for each, whatever `n_jobs`: sums then have one order, and a result one value. `moved`: a
    progress bar that moves on by one with each job.
    """
    from sklearn.utils.parallel import Parallel, delayed
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    found = []
    with threadpool_limits(limits=1):
        parallel = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
        for result in parallel(delayed(job)() for job in jobs):
            found.append(result)
            if moved is not None:
                moved.update()  # here, and not in a thread: a notebook would not know whose cell it is
    return found


def _wide(features: Features) -> Features:
    """Float16 as float32, in which scikit-learn computes; others as they are."""
    return features.astype(np.float32) if features.dtype == np.float16 else features
