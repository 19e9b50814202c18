"""Area under the ROC curve, once and under many weightings of the images at the same time."""

from __future__ import annotations

import numpy as np


def auc(score: np.ndarray, match: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Probability that a pair which matches scores higher than one which does not, ties counting half.

    Parameters
    ----------
    score
        `(pair,)`; higher speaks for a match.
    match
        `(pair,)` bool.
    weights
        `(pair, replicate)`, how often each pair counts; None: once each, one replicate.

    Returns
    -------
    `(replicate,)` in [0, 1], 0.5 for scores that say nothing; nan where either kind has no weight.

    Examples
    --------
    >>> auc(np.array([0.9, 0.4, 0.4, 0.1]), np.array([True, True, False, False])).tolist()
    [0.875]
    """
    score, match = np.asarray(score, dtype=np.float64), np.asarray(match, dtype=bool)
    weighed = np.ones((len(score), 1)) if weights is None else np.asarray(weights, dtype=np.float64)
    if score.shape != match.shape or len(weighed) != len(score):
        raise ValueError(
            f"{score.shape} scores, {match.shape} labels and {len(weighed)} rows of weights came; expected "
            "one of each for every pair"
        )
    if not len(score):
        return np.full(weighed.shape[1], np.nan)
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(score[order]) > 0])  # where a new score begins
    matching = match[order, None]
    high = np.add.reduceat(np.where(matching, weighed[order], 0.0), starts, axis=0)
    low = np.add.reduceat(np.where(matching, 0.0, weighed[order]), starts, axis=0)
    won = (high * (np.cumsum(low, axis=0) - low / 2)).sum(axis=0)
    total = high.sum(axis=0) * low.sum(axis=0)
    return np.divide(won, total, out=np.full(won.shape, np.nan), where=total > 0)
