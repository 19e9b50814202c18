from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import value_nb as vnb
from tests.tiny import FAMILIES, save_tiny, tiny_config, tiny_examples
from value_nb.models.base import VLModel
from value_nb.models.registry import load_model, models, training_curve
from value_nb.probes.fusion import FusionDegree


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
    assert list(table.columns) == [
        "family", "streams", "source", "present", "seeds", "steps", "how to get it",
    ]  # fmt: skip
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
    (directory / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(ValueError, match="model_type 'clip'; valid: 'value_nb-gated'"):
        load_model(directory)


def test_a_tokenizer_larger_than_the_model_is_refused(tmp_path: Path) -> None:
    directory = save_tiny(tmp_path / "here", "uniter")
    tiny_config("uniter", vocab_size=10).save(directory)
    with pytest.raises(ValueError, match="tokenizer has 19 pieces, the model 10"):
        load_model(directory, random_weights=0)


@pytest.fixture
def trained(bundled: Path) -> Path:
    """mini-uniter from three seeds; checkpoints of the first two; a curve of seed 1."""
    for seed, run in ((1, "mini-uniter-seed1"), (2, "mini-uniter-seed2")):
        save_tiny(bundled / run, "uniter", seed=seed)
        (bundled / run / "card.json").write_text(json.dumps({"seed": seed, "steps": 9}))
    for number, place in enumerate(("mini-uniter/steps/step-00500", "mini-uniter/steps/step-01500",
                                    "mini-uniter-seed1/steps/step-00250")):  # fmt: skip
        save_tiny(bundled / place, "uniter", seed=20 + number)
        (bundled / place / "tokenizer.json").unlink()
    (bundled / "mini-uniter-seed1" / "curve.csv").write_text(
        "step,split,measure,value\n10,train,words,5.5\n10,dev,colour words,0.25\n"
    )
    return bundled


def text(model: VLModel) -> torch.Tensor:
    return model.run(model.prepare(tiny_examples(2))).hidden["text"]


def test_the_table_says_which_seeds_and_steps_are_here(trained: Path) -> None:
    table = models().set_index("name")
    assert not {"mini-uniter-seed1", "mini-uniter-seed2"} & set(table.index)
    assert table.loc["mini-uniter", "seeds"] == (0, 1, 2)
    assert table.loc["mini-uniter", "steps"] == (500, 1500)
    assert table.loc["mini-bert", "seeds"] == table.loc["mini-bert", "steps"] == ()
    assert table.loc["mini-uniter-step-100", "seeds"] == (0,)


def test_every_training_and_checkpoint_has_weights_and_a_name_of_its_own(trained: Path) -> None:
    asked = [{}, {"seed": 1}, {"seed": 2}, {"step": 500}, {"step": 1500}, {"seed": 1, "step": 250}]
    found = [load_model("mini-uniter", **options) for options in asked]
    assert [model.name for model in found] == [
        "mini-uniter", "mini-uniter-seed1", "mini-uniter-seed2", "mini-uniter@500", "mini-uniter@1500",
        "mini-uniter-seed1@250",
    ]  # fmt: skip
    states = [text(model) for model in found]
    assert not any(torch.equal(a, b) for i, a in enumerate(states) for b in states[:i])
    for model, own in zip(found, states, strict=True):
        assert torch.equal(text(load_model(model.name)), own), "a name that stands in a frame can be loaded"
    assert torch.equal(text(load_model("mini-uniter", seed=0)), states[0])
    assert torch.equal(text(load_model("mini-uniter-seed1", seed=1, step=250)), states[5])


def test_frames_say_seed_and_step(trained: Path) -> None:
    (trained / "mini-uniter" / "card.json").write_text(json.dumps({"seed": 0, "gate_met": True}))
    seen = set()
    for options in ({}, {"seed": 1}, {"step": 500}, {"seed": 1, "step": 250}):
        model = load_model("mini-uniter", **options)
        result = vnb.sweep(model, tiny_examples(4), [FusionDegree()], controls="none", progress=False)
        seen |= set(map(tuple, result["fusion_degree"].frame[["model", "seed"]].drop_duplicates().to_numpy()))
        assert model.trace(tiny_examples(1)[0]).model == model.name
    assert seen == {
        ("mini-uniter", 0), ("mini-uniter-seed1", 1), ("mini-uniter@500", 0), ("mini-uniter-seed1@250", 1),
    }  # fmt: skip


def test_a_checkpoint_does_not_wear_the_card_of_the_end(trained: Path) -> None:
    (trained / "mini-uniter" / "card.json").write_text(
        json.dumps({"seed": 0, "gate_met": True, "steps": 3500, "trained_length": 24})
    )
    assert load_model("mini-uniter").gate_met is True
    early = load_model("mini-uniter", step=500)
    assert early.gate_met is None and early.card == {"steps": 500, "seed": 0, "trained_length": 24}


def test_seeds_and_steps_that_there_are_not(trained: Path) -> None:
    with pytest.raises(ValueError, match="mini-uniter has no seed 7 here; there are: 0, 1, 2"):
        load_model("mini-uniter", seed=7)
    with pytest.raises(
        ValueError, match="mini-uniter has no checkpoint after step 600 here; there are: 500, 1500"
    ):
        load_model("mini-uniter", step=600)
    with pytest.raises(
        ValueError, match="mini-uniter-seed2 has no checkpoint after step 500 here; there are: none"
    ):
        load_model("mini-uniter", seed=2, step=500)
    with pytest.raises(ValueError, match="'mini-uniter-seed1' names seed 1, and seed=2 was asked for, too"):
        load_model("mini-uniter-seed1", seed=2)
    with pytest.raises(ValueError, match="'mini-uniter@500' names step 500, and step=1500 was asked for"):
        load_model("mini-uniter@500", step=1500)
    with pytest.raises(ValueError, match=r"mini-lxmert is not on this machine.*make mini"):
        load_model("mini-lxmert", seed=1)
    for wrong in (-1, 1.5, True, "1"):
        with pytest.raises(ValueError, match=r"seed is .*; expected None or a whole number"):
            load_model("mini-uniter", seed=wrong)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"step is .*; expected None or a whole number"):
            load_model("mini-uniter", step=wrong)  # type: ignore[arg-type]


def test_random_weights_know_no_seed_of_training_and_no_step(trained: Path) -> None:
    for options in ({"seed": 1}, {"step": 500}):
        with pytest.raises(ValueError, match="random_weights=3 draws weights afresh"):
            load_model("mini-uniter", random_weights=3, **options)
    assert load_model("mini-uniter", random_weights=3).weights == "random:3"


def test_a_directory_has_steps_and_no_seeds(trained: Path) -> None:
    by_path = load_model(trained / "mini-uniter", step=500)
    assert by_path.name == "mini-uniter@500"
    assert torch.equal(text(by_path), text(load_model("mini-uniter", step=500)))
    with pytest.raises(ValueError, match=r"seed=1 chooses among the trainings of a named model"):
        load_model(trained / "mini-uniter", seed=1)


def test_training_curves(trained: Path) -> None:
    curve = training_curve("mini-uniter", seed=1)
    assert list(curve.columns) == ["step", "split", "measure", "value"]
    assert curve.iloc[1].tolist() == [10, "dev", "colour words", 0.25]
    assert curve.equals(training_curve("mini-uniter-seed1"))
    assert curve.equals(training_curve(trained / "mini-uniter-seed1"))
    with pytest.raises(ValueError, match=r"mini-uniter has no curve\.csv"):
        training_curve("mini-uniter")
    with pytest.raises(ValueError, match="mini-uniter has no seed 5 here; there are: 0, 1, 2"):
        training_curve("mini-uniter", seed=5)
