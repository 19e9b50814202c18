"""Choosing sentences so that classes are equally frequent at every length, and so in every split."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Labelled:
    """A sentence of a probing task; among sentences of one `stratum` every class is equally frequent."""

    label: str
    words: tuple[str, ...]
    stratum: Hashable


Split = dict[str, list[Labelled]]
"""Partition (tr, va, te) -> its sentences."""


def balanced(
    items: Iterable[Labelled], sizes: dict[str, int], rng: np.random.Generator, wanted: Iterable[str] = ()
) -> Split:
    """Split -> sentences: the same number of every class, in every stratum, in every split.

    Parameters
    ----------
    items
        What can be chosen from.
    sizes
        Split -> number of sentences; what does not divide by the number of classes is left out.
    rng
        Decides which are taken and in which order they come.
    wanted
        The classes; those that occur where none are named.

    Raises
    ------
    ValueError
        When there are too few sentences: says of which size and how many there are.
    """
    groups = _grouped(items)
    labels = sorted(set(wanted) or {label for by_label in groups.values() for label in by_label})
    strata = [s for s in groups if all(label in groups[s] for label in labels)]
    for stratum in strata:
        for label in labels:
            groups[stratum][label] = _shuffled(groups[stratum][label], rng)
    room = np.array([min(len(groups[s][label]) for label in labels) for s in strata], int)
    chosen: Split = {}
    for split, size in sizes.items():
        each = size // len(labels)
        if room.sum() < each:
            raise ValueError(
                f"{split} wants {each} sentences of each of {labels} at equal lengths, and only {room.sum()} "
                "are left; make more sentences, or ask for fewer."
            )
        take = apportion(room, each)
        picked = [
            groups[s][label].pop()
            for s, n in zip(strata, take, strict=True)
            for label in labels
            for _ in range(n)
        ]
        chosen[split] = _shuffled(picked, rng)
        room = room - take
    return chosen


def apportion(room: np.ndarray, total: int) -> np.ndarray:
    """Share `total` among places in proportion to their room, never more than a place has.

    What is left over by rounding down goes to the largest remainders.
    """
    exact = room * (total / max(1, room.sum()))
    take = np.floor(exact).astype(int)
    order = np.argsort(-(exact - take), kind="stable")
    for place in order[: total - take.sum()]:
        take[place] += 1
    return take


def _grouped(items: Iterable[Labelled]) -> dict[Hashable, dict[str, list[Labelled]]]:
    groups: dict[Hashable, dict[str, list[Labelled]]] = {}
    for item in items:
        groups.setdefault(item.stratum, {}).setdefault(item.label, []).append(item)
    return groups


def _shuffled(items: list[Labelled], rng: np.random.Generator) -> list[Labelled]:
    return [items[i] for i in rng.permutation(len(items))]
