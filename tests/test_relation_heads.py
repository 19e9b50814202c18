"""The head that follows a relation is found where it was planted, chosen on validation, shown on test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.probes.relation_scenes import RelationModel, related, relation_examples
from tests.tiny import tiny_model
from value_nb.relation_heads import relation_heads


def heads(model, examples=None, **options):
    return relation_heads(model, relation_examples(120) if examples is None else examples, **options)


def test_the_planted_head_is_found_for_every_predicate():
    table = heads(RelationModel(points=0.5))
    assert set(table["relation"]) == {"holding", "near", "wearing"}
    where = table[["stack", "layer", "head", "way"]].drop_duplicates().values.tolist()
    assert where == [["joint", 1, 0, "subject->object"]]
    assert np.allclose(table["related"] - table["unrelated"], table["difference"])
    assert np.allclose(table["difference"], 0.5, atol=0.05) and (table["lo"] > 0.4).all()


def test_numbers_are_of_the_test_pictures():
    table = heads(RelationModel(points=0.5)).set_index("relation")
    there = [related(k, 0)[1] for k in range(120) if k % 6 == 5]
    assert table["pairs"].to_dict() == {name: there.count(name) for name in set(there)}
    assert (table["n_images"] == table["pairs"]).all()


def test_without_a_signal_there_is_no_difference():
    table = heads(RelationModel(points=0.0))
    assert (table["difference"].abs() < 0.05).all() and not (table["lo"] > 0.02).any()


class FarSighted(RelationModel):
    """Regions far from each other get attention for no other reason than that."""

    def rows(self, at, example, where):
        made = super().rows(at, example, where)
        for one, other in ((0, 3), (1, 2), (0, 4), (1, 4)):
            first, second = where.regions([one]), where.regions([other])
            made[:, np.outer(first, second) | np.outer(second, first)] += 0.4
        return made


def test_only_pairs_at_the_same_distance_are_compared():
    """What far pairs get does not count against related ones, which are near."""
    near, whole = (heads(FarSighted(points=0.3), edges=edges) for edges in ((0.2,), ()))
    assert np.allclose(near["difference"], 0.3, atol=0.05)
    assert (whole["difference"] < near["difference"] - 0.1).all()


def test_k_takes_the_most_frequent_of_validation():
    counts = [related(k, 0)[1] for k in range(120) if k % 6 == 2]
    usual = min(set(counts), key=lambda name: (-counts.count(name), name))
    assert heads(RelationModel(), k=1)["relation"].tolist() == [usual]


def test_the_order_of_the_examples_does_not_matter():
    examples, model = relation_examples(60), RelationModel(points=0.2)
    first, second = (
        heads(model, examples),
        heads(model, sorted(examples, key=lambda e: (-int(e.image_id[1:]), e.id))),
    )
    pd.testing.assert_frame_equal(first, second)


@pytest.mark.parametrize(("family", "stacks"), [("uniter", {"joint"}), ("lxmert", {"image", "cross"})])
def test_all_stacks_with_the_direction_are_looked_at(family, stacks):
    from tests.probes.test_relations import with_features

    table = heads(tiny_model(family), with_features(relation_examples(24)))
    assert set(table["stack"]) <= stacks and len(table)


def test_a_text_model_gets_a_reason():
    table = heads(tiny_model("bert"))
    assert table["not defined"].tolist() == [
        "tiny-bert has no attention from region to region (image->image)"
    ]


def test_a_split_without_relations_is_refused():
    examples = [replace(e, relations=()) if e.split == "val" else e for e in relation_examples(12)]
    with pytest.raises(ValueError, match="no related pair in val"):
        heads(RelationModel(), examples)
