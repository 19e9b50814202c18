"""Reading, drawing and saying a cross-modal heads result: every number shown is one of the result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from tests.tiny import tiny_examples, tiny_model
from value_nb import crossmodal
from value_nb.aloud import read_aloud
from value_nb.plots import plot_cross_modal, plot_cross_modal_maps, plotter
from value_nb.probes.crossmodal import CrossModalHeads
from value_nb.result import Result
from value_nb.sweep import sweep


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def result() -> Result:
    found = sweep(tiny_model("uniter"), tiny_examples(4), [CrossModalHeads()], progress=False)
    return found["cross_modal_heads"]


@pytest.fixture(scope="module")
def undefined() -> Result:
    found = sweep(tiny_model("lxmert"), tiny_examples(2), [CrossModalHeads()], progress=False)
    return found["cross_modal_heads"]


META = {"model": "m", "data": "d", "split": "test", "n": 10, "n_images": 5, "gate_met": True}


def written(own: list[float], random: list[list[float]]) -> Result:
    """A result whose heads' values beyond expectation are written down; one list for each random model."""
    rows = []
    for control, weights, values in (
        ("none", "trained", own),
        *(("random weights", f"random:{k}", values) for k, values in enumerate(random)),
    ):
        for head, value in enumerate(values):
            rows.append(
                {"model": "m", "weights": weights, "control": control, "stack": "joint", "layer": 1,
                 "head": head, "direction": "image->text", "measure": "mass_minus_expected",
                 "specials": "excluded", "value": value, "lo": value, "hi": value}
            )  # fmt: skip
    return Result("cross_modal_heads", pd.DataFrame(rows), META)


# --- the rule ---


@pytest.mark.parametrize(
    ("own", "above", "holds"),
    [
        ([0.0, 0.0, 0.0, 0.0], 0, False),
        ([0.5, 0.0, 0.0, 0.0], 1, True),
        ([0.5, 0.5, 0.0, 0.0], 2, True),
        ([0.5, 0.5, 0.5, 0.0], 3, False),
    ],
)
def test_the_rule_needs_one_head_and_at_most_half_of_them(own, above, holds):
    found = crossmodal.verdict(written(own, [[0.1, 0.2, 0.1, 0.0]] * 5))
    assert (found.above, found.heads, found.holds) == (above, 4, holds)


def test_the_threshold_is_the_99th_percentile_of_all_random_heads():
    random = np.linspace(0, 1, 101)
    pooled = [random[k::5].tolist() for k in range(5)]
    assert crossmodal.verdict(written([0.0], pooled)).threshold == pytest.approx(0.99)


def test_too_few_random_models_are_refused():
    with pytest.raises(ValueError, match="3 random-weight models are in the result and the rule needs 5"):
        crossmodal.verdict(written([0.0], [[0.0]] * 3))


def test_unknown_names_are_refused(result, undefined):
    with pytest.raises(ValueError, match="measure='share'; expected one of 'share_of_pairs', 'mass'"):
        crossmodal.heads(result, "share")
    with pytest.raises(ValueError, match="direction='text'"):
        crossmodal.heads(result, "mass", "text")
    with pytest.raises(ValueError, match="not defined for tiny-lxmert"):
        crossmodal.verdict(undefined)
    with pytest.raises(ValueError, match="a result of 'fusion_degree' came"):
        crossmodal.nothing(Result("fusion_degree", pd.DataFrame({"value": []}), META))


# --- the paper and the sentences ---


def test_compare_puts_the_papers_numbers_beside_ours(result):
    table = result.compare()
    known = table[table["published"].notna()].set_index("measure")
    assert known["published"].to_dict() == {
        "share_of_heads": 0.15,
        "largest_head": 0.92,
        "smallest_head": 0.0,
    }
    for measure in crossmodal.SUMMARIES:
        ours = result.select(measure=measure, direction="image->text", specials="paper", control="none")
        assert known.loc[measure, "value"] == ours["value"].iloc[0]
    assert set(table[table["published"].isna()]["direction"]) == {"text->image"}


def test_sentences_say_the_numbers_of_the_result(result):
    said = read_aloud(result)
    table = crossmodal.summary(result)
    assert f"image->text: {table.loc['share_of_heads', 'none']:.0%} of 9 heads" in said
    found = crossmodal.verdict(result, "text->image")
    assert f"{found.above} of 9 heads lie above {found.threshold:+.2f}" in said


def test_sentences_without_random_models_give_no_verdict():
    found = sweep(
        tiny_model("uniter"), tiny_examples(3), [CrossModalHeads()], controls="none", progress=False
    )
    said = read_aloud(found["cross_modal_heads"])
    assert "percentile" not in said and "random" not in said


def test_without_a_number_everything_says_why(undefined):
    assert read_aloud(undefined) == f"There is no number for tiny-lxmert: {undefined.reason}."
    empty = Result("cross_modal_heads", pd.DataFrame({"value": []}), META)
    assert "no example came that has both words and regions" in read_aloud(empty)


# --- figures ---


@pytest.mark.parametrize("measure", crossmodal.MEASURES)
@pytest.mark.parametrize("direction", ["image->text", "text->image"])
@pytest.mark.parametrize("specials", ["paper", "excluded"])
def test_the_map_is_the_result(result, measure, direction, specials):
    ax = plot_cross_modal(result, measure=measure, direction=direction, specials=specials)
    shown = np.asarray(ax.collections[0].get_array()).reshape(3, 3)
    assert np.allclose(shown, crossmodal.head_map(result, measure, direction, specials))


def test_the_papers_numbers_stand_in_the_title_of_the_papers_measure_alone(result):
    def said(**options: Any) -> str:
        return plot_cross_modal(result, **options).get_title("left")

    assert "VALUE (UNITER-base): 15 % of 144 heads above 0.5, largest 0.92" in said()
    assert "VALUE" not in said(direction="text->image") and "VALUE" not in said(specials="excluded")


def test_heads_and_controls_by_layer_are_the_result(result):
    axes = plot_cross_modal_maps(result)
    found = crossmodal.heads(result, "mass_minus_expected", "image->text", "excluded")
    lines = {line.get_label(): line for line in axes[1, 1].get_lines()}
    own = found[found["control"] == "none"]["value"]
    assert np.allclose(lines["heads of tiny-uniter"].get_ydata(), own)
    level = crossmodal.verdict(result).threshold
    assert np.allclose(lines["their 99th percentile"].get_ydata(), level)


def test_a_missed_gate_and_a_missing_number_are_drawn(result, undefined):
    missed = Result(result.probe, result.frame, result.meta | {"gate_met": False})
    assert "quality gate not met" in plotter("cross_modal_heads")(missed).get_title("left")
    ax = plot_cross_modal(undefined)
    assert "softmax of its own" in ax.texts[0].get_text().replace("\n", " ")
    assert ax.get_title("left") == "Cross-modal heads of tiny-lxmert"
    assert plot_cross_modal_maps(undefined).shape == (1, 1)
