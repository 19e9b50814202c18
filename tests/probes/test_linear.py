import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from value_nb import stats
from value_nb.probes.linear import GRID, LinearProbe, choose_C, choose_fits, fit, fit_many, in_parallel
from value_nb.probes.task import Task


def task_of(labels: np.ndarray, images: np.ndarray | None = None) -> Task:
    """Half train, a quarter each val and test; two examples to a picture."""
    n = len(labels)
    splits = np.repeat(["train", "val", "test"], [n - 2 * (n // 4), n // 4, n // 4])
    return Task(labels, images if images is not None else np.arange(n) // 2, splits)


def noisy(n: int, signal: float, seed: int = 0, width: int = 6, k: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Features in which the label moves the mean by `signal` along one axis each."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, k, n)
    features = rng.normal(size=(n, width))
    features[np.arange(n), codes] += signal
    return features.astype(np.float32), np.array([f"class {c}" for c in codes])


@pytest.mark.parametrize("k", [2, 4])
def test_it_is_scikit_learns_pipeline(k):
    features, labels = noisy(300, 1.5, k=k)
    probe = LinearProbe(C=0.3).fit(features[:200], labels[:200])
    reference = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=1000))
    reference.fit(features[:200], labels[:200])
    assert np.array_equal(probe.predict(features[200:]), reference.predict(features[200:]))
    assert np.allclose(
        probe.probabilities(features[200:]), reference.predict_proba(features[200:]), atol=1e-6
    )
    assert probe.converged_ and probe.classes_.tolist() == sorted(set(labels.tolist()))


def test_float16_and_sparse_features():
    features, labels = noisy(200, 2.0)
    half = features.astype(np.float16)
    one = LinearProbe().fit(half, labels).probabilities(half)
    two = LinearProbe().fit(half.astype(np.float32), labels).probabilities(half.astype(np.float32))
    assert np.array_equal(one, two)
    counts = np.random.default_rng(0).integers(0, 2, (200, 5)).astype(np.float32)
    counts[:, 0] = labels == "class 1"
    found = LinearProbe(C=1.0).fit(csr_matrix(counts), labels)
    assert (found.predict(csr_matrix(counts)) == labels).all()


def test_the_same_rows_give_the_same_weights():
    features, labels = noisy(200, 1.0)
    one, two = (LinearProbe().fit(features, labels) for _ in range(2))
    assert np.array_equal(one.model_.coef_, two.model_.coef_)


def test_unconverged_is_said():
    features, labels = noisy(200, 1.0)
    assert not LinearProbe(C=10.0, max_iter=1).fit(features, labels).converged_


def test_fit_learns_on_train_alone():
    features, labels = noisy(200, 3.0)
    task = task_of(labels)
    base = fit(features, task, 0.1)
    moved = features.copy()
    moved[task.rows("test")] *= -1
    assert np.array_equal(fit(moved, task, 0.1).val, base.val)
    assert fit(moved, task, 0.1).test.mean() < 0.2 < 0.9 < base.test.mean()


def test_C_is_the_best_on_validation_and_of_equals_the_strictest():
    features, labels = noisy(80, 0.8, width=40)
    task = task_of(labels)
    by_hand = {C: fit(features, task, C).val.mean() for C in GRID}
    best = max(by_hand.values())
    expected = min(C for C, accuracy in by_hand.items() if accuracy == best)
    assert choose_C([lambda: features], task, GRID[::-1]) == expected
    easy, easy_labels = noisy(400, 50.0)
    assert choose_C([lambda: easy], task_of(easy_labels), (1.0, 0.1, 0.5)) == 0.1


def test_C_is_that_of_all_layers_together():
    """A layer with nothing to find has no say against one with."""
    noise, (signal, labels) = noisy(200, 0.0, seed=1)[0], noisy(200, 1.5, width=30)
    task = task_of(labels)
    mean = [np.mean([fit(f, task, C).val.mean() for f in (noise, signal)]) for C in GRID]
    assert choose_C([lambda: noise, lambda: signal], task) == GRID[int(np.argmax(mean))]


def test_many_layers_at_once_are_the_same_as_one_by_one():
    task = task_of(noisy(120, 0)[1])
    layers = {("joint", k): noisy(120, k)[0] for k in range(4)}
    sources = {key: (lambda value=value: value) for key, value in layers.items()}
    both = [task, task_of(task.labels[::-1])]
    for n_jobs in (1, 2):
        found = fit_many(sources, both, 0.1, n_jobs)
        assert list(found) == list(layers)
        for key, features in layers.items():
            for one, of in zip(found[key], both, strict=True):
                alone = fit(features, of, 0.1)
                assert np.array_equal(one.test, alone.test) and np.array_equal(one.val, alone.val)


def test_jobs_keep_their_order():
    assert in_parallel([lambda k=k: k for k in range(5)], 2) == list(range(5))


def test_arguments_are_not_written_into():
    features, labels = noisy(80, 1.0)
    before = features.copy()
    fit(features, task_of(labels), 0.1)
    assert np.array_equal(features, before)


def test_power_grows_with_the_signal():
    accuracy = []
    for signal in (0.0, 0.5, 1.0, 2.0, 4.0):
        features, labels = noisy(800, signal)
        accuracy.append(fit(features, task_of(labels), 0.1).test.mean())
    assert accuracy == sorted(accuracy) and accuracy[-1] > 0.95 and abs(accuracy[0] - 0.5) < 0.1


@pytest.mark.stress
def test_nothing_planted():
    """At nominal 5 % at most 18 of 200 intervals over images miss chance, with C chosen on validation."""
    missed = 0
    for draw in range(200):
        rng = np.random.default_rng(draw)
        labels = np.tile(["no", "yes"], 400)  # one of each to a picture: 50 % is exact
        images = np.array([f"draw {draw} image {k // 2}" for k in range(800)])
        features = rng.normal(size=(800, 8)) + np.repeat(rng.normal(size=(400, 8)), 2, axis=0)
        task = task_of(labels, images)
        right = fit(features, task, choose_C([lambda f=features: f], task, n_jobs=1)).test
        found = stats.mean_interval(right, images[task.rows("test")], seed=0, replicates=400)
        missed += not found.lo <= 0.5 <= found.hi
    assert missed <= 18, missed


def test_errors_say_what_came():
    features, labels = noisy(40, 1.0)
    with pytest.raises(ValueError, match="40 labels, 1 different, on 40 rows"):
        LinearProbe().fit(features, np.array(["a"] * 40))
    with pytest.raises(ValueError, match="39 labels"):
        LinearProbe().fit(features, labels[1:])
    with pytest.raises(ValueError, match=r"C=0, max_iter=10"):
        LinearProbe(C=0, max_iter=10)
    with pytest.raises(ValueError, match="39 rows of features for a task of 40"):
        fit(features[1:], task_of(labels), 0.1)
    with pytest.raises(ValueError, match="0 values of C and 1 sources came"):
        choose_C([lambda: features], task_of(labels), [])


@pytest.mark.parametrize("grid", [GRID, (0.1,)])
def test_fits_of_the_choice_need_not_be_made_again(grid):
    rng = np.random.default_rng(5)
    labels = np.array(["a", "b"])[rng.integers(2, size=90)]
    features = {k: rng.normal(size=(90, 4)) + k * (labels == "b")[:, None] for k in (0, 1)}
    task, sources = task_of(labels), {k: (lambda x=x: x) for k, x in features.items()}
    C, made = choose_fits([*sources.values()], task, grid, 1)
    assert choose_C([*sources.values()], task, grid, 1) == C
    again = fit_many(sources, [task, task], C, 1)
    given = fit_many(sources, [task, task], C, 1, dict(zip(sources, made, strict=True)))
    for k, own in zip(sources, made, strict=True):
        assert given[k][0] is own
        for one, other in zip(given[k], again[k], strict=True):
            assert np.array_equal(one.test, other.test) and np.array_equal(one.val, other.val)
