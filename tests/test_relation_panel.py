"""The relation panel without a browser: what it shows, how often it draws, what it answers to nonsense."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.panels import check_drawn_as_anew, check_refused, pixels, spy_on_draws
from tests.tiny import tiny_examples, tiny_model
from value_nb.data.example import Relation
from value_nb.widgets import RelationPanel


def related_examples(n: int = 5) -> list[Any]:
    """All have "on" between 0 and 1; from the third on also "near" between 2 and 0, and 1 and 2."""
    made = []
    for k, one in enumerate(tiny_examples(n, regions=(4, 6))):
        relations = (Relation(0, "on", 1),) if k else ()
        if k >= 2:
            relations += (Relation(2, "near", 0), Relation(1, "near", 2))
        made.append(replace(one, relations=relations))
    return made


@pytest.fixture(scope="module")
def data() -> list[Any]:
    return related_examples()


@pytest.fixture(scope="module")
def uniter() -> Any:
    return tiny_model("uniter")


@pytest.fixture
def panel(uniter, data) -> RelationPanel:
    return RelationPanel(uniter, data, example=1)


@pytest.fixture
def draws(panel, monkeypatch) -> list[str]:
    return spy_on_draws(monkeypatch)


def test_it_starts_with_the_most_frequent_relation_at_the_last_layer(panel):
    assert (panel.predicate, panel.example, panel.stack, panel.layer, panel.head) == (
        "on",
        1,
        "joint",
        3,
        "mean",
    )
    assert panel.controls["predicate"].options == (("on (4 pictures)", "on"), ("near (3 pictures)", "near"))
    assert [value for _, value in panel.controls["example"].options] == [1, 2, 3, 4]


def test_without_an_example_the_regions_furthest_apart(uniter, data):
    boxes = [np.array(one.regions.boxes) for one in data]
    far = [float(np.hypot(*((b[0, :2] + b[0, 2:] - b[1, :2] - b[1, 2:]) / 2 * [4 / 3, 1]))) for b in boxes]
    assert RelationPanel(uniter, data).example == 1 + int(np.argmax(far[1:]))


@pytest.mark.parametrize("head", ["mean", 0, 2])
def test_arrows_carry_the_trace_s_attention(panel, uniter, data, head):
    panel.predicate, panel.example, panel.layer, panel.head = "near", 3, 2, head
    matrix = uniter.trace(data[3]).attention("image->image", 2, head).to_numpy()
    ends = [(a.query, a.key, a.role) for a in panel.arrows if a.role != "other"]
    assert set(ends) == {(2, 0, "forward"), (1, 2, "forward"), (0, 2, "back"), (2, 1, "back")}
    assert all(a.weight == pytest.approx(matrix[a.query, a.key]) for a in panel.arrows)
    assert panel.table["weight"].iloc[0] == pytest.approx(max(matrix[2, 0], matrix[1, 2]))


def test_the_sentence_has_the_numbers(panel, uniter, data):
    panel.layer, panel.head = 2, 1
    trace = uniter.trace(data[1])
    matrix = trace.attention("image->image", 2, 1).to_numpy()
    names = data[1].regions.names
    assert f"in “r0 {names[0]} on r1 {names[1]}” the subject gives {matrix[0, 1]:.3f}" in panel.sentence
    assert f"gets {matrix[1, 0]:.3f} of the object's" in panel.sentence
    positions = sum(len(stream.tokens) for stream in trace.streams.values())
    assert f"every position would get {1 / positions:.3f}" in panel.sentence


def test_the_map_is_the_mean_over_the_pairs_by_head(panel, uniter, data):
    panel.predicate, panel.example = "near", 4
    trace = uniter.trace(data[4])
    for layer, head in ((1, 0), (3, 2)):
        matrix = trace.attention("image->image", layer, head).to_numpy()
        assert panel._heads()[layer - 1, head] == pytest.approx((matrix[2, 0] + matrix[1, 2]) / 2)


@pytest.mark.parametrize(
    ("name", "value"), [("predicate", "near"), ("example", 3), ("layer", 1), ("head", 2)]
)
def test_one_change_draws_once_and_changes_the_picture(panel, draws, name, value):
    before = pixels(panel)
    setattr(panel, name, value)
    assert draws == ["RelationPanel"] and panel.error == ""
    assert (pixels(panel) != before).any()
    assert getattr(panel, name) == panel.controls[name].value == value


def test_layer_and_head_redraw_only_what_moves(panel, monkeypatch):
    made: list[Any] = []
    monkeypatch.setattr("value_nb.widgets.relations.mark_pairs", lambda *_: made.append(1))
    panel.layer, panel.head = 1, 0
    assert made == []
    panel.example = 2
    assert made == [1]


def test_a_relation_offers_its_own_examples(panel):
    panel.predicate = "near"
    assert panel.example == 2, "example 1 does not have it"
    panel.example = 4
    panel.predicate = "on"
    assert panel.example == 4, "what is chosen stays where it can"


def test_the_frame_is_at_the_chosen_head(panel):
    panel.layer, panel.head = 2, 1
    assert panel._parts.frame.get_bbox().bounds == (1.5, 0.5, 1, 1)
    panel.head = "mean"
    assert panel._parts.frame.get_bbox().bounds == (1.5, -0.5, 1, 3)


def test_what_is_drawn_over_the_kept_background_is_what_is_drawn_anew(panel):
    panel.layer, panel.head = 2, 1
    check_drawn_as_anew(panel)


def test_two_streams_have_two_stacks(data):
    model = tiny_model("lxmert")
    panel = RelationPanel(model, data, example=2)
    assert (panel.stack, panel.controls["stack"].options) == ("cross", ("image", "cross"))
    cross = panel.table
    panel.stack = "image"
    assert panel.controls["layer"].max == model.stacks["image"] == panel.layer
    matrix = model.trace(data[2]).attention("image->image", panel.layer, "mean", "image").to_numpy()
    assert panel.arrows[-1].weight == pytest.approx(matrix[0, 1]) and not cross.equals(panel.table)
    trace = model.trace(data[2])
    assert panel.even == pytest.approx(1 / len(trace.streams["image"].tokens)), "a softmax of its own"


def test_vilbert_has_heads_of_its_own(data):
    model = tiny_model("vilbert")
    panel = RelationPanel(model, data)
    assert panel.error == ""
    assert len(panel.controls["head"].options) == 1 + model.heads(panel.stack, "image->image")


def test_a_text_model_gets_a_reason(data):
    panel = RelationPanel(tiny_model("bert"), data)
    assert panel.sentence == f"There is nothing to show: {panel.reason}."
    assert panel.reason.startswith("tiny-bert has no attention from region to region")
    assert (panel.arrows, panel.error) == ([], "")
    assert panel.table["not defined"].tolist() == [panel.reason]
    assert all(control.disabled for control in panel.controls.values()) and panel.figure.axes[0].texts


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("predicate", "under", "predicate='under'; expected one of 'on'"),
        ("example", 0, "example=0; expected one of 1, 2, 3, 4"),
        ("layer", 4, "expected a whole number from 1 to 3"),
        ("head", 3, "head=3; expected one of 'mean', 0, 1, 2"),
        ("stack", "cross", "stack='cross'; expected one of 'joint'"),
    ],
)
def test_invalid_values_raise_with_the_valid_and_change_nothing(panel, draws, name, value, words):
    check_refused(panel, draws, name, value, words)


def test_an_exception_in_drawing_is_shown_and_goes_away(panel, monkeypatch):
    def broken(*_: Any) -> None:
        raise RuntimeError("<b>no</b> arrows")

    good = panel._image.value
    with monkeypatch.context() as patch:
        patch.setattr("value_nb.widgets.relations.draw_arrows", broken)
        panel.head = 0
        assert panel.error == "RuntimeError: <b>no</b> arrows" and panel._image.value == good
    panel.head = 1
    assert panel.error == ""


def test_data_without_relations_are_refused(uniter):
    with pytest.raises(ValueError, match="no example has a relation"):
        RelationPanel(uniter, tiny_examples(2))
