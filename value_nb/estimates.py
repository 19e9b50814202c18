"""A statistic with its bootstrap replicates, so that statistics of the same images can be subtracted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from value_nb import roc, stats

if TYPE_CHECKING:
    pass

ROUNDED = 12  # decimals of a difference


@dataclass(frozen=True, slots=True)
class Estimate:
    """One number over images.

    Attributes
    ----------
    value
        On the images as they are.
    draws
        `(replicate,)`: the same in each replicate. Replicate b weighs an image by its id and the seed alone,
        so that replicates of two estimates with one seed belong together.
    n, n_images
        Cases (words, pairs) and images behind it.
    """

    value: float
    draws: np.ndarray
    n: int
    n_images: int

    def __sub__(self, other: Estimate) -> Estimate:
        """Paired difference; what is only rounding (sums in another order) becomes 0."""
        value, draws = (
            np.round(a - b, ROUNDED) for a, b in ((self.value, other.value), (self.draws, other.draws))
        )
        return Estimate(float(value), draws, self.n, self.n_images)

    @property
    def row(self) -> dict[str, Any]:
        """value, lo, hi, n and n_images as they stand in a result's frame."""
        found = stats.percentile_interval(np.array(self.value), self.draws, np.array(self.n_images))
        return {
            "value": self.value, "lo": float(found.lo), "hi": float(found.hi), "n": self.n,
            "n_images": self.n_images,
        }  # fmt: skip


def mean(many: Sequence[Estimate]) -> Estimate:
    """The mean of estimates of the same images, replicate by replicate."""
    first = many[0]
    value, draws = np.mean([one.value for one in many]), np.mean([one.draws for one in many], axis=0)
    return Estimate(float(value), draws, first.n, first.n_images)


def mean_of(values: np.ndarray, image_ids: np.ndarray, seed: int, replicates: int) -> Estimate:
    """The mean of `(case,)` values."""
    return ratio_of(values, np.ones(len(values)), image_ids, seed, replicates)


def ratio_of(
    values: np.ndarray, counts: np.ndarray, image_ids: np.ndarray, seed: int, replicates: int
) -> Estimate:
    """Sum of `(case,)` values over sum of `(case,)` counts; n is the sum of counts."""
    (ids, num, _), (_, den, _) = (stats.image_sums(part, image_ids) for part in (values, counts))
    draws = stats.replicate_ratios(num, den, ids, seed=seed, replicates=replicates)
    return Estimate(float(num.sum() / den.sum()), draws, round(float(den.sum())), len(ids))


def auc(score: np.ndarray, match: np.ndarray, image_ids: np.ndarray, seed: int, replicates: int) -> Estimate:
    """Area under the ROC curve of pairs, each weighed by its image."""
    ids, row = np.unique(np.asarray(image_ids, dtype=str), return_inverse=True)
    weights = stats.poisson_weights(ids.tolist(), seed, replicates)
    value = float(roc.auc(score, match)[0])
    return Estimate(value, roc.auc(score, match, weights[row]), len(score), len(ids))
