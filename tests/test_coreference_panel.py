"""The coreference panel without a browser: what it shows, how often it draws, what it answers to nonsense."""

from __future__ import annotations

import numpy as np
import pytest

from tests.panels import check_drawn_as_anew, check_refused, pixels
from tests.probes.coreference_fakes import looking, mapped, noise, world
from tests.tiny import tiny_examples, tiny_model
from value_nb import coreference_heads as reading
from value_nb.data.example import Example
from value_nb.probes.coreference_attention import CoreferenceAttention
from value_nb.result import Result
from value_nb.sweep import sweep
from value_nb.widgets import CoreferencePanel


def knows(example: Example, direction: str, layer: int, head: int) -> np.ndarray:
    """Head 1 of layer 2 looks from every phrase at its regions; all others anywhere."""
    weights = noise()(example, direction, layer, head)
    if (direction, layer, head) != ("text->image", 2, 1):
        return weights
    return looking(example, weights, lambda p: p.regions)


@pytest.fixture(scope="module")
def result() -> Result:
    data = [*world(10, "val"), *world(10, "test")]
    probe = CoreferenceAttention(permutations=99)
    return sweep(mapped(knows), data, [probe], progress=False, controls="none")["coreference_attention"]


@pytest.fixture(scope="module")
def undefined() -> Result:
    found = sweep(tiny_model("bert"), tiny_examples(2), [CoreferenceAttention()], progress=False)
    return found["coreference_attention"]


@pytest.fixture
def panel(result: Result) -> CoreferencePanel:
    return CoreferencePanel(result)


def test_it_starts_at_the_head_that_was_chosen_on_other_pictures(panel):
    assert (panel.layer, panel.head, panel.direction, panel.type) == (2, 1, "text->image", "all")
    assert panel.sentence.startswith(
        "Layer 2, head 1, text->image, all types: hit rate 1.00 (1.00 to 1.00) over 60 mentions; chance 0.17"
    )
    assert "Over all heads at once p 0.010." in panel.sentence
    assert panel.sentence.endswith("It is the head that was chosen for this, on other pictures.")
    panel.head = 0
    assert panel.sentence.endswith("Chosen for this, on other pictures: layer 2, head 1.")


@pytest.mark.parametrize("measure", list(reading.BESIDE))
@pytest.mark.parametrize("group", ["all", "people"])
def test_the_chosen_number_is_the_result(panel, result, measure, group):
    panel.measure, panel.type, panel.layer, panel.head = measure, group, 1, 0
    row = result.select(measure=measure, group=group, direction="text->image", layer=1, head=0).iloc[0]
    assert (panel.chosen["value"], panel.chosen["lo"], panel.chosen["n"]) == (
        row["value"],
        row["lo"],
        row["n"],
    )
    assert f"{row['value']:.2f} ({row['lo']:.2f} to {row['hi']:.2f})" in panel.sentence
    beside = {"measure": reading.BESIDE[measure], "group": group}
    if measure.endswith("weight"):
        beside |= {"direction": "text->image", "layer": 1, "head": 0}
    assert panel.chosen["beside"] == result.select(**beside)["value"].iloc[0]


def test_the_points_are_the_table_and_the_frame_is_at_the_cell(panel):
    panel.layer, panel.head = 1, 1
    assert panel._marks.points.get_xdata().tolist() == panel.table["value"].tolist()
    assert panel._marks.frame.get_bbox().bounds == (0.5, 0.5, 1, 1)
    assert panel.table.index.tolist()[0] == "all" and set(panel.table.index) == {"all", "people", "other"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("measure", "linked_weight"),
        ("direction", "image->text"),
        ("type", "people"),
        ("layer", 1),
        ("head", 0),
    ],
)
def test_one_change_draws_once_and_changes_the_picture(panel, draws, name, value):
    before = pixels(panel)
    setattr(panel, name, value)
    assert draws == ["CoreferencePanel"] and panel.error == ""
    assert (pixels(panel) != before).any()
    assert getattr(panel, name) == panel.controls[name].value == value


def test_what_is_drawn_over_the_kept_background_is_what_is_drawn_anew(panel):
    for measure in ("hit_rate", "linked_weight"):
        panel.measure, panel.layer, panel.head = measure, 1, 0
        check_drawn_as_anew(panel)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("measure", "p_max", "measure='p_max'; expected one of 'hit_rate' (hit rate)"),
        ("direction", "text->text", "expected one of 'text->image', 'image->text'"),
        ("type", "cats", "type='cats'; expected one of 'all', 'other', 'people'"),
        ("layer", 3, "expected a whole number from 1 to 2"),
        ("head", 2, "expected a whole number from 0 to 1"),
    ],
)
def test_invalid_values_raise_with_the_valid_and_change_nothing(panel, draws, name, value, words):
    check_refused(panel, draws, name, value, words)


def test_the_reason_is_shown_instead_of_a_number(undefined, result):
    panel = CoreferencePanel(undefined)
    assert panel.sentence == f"There is no number for tiny-bert: {undefined.reason}."
    assert (panel.error, panel.chosen) == ("", None)
    assert panel.table["not defined"].tolist() == [undefined.reason]
    assert all(panel.controls[name].disabled for name in ("measure", "direction", "type", "layer", "head"))
    both = CoreferencePanel([undefined, result])
    both.model = result.meta["model"]
    assert (both.error, both.layer, both.head) == ("", 2, 1)


def test_other_results_are_refused(result):
    with pytest.raises(ValueError, match="a result of 'fusion_degree' came"):
        CoreferencePanel(Result("fusion_degree", result.frame, result.meta))
    with pytest.raises(ValueError, match="no result came"):
        CoreferencePanel([])
