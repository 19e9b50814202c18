from __future__ import annotations

import numpy as np
import pytest

import value_nb as vnb
from tests.tiny import GATED, tiny_examples, tiny_model
from value_nb.aloud import read_aloud
from value_nb.examples.own_probe import DIRECTION, Spread, spread
from value_nb.result import Result


@pytest.mark.parametrize(
    ("shares", "by_hand"),
    [
        ([1.0, 0.0, 0.0, 0.0], 0.0),
        ([0.25] * 4, 1.0),
        ([0.5, 0.5, 0.0, 0.0], 0.5),
        ([0.1, 0.1, 0.1, 0.1], 1.0),
    ],
)
def test_one_word(shares: list[float], by_hand: float) -> None:
    assert spread(np.array([[shares]])) == pytest.approx([by_hand])


def test_mean_over_words_head_by_head() -> None:
    attention = np.array([[[1.0, 0.0], [0.5, 0.5]], [[0.5, 0.5], [0.5, 0.5]]])
    assert spread(attention) == pytest.approx([0.5, 1.0])


@pytest.mark.parametrize("shape", [(2, 3, 1), (2, 0, 4), (2, 3, 0)])
def test_nothing_to_spread_over_is_no_number(shape: tuple[int, ...]) -> None:
    assert np.isnan(spread(np.ones(shape))).all()


def test_a_head_that_gives_nothing_to_regions_is_no_number() -> None:
    assert np.isnan(spread(np.zeros((1, 2, 3)))).all()


@pytest.mark.parametrize("family", GATED)
def test_sweep_and_traces_agree(family: str) -> None:
    model, examples = tiny_model(family), tiny_examples(5)
    result = vnb.sweep(model, examples, [Spread()], batch_size=2, controls="none", progress=False)["spread"]
    rows = result.select(layer=2)
    own = np.array([_of_trace(model.trace(example), len(rows)) for example in examples])
    np.testing.assert_allclose(rows["value"], np.nanmean(own, axis=0), atol=1e-6)
    assert rows["n"].tolist() == np.isfinite(own).sum(axis=0).tolist()


def _of_trace(trace: vnb.Trace, heads: int) -> list[float]:
    classes = trace.positions.groupby("stream")["class"].agg(list)
    words, regions = (np.array(classes[s]) == kind for s, kind in (("text", "text"), ("image", "image")))
    blocks = [trace.attention(DIRECTION, 2, head, unit="position").to_numpy() for head in range(heads)]
    return spread(np.array(blocks)[:, words][:, :, regions]).tolist()


def test_shards_merge() -> None:
    model, examples = tiny_model("uniter"), tiny_examples(6)
    from value_nb.collecting import collect

    whole = collect(model, examples, [Spread().fresh(0)]).probes[0]
    one, two = (collect(model, part, [Spread().fresh(0)]).probes[0] for part in (examples[:2], examples[2:]))
    for a, b in zip(whole.rows(replicates=20), one.merge(two).rows(replicates=20), strict=True):
        assert a.keys() == b.keys() and a["value"] == pytest.approx(b["value"])


def test_text_only_models_get_a_reason() -> None:
    result = vnb.sweep(tiny_model("bert"), tiny_examples(2), [Spread()], progress=False)["spread"]
    assert "no attention from text to image" in str(result.reason)
    assert "no attention" in read_aloud(result)


@pytest.fixture(scope="module")
def result() -> Result:
    return vnb.sweep(tiny_model("uniter"), tiny_examples(4), [Spread()], controls="none", progress=False)[
        "spread"
    ]


def test_it_has_a_figure_and_a_sentence_without_a_line_of_its_own(result: Result) -> None:
    ax = result.plot()
    assert "spread" in ax.get_title("left") and ax.get_xlabel() == "layer" and ax.get_ylabel() == "head"
    lowest = result.frame.loc[result.frame["value"].idxmin()]
    said = read_aloud(result)
    assert f"lowest at stack joint, layer {lowest['layer']}, head {lowest['head']}" in said
    assert f"{lowest['value']:.2f}" in said
