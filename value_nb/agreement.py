"""How well two splits of the same positions in two agree: NMI and AMI, for many pairs of splits at once."""

from __future__ import annotations

import numpy as np

EPS = float(np.finfo(np.float64).eps)


def contingency(first: np.ndarray, second: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Counts of the four combinations of two splits in two.

    Parameters
    ----------
    first, second
        `(..., position)`: False or True, 0 or 1.
    weights
        `(..., position)`: 1 where the position counts, 0 on padding.

    Returns
    -------
    `(..., 2, 2)` float64: [i, j] counts positions with `first` == i and `second` == j.
    """
    one, two = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    rows = np.stack([1 - one, one], axis=-2) * np.asarray(weights, dtype=np.float64)[..., None, :]
    columns = np.stack([1 - two, two], axis=-2)
    return rows @ np.swapaxes(columns, -1, -2)


def nmi(table: np.ndarray) -> np.ndarray:
    """Normalised mutual information: MI / mean of the two entropies (arithmetic, scikit-learn's default).

    0: one split says nothing of the other; 1: they are the same split, whichever way round it is
    named. Not corrected for chance: two random splits of few positions share a little. When one split
    leaves one part empty it is 0, when both do it is 1 (as scikit-learn has it).

    Parameters
    ----------
    table
        `(..., 2, 2)` counts, or sums of weights.

    Returns
    -------
    `(...)` float64 in [0, 1]; nan where the table is empty.
    """
    information, entropy = _information(table), _mean_entropy(table)
    values = np.divide(information, entropy, out=np.ones_like(entropy), where=entropy > 0)
    return np.where(_total(table) > 0, np.clip(values, 0.0, 1.0), np.nan)


def ami(table: np.ndarray) -> np.ndarray:
    """Mutual information adjusted for chance: (MI - E) / (mean entropy - E).

    E is the mutual information expected of two random splits with the same sizes (hypergeometric).
    About 0 for unrelated splits (it can be a little below), 1 for the same split, whatever the number of
    positions, which is why layers, models and caption lengths are compared on it.

    Parameters
    ----------
    table
        `(..., 2, 2)` whole counts.

    Returns
    -------
    `(...)` float64 at most 1; nan where the table is empty.

    Raises
    ------
    ValueError
        When a count is not whole: chance is defined over permutations of positions.
    """
    table = np.asarray(table, dtype=np.float64)
    if not np.array_equal(table, np.round(table)):
        raise ValueError("ami takes whole counts; for weighted tables use nmi")
    expected = _expected_information(table)
    denominator = _away_from_zero(_mean_entropy(table) - expected)
    values = _away_from_zero(_information(table) - expected) / denominator
    rows, columns = _parts(table)
    one_part = np.where(rows & columns, 1.0, 0.0)
    values = np.where(rows | columns, one_part, np.minimum(values, 1.0))
    return np.where(_total(table) > 0, values, np.nan)


def _total(table: np.ndarray) -> np.ndarray:
    return np.asarray(table, dtype=np.float64).sum(axis=(-1, -2))


def _parts(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether the first and the second split leave one part empty, each `(...)` bool."""
    return (table.sum(axis=-1) == 0).any(axis=-1), (table.sum(axis=-2) == 0).any(axis=-1)


def _plogp(shares: np.ndarray) -> np.ndarray:
    return shares * np.log(np.where(shares > 0, shares, 1.0))


def _shares(table: np.ndarray) -> np.ndarray:
    total = _total(table)[..., None, None]
    return np.asarray(table, dtype=np.float64) / np.where(total > 0, total, 1.0)


def _information(table: np.ndarray) -> np.ndarray:
    """MI in nats: sum of p_ij log(p_ij / (p_i p_j))."""
    joint = _shares(table)
    rows, columns = joint.sum(axis=-1), joint.sum(axis=-2)
    value = _plogp(joint).sum(axis=(-1, -2)) - _plogp(rows).sum(axis=-1) - _plogp(columns).sum(axis=-1)
    return np.where(value < 4 * EPS, 0.0, value)


def _mean_entropy(table: np.ndarray) -> np.ndarray:
    joint = _shares(table)
    return -(_plogp(joint.sum(axis=-1)).sum(axis=-1) + _plogp(joint.sum(axis=-2)).sum(axis=-1)) / 2


def _expected_information(table: np.ndarray) -> np.ndarray:
    """Mean MI over all tables with these margins, each as likely as a random permutation makes it.

    Two by two, the margins leave one count free, k = [1, 1], which is hypergeometric.
    """
    from scipy.special import gammaln

    n = _total(table)[..., None]
    a, b = table[..., 1, :].sum(axis=-1)[..., None], table[..., :, 1].sum(axis=-1)[..., None]
    k = np.arange(int(np.max(np.minimum(a, b), initial=0)) + 1, dtype=np.float64)
    cells = np.stack([n - a - b + k, b - k, a - k, k + 0 * n], axis=-1)  # (..., k, 4)
    possible = np.all(cells >= 0, axis=-1, keepdims=True)
    cells = np.where(possible, cells, 0.0)
    margins = gammaln(a + 1) + gammaln(n - a + 1) + gammaln(b + 1) + gammaln(n - b + 1) - gammaln(n + 1)
    chance = np.exp(np.where(possible[..., 0], margins - gammaln(cells + 1).sum(axis=-1), -np.inf))
    information = _information(cells.reshape(*cells.shape[:-1], 2, 2))
    return (chance * information).sum(axis=-1)


def _away_from_zero(values: np.ndarray) -> np.ndarray:
    """Keep the sign, and at least one epsilon: 0 / 0 of two perfect splits becomes 1."""
    return np.where(values < 0, np.minimum(values, -EPS), np.maximum(values, EPS))
