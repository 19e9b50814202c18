from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.tiny import GATED, save_tiny, tiny_config
from value_nb.models.files import build, build_from, family_of, read_json, read_model, save_model
from value_nb.models.keys import from_engine, to_engine


@pytest.mark.parametrize("family", GATED)
def test_a_model_survives_its_file_and_is_float32(family: str, tmp_path: Path) -> None:
    model = build(tiny_config(family), 3)
    save_model(tmp_path, model, torch.float16)
    assert {t.dtype for t in load_file(tmp_path / "model.safetensors").values()} == {torch.float16}
    again = read_model(tmp_path)
    assert again.config == model.config
    assert {p.dtype for p in again.parameters()} == {torch.float32}
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor.half().float()), name
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("uniter", "uniter.img_embeddings.pos_layer_norm.bias"),
        ("lxmert", "lxmert.encoder.x_layers.1.visual_attention.att.key.weight"),
        ("vilbert", "bert.encoder.c_layer.0.biattention.query2.weight"),
    ],
)
def test_missing_and_left_over_tensors_are_listed(family: str, name: str) -> None:
    config = tiny_config(family)
    state = from_engine(family_of(config), config, build(config, 0).state_dict())
    lacking = {k: v for k, v in state.items() if k != name}
    short = name.split(".", 1)[1]
    with pytest.raises(ValueError, match=f"missing: {short}; left over: none"):
        build_from(config, lacking)
    with pytest.raises(ValueError, match=r"missing: none; left over: encoder\.layer\.9\.extra\.weight"):
        build_from(config, {**state, "encoder.layer.9.extra.weight": torch.zeros(1)})


def test_a_head_is_whole_or_absent() -> None:
    config = tiny_config("uniter")
    state = from_engine(family_of(config), config, build(config, 0).state_dict())
    without = {k: v for k, v in state.items() if not k.startswith("itm_output")}
    assert build_from(config, without).matching_head is None
    half = {k: v for k, v in state.items() if k != "itm_output.bias"}
    with pytest.raises(ValueError, match=r"missing: itm_output\.bias"):
        build_from(config, half)


def test_tensors_come_out_in_float32_whatever_the_file_holds() -> None:
    config = tiny_config("uniter")
    state = from_engine(family_of(config), config, build(config, 0).half().state_dict())
    assert {t.dtype for t in to_engine(family_of(config), config, state)[1].values()} == {torch.float32}


def test_sizes_that_differ_are_named() -> None:
    config = tiny_config("uniter")
    state = from_engine(family_of(config), config, build(config, 0).state_dict())
    with pytest.raises(ValueError, match=r"pos_linear\.weight is \(24, 7\), expected \(24, 5\)"):
        build_from(config.replace(location_size=5), state)


def test_one_tensor_under_two_prefixes_is_refused() -> None:
    config = tiny_config("uniter")
    state = from_engine(family_of(config), config, build(config, 0).state_dict())
    twice = {**state, "bert.pooler.dense.bias": state["uniter.pooler.dense.bias"]}
    with pytest.raises(ValueError, match=r"two tensors .* 'pooler\.dense\.bias'"):
        build_from(config, twice)


def test_building_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    one, same, other = (
        build(tiny_config("lxmert"), 1),
        build(tiny_config("lxmert"), 1),
        build(tiny_config("lxmert"), 2),
    )
    assert torch.equal(before, torch.get_rng_state())
    weight = "sublayers.0.text.query.weight"
    assert torch.equal(one.state_dict()[weight], same.state_dict()[weight])
    assert not torch.equal(one.state_dict()[weight], other.state_dict()[weight])


def test_fresh_weights_are_normal_norms_one_and_biases_zero() -> None:
    state = build(tiny_config("vilbert", initializer_range=0.02), 0).state_dict()
    assert all(torch.equal(t, torch.zeros_like(t)) for n, t in state.items() if n.endswith("bias"))
    assert all(torch.equal(t, torch.ones_like(t)) for n, t in state.items() if "norm.weight" in n)
    spread = torch.cat([t.flatten() for n, t in state.items() if "weight" in n and "norm" not in n])
    assert 0.0195 < spread.std().item() < 0.0205


def test_a_directory_without_weights_says_what_belongs_there(tmp_path: Path) -> None:
    tiny_config("uniter").save(tmp_path)
    with pytest.raises(ValueError, match=r"has no model\.safetensors"):
        read_model(tmp_path)


def test_json_files(tmp_path: Path) -> None:
    assert read_json(tmp_path / "card.json") == {}
    (tmp_path / "card.json").write_text("[1]")
    with pytest.raises(ValueError, match="expected a JSON object"):
        read_json(tmp_path / "card.json")


def test_official_old_names_are_read(tmp_path: Path) -> None:
    directory = save_tiny(tmp_path / "m", "uniter")
    state = load_file(directory / "model.safetensors")
    old = {
        "module."
        + k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): v
        for k, v in state.items()
    }
    want = read_model(directory).state_dict()
    save_file(old, directory / "model.safetensors")
    assert all(torch.equal(t, want[n]) for n, t in read_model(directory).state_dict().items())
