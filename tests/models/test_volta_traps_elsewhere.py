"""Traps of the list in the reference that no single model shows; the others are in test_volta_models.py."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.torch import load_file

import value_nb as vnb
from tests.models.samples import FILES
from tests.tiny import GATED, tiny_examples, tiny_model
from value_nb.models import uniter, vilbert
from value_nb.models.keys import to_engine
from value_nb.models.known import ENTRIES


@pytest.mark.parametrize("family", GATED)
def test_trap_12_rows_of_padding_count_nothing(family: str) -> None:
    model, examples = tiny_model(family), tiny_examples(4)
    assert len({len(example.words) for example in examples}) > 1
    together, alone = (
        vnb.sweep(model, examples, [vnb.CrossModalHeads()], batch_size=size, controls="none", progress=False)
        for size in (4, 1)
    )
    one, other = (found["cross_modal_heads"].frame["value"].to_numpy() for found in (together, alone))
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_trap_15_a_vilbert_is_not_half_read_as_something_else() -> None:
    weights = load_file(FILES / "vilbert_pretrain" / "state_dict.safetensors")
    config = uniter.read_config(
        {
            "hidden_size": 48, "num_attention_heads": 4, "intermediate_size": 96, "num_hidden_layers": 4,
            "vocab_size": 100, "max_position_embeddings": 40, "type_vocab_size": 2,
            "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "initializer_range": 0.02,
        },
        feature_size=20,
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"left over: .*encoder\.c_layer"):
        to_engine(uniter.FAMILY, config, weights)


def test_trap_16_models_of_other_detectors_say_so() -> None:
    made_for = {name: ENTRIES[name].features for name in ("vilbert-base", "vilbert-beta", "ctrl-vilbert")}
    assert all(made_for.values()) and len(set(made_for.values())) == 3


def test_trap_18_pooling_method_is_read_by_nobody() -> None:
    values = json.loads((FILES / "vilbert_pretrain" / "config.json").read_text())
    configs = [vilbert.read_config({**values, "pooling_method": method}) for method in ("mul", "sum")]
    assert configs[0] == configs[1] and configs[0].fusion == "mul"
