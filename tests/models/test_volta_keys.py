"""The complete key lists of VOLTA's nine checkpoints, in full size, against what the kit builds and names."""

from __future__ import annotations

import gzip
import json
from functools import cache
from typing import Any

import pytest
import torch

from tests.models import volta_reference as reference
from tests.models.samples import FILES
from tests.models.volta_configs import NAMES, volta_config
from value_nb.models import volta
from value_nb.models.config import EncoderConfig
from value_nb.models.gated_encoder import GatedModel
from value_nb.models.keys import canonical, tensor_names
from value_nb.models.volta_recipes import recipe

MILLIONS = {
    "ctrl_uniter_base": 114.50, "ctrl_visualbert_base": 114.88, "ctrl_vl-bert_base": 116.07,
    "ctrl_vilbert_base": 242.08, "ctrl_lxmert": 211.37, "vilbert_base": 239.02, "lxmert": 212.27,
    "original_lxmert": 228.05, "vl-bert_base": 114.49,
}  # fmt: skip
ANSWERS = "cls.qaPredictions."

pytestmark = pytest.mark.filterwarnings("ignore:this config is that of the converted official LXMERT")


@cache
def key_list(name: str) -> dict[str, Any]:
    """keys: name -> shape; tied: groups of names of one tensor; n_keys, n_tensors, n_parameters."""
    raw = json.loads(gzip.decompress((FILES / "volta_keys.json.gz").read_bytes()))[name]
    keys = {t.format(n): tuple(shape) for t, shape, numbers in raw["keys"] for n in numbers or [0]}
    tied = {frozenset(t.format(n) for t in group) for group, numbers in raw["tied"] for n in numbers or [0]}
    return {**raw, "keys": keys, "tied": tied}


@cache
def config(name: str) -> EncoderConfig:
    return volta.read_config(volta_config(name, small=False))


@cache
def meta(name: str) -> GatedModel:
    with torch.device("meta"):
        return GatedModel(config(name))


@pytest.mark.parametrize("name", NAMES)
def test_every_key_has_its_place_and_shape(name: str) -> None:
    """Nothing is missing, nothing is left over but the heads for answers; shapes agree."""
    keys = {canonical(key, volta.FAMILY.prefixes): shape for key, shape in key_list(name)["keys"].items()}
    assert len(keys) == key_list(name)["n_keys"]
    shapes = {key: tuple(tensor.shape) for key, tensor in meta(name).state_dict().items()}
    named = {
        n: shapes[ours] for ours, theirs in tensor_names(volta.FAMILY, config(name)).items() for n in theirs
    }
    assert named == {key: shape for key, shape in keys.items() if not key.startswith(ANSWERS)}
    has_answers = any(key.startswith(ANSWERS) for key in keys)
    assert has_answers == (name == "original_lxmert")


@pytest.mark.parametrize("name", NAMES)
def test_duplicates_are_those_of_the_file(name: str) -> None:
    groups = {
        frozenset(names) for names in tensor_names(volta.FAMILY, config(name)).values() if len(names) > 1
    }
    theirs = {
        frozenset(canonical(n, volta.FAMILY.prefixes) for n in group) for group in key_list(name)["tied"]
    }
    assert groups == theirs


@pytest.mark.parametrize("name", NAMES)
def test_sizes_as_published(name: str) -> None:
    """Parameters, tied ones counted once; the head for answers, which is not read, comes on top."""
    found = sum(parameter.numel() for parameter in meta(name).parameters())
    answers = [torch.Size(s).numel() for k, s in key_list(name)["keys"].items() if k.startswith(ANSWERS)]
    assert found + sum(answers) == key_list(name)["n_parameters"]
    assert round(key_list(name)["n_parameters"] / 1e6, 2) == MILLIONS[name]
    n_answers = 6 if answers else 0
    assert len(meta(name).state_dict()) + n_answers == key_list(name)["n_tensors"]


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_of_the_parity_tests_names_the_same_keys(name: str) -> None:
    """So what the small checkpoints of test_volta_models.py hold is what the files hold."""
    values = volta_config(name, small=False)
    assert reference.shapes(values) == key_list(name)["keys"]
    assert set(map(frozenset, reference.tied(values))) == key_list(name)["tied"]


@pytest.mark.parametrize("name", NAMES)
def test_configs_that_the_kit_has_written_down_say_the_same(name: str) -> None:
    assert volta.read_config(recipe(name)) == config(name)


def test_published_stacks() -> None:
    assert [meta(name).gates.stacks for name in NAMES[:4]] == [{"joint": 12}] * 4
    assert [meta(name).gates.stacks for name in NAMES[4:6]] == [{"text": 6, "cross": 6}] * 2
    assert [meta(name).gates.stacks for name in NAMES[6:]] == [{"text": 9, "image": 5, "cross": 5}] * 3
