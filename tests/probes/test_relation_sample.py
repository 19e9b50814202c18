"""Few descriptions that hold many matches: more pairs than the first ones have, and nothing but a choice."""

import pytest

from tests.probes.relation_scenes import relation_examples
from value_nb.data.dataset import Dataset
from value_nb.probes.region_pairs import gather, plan_relations
from value_nb.probes.relation_sample import with_relation_pairs
from value_nb.probes.relations import EDGES


def scattered(images: int = 120):
    """Most pictures have no relation, and so nothing to ask: one in six has."""
    from dataclasses import replace

    return [
        e if int(e.image_id[1:]) // 6 % 4 == 3 else replace(e, relations=())
        for e in relation_examples(images)
    ]


def pairs(examples) -> int:
    return sum(map(len, plan_relations(gather(examples), EDGES, 0).values()))


def test_more_pairs_than_the_first_examples():
    examples = scattered()
    chosen = with_relation_pairs(examples, 8)
    first = [e for split in ("train", "val", "test") for e in [o for o in examples if o.split == split][:8]]
    assert pairs(chosen) >= len(chosen) > 0 and pairs(chosen) > 2 * pairs(first)
    assert all(sum(e.split == split for e in chosen) <= 8 for split in ("train", "val", "test"))


def test_they_come_as_they_were_in_their_order():
    examples = scattered()
    chosen = with_relation_pairs(examples, 8)
    places = [examples.index(one) for one in chosen]
    assert places == sorted(places) and all(examples[k] is one for k, one in zip(places, chosen, strict=True))


def test_limits_by_split_and_none():
    examples = relation_examples(60)
    assert with_relation_pairs(examples, None) is examples
    assert {e.split for e in with_relation_pairs(examples, {"val": 4, "test": 4})} == {"val", "test"}
    assert with_relation_pairs(Dataset("d", "test", examples), 4) == with_relation_pairs(examples, 4)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="limit names \\['dev'\\]; expected among 'train'"):
        with_relation_pairs(relation_examples(6), {"dev": 3})
    with pytest.raises(ValueError, match="limit=0 came"):
        with_relation_pairs(relation_examples(6), 0)
