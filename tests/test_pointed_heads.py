"""A probe's result becomes a ranking of heads, made on other pictures than those that are scored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

import value_nb as vnb
from tests.tiny import tiny_examples, tiny_model
from value_nb.data.example import Example
from value_nb.pointed_heads import PointedHeads, pointed_heads
from value_nb.probes.coreference_attention import CoreferenceAttention
from value_nb.probes.crossmodal import CrossModalHeads
from value_nb.probes.modality import ModalityImportance
from value_nb.result import Result
from value_nb.sweep import sweep

META = {"model": "m", "data": "d", "split": "val", "n": 10, "n_images": 5}


def written(scores: dict[tuple[int, int], float | None], **columns: Any) -> Result:
    """A coreference result whose rates are written down by (layer, head)."""
    rows: list[dict[str, Any]] = [
        {"model": "m", "weights": "trained", "control": "none", "split": "val", "stack": "joint",
         "layer": layer, "head": head, "direction": "text->image", "measure": "hit_rate_on_choice",
         "group": "all", "value": value, "n": 10, "n_images": 5} | columns
        for (layer, head), value in scores.items()
    ]  # fmt: skip
    return Result("coreference_attention", pd.DataFrame(rows), META)


def two_splits() -> list[Example]:
    """Test pictures and other ones for validation."""
    test = tiny_examples(6, seed=1, words=(4, 7), regions=(4, 6))
    val = tiny_examples(6, seed=2, words=(4, 7), regions=(4, 6))
    return [*test, *(replace(e, id=f"v{e.id}", image_id=f"v{e.image_id}", split="val") for e in val)]


def swept(family: str, probe: Any, data: list[Example] | None = None) -> Result:
    results = sweep(
        tiny_model(family, seed=1), data or two_splits(), [probe], controls="none", progress=False
    )
    return results[probe.name]


def test_the_highest_comes_first_and_of_equals_the_first() -> None:
    found = pointed_heads(written({(1, 0): 0.2, (1, 1): 0.9, (2, 0): 0.5, (2, 1): 0.9, (3, 0): None}))
    assert found.heads == (("joint", 1, 1), ("joint", 2, 1), ("joint", 2, 0), ("joint", 1, 0))
    assert found.scores == (0.9, 0.9, 0.5, 0.2) and len(found) == 4 and found[0] == ("joint", 1, 1)
    assert list(found) == list(found.heads)
    assert found[::-1].heads == found.heads[::-1] and found[::-1].scores == found.scores[::-1]
    assert found[:2].direction == "text->image" and found[:2].said == "hit rate of coreference attention"
    assert found.table["rank"].tolist() == [1, 2, 3, 4]
    assert found.table.columns[-1] == "hit_rate_on_choice"


def test_controls_do_not_rank() -> None:
    own, random = written({(1, 0): 0.2}), written({(1, 1): 0.9}, control="random weights")
    both = Result(own.probe, pd.concat([own.frame, random.frame]), META)
    assert pointed_heads(both).heads == (("joint", 1, 0),)


def test_coreference_ranks_on_the_pictures_that_choose() -> None:
    probe = CoreferenceAttention(permutations=20)
    result = swept("uniter", probe)
    found = pointed_heads(result)
    assert (found.split, found.n_images, found.direction) == ("val", 6, "text->image")
    assert len(found) == 9 and found.measure == "hit_rate_on_choice"
    alone = swept("uniter", probe, [replace(e, split="test") for e in two_splits() if e.split == "val"])
    rate = {split: part.select(measure="hit_rate", group="all") for split, part in (("alone", alone),)}
    assert set(rate["alone"]["split"]) == {"test"}
    chosen = result.select(measure="chosen_hit_rate_on_choice", group="all", direction="text->image").iloc[0]
    assert (
        found[0] == (chosen["stack"], chosen["layer"], chosen["head"]) and found.scores[0] == chosen["value"]
    )
    other = [e if e.split == "val" else replace(e, words=e.words[::-1]) for e in two_splits()]
    assert pointed_heads(swept("uniter", probe, other)) == found, "the test says nothing to the ranking"


def test_a_direction_of_its_own() -> None:
    result = swept("vilbert", CoreferenceAttention(permutations=20))
    back = pointed_heads(result, "image->text")
    assert back.direction == "image->text" and {stack for stack, _, _ in back} == {"cross"}
    assert len(back) == 12
    with pytest.raises(ValueError, match="text->text"):
        pointed_heads(result, "text->text")


def test_cross_modal_heads() -> None:
    result = swept("uniter", CrossModalHeads())
    found = pointed_heads(result)
    rows = result.select(
        measure="mass_minus_expected", direction="text->image", specials="excluded", control="none"
    )
    best = rows.loc[rows["value"].idxmax()]
    assert found[0] == ("joint", best["layer"], best["head"]) and found.scores[0] == best["value"]
    assert found.split == "test+val" and sorted(found.scores, reverse=True) == list(found.scores)
    assert pointed_heads(result, measure="mass").measure == "mass"
    with pytest.raises(ValueError, match="'mass'"):
        pointed_heads(result, measure="hit_rate")


def test_modality_importance() -> None:
    result = swept("uniter", ModalityImportance())
    found = pointed_heads(result)
    rows = result.select(measure="cls_mass_per_position", specials="excluded", group="image", control="none")
    assert found.scores[0] == rows[rows["head"].notna()]["value"].max() and len(found) == 9
    assert found.direction is None
    with pytest.raises(ValueError, match="leave direction out"):
        pointed_heads(result, "text->image")


def test_where_a_probe_is_not_defined_its_reason_stands() -> None:
    found = pointed_heads(swept("lxmert", CrossModalHeads()))
    assert found.heads == () and found.reason and "softmax" in found.reason
    assert len(found.table) == 0
    assert pointed_heads(swept("bert", CoreferenceAttention())).reason


def test_another_result_ranks_nothing() -> None:
    with pytest.raises(ValueError, match="coreference_attention, cross_modal_heads, modality_importance"):
        pointed_heads(Result("fusion_degree", pd.DataFrame({"value": [1.0]}), META))


def test_it_is_called_as_vnb_has_it() -> None:
    assert vnb.pointed_heads(written({(1, 0): 0.2})) == pointed_heads(written({(1, 0): 0.2}))
    assert PointedHeads(()).table.columns[-1] == "score"
