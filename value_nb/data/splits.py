"""Training, validation and test examples in one sequence: what a classifier probe is swept over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, overload

from value_nb.data.dataset import SPLITS, Dataset
from value_nb.data.example import Example
from value_nb.data.registry import load_dataset


class Splits(Sequence[Example]):
    """Several data sets one after the other; each example says which split it is of.

    Attributes
    ----------
    parts
        The data sets, in order.
    """

    def __init__(self, parts: Sequence[Dataset]) -> None:
        self.parts = tuple(parts)
        self._ends = [*accumulate(map(len, self.parts))]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @overload
    def __getitem__(self, index: int) -> Example: ...

    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...

    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is outside {self!r}: expected {-len(self)} to {len(self) - 1}")
        place = index % len(self)
        which = next(k for k, end in enumerate(self._ends) if place < end)
        return self.parts[which][place - self._ends[which]]  # counted from the end of the part

    def __iter__(self) -> Iterator[Example]:
        return (example for part in self.parts for example in part)

    def without_features(self) -> Splits:
        """Return the same examples with `features` None, so that none are read."""
        return Splits([part.without_features() for part in self.parts])

    def __repr__(self) -> str:
        inside = ", ".join(f"{len(part)} {part.split}" for part in self.parts)
        return f"Splits({self.parts[0].name!r}: {inside})" if self.parts else "Splits(nothing)"


def load_splits(
    name: str,
    root: Path | str | None = None,
    limit: int | Mapping[str, int] | None = None,
    strict: bool = False,
    splits: Sequence[str] = SPLITS,
    **options: Any,
) -> Splits:
    """Load the training, validation and test split of a data set, for a classifier probe.

    Parameters
    ----------
    name, root, strict
        As in `load_dataset`.
    limit
        The first so many examples of each split, or split -> so many; splits it does not name are whole.
    splits
        Load these alone, for instance ("val", "test") where nothing is trained.
    options
        Further options of `load_dataset`, for instance `regions=`, the same for every split.

    Raises
    ------
    ValueError
        For no splits, a split that there is not, a limit of a split that is not loaded, and as in
        `load_dataset`.
    """
    if not splits or not set(splits) <= set(SPLITS):
        raise ValueError(f"splits={splits!r}; expected among {', '.join(map(repr, SPLITS))}")
    limits = dict(limit) if isinstance(limit, Mapping) else dict.fromkeys(splits, limit)
    unknown = sorted(set(limits) - set(splits))
    if unknown:
        raise ValueError(f"limit names {unknown}; expected among {', '.join(map(repr, splits))}")
    parts = [load_dataset(name, split, root, limits.get(split), strict, **options) for split in splits]
    return Splits(parts)
