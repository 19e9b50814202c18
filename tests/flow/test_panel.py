"""The panel of a flow: what it sends, what it says, its state, its static twin."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.flow.hand_made import HOSTILE, hand_made
from tests.tiny import tiny_examples, tiny_model
from tests.tiny_vilt import pictured, tiny_vilt
from value_nb.flow.panel import AttentionFlow
from value_nb.flow.view import FlowView
from value_nb.widgets.panel_figure import png

CODE = FlowView._esm


@pytest.fixture
def flow() -> AttentionFlow:
    return AttentionFlow(hand_made(), head=(0, 1), most=3)


def test_what_is_sent_is_what_was_written_by_hand(flow: AttentionFlow) -> None:
    sent = flow.view.lines
    assert sent["weight"] == [0.6, 0.5, 0.3]
    assert (sent["head"], sent["left"], sent["right"]) == ([1, 0, 0], [1, 0, 2], [0, 0, 1])
    assert sent["heads"] == ["head 0", "head 1"]
    assert sent["best"]["right"] == [[1, 1, 0.6], [2, 0, 0.3]]
    assert flow.view.scene["left"]["labels"] == ["a", "red", "dog"]
    assert flow.view.scene["right"]["labels"] == ["r0 dog", "r1 tree"]
    assert flow.view.scene["left"]["heading"] == "words look"


def test_the_sentence_says_how_many_and_what_share(flow: AttentionFlow) -> None:
    assert "3 of 12 lines are drawn; they carry 70% of the weight." in flow.sentence
    assert "The strongest is 0.600, from “red” to “r0 dog” (head 1)." in flow.sentence


def test_the_table_holds_the_lines(flow: AttentionFlow) -> None:
    table = flow.table
    assert table["weight"].tolist() == [0.6, 0.5, 0.3]
    assert table["head"].tolist() == [1, 0, 0]
    assert table[["query", "key"]].to_numpy().tolist() == [
        ["red", "r0 dog"],
        ["a", "r0 dog"],
        ["dog", "r1 tree"],
    ]


def test_the_other_way_round_words_stay_on_the_left(flow: AttentionFlow) -> None:
    flow.direction = "image->text"
    assert [flow.view.scene[side]["heading"] for side in ("left", "right")] == [
        "words are looked at",
        "regions look",
    ]
    assert flow.table["query"].str.startswith("r").all()
    assert flow.view.scene["left"]["labels"] == ["a", "red", "dog"]


@pytest.mark.parametrize(("direction", "kind"), [("text->text", "words"), ("image->image", "regions")])
def test_one_kind_stands_on_both_sides(flow: AttentionFlow, direction: str, kind: str) -> None:
    flow.direction = direction
    assert [flow.view.scene[side]["kind"] for side in ("left", "right")] == [kind, kind]
    assert flow.view.scene["left"]["labels"] == flow.view.scene["right"]["labels"]


def test_a_mean_is_one_head_of_its_own(flow: AttentionFlow) -> None:
    flow.head = "mean"
    assert flow.view.lines["weight"] == [0.4, 0.26, 0.225]
    assert flow.view.lines["heads"] == ["mean over 2 heads"]


def test_a_pinned_item_keeps_its_lines_alone(flow: AttentionFlow) -> None:
    flow.pinned = ("right", 0)
    assert flow.table["weight"].tolist() == [0.6, 0.5]
    assert "Only those of “r0 dog” are shown: 2 lines." in flow.sentence
    flow.view.pinned = ["left", 2]  # as a click does
    assert flow.pinned == ("left", 2) and "Only those of “dog” are shown: one line." in flow.sentence
    flow.direction = "text->text"
    assert flow.pinned is None


def test_a_click_on_what_is_no_longer_there_pins_nothing(flow: AttentionFlow) -> None:
    flow.view.pinned = ["left", 17]
    assert flow.pinned is None and flow.error == ""


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("direction", "words", "'text->image', 'image->text', 'text->text', 'image->image'"),
        ("layer", 2, "from 1 to 1"),
        ("head", 2, "one of 'mean', 0, 1"),
        ("head", (0, "mean"), "one of 'mean', 0, 1"),
        ("head", True, "one of 'mean', 0, 1"),
        ("head", (), "one of 'mean', 0, 1"),
        ("most", 0, "from 1 to 120"),
        ("least", 0.33, "0.1, 0.2"),
        ("pinned", ("left", 3), "('left', 0 to 2) or ('right', 0 to 1)"),
        ("pinned", ("top", 0), "('left', 0 to 2)"),
        ("example", 1, "no example; it has: direction"),
    ],
)
def test_what_is_not_offered_is_refused_with_the_choices(
    flow: AttentionFlow, name: str, value: Any, words: str
) -> None:
    before = flow.sentence
    with pytest.raises(ValueError, match=name) as raised:
        setattr(flow, name, value)
    assert words in str(raised.value) and flow.sentence == before


def test_something_is_always_chosen_and_the_mean_stands_alone(flow: AttentionFlow) -> None:
    flow.controls["head"].value = ()
    assert flow.head == "mean"
    flow.controls["head"].value = ("mean", 1)
    assert flow.head == 1


def test_where_no_line_is_so_strong_it_says_so(flow: AttentionFlow) -> None:
    flow.direction, flow.least = "text->text", 0.2
    assert "None of 18 lines is drawn" in flow.sentence
    assert len(flow.table) == 0 and png(flow.figure)


def test_a_trace_with_data_and_a_model_without_are_refused() -> None:
    with pytest.raises(ValueError, match="pass the trace alone"):
        AttentionFlow(hand_made(), tiny_examples(1))
    with pytest.raises(ValueError, match="'tiny-uniter' came without examples"):
        AttentionFlow(tiny_model("uniter"))
    with pytest.raises(ValueError, match="no examples"):
        AttentionFlow(tiny_model("uniter"), [])


def test_an_error_shows_in_the_panel_and_goes(flow: AttentionFlow, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("<b>no</b>")

    with monkeypatch.context() as patch:
        patch.setattr("value_nb.flow.panel.strongest", broken)
        flow.controls["most"].value = 5
        assert flow.error == "RuntimeError: <b>no</b>"
    flow.most = 6
    assert flow.error == ""


@pytest.mark.parametrize("family", ["uniter", "lxmert", "vilbert", "bert"])
def test_every_family_and_direction_agrees_with_its_trace(family: str) -> None:
    examples = tiny_examples(2)
    model = tiny_model(family)
    flow = AttentionFlow(model, examples, most=1)
    for name, (stack, direction) in flow._places.items():
        flow.direction, flow.head = name, 0
        flow.example = 1
        frame = model.trace(examples[1]).attention(direction, flow.layer, 0, stack).drop(columns="unassigned")
        assert flow.table["weight"].item() == pytest.approx(frame.to_numpy().max())
        assert frame.to_numpy()[
            flow.table["query_index"].item(), flow.table["key_index"].item()
        ] == pytest.approx(frame.to_numpy().max())
        assert flow.error == ""


def test_patches_lie_as_in_the_picture(tmp_path: Path) -> None:
    flow = AttentionFlow(tiny_vilt(), pictured(tmp_path, 2))
    side = flow.view.scene["right"]
    assert side["kind"] == "patches" and side["tiled"]
    assert side["columns"] == 1 + max(int(label.split(",")[1]) for label in side["labels"])
    assert len(flow.view.thumbs) == len(side["labels"])
    assert png(flow.figure)


def test_pictures_are_sent_once_for_an_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    original = AttentionFlow._send_items
    monkeypatch.setattr(
        AttentionFlow, "_send_items", lambda self, now: (calls.append(1), original(self, now))[1]
    )
    flow = AttentionFlow(tiny_model("uniter"), pictured(tmp_path, 2))
    first = list(flow.view.thumbs)
    flow.layer, flow.head, flow.most = 1, 2, 4
    assert len(calls) == 1
    flow.direction = "image->text"
    assert len(calls) == 2 and flow.view.thumbs == first
    flow.example = 1
    assert len(calls) == 3 and flow.view.thumbs != first


def test_a_change_sends_little(flow: AttentionFlow) -> None:
    assert len(json.dumps(flow.view.lines)) < 2_000


def test_a_sentence_without_a_picture_starts_with_words() -> None:
    from dataclasses import replace

    example = replace(tiny_examples(1)[0], regions=None, phrases=())
    flow = AttentionFlow(tiny_model("uniter"), [example])
    assert flow.direction == "text->text"
    flow.direction = "text->image"
    assert "has no regions" in flow.error


def test_the_figure_shows_pictures_or_grey_boxes(tmp_path: Path) -> None:
    path = tmp_path / "red.png"
    Image.new("RGB", (40, 20), (250, 10, 10)).save(path)

    def reds(image: Path | None) -> int:
        pixels = np.asarray(
            Image.open(BytesIO(png(AttentionFlow(hand_made(image=image)).figure))).convert("RGB"), int
        )
        return int(((pixels[..., 0] > 230) & (pixels[..., 1] < 40)).sum())

    assert reds(path) > 500 and reds(None) == 0


def test_text_from_data_is_text() -> None:
    flow = AttentionFlow(hand_made(("$x$", HOSTILE, "b")))
    assert flow.view.scene["left"]["labels"][1] == HOSTILE
    assert HOSTILE not in flow._text.value and "&lt;/script&gt;" in flow._text.value
    assert png(flow.figure)
    assert "textContent" in CODE
    assert not [
        word for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write") if word in CODE
    ]


def test_classes_are_the_promised_ones() -> None:
    for name in ("vnb-flow-word", "vnb-flow-region", "vnb-flow-line", "aria-label", "aria-pressed"):
        assert name in CODE


def test_facts_say_where_it_comes_from(flow: AttentionFlow) -> None:
    assert flow.facts["model"] == "by-hand" and flow.facts["head"] == "0, 1" and flow.facts["data"] == "hand"
