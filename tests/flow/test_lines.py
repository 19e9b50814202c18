"""Which lines are drawn, and what share of all weight they carry."""

from __future__ import annotations

import numpy as np
import pytest

from value_nb.flow.lines import only, partners, strongest

WEIGHTS = np.array([[[0.5, 0.1], [0.2, 0.05], [0.01, 0.3]], [[0.02, 0.03], [0.6, 0.04], [0.0, 0.15]]])


def test_the_strongest_come_first_over_all_heads_with_their_share() -> None:
    lines = strongest(WEIGHTS, most=3)
    assert lines.weight.tolist() == [0.6, 0.5, 0.3]
    assert lines.head.tolist() == [1, 0, 0]
    assert lines.left.tolist() == [1, 0, 2]
    assert lines.right.tolist() == [0, 0, 1]
    assert lines.possible == 12
    assert lines.share == pytest.approx(1.4 / 2.0)


def test_no_line_is_below_the_threshold_and_none_has_no_weight() -> None:
    assert strongest(WEIGHTS, most=12, least=0.15).weight.tolist() == [0.6, 0.5, 0.3, 0.2, 0.15]
    assert len(strongest(WEIGHTS, most=12)) == 11
    assert len(strongest(WEIGHTS, most=12, least=0.7)) == 0


def test_all_lines_carry_everything_and_none_nothing() -> None:
    assert strongest(WEIGHTS, most=99).share == pytest.approx(1.0)
    assert strongest(np.zeros((1, 2, 2)), most=3).share == 0.0


def test_of_equal_weights_the_first_are_drawn() -> None:
    assert strongest(np.full((1, 2, 3), 0.1), most=2).right.tolist() == [0, 1]


def test_the_weights_stay_as_they_are() -> None:
    before = WEIGHTS.copy()
    strongest(WEIGHTS, 3)
    partners(WEIGHTS, "left")
    assert np.array_equal(before, WEIGHTS)


def test_the_lines_of_one_item_and_its_strongest_where_none_is_drawn() -> None:
    lines = strongest(WEIGHTS, most=3)
    assert only(WEIGHTS, lines, "right", 0).weight.tolist() == [0.6, 0.5]
    single = only(WEIGHTS, strongest(WEIGHTS, most=1), "left", 2)
    assert (single.weight.tolist(), single.head.tolist(), single.right.tolist()) == ([0.3], [0], [1])
    assert single.possible == 12
    assert len(only(np.zeros((1, 2, 2)), strongest(np.zeros((1, 2, 2)), 3), "left", 0)) == 0


def test_every_item_has_its_strongest_partner_over_heads() -> None:
    left = [(one.item, one.head, one.weight) for one in partners(WEIGHTS, "left")]
    right = [(one.item, one.head, one.weight) for one in partners(WEIGHTS, "right")]
    assert left == [(0, 0, 0.5), (0, 1, 0.6), (1, 0, 0.3)]
    assert right == [(1, 1, 0.6), (2, 0, 0.3)]


@pytest.mark.parametrize("shape", [(3, 2), (1, 0, 2), (1, 1, 2, 2)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \(head, left, right\)"):
        strongest(np.zeros(shape), 3)


def test_no_lines_cannot_be_asked_for() -> None:
    with pytest.raises(ValueError, match="at least one line"):
        strongest(WEIGHTS, 0)
