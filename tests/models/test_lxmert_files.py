"""A directory of mini-lxmert is one of transformers, too: the same outputs and heads, nothing renamed."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, LxmertConfig, LxmertForPreTraining, LxmertModel

from data.build import learners, model_configs
from tests.models.test_lxmert import close, compare_layers, inputs, ours
from tests.tiny import tiny_config
from value_nb.models import lxmert
from value_nb.models.config import EncoderConfig
from value_nb.models.files import build, config_values, read_model, save_model
from value_nb.models.gated_encoder import GatedModel
from value_nb.models.registry import load_model

VOCABULARY, FEATURES, CLASSES = 50, 10, 6


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> EncoderConfig:
    """mini-lxmert as the build makes it, scaled down."""
    for name, size in {"WIDTH": 24, "HEADS": 3, "FFN": 40, "POSITIONS": 16}.items():
        monkeypatch.setattr(model_configs, name, size)
    return model_configs.gated_config("mini-lxmert", VOCABULARY, FEATURES, CLASSES)


def filled(config: EncoderConfig) -> GatedModel:
    """A model in which every single tensor matters: no bias is zero, no norm is one."""
    model = build(config, 0)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model


@pytest.fixture
def directory(config: EncoderConfig, tmp_path: Path) -> Path:
    return save_model(tmp_path / "mini-lxmert", filled(config))


def theirs(directory: Path, kind: type = LxmertForPreTraining) -> LxmertForPreTraining:
    model, report = kind.from_pretrained(directory, dtype=torch.float64, output_loading_info=True)
    assert not report["missing_keys"] and not report["mismatched_keys"]
    return model.eval()


@pytest.mark.parametrize("regions", [6, 4])
def test_every_state_and_map_is_that_of_transformers(directory: Path, regions: int) -> None:
    compare_layers(read_model(directory).double(), theirs(directory), inputs(regions))


@torch.no_grad()
def test_every_head_is_that_of_transformers(directory: Path) -> None:
    model, reference, given = read_model(directory).double(), theirs(directory), inputs(4)
    _, text, image, pooled = ours(model, given)
    words, matching = reference.cls(text, pooled["fused"])
    close(model.masked_word_logits(text), words)
    close(model.matching_logits(pooled), matching)
    outputs = reference.obj_predict_head(image)
    assert set(outputs) == {"obj", "feat"}
    for name, found in model.masked_region_outputs(image).items():
        close(found, outputs[lxmert.REGION_TARGETS[name]])


@torch.no_grad()
def test_the_bare_model_and_the_automatic_one_read_it(directory: Path) -> None:
    given, model = inputs(4), read_model(directory).double()
    _, text, image, pooled = ours(model, given)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bare = theirs(directory, LxmertModel)
    auto = AutoModel.from_pretrained(directory, dtype=torch.float64).eval()
    for reference in (bare, auto):
        assert type(reference) is LxmertModel
        out = reference(given["input_ids"], given["features"], given["locations"], given["text_mask"],
                        given["image_mask"])  # fmt: skip
        close(out.language_output, text)
        close(out.vision_output, image)
        close(out.pooled_output, pooled["fused"])


def test_no_tensor_is_left_over_and_none_is_renamed(directory: Path) -> None:
    held = set(load_file(directory / "model.safetensors"))
    wanted = set(LxmertForPreTraining(LxmertConfig.from_pretrained(directory)).state_dict())
    assert wanted - held == {"cls.predictions.decoder.weight"}, "the decoder is the word embedding, tied"
    assert not held - wanted


def test_what_the_training_writes_is_such_a_directory(config: EncoderConfig, tmp_path: Path) -> None:
    learner = learners.PairLearner.__new__(learners.PairLearner)
    learner.module = filled(config)
    written = learner.save(tmp_path)
    assert json.loads((written / "config.json").read_text())["model_type"] == "lxmert"
    compare_layers(read_model(written).double(), theirs(written), inputs(4))


def test_our_config_comes_back_whole(config: EncoderConfig, directory: Path) -> None:
    assert EncoderConfig.load(directory) == config
    assert LxmertConfig.from_pretrained(directory).hidden_size == config.text_width


def test_a_directory_in_the_old_form_is_still_read(config: EncoderConfig, directory: Path) -> None:
    want = read_model(directory).state_dict()
    config.save(directory)
    assert json.loads((directory / "config.json").read_text())["model_type"] == "value_nb-gated"
    again = read_model(directory)
    assert again.config == config
    assert all(torch.equal(tensor, want[name]) for name, tensor in again.state_dict().items())


def test_load_model_reads_both_forms(tmp_path: Path) -> None:
    from tests.tiny import save_tiny, tiny_examples

    directory, states = save_tiny(tmp_path / "tiny", "lxmert"), []
    assert "value_nb" in json.loads((directory / "config.json").read_text())
    for _ in range(2):
        model = load_model(directory)
        assert model.family == "lxmert"
        states.append(model.run(model.prepare(tiny_examples(2))).hidden["text"])
        tiny_config("lxmert").save(directory)
    assert torch.equal(*states)


@pytest.mark.parametrize(
    "change",
    [
        {"image_ffn": 30}, {"cross_heads": 2}, {"pooler_act": "relu"}, {"match_index": 0},
        {"norm_eps": 1e-6}, {"pooler_width": 30}, {"global_row": "first"},
        {"fusion": "mul", "global_row": "first"},
    ],
    ids="-".join,
)  # fmt: skip
def test_what_transformers_cannot_say_is_written_in_our_form(change: dict) -> None:
    values = config_values(tiny_config("lxmert", **change))
    assert values["model_type"] == "value_nb-gated" and "value_nb" not in values


@pytest.mark.parametrize("family", ["uniter", "vilbert"])
def test_other_families_keep_our_form(family: str) -> None:
    assert config_values(tiny_config(family)) == tiny_config(family).to_dict()


def test_a_model_without_region_head_is_read_as_well(config: EncoderConfig, tmp_path: Path) -> None:
    small = config.replace(region_targets=())
    save_model(tmp_path, filled(small))
    reference = theirs(tmp_path)
    assert not hasattr(reference, "obj_predict_head") and not hasattr(reference, "answer_head")
    compare_layers(read_model(tmp_path).double(), reference, inputs(4))
