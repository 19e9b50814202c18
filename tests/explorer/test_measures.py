"""Measures of one example: by hand, and against the probes that define them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.tiny import tiny_model
from value_nb.explorer import measures
from value_nb.probes.crossmodal import CrossModalHeads
from value_nb.probes.mentions import mentions
from value_nb.probes.modality import ModalityImportance
from value_nb.result import Result
from value_nb.sweep import sweep


def swept(model: Any, data: list[Any], probe: Any, **where: Any) -> np.ndarray:
    """`(head, layer)` numbers of a sweep over one example."""
    result = sweep(model, data[:1], [probe], controls="none", progress=False)[probe.name]
    rows = result.select(**where)
    return rows[rows["head"].notna()].pivot(index="head", columns="layer", values="value").to_numpy(float)


@pytest.mark.parametrize("direction", ["text->image", "image->text"])
def test_attention_across_is_the_probe_s(uniter: Any, data: list[Any], direction: str) -> None:
    trace = uniter.trace(data[0])
    for measure, name in ((measures.across, "mass"), (measures.beyond, "mass_minus_expected")):
        found = measure(trace, "joint", direction)
        where = {"measure": name, "specials": "excluded", "direction": direction}
        np.testing.assert_allclose(found.table, swept(uniter, data, CrossModalHeads(), **where), atol=1e-6)
    assert found.zero


def test_the_text_share_is_the_probe_s(uniter: Any, data: list[Any]) -> None:
    found = measures.text_share(uniter.trace(data[0]), "joint", "text->image")
    where = {"measure": "text_share", "specials": "paper", "group": "text"}
    np.testing.assert_allclose(found.table, swept(uniter, data, ModalityImportance(), **where), atol=1e-6)


def test_phrases_find_their_region_by_the_largest_pooled_weight(uniter: Any, data: list[Any]) -> None:
    trace = uniter.trace(data[0])
    found = measures.coreference(trace, "joint", "text->image")
    own = list(mentions(data[0], 0))
    assert own and str(len(own)) in found.title
    for layer in (1, 3):
        for head in range(3):
            matrix = trace.attention("text->image", layer, head).drop(columns="unassigned").to_numpy()
            hits = [int(matrix[list(phrase.words)].mean(axis=0).argmax()) in one.hits for phrase, one in own]
            assert found.table.loc[head, layer] == pytest.approx(np.mean(hits))


def test_one_phrase_has_no_share(uniter: Any, data: list[Any]) -> None:
    """The title speaks of one phrase, whose region is found or not."""
    linked = [phrase for phrase in data[0].phrases if phrase.regions]
    trace = uniter.trace(replace(data[0], phrases=(linked[0],)))
    found = measures.coreference(trace, "joint", "text->image")
    assert found.title == "whether the caption's one linked phrase finds its region (1) or not (0)"
    assert set(np.unique(found.table)) <= {0.0, 1.0}


def test_spread_by_hand() -> None:
    rows = np.array([[1.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0.0, 0.0]])
    np.testing.assert_allclose(measures._evenness(rows), [0.0, 1.0, 0.5], atol=1e-12)
    np.testing.assert_allclose(measures._evenness(rows[:, :1]), 1.0)


def test_spread_is_over_the_whole_softmax(uniter: Any, data: list[Any]) -> None:
    trace = uniter.trace(data[0])
    table = measures.entropy(trace, "joint", "text->image").table
    whole = np.concatenate([trace.maps["joint", 2][d] for d in ("text->text", "text->image")], axis=-1)[1]
    words = whole[trace.streams["text"].position_class == 1]
    entropy = -(words * np.log2(words)).sum(axis=1) / np.log2(whole.shape[1])
    assert table.loc[1, 2] == pytest.approx(entropy.mean(), rel=1e-5)


def test_what_is_not_defined_says_why(data: list[Any]) -> None:
    trace = tiny_model("lxmert", seed=0).trace(data[0])
    assert "softmax of its own" in measures.across(trace, "cross", "text->image").reason
    assert "no one softmax" in measures.text_share(trace, "cross", "text->image").reason
    assert "choose another direction" in measures.coreference(trace, "text", "text->text").reason
    for name, measure in measures.OF_EXAMPLE.items():
        found = measure(trace, "cross", "text->image")
        assert (found.table is None) == bool(found.reason), name


def test_a_head_without_a_number_is_grey_and_not_left_out(uniter: Any, data: list[Any]) -> None:
    rows = pd.DataFrame({"head": [0, 2], "layer": [1, 3], "value": [0.5, 0.25]})
    table = measures._table(rows, uniter.trace(data[0]), "joint", "text->image")
    assert table.shape == (3, 3)
    assert table.loc[2, 3] == 0.25
    assert np.isnan(table.loc[1, 1])


def test_a_map_is_offered_for_measures_of_most_heads_alone(uniter: Any, data: list[Any]) -> None:
    heads = [
        {"layer": n, "head": h, "value": 0.1 * h, "measure": "rate"} for n in (1, 2, 3) for h in range(3)
    ]
    chosen = [{"layer": 1, "head": 1, "value": 0.5, "measure": "chosen"}]
    p_values = [{**row, "measure": "p", "unit": "p-value"} for row in heads]
    frame = pd.DataFrame([*heads, *chosen, *p_values]).assign(n=5, stack="joint", direction="text->image")
    meta = {"model": uniter.name, "weights": uniter.weights, "data": "toy"}
    found = measures.of_results(Result("own", frame.fillna({"unit": "fraction"}), meta))
    assert [*found] == ["rate (toy, n = 5)"]
    table = found["rate (toy, n = 5)"](uniter.trace(data[0]), "joint", "text->image").table
    np.testing.assert_allclose(table[3], [0.0, 0.1, 0.2])


def test_without_a_picture_nothing_goes_across(uniter: Any, data: list[Any]) -> None:
    trace = uniter.trace(replace(data[0], regions=None, phrases=(), relations=()))
    for measure in (measures.across, measures.beyond, measures.text_share, measures.coreference):
        found = measure(trace, "joint", "text->image")
        assert found.table is None and found.reason
    assert np.isfinite(measures.entropy(trace, "joint", "text->image").table.to_numpy()).all()
    of_regions = measures.entropy(trace, "joint", "image->text")
    assert (of_regions.table, of_regions.reason) == (None, measures.NO_PICTURE)
