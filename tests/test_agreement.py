import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score

from value_nb.agreement import ami, contingency, nmi


@pytest.fixture(scope="module")
def partitions() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """400 pairs of splits of 1 to 60 positions, padded; from independent to nearly equal, some one-sided."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 61, 400)
    weights = (np.arange(60) < sizes[:, None]).astype(float)
    first = rng.random((400, 60)) < rng.choice(
        [0.0, 0.1, 0.5, 0.9, 1.0], size=(400, 1), p=[0.1, 0.2, 0.4, 0.2, 0.1]
    )
    flips = rng.random((400, 60)) < rng.choice([0.0, 0.05, 0.3, 0.5], size=(400, 1))
    return first, first ^ flips, weights


@pytest.mark.parametrize(
    ("ours", "theirs"), [(nmi, normalized_mutual_info_score), (ami, adjusted_mutual_info_score)]
)
def test_agrees_with_scikit_learn(partitions, ours, theirs):
    first, second, weights = partitions
    found = ours(contingency(first, second, weights))
    for k in range(len(first)):
        n = int(weights[k].sum())
        expected = theirs(first[k, :n], second[k, :n])
        assert found[k] == pytest.approx(expected, abs=1e-9), (k, n)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ([[3, 0], [0, 4]], 1.0),  # the same split
        ([[0, 3], [4, 0]], 1.0),  # the same, named the other way round
        ([[2, 2], [2, 2]], 0.0),  # independent
        ([[3, 4], [0, 0]], 0.0),  # one split has one part
        ([[7, 0], [0, 0]], 1.0),  # both have one part
        ([[1, 0], [0, 1]], 1.0),  # two positions
    ],
)
def test_values_known_by_hand(table, expected):
    assert nmi(np.array(table, dtype=float)) == pytest.approx(expected, abs=1e-12)


def test_large_tables_agree_with_scikit_learn():
    rng = np.random.default_rng(1)
    first = rng.random(3000) < 0.4
    second = first ^ (rng.random(3000) < 0.45)
    table = contingency(first, second, np.ones(3000))
    assert ami(table) == pytest.approx(adjusted_mutual_info_score(first, second), abs=1e-9)


def test_chance_is_zero_on_average_for_ami_and_above_for_nmi():
    rng = np.random.default_rng(2)
    first, second = rng.random((4000, 12)) < 0.5, rng.random((4000, 12)) < 0.5
    table = contingency(first, second, np.ones((4000, 12)))
    assert abs(ami(table).mean()) < 0.01
    assert nmi(table).mean() > 0.05


def test_empty_tables_are_nan():
    assert np.isnan(nmi(np.zeros((2, 2)))) and np.isnan(ami(np.zeros((2, 2))))


def test_ami_refuses_weights_that_are_not_counts():
    with pytest.raises(ValueError, match="whole counts"):
        ami(np.array([[0.5, 1.0], [1.0, 0.5]]))


def test_padding_counts_nothing():
    first, second = np.array([True, False, True, True]), np.array([True, False, True, False])
    table = contingency(first, second, np.array([1, 1, 1, 0]))
    assert table.tolist() == [[1.0, 0.0], [0.0, 2.0]]
