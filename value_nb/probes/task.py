"""What a classifier probe asks: labels, pictures and splits of its examples; majority and control task."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from value_nb import seeds
from value_nb.data.dataset import SPLITS

RECURRENCE = 0.8
"""Share of the test examples' types that must occur in training for a control task to be defined."""


class NotDefined(ValueError):
    """The data do not allow the measure; the message says why."""


@dataclass(frozen=True, eq=False)
class Task:
    """A question with one answer for each example. Every array has one row for each example.

    Attributes
    ----------
    labels
        `(example,)` str: the answers.
    images
        `(example,)` str: image ids; no picture may be in two splits.
    splits
        `(example,)` str: "train", "val" or "test".
    types
        `(example,)` str, or None: what a control task gives its random labels to (a word, a class pair).
    subsets
        `(example,)` str, or None: which subset a score of its own is given for; "" for none.
    apart
        `(example,)` str, or None: the name under which an example is scored apart, in no other score than
        that one; "" for an ordinary example. Classifiers learn on all.

    Raises
    ------
    ValueError
        For arrays of different lengths, a split of another name, a split without examples, a picture in
        two splits, or fewer than two labels in training.
    """

    labels: np.ndarray
    images: np.ndarray
    splits: np.ndarray
    types: np.ndarray | None = None
    subsets: np.ndarray | None = None
    apart: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name in ("labels", "images", "splits", "types", "subsets", "apart"):
            given = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, np.asarray(given, dtype=str))
        self._check()

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def classes(self) -> np.ndarray:
        """The labels that occur in training, sorted; others cannot be answered rightly."""
        return np.unique(self.labels[self.rows("train")])

    def rows(self, split: str) -> np.ndarray:
        """`(example of the split,)` int64: which rows are of a split."""
        return np.flatnonzero(self.splits == split)

    def scored(self, split: str, apart: str = "") -> np.ndarray:
        """`(example of the split,)` bool: which count in a score, or in the one that is called `apart`."""
        rows = self.rows(split)
        return np.full(len(rows), apart == "") if self.apart is None else self.apart[rows] == apart

    def majority(self) -> np.ndarray:
        """`(test example,)` bool: whether the most frequent training label is the answer.

        Of equally frequent ones the first in order of the alphabet.
        """
        labels, counts = np.unique(self.labels[self.rows("train")], return_counts=True)
        return self.labels[self.rows("test")] == labels[counts.argmax()]

    def recurrence(self) -> float:
        """Share of the different types in test that occur in training, 0 to 1; nan without types."""
        if self.types is None:
            return float("nan")
        test = np.unique(self.types[self.rows("test")])
        return float(np.isin(test, self.types[self.rows("train")]).mean())

    def control(self, seed: int) -> Task:
        """The same examples with a random label for each type (Hewitt and Liang 2019).

        A type's label is drawn from the distribution of the training labels, by a hash of the type and
        the seed: the same for any data that hold the type and have that distribution. Only memory of the
        types can answer it, so the accuracy on it says how much a probe can memorise.

        Raises
        ------
        NotDefined
            Without types, when under 80 % of the test types occur in training, or when all types of the
            training examples drew one label.
        """
        if self.types is None:
            raise NotDefined("the examples have no types, which a control task gives its labels to")
        share = self.recurrence()
        if share < RECURRENCE:
            raise NotDefined(
                f"{share:.0%} of the types in test occur in training, and {RECURRENCE:.0%} are needed: a "
                "control task that cannot be learnt says nothing"
            )
        labels = control_labels(self.labels[self.rows("train")], self.types, seed)
        if len(np.unique(labels[self.rows("train")])) < 2:
            raise NotDefined("the types of the training examples all drew the same random label")
        return replace(self, labels=labels)

    def _check(self) -> None:
        arrays = (self.labels, self.images, self.splits, self.types, self.subsets)
        lengths = [len(x) for x in arrays if x is not None]
        if len(set(lengths)) != 1:
            raise ValueError(f"arrays of lengths {lengths} came; expected one row for each example in all")
        there = np.unique(self.splits).tolist()
        if sorted(there) != sorted(SPLITS):
            raise ValueError(
                f"examples of the splits {there or 'none'} came; a classifier needs all of {list(SPLITS)}: "
                "sweep over them in one go, for instance over value_nb.load_splits('mini-flickr30k')"
            )
        self._check_images()
        if len(self.classes) < 2:
            raise ValueError(
                f"all training examples have the label {str(self.classes[0])!r}; expected two or more"
            )

    def _check_images(self) -> None:
        pairs = np.unique(np.stack([self.images, self.splits]), axis=1)
        names, counts = np.unique(pairs[0], return_counts=True)
        if (counts > 1).any():
            raise ValueError(
                f"image {str(names[counts.argmax()])!r} is in several splits; a picture may be in one alone"
            )


def control_labels(labels: np.ndarray, types: np.ndarray, seed: int) -> np.ndarray:
    """A fixed random label for each type, drawn from the distribution of `labels`.

    Parameters
    ----------
    labels
        `(training example,)`.
    types
        `(example,)`.

    Returns
    -------
    `(example,)` labels: equal for equal types.
    """
    classes, counts = np.unique(labels, return_counts=True)
    names, which = np.unique(types, return_inverse=True)
    draws = np.array([seeds.uniforms(str(name), seed, 1, purpose="control task")[0] for name in names])
    bounds = np.cumsum(counts)[:-1] / counts.sum()
    return classes[np.searchsorted(bounds, draws, side="right")][which]
