"""bertviz's views: what they show, that they need no network, that no text of the data runs."""

from __future__ import annotations

import hashlib
import html
import json
import re
from dataclasses import replace
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.flow.hand_made import HOSTILE, TEXT_TO_IMAGE, hand_made
from tests.tiny import tiny_examples, tiny_model
from value_nb.bertviz_views import BertvizView, head_view, maps, model_view, offline, vendor
from value_nb.bertviz_views.maps import Maps
from value_nb.trace import Trace

VIEWS = (head_view, model_view)
BIG = 1_000_000  # bytes: what a view of the miniature stays below


def page_of(view: BertvizView) -> str:
    """The page inside the frame."""
    found = re.fullmatch(
        r'<div class="vnb-bertviz"><iframe ([^<>]*?)srcdoc="([^"]*)"></iframe></div>', view.html
    )
    assert found, view.html[:200]
    return html.unescape(found[2])


def parameters(view: BertvizView) -> dict[str, Any]:
    """What bertviz's script gets, weights as numbers."""
    data, _ = json.JSONDecoder().raw_decode(page_of(view).partition(offline.PARAMETERS)[2])
    for part in data["attention"]:
        part["attn"] = (np.array(part["attn"]) / offline.SCALE).tolist()
    return data


def without_libraries(page: str) -> str:
    for name in vendor.SHA256:
        assert vendor.script(name) in page
        page = page.replace(vendor.script(name), "")
    return page


def long_trace(words: int, layers: int = 1) -> Trace:
    """Text alone, evenly spread."""
    trace = hand_made()
    names = tuple(f"w{i}" for i in range(words))
    text = replace(
        trace.streams["text"],
        tokens=names,
        labels=names,
        unit=np.arange(words),
        position_class=np.ones(words),
    )
    block = {"text->text": np.full((2, words, words), 1 / words)}
    return replace(
        trace, joint=False, streams={"text": text}, stacks={"text": layers},
        directions={"text": ("text->text",)},
        maps={("text", layer): block for layer in range(1, layers + 1)},
    )  # fmt: skip


def test_the_libraries_are_the_published_ones_with_their_licences() -> None:
    folder = resources.files(vendor.__name__)
    for name, expected in vendor.SHA256.items():
        assert hashlib.sha256(folder.joinpath(name).read_bytes()).hexdigest() == expected
    assert "Redistribution and use" in folder.joinpath("d3.LICENSE.txt").read_text(encoding="utf-8")
    assert "jQuery Foundation" in folder.joinpath("jquery.LICENSE.txt").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match=r"there are: d3\.min\.js"):
        vendor.script("require.js")


def test_a_cross_modal_head_view_shows_what_was_written_by_hand() -> None:
    data = parameters(head_view(hand_made(), "text->image", heads=[1]))
    (part,) = data["attention"]
    assert part["left_text"] == ["a", "red", "dog"] and part["right_text"] == ["r0 dog", "r1 tree"]
    np.testing.assert_allclose(part["attn"][0], TEXT_TO_IMAGE[:, 1:4], atol=1e-4)
    assert (data["layer"], data["include_layers"], data["heads"]) == (1, [1], [1])


def test_a_joint_view_is_one_list_of_words_and_regions() -> None:
    view = head_view(hand_made())
    (part,) = parameters(view)["attention"]
    assert part["left_text"] == part["right_text"] == ["a", "red", "dog", "r0 dog", "r1 tree"]
    np.testing.assert_allclose(np.array(part["attn"])[0, :, :3, 3:], TEXT_TO_IMAGE[:, 1:4], atol=1e-4)
    assert view.maps.direction == "joint"


def test_positions_keep_the_specials() -> None:
    data = parameters(model_view(hand_made(), "text->text", unit="position"))
    assert data["attention"][0]["left_text"] == ["[CLS]", "a", "red", "dog", "[SEP]"]


@pytest.mark.parametrize("family", ["uniter", "lxmert", "vilbert", "bert"])
@pytest.mark.parametrize("view", VIEWS)
def test_every_family_agrees_with_its_trace(family: str, view: Any) -> None:
    trace = tiny_model(family).trace(tiny_examples(1)[0])
    data, own = parameters(view(trace, "text->text")), view(trace, "text->text").maps
    layers = trace.stacks[own.stack]
    assert data["include_layers"] == list(range(1, layers + 1))  # layers count from 1
    last = trace.attention("text->text", layers, 1, own.stack).drop(columns="unassigned").to_numpy()
    np.testing.assert_allclose(data["attention"][0]["attn"][layers - 1][1], last, atol=6e-5)
    if family in ("lxmert", "vilbert"):
        assert parameters(view(trace, "text->image"))["attention"][0]["name"] == "Cross"


def test_layers_and_heads_can_be_chosen() -> None:
    trace = tiny_model("uniter").trace(tiny_examples(1)[0])
    view = head_view(trace, layers=[1, -1], layer=-1, heads=(2, 0))
    assert (view.maps.layers, view.layer, view.heads) == ((1, 3), 3, (0, 2))
    assert set(view.table["layer"]) == {3} and set(view.table["head"]) == {0, 2}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"direction": "words"},
            "it has: 'text->text', 'text->image', 'image->text', 'image->image', 'joint'",
        ),
        ({"stack": "cross"}, "is in 'joint'"),
        ({"unit": "letter"}, "valid: 'word', 'position'"),
        ({"layers": [2]}, "layers 0 to 1"),
        ({"layers": [0]}, "expected some of 1 to 1"),
        ({"layers": []}, "expected some of 1 to 1"),
        ({"layer": 2}, "expected one of 1"),
        ({"heads": [2]}, "expected some of 0 to 1"),
        ({"heads": []}, "expected some of 0 to 1"),
    ],
)
def test_what_a_trace_does_not_have_is_refused_with_what_it_has(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        head_view(hand_made(), **options)


@pytest.mark.parametrize("shape", [(1, 2, 5, 2), (2, 2, 2, 5, 2), (2, 5, 3), (5, 2)])
def test_a_batch_and_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    trace = hand_made()
    changed = {**trace.maps["joint", 1], "text->image": np.full(shape, 0.1)}
    with pytest.raises(ValueError, match=r"expected \(head, 5, 2\): one example, without a batch axis"):
        head_view(replace(trace, maps={("joint", 1): changed}), "text->image")


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (np.zeros((1, 2, 3, 3)), "3 queries and 2 keys"),
        (np.zeros((2, 3, 2)), "expected (layer, head, query, key) of one example"),
        (np.zeros((1, 0, 3, 2)), "nothing to draw"),
        (np.full((1, 2, 3, 2), np.nan), "no attention weights"),
        (np.full((1, 2, 3, 2), -0.1), "no attention weights"),
    ],
)
def test_maps_of_another_shape_or_without_sense_are_refused(weights: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        Maps(weights, (1,), ("a", "b", "c"), ("x", "y"), "text->image", "joint")


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_is_loaded_from_anywhere(view: Any) -> None:
    made = view(hand_made())
    rest = without_libraries(page_of(made))
    assert re.findall(r"[a-z]+://[^\"' ]*", rest, re.IGNORECASE) == []
    assert re.findall(r"\b(?:src|href)\s*=", rest) == []
    assert "default-src 'none'" in rest
    outside = re.sub(r'srcdoc="[^"]*"', "", made.html)
    assert 'sandbox="allow-scripts"' in outside and "background:#fff" in outside
    assert not re.search(r"://|src=", outside)


@pytest.mark.parametrize("view", VIEWS)
def test_a_token_that_ends_the_script_is_text(view: Any) -> None:
    made = view(hand_made((HOSTILE, "<!--", "a&amp;b\u2028\"q'")))
    page = without_libraries(page_of(made))
    assert HOSTILE not in page and "<img" not in page and "<!--" not in page
    assert page.count("</script>") == 4  # two libraries, what stands in for require.js, the view
    shown = parameters(made)["attention"][0]["left_text"]
    cut = slice(None) if view is head_view else slice(10)
    assert [one[cut] for one in shown[:2]] == [one[cut] for one in (HOSTILE, "<!--")]


def test_a_sentence_with_markup_stays_in_its_attribute() -> None:
    trace = hand_made()
    view = head_view(replace(trace, model='"><b>x</b>'))
    assert "<b>" not in view.html and "&quot;&gt;&lt;b&gt;x" in view.html


def test_long_inputs_are_cut_and_the_sentence_says_what() -> None:
    view = head_view(long_trace(maps.MOST_OF_A_KIND + 5))
    assert len(view.maps.queries) == maps.MOST_OF_A_KIND
    assert view.sentence.endswith("Only the first 48 of 53 words are shown.")
    assert head_view(long_trace(maps.MOST_OF_A_KIND)).maps.cut == ""


def test_layers_are_left_out_where_they_would_be_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps, "MOST_WEIGHTS", 2 * 10 * 10 * 2)
    view = model_view(long_trace(10, layers=4))
    assert view.maps.layers == (1, 2)
    assert view.sentence.endswith("Layers 3, 4 are left out; choose others with layers=.")
    assert model_view(long_trace(10, layers=4), layers=[3, 4]).maps.cut == ""


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_of_a_miniature_stays_small(view: Any) -> None:
    """The longest caption and picture that the miniature may have, in six layers of six heads."""
    example = tiny_examples(1, words=(22, 22), regions=(28, 28))[0]
    model = tiny_model("uniter", layers=6, heads=6, max_positions=64)
    bundle = view(model.trace(example))._repr_mimebundle_()
    size = len(bundle["text/html"]) + len(bundle["image/png"]) * 4 / 3
    assert 350_000 < size < BIG


@pytest.mark.parametrize("view", VIEWS)
def test_a_notebook_gets_the_view_and_behind_it_a_picture(view: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: shown.append(data))
    made = view(hand_made())
    made._ipython_display_()
    assert [sorted(one) for one in shown] == [["text/html", "text/plain"], ["image/png", "text/plain"]]
    assert shown[0]["text/html"].startswith("<style>") and made.html in shown[0]["text/html"]
    assert shown[1]["image/png"].startswith(b"\x89PNG")
    assert made._repr_mimebundle_()["image/png"].startswith(b"\x89PNG")


def test_the_table_holds_every_weight() -> None:
    table = model_view(hand_made(), "text->image").table
    row = table[(table["head"] == 1) & (table["query"] == "red") & (table["key"] == "r0 dog")]
    assert isinstance(table, pd.DataFrame) and len(table) == 12
    assert row["weight"].item() == pytest.approx(0.6) and row["layer"].item() == 1


def test_other_html_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no|not the HTML of a view of bertviz 1\.4"):
        offline.offline("<div></div>", 10, "")
