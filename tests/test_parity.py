"""Tracing changes nothing, and a twin in transformers computes the same; faults in either are found."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.tiny import FAMILIES, tiny_examples, tiny_model
from value_nb.data.registry import load_dataset
from value_nb.models.base import Batch, VLModel
from value_nb.models.gated import GatedVL
from value_nb.models.registry import load_model
from value_nb.parity import COLUMNS, PUBLISHED, TRACED, TWIN, parity

EXAMPLES = tiny_examples(4)
HAVE_TWINS = {"bert", "lxmert"}


def outputs(model: VLModel) -> set[str]:
    if model.family == "bert":
        return {"text states", "word logits"}
    return {"text states", "image states", "word logits", "matching logit", "pooled fused"}


def check(model: VLModel, table: Any) -> None:
    assert tuple(table.columns) == COLUMNS and table["equal"].all(), table.to_string()
    against = {name: set(rows["what"]) for name, rows in table.groupby("against")}
    assert outputs(model) <= against[TRACED]
    assert against[PUBLISHED] == {name for name in outputs(model) if name.endswith("states")}
    assert against.get(TWIN, set()) == (outputs(model) if model.family in HAVE_TWINS else set())
    assert (table.loc[table["against"] != TWIN, "largest difference"] == 0).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tiny_model_of_each_family_is_equal(family):
    model = tiny_model(family)
    check(model, parity(model, EXAMPLES))


@pytest.mark.parametrize("name", ["mini-bert", "mini-uniter", "mini-lxmert", "mini-vilbert"])
def test_every_model_of_the_miniature_is_equal(name):
    model = load_model(name, device="cpu")
    check(model, parity(model, load_dataset("mini-flickr30k", limit=6)))


def test_float64_is_held_to_more():
    model = tiny_model("lxmert")
    model.module.double()
    table = parity(model, EXAMPLES[0])
    assert table["equal"].all() and set(table.loc[table["against"] == TWIN, "tolerance"]) == {1e-9}


class Meddling(GatedVL):
    """A model that computes something else when it is looked into."""

    fault = ""

    def run(self, batch: Batch, on_layer: Any = None, *args: Any, **options: Any) -> Any:
        if on_layer is None:
            return super().run(batch, None, *args, **options)

        def listener(layer: Any) -> None:
            if self.fault == "listener writes" and layer.layer == 1:
                next(iter(layer.hidden.values())).add_(1e-3)
            on_layer(layer)

        found = super().run(batch, listener, *args, **options)
        if self.fault == "image":
            found.hidden["image"][0, 0, 0] += 1e-6
        if self.fault == "pooled":
            found.pooled["fused"].mul_(float("nan"))
        return found


def meddling(fault: str) -> Meddling:
    tiny = tiny_model("uniter")
    model = Meddling(tiny.module, tiny.words, tiny.name, tiny.weights)
    model.fault = fault
    return model


def unequal(model: VLModel) -> set[tuple[str, str]]:
    table = parity(model, EXAMPLES)
    return set(table.loc[~table["equal"], ["what", "against"]].itertuples(index=False, name=None))


def test_a_listener_that_changes_something_is_found_out():
    assert unequal(meddling("")) == set()
    wrong = unequal(meddling("listener writes"))
    assert {("text states", TRACED), ("matching logit", TRACED), ("word logits", TRACED)} <= wrong
    assert ("image states", TRACED) in unequal(meddling("image"))
    assert unequal(meddling("image")) & {("text states", TRACED), ("matching logit", TRACED)} == set()
    nan = unequal(meddling("pooled"))
    assert {("pooled fused", TRACED), ("matching logit", TRACED)} <= nan, "nan is no number to be equal to"


def test_a_twin_that_differs_is_found_out(monkeypatch):
    model, original = tiny_model("lxmert"), GatedVL.run

    def wrong(self: GatedVL, *args: Any, **options: Any) -> Any:
        found = original(self, *args, **options)
        found.hidden["text"][:, 0] += 1e-2
        return found

    monkeypatch.setattr(GatedVL, "run", wrong)
    table = parity(model, EXAMPLES).set_index(["what", "against"])
    assert not table.loc[("text states", TWIN), "equal"]
    assert table.loc[("text states", TWIN), "largest difference"] == pytest.approx(1e-2, rel=0.01)
    assert table.loc[("image states", TWIN), "equal"]


class WithTwin(GatedVL):
    """A family that brings its own twin, as an adapter of transformers' class may."""

    def twin_outputs(self, batch: Batch) -> dict[str, torch.Tensor]:
        found = self.run(batch)
        return {"image states": found.hidden["image"] + 1e-3, "matching logit": self._matching_logits(found)}


def test_a_family_may_bring_its_own_twin():
    tiny = tiny_model("vilbert")
    table = parity(WithTwin(tiny.module, tiny.words, tiny.name, tiny.weights), EXAMPLES)
    rows = table[table["against"] == TWIN].set_index("what")
    assert rows["equal"].to_dict() == {"image states": False, "matching logit": True}


def test_no_examples_are_refused_and_weights_are_left_alone():
    model = tiny_model("lxmert")
    before = {name: tensor.clone() for name, tensor in model.module.state_dict().items()}
    state = torch.get_rng_state()
    parity(model, EXAMPLES)
    assert torch.equal(state, torch.get_rng_state()), "building the twin draws no shared random numbers"
    assert all(torch.equal(before[name], tensor) for name, tensor in model.module.state_dict().items())
    with pytest.raises(ValueError, match="at least one example"):
        parity(model, [])
