"""Intervals over images: a Poisson bootstrap whose weights are a function of image id and seed.

Captions of one picture are not independent, so the picture is what is drawn again. In replicate b an
image gets weight w ~ Poisson(1), the number of times that it was drawn; the weights come from a hash of
(image id, seed), so sums per image can be made anywhere, in any order, and merged, and the interval is
the same. Nothing here draws from a shared generator.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from value_nb import seeds
from value_nb.permutation import (
    PERMUTATIONS,
    holm,
    max_statistic_p,
    monte_carlo_error,
    permutation_p,
    permutations_for,
)
from value_nb.sums import ImageSums

__all__ = [
    "LEVEL",
    "PERMUTATIONS",
    "REPLICATES",
    "Interval",
    "difference_interval",
    "holm",
    "image_sums",
    "max_statistic_p",
    "mean_difference",
    "mean_interval",
    "monte_carlo_error",
    "percentile_interval",
    "permutation_p",
    "permutations_for",
    "poisson_weights",
    "ratio_interval",
    "replicate_ratios",
    "replicate_sums",
]

REPLICATES = 1000
LEVEL = 0.95
BLOCK = 1024  # images whose weights are held as float64 at one time


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its bootstrap interval, each an array `(cell, ...)`.

    Attributes
    ----------
    value
        The statistic on the images as they are.
    lo, hi
        Percentiles of the statistic over the replicates; nan where fewer than two images count.
    n_images
        Images that count in the cell.
    """

    value: np.ndarray
    lo: np.ndarray
    hi: np.ndarray
    n_images: np.ndarray


def poisson_weights(image_ids: Sequence[str], seed: int, replicates: int = REPLICATES) -> np.ndarray:
    """Bootstrap weights of images.

    Returns
    -------
    `(image, replicate)` uint8, read-only: Poisson(1) counts. A row depends on that image's id and the
    seed alone.
    """
    if replicates < 1:
        raise ValueError(f"replicates is {replicates}; at least 1 is needed, {REPLICATES} are usual")
    return _weights(tuple(image_ids), int(seed), int(replicates))


def replicate_sums(
    sums: np.ndarray, image_ids: Sequence[str], *, seed: int, replicates: int = REPLICATES
) -> np.ndarray:
    """Sum over images of weight times `sums`, for every replicate.

    Parameters
    ----------
    sums
        `(image, cell, ...)`, one row for each image.
    image_ids
        Their ids, each once.

    Returns
    -------
    `(replicate, cell, ...)` float64. Images are added up in the order of their ids, so the order in
    which they are given does not matter.

    Raises
    ------
    ValueError
        When ids and rows do not correspond, or an id comes twice.
    """
    return _replicated([np.asarray(sums)], image_ids, seed, replicates)[0]


def _replicated(
    tables: Sequence[np.ndarray], image_ids: Sequence[str], seed: int, replicates: int
) -> list[np.ndarray]:
    """`replicate_sums` of several tables over the same images; read a block of images at a time."""
    for table in tables:
        _check(table, image_ids)
    order = np.argsort(np.asarray(image_ids, dtype=str), kind="stable")
    flat = [table.reshape(len(order), -1) for table in tables]
    weights = poisson_weights([image_ids[i] for i in order], seed, replicates)
    total = np.zeros((replicates, sum(table.shape[1] for table in flat)))
    for start in range(0, len(order), BLOCK):
        block = slice(start, start + BLOCK)
        rows = np.concatenate([table[order[block]] for table in flat], axis=1, dtype=np.float64)
        total += weights[block].T.astype(np.float64) @ rows
    ends = np.cumsum([table.shape[1] for table in flat])[:-1]
    parts = np.split(total, ends, axis=1)
    return [p.reshape(replicates, *t.shape[1:]) for p, t in zip(parts, tables, strict=True)]


def replicate_ratios(
    num: np.ndarray, den: np.ndarray, image_ids: Sequence[str], *, seed: int, replicates: int = REPLICATES
) -> np.ndarray:
    """Sum of weight * `num` over sum of weight * `den`: `(replicate, cell, ...)`, nan for 0 / 0."""
    both = [np.asarray(num), np.broadcast_to(den, np.shape(num))]
    return _ratio(*_replicated(both, image_ids, seed, replicates))


def ratio_interval(
    num: np.ndarray,
    den: np.ndarray,
    image_ids: Sequence[str],
    *,
    seed: int,
    replicates: int = REPLICATES,
    level: float = LEVEL,
) -> Interval:
    """A mean over examples, sum(num) / sum(den), and its percentile interval over images.

    Parameters
    ----------
    num, den
        `(image, cell, ...)`: per image the sum of the values and how many there were.
    image_ids
        `(image,)`, each once.
    seed, replicates, level
        Seed of the weights, number of replicates, coverage (0.95: from 2.5 % to 97.5 %).
    """
    num, den = np.asarray(num, dtype=np.float64), np.asarray(den, dtype=np.float64)
    draws = replicate_ratios(num, den, image_ids, seed=seed, replicates=replicates)
    return percentile_interval(_total_ratio(num, den, image_ids), draws, (den > 0).sum(axis=0), level)


def difference_interval(
    first: tuple[np.ndarray, np.ndarray],
    second: tuple[np.ndarray, np.ndarray],
    image_ids: Sequence[str],
    *,
    seed: int,
    replicates: int = REPLICATES,
    level: float = LEVEL,
) -> Interval:
    """`second` minus `first`, paired: in each replicate both ratios see the same images.

    Parameters
    ----------
    first, second
        (num, den) as in `ratio_interval`, over the same images (the same layer of another model,
        another layer of the same model).
    """
    draws, values = [], []
    for num, den in (first, second):
        draws.append(replicate_ratios(num, den, image_ids, seed=seed, replicates=replicates))
        values.append(_total_ratio(np.asarray(num, float), np.asarray(den, float), image_ids))
    counted = ((np.asarray(first[1]) > 0) & (np.asarray(second[1]) > 0)).sum(axis=0)
    return percentile_interval(values[1] - values[0], draws[1] - draws[0], counted, level)


def image_sums(
    values: np.ndarray, image_ids: Sequence[str] | np.ndarray
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Add values of examples up by image, as `ratio_interval` wants them.

    Parameters
    ----------
    values
        `(example, cell, ...)`: for an accuracy 1 where right, 0 where wrong; nan counts nothing.
    image_ids
        `(example,)`: the image of each.

    Returns
    -------
    (image ids sorted, sums `(image, cell, ...)`, counts of the same shape).
    """
    sums = ImageSums()
    sums.add("", np.asarray(image_ids, dtype=str).tolist(), values)
    return sums.table("")


def mean_interval(
    values: np.ndarray,
    image_ids: Sequence[str] | np.ndarray,
    *,
    seed: int,
    replicates: int = REPLICATES,
    level: float = LEVEL,
) -> Interval:
    """The mean over examples (an accuracy, where values are 0 and 1) and its interval over images.

    Parameters
    ----------
    values, image_ids
        As in `image_sums`.
    seed, replicates, level
        As in `ratio_interval`.
    """
    ids, num, den = image_sums(values, image_ids)
    return ratio_interval(num, den, ids, seed=seed, replicates=replicates, level=level)


def mean_difference(
    first: np.ndarray,
    second: np.ndarray,
    image_ids: Sequence[str] | np.ndarray,
    *,
    seed: int,
    replicates: int = REPLICATES,
    level: float = LEVEL,
) -> Interval:
    """Mean of `second` minus mean of `first` over the same examples, paired over images.

    Parameters
    ----------
    first, second
        `(example, cell, ...)`: right (1) or wrong (0) under either of two classifiers, for instance.
    image_ids
        `(example,)`.
    seed, replicates, level
        As in `ratio_interval`.
    """
    if np.shape(first) != np.shape(second):
        raise ValueError(
            f"values of shapes {np.shape(first)} and {np.shape(second)} came; expected the same examples"
        )
    (ids, *one), (_, *two) = image_sums(first, image_ids), image_sums(second, image_ids)
    return difference_interval(
        (one[0], one[1]), (two[0], two[1]), ids, seed=seed, replicates=replicates, level=level
    )


def percentile_interval(
    value: np.ndarray, draws: np.ndarray, n_images: np.ndarray, level: float = LEVEL
) -> Interval:
    """The interval of any statistic from its replicates.

    Parameters
    ----------
    value
        `(cell, ...)`.
    draws
        `(replicate, cell, ...)`; nan where a replicate drew no image that counts.
    n_images
        `(cell, ...)`: below two the interval is nan, since one image says nothing of others.
    level
        Coverage, between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; expected a share between 0 and 1, for instance {LEVEL}")
    n_images = np.broadcast_to(n_images, np.shape(value))
    enough = (n_images >= 2) & np.isfinite(draws).any(axis=0)
    tails = [(1 - level) / 2, (1 + level) / 2]
    counted = np.where(enough, draws, 0.0)
    quantile = np.nanquantile if np.isnan(counted).any() else np.quantile  # equal, and many times faster
    lo, hi = quantile(counted, tails, axis=0)
    return Interval(
        np.asarray(value), np.where(enough, lo, np.nan), np.where(enough, hi, np.nan), np.asarray(n_images)
    )


@lru_cache(maxsize=2)
def _weights(image_ids: tuple[str, ...], seed: int, replicates: int) -> np.ndarray:
    weights = np.empty((len(image_ids), replicates), dtype=np.uint8)
    thresholds = _poisson_thresholds()
    for row, image_id in enumerate(image_ids):
        draws = seeds.raw(image_id, seed, replicates, purpose="bootstrap")
        weights[row] = np.searchsorted(thresholds, draws, side="right")
    weights.setflags(write=False)
    return weights


def _poisson_thresholds() -> np.ndarray:
    """P(w <= k) for k = 0, 1, ... as 64-bit integers: a draw u stands for the number of them <= u."""
    shares = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(25)])
    return np.array([int(share * 2.0**64) for share in shares if share * 2.0**64 < 2.0**64], dtype=np.uint64)


def _total_ratio(num: np.ndarray, den: np.ndarray, image_ids: Sequence[str]) -> np.ndarray:
    order = np.argsort(np.asarray(image_ids, dtype=str), kind="stable")
    den = np.broadcast_to(den, num.shape)
    if (order[1:] > order[:-1]).all():  # in order already: no copy
        return _ratio(num.sum(axis=0), den.sum(axis=0))
    return _ratio(num[order].sum(axis=0), den[order].sum(axis=0))


def _ratio(num: np.ndarray, den: np.ndarray) -> np.ndarray:
    return np.divide(num, den, out=np.full(np.shape(num), np.nan), where=np.asarray(den) > 0)


def _check(sums: np.ndarray, image_ids: Sequence[str]) -> None:
    if np.ndim(sums) < 1 or len(image_ids) != len(sums):
        raise ValueError(
            f"{len(image_ids)} image ids for sums of shape {np.shape(sums)}; expected a row each"
        )
    if len(set(image_ids)) != len(image_ids):
        twice = next(i for i in image_ids if list(image_ids).count(i) > 1)
        raise ValueError(f"image {twice!r} comes twice; add the sums of one image up before this")
