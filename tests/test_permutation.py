import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from value_nb import stats
from value_nb.permutation import (
    PERMUTATIONS,
    holm,
    max_statistic_p,
    monte_carlo_error,
    permutation_p,
    permutations_for,
)


def test_p_counts_the_data_as_one_of_the_permutations():
    null = np.arange(9.0)  # 0 .. 8
    assert permutation_p(8.5, null) == 1 / 10
    assert permutation_p(8.0, null) == 2 / 10, "a tie is as extreme"
    assert permutation_p(-1.0, null) == 1.0
    assert permutation_p(np.array([8.5, 4.0]), np.stack([null, null], axis=1)).tolist() == [0.1, 0.6]


def test_rounding_is_no_difference():
    total = sum([0.1] * 10)
    assert total != 1.0
    assert permutation_p(1.0, np.array([total, 0.0, 0.0])) == 2 / 4


def test_nan_stays_nan():
    null = np.zeros((4, 3))
    null[2, 1] = np.nan
    found = permutation_p(np.array([1.0, 1.0, np.nan]), null)
    assert found[0] == 1 / 5 and np.isnan(found[1:]).all()


def test_monte_carlo_error_by_hand_and_by_repetition():
    assert monte_carlo_error(0.5, 100) == 0.05
    rng = np.random.default_rng(0)
    ps = [float(permutation_p(1.0, rng.normal(size=400))) for _ in range(300)]
    assert np.std(ps) == pytest.approx(float(monte_carlo_error(np.mean(ps), 400)), rel=0.15)


def test_the_usual_number_of_permutations_keeps_the_error_below_one_in_a_hundred():
    assert permutations_for(0.01) == PERMUTATIONS == 2500
    assert monte_carlo_error(np.linspace(0, 1, 101), PERMUTATIONS).max() <= 0.01
    assert monte_carlo_error(0.5, permutations_for(0.02) - 1) > 0.02


def test_holm_by_hand():
    """Smallest first: 0.005 x 4, 0.01 x 3, 0.03 x 2, 0.04 x 1 raised to 0.06."""
    assert np.allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.6, 0.7])).tolist() == [1.0, 1.0]
    table = holm(np.array([[0.01, np.nan], [0.02, 0.5]]))
    assert np.allclose(table, [[0.03, np.nan], [0.04, 0.5]], equal_nan=True)
    assert holm(np.zeros(0)).shape == (0,)


def slow_holm(p: list[float]) -> list[float]:
    """The procedure as written: the smallest level at which each hypothesis is rejected, found by trying."""
    order = sorted(range(len(p)), key=lambda k: p[k])
    adjusted = [0.0] * len(p)
    for rank, k in enumerate(order):
        adjusted[k] = min(1.0, max((len(p) - r) * p[j] for r, j in enumerate(order[: rank + 1])))
    return adjusted


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(max_examples=100, deadline=None)
def test_holm_is_the_procedure_and_lies_between_raw_and_bonferroni(p):
    found = holm(np.array(p))
    assert np.allclose(found, slow_holm(p))
    assert (found >= np.array(p)).all() and (found <= np.minimum(1.0, np.array(p) * len(p)) + 1e-12).all()


def test_maximum_statistic_by_hand():
    """Two heads, three permutations; the larger of the two heads: 2, 5, 3."""
    null = np.array([[2.0, 1.0], [0.0, 5.0], [3.0, 0.0]])
    found = max_statistic_p(np.array([4.0, 1.0]), null, standardise=False)
    assert found.tolist() == [2 / 4, 1.0]


def test_a_loud_head_does_not_drown_a_quiet_one():
    rng = np.random.default_rng(0)
    null = rng.normal(size=(200, 2)) * np.array([1000.0, 1.0])
    observed = np.array([0.0, 6.0])
    assert max_statistic_p(observed, null)[1] == 1 / 201
    assert max_statistic_p(observed, null, standardise=False)[1] > 0.4


def test_heads_that_never_vary_or_are_nan_are_left_out():
    rng = np.random.default_rng(1)
    null = rng.normal(size=(50, 2, 2))
    null[:, 0, 1] = 0.5
    observed = np.array([[9.0, 0.5], [np.nan, 0.0]])
    found = max_statistic_p(observed, null)
    assert found[0, 0] == 1 / 51 and np.isnan([found[0, 1], found[1, 0]]).all() and found[1, 1] > 0.05


def test_maximum_statistic_is_never_below_the_plain_p():
    rng = np.random.default_rng(2)
    observed, null = rng.normal(1, 1, size=(3, 4)), rng.normal(size=(99, 3, 4))
    corrected, plain = max_statistic_p(observed, null, standardise=False), permutation_p(observed, null)
    assert (corrected >= plain).all() and (corrected > plain).any()


def test_nothing_planted():
    """200 draws at nominal 5 %: one head, a family after Holm, and a map of 12 heads that go together."""
    rng = np.random.default_rng(3)
    wrong = np.zeros(3, dtype=int)
    for _ in range(200):
        every = rng.normal(size=(200, 12)) + rng.normal(size=(200, 1))
        p = permutation_p(every[0], every[1:])
        wrong += [p[0] <= 0.05, holm(p).min() <= 0.05, max_statistic_p(every[0], every[1:]).min() <= 0.05]
    assert (wrong <= 18).all(), wrong
    assert wrong[2] >= 2, "and the map's test is not idle"


def test_power_grows_with_the_signal():
    rng = np.random.default_rng(4)
    null = rng.normal(size=(199, 12))
    p = [float(max_statistic_p(np.r_[size, np.zeros(11)], null)[0]) for size in (0.0, 1.0, 2.0, 3.0, 5.0)]
    assert p == sorted(p, reverse=True) and p[-1] == 1 / 200


def test_arguments_are_not_written_into():
    observed, null, p = np.ones((2, 2)), np.ones((3, 2, 2)), np.array([0.2, np.nan])
    before = observed.copy(), null.copy(), p.copy()
    max_statistic_p(observed, null), permutation_p(observed, null), holm(p)
    for old, new in zip(before, (observed, null, p), strict=True):
        assert np.array_equal(old, new, equal_nan=True)


def test_errors_say_what_came():
    with pytest.raises(ValueError, match=r"observed has shape \(2,\) and null \(5, 3\)"):
        permutation_p(np.ones(2), np.ones((5, 3)))
    with pytest.raises(ValueError, match="0 permutations came"):
        max_statistic_p(np.ones(2), np.ones((0, 2)))
    with pytest.raises(ValueError, match=r"1\.5 came as a p-value"):
        holm(np.array([0.5, 1.5]))
    with pytest.raises(ValueError, match="error is 0"):
        permutations_for(0)


def test_stats_has_them_too():
    assert stats.holm is holm and stats.permutation_p is permutation_p
