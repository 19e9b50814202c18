"""What attention between a phrase and the regions comes to: hits, weights, and chains that swap regions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from value_nb import seeds
from value_nb.exact import exact

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 64  # images whose permutations are held at one time


def top_regions(weights: Tensor, rank: Tensor, valid: Tensor) -> Tensor:
    """The region with the largest weight; of several equal ones that of the lowest rank.

    Parameters
    ----------
    weights
        `(mention, head, region)`.
    rank
        `(mention, region)`: a shuffled order of the regions, so that ties favour none.
    valid
        `(mention, region)` bool: False where there is no region.

    Returns
    -------
    `(mention, head)` int64.

    Examples
    --------
    >>> import torch
    >>> weights, rank = torch.tensor([[[0.2, 0.4, 0.4]]]), torch.tensor([[0, 2, 1]])
    >>> top_regions(weights, rank, torch.ones(1, 3, dtype=torch.bool)).tolist()
    [[2]]
    """
    shown = weights.where(valid[:, None], float("-inf"))
    largest = (shown == shown.amax(dim=-1, keepdim=True)) & valid[:, None]
    return rank[:, None].where(largest, rank.shape[-1]).argmin(dim=-1)


def region_ranks(image_id: str, seed: int, regions: int) -> np.ndarray:
    """`(region,)` int64: a shuffled order of a picture's regions, the same for all its captions."""
    return seeds.uniforms(image_id, seed, regions, purpose="region order").argsort().argsort()


def averaging(chosen: Tensor) -> Tensor:
    """Factors by which weights of regions are multiplied and added up to mean weights of chosen regions.

    Parameters
    ----------
    chosen
        `(mention, region, set)` bool.

    Returns
    -------
    `(mention, region, set)` float64: 1 / number of chosen regions on each of them, else 0; nan for a mention
    without chosen regions.

    Examples
    --------
    >>> import torch
    >>> averaging(torch.tensor([[[True], [True], [False]]]))[0, :, 0].tolist()
    [0.5, 0.5, 0.0]
    """
    sets = exact(chosen)
    return sets / sets.sum(dim=1, keepdim=True)


@dataclass(frozen=True, slots=True)
class ImageHits:
    """How often each chain's mentions look at each chain's regions, in one picture.

    Attributes
    ----------
    image_id
        Decides the permutations.
    counts
        `(chain, set, head)`: mentions of the chain whose largest weight falls on the regions of the chain
        `set`; the diagonal holds the hits.
    mentions
        `(chain,)`: how many mentions each chain has, wherever they look.
    """

    image_id: str
    counts: np.ndarray
    mentions: np.ndarray

    @property
    def observed(self) -> np.ndarray:
        """`(head,)`: mentions that look at their own chain's regions."""
        return np.einsum("cch->h", self.counts)


def image_hits(image_id: str, top: np.ndarray, chain: np.ndarray, sets: np.ndarray) -> ImageHits:
    """Count hits in one picture.

    Parameters
    ----------
    top
        `(mention, head)`: the region that each mention looks at.
    chain
        `(mention,)`: its chain, a row of `sets`.
    sets
        `(chain, region)` bool: the regions of each chain.
    """
    looked_at = sets[:, top].astype(np.float32)  # (set, mention, head)
    counts = np.zeros((len(sets), len(sets), top.shape[1]), dtype=np.float32)
    np.add.at(counts, chain, looked_at.transpose(1, 0, 2))
    return ImageHits(image_id, counts, np.bincount(chain, minlength=len(sets)))


def within(hits: ImageHits, chains: np.ndarray) -> ImageHits:
    """The same among some chains only: they look, and they swap among themselves."""
    return ImageHits(hits.image_id, hits.counts[np.ix_(chains, chains)], hits.mentions[chains])


def can_swap(images: Iterable[ImageHits]) -> Iterator[ImageHits]:
    """The pictures with at least two chains."""
    return (image for image in images if len(image.mentions) > 1)


def chain_orders(image_id: str, seed: int, chains: int, permutations: int) -> np.ndarray:
    """`(permutation, chain)` int64: which chain's regions each chain is given, uniformly drawn."""
    draws = seeds.uniforms(image_id, seed, permutations * chains, purpose="chain permutation")
    return draws.reshape(permutations, chains).argsort(axis=1)


@dataclass(frozen=True, slots=True)
class Permuted:
    """Hits as they are, and when the chains of each picture swap their regions.

    Attributes
    ----------
    observed
        `(head,)` float64.
    null
        `(permutation, head)` float64.
    n, n_images
        The mentions and pictures that have something to swap.
    """

    observed: np.ndarray
    null: np.ndarray
    n: int
    n_images: int


def permuted_hits(images: Iterable[ImageHits], seed: int, permutations: int) -> Permuted:
    """Have the chains of each picture swap their regions.

    One permutation of a picture holds for all its captions, for all mentions of a chain and for all heads.
    A picture with one chain adds nothing: it has nothing to swap.

    Parameters
    ----------
    images
        The same heads in each; gone through once, in any order: hits are whole numbers, whose sums are exact.
    seed, permutations
        A picture's permutations depend on its id and the seed alone.
    """
    swapping = can_swap(images)
    observed, null, n, n_images = np.zeros(0), np.zeros((permutations, 0)), 0, 0
    while block := [*islice(swapping, BLOCK)]:
        heads = block[0].counts.shape[2]
        if not n_images:
            observed, null = np.zeros(heads), np.zeros((permutations, heads))
        given = np.concatenate([*_given(block, seed, permutations)], axis=1)
        null += given @ np.concatenate([_looking(image).reshape(-1, heads) for image in block])
        observed += sum(image.observed for image in block)
        n, n_images = n + sum(int(image.mentions.sum()) for image in block), n_images + len(block)
    return Permuted(observed, null, n, n_images)


def _looking(image: ImageHits) -> np.ndarray:
    """The counts of the chains that have mentions here; the others would add zeros."""
    return image.counts[_rows(image)]


def _rows(image: ImageHits) -> np.ndarray:
    return np.flatnonzero(image.mentions)


def _given(images: Sequence[ImageHits], seed: int, permutations: int) -> Iterator[np.ndarray]:
    """For each picture `(permutation, chain * set)` float32: 1 where the chain is given that set."""
    for image in images:
        chains = len(image.counts)
        orders = chain_orders(image.image_id, seed, chains, permutations)[:, _rows(image)]
        yield (orders[..., None] == np.arange(chains)).reshape(permutations, -1).astype(np.float32)
