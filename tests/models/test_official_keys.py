"""Official checkpoints in full size: sizes told by the shapes, every tensor named or set aside."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.models.official_files import SAME, key_list
from tests.models.volta_configs import NAMES, volta_config
from value_nb.models import volta
from value_nb.models.gated_encoder import GatedModel
from value_nb.models.keys import Shapes, canonical, set_aside, tensor_names
from value_nb.models.known import ENTRIES, KNOWN
from value_nb.models.official import NAMINGS, read_config, recognise
from value_nb.models.volta_recipes import OWN, recipe

FILE = Path("w.pt")
UNUSED = [
    f"encoder.c_layer.{{}}.biOutput.q_dense{side}.{kind}" for side in (1, 2) for kind in ("weight", "bias")
]
ANSWERS = [f"answer_head.logit_fc.{part}.{kind}" for part in (0, 2, 3) for kind in ("weight", "bias")]


def unused(layers: int) -> list[str]:
    return [name.format(layer) for layer in range(layers) for name in UNUSED]


def heads(name: str) -> list[str]:
    return [key for key in key_list(name) if key not in key_list(SAME[name])]


TASKS = "bert.embeddings.task_embeddings.weight"
CASES: dict[str, tuple[str, dict[str, object], list[str]]] = {
    "uniter_base": ("uniter", {"joint_layers": 12, "text_heads": 12, "text_width": 768}, []),
    "uniter_large": ("uniter", {"joint_layers": 24, "text_heads": 16, "text_width": 1024}, []),
    "lxmert_transformers": ("lxmert", {"text_layers": 9, "image_layers": 5, "cross_layers": 5}, ANSWERS),
    "pretrain_bert_base_6layer_6conect": ("vilbert", {"text_ids": tuple(range(6, 12))}, unused(6)),
    "multitask_bert_base_6layer_6conect": (
        "vilbert", {"task_rows": 20},
        unused(6) + [key for key in heads("multitask_bert_base_6layer_6conect") if key != TASKS],
    ),
    "beta_pretrain_bert_base_2layer_2conect": (
        "vilbert", {"text_ids": (10, 11), "image_ids": (0, 1)}, unused(2),
    ),
    "beta_pretrain_bert_base_4layer_4conect": ("vilbert", {"text_ids": (8, 9, 10, 11)}, unused(4)),
    "beta_pretrain_bert_base_8layer_8conect": ("vilbert", {"text_ids": tuple(range(4, 12))}, unused(8)),
    "beta_vqa_bert_base_6layer_6conect": (
        "vilbert", {"task_rows": 0}, unused(6) + heads("beta_vqa_bert_base_6layer_6conect"),
    ),
}  # fmt: skip
"""List -> (naming, fields of the config that the shapes must give, names that are set aside)."""
COUNTS = {
    "uniter_base": 230, "uniter_large": 422, "lxmert_transformers": 473,
    "pretrain_bert_base_6layer_6conect": 533, "multitask_bert_base_6layer_6conect": 560,
    "beta_pretrain_bert_base_2layer_2conect": 325, "beta_pretrain_bert_base_4layer_4conect": 429,
    "beta_pretrain_bert_base_8layer_8conect": 637, "beta_vqa_bert_base_6layer_6conect": 545,
}  # fmt: skip


def plain(name: str, naming: str) -> Shapes:
    return {canonical(key, NAMINGS[naming].family.prefixes): shape for key, shape in key_list(name).items()}


@pytest.mark.parametrize("name", CASES)
def test_full_size_files_are_read_without_a_config(name: str) -> None:
    naming, wanted, left = CASES[name]
    assert len(key_list(name)) == COUNTS[name]
    assert recognise(FILE, key_list(name), None) == naming
    shapes, family = plain(name, naming), NAMINGS[naming].family
    config, source = read_config(NAMINGS[naming], shapes, None, None)
    assert {field: getattr(config, field) for field in wanted} == wanted
    assert source.startswith("sizes told by the tensors' shapes") and config.feature_source
    with torch.device("meta"):
        built = {key: tuple(tensor.shape) for key, tensor in GatedModel(config).state_dict().items()}
    names = tensor_names(family, config)
    assert {n: built[ours] for ours, theirs in names.items() for n in theirs} == {
        n: shape for n, shape in shapes.items() if n not in set(left)
    }
    assert sorted(set_aside(family, config, shapes)) == sorted(left)


@pytest.mark.parametrize("prefix", ["bert.", "module.bert."])
def test_the_official_lxmert_file_has_the_hubs_names_under_another_prefix(prefix: str) -> None:
    keys = [prefix + key.removeprefix("lxmert.") if key.startswith("lxmert.") else key
            for key in key_list("lxmert_transformers")]  # fmt: skip
    assert recognise(FILE, keys, "lxmert") == "lxmert"
    family = NAMINGS["lxmert"].family
    assert {canonical(key, family.prefixes) for key in keys} == set(plain("lxmert_transformers", "lxmert"))


@pytest.mark.parametrize("name", NAMES)
def test_the_recipes_are_voltas_configs(name: str) -> None:
    """What is written down for files without config against the JSON as the tests write it."""
    settings = {"fusion_act": "tanh", "match_index": 1} if name == "original_lxmert" else {}
    ours, theirs = ({**values, **settings} for values in (recipe(name), volta_config(name, small=False)))
    assert volta.read_config(ours) == volta.read_config(theirs)


def test_every_recipe_of_the_table_is_there() -> None:
    assert {entry.recipe for entry in KNOWN if entry.recipe} == set(OWN) == set(NAMES)


def test_features_are_those_of_the_right_detector() -> None:
    """All detectors give 2048 numbers: nothing but this text tells them apart."""

    def source(name: str, entry: str | None = None) -> str:
        naming = CASES[name][0]
        shapes = plain(name, naming)
        return read_config(NAMINGS[naming], shapes, None, ENTRIES[entry] if entry else None)[0].feature_source

    assert "10 to 100 regions" in source("uniter_base") and "resnet101_faster_rcnn_final)" in source(
        "uniter_base"
    )
    assert "iter_320000" in source("lxmert_transformers") and "36 regions" in source("lxmert_transformers")
    assert source("multitask_bert_base_6layer_6conect").startswith("ResNeXt-152")
    assert source("beta_vqa_bert_base_6layer_6conect").startswith("bottom-up attention, ResNet-101")
    unclear = source("pretrain_bert_base_6layer_6conect")
    assert "vilbert-multi-task: ResNeXt" in unclear and "vilbert_beta: bottom-up" in unclear
    assert source("pretrain_bert_base_6layer_6conect", "vilbert-base").startswith("ResNeXt-152")
    assert source("pretrain_bert_base_6layer_6conect", "vilbert-beta").startswith("bottom-up")
