import itertools

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from value_nb.agreement import contingency, nmi
from value_nb.kmeans import two_means


def sets(
    n: int, width: int, seed: int, gap: float = 2.0, longest: int = 20
) -> tuple[torch.Tensor, torch.Tensor]:
    """Padded point sets of different sizes; padding holds large numbers, so that using it would show."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(4, longest + 1, n)
    points = torch.full((n, longest, width), 1e4)
    for k, size in enumerate(sizes):
        cloud = rng.normal(size=(size, width))
        cloud[: size // 2, 0] += gap * rng.random()
        points[k, :size] = torch.from_numpy(cloud).float()
    return points, torch.arange(longest) < torch.from_numpy(sizes)[:, None]


def names(n: int) -> list[str]:
    return [f"e{k}" for k in range(n)]


WIDTHS = pytest.mark.parametrize("width", [3, 50], ids=["by the points", "by inner products"])


def scikit(cloud: np.ndarray, starts: int | np.ndarray = 10) -> KMeans:
    n_init = starts if isinstance(starts, int) else 1
    how = {} if isinstance(starts, int) else {"init": starts}
    return KMeans(n_clusters=2, n_init=n_init, random_state=0, tol=0, **how).fit(cloud)


def inertia_by_hand(cloud: np.ndarray, labels: np.ndarray) -> float:
    parts = (part for part in (cloud[labels], cloud[~labels]) if len(part))
    return sum(((part - part.mean(axis=0)) ** 2).sum() for part in parts)


def agreement_of(labels: torch.Tensor, theirs: KMeans) -> float:
    return float(nmi(contingency(labels.numpy(), theirs.labels_, np.ones(len(labels)))))


@WIDTHS
def test_partition_is_that_of_scikit_learn_where_there_are_two_groups(width):
    points, valid = sets(15, width, seed=0, gap=0.0)
    points[:, ::2, :2] += 10.0
    found = two_means(points, valid, names(15), seed=0)
    for k in range(15):
        theirs = scikit(points[k, valid[k]].double().numpy(), 3)
        assert found.inertia[k].item() == pytest.approx(theirs.inertia_, rel=1e-9)
        assert agreement_of(found.labels[k, valid[k]], theirs) == pytest.approx(1.0)


@WIDTHS
def test_inertia_is_as_low_as_that_of_scikit_learn_where_there_are_none(width):
    """A cloud has many splits that Lloyd's steps, all that scikit-learn takes, do not improve."""
    points, valid = sets(40, width, seed=0, gap=0.0)
    found = two_means(points, valid, names(40), seed=0).inertia.numpy()
    theirs = np.array([scikit(points[k, valid[k]].double().numpy()).inertia_ for k in range(40)])
    assert (found <= theirs * (1 + 1e-9)).mean() >= 0.9
    assert (found / theirs).max() < 1.01 and np.median(found / theirs) <= 1 + 1e-9


@WIDTHS
def test_no_move_of_a_single_point_improves_what_is_found(width):
    points, valid = sets(20, width, seed=4, gap=0.0)
    found = two_means(points, valid, names(20), seed=0, restarts=1)
    for k in range(20):
        cloud, labels = points[k, valid[k]].double().numpy(), found.labels[k, valid[k]].numpy()
        for i in range(len(cloud)):
            moved = labels.copy()
            moved[i] = not moved[i]
            assert inertia_by_hand(cloud, moved) >= found.inertia[k].item() * (1 - 1e-6)


def test_best_of_all_splits_is_found_in_small_clouds():
    points, valid = sets(12, 30, seed=8, gap=0.0, longest=9)
    found = two_means(points, valid, names(12), seed=0).inertia
    for k in range(12):
        cloud = points[k, valid[k]].double().numpy()
        splits = itertools.product([False, True], repeat=len(cloud) - 1)
        best = min(inertia_by_hand(cloud, np.array([False, *split])) for split in splits)
        assert found[k].item() == pytest.approx(best, rel=1e-9)


@WIDTHS
def test_scikit_learn_cannot_improve_on_what_is_found(width):
    points, valid = sets(20, width, seed=3, gap=0.0)
    found = two_means(points, valid, names(20), seed=0, restarts=2)
    for k in range(20):
        cloud, labels = points[k, valid[k]].double().numpy(), found.labels[k, valid[k]]
        means = np.stack([cloud[~labels.numpy()].mean(axis=0), cloud[labels.numpy()].mean(axis=0)])
        theirs = scikit(cloud, means)
        assert found.inertia[k].item() == pytest.approx(theirs.inertia_, rel=1e-9)
        assert agreement_of(labels, theirs) == pytest.approx(1.0)


def test_inertia_is_that_of_the_labels():
    points, valid = sets(8, 5, seed=1)
    found = two_means(points, valid, names(8), seed=0)
    for k in range(8):
        cloud, labels = points[k, valid[k]].double().numpy(), found.labels[k, valid[k]].numpy()
        assert found.inertia[k].item() == pytest.approx(inertia_by_hand(cloud, labels), rel=1e-10)


def test_batch_and_padding_do_not_matter():
    points, valid = sets(12, 9, seed=2)
    together = two_means(points, valid, names(12), seed=4)
    for k in range(12):
        n = int(valid[k].sum())
        alone = two_means(points[k : k + 1, :n], valid[k : k + 1, :n], [f"e{k}"], seed=4)
        assert torch.equal(alone.labels[0], together.labels[k, :n])
        assert alone.inertia[0].item() == pytest.approx(together.inertia[k].item(), rel=1e-12)


def test_two_clear_groups_are_found():
    points = torch.tensor([[[0.0, 0.0], [0.1, 0.0], [9.0, 9.0], [9.1, 9.0], [9.0, 9.1]]])
    labels = two_means(points, torch.ones(1, 5, dtype=torch.bool), ["a"], seed=0).labels[0]
    assert len(set(labels[:2].tolist())) == len(set(labels[2:].tolist())) == 1 and labels[0] != labels[2]


def test_points_that_are_all_the_same_form_one_part():
    points = torch.full((1, 6, 4), 0.1)
    found = two_means(points, torch.ones(1, 6, dtype=torch.bool), ["a"], seed=0)
    assert not found.labels.any() and found.inertia.item() == 0


def test_one_point_and_two_points():
    points, valid = (
        torch.tensor([[[1.0], [5.0]], [[1.0], [7.0]]]),
        torch.tensor([[True, True], [True, False]]),
    )
    found = two_means(points, valid, ["a", "b"], seed=0)
    assert found.labels[0, 0] != found.labels[0, 1] and found.inertia.tolist() == [0.0, 0.0]


def test_more_starts_never_fit_worse():
    points, valid = sets(20, 8, seed=5, gap=0.0)
    few = two_means(points, valid, names(20), seed=0, restarts=1).inertia
    many = two_means(points, valid, names(20), seed=0, restarts=20).inertia
    assert (many <= few * (1 + 1e-9)).all() and (many < few * 0.999).any()


def test_input_is_left_alone():
    points, valid = sets(3, 4, seed=6)
    before = points.clone()
    two_means(points, valid, names(3), seed=0)
    assert torch.equal(points, before)


def test_errors_say_what_came():
    points, valid = sets(2, 4, seed=7)
    with pytest.raises(ValueError, match=r"1 ids do not fit; expected \(set, position, width\)"):
        two_means(points, valid, ["a"], seed=0)
    with pytest.raises(ValueError, match="set 'b' has no valid point"):
        two_means(points, valid & torch.tensor([[True], [False]]), ["a", "b"], seed=0)
    with pytest.raises(ValueError, match="restarts is 0"):
        two_means(points, valid, ["a", "b"], seed=0, restarts=0)
