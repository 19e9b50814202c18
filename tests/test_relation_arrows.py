"""Arrows between regions on weights written by hand: which are drawn, how wide, which way."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from value_nb.data.example import Example, Regions, Relation
from value_nb.relation_arrows import BACK, FORWARD, NEAREST, arrows, draw_arrows, mark_pairs, plot_arrows

WEIGHTS = np.array([[0.9, 0.4, 0.1, 0.0], [0.2, 0.0, 0.0, 0.0], [0.3, 0.0, 0.0, 0.8], [0.05, 0.0, 0.0, 0.0]])


@pytest.fixture
def example() -> Example:
    boxes = np.array([[0.1, 0.1, 0.3, 0.3], [0.6, 0.1, 0.8, 0.3], [0.1, 0.6, 0.3, 0.8], [0.1, 0.6, 0.3, 0.8]])
    regions = Regions(boxes.astype(np.float32), None, ("man", "hat", "dog", "coat"), ("annotated",) * 4)
    return Example("1#1", "1", "a man", ("a", "man"), size=(200, 100), regions=regions,
                   relations=(Relation(0, "wearing", 1),))  # fmt: skip


def drawn(related, regions, others=9):
    return [(a.query, a.key, a.weight, a.role) for a in arrows(WEIGHTS, related, regions, others)]


def test_both_ways_of_the_relation_and_the_strongest_others():
    assert drawn([(0, 1)], [0, 1, 2], 1) == [
        (2, 0, 0.3, "other"),
        (1, 0, 0.2, "back"),
        (0, 1, 0.4, "forward"),
    ]


def test_itself_does_not_count_nor_what_gets_nothing():
    found = drawn([(0, 1)], [0, 1, 2])
    assert [one[:2] for one in found] == [(0, 2), (2, 0), (1, 0), (0, 1)]


def test_a_region_that_is_not_considered_gets_no_other_arrow():
    assert (2, 3, 0.8, "other") in drawn([(0, 1)], [0, 1, 2, 3])
    assert not any(3 in one[:2] for one in drawn([(0, 1)], [0, 1, 2]))


def test_shares_are_of_the_largest_weight_between_two_regions():
    assert arrows(WEIGHTS, [(0, 1)], [0, 1, 2, 3])[-1].share == pytest.approx(0.5)
    assert arrows(WEIGHTS, [(0, 1)], [0, 1, 2])[-1].share == 1.0
    nothing = arrows(np.zeros((2, 2)), [(0, 1)], [0, 1])
    assert [(one.weight, one.share) for one in nothing] == [(0.0, 0.0)] * 2


def test_a_relation_that_holds_both_ways_has_two_forward_arrows():
    assert {one[3] for one in drawn([(0, 1), (1, 0)], [0, 1], 0)} == {"forward"}
    assert len(drawn([(0, 1), (1, 0)], [0, 1], 0)) == 2


def test_weights_are_left_alone():
    before = WEIGHTS.copy()
    arrows(WEIGHTS, [(0, 1)], [0, 1, 2, 3])
    assert np.array_equal(before, WEIGHTS)


@pytest.mark.parametrize(
    ("weights", "related", "words"),
    [
        (np.zeros((2, 3)), [(0, 1)], r"weights of shape \(2, 3\) came; expected \(region, region\)"),
        (np.zeros((2, 2)), [(0, 2)], r"regions \[0, 1, 2\] came; expected 0 to 1"),
        (np.zeros((2, 2)), [(-1, 0)], "expected 0 to 1"),
    ],
)
def test_what_does_not_fit_is_refused(weights, related, words):
    with pytest.raises(ValueError, match=words):
        arrows(weights, related, [0, 1])


def test_width_opacity_and_colour_say_weight_and_way(example):
    _, ax = plt.subplots()
    other, back, forward = draw_arrows(ax, example, arrows(WEIGHTS, [(0, 1)], [0, 1, 2], 1))
    assert forward.get_linewidth() > back.get_linewidth() > other.get_linewidth()
    assert forward.get_alpha() > back.get_alpha()
    colours = [plt.matplotlib.colors.to_hex(p.get_edgecolor()) for p in (forward, back)]
    assert colours == [FORWARD, BACK]
    start, end = (np.array(point) for point in forward._posA_posB)
    assert np.allclose([*start, *end], [40, 20, 140, 20]), "from the centre of one to that of the other"


def test_ends_on_one_spot_are_pulled_apart(example):
    _, ax = plt.subplots()
    patches = draw_arrows(ax, example, arrows(WEIGHTS, [(2, 3)], [2, 3], 0))
    ends = [np.array(patch._posA_posB) for patch in patches]
    assert all(np.hypot(*(b - a)) == pytest.approx(NEAREST * 100) for a, b in ends)
    assert all(np.allclose((a + b) / 2, [40, 70]) for a, b in ends), "about their middle"


def test_subject_and_object_are_framed_and_named(example):
    _, ax = plt.subplots()
    ax.set(xlim=(0, 200), ylim=(100, 0))
    made = mark_pairs(ax, example, [(0, 1)])
    assert [text.get_text() for text in ax.texts] == ["r0 man", "r1 hat"]
    assert len(made) == 6


def test_a_figure_without_a_picture(example):
    ax = plot_arrows(example, WEIGHTS, [(0, 1)], title="By hand", others=1)
    assert ax.get_title(loc="left") == "By hand"
    assert {text.get_text() for text in ax.texts} == {"r0 man", "r1 hat", "r2 dog", "r3 coat"}
