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
from value_nb.crossmodal_plots import at_band, draw_distribution
from value_nb.plots import plot_cross_modal, plot_cross_modal_maps, plot_subset_rule, plotter
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
def test_of_few_heads_the_rule_needs_one_and_at_most_half_of_them(own, above, holds):
    found = crossmodal.verdict(written(own, [[0.1, 0.2, 0.1, 0.0]] * 5))
    assert (found.above, found.heads, found.least, found.holds) == (above, 4, 1, holds)


@pytest.mark.parametrize(("heads", "least"), [(9, 2), (36, 3), (144, 5)])
def test_of_many_heads_it_needs_more_than_chance_gives(heads, least):
    """Untrained models, heads drawn independently: fewer than 5 of 100 pass; many have a single head."""
    rng = np.random.default_rng(heads)
    own, random = rng.normal(size=(2000, heads)), rng.normal(size=(2000, 5 * heads))
    above = (own > np.percentile(random, crossmodal.PERCENTILE, axis=1)[:, None]).sum(axis=1)
    passed = [crossmodal.Verdict(int(n), heads, 0.0).holds for n in above]
    assert crossmodal.Verdict(0, heads, 0.0).least == least
    assert np.mean(passed) < 0.05 < 0.15 < np.mean(above >= 1)


def test_the_threshold_is_the_99th_percentile_of_all_random_heads():
    random = np.linspace(0, 1, 101)
    pooled = [random[k::5].tolist() for k in range(5)]
    assert crossmodal.verdict(written([0.0], pooled)).threshold == pytest.approx(0.99)


def test_too_few_random_models_are_refused():
    with pytest.raises(ValueError, match="3 random-weight models are in the result and the rule needs 5"):
        crossmodal.verdict(written([0.0], [[0.0]] * 3))


def test_the_overview_is_made_of_the_heads(result):
    table = crossmodal.overview(result, "text->image")
    assert list(table) == [
        "tiny-uniter", "random weights, lowest", "random weights, highest", "mismatched pictures",
    ]  # fmt: skip
    for specials in ("paper", "excluded"):
        beyond = crossmodal.head_map(result, "mass_minus_expected", "text->image", specials).to_numpy()
        share = crossmodal.head_map(result, "share_of_pairs", "text->image", specials).to_numpy()
        own = table["tiny-uniter"][specials]
        assert own["mean beyond positions"] == pytest.approx(beyond.mean())
        assert own["largest beyond positions"] == pytest.approx(beyond.max())
        assert own["share of heads above 0.5"] == pytest.approx((share > 0.5).mean())
    random = crossmodal.heads(result, "mass", "text->image", "excluded").groupby(["control", "weights"])
    means = random["value"].mean()["random weights"]
    row = table.loc["excluded", "mean attention"]
    assert (row["random weights, lowest"], row["random weights, highest"]) == (means.min(), means.max())


def test_the_overview_has_no_columns_for_controls_that_were_not_run(undefined):
    found = sweep(
        tiny_model("uniter"), tiny_examples(2), [CrossModalHeads()], controls="none", progress=False
    )
    assert list(crossmodal.overview(found["cross_modal_heads"])) == ["tiny-uniter"]
    assert crossmodal.overview(undefined)["not defined"].tolist() == [undefined.reason]


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


def test_one_picture_alone_is_said_without_an_interval():
    found = sweep(tiny_model("uniter"), tiny_examples(1), [CrossModalHeads()], progress=False)
    said = read_aloud(found["cross_modal_heads"])
    assert said.count("(no interval)") == 4 and "nan" not in said
    assert plot_subset_rule(found["cross_modal_heads"]).shape == (2,)


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


def test_the_rule_is_drawn_head_by_head_and_what_lies_above_is_filled():
    result = written([0.5, -0.1, 0.2], [[0.0, 0.1, 0.2]] * 5)
    ax = plt.figure().add_subplot()
    draw_distribution(ax, result, "mass_minus_expected", "image->text", "excluded")
    own, random = (points for points in ax.collections if hasattr(points, "get_sizes"))
    assert own.get_offsets()[:, 0].tolist() == [0.5, -0.1, 0.2]
    assert [tuple(face) == (1.0, 1.0, 1.0, 1.0) for face in own.get_facecolor()] == [False, True, True]
    assert len(random.get_offsets()) == 15
    level = next(line for line in ax.get_lines() if line.get_linestyle() == ":")
    assert level.get_xdata()[0] == crossmodal.verdict(result).threshold
    assert [text.get_text() for text in ax.texts] == [
        "3 heads of m", "15 heads of 5 models with random weights",
    ]  # fmt: skip


def test_bands_of_heads_do_not_overlap():
    ends = [at_band(band, layer, 6) for band in (0, 1) for layer in (1, 6)]
    assert ends == sorted(ends) and ends[2] - ends[1] > 0.3
    assert at_band(1, 1, 1) < 1.5


def test_the_rule_is_drawn_for_both_directions(result, undefined):
    axes = plot_subset_rule(result)
    for ax, direction in zip(axes, ("image->text", "text->image"), strict=True):
        found = crossmodal.verdict(result, direction)
        assert f"{found.above} of 9 heads above the dotted line" in ax.get_title("left")
    assert axes[0].get_xlim() == axes[1].get_xlim()
    (ax,) = plot_subset_rule(undefined)
    assert "softmax of its own" in ax.texts[0].get_text().replace("\n", " ")


def test_without_random_models_there_is_no_line_and_no_rule():
    found = sweep(
        tiny_model("uniter"), tiny_examples(2), [CrossModalHeads()], controls="none", progress=False
    )
    ax = plot_subset_rule(found["cross_modal_heads"])[0]
    assert "no rule" in ax.get_title("left")
    assert not [line for line in ax.get_lines() if line.get_linestyle() == ":"]


def test_a_missed_gate_and_a_missing_number_are_drawn(result, undefined):
    missed = Result(result.probe, result.frame, result.meta | {"gate_met": False})
    assert "quality gate not met" in plotter("cross_modal_heads")(missed).get_title("left")
    ax = plot_cross_modal(undefined)
    assert "softmax of its own" in ax.texts[0].get_text().replace("\n", " ")
    assert ax.get_title("left") == "Cross-modal heads of tiny-lxmert"
    assert plot_cross_modal_maps(undefined).shape == (1, 1)
