"""The scale beside a map: round numbers at their heights, as many digits as they need."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from matplotlib.figure import Figure

from value_nb.widgets import scale


def test_numbers_stand_at_their_heights() -> None:
    made = scale.Scale(Figure().add_subplot())
    for top in (0.5, 0.097):  # the second has fewer: none of the first stays
        made.update(top)
        shown = [(n.get_text(), n.get_position()[1]) for n in made._numbers if n.get_text()]
        assert [float(text) for text, _ in shown] == pytest.approx(scale.ticks(top))
        assert [height for _, height in shown] == pytest.approx(np.array(scale.ticks(top)) / top)
        marks = made._marks.get_ydata()
        assert marks[~np.isnan(marks)][::2] == pytest.approx([height for _, height in shown])


@given(some.floats(1e-6, 1e6))
def test_every_scale_has_a_few_numbers_that_differ(top: float) -> None:
    values = scale.ticks(top)
    names = scale.named(values, top)
    assert 3 <= len(values) <= scale.MOST + 1 and values[0] == 0.0 and values[-1] <= top * (1 + 1e-9)
    assert len(set(names)) == len(names)
    assert [float(name) for name in names] == pytest.approx(values, rel=1e-6, abs=1e-9 * top)


def test_the_examples_hold() -> None:
    assert doctest.testmod(scale).failed == 0
