"""The panel of probing tasks without a browser: what it shows, how often it draws, what it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.panels import pixels
from tests.probes.sentences import LookingModel, sentences
from value_nb.linguistic_scores import no_selectivity, score
from value_nb.probes.linguistic import LinguisticProbe
from value_nb.result import Result
from value_nb.sweep import sweep
from value_nb.widgets import Choices, LinguisticPanel

PROBE = LinguisticProbe(n_jobs=1, grid=(0.01,))


def planted(name: str, task: str, novel: bool = False) -> Result:
    """States of layer 1 hold the class. `novel`: the last words of the test sentences are new."""
    examples = sentences(120, task=task)
    if novel:
        examples = [
            replace(e, words=(*e.words[:-1], f"new{k}")) if e.split == "test" else e
            for k, e in enumerate(examples)
        ]
    model = LookingModel(signal={1: 6.0}, looks=0.4, name=name, gate_met=True)
    return sweep(model, examples, [PROBE], progress=False)["linguistic_probe"]


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    return {"one": planted("fake", "one"), "two_words": planted("fake", "two_words", novel=True)}


@pytest.fixture
def panel(results: dict[str, Result]) -> LinguisticPanel:
    return LinguisticPanel(results)


def at(result: Result, measure: str, layer: int, group: str = "[CLS]", control: str = "none") -> pd.Series:
    return result.select(measure=measure, layer=layer, group=group, control=control).iloc[0]


def spelled(row: Any) -> str:
    return f"{row['value']:.2f} ({row['lo']:.2f} to {row['hi']:.2f})"


@pytest.mark.parametrize("pooling", ["[CLS]", "mean"])
@pytest.mark.parametrize("layer", [0, 2])
def test_the_chosen_layer_says_its_number_and_its_rivals(panel, results, pooling, layer):
    panel.pooling, panel.layer = pooling, f"joint {layer}"
    result = results["one"]
    row = at(result, "accuracy", layer, pooling)
    assert panel.chosen.equals(result.frame.loc[panel.chosen.name]) and panel.chosen["value"] == row["value"]
    said = panel.sentence
    assert said.startswith(f"Layer {layer} of the joint stack, the ") and f"one: {spelled(row)} of 20" in said
    random = at(result, "accuracy", layer, pooling, "random weights")["value"]
    control = at(result, "control_task_accuracy", layer, pooling)["value"]
    assert f"random weights {random:.2f}; the control task {control:.2f}; majority " in said
    assert f"bag of words {score(result, 'bag of words')['value']:.2f}" in said
    assert said.endswith(f"statistics of all heads {spelled(score(result, 'heads'))}.")


def test_it_opens_at_the_layer_that_is_best_on_validation(panel, results):
    best = results["one"].select(measure="validation_accuracy", group="[CLS]", control="none")
    assert panel.layer == f"joint {best['layer'].iloc[best['value'].argmax()]}"
    panel.pooling, panel.layer = "mean", "joint 1"
    assert panel.chosen["value"] > 0.9, "the class is planted there"


def test_selectivity(panel, results):
    panel.measure, panel.layer = "selectivity", "joint 1"
    row = at(results["one"], "selectivity", 1)
    assert f"the selectivity is {spelled(row)}, accuracy minus" in panel.sentence
    gap = at(results["one"], "accuracy", 1)["value"] - at(results["one"], "control_task_accuracy", 1)["value"]
    assert panel.chosen["value"] == pytest.approx(gap)


def test_where_selectivity_is_not_defined_the_reason_is_shown(panel, results):
    panel.measure = "selectivity"
    panel.task = "two_words"
    why = no_selectivity(results["two_words"])
    assert why.startswith("0% of the types in test occur in training")
    assert panel.sentence == f"There is no number for fake on two words: {why}."
    assert (panel.error, panel.chosen) == ("", None)
    assert panel.table["not defined"].tolist() == [why]
    panel.measure = "accuracy"
    assert panel.error == "" and "the control task" not in panel.sentence


@pytest.mark.parametrize(
    ("name", "value"),
    [("task", "two_words"), ("pooling", "mean"), ("measure", "selectivity"), ("layer", "joint 0")],
)
def test_one_change_draws_once_and_changes_the_picture(panel, draws, name, value):
    before = pixels(panel)
    setattr(panel, name, value)
    assert draws == ["LinguisticPanel"] and panel.error == ""
    assert (pixels(panel) != before).any()
    assert getattr(panel, name) == panel.controls[name].value == value


def test_the_marker_stands_at_the_chosen_layer(panel, results):
    panel.layer = "joint 2"
    line, point = panel._marks
    assert list(line.get_xdata()) == [2, 2]
    assert point.get_data() == ([2], [at(results["one"], "accuracy", 2)["value"]])


def test_another_layer_does_not_draw_the_curves_again(panel, monkeypatch):
    def refuse(*_: Any) -> None:
        raise AssertionError("the scene was drawn again")

    monkeypatch.setattr(panel, "_scene", refuse)
    panel.layer = "joint 0"
    assert panel.error == "" and panel.sentence.startswith("Layer 0")


def test_the_table_holds_what_is_drawn(panel):
    assert set(panel.table["group"]) == {"[CLS]", "heads", "majority", "length", "bag of words"}
    panel.measure, panel.pooling = "selectivity", "mean"
    assert set(panel.table["group"]) == {"mean"}


def test_models_with_other_tasks_and_layers(results):
    frame = results["one"].frame
    small = Result(
        "linguistic_probe", frame[frame["layer"].fillna(0) < 2], results["one"].meta | {"model": "small"}
    )
    panel = LinguisticPanel([results, {"one": small}])
    panel.task, panel.layer = "two_words", "joint 2"
    panel.model = "small"
    assert (panel.error, panel.task, panel.controls["task"].options) == ("", "one", ("one",))
    assert panel.controls["layer"].options == ("joint 0", "joint 1") and panel.layer == "joint 1"


def test_a_probe_that_is_not_defined_says_why(results):
    other = Result("linguistic_probe", pd.DataFrame({"value": []}), {"model": "bare"}, "no stack has text")
    panel = LinguisticPanel([results, {"one": other}])
    panel.model = "bare"
    assert panel.sentence == "There is no number for bare on one: no stack has text."
    assert panel.error == "" and panel.controls["layer"].disabled and panel.figure.axes[0].texts
    panel.model = "fake"
    assert not panel.controls["layer"].disabled and np.isfinite(panel.chosen["value"])


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("task", "three", "task='three'; expected one of 'one', 'two_words'"),
        ("pooling", "max", r"expected one of '\[CLS\]', 'mean'"),
        ("measure", "f1", "expected one of 'accuracy', 'selectivity'"),
        ("layer", "joint 3", "expected one of 'joint 0', 'joint 1', 'joint 2'"),
    ],
)
def test_values_that_there_are_not(panel, name, value, words):
    with pytest.raises(ValueError, match=words):
        setattr(panel, name, value)


def test_results_that_do_not_fit_are_refused(results):
    with pytest.raises(ValueError, match="no result came"):
        LinguisticPanel([])
    with pytest.raises(ValueError, match="'one' came twice for fake"):
        LinguisticPanel([results, results])
    with pytest.raises(ValueError, match="a result of 'fusion_degree' came"):
        LinguisticPanel({"one": Result("fusion_degree", results["one"].frame, results["one"].meta)})


def test_one_result_can_be_handed_over(results):
    assert LinguisticPanel(results["one"]).result is results["one"]


def test_families_of_tasks_are_offered_in_place_of_tasks():
    choices = Choices("mini-bert", "mini-senteval", 5, pictures=False, families=True)
    assert choices.dataset == "mini-senteval" and "mini-flickr30k" not in choices.controls["dataset"].options
    with pytest.raises(
        ValueError, match="dataset='mini-senteval/tree_depth'; expected one of 'mini-senteval'"
    ):
        Choices("mini-bert", "mini-senteval/tree_depth", 5, pictures=False, families=True)
