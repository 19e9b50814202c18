import numpy as np
import pytest

from value_nb.probes.separability import held_out_accuracy


def cloud(
    gap: float, n: int = 600, width: int = 5, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3 == 0
    states = rng.normal(size=(n, width)) * [10.0, *[1.0] * (width - 1)]
    states[:, 1] += gap * labels
    return states.astype(np.float32), labels, np.array([f"i{k // 6}" for k in range(n)], dtype=object)


def balanced(right: np.ndarray, labels: np.ndarray) -> float:
    return float((np.nanmean(right[labels]) + np.nanmean(right[~labels])) / 2)


def test_a_small_direction_is_found_under_larger_differences():
    """Two-means would cut along the first dimension, ten times wider; a plane still parts the kinds."""
    states, labels, images = cloud(gap=8.0)
    assert balanced(held_out_accuracy(states, labels, images, seed=0), labels) == 1.0


@pytest.mark.parametrize(("gap", "low", "high"), [(0.0, 0.44, 0.56), (2.0, 0.80, 0.88)])
def test_accuracy_is_that_of_the_best_plane(gap, low, high):
    """Two unit normals 2 apart are told apart by a plane with probability 0.841."""
    states, labels, images = cloud(gap, n=6000)
    assert low < balanced(held_out_accuracy(states, labels, images, seed=0), labels) < high


def test_nothing_is_learned_from_the_picture_itself():
    """Kinds differ by picture only, at random: a fit on the same pictures would tell them apart."""
    rng = np.random.default_rng(1)
    images = np.array([f"i{k // 2}" for k in range(400)], dtype=object)
    states = np.repeat(rng.normal(size=(200, 150)), 2, axis=0).astype(np.float32)
    labels = np.repeat(rng.random(200) < 0.5, 2)
    assert balanced(held_out_accuracy(states, labels, images, seed=0), labels) < 0.6


def test_states_that_are_all_the_same_are_at_chance():
    labels, images = np.arange(40) % 2 == 0, np.array([f"i{k}" for k in range(40)])
    assert balanced(held_out_accuracy(np.ones((40, 3)), labels, images, 0), labels) == 0.5


def test_kinds_without_spread_are_told_apart():
    labels = np.arange(40) % 2 == 0
    states = np.where(labels[:, None], 1.0, -1.0) * np.ones((40, 3))
    assert (
        balanced(held_out_accuracy(states, labels, np.array([f"i{k}" for k in range(40)]), 0), labels) == 1.0
    )


def test_one_half_of_the_pictures_is_tested_and_whole_pictures_at_that():
    states, labels, images = cloud(gap=1.0)
    tested = ~np.isnan(held_out_accuracy(states, labels, images, seed=0))
    assert 0.3 < tested.mean() < 0.7
    assert not set(images[tested]) & set(images[~tested])


def test_too_little_to_fit_is_not_defined():
    assert held_out_accuracy(np.ones((4, 2)), np.array([True, False] * 2), np.array(["a"] * 4), 0) is None
