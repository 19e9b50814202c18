from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.tiny import tiny_examples, tiny_model
from value_nb.examples import own_model
from value_nb.models.gated import GatedVL


@pytest.fixture
def theirs() -> GatedVL:
    model = tiny_model("uniter")
    assert isinstance(model, GatedVL)
    return model


def test_it_computes_what_the_model_computes_whose_weights_it_has(tmp_path: Path, theirs: GatedVL) -> None:
    mine = own_model.load(own_model.write(tmp_path, theirs))
    examples = tiny_examples(3)
    np.testing.assert_array_equal(mine.matching(examples), theirs.matching(examples))
    ours, other = mine.masked_words(examples, [0, 0, 0]), theirs.masked_words(examples, [0, 0, 0])
    np.testing.assert_array_equal(ours.log_probability, other.log_probability)
    assert mine.name == "my-model" and mine.weights == "trained"


def test_names_in_the_file_are_its_own(tmp_path: Path, theirs: GatedVL) -> None:
    own_model.write(tmp_path, theirs)
    stored = load_file(tmp_path / own_model.WEIGHTS)
    assert "words.weight" in stored and "block0.q.weight" in stored
    assert not [name for name in stored if "sublayers" in name or "embeddings" in name]


def test_a_tensor_too_few_or_too_many_is_named(tmp_path: Path, theirs: GatedVL) -> None:
    own_model.write(tmp_path, theirs)
    stored = load_file(tmp_path / own_model.WEIGHTS)
    save_file(stored | {"block9.q.weight": torch.zeros(1)}, tmp_path / own_model.WEIGHTS)
    with pytest.raises(ValueError, match=r"does not name: block9\.q\.weight"):
        own_model.load(tmp_path)
    fewer = {name: one for name, one in stored.items() if name != "block0.q.weight"}
    save_file(fewer, tmp_path / own_model.WEIGHTS)
    with pytest.raises(ValueError, match=r"missing: block0\.q\.weight"):
        own_model.load(tmp_path)


def test_random_weights_are_drawn_from_the_seed(tmp_path: Path, theirs: GatedVL) -> None:
    own_model.write(tmp_path, theirs)
    one, again, other = (own_model.load(tmp_path, random_weights=seed) for seed in (1, 1, 2))
    weights = [next(iter(model.module.parameters())) for model in (one, again, other)]
    assert one.weights == "random:1" and torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
