"""The official key lists, complete, against the names that the families give."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from transformers import LxmertConfig

from tests.models.samples import FILES
from value_nb.models import lxmert, uniter, vilbert, volta
from value_nb.models.config import EncoderConfig
from value_nb.models.files import family_of
from value_nb.models.gated_encoder import GatedModel
from value_nb.models.keys import canonical, tensor_names
from value_nb.models.volta_recipes import recipe

BERT_BASE = {
    "attention_probs_dropout_prob": 0.1, "hidden_dropout_prob": 0.1, "hidden_size": 768,
    "initializer_range": 0.02, "intermediate_size": 3072, "max_position_embeddings": 512,
    "num_attention_heads": 12, "num_hidden_layers": 12, "type_vocab_size": 2,
}  # fmt: skip
VILBERT_BASE = {
    **BERT_BASE, "vocab_size": 30522, "v_feature_size": 2048, "v_target_size": 1601, "v_hidden_size": 1024,
    "v_num_attention_heads": 8, "v_intermediate_size": 1024, "bi_hidden_size": 1024,
    "bi_num_attention_heads": 8,
}  # fmt: skip


def vilbert_config(layers: int) -> EncoderConfig:
    ids = {"v_biattention_id": list(range(layers)), "t_biattention_id": list(range(12 - layers, 12))}
    return vilbert.read_config({**VILBERT_BASE, "v_num_hidden_layers": layers, **ids})


CONFIGS = {
    "uniter_base": lambda: uniter.read_config({**BERT_BASE, "vocab_size": 28996}),
    "lxmert_transformers": lambda: lxmert.read_config(LxmertConfig().to_dict()),
    "pretrain_bert_base_6layer_6conect": lambda: vilbert_config(6),
    "beta_pretrain_bert_base_2layer_2conect": lambda: vilbert_config(2),
    "ctrl_uniter_base": lambda: volta.read_config(recipe("ctrl_uniter_base")),
}


def official(name: str) -> dict[str, tuple[int, ...]]:
    """Tensor name -> shape; `{}` in a template of the file stands for the listed numbers."""
    templates: list[Any] = json.loads((FILES / "official_keys.json").read_text())[name]
    return {t.format(number): tuple(shape) for t, shape, numbers in templates for number in numbers or [0]}


@pytest.mark.parametrize("name", CONFIGS)
def test_official_key_lists_are_covered(name: str) -> None:
    config = CONFIGS[name]()
    family = family_of(config)
    keys = {canonical(key, family.prefixes): shape for key, shape in official(name).items()}
    with torch.device("meta"):
        shapes = {key: tuple(tensor.shape) for key, tensor in GatedModel(config).state_dict().items()}
    names = tensor_names(family, config)
    assert {n: keys.get(n) for ns in names.values() for n in ns} == {
        n: shapes[k] for k, ns in names.items() for n in ns
    }
    left = set(keys) - {n for ns in names.values() for n in ns}
    assert all(family.may_hold(key) for key in left), left
    assert not any(key.startswith("cls.") for key in left)


def test_canonical_names() -> None:
    prefixes = uniter.FAMILY.prefixes
    assert canonical("module.uniter.embeddings.LayerNorm.gamma", prefixes) == "embeddings.LayerNorm.weight"
    assert (
        canonical("bert.encoder.layer.0.output.LayerNorm.beta", prefixes)
        == "encoder.layer.0.output.LayerNorm.bias"
    )
    assert canonical("itm_output.bias", prefixes) == "itm_output.bias"
