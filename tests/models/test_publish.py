from __future__ import annotations

import pytest
import torch

from value_nb.models.publish import layer_number, spread_head_mask

STACKS = {"joint": 4}
DIRECTIONS = {"joint": ("text->text", "text->image")}


def spread(mask: dict) -> dict:
    return spread_head_mask(mask, STACKS, DIRECTIONS, lambda stack, direction: 2)


def test_a_block_named_twice_gets_the_product() -> None:
    mask = {("joint", 2): torch.tensor([1.0, 0.5]), ("joint", 2, "text->image"): torch.tensor([0.0, 0.5])}
    found = spread(mask)
    assert found["joint", 2, "text->text"].tolist() == [1.0, 0.5]
    assert found["joint", 2, "text->image"].tolist() == [0.0, 0.25]
    assert len(found) == 2


def test_layers_may_count_from_the_end() -> None:
    assert list(spread({("joint", -1, "text->text"): torch.ones(2)})) == [("joint", 4, "text->text")]
    assert [layer_number(STACKS, "joint", n) for n in (0, 1, 4, -1, -4, -5)] == [0, 1, 4, 4, 1, 0]
    with pytest.raises(ValueError, match="stack 'joint' has layers 0 to 4, or -1 to -5"):
        layer_number(STACKS, "joint", -6)
