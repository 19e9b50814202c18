"""Which of many weights are drawn as lines: the strongest, and what share of all weight they carry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines that are drawn, strongest first.

    Attributes
    ----------
    head, left, right
        `(line,)` integers: place in the list of chosen heads, item on the left, item on the right.
    weight
        `(line,)` float in (0, 1]: the attention weight.
    possible
        How many lines there could be.
    total
        Sum of all weights, drawn or not.
    """

    head: np.ndarray
    left: np.ndarray
    right: np.ndarray
    weight: np.ndarray
    possible: int
    total: float

    def __len__(self) -> int:
        return len(self.weight)

    @property
    def share(self) -> float:
        """In [0, 1]: the weight of the drawn lines / the weight of all; 0 where there is no weight."""
        return float(self.weight.sum() / self.total) if self.total > 0 else 0.0

    def of(self, side: str, item: int) -> Lines:
        """Only the lines that end at one item; `possible` and `total` stay.

        Parameters
        ----------
        side
            "left" or "right".
        """
        kept = (self.left if side == "left" else self.right) == item
        return Lines(
            self.head[kept], self.left[kept], self.right[kept], self.weight[kept], self.possible, self.total
        )


@dataclass(frozen=True, slots=True)
class Partner:
    """The strongest line of one item.

    Attributes
    ----------
    item
        Index of the partner on the other side.
    head
        Place in the list of chosen heads.
    weight
        In [0, 1].
    """

    item: int
    head: int
    weight: float


def strongest(weights: np.ndarray, most: int, least: float = 0.0) -> Lines:
    """The strongest of all weights.

    Parameters
    ----------
    weights
        `(head, left, right)` in [0, 1].
    most
        At most so many lines, over all heads together; of equal weights the first ones.
    least
        In [0, 1]: no line below this weight. A weight of 0 is never drawn.

    Raises
    ------
    ValueError
        For weights of another shape, and fewer than one line.

    Examples
    --------
    >>> lines = strongest(np.array([[[0.1, 0.5], [0.0, 0.4]]]), most=2)
    >>> lines.weight.tolist(), lines.left.tolist(), lines.right.tolist(), round(lines.share, 3)
    ([0.5, 0.4], [0, 1], [1, 1], 0.9)
    """
    if weights.ndim != 3 or 0 in weights.shape:
        raise ValueError(
            f"weights have the shape {weights.shape}; expected (head, left, right), none of them 0"
        )
    if most < 1:
        raise ValueError(f"most={most!r}; expected at least one line")
    flat = weights.ravel().astype(float)
    order = np.argsort(-flat, kind="stable")[:most]
    order = order[(flat[order] > 0) & (flat[order] >= least)]
    head, left, right = np.unravel_index(order, weights.shape)
    return Lines(head, left, right, flat[order], flat.size, float(flat.sum()))


def partners(weights: np.ndarray, side: str) -> list[Partner]:
    """For each item of one side its strongest line, drawn or not.

    Parameters
    ----------
    weights
        `(head, left, right)` in [0, 1].
    side
        "left" or "right".
    """
    ours = np.moveaxis(weights, 1 if side == "left" else 2, 0)  # (item, head, other side)
    found = []
    for block in ours:
        head, item = np.unravel_index(int(block.argmax()), block.shape)
        found.append(Partner(int(item), int(head), float(block[head, item])))
    return found


def only(weights: np.ndarray, lines: Lines, side: str, item: int) -> Lines:
    """The lines of one item; where it has none among the strongest, its own strongest one.

    Parameters
    ----------
    weights
        `(head, left, right)` that `lines` were chosen from.
    side
        "left" or "right".
    """
    own = lines.of(side, item)
    best = partners(weights, side)[item]
    if len(own) or best.weight <= 0:
        return own
    ends = (item, best.item) if side == "left" else (best.item, item)
    head, left, right, weight = (np.array([one]) for one in (best.head, *ends, best.weight))
    return Lines(head, left, right, weight, lines.possible, lines.total)
