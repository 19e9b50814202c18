"""Where panels have their traces from."""

from __future__ import annotations

from typing import Any

import pytest

from value_nb.widgets import traces


class Counting:
    """A model whose traces say which example they are of, and how often each was made."""

    stacks, directions = {"joint": 2}, {"joint": ("joint",)}
    weights, card = "random:5", {}

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def trace(self, example: Any) -> str:
        self.asked.append(example)
        return f"trace of {example}"


def test_a_trace_is_made_once_and_the_oldest_goes() -> None:
    model = Counting()
    source = traces.ModelTraces(model, range(traces.KEPT + 1))
    assert source.seed == 5
    assert [source.trace(0), source.trace(0)] == ["trace of 0"] * 2 and model.asked == [0]
    for index in range(traces.KEPT + 1):
        source.trace(index)
    assert model.asked == [*range(traces.KEPT + 1)]
    source.trace(1)
    source.trace(0)
    assert model.asked == [*range(traces.KEPT + 1), 0]


def test_an_example_is_checked_before_it_is_traced() -> None:
    def check(example: int) -> None:
        if example == 2:
            raise ValueError("two cannot be shown")

    model = Counting()
    source = traces.ModelTraces(model, range(3), check)
    assert source.trace(1) == "trace of 1"
    for _ in range(2):
        with pytest.raises(ValueError, match="two cannot be shown"):
            source.trace(2)
    assert model.asked == [1]


@pytest.mark.parametrize("index", [-1, 3])
def test_an_index_that_is_not_there_is_named(index: int) -> None:
    with pytest.raises(ValueError, match=f"example={index}; expected a whole number from 0 to 2"):
        traces.ModelTraces(Counting(), range(3)).trace(index)


def test_no_examples_are_an_error() -> None:
    with pytest.raises(ValueError, match="no examples came"):
        traces.ModelTraces(Counting(), [])
