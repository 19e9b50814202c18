"""How short a text a probe makes of the labels: the online code of Voita and Titov (2020)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from value_nb import seeds
from value_nb.probes.linear import GRID, LinearProbe, best_C

if TYPE_CHECKING:
    from value_nb.probes.linear import Features, Source
    from value_nb.probes.task import Task

FRACTIONS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.03125, 0.0625, 0.125, 0.25, 0.5, 1.0)
"""Ends of the blocks, as shares of the examples: those of the paper."""


def online_code(
    features: Features, labels: np.ndarray, C: float, fractions: Sequence[float] = FRACTIONS
) -> np.ndarray:
    """Bits that each label takes when labels are sent block by block, each by a probe fitted on those before.

    The first block is sent at log2(classes) bits a label. A later label takes -log2 of its probability,
    (n p + 1) / (n + classes), where p is the probe's and n the number of examples that it was fitted on:
    a label that the probe has not seen costs much, but not infinitely much. Sum of it: description length.
    Against log2(classes) a label, the ratio is the compression; above 1, the features help. Lower bits:
    the answer is easier to read off the features, from fewer examples.

    Parameters
    ----------
    features
        `(example, feature)`, in the order of sending, which should be random (`sending_order`).
    labels
        `(example,)`; the receiver knows which different labels there are.
    C
        Penalty of the probe.
    fractions
        Ends of the blocks as growing shares, the last 1; blocks that come out empty are passed over.

    Returns
    -------
    `(example,)` float64 bits, above 0.

    Raises
    ------
    ValueError
        For fractions that do not grow to 1, or fewer than two different labels.
    """
    ends = _ends(len(labels), fractions)
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"{len(classes)} different labels came; there is nothing to send below two")
    bits = np.full(len(labels), np.log2(len(classes)))
    for start, end in pairwise(ends):
        rows = slice(start, end)
        bits[rows] = _block(features[:start], codes[:start], features[rows], codes[rows], len(classes), C)
    return bits


def choose_C_for_code(
    sources: Sequence[Source],
    task: Task,
    grid: Sequence[float] = GRID,
    n_jobs: int | None = -1,
    moved: Any = None,
) -> float:
    """The penalty with which validation labels take the fewest bits; of equals the strictest.

    A stricter penalty than that can answer as rightly and yet be too unsure of it, so the C of the best
    accuracy would make codes long for no reason of the features.

    Parameters
    ----------
    sources, task, grid, n_jobs
        As in `value_nb.probes.linear.choose_C`.
    moved
        As in `value_nb.probes.linear.in_parallel`.
    """
    train, val = task.rows("train"), task.rows("val")
    classes, codes = np.unique(task.labels, return_inverse=True)

    def bits(source: Source, C: float) -> float:
        features = source()
        known, told = codes[train], codes[val]
        return float(_block(features[train], known, features[val], told, len(classes), C).mean())

    return best_C(bits, sources, grid, n_jobs, moved)


def sending_order(images: np.ndarray, seed: int) -> np.ndarray:
    """`(example,)` int64: rows in a random order of pictures, the examples of a picture together.

    Were they apart, a probe would have seen the picture of a label that it sends. The place of a picture
    is a hash of its id and the seed.
    """
    names, which = np.unique(np.asarray(images, dtype=str), return_inverse=True)
    draws = np.array([seeds.raw(str(name), seed, 1, purpose="online code")[0] for name in names])
    return np.lexsort((which, draws[which]))


def _block(
    seen: Features, known: np.ndarray, features: Features, codes: np.ndarray, n_classes: int, C: float
) -> np.ndarray:
    """`(example,)` bits of labels by a probe fitted on what was seen; of one label alone, that label."""
    there, n = np.unique(known), len(known)
    p = np.zeros((features.shape[0], n_classes))
    if len(there) == 1:
        p[:, there[0]] = 1.0
    else:
        p[:, there] = LinearProbe(C).fit(seen, known).probabilities(features)
    smooth = (n * p + 1) / (n + n_classes)
    return -np.log2(smooth[np.arange(len(codes)), codes])


def _ends(n: int, fractions: Sequence[float]) -> list[int]:
    shares = list(fractions)
    if not shares or shares != sorted(set(shares)) or shares[0] <= 0 or shares[-1] != 1:
        raise ValueError(f"fractions is {tuple(fractions)}; expected growing shares above 0, the last 1")
    return sorted({int(np.ceil(share * n)) for share in shares})
