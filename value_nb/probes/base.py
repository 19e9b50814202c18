"""What a probe is: it says what it needs, sees layers of batches, adds up, merges, and makes rows."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from value_nb.controls import Control
    from value_nb.data.example import Example
    from value_nb.layout import LayerBatch
    from value_nb.models.base import VLModel

Side = Literal["caption", "picture"]
Kept = Literal["caption", "picture", "both"]


@dataclass(frozen=True, slots=True)
class Needs:
    """What a probe wants to be handed.

    Attributes
    ----------
    stacks
        The stacks whose layers it looks at.
    hidden
        Whether it looks at hidden states.
    attention
        The directions whose maps it looks at; empty for none.
    """

    stacks: frozenset[str]
    hidden: bool = False
    attention: frozenset[str] = frozenset()


class Probe(ABC):
    """One question put to a model.

    A probe that you make is a template: a sweep works on fresh copies of it and leaves it as it is.
    Settings are public attributes, set in `__init__`; what is learned from data lives in attributes
    that `_start` makes and whose names begin with "_".

    Attributes
    ----------
    name, title, question
        Key of its results; a heading; what it asks, in a sentence.
    counts
        What `n` counts, by measure; "pairs" where a measure is not named.
    controls
        Names of the controls that make sense for it.
    keeps
        In mismatched pairs, the side that stays with the example ("caption" or "picture"), or "both": each
        stays in a pair of its own, the caption with the partner's picture and the picture with its caption.
    prepares
        Whether it must look over all examples before the pass (see `prepare`).
    seed
        Seed of everything random in it; a sweep sets its own.
    progress
        Whether `rows` shows a bar where it may take a while; a sweep sets its own.
    """

    name: str
    title: str
    question: str
    counts: ClassVar[dict[str, str]] = {}
    controls: ClassVar[frozenset[str]] = frozenset({"random weights", "mismatched"})
    keeps: ClassVar[Kept] = "caption"
    prepares: ClassVar[bool] = False
    seed: int = 0
    progress: bool = False

    @abstractmethod
    def needs(self, model: VLModel) -> Needs:
        """The stacks, states and maps that it wants of this model."""

    @abstractmethod
    def update(self, batch: LayerBatch) -> None:
        """Take in one layer of one batch; nothing of it is written into, or kept after the pass.

        To fetch numbers from a GPU in every layer keeps it waiting: `value_nb.probes.batchwise`.
        """

    def settle(self) -> None:
        """Take in what still waits; called when a pass over examples is over."""
        return None

    @abstractmethod
    def rows(self, *, replicates: int) -> list[dict[str, Any]]:
        """The result: one dict for each value, with keys among the columns of a result's frame.

        value, lo, hi, n, n_images, measure and unit, and whichever of stack, layer, head, direction,
        group and specials apply. `replicates` is the number of bootstrap replicates of the intervals.
        """

    @abstractmethod
    def _start(self) -> None:
        """Make the empty state."""

    @abstractmethod
    def _absorb(self, other: Self) -> None:
        """Add what `other`, a probe with the same settings, has seen."""

    def not_defined(self, model: VLModel) -> str | None:
        """Why the question cannot be put to this model, or None when it can."""
        return None

    def prepare(self, examples: Sequence[Example]) -> Self:
        """Look over the matched examples, of all splits, before any pass over them or under a control.

        A sweep does this once. For shards, prepare one fresh probe and take `fresh` copies of it: what is
        found stays with the copies. Returns the probe itself.
        """
        return self

    def default_controls(self, seed: int) -> tuple[Control, ...]:
        """The controls that stand beside it unless the user chooses others."""
        from value_nb.controls import Mismatched, RandomWeights

        return RandomWeights(), Mismatched(seed)

    def fresh(self, seed: int | None = None) -> Self:
        """A copy with the same settings that has seen nothing.

        Parameters
        ----------
        seed
            Its seed; None keeps the probe's own.
        """
        new = copy.copy(self)
        new.seed = self.seed if seed is None else seed
        new._start()
        return new

    def state(self) -> dict[str, Any]:
        """What it has seen, so that a sweep which was cut off goes on, and other machines can take part.

        By default all attributes whose names begin with "_". It may hold numbers, texts, arrays, tensors,
        lists, tuples, sets, dicts, and the kit's own `ImageSums`, `FeatureStore` and other classes;
        override it, and `restore`, for anything else and to leave out what belongs to the batch at hand.
        """
        return {name: value for name, value in vars(self).items() if name.startswith("_")}

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Take over the `state` of a probe with the same settings; returns the probe itself."""
        vars(self).update(state)
        return self

    def settings(self) -> dict[str, Any]:
        """Its public attributes, which with the data determine the result."""
        return {k: v for k, v in sorted(vars(self).items()) if not k.startswith("_") and k not in NAMES}

    def merge(self, other: Self) -> Self:
        """A new probe that has seen what both have; neither is changed. Associative.

        Raises
        ------
        ValueError
            When the two differ in kind or settings.
        """
        if type(self) is not type(other) or self.settings() != other.settings() or self.seed != other.seed:
            raise ValueError(
                f"{self!r} and {other!r} differ; only probes with the same settings and seed merge"
            )
        merged = self.fresh()
        merged._absorb(self)
        merged._absorb(other)
        return merged

    def __repr__(self) -> str:
        inside = ", ".join(f"{key}={value!r}" for key, value in self.settings().items())
        return f"{type(self).__name__}({inside})"


NAMES = frozenset({"name", "title", "question", "seed", "progress"})
