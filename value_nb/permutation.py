"""Permutation tests: p-values that are never zero, their Monte Carlo error, two ways to test many at once.

A p-value here is (1 + number of permutations at least as extreme) / (1 + permutations): the data as they
are count as one of the permutations, so the test keeps its level with any number of them.
"""

from __future__ import annotations

import math

import numpy as np

ERROR = 0.01
PERMUTATIONS = 2500
"""Enough that the Monte Carlo error of any p-value lies below 0.01: `permutations_for(ERROR)`."""

SLACK = 1e-9  # of the scale of a statistic: sums in another order are ties and not differences


def permutation_p(observed: np.ndarray | float, null: np.ndarray) -> np.ndarray:
    """One-sided p-values: how often a permutation reaches what was observed.

    p = (1 + number of permutations with a statistic >= the observed one) / (1 + permutations), between
    1 / (1 + permutations) and 1. Small: larger than chance lets expect. Values that differ by rounding
    alone count as equal.

    Parameters
    ----------
    observed
        `(cell, ...)`: the statistic on the data as they are; larger is more extreme.
    null
        `(permutation, cell, ...)`: the same on permuted data.

    Returns
    -------
    `(cell, ...)` float64, nan where the observed value or a permutation is nan.

    Raises
    ------
    ValueError
        Without permutations, or when the cells differ.

    Examples
    --------
    >>> float(permutation_p(3.0, np.array([1.0, 2.0, 3.0, 4.0])))
    0.6
    """
    observed, null = _checked(observed, null)
    reached = (null >= observed - _slack(observed, null)).sum(axis=0)
    p = (1.0 + reached) / (1.0 + len(null))
    return np.where(np.isnan(observed) | np.isnan(null).any(axis=0), np.nan, p)


def monte_carlo_error(p: np.ndarray | float, permutations: int) -> np.ndarray:
    """Standard error of a p-value that comes from drawing permutations: sqrt(p (1 - p) / permutations).

    At most 0.5 / sqrt(permutations). Another seed moves p by about this much.
    """
    _check_count(permutations)
    p = np.asarray(p, dtype=np.float64)
    return np.sqrt(p * (1.0 - p) / permutations)


def permutations_for(error: float = ERROR) -> int:
    """The smallest number of permutations with which no p-value's Monte Carlo error exceeds `error`.

    Examples
    --------
    >>> permutations_for(0.01)
    2500
    """
    if not 0 < error < 1:
        raise ValueError(f"error is {error}; expected a share between 0 and 1, for instance {ERROR}")
    return math.ceil(round(0.25 / error**2, 6))


def holm(p: np.ndarray) -> np.ndarray:
    """P-values of a family, adjusted after Holm (1979): step down, no assumption on dependence.

    The i-th smallest of m is multiplied by m - i + 1; none may fall below a smaller one's; at most 1.
    An adjusted value below 0.05 keeps the chance of any false finding in the family below 5 %.

    Parameters
    ----------
    p
        `(test, ...)`, any shape: all its values are one family; nan is no test, and stays nan.

    Returns
    -------
    The same shape.

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, 0.03, 0.005])).round(3).tolist()
    [0.03, 0.06, 0.06, 0.02]
    """
    p = np.asarray(p, dtype=np.float64)
    _check_shares(p)
    flat = p.ravel()
    tests = np.flatnonzero(~np.isnan(flat))
    order = tests[np.argsort(flat[tests], kind="stable")]
    stepped = flat[order] * np.arange(len(order), 0, -1)
    adjusted = np.full(flat.shape, np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted.reshape(p.shape)


def max_statistic_p(observed: np.ndarray, null: np.ndarray, *, standardise: bool = True) -> np.ndarray:
    """P-values of a map of heads that hold for all heads at once (single-step maximum statistic).

    A head's p is the share of permutations, the data as they are among them, in which the *largest*
    statistic of any head reaches this head's. The chance that any head without an effect gets p <= 0.05
    is at most 5 %. Less strict than Holm where heads go together, since that is in the permutations.

    Parameters
    ----------
    observed
        `(head, ...)`, any shape: layers x heads, for instance; larger is more extreme.
    null
        `(permutation, head, ...)`: the same permutation in all heads of a row.
    standardise
        First subtract each head's mean and divide by its standard deviation, both over permutations and
        the data as they are, so that a head whose statistic varies much does not decide alone. A head
        that never varies is left out.

    Returns
    -------
    The shape of `observed`; nan where a head is nan or never varies.

    Raises
    ------
    ValueError
        Without permutations, or when the heads differ.
    """
    observed, null = _checked(observed, null)
    every = np.concatenate([observed[None], null]).reshape(len(null) + 1, -1)
    tested = ~np.isnan(every).any(axis=0)
    every = every[:, tested]
    if standardise:
        spread = every.std(axis=0)
        varies = spread > SLACK * np.maximum(1e-30, np.abs(every).max(axis=0, initial=0.0))
        tested[tested] = varies
        every = (every[:, varies] - every[:, varies].mean(axis=0)) / spread[varies]
    p = np.full(observed.size, np.nan)
    if every.shape[1]:
        p[tested] = permutation_p(every[0], np.broadcast_to(every[1:].max(axis=1)[:, None], every[1:].shape))
    return p.reshape(observed.shape)


def _checked(observed: np.ndarray | float, null: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    observed, null = np.asarray(observed, dtype=np.float64), np.asarray(null, dtype=np.float64)
    if null.ndim != observed.ndim + 1 or null.shape[1:] != observed.shape:
        raise ValueError(
            f"observed has shape {observed.shape} and null {null.shape}; "
            "expected null to be (permutation, *observed's)"
        )
    _check_count(len(null))
    return observed, null


def _check_count(permutations: int) -> None:
    if permutations < 1:
        raise ValueError(f"{permutations} permutations came; at least 1 is needed, {PERMUTATIONS} are usual")


def _check_shares(p: np.ndarray) -> None:
    wrong = p[(p < 0) | (p > 1)]
    if wrong.size:
        raise ValueError(f"{wrong.flat[0]} came as a p-value; expected values between 0 and 1, or nan")


def _slack(observed: np.ndarray, null: np.ndarray) -> np.ndarray:
    return SLACK * np.maximum(np.abs(observed), np.abs(null).max(axis=0))
