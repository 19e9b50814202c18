"""The panel of a head drawn on the picture, without a browser."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from tests.panels import check_drawn_as_anew, check_refused, pixels
from tests.tiny import tiny_examples, tiny_model
from value_nb.data.example import Phrase
from value_nb.probes.coreference_attention import CoreferenceAttention
from value_nb.result import Result
from value_nb.sweep import sweep
from value_nb.widgets import HeadOnPicturePanel
from value_nb.widgets.head_on_picture import linked_words
from value_nb.widgets.panel import PanelFigure
from value_nb.widgets.shaded_words import SIZES, ShadedWords


@pytest.fixture(scope="module")
def data() -> list[Any]:
    return tiny_examples(4)


@pytest.fixture(scope="module")
def uniter() -> Any:
    return tiny_model("uniter")


@pytest.fixture
def panel(uniter: Any, data: list[Any]) -> HeadOnPicturePanel:
    return HeadOnPicturePanel(uniter, data)


@pytest.mark.parametrize("family", ["uniter", "lxmert", "vilbert"])
@pytest.mark.parametrize("direction", ["text->image", "image->text"])
def test_numbers_are_those_of_the_trace(family, direction, data):
    model = tiny_model(family)
    panel = HeadOnPicturePanel(model, data, direction=direction, layer=2, head=1, example=1)
    panel.word, panel.region = 1, 1
    matrix = model.trace(data[1]).attention(direction, 2, 1).drop(columns="unassigned")
    matrix = matrix if direction == "text->image" else matrix.T
    assert panel.table.equals(matrix) and panel.error == ""
    column = matrix.to_numpy()[:, 1]
    shown = [number.get_text() for number in panel._axes.words.numbers]
    assert shown == [f"{weight:.3f}"[1:] for weight in column]
    strongest = np.argsort(-matrix.to_numpy()[1], kind="stable")[:3]
    assert {tag.get_text() for tag in panel._axes.regions.tags} == {f"r{i}" for i in strongest}
    assert f"{matrix.to_numpy()[1].max():.3f} of its attention" in panel.sentence
    assert f"({column.max():.3f})" in panel.sentence


def test_it_starts_at_a_linked_word_and_its_region(panel):
    assert (panel.word, panel.region, panel.direction) == (0, 0, "text->image")
    assert (panel.layer, panel.head) == (3, 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [("layer", 1), ("head", 2), ("word", 1), ("region", 1), ("example", 2), ("direction", "image->text")],
)
def test_one_change_draws_once_and_changes_the_picture(panel, draws, name, value):
    before = pixels(panel)
    setattr(panel, name, value)
    assert draws == ["HeadOnPicturePanel"] and panel.error == ""
    assert (pixels(panel) != before).any()
    assert getattr(panel, name) == panel.controls[name].value == value


def test_only_another_example_is_drawn_from_the_ground(panel):
    axes = panel._axes
    panel.direction, panel.layer, panel.head, panel.word, panel.region = "image->text", 1, 1, 1, 1
    assert panel._axes is axes
    panel.example = 1
    assert panel._axes is not axes


def test_what_is_drawn_over_the_kept_background_is_what_is_drawn_anew(panel):
    panel.layer, panel.head, panel.word = 1, 2, 1
    check_drawn_as_anew(panel)


def test_annotated_links_are_marked_on_both_sides(uniter, data):
    linked = replace(data[0], phrases=(Phrase(0, 1, "1", ("people",), (1,)),))
    panel = HeadOnPicturePanel(uniter, [linked])
    assert (panel.word, panel.region) == (1, 1)  # the last word of the phrase, and its region
    gold = [patch.get_visible() for patch in panel._axes.regions.gold]
    assert gold == [i == 1 for i in range(len(gold))]
    assert [line.get_visible() for line in panel._axes.words.gold][:3] == [True, True, False]
    assert linked_words(linked, 1) == {0, 1} and linked_words(linked, 0) == set()
    panel.region = 0
    assert not any(line.get_visible() for line in panel._axes.words.gold)
    assert panel.sentence.endswith("The annotation links no phrase to this region.")


def planted(uniter: Any, example: Any, best: int) -> HeadOnPicturePanel:
    """A panel whose map gives most to one region from every word."""
    panel = HeadOnPicturePanel(uniter, [example])
    block = panel.trace.maps["joint", 3]["text->image"]
    block[...] = 0.1
    block[..., best] = 0.4
    panel.head = 1
    return panel


def test_the_sentence_knows_hits_overlaps_and_misses(uniter, data):
    boxes = np.array([[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.4], [0.6, 0.6, 1, 1]], dtype=np.float32)
    regions = data[0].regions
    three = replace(
        regions, boxes=boxes, features=np.resize(regions.features, (3, regions.features.shape[1])),
        names=("man", "man", "dog"), sources=("annotated",) * 3, confidence=np.ones(3, dtype=np.float32),
    )  # fmt: skip
    example = replace(data[0], regions=three, phrases=(Phrase(0, 0, "1", ("people",), (0,)),))
    said = [planted(uniter, example, best).sentence for best in range(3)]
    assert "links that region to the word: a hit" in said[0]
    assert "overlaps the annotated one by half or more, which counts as a hit" in said[1]
    assert "links another region to the word: no hit" in said[2]


def test_it_starts_at_the_best_head_of_a_result(uniter, data):
    both = [replace(e, split="val" if k % 2 else "test") for k, e in enumerate(tiny_examples(8))]
    probe = CoreferenceAttention(permutations=19)
    result = sweep(uniter, both, [probe], progress=False, controls="none")["coreference_attention"]
    row = result.select(measure="chosen_hit_rate", direction="image->text", group="all").iloc[0]
    panel = HeadOnPicturePanel(uniter, data, result, direction="image->text")
    assert (panel.layer, panel.head) == (row["layer"], row["head"])
    with pytest.raises(ValueError, match="a result of 'tiny-uniter' came with the model 'tiny-lxmert'"):
        HeadOnPicturePanel(tiny_model("lxmert"), data, result)
    with pytest.raises(ValueError, match="a result of 'fusion_degree' came"):
        HeadOnPicturePanel(uniter, data, Result("fusion_degree", pd.DataFrame({"value": []}), result.meta))


def test_a_model_without_such_attention_gets_its_reason(data):
    bert = tiny_model("bert")
    panel = HeadOnPicturePanel(bert, data)
    why = "tiny-bert has no attention between text and image (stacks: text)"
    assert panel.sentence == f"There is nothing to draw for tiny-bert: {why}."
    assert panel.table["not defined"].tolist() == [why] and panel.figure.axes[0].texts
    assert all(control.disabled for control in panel.controls.values())
    result = sweep(bert, data, [CoreferenceAttention()], progress=False)["coreference_attention"]
    assert HeadOnPicturePanel(bert, data, result).reason == result.reason


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("layer", 4, "expected a whole number from 1 to 3"),
        ("head", "mean", "head='mean'; expected one of 0, 1, 2"),
        ("direction", "text->text", "expected one of 'text->image', 'image->text'"),
        ("word", 99, "word=99; expected one of 0 "),
        ("region", 99, "region=99; expected one of 0 "),
        ("example", 4, "expected a whole number from 0 to 3"),
    ],
)
def test_invalid_values_raise_with_the_valid_and_change_nothing(panel, draws, name, value, words):
    check_refused(panel, draws, name, value, words)


def test_examples_without_regions_are_refused(uniter, data):
    with pytest.raises(ValueError, match="has no regions"):
        HeadOnPicturePanel(uniter, [replace(data[0], regions=None, phrases=())])
    with pytest.raises(ValueError, match="no examples came"):
        HeadOnPicturePanel(uniter, [])


# --- words ---


def shaded(words: list[str], width: float = 4.0, height: float = 2.0) -> tuple[Figure, ShadedWords]:
    figure = PanelFigure(width, height)
    return figure, ShadedWords(figure.add_axes((0, 0, 1, 1)), words)


def test_words_are_shaded_by_their_share_and_do_not_touch():
    _, words = shaded(["a", "trombonist", "holds", "a", "dog"])
    assert words.update(np.array([0.0, 0.4, 0.1, 0.2, 0.0]), focus=1, linked={0, 1}) == 1
    assert [ground.get_facecolor()[3] for ground in words.grounds] == pytest.approx([0, 1, 0.25, 0.5, 0])
    assert [number.get_text() for number in words.numbers] == [".000", ".400", ".100", ".200", ".000"]
    assert words.frame.get_bbox().bounds == words.grounds[1].get_bbox().bounds
    boxes = [ground.get_bbox() for ground in words.grounds]
    for left, right in pairwise(boxes):
        assert left.x1 < right.x0 or left.y1 < right.y0


def test_long_captions_shrink_until_they_fit():
    figure, short = shaded(["dog"] * 5)
    assert short.words[0].get_fontsize() == SIZES[0]
    figure, long = shaded(["umbrella"] * 40)
    assert long.words[0].get_fontsize() < SIZES[0]
    assert max(ground.get_bbox().y1 for ground in long.grounds) <= figure.bbox.height
