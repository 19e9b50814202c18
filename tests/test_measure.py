"""What the scoreboard is measured by: results that its rules ask for, with the controls that they need."""

from __future__ import annotations

import pytest

from tests.tiny import tiny_model
from value_nb import measure
from value_nb.measure import Setting, measure_models, measure_observations
from value_nb.models.registry import load_model
from value_nb.observations import OBSERVATIONS
from value_nb.scoreboard import scoreboard

SMALL = Setting(
    pairs=4,
    coreference={"val": 10, "test": 10},
    relations=20,
    relations_among=300,
    sentences=30,
    tasks=("subj_number",),
)


@pytest.fixture(scope="module")
def bert():
    return measure_observations(tiny_model("bert"), SMALL)


def test_everything_that_a_rule_asks_for_is_there(bert):
    assert {one.probe for one in OBSERVATIONS} == set(bert)
    assert list(bert["linguistic_probe"]) == ["subj_number"]


def test_a_text_model_has_reasons_and_its_tasks(bert):
    board = scoreboard({"tiny-bert": bert}).set_index("observation")
    seen = board.loc[[key for key in board.index if not key.startswith("v,")]]
    assert set(seen["verdict"]) == {"cannot be tested"}
    assert not seen["number"].isin(["not measured", ""]).any()
    assert board.loc["v, attention", "number"].startswith(("0 of 1", "1 of 1"))
    assert board.loc["v, attention", "data"] == "mini-senteval"


@pytest.fixture(scope="module")
def uniter():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "_language", lambda *args: {})
        model = load_model("mini-uniter", random_weights=9)
        yield measure_observations(model, SMALL)


@pytest.mark.parametrize(
    ("probe", "random"),
    [
        ("fusion_degree", 0),
        ("modality_importance", 0),
        ("cross_modal_heads", 5),
        ("coreference_attention", 0),
        ("relation_probe", 1),
    ],
)
def test_controls_are_those_that_the_rules_need(uniter, probe, random):
    frame = uniter[probe].frame
    rows = frame[frame["control"] != "none"]
    assert set(rows["control"]) <= {"random weights"} and rows["weights"].nunique() == random


def test_several_models_in_the_order_in_which_they_were_named(monkeypatch):
    asked = lambda name, setting, seed, cache: (name, setting, seed)  # noqa: E731
    monkeypatch.setattr(measure, "measure_observations", asked)
    found = measure_models(["b", "a"], SMALL, n_jobs=1, seed=3)
    assert list(found.items()) == [("b", ("b", SMALL, 3)), ("a", ("a", SMALL, 3))]
