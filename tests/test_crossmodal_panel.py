"""The cross-modal heads panel without a browser: what it shows, how often it draws, what it refuses."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.panels import check_drawn_as_anew, check_error_shown, check_refused, pixels
from tests.tiny import tiny_examples, tiny_model
from value_nb import crossmodal
from value_nb.probes.crossmodal import CrossModalHeads
from value_nb.result import Result
from value_nb.sweep import sweep
from value_nb.widgets import AttentionPanel, CrossModalPanel, ReasonPanel


def swept(family: str, **options: Any) -> Result:
    found = sweep(tiny_model(family), tiny_examples(3), [CrossModalHeads()], progress=False, **options)
    return found["cross_modal_heads"]


@pytest.fixture(scope="module")
def result() -> Result:
    return swept("uniter")


@pytest.fixture(scope="module")
def undefined() -> Result:
    return swept("lxmert")


@pytest.fixture
def panel(result: Result) -> CrossModalPanel:
    return CrossModalPanel(result)


def test_it_starts_at_the_head_that_gives_most_across(panel, result):
    found = crossmodal.heads(result, "mass_minus_expected", "image->text", "excluded")
    own = found[found["control"] == "none"]
    top = own.loc[own["value"].idxmax()]
    assert (panel.layer, panel.head) == (top["layer"], top["head"])
    assert (panel.measure, panel.direction, panel.specials) == ("share_of_pairs", "image->text", "paper")


@pytest.mark.parametrize("measure", crossmodal.MEASURES)
@pytest.mark.parametrize("direction", ["image->text", "text->image"])
@pytest.mark.parametrize("specials", ["paper", "excluded"])
def test_the_chosen_head_says_its_number_interval_and_place(panel, result, measure, direction, specials):
    panel.measure, panel.direction, panel.specials = measure, direction, specials
    panel.layer, panel.head = 2, 1
    where = {"measure": measure, "direction": direction, "specials": specials}
    row = result.select(control="none", layer=2, head=1, **where).iloc[0]
    assert panel.chosen.equals(row)
    sign = "+" if measure == "mass_minus_expected" else ""
    number = f"{row['value']:{sign}.2f} ({row['lo']:{sign}.2f} to {row['hi']:{sign}.2f})"
    assert panel.sentence.startswith("Layer 2, head 1: ") and number in panel.sentence
    found = crossmodal.heads(result, measure, direction, specials)
    level, own = crossmodal.threshold(found), found[found["control"] == "none"]["value"]
    assert f"{(own > level).sum()} of 9 heads are above it" in panel.sentence
    assert ("That is above" in panel.sentence) == (row["value"] > level)
    assert panel.error == ""


def test_the_table_is_the_result(panel, result):
    panel.measure, panel.specials = "mass", "excluded"
    wanted = result.select(measure="mass", direction="image->text", specials="excluded")
    assert panel.table.equals(wanted)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("layer", 1), ("layer", 2), ("head", 0), ("head", 1), ("measure", "mass_minus_expected"),
        ("direction", "text->image"), ("specials", "excluded"),
    ],
)  # fmt: skip
def test_one_change_draws_once_and_changes_the_picture(panel, draws, name, value):
    panel.layer, panel.head, panel.measure = 3, 2, "mass"
    draws.clear()
    before = pixels(panel)
    setattr(panel, name, value)
    assert draws == ["CrossModalPanel"] and panel.error == ""
    assert (pixels(panel) != before).any()
    assert getattr(panel, name) == panel.controls[name].value == value


def test_labels_of_measures_stand_for_them(panel):
    panel.measure = "attention beyond positions"
    assert panel.measure == "mass_minus_expected"


def test_the_marks_stand_at_the_chosen_head(panel):
    panel.measure, panel.layer, panel.head = "mass", 3, 1
    marks, row = panel._marks, panel.chosen
    assert marks.frame.get_bbox().bounds == (2.5, 0.5, 1, 1)
    assert marks.point.get_xdata() == [row["value"]]
    assert marks.interval.get_xdata() == [row["lo"], row["hi"]]
    low, high = marks.point.axes.get_ylim()[::-1]
    assert low < marks.point.get_ydata()[0] < high


def test_layers_and_heads_leave_what_stands_still(panel, monkeypatch):
    calls = []
    monkeypatch.setattr(CrossModalPanel, "_scene", lambda *_: calls.append(1))
    panel.layer, panel.head = 1, 0
    panel.layer, panel.head = 2, 1
    assert not calls and panel.error == ""


def test_a_scene_that_was_left_is_taken_up_again_as_it_was(panel, monkeypatch):
    panel.layer, panel.head = 1, 0
    before = pixels(panel)
    panel.measure = "mass"
    panel.layer, panel.head = 2, 1
    with monkeypatch.context() as patch:
        patch.setattr(CrossModalPanel, "_scene", lambda *_: pytest.fail("drawn again"))
        panel.measure = "share_of_pairs"
    assert panel.error == "" and (pixels(panel) != before).any()
    panel.layer, panel.head = 1, 0
    assert (pixels(panel) == before).all()


def test_what_is_drawn_over_the_kept_background_is_what_is_drawn_anew(panel):
    panel.measure, panel.layer, panel.head = "mass_minus_expected", 2, 1
    check_drawn_as_anew(panel)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("measure", "share", "measure='share'; expected one of 'share_of_pairs' (share of pairs)"),
        ("direction", "text->text", "expected one of 'image->text', 'text->image'"),
        ("specials", "none", "expected one of 'paper', 'excluded'"),
        ("layer", 4, "expected a whole number from 1 to 3"),
        ("head", 3, "head=3; expected one of 0, 1, 2"),
    ],
)
def test_invalid_values_raise_with_the_valid_and_change_nothing(panel, draws, name, value, words):
    check_refused(panel, draws, name, value, words)


def test_an_exception_in_drawing_is_shown_and_goes_away(panel, monkeypatch):
    check_error_shown(
        panel,
        monkeypatch,
        "value_nb.widgets.crossmodal.draw_map",
        cause=lambda: setattr(panel, "measure", "mass"),
        cure=lambda: setattr(panel, "layer", 1),
    )
    assert "regions give the text" in panel.sentence


def test_a_head_without_a_number_says_so(result):
    frame = result.frame
    lost = (frame["layer"] == 2) & (frame["head"] == 1) & (frame["specials"] == "excluded")
    panel = CrossModalPanel(Result(result.probe, frame[~lost], result.meta))
    panel.specials, panel.measure, panel.layer, panel.head = "excluded", "mass", 2, 1
    assert panel.chosen is None and panel.error == ""
    assert panel.sentence == "Layer 2, head 1 has no number: all its attention goes to [CLS] and [SEP]."
    assert len(panel._marks.point.get_xdata()) == 0


def test_without_random_models_nothing_is_said_of_them():
    panel = CrossModalPanel(swept("uniter", controls="none"))
    assert "random" not in panel.sentence and panel.error == ""


def test_the_reason_is_shown_instead_of_a_number(undefined):
    panel = CrossModalPanel(undefined)
    assert panel.sentence == f"There is no number for tiny-lxmert: {undefined.reason}."
    assert (panel.error, panel.chosen) == ("", None)
    assert panel.table["not defined"].tolist() == [undefined.reason]
    names = ("measure", "direction", "specials", "layer", "head")
    assert all(panel.controls[name].disabled for name in names)
    assert panel.figure.axes[0].texts


def test_models_are_chosen_by_name_with_and_without_a_number(result, undefined):
    panel = CrossModalPanel([undefined, result])
    assert panel.chosen is None
    panel.model = "tiny-uniter"
    assert (panel.error, panel.controls["layer"].max) == ("", 3) and panel.chosen is not None
    panel.layer, panel.head = 2, 1
    panel.model = "tiny-lxmert"
    assert panel.error == "" and panel.chosen is None and panel.controls["layer"].disabled
    panel.model = "tiny-uniter"
    assert (panel.error, panel.layer, panel.head) == ("", 2, 1)
    assert not panel.controls["layer"].disabled


def test_results_that_do_not_fit_are_refused(result):
    with pytest.raises(ValueError, match=r"no result came; pass what sweep returned for \[CrossModalHeads"):
        CrossModalPanel([])
    with pytest.raises(ValueError, match="a result of 'fusion_degree' came"):
        CrossModalPanel(Result("fusion_degree", result.frame, result.meta))


# --- the chosen head on pictures ---


def test_the_chosen_head_is_looked_at_on_a_picture(panel):
    panel.direction, panel.layer, panel.head = "text->image", 2, 1
    seen = panel.look(tiny_model("uniter"), tiny_examples(3), example=1)
    assert isinstance(seen, AttentionPanel)
    assert (seen.direction, seen.layer, seen.head, seen.example) == ("text->image", 2, 1, 1)


@pytest.mark.parametrize("family", ["lxmert", "vilbert"])
def test_without_a_number_heads_can_be_looked_at_all_the_same(family):
    seen = CrossModalPanel(swept(family)).look(tiny_model(family), tiny_examples(2))
    assert isinstance(seen, AttentionPanel)
    assert (seen.place, seen.head) == (("cross", "image->text"), "mean")


def test_without_pictures_a_panel_says_so(panel):
    blind = CrossModalPanel(swept("bert")).look(tiny_model("bert"), tiny_examples(2))
    assert isinstance(blind, ReasonPanel) and blind.error == ""
    assert blind.sentence == "Nothing can be shown: tiny-bert sees no picture."
    bare = [dataclasses.replace(example, regions=None) for example in tiny_examples(1)]
    said = panel.look(tiny_model("uniter"), bare)
    assert said.table["not defined"].tolist() == ["example '0#0' has no picture"]
    assert said.figure.axes[0].texts


def test_an_example_that_is_not_there_is_refused(panel):
    with pytest.raises(ValueError, match="example=7; expected a whole number from 0 to 2"):
        panel.look(tiny_model("uniter"), tiny_examples(3), example=7)


def test_one_picture_alone_gives_numbers_without_an_interval():
    one = sweep(tiny_model("uniter"), tiny_examples(1), [CrossModalHeads()], progress=False)
    panel = CrossModalPanel(one["cross_modal_heads"])
    assert panel.error == "" and "(no interval) of the pairs" in panel.sentence
    assert "mismatched" not in set(panel.table["control"])
