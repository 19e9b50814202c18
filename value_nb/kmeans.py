"""Two-means: the best split of a set of points in two, for many sets at once.

Everything is written with inner products. With K the centred inner products of a set's points and z the
0/1 membership of one cluster of n1 points, the squared distance of point i to that cluster's mean is
K_ii - 2 (K z)_i / n1 + z'Kz / n1^2. A pair has fewer positions than a state has dimensions, so that is
many times cheaper than going through the states, and equal to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from value_nb import seeds
from value_nb.exact import exact

if TYPE_CHECKING:
    from torch import Tensor

RESTARTS = 40  # mean AMI of 200 pairs, each layer of mini-uniter and mini-lxmert: within 0.004 of 200 starts
MAX_ITERATIONS = 100
SHRINK = 0.7  # of the starts of a set: fewer that still move go on without the others
TIE = 1e-9  # runs whose inertia differs by less than this share of the variance are equal: the first is taken
COLLAPSED = 1e-20  # of the squared length of the states: less variance than this is rounding


@dataclass(frozen=True, slots=True)
class TwoMeans:
    """The best split found for each set.

    Attributes
    ----------
    labels
        `(set, position)` bool; False on padding. Which part is called True has no meaning.
    inertia
        `(set,)` float64: sum of squared distances to the mean of the own part; lower is tighter.
    """

    labels: Tensor
    inertia: Tensor


def two_means(
    points: Tensor,
    valid: Tensor,
    ids: Sequence[str],
    *,
    seed: int,
    restarts: int = RESTARTS,
    max_iterations: int = MAX_ITERATIONS,
) -> TwoMeans:
    """k-means with k = 2 on each set, best of several k-means++ starts, in float64.

    Steps are Lloyd's and, where these stop, moves of single points (Hartigan). On the states of pairs many
    splits cannot be improved by Lloyd's steps alone, and the fewer the starts, the further from the best.

    The starts of a set come from a hash of its id and the seed, and number its valid points in order:
    neither the other sets of the batch nor padding changes the answer. Points that are all the same
    form one part.

    Parameters
    ----------
    points
        `(set, position, width)`; not written into.
    valid
        `(set, position)` bool: the points that exist.
    ids
        One name for each set, for instance the example's id.
    seed, restarts, max_iterations
        Seed and number of the starts; steps end when none helps, or after `max_iterations` of them.

    Raises
    ------
    ValueError
        When shapes do not fit, a set is empty, or `restarts` is below 1.
    """
    _check(points, valid, ids, restarts)
    return split(Products(centred(points, valid)), valid, ids, seed, restarts, max_iterations)


def split(
    products: Products,
    valid: Tensor,
    ids: Sequence[str],
    seed: int,
    restarts: int,
    max_iterations: int = MAX_ITERATIONS,
) -> TwoMeans:
    """`two_means` of points whose inner products are there already."""
    import torch

    with torch.no_grad():
        mask = valid.to(products.points.dtype)
        chosen = _starts(products, valid, ids, seed, restarts)
        members = _descend(products, mask, chosen, max_iterations)
        inertia = _inertia(products, mask, members)
        tie = TIE * products.diagonal.sum(dim=1, keepdim=True)
        best = (inertia <= inertia.amin(dim=1, keepdim=True) + tie).int().argmax(dim=1)
        rows = torch.arange(len(best), device=best.device)
        return TwoMeans(members[rows, best] > 0, inertia[rows, best])


def centred(points: Tensor, valid: Tensor) -> Tensor:
    """Points minus the mean of their set, float64; 0 on padding, and everywhere in a set without spread."""
    import torch

    mask = valid.unsqueeze(-1)
    kept = torch.where(mask, exact(points), 0.0)
    mean = kept.sum(dim=1, keepdim=True) / mask.sum(dim=1, keepdim=True).clamp(min=1)
    moved = torch.where(mask, kept - mean, 0.0)
    spread, length = moved.square().sum(dim=(1, 2)), kept.square().sum(dim=(1, 2))
    return torch.where((spread > COLLAPSED * length)[:, None, None], moved, 0.0)


class Products:
    """Inner products of the points of each set: as a matrix where that is smaller, else by the points."""

    def __init__(self, points: Tensor) -> None:
        self.points = points
        self.diagonal = points.square().sum(dim=-1)  # (set, position)
        dense = points.shape[1] <= points.shape[2]
        self.gram = points @ points.transpose(1, 2) if dense else None

    def apply(self, members: Tensor) -> Tensor:
        """K z for each row z: `(set, restart, position)` -> the same shape."""
        if self.gram is not None:
            return members @ self.gram
        return (members @ self.points) @ self.points.transpose(1, 2)


def _starts(
    products: Products, valid: Tensor, ids: Sequence[str], seed: int, restarts: int
) -> tuple[Tensor, Tensor]:
    """k-means++: a point at random, then one with probability in proportion to squared distance.

    Returns two `(set, restart)` tensors of positions.
    """
    import torch

    draws = np.stack([seeds.uniforms(i, seed, 2 * restarts, purpose="two-means") for i in ids])
    one, two = torch.from_numpy(draws).to(products.points.device).view(len(ids), restarts, 2).unbind(-1)
    rank = valid.cumsum(dim=1)  # 1, 2, ... at the valid positions
    wanted = (one * rank[:, -1:]).long() + 1
    first = torch.searchsorted(rank, wanted)
    distance = _distances(products, first) * valid.unsqueeze(1)
    reach = distance.cumsum(dim=-1)
    second = torch.searchsorted(reach, (two * reach[..., -1]).unsqueeze(-1), right=True).squeeze(-1)
    return first, torch.where(reach[..., -1] > 0, second.clamp(max=valid.shape[1] - 1), first)


def _distances(products: Products, chosen: Tensor) -> Tensor:
    """Squared distances to a chosen point: `(set, restart)` -> `(set, restart, position)`."""
    import torch

    points = torch.nn.functional.one_hot(chosen, products.points.shape[1]).to(products.points.dtype)
    own = products.diagonal.gather(1, chosen).unsqueeze(-1)
    return (products.diagonal.unsqueeze(1) + own - 2 * products.apply(points)).clamp(min=0)


def _descend(products: Products, mask: Tensor, chosen: tuple[Tensor, Tensor], max_iterations: int) -> Tensor:
    """Lloyd's steps, and where they change nothing the best move of a single point, until neither helps.

    Lloyd's steps alone stop at many splits that moving one point would improve (the mean goes with the
    point, which they do not reckon with), the more so the wider the states are.

    Returns `(set, restart, position)` 0/1 members of one part.
    """
    import torch

    mask = mask.unsqueeze(1)
    members = (_distances(products, chosen[1]) < _distances(products, chosen[0])).to(mask.dtype) * mask
    found = members.clone()
    slots = torch.arange(members.shape[1], device=members.device).expand(members.shape[:2])
    for _ in range(max_iterations):
        moved = _step(products, members, mask)
        going = (moved != members).any(dim=-1)
        found.scatter_(1, slots.unsqueeze(-1).expand_as(moved), moved)
        most = int(going.sum(dim=1).max())
        if not most:
            break
        if most < SHRINK * members.shape[1]:  # go on without most of those that have come to rest
            first = going.int().argsort(dim=1, descending=True, stable=True)[:, :most]
            slots, moved = slots.gather(1, first), _rows(moved, first)
        members = moved
    return found


def _rows(members: Tensor, chosen: Tensor) -> Tensor:
    """`(set, restart, position)` -> the chosen restarts `(set, chosen)` of each set."""
    return members.gather(1, chosen.unsqueeze(-1).expand(-1, -1, members.shape[-1]))


def _step(products: Products, members: Tensor, mask: Tensor) -> Tensor:
    """Members after one of Lloyd's steps; where that changes nothing, after the best move of one point."""
    import torch

    sums = products.apply(members)
    parts = _Parts.of(sums, members, mask)
    moved = (sums > parts.border()).to(mask.dtype) * mask
    settled = (moved == members).all(dim=-1, keepdim=True)
    gain, best = parts.gain(products.diagonal.unsqueeze(1), sums, members, mask).max(dim=-1, keepdim=True)
    worth = settled & (gain > TIE * products.diagonal.sum(dim=-1)[:, None, None])
    changed = members.scatter(-1, best, 1 - members.gather(-1, best))
    return torch.where(worth, changed, torch.where(settled, members, moved))


@dataclass(frozen=True, slots=True)
class _Parts:
    """Both parts of each split: `(set, restart, 1)` each.

    A point's squared distance to the mean of one part is K_ii + `near` - 2 s_i / one, and to that of the
    other K_ii + `far` + 2 s_i / two, where s is K times the members: points are centred, so the inner
    products with the other part's sum are those with this one's, negated.

    Attributes
    ----------
    one, two
        How many points.
    near, far
        Squared lengths of the means.
    """

    one: Tensor
    two: Tensor
    near: Tensor
    far: Tensor

    @classmethod
    def of(cls, sums: Tensor, members: Tensor, mask: Tensor) -> _Parts:
        """From K times the members, and the members."""
        within = (sums * members).sum(dim=-1, keepdim=True)
        one, two = (part.sum(dim=-1, keepdim=True) for part in (members, mask - members))
        return cls(one, two, *(within / part.clamp(min=1).square() for part in (one, two)))

    def border(self) -> Tensor:
        """Above this s, the mean of the one part is nearer (Lloyd's step); infinite where one is empty."""
        import torch

        middle = (self.near - self.far) / (2 / self.one + 2 / self.two)
        middle = torch.where(self.one > 0, middle, torch.inf)
        return torch.where(self.two > 0, middle, -torch.inf)

    def gain(self, diagonal: Tensor, sums: Tensor, members: Tensor, mask: Tensor) -> Tensor:
        """How much lower the inertia is once a point has moved to the other part (Hartigan); -inf on padding.

        A point at squared distance d from the mean of its own part of n points, itself included, takes
        n / (n - 1) d with it; in the other part, of m points without it, it costs m / (m + 1) times its
        squared distance there, and nothing in an empty one.
        """
        import torch

        out = _moving(self.one, self.near, self.two, self.far, diagonal, -sums)
        back = _moving(self.two, self.far, self.one, self.near, diagonal, sums)
        return torch.where(mask > 0, torch.where(members > 0, out, back), -torch.inf)


def _moving(n: Tensor, own: Tensor, m: Tensor, other: Tensor, diagonal: Tensor, sums: Tensor) -> Tensor:
    """The gain where each point lies in the part of `n` points; `sums` are negated for the one part.

    n / (n - 1) (K + own + 2 s / n) - m / (m + 1) (K + other - 2 s / m), as K times something, plus s times
    something, plus something; 0 for leaving nothing behind, and for joining nothing.
    """
    alone = (n <= 1).to(n.dtype)
    leave = (1 - alone) / (n - 1).clamp(min=1)  # 1 / (n - 1)
    join = (m > 0).to(m.dtype) / (m + 1)  # 1 / (m + 1)
    still = n * leave * own - m * join * other
    return (still + diagonal * (n * leave - m * join)).addcmul(sums, 2 * (leave + join))


def _inertia(products: Products, mask: Tensor, members: Tensor) -> Tensor:
    """`(set, restart)`: total squared length less what the two means account for."""
    within = (products.apply(members) * members).sum(dim=-1)
    one, two = (part.sum(dim=-1).clamp(min=1) for part in (members, mask.unsqueeze(1) - members))
    return (products.diagonal.sum(dim=-1, keepdim=True) - within / one - within / two).clamp(min=0)


def _check(points: Tensor, valid: Tensor, ids: Sequence[str], restarts: int) -> None:
    if points.ndim != 3 or points.shape[:2] != valid.shape or len(ids) != len(points):
        raise ValueError(
            f"points {tuple(points.shape)}, valid {tuple(valid.shape)} and {len(ids)} ids do not fit; "
            "expected (set, position, width), (set, position) and one id for each set"
        )
    if not bool(valid.any(dim=1).all()):
        empty = ids[int((~valid.any(dim=1)).nonzero()[0])]
        raise ValueError(f"set {empty!r} has no valid point; leave it out")
    if restarts < 1:
        raise ValueError(f"restarts is {restarts}; at least 1 start is needed, {RESTARTS} are usual")
