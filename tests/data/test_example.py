from __future__ import annotations

from dataclasses import replace

import numpy as np

from value_nb.data.example import Example, Phrase, Regions

REGIONS = Regions(np.eye(4, dtype=np.float32), np.full((4, 2), np.nan), ("a",) * 4, ("detected",) * 4)


def test_regions_compare_by_content() -> None:
    same = replace(REGIONS, boxes=REGIONS.boxes.copy())
    assert same == REGIONS
    assert hash(same) == hash(REGIONS)
    assert replace(REGIONS, boxes=REGIONS.boxes + 1) != REGIONS
    assert replace(REGIONS, features=None) != REGIONS
    assert replace(REGIONS, names=("b",) * 4) != REGIONS
    assert REGIONS != 3


def test_examples_with_regions_compare_and_hash() -> None:
    example = Example("1#1", "1", "a man", ("a", "man"), regions=REGIONS)
    again = replace(example, regions=replace(REGIONS, boxes=REGIONS.boxes.copy()), extra={"other": 1})
    assert example == again
    assert len({example, again}) == 1
    assert "4 regions" in repr(example)


def test_words_of_a_phrase_include_the_last() -> None:
    assert list(Phrase(1, 3, "5", ("people",)).words) == [1, 2, 3]
