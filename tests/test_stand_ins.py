from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import value_nb as vnb
from value_nb import stand_ins

SMALL = {
    "hidden_size": 128, "num_attention_heads": 2, "intermediate_size": 64, "max_position_embeddings": 64,
    "vocab_size": 500, "num_hidden_layers": 2,
}  # fmt: skip
SMALL_LXMERT = {"l_layers": 2, "r_layers": 1, "x_layers": 1, "num_object_labels": 5, "num_attr_labels": 4}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    configs = {name: one | SMALL for name, one in stand_ins.CONFIGS.items()}
    configs["lxmert"] |= SMALL_LXMERT
    monkeypatch.setattr(stand_ins, "CONFIGS", configs)


@pytest.mark.parametrize("family", ["uniter", "lxmert"])
def test_a_checkpoint_is_read_by_the_call_for_real_ones(family: str, small: None, tmp_path: Path) -> None:
    path = stand_ins.write_checkpoint(tmp_path / "one", family, seed=1)
    model = vnb.load_model(family, checkpoint=path)
    assert model.name.startswith("stand-in-") and model.family == family
    again = stand_ins.write_checkpoint(tmp_path / "two", family, seed=1)
    other = stand_ins.write_checkpoint(tmp_path / "three", family, seed=2)
    same, changed = (vnb.load_model(family, checkpoint=one) for one in (again, other))
    weights = [next(iter(one.module.parameters())) for one in (model, same, changed)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert all(tensor.dtype == torch.half for tensor in torch.load(path, weights_only=True).values())


def test_sizes_are_those_of_the_published_models() -> None:
    uniter, lxmert = stand_ins.CONFIGS["uniter"], stand_ins.CONFIGS["lxmert"]
    assert (uniter["hidden_size"], uniter["num_hidden_layers"], uniter["vocab_size"]) == (768, 12, 28996)
    assert [lxmert[f"{kind}_layers"] for kind in "lrx"] == [9, 5, 5]


def test_another_family_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there are stand-ins for: 'uniter', 'lxmert'"):
        stand_ins.write_checkpoint(tmp_path, "vilbert")


def test_features_go_the_way_of_real_ones(tmp_path: Path) -> None:
    path = stand_ins.write_features(tmp_path, n_pictures=3)
    store = vnb.convert_features(path, tmp_path / "features.h5", progress=False)
    assert len(store) == 3
    data = vnb.load_dataset("flickr30k-entities", root=tmp_path)
    assert len({example.image_id for example in data}) == 3 and len(data) == 15
    regions = data[0].regions
    assert regions is not None and regions.features is not None
    assert regions.features.shape == (stand_ins.PER_PICTURE, stand_ins.FEATURE_WIDTH)
    assert len(np.unique(regions.boxes, axis=0)) == stand_ins.PER_PICTURE
    linked = [phrase for example in data for phrase in example.phrases if phrase.regions]
    assert linked


def test_the_same_seed_gives_the_same_file(tmp_path: Path) -> None:
    files = [
        stand_ins.write_features(tmp_path / name, 2, seed=seed)
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    content = [path.read_bytes() for path in files]
    assert content[0] == content[1] != content[2]
