"""Several classifier questions about the same examples in one result, as VALUE puts them: VCD beside VCC."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from value_nb import stats
from value_nb.data.dataset import SPLITS
from value_nb.probes.base import Needs, Probe
from value_nb.probes.classifier import ClassifierProbe
from value_nb.probes.features import LIMIT
from value_nb.probes.linear import GRID
from value_nb.probes.report import NOWHERE, not_defined

if TYPE_CHECKING:
    from collections.abc import Mapping

    from value_nb.controls import Control
    from value_nb.layout import LayerBatch
    from value_nb.models.base import VLModel

Rows = dict[str, Any]
ATTENTION, EMBEDDING, BILINEAR = "attention probe", "embedding probe", "bilinear embedding probe"


class Question(ClassifierProbe):
    """One of the questions; its rows say how many answers there are, and data may be unable to ask it."""

    def __init__(self, name: str, **settings: Any) -> None:
        self.name = name
        super().__init__(**settings)

    def impossible(self) -> str | None:
        """Why the examples that came cannot ask it, or None."""
        ids = self._table.ids
        if not len(ids):
            return "no example has anything to ask"
        splits, labels = self._table.splits_and_labels()
        missing = [split for split in SPLITS if split not in splits]
        if missing:
            return (
                f"no example of {', '.join(missing)} has anything to ask; a classifier needs all of {SPLITS}"
            )
        found = np.unique(labels[splits == "train"])
        return None if len(found) > 1 else f"all training items have the answer {str(found[0])!r}"

    def _rows(self, replicates: int) -> Iterator[Rows]:
        yield from super()._rows(replicates)
        task = self._table.task(self._table.ids)
        images = task.images[task.rows("test")]
        yield {
            "stack": NOWHERE[0], "layer": NOWHERE[1], "group": "chance", "split": "test", "measure": "chance",
            "value": 1 / len(task.classes), "n": len(images), "n_images": len(np.unique(images)),
            "unit": "fraction",
        }  # fmt: skip


class Questions(Probe):
    """Base of the probes that put several classifier questions: every `group` begins with its question.

    Measures and groups are those of `ClassifierProbe`, as in "VCC, embedding probe", "VCC, majority"; beside
    them stands the measure `chance`, 1 / number of answers in training. A question that the examples cannot
    ask has one row with unit "not defined", and the column `note` says why.

    Parameters
    ----------
    questions
        Which of `QUESTIONS` to put.
    description_length, grid, limit, dtype, n_jobs
        Of the classifiers, see `ClassifierProbe`; `limit` holds for each question.
    """

    QUESTIONS: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        questions: Sequence[str],
        description_length: bool = False,
        grid: Sequence[float] = GRID,
        limit: int = LIMIT,
        dtype: str = "float16",
        n_jobs: int = -1,
    ) -> None:
        asked = [questions] if isinstance(questions, str) else list(questions)
        unknown = [question for question in asked if question not in self.QUESTIONS]
        if unknown or not asked or len(set(asked)) != len(asked):
            raise ValueError(
                f"questions={asked} came; expected one or more different among "
                f"{', '.join(map(repr, self.QUESTIONS))}"
            )
        self.questions = asked
        self.description_length, self.grid = bool(description_length), [float(C) for C in grid]
        self.limit, self.dtype = int(limit), dtype
        self._n_jobs = int(n_jobs)
        self._start()

    @abstractmethod
    def _question(self, name: str, settings: dict[str, Any]) -> Question:
        """The classifier probe of one question; `settings` are those of `ClassifierProbe`."""

    def needs(self, model: VLModel) -> Needs:
        """What the questions look at, taken together."""
        each = [question.needs(model) for question in self._asked.values()]
        return Needs(
            stacks=frozenset().union(*(needs.stacks for needs in each)),
            hidden=any(needs.hidden for needs in each),
            attention=frozenset().union(*(needs.attention for needs in each)),
        )

    def not_defined(self, model: VLModel) -> str | None:
        """A model without a stack that any question can look at."""
        reasons = [question.not_defined(model) for question in self._asked.values()]
        return None if None in reasons else reasons[0]

    def default_controls(self, seed: int) -> tuple[Control, ...]:
        """One random-weight model, and mismatched pairs."""
        from value_nb.controls import Mismatched, RandomWeights

        return RandomWeights((seed,)), Mismatched(seed)

    def update(self, batch: LayerBatch) -> None:
        """Take features for every question from one layer."""
        for question in self._asked.values():
            question.update(batch)

    def rows(self, *, replicates: int = stats.REPLICATES) -> list[Rows]:
        """Fit everything, question after question.

        Raises
        ------
        ValueError
            When the examples can ask none of the questions.
        """
        reasons = {name: question.impossible() for name, question in self._asked.items()}
        if None not in reasons.values():
            said = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
            raise ValueError(
                f"{said}. Sweep over all splits in one go, for instance over value_nb.load_splits(NAME), "
                "with more examples"
            )
        return [row for name in self._asked for row in self._rows_of(name, reasons[name], replicates)]

    def _rows_of(self, name: str, reason: str | None, replicates: int) -> Iterator[Rows]:
        if reason is not None:
            yield {"group": name, "split": "test"} | not_defined("accuracy", reason)
            return
        for row in self._asked[name].rows(replicates=replicates):
            yield row | {"group": f"{name}, {row['group']}"}

    def _start(self) -> None:
        settings = {
            "description_length": self.description_length, "grid": self.grid, "limit": self.limit,
            "dtype": self.dtype, "n_jobs": self._n_jobs,
        }  # fmt: skip
        self._asked = {name: self._question(name, settings).fresh(self.seed) for name in self.questions}

    def state(self) -> dict[str, Any]:
        """By question."""
        return {name: question.state() for name, question in self._asked.items()}

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Hand each question its own."""
        for name, question in self._asked.items():
            question.restore(state[name])
        return self

    def _absorb(self, other: Self) -> None:
        for name, question in self._asked.items():
            question._absorb(other._asked[name])
