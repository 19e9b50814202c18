from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from value_nb.probes.description_length import FRACTIONS, choose_C_for_code, online_code, sending_order
from value_nb.probes.linear import GRID, LinearProbe, choose_C
from value_nb.probes.task import Task


def data(n: int, signal: float, k: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, k, n)
    features = rng.normal(size=(n, max(k, 3)))
    features[np.arange(n), codes] += signal
    return features, codes.astype(str)


def test_two_blocks_by_hand():
    """Ten labels at one bit, ten at -log2 of the smoothed probability of a probe fitted on the first ten."""
    features, labels = data(20, 1.0)
    bits = online_code(features, labels, 0.5, (0.5, 1.0))
    probe = LinearProbe(0.5).fit(features[:10], labels[:10])
    p = probe.probabilities(features[10:])[np.arange(10), labels[10:].astype(int)]
    assert np.allclose(bits[:10], 1.0) and np.allclose(bits[10:], -np.log2((10 * p + 1) / 12))


def test_a_first_block_of_one_label():
    features, labels = data(12, 1.0)
    labels = np.array(["a"] * 6 + ["b", "a"] * 3)
    bits = online_code(features, labels, 0.1, (0.5, 1.0))
    assert np.allclose(bits[6:], -np.log2(np.tile([1 / 8, 7 / 8], 3)))


@given(st.integers(4, 60), st.integers(2, 4), st.integers(0, 5), st.floats(0, 3))
@settings(max_examples=40, deadline=None)
def test_every_label_costs_something_and_never_too_much(n, k, seed, signal):
    """Whatever the data: above 0 bits, and at most log2(n + classes), the price of a label never seen."""
    features, labels = data(n, signal, k, seed)
    if len(set(labels)) < 2:
        return
    bits = online_code(features, labels, 0.1)
    assert bits.shape == (n,) and (bits > 0).all() and (bits <= np.log2(n + k) + 1e-9).all()


def test_it_is_a_code():
    """The probabilities of all labels sum to one, so what one label saves another pays."""
    features, labels = data(40, 1.0, k=3)
    shares = np.zeros(len(labels) - 20)
    for label in sorted(set(labels)):
        changed = labels.copy()
        changed[39] = label
        if set(changed) == set(labels):
            shares[-1] += 2.0 ** -online_code(features, changed, 0.1, (0.5, 1.0))[39]
    assert shares[-1] == pytest.approx(1.0)


def test_signal_makes_it_shorter_and_none_makes_it_no_shorter():
    total = [online_code(*data(600, signal), 0.1).sum() for signal in (0.0, 1.0, 2.0, 4.0)]
    assert total == sorted(total, reverse=True)
    assert total[0] >= 600 and total[-1] < 150


def test_fractions_are_the_papers():
    assert FRACTIONS[0] == 0.001 and FRACTIONS[-1] == 1.0 and len(FRACTIONS) == 11


def test_pictures_are_sent_whole_in_an_order_of_their_own():
    images = np.array([f"i{k % 7}" for k in range(35)])
    order = sending_order(images, seed=0)
    sent = images[order]
    assert sorted(order.tolist()) == list(range(35))
    assert sum(a != b for a, b in pairwise(sent)) == 6
    mixed = np.random.default_rng(0).permutation(35)
    assert images[mixed][sending_order(images[mixed], seed=0)].tolist() == sent.tolist()
    assert images[sending_order(images, seed=1)].tolist() != sent.tolist()


def test_C_of_the_code_is_the_one_with_the_fewest_bits_on_validation():
    features, labels = data(80, 6.0)
    task = Task(labels, np.arange(80), np.repeat(["train", "val", "test"], [40, 20, 20]))
    found = choose_C_for_code([lambda: features], task)
    assert found == max(GRID), "answers are clear, so the least strict penalty is the surest of them"
    assert choose_C([lambda: features], task) < found
    noise = choose_C_for_code([lambda: np.arange(80.0)[:, None] % 7], task)
    assert noise == min(GRID)


def test_errors_say_what_came():
    features, labels = data(20, 1.0)
    for fractions in ((), (0.5,), (0.5, 0.2, 1.0), (0.0, 1.0)):
        with pytest.raises(ValueError, match="expected growing shares"):
            online_code(features, labels, 0.1, fractions)
    with pytest.raises(ValueError, match="1 different labels came"):
        online_code(features, np.array(["a"] * 20), 0.1)
