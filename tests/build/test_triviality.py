from __future__ import annotations

import pytest

from data.build.scenes import sample_scene
from data.build.triviality import LIMIT, measure, relation_table


def scenes(prefix: str, count: int):
    return [sample_scene(f"{prefix}-{i}", 0) for i in range(count)]


def test_both_together_tell_more_than_each_alone():
    found = measure(scenes("a", 250), scenes("b", 80))
    assert found["class pair + geometry"] > max(found["class pair"], found["geometry"]) > found["majority"]


def test_the_table_has_a_row_for_every_relation():
    made = scenes("a", 20)
    pairs, offsets, predicates = relation_table(made)
    assert len(pairs) == len(offsets) == len(predicates) == sum(len(s.relations()) for s in made)


@pytest.mark.stress
def test_neither_class_pair_nor_geometry_gives_relations_away():
    found = measure(scenes("triviality", 3000), scenes("triviality-test", 1000))
    assert found["class pair"] <= LIMIT
    assert found["geometry"] <= LIMIT
