"""The questions of a classifier probe: items with an answer, spans, and what is known without a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from value_nb.data.dataset import check_split
from value_nb.probes.features import row_id
from value_nb.probes.spans import Span
from value_nb.probes.task import Task

if TYPE_CHECKING:
    from value_nb.data.example import Example
    from value_nb.probes.linear import Features

Known = Mapping[str, float] | Sequence[float]
"""A baseline's features: numbers in a fixed order, or name -> number (the words of a bag), absent ones 0."""


@dataclass(frozen=True, slots=True)
class Item:
    """One question put to one example.

    Attributes
    ----------
    name
        Unique over all data: f"{example.id}/{phrase}-{region}". Two items of one name with the same
        answer, from two examples, bring a side each (the phrase from one pass, the region from another).
    label
        The answer.
    spans
        Side -> the words or regions that it is about: {"phrase": words(...), "region": regions(3)}.
    type
        What the control task gives its random label to; "" for none.
    known
        Name of a baseline -> its features, which come from no model.
    subset
        Scores are also given for the items of one subset alone ("pair mentioned"); "" for none.
    """

    name: str
    label: str
    spans: Mapping[str, Span]
    type: str = ""
    known: Mapping[str, Known] = field(default_factory=dict)
    subset: str = ""


@dataclass(frozen=True, slots=True)
class _Record:
    """What is kept of an item; its spans are gone with its batch."""

    name: str
    label: str
    image: str
    split: str
    type: str
    known: Mapping[str, Known]
    subset: str = ""

    @property
    def question(self) -> tuple[str, ...]:
        return self.name, self.label, self.image, self.split, self.type, self.subset


class ItemTable:
    """All items seen, by the 64-bit id of their name; merges in any order."""

    def __init__(self) -> None:
        self._records: dict[int, _Record] = {}
        self._apart: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._records)

    @property
    def ids(self) -> np.ndarray:
        """`(item,)` uint64, ascending."""
        return np.array(sorted(self._records), dtype=np.uint64)

    def add(self, items: Iterable[tuple[Item, Example]]) -> np.ndarray:
        """Take items in; returns their ids `(item,)` uint64.

        Raises
        ------
        ValueError
            For an example whose split is not train, val or test, and for two items of one name that
            differ in answer, picture, split, type or subset.
        """
        ids = []
        for item, example in items:
            split = check_split(example.split)
            record = _Record(
                item.name, item.label, example.image_id, split, item.type, dict(item.known), item.subset
            )
            ids.append(row_id(item.name))
            self._enter(ids[-1], record)
        return np.array(ids, dtype=np.uint64)

    def absorb(self, other: ItemTable) -> None:
        """Take in what another table holds."""
        for number, record in other._records.items():
            self._enter(number, record)
        self._apart |= other._apart

    def set_apart(self, number: int, name: str) -> None:
        """Score the item with this id under a name of its own and in no other score."""
        self._apart[number] = name

    def task(self, ids: np.ndarray) -> Task:
        """The question, with rows in the order of `ids`; None for what no item has."""
        records = [self._records[number] for number in ids.tolist()]
        types, subsets = [record.type for record in records], [record.subset for record in records]
        apart = [self._apart.get(number, "") for number in ids.tolist()]
        return Task(
            labels=np.array([record.label for record in records], dtype=str),
            images=np.array([record.image for record in records], dtype=str),
            splits=np.array([record.split for record in records], dtype=str),
            types=np.array(types, dtype=str) if any(types) else None,
            subsets=np.array(subsets, dtype=str) if any(subsets) else None,
            apart=np.array(apart, dtype=str) if any(apart) else None,
        )

    def splits_and_labels(self) -> tuple[np.ndarray, np.ndarray]:
        """`(item,)` str each, in the order of `ids`: what there is, before anything is asked of it."""
        records = [self._records[number] for number in self.ids.tolist()]
        splits = np.array([record.split for record in records], dtype=str)
        return splits, np.array([record.label for record in records], dtype=str)

    def known(self, names: Sequence[str], ids: np.ndarray) -> Features:
        """Features of baselines, side by side: `(item, feature)` float32; sparse where one is by name."""
        blocks = [_matrix([self._records[n].known[name] for n in ids.tolist()]) for name in names]
        if all(isinstance(block, np.ndarray) for block in blocks):
            return np.concatenate(blocks, axis=1)
        from scipy.sparse import csr_matrix, hstack

        return csr_matrix(hstack(blocks), dtype=np.float32)

    def has(self, name: str) -> bool:
        """Whether every item has the features of a baseline. Raises ValueError when only some have."""
        having = sum(name in record.known for record in self._records.values())
        if having not in (0, len(self)):
            raise ValueError(f"{having} of {len(self)} items have a known {name!r}; expected all or none")
        return having > 0

    def _enter(self, number: int, record: _Record) -> None:
        old = self._records.setdefault(number, record)
        if old.question != record.question:
            raise ValueError(f"two items of one name differ: {old.question} and {record.question}")


def _matrix(rows: list[Known]) -> Features:
    if isinstance(rows[0], Mapping):
        from sklearn.feature_extraction import DictVectorizer

        return DictVectorizer(dtype=np.float32).fit_transform(rows)
    return np.array(rows, dtype=np.float32)
