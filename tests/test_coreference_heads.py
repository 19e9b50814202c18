"""Reading, drawing and saying a coreference attention result: every number shown is one of the result."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from tests.probes.coreference_fakes import looking, mapped, noise, world
from tests.tiny import tiny_examples, tiny_model
from value_nb import coreference_heads as reading
from value_nb.aloud import read_aloud
from value_nb.data.example import Example
from value_nb.plots import plot_coreference, plot_coreference_map, plotter
from value_nb.probes.coreference_attention import CoreferenceAttention
from value_nb.result import Result, load_result
from value_nb.sweep import sweep


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def knows(example: Example, direction: str, layer: int, head: int) -> np.ndarray:
    """Head 1 of layer 2 looks from phrases about people at their regions; all others anywhere."""
    weights = noise()(example, direction, layer, head)
    if (direction, layer, head) != ("text->image", 2, 1):
        return weights
    return looking(example, weights, lambda p: p.regions if p.types == ("people",) else ())


@pytest.fixture(scope="module")
def result() -> Result:
    data = [*world(12, "val"), *world(12, "test")]
    found = sweep(mapped(knows), data, [CoreferenceAttention(permutations=199)], progress=False)
    return found["coreference_attention"]


@pytest.fixture(scope="module")
def undefined() -> Result:
    found = sweep(tiny_model("bert"), tiny_examples(2), [CoreferenceAttention()], progress=False)
    return found["coreference_attention"]


EMPTY = {"model": "m", "data": "d", "split": "test", "n": 10, "n_images": 5, "gate_met": True}


# --- the table and the rule ---


def test_the_table_of_best_heads_is_the_result(result):
    table = reading.best_heads(result)
    assert table.index.tolist()[-1] == "all" and set(table.index) == {"people", "other", "all"}
    row = table.loc["people"]
    assert (row["layer"], row["head"], row["hit_rate"]) == (2, 1, 1.0)
    assert row["p_holm"] == pytest.approx(4 / 200) and row["chance"] == pytest.approx(1 / 6)
    random = result.select(
        measure="chosen_hit_rate", control="random weights", group="people", direction="text->image"
    )
    assert (row["random_low"], row["random_high"]) == (random["value"].min(), random["value"].max())
    swapped = result.select(
        measure="chosen_hit_rate", control="mismatched", group="people", direction="text->image"
    )
    assert row["mismatched"] == swapped["value"].iloc[0]


def test_the_rule_holds_for_what_was_planted_and_nothing_else(result):
    assert reading.holding(result, "text->image") == ["people"]
    assert reading.holding(result, "image->text") == []
    found = reading.verdict(result)
    assert (found.held, found.tested, found.holds) == (1, 4, True)


@pytest.mark.parametrize(("guess", "p", "held"), [(0.5, 0.04, 1), (1.0, 0.04, 0), (0.5, 0.05, 0)])
def test_the_rule_needs_both_a_better_rate_and_a_small_p(result, guess, p, held):
    """The planted head's rate is 1.0: no better than a guess that is always right."""
    frame = result.frame
    own = (frame["control"] == "none") & (frame["group"] == "people")
    frame.loc[own & (frame["measure"] == "largest_region"), "value"] = guess
    frame.loc[own & (frame["measure"] == "p_holm") & (frame["direction"] == "text->image"), "value"] = p
    assert reading.verdict(Result(result.probe, frame, result.meta)).held == held


def test_unknown_names_are_refused(result, undefined):
    with pytest.raises(ValueError, match="measure='hits'; expected one of 'hit_rate', 'hit_rate_linked'"):
        reading.head_map(result, "hits")
    with pytest.raises(ValueError, match="group='cats'"):
        reading.head_map(result, group="cats")
    with pytest.raises(ValueError, match="a result of 'fusion_degree' came"):
        reading.nothing(Result("fusion_degree", pd.DataFrame({"value": []}), EMPTY))
    with pytest.raises(ValueError, match="no number for tiny-bert"):
        reading.verdict(undefined)


def test_a_saved_result_says_the_same(result, tmp_path):
    again = load_result(result.save(tmp_path / "r"))
    assert again == result
    pd.testing.assert_frame_equal(reading.best_heads(again), reading.best_heads(result))


# --- the paper and the sentences ---


def test_compare_has_the_papers_statement_and_no_invented_number(result):
    table = result.compare()
    assert table["published"].isna().all()
    assert set(table["said"].dropna()) == {
        "attention shows patterns coherent with the alignment of regions and words"
    }


def test_sentences_say_the_numbers_of_the_result(result):
    said = read_aloud(result)
    row = reading.best_heads(result).loc["all"]
    assert f"hits in {row['hit_rate']:.2f} ({row['lo']:.2f} to {row['hi']:.2f})" in said
    assert f"swapped among its phrases it is {row['permuted']:.2f}" in said
    told = (
        "people" if reading.best_heads(result).loc["people", "p_within_type_holm"] < 0.05 else "none of these"
    )
    assert f"for people 1.00 (1.00 to 1.00); among things of one type it tells them apart for {told}." in said
    assert "The best heads of random-weight models stay below in each of these." in said
    assert "For no entity type does its best head beat the best guess" in said
    assert "In 1 of 4 types and directions" in said and "holds here" in said


def test_sentences_name_the_types_in_which_random_models_reach_as_far(result):
    frame = result.frame
    random = (frame["control"] == "random weights") & (frame["measure"] == "chosen_hit_rate")
    frame.loc[random & (frame["group"] == "people"), "value"] = 1.0
    said = read_aloud(Result(result.probe, frame, result.meta))
    assert "Above the best heads of all random-weight models it lies for none of these." in said


def test_the_best_head_is_the_one_that_was_chosen(result, undefined):
    assert reading.best_head(result, "people") == ("joint", 2, 1)
    row = reading.best_heads(result, "image->text").loc["all"]
    assert reading.best_head(result, direction="image->text") == (row["stack"], row["layer"], row["head"])
    assert reading.best_head(undefined) is None
    with pytest.raises(ValueError, match=r"group='cats'; expected one of '\w+', '\w+', 'all'"):
        reading.best_head(result, "cats")


def test_one_head_by_type_beside_chance_and_beside_unlinked_regions(result):
    table = reading.head_by_type(result, 2, 1)
    assert table.index[0] == "all" and table.loc["people", "value"] == 1.0
    assert table.loc["people", "beside"] == pytest.approx(1 / 6)
    best = reading.best_heads(result)["best_guess"]
    assert table.loc["people", "best_guess"] == best["people"]
    weights = reading.head_by_type(result, 2, 1, "linked_weight")
    unlinked = result.select(
        measure="unlinked_weight", layer=2, head=1, group="people", direction="text->image", control="none"
    )
    assert weights.loc["people", "beside"] == unlinked["value"].iloc[0] < weights.loc["people", "value"]
    with pytest.raises(ValueError, match="measure='p_max'; expected one of 'hit_rate'"):
        reading.head_by_type(result, 2, 1, "p_max")


def test_one_picture_gives_no_interval_and_that_is_said():
    data = [*world(1, "val"), *world(1, "test")]
    probe = CoreferenceAttention(permutations=9)
    one = sweep(mapped(knows), data, [probe], progress=False, controls="none")["coreference_attention"]
    assert "(no interval)" in read_aloud(one) and "nan" not in read_aloud(one)
    assert reading.paper_table(one).loc["people", "hit rate"] == "1.00 (no interval)"
    assert reading.head_by_type(one, 2, 1).loc["people", "n"] == 2


def test_the_papers_table_is_the_result_in_words(result, undefined):
    table = reading.paper_table(result)
    assert table.loc["people", "head"] == "layer 2, head 1"
    assert (
        table.loc["people", "hit rate"] == "1.00 (1.00 to 1.00)" and table.loc["people", "chance"] == "0.17"
    )
    assert table.loc["people", "p, Holm"] == "0.020" and table.loc["all", "p, Holm"] == ""
    assert {"random weights", "mismatched", "permuted", "best guess"} <= set(table.columns)
    assert reading.paper_table(undefined)["not defined"].tolist() == [undefined.reason]


def test_without_a_number_everything_says_why(undefined):
    assert read_aloud(undefined) == f"There is no number for tiny-bert: {undefined.reason}."
    empty = Result("coreference_attention", pd.DataFrame({"value": []}), EMPTY)
    assert "no example came whose phrases are linked" in read_aloud(empty)
    assert "no attention between text and image" in plot_coreference(undefined).texts[0].get_text().replace(
        "\n", " "
    )
    assert "whose phrases are linked" in plot_coreference_map(empty).texts[0].get_text().replace("\n", " ")


# --- figures ---


@pytest.mark.parametrize("direction", reading.DIRECTIONS)
def test_the_points_are_the_result(result, direction):
    ax = plot_coreference(result, direction=direction)
    table = reading.best_heads(result, direction)
    shown = {line.get_label(): line for line in ax.get_lines()}
    assert np.allclose(shown["mismatched pictures"].get_xdata(), table["mismatched"])
    assert np.allclose(shown["chains of a picture swapped"].get_xdata(), table["permuted"])
    rates = [line for line in ax.get_lines() if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in rates] == table["hit_rate"].tolist()
    full = [line.get_markerfacecolor() != "white" for line in rates]
    whole = table.loc["all", "p"] < 0.05 and table.loc["all", "hit_rate"] > table.loc["all", "best_guess"]
    held = [*reading.holding(result, direction), *(["all"] if whole else [])]
    assert full == [group in held for group in table.index]
    names = [label.get_text().split(" ")[0] for label in ax.get_yticklabels()]
    assert names == table.index.tolist()


@pytest.mark.parametrize("measure", reading.MAPS)
def test_the_map_is_the_result_and_frames_what_was_found(result, measure):
    ax = plot_coreference_map(result, measure=measure, group="people")
    shown = np.asarray(ax.collections[0].get_array()).reshape(2, 2)
    assert np.allclose(shown, reading.head_map(result, measure, group="people"))
    frames = [(patch.get_x() + 0.42, patch.get_y() + 0.42) for patch in ax.patches]
    assert np.allclose(frames, [(2, 1)]) if measure.startswith("hit") else not frames


def test_a_missed_gate_is_in_the_title(result):
    missed = Result(result.probe, result.frame, result.meta | {"gate_met": False})
    assert "quality gate not met" in plotter("coreference_attention")(missed).get_title("left")
    assert "quality gate not met" in plot_coreference_map(missed).get_title("left")
