"""The modality panel without a browser: what it shows, how often it draws, what it answers to nonsense."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.panels import check_drawn_as_anew, check_error_shown, check_refused, pixels
from tests.tiny import tiny_examples, tiny_model
from value_nb.probes.modality import ModalityImportance
from value_nb.result import Result
from value_nb.sweep import sweep
from value_nb.widgets import ModalityPanel


def swept(family: str, layers: int = 3) -> Result:
    model, probes = tiny_model(family, layers=layers), [ModalityImportance()]
    return sweep(model, tiny_examples(3), probes, progress=False)["modality_importance"]


@pytest.fixture(scope="module")
def result() -> Result:
    return swept("uniter")


@pytest.fixture(scope="module")
def undefined() -> Result:
    return swept("lxmert")


@pytest.fixture
def panel(result: Result) -> ModalityPanel:
    return ModalityPanel(result)


def wanted(result: Result, layer: int, head: int | str, **where: str) -> pd.Series:
    rows = result.select(control="none", layer=layer, **where)
    return rows[rows["head"].isna() if head == "mean" else rows["head"] == head].iloc[0]


@pytest.mark.parametrize("head", ["mean", 0, 2])
@pytest.mark.parametrize("measure", ["cls_mass", "cls_mass_per_position", "text_share"])
def test_the_chosen_cell_says_its_number_and_interval(panel, result, measure, head):
    panel.measure, panel.layer, panel.head = measure, 2, head
    row = wanted(result, 2, head, measure=measure, specials="paper", group="text")
    assert panel.chosen.equals(row)
    assert f"{row['value']:.2f} ({row['lo']:.2f} to {row['hi']:.2f})" in panel.sentence
    named = "mean over 3 heads" if head == "mean" else f"head {head}"
    assert panel.sentence.startswith(f"Layer 2, {named}: ")


def test_the_table_is_the_result(panel, result):
    panel.specials, panel.modality = "excluded", "special"
    assert panel.table.equals(result.select(measure="cls_mass", specials="excluded", group="special"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("layer", 3), ("head", 1), ("measure", "text_share"), ("specials", "excluded"), ("modality", "image")],
)
def test_one_change_draws_once_and_changes_the_picture(panel, draws, name, value):
    before = pixels(panel)
    setattr(panel, name, value)
    assert draws == ["ModalityPanel"] and panel.error == ""
    assert (pixels(panel) != before).any()
    assert getattr(panel, name) == panel.controls[name].value == value


def test_labels_of_measures_stand_for_them(panel):
    panel.measure = "per position"
    assert panel.measure == "cls_mass_per_position"
    assert [label for label, _ in panel.controls["measure"].options] == [
        "raw", "per position", "text share, raw", "text share, per position",
    ]  # fmt: skip


def test_modalities_follow_measure_and_specials(panel, draws):
    assert panel.controls["modality"].options == ("text", "image")
    panel.specials = "excluded"
    panel.modality = "special"
    panel.specials = "paper"
    assert (panel.modality, panel.controls["modality"].options) == ("text", ("text", "image"))
    panel.modality = "image"
    panel.measure = "text_share"
    assert (panel.modality, panel.controls["modality"].options) == ("text", ("text",))
    assert len(draws) == 5


def test_the_marks_stand_at_the_chosen_cell(panel, result):
    panel.layer, panel.head = 3, 1
    marks = panel._marks
    assert marks.frame.get_bbox().bounds == (2.5, 0.5, 1, 1)
    rows = result.select(measure="cls_mass", specials="paper", group="text", control="none", head=1)
    assert np.array_equal(marks.line.get_ydata(), rows.sort_values("layer")["value"])
    assert marks.point.get_xdata().tolist() == [3.0]
    panel.head = "mean"
    assert marks.frame.get_bbox().bounds == (2.5, -0.5, 1, 3)


def test_what_is_drawn_over_the_kept_background_is_what_is_drawn_anew(panel):
    panel.layer, panel.head = 2, 1
    check_drawn_as_anew(panel)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("measure", "mass", "measure='mass'; expected one of 'cls_mass' (raw), 'cls_mass_per_position'"),
        ("specials", "none", "expected one of 'paper', 'excluded'"),
        ("modality", "special", "modality='special'; expected one of 'text', 'image'"),
        ("layer", 4, "expected a whole number from 1 to 3"),
        ("head", 3, "head=3; expected one of 'mean', 0, 1, 2"),
    ],
)
def test_invalid_values_raise_with_the_valid_and_change_nothing(panel, draws, name, value, words):
    check_refused(panel, draws, name, value, words)


def test_an_exception_in_drawing_is_shown_and_goes_away(panel, monkeypatch):
    check_error_shown(
        panel,
        monkeypatch,
        "value_nb.widgets.modality.draw_heads",
        cause=lambda: setattr(panel, "modality", "image"),
        cure=lambda: setattr(panel, "modality", "text"),
    )


def test_the_reason_is_shown_instead_of_a_number(undefined):
    panel = ModalityPanel(undefined)
    assert panel.sentence == f"There is no number for tiny-lxmert: {undefined.reason}."
    assert (panel.error, panel.chosen) == ("", None)
    assert panel.table["not defined"].tolist() == [undefined.reason]
    assert all(panel.controls[name].disabled for name in ("measure", "specials", "modality", "layer", "head"))
    assert panel.figure.axes[0].texts


def test_models_are_chosen_by_name_with_and_without_a_number(result, undefined):
    panel = ModalityPanel([result, undefined])
    panel.layer, panel.head = 2, 1
    panel.model = "tiny-lxmert"
    assert panel.error == "" and panel.chosen is None and panel.controls["layer"].disabled
    panel.model = "tiny-uniter"
    assert (panel.error, panel.layer, panel.head) == ("", 2, 1)
    assert panel.chosen is not None and not panel.controls["layer"].disabled


def test_a_smaller_model_takes_the_layer_down(result):
    frame = result.frame
    small = Result(
        "modality_importance", frame[frame["layer"].fillna(1) < 3], result.meta | {"model": "small"}
    )
    panel = ModalityPanel([result, small])
    panel.layer = 3
    panel.model = "small"
    assert (panel.layer, panel.controls["layer"].max, panel.error) == (2, 2, "")


def test_results_that_do_not_fit_are_refused(result):
    with pytest.raises(ValueError, match="no result came"):
        ModalityPanel([])
    with pytest.raises(ValueError, match="a result of 'fusion_degree' came"):
        ModalityPanel(Result("fusion_degree", result.frame, result.meta))


def test_what_a_sweep_returns_can_be_handed_over(result):
    assert ModalityPanel({"modality_importance": result}).result is result
