"""Panels without a browser: what they show, how often they draw, and what they answer to nonsense."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.panels import check_error_shown, check_refused, pixels
from tests.tiny import save_tiny, tiny_examples, tiny_model
from value_nb.probes.fusion import FusionDegree
from value_nb.result import Result
from value_nb.sweep import sweep
from value_nb.widgets import (
    AttentionPanel,
    Choices,
    FusionPanel,
    PanelFigure,
    card_table,
    pair_clusters,
    region_figure,
    two_clusters,
)
from value_nb.widgets.attention import look
from value_nb.widgets.panel import png


@pytest.fixture(scope="module")
def data() -> list[Any]:
    return tiny_examples(4)


@pytest.fixture(scope="module")
def uniter() -> Any:
    return tiny_model("uniter")


@pytest.fixture
def attention(uniter: Any, data: list[Any]) -> AttentionPanel:
    return AttentionPanel(uniter, data)


@pytest.fixture(scope="module")
def result(uniter: Any, data: list[Any]) -> Result:
    return sweep(uniter, data, [FusionDegree(restarts=2)], progress=False)["fusion_degree"]


@pytest.fixture
def fusion(uniter: Any, data: list[Any], result: Result) -> FusionPanel:
    return FusionPanel(result, uniter, data)


# --- attention ---


@pytest.mark.parametrize(
    ("direction", "transposed"),
    [("text->image", False), ("image->text", True), ("text->text", False), ("image->image", False)],
)
def test_the_map_is_the_trace(attention, uniter, data, direction, transposed):
    attention.direction, attention.layer, attention.head = direction, 2, 1
    expected = uniter.trace(data[0]).attention(direction, 2, 1).drop(columns="unassigned")
    assert attention.table.equals(expected.T if transposed else expected)


def test_the_map_of_a_stack_is_the_trace_of_that_stack(data):
    model = tiny_model("lxmert")
    panel = AttentionPanel(model, data, direction="text->text, text", layer=1)
    expected = model.trace(data[0]).attention("text->text", 1, "mean", "text").drop(columns="unassigned")
    assert panel.table.equals(expected)
    assert (panel.place, panel.controls["layer"].max) == (("text", "text->text"), model.stacks["text"])


@pytest.mark.parametrize("family", ["uniter", "lxmert", "vilbert"])
def test_every_direction_of_every_family_can_be_shown(family, data):
    panel = AttentionPanel(tiny_model(family), data)
    for direction in panel._places:
        panel.direction = direction
        assert (panel.error, panel.direction) == ("", direction)


@pytest.mark.parametrize(
    ("name", "value"),
    [("layer", 1), ("head", 0), ("focus", 1), ("example", 2), ("direction", "image->image")],
)
def test_one_change_draws_once_and_changes_the_picture(attention, draws, name, value):
    before = pixels(attention)
    setattr(attention, name, value)
    assert draws == ["AttentionPanel"]
    assert (pixels(attention) != before).any()
    assert getattr(attention, name) == attention.controls[name].value == value


@pytest.mark.parametrize(("name", "value"), [("example", 2), ("direction", "image->image")])
def test_controls_that_follow_draw_nothing_of_their_own(attention, draws, name, value):
    attention.focus = 1
    draws.clear()
    setattr(attention, name, value)
    assert (draws, attention.focus) == (["AttentionPanel"], 0)


def test_setting_what_is_set_draws_nothing(attention, draws):
    attention.layer = attention.layer
    assert draws == []


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("layer", 4, "layer=4; expected a whole number from 1 to 3"),
        ("layer", "2", "layer='2'; expected a whole number from 1 to 3"),
        ("layer", True, "expected a whole number from 1 to 3"),
        ("head", 3, "head=3; expected one of 'mean', 0, 1, 2"),
        ("head", False, "expected one of 'mean', 0, 1, 2"),
        ("direction", "text->picture", "expected one of 'text->image', 'image->text', 'text->text'"),
        ("example", 4, "example=4; expected a whole number from 0 to 3"),
        ("focus", 99, "focus=99; expected one of 0 "),
    ],
)
def test_invalid_values_raise_with_the_valid_and_change_nothing(attention, draws, name, value, words):
    check_refused(attention, draws, name, value, words)


def test_a_constructor_checks_too(uniter, data):
    with pytest.raises(ValueError, match="layer=9; expected a whole number from 1 to 3"):
        AttentionPanel(uniter, data, layer=9)
    with pytest.raises(ValueError, match="example=-1; expected a whole number from 0 to 3"):
        AttentionPanel(uniter, data, example=-1)
    with pytest.raises(ValueError, match="no examples came"):
        AttentionPanel(uniter, [])


def test_a_model_of_text_alone_shows_its_words(data):
    panel = AttentionPanel(tiny_model("bert"), data)
    assert list(panel.controls["direction"].options) == ["text->text"]
    words = panel.trace.streams["text"].labels
    assert list(panel.table.index) == list(panel.table.columns) == list(words)
    assert panel.sentence.endswith("tiny-bert does not see the picture.") and not panel.error


def test_an_exception_in_drawing_is_shown_and_goes_away(attention, monkeypatch):
    check_error_shown(
        attention,
        monkeypatch,
        "value_nb.widgets.attention.look",
        cause=lambda: setattr(attention, "layer", 1),
        cure=lambda: setattr(attention, "layer", 2),
    )


def test_heads_and_layers_follow_the_direction(data):
    model = tiny_model("vilbert")
    panel = AttentionPanel(model, data, layer=3, head=3)
    assert panel.controls["head"].options == ("mean", 0, 1, 2, 3)
    panel.direction = "text->text, text"
    stacks = {"text": model.stacks["text"], "heads": model.heads("text", "text->text")}
    assert panel.controls["layer"].max == stacks["text"]
    assert panel.controls["head"].options == ("mean", *range(stacks["heads"]))
    assert (panel.layer, panel.head) == (min(3, stacks["text"]), "mean")


def test_the_focus_is_a_word_or_a_region_of_the_example(attention, data):
    assert [label for label, _ in attention.controls["focus"].options] == [
        f"{i} {word}" for i, word in enumerate(data[0].words)
    ]
    attention.direction = "image->image"
    assert len(attention.controls["focus"].options) == len(data[0].regions)
    assert attention.controls["focus"].description == "region"


def test_the_strongest_regions_are_named_in_the_picture(attention, data):
    attention.focus = 0
    row = attention.table.to_numpy()[0]
    strongest = [int(i) for i in np.argsort(-row, kind="stable")[:3]]
    texts = [tag.get_text() for tag in attention._axes.regions.tags]
    assert sorted(texts) == sorted(f"r{i}" for i in strongest)
    named = ", ".join(f"r{i} {data[0].regions.names[i]} {row[i]:.3f}" for i in strongest)
    assert " ".join(attention._axes.note.get_text().split()).startswith(f"orange: {named}")


def test_the_annotated_region_of_the_word_is_marked(attention):
    attention.focus = 0  # phrase 0 of every tiny example is word 0, linked to region 0
    assert [box.get_visible() for box in attention._axes.regions.gold][:2] == [True, False]
    attention.focus = 1
    assert not any(box.get_visible() for box in attention._axes.regions.gold)
    assert attention.sentence.endswith("The annotation links no region to this word.")


def test_the_sentence_says_the_largest_number(attention, uniter, data):
    attention.layer, attention.head, attention.focus = 1, 0, 1
    row = uniter.trace(data[0]).attention("text->image", 1, 0).drop(columns="unassigned").iloc[1]
    positions = len(uniter.trace(data[0]).positions)
    assert attention.sentence.startswith(
        f"Layer 1, head 0: “{data[0].words[1]}” looks most at “{row.idxmax()}”"
    )
    assert (
        f"({row.max():.3f} of its attention; spread evenly, every position would get {1 / positions:.3f})"
        in (attention.sentence)
    )


def test_even_is_over_the_keys_alone_where_directions_have_their_own_softmax(data):
    trace = tiny_model("lxmert").trace(data[0])
    view = look(trace, ("cross", "text->image"), 1, 0, 0)
    assert view.even == pytest.approx(1 / len(trace.streams["image"].tokens))


def test_what_is_drawn_over_the_kept_background_is_what_is_drawn_anew(attention, fusion):
    attention.layer, attention.head, attention.focus = 1, 2, 1
    fusion.layer, fusion.example = 2, 1
    for panel in (attention, fusion):
        fresh = np.asarray(Image.open(BytesIO(png(panel.figure))).convert("RGB"), dtype=int)
        differing = (np.abs(fresh - pixels(panel)).max(axis=-1) > 40).mean()
        assert differing < 0.002, type(panel).__name__


def test_figures_are_copies_that_show_themselves(attention):
    first, second = attention.figure, attention.figure
    assert isinstance(first, PanelFigure)
    assert first is not second
    assert first._repr_png_()[:8] == b"\x89PNG\r\n\x1a\n"
    shown = attention._image.value
    first.clear()
    attention._redraw()
    assert attention._image.value == shown


def test_panels_have_a_fixed_size(attention, fusion):
    for panel in (attention, fusion):
        width, height = Image.open(BytesIO(panel._image.value)).size
        assert (panel._image.width, panel._image.height) == (str(width), str(height))  # the place's shape
        layout = panel._image.layout
        assert (layout.width, layout.max_width, layout.height) == (f"{width}px", "100%", "auto")


def test_nothing_is_written_into_examples_or_traces(attention, data):
    trace = attention.trace
    before = {place: {d: m.copy() for d, m in maps.items()} for place, maps in trace.maps.items()}
    for layer in (1, 2, 3):
        attention.layer = layer
    assert all((before[p][d] == m).all() for p, maps in trace.maps.items() for d, m in maps.items())


# --- fusion ---


def test_the_table_is_the_result(fusion, result):
    fusion.measure, fusion.specials = "ami", "excluded"
    assert fusion.table.equals(result.select(measure="ami", specials="excluded"))
    assert fusion.controls["measure"].options == ("nmi", "ami", "effective_rank", "separability")


@pytest.mark.parametrize(("name", "value"), [("layer", 2), ("example", 1), ("specials", "excluded")])
def test_one_change_draws_the_fusion_panel_once(fusion, draws, name, value):
    before = pixels(fusion)
    setattr(fusion, name, value)
    assert draws == ["FusionPanel"]
    assert (pixels(fusion) != before).any()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("measure", "nmj", "measure='nmj'; expected one of 'nmi', 'ami', 'effective_rank', 'separability'"),
        ("specials", "none", "expected one of 'paper', 'excluded'"),
        ("layer", 4, "expected a whole number from 0 to 3"),
    ],
)
def test_the_fusion_panel_refuses_what_it_does_not_have(fusion, name, value, words):
    with pytest.raises(ValueError, match="expected") as raised:
        setattr(fusion, name, value)
    assert words in str(raised.value)


def test_the_marker_stands_at_the_layer(fusion):
    fusion.layer = 2
    assert list(fusion._marker.get_xdata()) == [2, 2]


@pytest.mark.parametrize("specials", ["paper", "excluded"])
def test_the_clusters_of_a_pair_are_those_of_the_probe(uniter, data, specials):
    alone = sweep(uniter, [data[1]], [FusionDegree()], controls="none", progress=False)["fusion_degree"]
    for layer in range(4):
        clusters = pair_clusters(uniter.trace(data[1]), layer, specials)
        row = alone.select(layer=layer, specials=specials)
        for measure in ("nmi", "ami"):
            expected = row[row["measure"] == measure]["value"].iloc[0]
            assert getattr(clusters, measure) == pytest.approx(expected, abs=1e-9)


def test_models_are_chosen_by_name(uniter, data, result):
    other = tiny_model("lxmert", layers=2)
    theirs = sweep(other, data, [FusionDegree(restarts=1)], controls="none", progress=False)
    panel = FusionPanel([result, theirs["fusion_degree"]], [other, uniter], data)
    panel.layer = 3
    panel.model = "tiny-lxmert"
    assert (panel.controls["layer"].max, panel.layer, panel.error) == (2, 2, "")
    assert panel.result is theirs["fusion_degree"]


def test_results_that_do_not_fit_are_refused(uniter, data, result):
    with pytest.raises(ValueError, match="no model came for the result of tiny-uniter; came: tiny-lxmert"):
        FusionPanel(result, tiny_model("lxmert"), data)
    with pytest.raises(ValueError, match="no result came"):
        FusionPanel([], uniter, data)
    pooled = sweep(uniter, data, [FusionDegree(pooled=True)], controls="none", progress=False)
    with pytest.raises(ValueError, match="a result of 'fusion_degree_pooled' came"):
        FusionPanel(pooled, uniter, data)


def test_fusion_panel_says_why_a_model_has_no_number(uniter, data, result):
    vilbert = tiny_model("vilbert")
    undefined = sweep(vilbert, data, [FusionDegree()], controls="none", progress=False)["fusion_degree"]
    alone = FusionPanel(undefined, vilbert, data)
    assert alone.sentence == f"There is no number for tiny-vilbert: {undefined.reason}."
    assert alone.table["not defined"].tolist() == [undefined.reason] and alone.error == ""
    assert alone.figure.axes[0].texts and alone.controls["layer"].disabled
    both = FusionPanel([result, undefined], [uniter, vilbert], data)
    both.layer = 2
    both.model = "tiny-vilbert"
    assert both.error == "" and both.controls["measure"].disabled
    both.model = "tiny-uniter"
    assert (both.error, both.layer) == ("", 2) and not both.controls["measure"].disabled
    both.layer = 1
    assert both.error == "" and both.sentence.startswith("Layer 1: ")


# --- clusters, picture, card ---


def test_two_clusters_by_hand():
    corner = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    apart = two_clusters(corner, corner + 9)
    assert (apart.nmi, apart.ami, apart.share) == pytest.approx((1, 1, 1))
    assert apart.cluster.tolist() == apart.is_image.tolist() == [False] * 4 + [True] * 4
    assert (apart.points[:4, 0] < 0).all()
    mixed = two_clusters([[0, 0], [1, 1], [9, 9], [10, 10]], [[0, 1], [1, 0], [9, 10], [10, 9]])
    assert mixed.nmi == pytest.approx(0)
    assert mixed.ami < 0


@pytest.mark.parametrize(
    ("text", "image", "labels", "words"),
    [
        ([[1.0]], [[1.0, 2.0]], (), "text and image states must lie in one space"),
        (np.zeros((0, 2)), [[1.0, 2.0]], (), "at least one position each"),
        ([[1.0]], [[2.0]], ("a",), "1 labels for 2 positions"),
    ],
)
def test_states_that_do_not_fit_are_refused(text, image, labels, words):
    with pytest.raises(ValueError, match=words):
        two_clusters(text, image, labels)


def test_pair_clusters_refuse_unknown_layers_and_specials(uniter, data):
    trace = uniter.trace(data[0])
    with pytest.raises(ValueError, match="layer=4; expected 0 to 3"):
        pair_clusters(trace, 4)
    with pytest.raises(ValueError, match="specials='all'; expected one of 'paper', 'excluded'"):
        pair_clusters(trace, 1, "all")


def test_the_picture_shows_linked_boxes_and_all_regions(data):
    left, right = region_figure(data[0]).axes
    assert len(left.patches) == 2  # one linked box, light under dark
    assert len(right.patches) == 2 * len(data[0].regions)
    assert [text.get_text() for text in left.texts if text.get_text() in data[0].words] == [data[0].words[0]]


def test_no_picture_without_regions(data):
    from dataclasses import replace

    with pytest.raises(ValueError, match="has no regions"):
        region_figure(replace(data[0], regions=None, phrases=()))


def test_the_card_starts_with_the_gate():
    model = tiny_model("uniter")
    assert card_table(model)["tiny-uniter"].to_dict() == {"quality gate": "not measured"}
    auc = {"value": 0.51239, "lo": 0.5, "hi": 0.52}
    model.card = {
        "gate_met": False,
        "gate": [{"condition": "matching AUC", "value": 0.51239, "least": 0.95, "met": False}],
        "metrics": {"words": {"colour": {"n_words": 7, "errors removed": None}}, "matching AUC": auc},
        "steps": 60,
        "training": {"batch": 64},
    }
    assert card_table(model)["tiny-uniter"].to_dict() == {
        "quality gate": "not met",
        "gate: matching AUC": "0.512, at least 0.95: not met",
        "words: colour: n words": "7",
        "words: colour: errors removed": "not measured",
        "matching AUC": "0.512 (0.5 to 0.52)",
        "steps": "60",
    }


# --- choices ---


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder with two models that have pictures, one of text, and one data set."""
    models = tmp_path / "mini" / "models"
    for name, family in (("mini-uniter", "uniter"), ("mini-lxmert", "lxmert"), ("mini-bert", "bert")):
        save_tiny(models / name, family)
    (tmp_path / "mini" / "flickr30k_entities" / "Sentences").mkdir(parents=True)
    monkeypatch.setenv("VALUE_NB_DATA", str(tmp_path))
    yield tmp_path


def test_choices_show_and_change_the_variables(bundle):
    choices = Choices("mini-uniter", "mini-flickr30k", 64)
    assert (choices.model, choices.dataset, choices.n_examples, choices.limit) == (
        "mini-uniter",
        "mini-flickr30k",
        64,
        64,
    )
    assert choices.controls["model"].options == ("mini-uniter", "mini-lxmert")
    choices.controls["model"].value = "mini-lxmert"
    choices.n_examples = 3
    assert (choices.model, choices.limit) == ("mini-lxmert", 3)
    assert repr(choices) == "Choices(model='mini-lxmert', dataset='mini-flickr30k', n_examples=3)"


def test_the_full_setting_has_no_limit(bundle):
    choices = Choices("mini-uniter", "mini-flickr30k", 64, full=True)
    assert (choices.limit, choices.controls["n_examples"].disabled) == (None, True)


def test_text_models_are_offered_where_no_picture_is_needed(bundle):
    assert Choices("mini-bert", "mini-flickr30k", 1, pictures=False).model == "mini-bert"
    with pytest.raises(ValueError, match=r"model='mini-bert'; expected one of 'mini-uniter', 'mini-lxmert'"):
        Choices("mini-bert", "mini-flickr30k", 1)


def test_a_checkpoint_directory_can_be_chosen(bundle):
    path = str(bundle / "mini" / "models" / "mini-bert")
    assert Choices(path, "mini-flickr30k", 1).model == path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("uniter-base", "mini-flickr30k", 1), r"vnb.models\(\) says how to get the others"),
        (("mini-uniter", "mini-vg", 1), r"expected one of 'mini-flickr30k'. vnb.datasets\(\) says"),
        (("mini-uniter", "mini-flickr30k", 0), "n_examples=0; expected a whole number from 1"),
        (("mini-uniter", "mini-flickr30k", 2.5), "n_examples=2.5; expected a whole number from 1"),
    ],
)
def test_choices_that_are_not_here_are_answered_with_those_that_are(bundle, arguments, words):
    with pytest.raises(ValueError, match=words):
        Choices(*arguments)


def test_an_empty_machine_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("VALUE_NB_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="no model is: run `make mini`"):
        Choices("mini-uniter", "mini-flickr30k", 1)


def test_what_stands_still_follows_the_focus(attention, uniter, data):
    """From a word with links to one without, a line of the key goes: the picture is that of a new panel."""
    attention.focus = 0
    attention.focus = 1
    again = type(attention)(uniter, data)
    again.focus = 1
    assert attention._image.value == again._image.value
    assert "dashed" not in attention._axes.key.get_text()
    attention.focus = 0
    assert attention._axes.key.get_text().startswith("dashed green: linked to the word")
