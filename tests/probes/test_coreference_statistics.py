"""Arg max with ties, hits by hand, permutations against plain loops, level and power."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest
import torch

from value_nb import stats
from value_nb.probes.coreference_statistics import (
    ImageHits,
    averaging,
    chain_orders,
    image_hits,
    permuted_hits,
    region_ranks,
    top_regions,
    within,
)


def test_ties_go_to_the_lowest_rank_and_regions_that_are_not_there_to_none():
    weights = torch.tensor([[[0.5, 0.5, 0.9], [0.1, 0.2, 0.9]]])
    valid = torch.tensor([[True, True, False]])
    for rank, first in (([0, 1, 2], 0), ([1, 0, 2], 1)):
        assert top_regions(weights, torch.tensor([rank]), valid).tolist() == [[first, 1]]


def test_equal_weights_favour_no_place():
    """Region 0 wins as often as any other over many pictures."""
    wins = np.zeros(5)
    for image in range(500):
        rank = torch.from_numpy(region_ranks(f"i{image}", 0, 5)[None])
        wins[top_regions(torch.ones(1, 1, 5), rank, torch.ones(1, 5, dtype=torch.bool))[0, 0]] += 1
    assert wins.min() > 70 and wins.max() < 130
    assert region_ranks("i1", 0, 5).tolist() != region_ranks("i1", 3, 5).tolist()


def test_mean_weights_by_hand():
    weights = torch.tensor([[[0.1, 0.3, 0.8]], [[1.0, 1.0, 1.0]]]).double()  # (mention, head, region)
    chosen = torch.tensor([[True, True, False], [False, False, False]])
    found = (weights @ averaging(torch.stack([chosen, ~chosen], dim=-1))).numpy()
    assert found[0, 0].tolist() == pytest.approx([0.2, 0.8])
    assert np.isnan(found[1, 0, 0]) and found[1, 0, 1] == pytest.approx(1.0)


# Two heads, three chains on regions {0, 1}, {2}, {3}; region 4 belongs to none.
SETS = np.array([[1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0]], dtype=bool)
TOP = np.array([[1, 4], [0, 2], [2, 2], [0, 3]])
CHAIN = np.array([0, 0, 1, 2])


def test_hits_by_hand():
    found = image_hits("a", TOP, CHAIN, SETS)
    assert found.counts[:, :, 0].tolist() == [[2, 0, 0], [0, 1, 0], [1, 0, 0]]
    assert found.counts[:, :, 1].tolist() == [[0, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert found.observed.tolist() == [3, 2] and found.mentions.tolist() == [2, 1, 1]
    alike = within(found, np.array([0, 2]))
    assert alike.observed.tolist() == [2, 1] and alike.mentions.tolist() == [2, 1]


def test_permuted_hits_against_a_plain_loop():
    rng = np.random.default_rng(0)
    images = []
    for name in ("b", "a", "c"):
        chains = int(rng.integers(2, 5))
        sets = rng.random((chains, 6)) < 0.4
        chain = rng.integers(0, chains, size=7)
        images.append((image_hits(name, rng.integers(0, 6, size=(7, 3)), chain, sets), chain, sets))
    found = permuted_hits([image for image, _, _ in images], seed=4, permutations=50)
    assert (found.n, found.n_images) == (21, 3)
    for drawn in range(50):
        expected = np.zeros(3)
        for image, _, _ in images:
            order = chain_orders(image.image_id, 4, len(image.counts), 50)[drawn]
            for chain, given in enumerate(order):
                expected += image.counts[chain, given]
        assert np.allclose(found.null[drawn], expected)
    assert np.allclose(found.observed, sum(image.observed for image, _, _ in images))


def test_every_order_comes_equally_often():
    orders = chain_orders("a", 0, 3, 6000)
    for order in permutations(range(3)):
        assert abs((orders == order).all(axis=1).mean() - 1 / 6) < 0.02


def test_a_picture_with_one_chain_adds_nothing():
    one = image_hits("a", np.array([[0], [0]]), np.array([0, 0]), SETS[:1])
    two = image_hits("b", np.array([[0], [2]]), np.array([0, 1]), SETS[:2])
    alone, both = (permuted_hits(images, 0, 100) for images in ([two], [one, two]))
    assert np.array_equal(alone.observed, both.observed) and np.array_equal(alone.null, both.null)
    assert (alone.n, alone.n_images) == (both.n, both.n_images) == (2, 1)
    assert permuted_hits([one], 0, 10).null.shape == (10, 0)


def test_the_order_of_pictures_does_not_matter():
    images = [image_hits(name, TOP, CHAIN, SETS) for name in "abc"]
    first, second = (permuted_hits(some, 0, 60) for some in (images, images[::-1]))
    assert np.array_equal(first.null, second.null)


def drawn_images(rng: np.random.Generator, signal: float, heads: int, images: int = 25) -> list[ImageHits]:
    """Four chains on their own regions; in head 0 a share `signal` of mentions looks there."""
    found = []
    for image in range(images):
        chain = np.repeat(np.arange(4), 2)
        top = rng.integers(0, 6, size=(8, heads))
        top[:, 0] = np.where(rng.random(8) < signal, chain, top[:, 0])
        found.append(image_hits(f"i{image}", top, chain, np.eye(4, 6, dtype=bool)))
    return found


def test_nothing_planted_is_found_at_the_nominal_rate():
    """One head, and the map of ten: at most 18 of 200 below 5 % (99 % binomial bound)."""
    rng = np.random.default_rng(0)
    single = whole = 0
    for draw in range(200):
        found = permuted_hits(drawn_images(rng, 0.0, 10), draw, 199)
        observed, null = found.observed, found.null
        single += stats.permutation_p(observed[0], null[:, 0]) <= 0.05
        whole += np.nanmin(stats.max_statistic_p(observed, null)) <= 0.05
    assert single <= 18 and whole <= 18


def test_a_head_that_knows_regions_but_not_which_is_not_found():
    """Looking at annotated regions in general, whatever the phrase, passes chance and not the permutation."""
    rng = np.random.default_rng(1)
    found = 0
    for draw in range(200):
        images = []
        for image in range(15):
            chain = np.repeat(np.arange(4), 2)
            images.append(
                image_hits(f"i{image}", rng.integers(0, 4, size=(8, 1)), chain, np.eye(4, 20, dtype=bool))
            )
        drawn = permuted_hits(images, draw, 199)
        found += stats.permutation_p(drawn.observed[0], drawn.null[:, 0]) <= 0.05
    assert found <= 18


def test_power_grows_with_the_signal():
    rng = np.random.default_rng(2)
    power = []
    for signal in (0.0, 0.05, 0.1, 0.2, 0.4):
        p = []
        for draw in range(60):
            found = permuted_hits(drawn_images(rng, signal, 1), draw, 199)
            p.append(stats.permutation_p(found.observed[0], found.null[:, 0]))
        power.append(np.mean(np.array(p) <= 0.05))
    assert all(a <= b for a, b in pairwise(power)), power
    assert power[0] <= 0.12 and power[-1] == 1.0
