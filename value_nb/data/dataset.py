"""A data set as notebooks see it: a sequence of examples whose region features are read when asked for."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, overload

from value_nb.data.example import Example
from value_nb.data.problems import ProblemReport

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("train", "val", "test")


def check_split(split: str) -> str:
    """Return the split. Raises ValueError, with the valid names, when there is no such split."""
    if split not in SPLITS:
        raise ValueError(f"split={split!r} came; expected one of {', '.join(map(repr, SPLITS))}.")
    return split


def check_limit(limit: int | None) -> int | None:
    """Return the limit. Raises ValueError unless it is None or a whole number of at least 1."""
    if limit is None:
        return None
    if isinstance(limit, bool) or not hasattr(limit, "__index__") or operator.index(limit) < 1:
        raise ValueError(f"limit={limit!r} came; expected None (everything) or a whole number of at least 1.")
    return operator.index(limit)


def check_flag(name: str, value: bool) -> bool:
    """Return the value of an option. Raises ValueError unless it is True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{name}={value!r} came; expected True or False.")
    return value


class Source(Protocol):
    """What turns a record of a loader into an example."""

    def example(self, record: Any, features: bool) -> Example:
        """Return the example; without `features` the region features are left unread (None)."""


class ReadyMade:
    """The source of records that are examples already."""

    def example(self, record: Any, features: bool) -> Example:
        """Return the record itself, or a copy of it without region features."""
        example: Example = record
        if features or example.regions is None or example.regions.features is None:
            return example
        return replace(example, regions=replace(example.regions, features=None))


class Dataset(Sequence[Example]):
    """A sequence of examples: `len`, `[i]`, slices (which are data sets again) and iteration.

    An example is built when it is asked for; its region features are read then and not kept.

    Parameters
    ----------
    name, split
        As they appear in result frames.
    records
        One per example; with the default `source` the examples themselves.
    source
        Builds an example from a record. Must survive pickling.
    problems
        What the loader skipped or changed.
    labels
        The classes of a probing task in the order of their indices; () elsewhere.
    """

    def __init__(
        self,
        name: str,
        split: str,
        records: Sequence[Any],
        source: Source | None = None,
        problems: ProblemReport | None = None,
        labels: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.split = split
        self.problems = ProblemReport() if problems is None else problems
        self.labels = tuple(labels)
        self._records = records
        self._source = ReadyMade() if source is None else source
        self._features = True

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> Example: ...

    @overload
    def __getitem__(self, index: slice) -> Dataset: ...

    def __getitem__(self, index: int | slice) -> Example | Dataset:
        if isinstance(index, slice):
            return self._like(self._records[index], self._features)
        try:
            place = operator.index(index)
        except TypeError:
            raise TypeError(
                f"{index!r} came as an index of {self.name}; expected a whole number or a slice."
            ) from None
        if not -len(self) <= place < len(self):
            raise IndexError(
                f"index {place} is outside {self.name} ({self.split}), which has {len(self)} examples: "
                f"expected {-len(self)} to {len(self) - 1}."
            )
        return self._source.example(self._records[place], self._features)

    def __iter__(self) -> Iterator[Example]:
        return (self._source.example(record, self._features) for record in self._records)

    def without_features(self) -> Dataset:
        """Return the same data set with `features` None in every example, so that none are read."""
        return self._like(self._records, features=False)

    @property
    def region_classes(self) -> tuple[str, ...]:
        """The classes of the detector that made the region features, in its order; () where unknown."""
        store = getattr(self._source, "store", None)
        return () if store is None else tuple(store.class_names)

    @property
    def threshold(self) -> float | None:
        """Smallest IoU of a link from annotated boxes to region features; None without such features."""
        store = getattr(self._source, "store", None)
        return None if store is None else float(self._source.threshold)  # type: ignore[attr-defined]

    def _like(self, records: Sequence[Any], features: bool) -> Dataset:
        other = Dataset(self.name, self.split, records, self._source, self.problems, self.labels)
        other._features = features
        return other

    def describe(self) -> pd.DataFrame:
        """Count what is in the data set, without reading region features.

        Returns
        -------
        One row per thing counted, in the column `count`. Captions, phrases and labels are counted over
        examples; regions, relations and annotated boxes once per picture. "Linked" phrases have at least one
        region.
        """
        import pandas as pd

        counts = _count(self.without_features())
        return pd.DataFrame({"count": counts}, dtype="int64").rename_axis("what")

    def __repr__(self) -> str:
        counts = f"{len(self)} examples, {len(self.problems)} skipped"
        return f"Dataset({self.name!r}, split={self.split!r}, {counts})"


def _count(examples: Dataset) -> dict[str, int]:
    phrases: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    pictures: dict[str, Example] = {}
    for example in examples:
        if example.regions is not None:
            pictures.setdefault(example.image_id, example)
        if example.label is not None:
            labels[f"label {example.label}"] += 1
        phrases["phrases"] += len(example.phrases)
        phrases["phrases linked"] += sum(bool(phrase.regions) for phrase in example.phrases)
        phrases.update(f"phrases of type {kind}" for phrase in example.phrases for kind in phrase.types)
    head = {"images": len(pictures), "captions": len(examples)}
    by_type = {key: phrases[key] for key in ("phrases", "phrases linked", *sorted(phrases))}
    return head | (by_type if phrases["phrases"] else {}) | _count_regions(list(pictures.values())) | labels


def _count_regions(pictures: list[Example]) -> dict[str, int]:
    sizes = [len(example.regions) for example in pictures if example.regions is not None]
    if not sizes:
        return {}
    boxes, matched = zip(
        *(example.extra.get("boxes_linked", (0, 0))[::-1] for example in pictures), strict=True
    )
    return {
        "relations": sum(len(example.relations) for example in pictures),
        "relations without a region": sum(example.extra.get("relations_unlinked", 0) for example in pictures),
        "regions": sum(sizes),
        "regions per image, fewest": min(sizes),
        "regions per image, most": max(sizes),
        "annotated boxes": sum(boxes),
        "annotated boxes linked to a region": sum(matched),
    }
