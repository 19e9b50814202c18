from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.tiny import FAMILIES, save_tiny, tiny_config, tiny_examples
from value_nb.models.registry import load_model, models


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with one shipped model and one checkpoint on the way to it."""
    root = tmp_path / "data" / "mini" / "models"
    save_tiny(root / "mini-uniter", "uniter")
    save_tiny(root / "mini-uniter-step-100", "uniter", seed=1)
    (root / "mini-uniter" / "card.json").write_text(json.dumps({"gate_met": False, "auc": 0.9}))
    monkeypatch.setenv("VALUE_NB_DATA", str(tmp_path / "data"))
    return root


def test_the_table_of_models(bundled: Path) -> None:
    table = models().set_index("name")
    assert list(table.columns) == ["family", "streams", "source", "present", "how to get it"]
    assert table.loc["mini-uniter", "present"] and table.loc["mini-uniter-step-100", "present"]
    assert not table.loc["mini-bert", "present"] and table.loc["mini-bert", "how to get it"]
    assert table.loc["mini-uniter-step-100", ["family", "streams"]].tolist() == ["uniter", "single-stream"]
    real = table.loc[["uniter-base", "lxmert-base", "vilbert-base"]]
    assert not real.present.any() and (real["how to get it"] != "").all()


def test_the_table_without_any_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VALUE_NB_DATA", str(tmp_path / "nowhere"))
    assert not models().present.any()


def test_loading_by_name(bundled: Path) -> None:
    model = load_model("mini-uniter")
    assert (model.name, model.family, model.weights) == ("mini-uniter", "uniter", "trained")
    assert model.gate_met is False and model.card["auc"] == 0.9
    assert load_model("mini-uniter-step-100").gate_met is None


def test_a_model_that_is_not_here_says_how_to_get_it(bundled: Path) -> None:
    with pytest.raises(ValueError, match=r"mini-bert is not on this machine.*make mini"):
        load_model("mini-bert")
    with pytest.raises(ValueError, match=r"lxmert-base is not on this machine.*unc-nlp/lxmert-base-uncased"):
        load_model("lxmert-base")
    with pytest.raises(
        ValueError, match=r"no model 'minni': neither a directory nor one of mini-bert, mini-uniter"
    ):
        load_model("minni")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_directory_of_any_family(family: str, tmp_path: Path) -> None:
    model = load_model(save_tiny(tmp_path / "here", family))
    assert (model.name, model.family, model.dtype, model.device.type) == (
        "here",
        family,
        torch.float32,
        "cpu",
    )
    assert model.run(model.prepare(tiny_examples(2))).hidden["text"].dtype == torch.float32


@pytest.mark.parametrize("family", FAMILIES)
def test_random_weights_do_not_need_the_file(family: str, tmp_path: Path) -> None:
    directory, examples = save_tiny(tmp_path / "here", family), tiny_examples(2)
    (directory / "card.json").write_text('{"gate_met": true}')
    trained = load_model(directory)
    (directory / "model.safetensors").unlink()
    random = torch.get_rng_state()
    one, same, other = (load_model(directory, random_weights=seed) for seed in (7, 7, 8))
    assert torch.equal(random, torch.get_rng_state())
    assert trained.gate_met is True and one.gate_met is None and one.weights == "random:7"
    states = [m.run(m.prepare(examples)).hidden["text"] for m in (one, same, other, trained)]
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2]) and not torch.equal(states[0], states[3])
    again = trained.with_random_weights(7)
    assert torch.equal(again.run(again.prepare(examples)).hidden["text"], states[0])


@pytest.mark.parametrize("family", FAMILIES)
def test_other_precisions(family: str, tmp_path: Path) -> None:
    directory, examples = save_tiny(tmp_path / "here", family), tiny_examples(2)
    single, double = load_model(directory), load_model(directory, device="cpu", dtype="float64")
    a, b = (m.run(m.prepare(examples)).hidden["text"] for m in (single, double))
    assert b.dtype == torch.float64
    torch.testing.assert_close(a.double(), b, atol=1e-4, rtol=0)
    half = load_model(directory, dtype="bfloat16")
    assert half.run(half.prepare(examples)).hidden["text"].dtype == torch.bfloat16
    assert (
        half.trace(examples[0])
        .attention("text->text", 1, stack=next(iter(half.stacks)))
        .to_numpy()
        .dtype.kind
        == "f"
    )


def test_wrong_options_list_the_right_ones(tmp_path: Path) -> None:
    directory = save_tiny(tmp_path / "here", "uniter")
    with pytest.raises(ValueError, match="dtype is 'int8'; valid: 'float32'"):
        load_model(directory, dtype="int8")
    with pytest.raises(ValueError, match="device is 'tpu'; valid: 'auto', 'cpu'"):
        load_model(directory, device="tpu")
    with pytest.raises(ValueError, match="random_weights is True; expected None, or a seed"):
        load_model(directory, random_weights=True)


def test_a_directory_that_is_none_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no config\.json"):
        load_model(tmp_path)
    directory = save_tiny(tmp_path / "here", "uniter")
    (directory / "config.json").write_text('{"model_type": "vilt"}')
    with pytest.raises(ValueError, match="model_type 'vilt'; valid: 'value_nb-gated'"):
        load_model(directory)


def test_a_tokenizer_larger_than_the_model_is_refused(tmp_path: Path) -> None:
    directory = save_tiny(tmp_path / "here", "uniter")
    tiny_config("uniter", vocab_size=10).save(directory)
    with pytest.raises(ValueError, match="tokenizer has 19 pieces, the model 10"):
        load_model(directory, random_weights=0)
