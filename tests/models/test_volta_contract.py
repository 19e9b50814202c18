"""What every family owes to whoever looks into it (test_contract.py), of VisualBERT and VL-BERT."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.models import test_contract as contract
from tests.tiny import tiny_config, tiny_examples, tiny_words
from value_nb import without_image
from value_nb.data.example import Example
from value_nb.layout import PositionClass
from value_nb.models.files import build
from value_nb.models.gated import GatedVL

SAME = {"mask_embedding": False, "region_head": "common", "key_layout": "volta"}
OBJECTS = {
    "family": "vl-bert", "image_embedding": "vl-bert", "coordinate_width": 2, "type_vocab_size": 3,
    "region_norm": False, **SAME,
}  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "visualbert": {"family": "visualbert", "image_embedding": "visualbert", "location_size": 0, **SAME},
    "vl-bert, global row first": {**OBJECTS, "location_size": 5, "global_row": "first", "fusion": "mul"},
    "vl-bert, global row last": {
        **OBJECTS, "location_size": 4, "global_row": "last", "fusion": "none", "matching_head": False,
        "mask_embedding": True,
    },
}  # fmt: skip
OWED = (
    "layers_come_in_order_with_as_many_maps_as_the_config_says", "shapes_are_those_announced",
    "valid_rows_sum_to_one_and_padding_gets_nothing", "alone_or_among_others_is_the_same",
    "the_layout_counts_words_regions_and_specials", "nothing_is_written_into",
    "a_map_is_freed_when_its_layer_is_over", "ablating_nothing_changes_nothing",
    "ablating_a_head_changes_its_stream_in_its_layer", "a_head_mask_without_direction_means_all_blocks",
    "a_closed_gate_removes_exactly_the_picture", "maps_beside_a_closed_gate", "a_caption_is_never_cut",
    "regions_need_features_of_the_right_width", "masked_words_hide_all_pieces", "fresh_weights_are_a_control",
)  # fmt: skip
globals().update({f"test_{name}": getattr(contract, f"test_{name}") for name in OWED})


def tiny(kind: str, layers: int = 5) -> GatedVL:
    config = tiny_config("uniter", layers=layers).replace(**KINDS[kind])
    return GatedVL(build(config, 1), tiny_words(), "tiny", "random:1")


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest) -> GatedVL:
    return tiny(request.param)


@pytest.fixture(scope="module")
def gated(model: GatedVL) -> GatedVL:
    return model


@pytest.fixture
def examples() -> list[Example]:
    return tiny_examples(4, seed=2)


def test_another_picture_changes_the_words(model: GatedVL, examples: list[Example]) -> None:
    one, other = (model.run(model.prepare(e)) for e in (examples, contract.other_pictures(examples)))
    moved = (one.hidden["text"] - other.hidden["text"]).abs().amax(dim=(1, 2))
    assert (moved > 0.01).all()


def test_boxes_matter_to_vlbert_only(model: GatedVL, examples: list[Example]) -> None:
    def mirrored(example: Example) -> Example:
        assert example.regions is not None
        boxes = 1 - example.regions.boxes[:, [2, 3, 0, 1]]
        return replace(example, regions=replace(example.regions, boxes=boxes))

    one, other = (model.run(model.prepare(e)) for e in (examples, [mirrored(e) for e in examples]))
    assert torch.equal(one.hidden["text"], other.hidden["text"]) == (model.family == "visualbert")


def test_a_closed_gate_equals_no_regions_at_all(model: GatedVL, examples: list[Example]) -> None:
    """Also for VL-BERT, whose picture enters the words before the first layer."""
    bare = [replace(e, regions=None) for e in examples]
    closed = model.run(model.prepare(examples), closed=("text->image",)).hidden["text"]
    nothing = model.run(model.prepare(bare)).hidden["text"]
    torch.testing.assert_close(closed, nothing, atol=1e-6, rtol=0)
    mixed = model.run(model.prepare([bare[0], *examples[1:]])).hidden["text"]
    torch.testing.assert_close(mixed[0], nothing[0], atol=1e-6, rtol=0)


def test_a_model_without_image_does_not_know_the_picture(model: GatedVL, examples: list[Example]) -> None:
    with without_image(model) as blind:
        found = [
            blind.masked_words(e, [0] * 4).log_probability
            for e in (examples, contract.other_pictures(examples))
        ]
    np.testing.assert_array_equal(*found)


def test_the_regions_learn_of_the_sentence_its_length_at_most(
    model: GatedVL, examples: list[Example]
) -> None:
    """With "image->text" closed: nothing at all, but for VL-BERT, whose regions stand behind the pieces."""
    example = replace(examples[0], words=("a", "man"))
    same, longer = replace(example, words=("near", "dog")), replace(example, words=("a", "man", "near"))
    one, two, three = (
        model.run(model.prepare(e), closed=("image->text",)).hidden["image"] for e in (example, same, longer)
    )
    assert torch.equal(one, two)
    assert torch.allclose(one, three, atol=1e-5) == (model.family == "visualbert")


def test_trap_8_regions_keep_their_numbers_where_the_global_row_is_last(examples: list[Example]) -> None:
    """Row r is region r, and the last valid row of each picture is the whole one."""
    model = tiny("vl-bert, global row last", layers=1)
    batch = model.prepare(examples)
    image = batch.layout.streams["image"]
    for index, example in enumerate(examples):
        assert example.regions is not None and example.regions.features is not None
        n = len(example.regions)
        assert image.unit[index, : n + 1].tolist() == [*range(n), -1]
        assert image.position_class[index, : n + 1].tolist() == [PositionClass.IMAGE] * n + [
            PositionClass.SPECIAL
        ]
        assert image.tokens[index][-1] == "[IMG]" and image.tokens[index][0].startswith("r0")
        rows = batch.inputs["features"][index]
        np.testing.assert_allclose(rows[:n], example.regions.features, atol=1e-6)
        np.testing.assert_allclose(rows[n], example.regions.features.mean(axis=0), atol=1e-6)
        assert batch.inputs["locations"][index, n].tolist() == [0, 0, 1, 1]
        assert not image.valid[index, n + 1 :].any()
    trace = model.trace(examples[0])
    assert trace.attention("text->image", layer=1).columns[0].startswith("r0")
    assert trace.streams["image"].unit[-1] == -1


def test_trap_8_boxes_are_shifted_by_one_where_the_global_row_is_first(examples: list[Example]) -> None:
    model = tiny("vl-bert, global row first", layers=1)
    example = examples[0]
    assert example.regions is not None
    positions = model.trace(example).positions
    image = positions[positions["stream"] == "image"].reset_index(drop=True)
    assert image["box"][0] is None and image["token"][0] == "[IMG]"
    for row in range(1, len(image)):
        np.testing.assert_allclose(image["box"][row], example.regions.boxes[row - 1])


def test_without_a_pooler_there_is_nothing_to_match_with(examples: list[Example]) -> None:
    model = tiny("vl-bert, global row last", layers=1)
    assert model.run(model.prepare(examples)).pooled == {}
    with pytest.raises(ValueError, match="config has no matching_head"):
        model.matching(examples)


def test_vlberts_captions_leave_two_positions_to_the_regions(examples: list[Example]) -> None:
    model = tiny("vl-bert, global row first", layers=1)
    assert model.max_positions == model.config.max_positions - 2 == 22
    batch = model.prepare(replace(examples[0], words=("a",) * 20))
    model.run(batch)
    ids = torch.full((1, 23), 5)
    with pytest.raises(ValueError, match="regions' position is 24, behind the text's; this model knows 24"):
        model.module(
            ids, torch.ones(1, 23), *(batch.inputs[n] for n in ("features", "locations", "image_mask"))
        )
