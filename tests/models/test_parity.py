"""The traced run is the untraced one, to the last bit, whatever is listened to."""

from __future__ import annotations

import pytest
import torch

from tests.tiny import FAMILIES, tiny_examples, tiny_model
from value_nb.layout import LayerBatch


@pytest.mark.parametrize("family", FAMILIES)
def test_listening_changes_nothing(family: str) -> None:
    model = tiny_model(family, seed=3)
    batch = model.prepare(tiny_examples(4))
    heard: list[LayerBatch] = []
    plain, traced = model.run(batch), model.run(batch, heard.append)
    edited = model.run(batch, heard.append, on_context=lambda block, context: context)
    assert len(heard) == 2 * (sum(model.stacks.values()) + len(model.stacks))
    for other in (traced, edited):
        for part in ("hidden", "pooled"):
            a, b = getattr(plain, part), getattr(other, part)
            assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
