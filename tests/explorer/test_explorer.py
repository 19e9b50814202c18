"""The explorer as a cell uses it: state, selection, weights, pins, errors, what the view is told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiny import tiny_model
from tests.tiny_vilt import pictured, tiny_vilt
from value_nb.data.grid_boxes import grid_regions
from value_nb.explorer.aloud import say
from value_nb.explorer.pane import links_of
from value_nb.explorer.panel import Explorer
from value_nb.explorer.selection import Selection
from value_nb.explorer.view import ExplorerView
from value_nb.layout import PositionClass
from value_nb.probes.crossmodal import CrossModalHeads
from value_nb.sweep import sweep

EVIL = "<img src=x onerror=alert(1)>"

FAMILIES = ("uniter", "lxmert", "vilbert")


@pytest.fixture
def explorer(uniter: Any, data: list[Any]) -> Explorer:
    return Explorer(uniter, data)


def click(explorer: Explorer, message: dict[str, Any]) -> None:
    """What the browser sends when a person has chosen something."""
    explorer.view._handle_custom_msg(message, [])


def shown(explorer: Explorer, kind: str) -> np.ndarray:
    rows = explorer.weights[explorer.weights["kind"] == kind]
    return rows.sort_values("index")["weight"].to_numpy(float)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("gives", [True, False])
@pytest.mark.parametrize("kind", ["word", "region"])
def test_the_weights_are_those_of_the_trace(family: str, kind: str, gives: bool, data: list[Any]) -> None:
    explorer = Explorer(tiny_model(family, seed=1), data)
    explorer.gives = gives
    explorer.selection = (kind, 1)
    stack, _ = explorer.place
    layer = explorer.layer = 2
    mine, theirs = ("text", "image") if kind == "word" else ("image", "text")
    direction = f"{mine}->{theirs}" if gives else f"{theirs}->{mine}"
    matrix = explorer.trace.attention(direction, layer, "mean", stack).drop(columns="unassigned").to_numpy()
    other = "region" if kind == "word" else "word"
    assert explorer.direction.partition(",")[0] == direction
    np.testing.assert_allclose(shown(explorer, other), matrix[1] if gives else matrix[:, 1], rtol=1e-6)
    own = explorer.trace.attention(f"{mine}->{mine}", layer, "mean", stack).drop(columns="unassigned")
    expected = own.to_numpy()[1] if gives else own.to_numpy()[:, 1]
    np.testing.assert_allclose(shown(explorer, kind), expected, rtol=1e-6)


def test_several_heads_are_their_mean(explorer: Explorer) -> None:
    explorer.layer, parts = 1, []
    for head in (0, 2):
        explorer.head = head
        parts.append(shown(explorer, "region"))
    explorer.head = (0, 2)
    np.testing.assert_allclose(shown(explorer, "region"), np.mean(parts, axis=0), rtol=1e-6)
    assert explorer.head == (0, 2)
    assert "mean over heads 0, 2" in explorer.sentence


def test_an_even_spread_is_the_share_of_positions(uniter: Any, data: list[Any]) -> None:
    explorer = Explorer(uniter, data)
    total = sum(len(stream.tokens) for stream in explorer.trace.streams.values())
    words = explorer.weights[explorer.weights["kind"] == "word"].sort_values("index")
    pieces = [len(uniter.words.sentence((word,)).ids) - 2 for word in data[0].words]
    np.testing.assert_allclose(words["even"], np.array(pieces) / total)
    regions = explorer.weights[explorer.weights["kind"] == "region"]
    np.testing.assert_allclose(regions["even"], 1 / total)


def test_clicks_select_and_let_go_and_choose_heads(explorer: Explorer) -> None:
    click(explorer, {"select": ["region", 1]})
    assert explorer.selection == Selection("region", 1, explorer.trace.streams["image"].labels[1])
    assert explorer.view.state["kind"] == "region"
    click(explorer, {"cell": [2, 1]})
    assert (explorer.layer, explorer.head) == (2, 1)
    click(explorer, {"cell": [2, 0], "add": True})
    assert explorer.head == (0, 1)
    click(explorer, {"cell": [2, 1], "add": True})
    assert explorer.head == 0
    click(explorer, {"cell": [1, 2], "add": True})  # another layer: not a mean over layers
    assert (explorer.layer, explorer.head) == (1, 2)
    click(explorer, {"select": None})
    assert explorer.selection is None
    assert explorer.view.panes[0].keys() == {"title", "specials", "cell"}
    assert len(explorer.weights) == 0


def test_a_wrong_click_is_shown_in_the_panel_and_changes_nothing(explorer: Explorer) -> None:
    before = explorer.selection
    click(explorer, {"select": ["region", 99]})
    assert "expected ('word', 0 to" in explorer.error
    assert explorer.selection == before
    click(explorer, {"select": ["word", 0]})
    assert explorer.error == ""


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("layer", 9, "from 1 to 3"),
        ("head", 7, "'mean', 0, 1, 2"),
        ("head", ("mean", 1), "tuple of several"),
        ("selection", ("word", 99), "('word', 0 to"),
        ("selection", ("patch", 0), "or ('region', 0 to"),
        ("measure", "luck", "spread, this example"),
        ("threshold", 0.3333, "0.02"),
        ("direction", "image->taste", "text->image"),
        ("gives", "yes", "what it receives"),
        ("links", 1, "True or False"),
        ("specials", "no", "True or False"),
    ],
)
def test_values_that_are_not_offered_are_refused(
    explorer: Explorer, name: str, value: Any, words: str
) -> None:
    before = getattr(explorer, name)
    with pytest.raises(ValueError, match="expected") as raised:
        setattr(explorer, name, value)
    assert words in str(raised.value)
    assert getattr(explorer, name) == before


def test_the_switch_and_the_direction_follow_each_other(explorer: Explorer) -> None:
    explorer.selection = ("word", 1)
    assert (explorer.direction, explorer.gives) == ("text->image", True)
    explorer.gives = False
    assert explorer.direction == "image->text"
    explorer.direction = "text->image"
    assert explorer.gives is True
    explorer.selection = ("region", 0)
    assert explorer.direction == "image->text"


def test_a_change_of_head_sends_neither_the_picture_nor_the_map(explorer: Explorer) -> None:
    sent: list[str] = []
    explorer.view.observe(
        lambda change: sent.append(change["name"]), names=["scene", "heads", "panes", "state"]
    )
    explorer.head = 1
    assert sorted(set(sent)) == ["panes", "state"]
    explorer.example = 1
    assert {"scene", "heads"} <= set(sent)


def test_what_the_view_is_told_is_plain_and_small(explorer: Explorer) -> None:
    told = {name: getattr(explorer.view, name) for name in ("heads", "panes", "state")}
    assert len(json.dumps(told)) < 8_000
    assert np.shape(told["heads"]["values"]) == (3, 3)
    assert json.loads(json.dumps(explorer.view.scene)) == explorer.view.scene


def test_the_same_model_with_other_weights_is_told_apart(explorer: Explorer, uniter: Any) -> None:
    """In titles, sentence, table and facts: trained beside random weights is what people compare."""
    explorer.pin(model=uniter.with_random_weights(9))
    titles = [pane["title"] for pane in explorer.view.panes]
    assert titles[0].startswith("tiny-uniter (random:0), ")
    assert titles[1].startswith("tiny-uniter (random:9), ")
    assert all(title in explorer.sentence for title in titles)
    assert explorer.weights["model"].unique().tolist() == ["tiny-uniter (random:0)", "tiny-uniter (random:9)"]
    assert explorer.facts["seed"] == "0" and "random:9" in explorer.facts["pinned"]


def test_the_figure_says_that_weights_are_left_out(explorer: Explorer) -> None:
    said = "weights below 0.05 are not shown"
    assert not any(said in text.get_text() for text in explorer.figure.texts)
    explorer.threshold = 0.05
    assert any(said in text.get_text() for text in explorer.figure.texts)


def test_another_layer_is_pinned_beside(explorer: Explorer) -> None:
    explorer.head, explorer.layer = 1, 2
    pinned = explorer.pin()
    explorer.layer = 3
    assert (pinned.layer, pinned.head) == (2, 1)
    first, second = explorer.view.panes
    assert first["region"] != second["region"]
    assert second["cell"] == {"layer": 2, "heads": [1]}
    assert set(explorer.weights["layer"]) == {2, 3}
    assert explorer.facts["pinned"].startswith("tiny-uniter (random:0), layer 2")
    assert explorer.figure.get_figheight() > 6
    explorer.unpin()
    assert (len(explorer.view.panes), explorer.pinned) == (1, None)


def test_another_model_is_pinned_with_its_own_layers(explorer: Explorer, data: list[Any]) -> None:
    other = tiny_model("lxmert", seed=3, layers=2)
    pinned = explorer.pin(model=other)
    assert (pinned.stack, pinned.layer, pinned.head) == ("cross", 2, "mean")
    matrix = other.trace(data[0]).attention("text->image", 2, "mean", "cross").drop(columns="unassigned")
    chosen = explorer.selection
    assert chosen is not None
    np.testing.assert_allclose(explorer.view.panes[1]["region"], matrix.to_numpy()[chosen.index], atol=6e-6)
    assert explorer.view.panes[1]["cell"] is None
    with pytest.raises(ValueError, match="from 1 to 2"):
        explorer.pin(model=other, layer=3)
    with pytest.raises(ValueError, match="has no 'text->image'; it has: text->text"):
        explorer.pin(model=tiny_model("bert", seed=0))


def test_a_text_model_shows_its_words_beside_a_picture_that_it_does_not_see(data: list[Any]) -> None:
    explorer = Explorer(tiny_model("bert", seed=0), data)
    assert set(explorer.weights["kind"]) == {"word"}
    assert explorer.view.scene["seen"] is False
    explorer.selection = ("region", 0)
    assert "takes no part" in explorer.sentence
    assert explorer.error == ""


def test_patches_are_the_regions_of_a_model_of_pixels(tmp_path: Path) -> None:
    explorer = Explorer(tiny_vilt(), pictured(tmp_path, 2))
    explorer.selection = ("region", 1)
    assert set(explorer.weights["kind"]) == {"word", "region"}
    assert explorer.error == ""
    assert explorer.view.scene["picture"].startswith("data:image/")


def test_one_trace_has_no_other_examples(uniter: Any, data: list[Any]) -> None:
    explorer = Explorer(uniter.trace(data[1]))
    assert "example" not in explorer.controls
    assert explorer.trace.example is data[1]
    with pytest.raises(ValueError, match="one trace"):
        explorer.pin(model=uniter)


def test_a_sweep_s_numbers_are_offered_for_the_map(uniter: Any, data: list[Any]) -> None:
    result = sweep(uniter, data, [CrossModalHeads()], controls="none", progress=False)["cross_modal_heads"]
    explorer = Explorer(uniter, data, results=result)
    name = next(
        one for one in explorer.controls["measure"].options if one.startswith("mass · specials excluded")
    )
    explorer.measure = name
    table = explorer.head_map.table
    assert table is not None
    rows = result.select(measure="mass", specials="excluded", direction="text->image")
    np.testing.assert_allclose(table.to_numpy(), rows.pivot(index="head", columns="layer", values="value"))
    other = Explorer(tiny_model("lxmert", seed=0), data, results=result, measure=name)
    assert "the result is of tiny-uniter" in other.head_map.reason
    untrained = Explorer(tiny_model("uniter", seed=5), data, results=result, measure=name)
    assert "tiny-uniter (random:0), and this is tiny-uniter (random:5)" in untrained.head_map.reason
    with pytest.raises(ValueError, match="no result has numbers of single heads"):
        Explorer(uniter, data, results=[])


def test_an_exception_shows_in_the_panel(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("<b>no</b> map")

    monkeypatch.setitem(explorer._measures, "spread, this example", broken)
    explorer.measure = "spread, this example"
    assert explorer.error == "RuntimeError: <b>no</b> map"
    assert "&lt;b&gt;no" in explorer._error.value
    explorer.measure = "across, this example"
    assert explorer.error == ""


def test_the_figure_escapes_nothing_and_breaks_on_nothing(uniter: Any, data: list[Any]) -> None:
    words = ("$x$", "man", "<img", "src=x>")
    odd = replace(data[0], caption=" ".join(words), words=words, phrases=())
    explorer = Explorer(uniter, [odd])
    explorer.selection = None
    assert explorer.error == ""
    assert explorer.view.scene["words"] == list(words)
    assert explorer.figure.texts[0].get_text().endswith("choose a word or a region")
    assert explorer.table.columns.tolist() == ["head", "layer", "value", "measure"]


def test_what_is_linked_is_marked(explorer: Explorer, data: list[Any]) -> None:
    phrase = next(phrase for phrase in data[0].phrases if phrase.regions)
    explorer.selection = ("region", phrase.regions[0])
    linked = explorer.weights[explorer.weights["linked"] & (explorer.weights["kind"] == "word")]
    assert set(phrase.words) <= set(linked["index"])


def test_the_view_s_script_has_no_way_to_write_html_or_to_leave_the_machine() -> None:
    text = ExplorerView._esm
    assert "const element" in text and "export default" in text
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "http:", "https:", "eval("):
        assert way not in text


@pytest.mark.parametrize("family", ["uniter", "vilbert"])
@pytest.mark.parametrize("gives", [True, False])
def test_specials_are_shown_on_demand_with_their_raw_attention(
    family: str, gives: bool, data: list[Any]
) -> None:
    explorer = Explorer(tiny_model(family, seed=2), data, example=1)
    explorer.gives = gives
    explorer.head = 1
    explorer.selection = ("word", 0)  # of two pieces
    assert "special" not in set(explorer.weights["kind"]) and explorer.view.panes[0]["specials"] == []
    explorer.specials = True
    trace, (stack, _) = explorer.trace, explorer.place
    text = trace.streams["text"]
    block = trace.maps[stack, explorer.layer]["text->text"][1]
    mine, cls = text.unit == 0, int(np.flatnonzero(text.position_class == PositionClass.SPECIAL)[0])
    assert mine.sum() == 2
    expected = block[mine, cls].mean() if gives else block[cls, mine].sum()
    rows = explorer.weights[explorer.weights["kind"] == "special"]
    assert rows.loc[rows["label"] == "[CLS]", "weight"].item() == pytest.approx(expected, rel=1e-5)
    assert dict(explorer.view.panes[0]["specials"])["[CLS]"] == pytest.approx(expected, abs=1e-5)
    assert any("[CLS]" in text.get_text() for text in explorer.figure.texts)


def test_what_a_word_gives_adds_up_to_one_with_its_specials(uniter: Any, data: list[Any]) -> None:
    explorer = Explorer(uniter, data)
    explorer.specials = True
    assert explorer.weights["weight"].sum() == pytest.approx(1.0, abs=1e-5)
    assert explorer.weights["even"].sum() == pytest.approx(1.0)


def test_a_sentence_without_a_picture(uniter: Any, data: list[Any]) -> None:
    explorer = Explorer(uniter, [replace(data[0], regions=None, phrases=(), relations=())])
    assert set(explorer.weights["kind"]) == {"word"}
    assert explorer.view.scene["regions"] == [] and explorer.view.scene["picture"] == ""
    with pytest.raises(ValueError, match=r"expected \('word', 0 to \d+\), or None"):
        explorer.selection = ("region", 0)
    assert explorer.figure.axes


def test_a_grid_of_patches_is_named_as_such(tmp_path: Path) -> None:
    example = replace(pictured(tmp_path, 1)[0], regions=grid_regions(8, 8, "patch"), phrases=(), size=None)
    explorer = Explorer(tiny_vilt(), [example])
    explorer.selection = ("region", 63)
    assert len(explorer.view.scene["regions"]) == 64
    assert explorer.view.scene["note"] == "patches of the picture, not detected regions"
    assert explorer.view.scene["size"] == [64, 48]  # of the file, where the example does not say it
    assert explorer.weights["kind"].value_counts()["region"] == 64


def test_a_region_that_overlaps_a_linked_one_is_not_called_wrong(explorer: Explorer) -> None:
    shown, links = explorer._panes()[0], explorer._links(True)
    best = int(shown.partners["region"].weights.argmax())
    for regions, near, words in (
        ({best}, set(), "linked by"),
        ({99}, {best}, "overlaps"),
        ({99}, set(), "another"),
    ):
        marked = replace(links, regions=frozenset(regions), near=frozenset(near))
        assert words in say(shown, explorer.selection, marked)


def test_near_regions_are_the_probe_s(explorer: Explorer, data: list[Any]) -> None:
    phrase = next(phrase for phrase in data[0].phrases if phrase.regions)
    boxes = data[0].regions.boxes.copy()
    other = next(i for i in range(len(boxes)) if i not in phrase.regions)
    boxes[other] = boxes[phrase.regions[0]]
    example = replace(data[0], regions=replace(data[0].regions, boxes=boxes))
    word = phrase.words[0]
    found = links_of(example, Selection("word", word, example.words[word]))
    assert other in found.near and other not in found.regions


def test_names_from_the_data_stay_text(uniter: Any, data: list[Any], tmp_path: Path) -> None:
    names = (EVIL,) * len(data[0].regions)
    example = replace(
        data[0], words=(EVIL, "dog"), caption=EVIL, phrases=(), regions=replace(data[0].regions, names=names)
    )
    explorer = Explorer(uniter, [example])
    assert explorer.view.scene["words"] == [EVIL, "dog"]
    assert explorer.view.scene["regions"][0]["name"] == f"r0 {EVIL}"
    explorer.selection = ("region", 0)
    assert "<img" not in explorer._text.value and EVIL in explorer.sentence
    written = explorer.save(tmp_path, name="view")
    assert "<img" not in written[0].read_text(encoding="utf-8")


def test_a_missed_gate_is_said_of_the_pinned_model_too(
    explorer: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tiny_model("lxmert", seed=8)
    monkeypatch.setattr(type(other), "gate_met", property(lambda self: self.name != "tiny-lxmert"))
    explorer.head = 1
    assert "gate" not in explorer.sentence
    explorer.pin(model=other)
    assert explorer.sentence.endswith("tiny-lxmert: quality gate not met.")
