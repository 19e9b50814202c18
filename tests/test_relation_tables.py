"""Tables about pairs: the toy case of notebook 05 by hand, counts, and scores by subset."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.probes.relation_scenes import relation_examples
from tests.test_relation_rule import META, row
from value_nb import relation_tables
from value_nb.data.example import Example, Regions, Relation
from value_nb.result import Result


@pytest.fixture
def toy() -> list[Example]:
    above = np.array([[0.2, 0.3, 0.4, 0.9], [0.2, 0.15, 0.4, 0.35], [0.7, 0.7, 0.9, 0.9]], dtype=np.float32)
    beside = above.copy()
    beside[1] = [0.55, 0.5, 0.75, 0.7]
    made = []
    for name, boxes in (("A", above), ("B", beside)):
        regions = Regions(boxes, None, ("man", "hat", "dog"), ("annotated",) * 3)
        made.append(
            Example(f"{name}#1", name, "a dog", ("a", "dog"), size=(400, 400), regions=regions, split="test")
        )
    return [replace(made[0], relations=(Relation(0, "wearing", 1),)), made[1]]


def test_of_twelve_pairs_two_are_asked(toy):
    table = relation_tables.pair_table(toy)
    assert len(table) == 12
    asked = table[table["asked"] != ""]
    assert asked[["picture", "subject", "object", "bin", "relation", "asked"]].values.tolist() == [
        ["A", "r0 man", "r1 hat", 1, "wearing", "related"],
        ["B", "r0 man", "r1 hat", 1, "", "not related"],
    ]
    assert np.allclose(asked["distance"], 0.35 / 2**0.5)


def test_a_hat_further_off_is_in_another_bin_and_nothing_is_asked(toy):
    boxes = toy[1].regions.boxes.copy()
    boxes[1] = [0.75, 0.5, 0.95, 0.7]
    far = replace(toy[1], regions=replace(toy[1].regions, boxes=boxes))
    assert (relation_tables.pair_table([toy[0], far])["asked"] == "").all()


def test_counts_by_condition():
    examples = relation_examples(60)
    table = relation_tables.count_table(examples, edges=(0.1, 0.3))
    assert table.loc["related pairs"].to_dict() == {"train": 40, "val": 10, "test": 10}
    assert (table.iloc[0] == table.iloc[1]).all() and (table.iloc[1] == table.iloc[2]).all()
    assert table.loc["VRI: questions, both answers"].to_dict() == {"train": 160, "val": 40, "test": 40}
    assert table.loc["VRC: questions"].to_dict() == {"train": 80, "val": 20, "test": 20}


def test_what_the_distance_costs(toy):
    boxes = toy[1].regions.boxes.copy()
    boxes[1] = [0.75, 0.5, 0.95, 0.7]
    far = replace(toy[1], regions=replace(toy[1].regions, boxes=boxes))
    assert relation_tables.count_table([toy[0], far])["test"].tolist()[:4] == [1, 1, 0, 0]


def by_hand() -> Result:
    rows = []
    for subset, value in (("", 0.7), (", pair mentioned", 0.8), (", pair not mentioned", 0.6)):
        rows += [row(f"VRI, attention probe{subset}", value), row(f"VRI, class pair only{subset}", 0.5)]
        for layer in (0, 1):
            rows.append(row(f"VRI, embedding probe{subset}", value + layer / 10, stack="joint", layer=layer))
    for layer in (0, 1):
        rows.append(row("VRI, embedding probe", 0.5 + layer / 10, stack="joint", layer=layer, split="val",
                        measure="validation_accuracy"))  # fmt: skip
    return Result("relation_probe", pd.DataFrame(rows), META)


def test_scores_by_subset():
    table = relation_tables.subset_table(by_hand())
    assert table.columns.tolist() == ["all pairs", "pair mentioned", "pair not mentioned"]
    assert table.loc[("VRI", "attention probe")].tolist() == [
        "0.70 (0.65 to 0.75), n 40", "0.80 (0.75 to 0.85), n 40", "0.60 (0.55 to 0.65), n 40",
    ]  # fmt: skip
    assert table.loc[("VRI", "embedding probe"), "pair mentioned"].startswith("0.90"), "at the best layer"


def test_a_subset_that_did_not_come_and_a_reason():
    frame = by_hand().frame
    lacking = Result("relation_probe", frame[~frame["group"].str.endswith("pair mentioned")], META)
    assert set(relation_tables.subset_table(lacking)["pair mentioned"]) == {""}
    undefined = Result("relation_probe", pd.DataFrame({"value": []}), META, reason="no picture")
    assert relation_tables.subset_table(undefined)["not defined"].tolist() == ["no picture"]
