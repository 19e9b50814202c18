import math

import numpy as np
import pytest

from value_nb import stats


def ids(n: int, prefix: str = "img") -> list[str]:
    return [f"{prefix}{k}" for k in range(n)]


def test_weights_are_poisson():
    weights = stats.poisson_weights(ids(300), seed=0, replicates=1000)
    share = np.bincount(weights.ravel(), minlength=8)[:5] / weights.size
    expected = [math.exp(-1) / math.factorial(k) for k in range(5)]
    assert np.allclose(share, expected, atol=0.002)


def test_weights_of_an_image_depend_on_it_and_the_seed_alone():
    alone = stats.poisson_weights(["b"], seed=3, replicates=50)
    assert np.array_equal(alone[0], stats.poisson_weights(["a", "b", "c"], seed=3, replicates=50)[1])
    assert not np.array_equal(alone, stats.poisson_weights(["b"], seed=4, replicates=50))


def test_a_plain_computation_by_hand():
    names, num, den = ["x", "y", "z"], np.array([1.0, 4.0, 9.0]), np.array([2.0, 2.0, 3.0])
    weights = stats.poisson_weights(names, seed=5, replicates=200).astype(float)
    ratios = []
    for b in range(200):
        below = sum(weights[i, b] * den[i] for i in range(3))
        ratios.append(sum(weights[i, b] * num[i] for i in range(3)) / below if below else math.nan)
    found = stats.ratio_interval(num, den, names, seed=5, replicates=200)
    assert found.value == 14 / 7
    known = [r for r in ratios if not math.isnan(r)]
    assert len(known) < 200, "with three images some replicate draws none of them"
    assert np.allclose([found.lo, found.hi], np.quantile(known, [0.025, 0.975]), rtol=1e-12)


def test_order_of_the_images_does_not_matter():
    rng = np.random.default_rng(0)
    num, den, names = rng.normal(size=(40, 3)), rng.integers(1, 5, (40, 3)).astype(float), ids(40)
    one = stats.ratio_interval(num, den, names, seed=0)
    mixed = rng.permutation(40)
    two = stats.ratio_interval(num[mixed], den[mixed], [names[i] for i in mixed], seed=0)
    for field in ("value", "lo", "hi"):
        assert np.array_equal(getattr(one, field), getattr(two, field))


def test_replicates_of_shards_add_up():
    rng = np.random.default_rng(1)
    sums, names = rng.normal(size=(3000, 2)), ids(3000)  # more than one block
    whole = stats.replicate_sums(sums, names, seed=2, replicates=20)
    parts = [stats.replicate_sums(sums[k::3], names[k::3], seed=2, replicates=20) for k in range(3)]
    assert np.allclose(whole, sum(parts), rtol=0, atol=1e-11)


def test_coverage_of_a_known_mean():
    """Images with one to five captions whose values share the image's mean: 95 % intervals hold the truth."""
    rng = np.random.default_rng(3)
    covered = 0
    for trial in range(400):
        captions = rng.integers(1, 6, 60)
        means = rng.normal(0.3, 1.0, 60)
        num = np.array([rng.normal(m, 0.5, c).sum() for m, c in zip(means, captions, strict=True)])
        found = stats.ratio_interval(num, captions, ids(60, f"t{trial}-"), seed=0, replicates=400)
        covered += bool(found.lo <= 0.3 <= found.hi)
    assert 0.91 <= covered / 400 <= 0.975


def test_ignoring_images_would_not_cover():
    """The same data with captions taken as independent: the interval is too narrow, so images matter."""
    rng = np.random.default_rng(4)
    covered = 0
    for trial in range(100):
        values = np.repeat(rng.normal(size=30), 5) + rng.normal(0, 0.1, 150)
        found = stats.ratio_interval(values, np.ones(150), ids(150, f"t{trial}-"), seed=0, replicates=300)
        covered += bool(found.lo <= 0 <= found.hi)
    assert covered / 100 < 0.8


def test_paired_difference_is_narrower_than_unpaired_and_exact_for_a_shift():
    rng = np.random.default_rng(5)
    first, den, names = rng.normal(size=(50, 1)), np.ones((50, 1)), ids(50)
    shift = stats.difference_interval((first, den), (first + 0.25, den), names, seed=0)
    assert np.allclose([shift.value, shift.lo, shift.hi], 0.25, atol=1e-12)
    second = first + rng.normal(0.5, 0.1, (50, 1))
    paired = stats.difference_interval((first, den), (second, den), names, seed=0)
    alone = stats.ratio_interval(second, den, names, seed=0)
    assert (paired.hi - paired.lo) < 0.5 * (alone.hi - alone.lo)
    assert paired.lo > 0.4


def test_cells_that_nothing_counts_in_are_nan():
    num, den = np.array([[1.0, 0.0, 2.0], [3.0, 0.0, 0.0]]), np.array([[1.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    found = stats.ratio_interval(num, den, ["a", "b"], seed=0)
    assert found.value[0] == 2 and np.isnan(found.value[1]) and found.value[2] == 2
    assert found.n_images.tolist() == [2, 0, 1]
    assert np.isfinite(found.lo[0]) and np.isnan(found.lo[1:]).all() and np.isnan(found.hi[1:]).all()


def test_arguments_are_not_written_into():
    num, den = np.arange(6.0).reshape(3, 2), np.ones((3, 2))
    before = num.copy(), den.copy()
    stats.ratio_interval(num, den, ["c", "a", "b"], seed=0, replicates=10)
    assert np.array_equal(num, before[0]) and np.array_equal(den, before[1])


def test_errors_say_what_came():
    with pytest.raises(ValueError, match="2 image ids for sums of shape"):
        stats.ratio_interval(np.ones(3), np.ones(3), ["a", "b"], seed=0)
    with pytest.raises(ValueError, match="image 'a' comes twice"):
        stats.ratio_interval(np.ones(3), np.ones(3), ["a", "b", "a"], seed=0)
    with pytest.raises(ValueError, match="replicates is 0"):
        stats.ratio_interval(np.ones(1), np.ones(1), ["a"], seed=0, replicates=0)
    with pytest.raises(ValueError, match=r"level is 95; expected a share"):
        stats.ratio_interval(np.ones(1), np.ones(1), ["a"], seed=0, level=95)


def test_values_of_examples_are_added_up_by_image():
    values = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, np.nan]])
    names, num, den = stats.image_sums(values, ["b", "a", "b"])
    assert names == ["a", "b"]
    assert num.tolist() == [[0, 1], [2, 0]] and den.tolist() == [[1, 1], [2, 1]]


def test_interval_of_an_accuracy_is_that_of_its_ratio():
    rng = np.random.default_rng(6)
    right, images = rng.random(200) < 0.7, np.array(ids(40))[rng.integers(0, 40, 200)]
    found = stats.mean_interval(right, images, seed=1, replicates=100)
    names = sorted(set(images.tolist()))
    num, den = np.array([[right[images == n].sum(), (images == n).sum()] for n in names], dtype=float).T
    expected = stats.ratio_interval(num, den, names, seed=1, replicates=100)
    assert (found.value, found.lo, found.hi) == (expected.value, expected.lo, expected.hi)
    assert found.value == right.mean() and found.n_images == len(names)


def test_difference_of_two_classifiers_is_paired():
    rng = np.random.default_rng(7)
    first, images = rng.random(400) < 0.5, np.array(ids(100))[rng.integers(0, 100, 400)]
    second = first.copy()
    second[:20] = True
    found = stats.mean_difference(first, second, images, seed=0)
    assert found.value == pytest.approx(second.mean() - first.mean())
    alone = stats.mean_interval(second, images, seed=0)
    assert found.hi - found.lo < 0.6 * (alone.hi - alone.lo)
    same = stats.mean_difference(first, first, images, seed=0)
    assert same.lo == same.hi == 0
    with pytest.raises(ValueError, match="expected the same examples"):
        stats.mean_difference(first, second[1:], images, seed=0)
    with pytest.raises(ValueError, match="2 rows of values for 3 examples; expected a row each"):
        stats.mean_interval(np.ones(2), ["a", "b", "c"], seed=0)
