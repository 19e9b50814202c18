"""Heads switched off by rank: a planted head is found out, random ones respect layers and exclusions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import value_nb as vnb
from tests.carrier import THINGS, carrier, pictures
from tests.tiny import tiny_examples, tiny_model
from value_nb import estimates, head_curves, roc, stats
from value_nb.ablation import ablate_heads, without_image
from value_nb.ablation_questions import content_words, questions
from value_nb.head_ablation import ablation_curve
from value_nb.head_curves import ACCURACY, AUC, LOSS, MEASURES
from value_nb.head_sets import all_heads, default_sizes, random_heads
from value_nb.pointed_heads import PointedHeads
from value_nb.result import Result, load_result

FAST: dict[str, Any] = {"progress": False, "replicates": 100}


def curve(family: str = "uniter", **options: Any) -> Result:
    stack = "joint" if family == "uniter" else "cross"
    ranked = [(stack, 2, 1), (stack, 3, 0)]
    direction = None if family == "uniter" else "text->image"
    return ablation_curve(
        carrier(family), pictures(12), ranked, **{"draws": 3, "direction": direction, **FAST, **options}
    )


def value(result: Result, measure: str, **where: Any) -> float:
    (found,) = result.select(measure=measure, **where)["value"].unique()
    return float(found)


# --- planted ---


@pytest.mark.parametrize("family", ["uniter", "lxmert"])
def test_without_the_planted_head_the_model_is_as_without_the_picture(family: str) -> None:
    found = curve(family)
    share = 1 / len(THINGS)
    assert value(found, ACCURACY, control="none", size=0) == 1.0
    assert value(found, ACCURACY, control="no picture") == pytest.approx(share)
    assert value(found, AUC, control="none", size=0) == 1.0
    assert value(found, AUC, control="no picture") == 0.5
    for size in (1, 2):
        assert value(found, ACCURACY, control="none", size=size) == pytest.approx(share)
        assert value(found, AUC, control="none", size=size) == 0.5
        assert value(found, LOSS, control="none", size=size) > value(found, LOSS, control="none", size=0) + 1


@pytest.mark.parametrize("family", ["uniter", "lxmert"])
def test_random_heads_are_not_needed(family: str) -> None:
    found = curve(family)
    for size in (1, 2):
        assert value(found, ACCURACY, control="random heads", size=size) == 1.0
        assert value(found, AUC, control="random heads", size=size) == 1.0
    apart = head_curves.difference(found, ACCURACY)
    assert np.allclose(apart["value"], 1 / len(THINGS) - 1) and (apart["hi"] < 0).all()
    assert (head_curves.difference(found, LOSS)["lo"] > 0).all()


def test_a_ranking_that_misses_the_head_finds_nothing() -> None:
    found = ablation_curve(carrier("uniter"), pictures(12), [("joint", 2, 0)], draws=3, **FAST)
    assert value(found, ACCURACY, control="none", size=1) == 1.0
    drawn = found.select(control="random heads", measure=ACCURACY)
    hit = drawn["note"].str.startswith("joint 2:1;")
    assert np.allclose(drawn["value"], np.where(hit, 1 / len(THINGS), 1.0)), "a draw may meet the carrier"


def test_the_mean_carries_no_picture_either() -> None:
    found = curve(how="mean", reference=pictures(6, split="val"))
    assert value(found, AUC, control="none", size=1) == 0.5
    assert found.meta["settings"]["how"] == "mean" and found.meta["settings"]["reference"] == 6


def test_the_other_direction_of_the_head_is_not_what_carries() -> None:
    found = curve(direction="image->text")
    assert value(found, ACCURACY, control="none", size=2) == 1.0
    assert set(found.frame["direction"]) == {"image->text"}


# --- against the same by hand ---


def test_numbers_are_those_of_the_ablated_model() -> None:
    model, data = tiny_model("uniter", seed=1), tiny_examples(9, seed=3, words=(4, 7))
    ranked = [("joint", 3, 2), ("joint", 1, 0)]
    found = ablation_curve(model, data, ranked, draws=2, per_caption=None, words="head", **FAST)
    asked = [(e, 0) for e in data if content_words(e, "head") == [0]]
    with ablate_heads(model, ranked) as off:
        said = off.masked_words([e for e, _ in asked], [i for _, i in asked])
    assert value(found, ACCURACY, control="none", size=2) == pytest.approx(said.correct.mean())
    assert value(found, LOSS, control="none", size=2) == pytest.approx(-said.log_probability.mean(), abs=1e-5)
    with without_image(model) as blind:
        bare = blind.masked_words([e for e, _ in asked], [i for _, i in asked])
    assert value(found, LOSS, control="no picture") == pytest.approx(-bare.log_probability.mean(), abs=1e-5)
    row = found.select(measure=ACCURACY, control="none", size=2).iloc[0]
    interval = stats.mean_interval(
        said.correct.astype(float), [e.image_id for e, _ in asked], seed=0, replicates=100
    )
    assert (row["lo"], row["hi"]) == pytest.approx((float(interval.lo), float(interval.hi)))


def test_the_difference_is_paired_with_the_mean_of_the_draws() -> None:
    found = ablation_curve(tiny_model("uniter", seed=1), tiny_examples(9, seed=3), [("joint", 3, 2)], **FAST)
    random = found.select(measure=LOSS, control="random heads", size=1)["value"].mean()
    own = value(found, LOSS, control="none", size=1)
    assert head_curves.difference(found, LOSS)["value"].iloc[0] == pytest.approx(own - random)


def test_pairs_are_the_same_captions_with_other_pictures() -> None:
    asked = questions(tiny_model("uniter"), tiny_examples(6), "content", 1, seed=0)
    own = [e for e, match in zip(asked.pairs, asked.match, strict=True) if match]
    other = [e for e, match in zip(asked.pairs, asked.match, strict=True) if not match]
    assert sorted(e.words for e in own) == sorted(e.words for e in other)
    assert all(e.extra["mismatched_with"] != e.id for e in other) and len(own) == len(other) == 6


def test_area_under_the_curve_is_sklearns() -> None:
    rng = np.random.default_rng(0)
    score, match = rng.integers(0, 6, size=40).astype(float), rng.random(40) < 0.4
    weights = rng.integers(0, 4, size=(40, 7))
    assert roc.auc(score, match)[0] == pytest.approx(roc_auc_score(match, score))
    expected = [roc_auc_score(match, score, sample_weight=w) for w in weights.T]
    assert roc.auc(score, match, weights).tolist() == pytest.approx(expected)
    assert np.isnan(roc.auc(score, np.ones(40, dtype=bool))[0]) and np.isnan(roc.auc(score[:0], match[:0])[0])
    with pytest.raises(ValueError, match="one of each for every pair"):
        roc.auc(score, match[:3])


def test_an_estimate_minus_itself_is_nothing() -> None:
    images = np.array(["a", "b", "b", "c"])
    one = estimates.mean_of(np.array([0.1, 0.2, 0.3, 0.7]), images, seed=0, replicates=50)
    assert (one - estimates.mean([one, one, one])).row["hi"] == 0.0
    ratio = estimates.ratio_of(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1, 1, 2, 4]), images, 0, 50)
    assert (ratio.value, ratio.n, ratio.n_images) == (10 / 8, 8, 3)


# --- which words ---


def test_content_words_of_linked_phrases() -> None:
    example = pictures(1)[0]
    assert [example.words[i] for i in content_words(example)] == ["man"], "the umbrella has no region"
    phrase = replace(example.phrases[0], first=3, last=5)
    other = replace(example, phrases=(phrase,))
    assert [other.words[i] for i in content_words(other)] == ["big", "umbrella"]
    assert [other.words[i] for i in content_words(other, "head")] == ["umbrella"]
    she = replace(other, words=("a", "man", "near", "a", "big", "she"))
    assert content_words(she, "head") == []
    with pytest.raises(ValueError, match="'content', 'head'"):
        content_words(example, "verbs")


def test_one_word_of_a_caption_is_drawn_by_its_id() -> None:
    data = [replace(e, phrases=(replace(e.phrases[0], last=5),)) for e in pictures(20)]
    model = carrier("uniter")
    drawn = {seed: questions(model, data, "content", 1, seed).indices for seed in (0, 1)}
    assert len(drawn[0]) == 20 and set(drawn[0]) == {1, 4, 5} and drawn[0] != drawn[1]
    assert questions(model, data[:7], "content", 1, 0).indices == drawn[0][:7], "others do not matter"
    assert len(questions(model, data, "content", None, 0).indices) == 60


# --- sets of heads ---


def test_random_heads_keep_layers_and_leave_out_the_pointed_ones() -> None:
    there = all_heads(tiny_model("uniter", layers=4, heads=4))
    pointed = [("joint", 4, 1), ("joint", 2, 0), ("joint", 4, 3), ("joint", 4, 0)]
    for draw in range(20):
        found = random_heads(there, pointed, draw, seed=0)
        assert not set(found.heads) & set(pointed) and len(set(found.heads)) == 4
        assert [h[1] for h in found.heads] == [4, 2, 3, 3], "one head of layer 4 is left, then its neighbour"
        assert found.moved == (0, 0, 1, 1)
        assert found.said(2) == "all from the same layers"
        assert found.said(4) == "2 of 4 from the same layers, 2 from adjacent ones"
        assert random_heads(there, pointed, draw, seed=0) == found


def test_draws_and_seeds_differ_and_meet_every_head() -> None:
    there = all_heads(tiny_model("uniter", layers=3, heads=6))
    sets = {
        seed: [random_heads(there, [("joint", 2, 0)], d, seed).heads for d in range(60)] for seed in (0, 1)
    }
    assert set(sets[0]) == {(("joint", 2, head),) for head in range(1, 6)}
    assert sets[0] != sets[1]
    with pytest.raises(ValueError, match="random ones are left"):
        random_heads(there[:3], there[:2], 0, 0)


def test_neighbours_are_of_the_same_stack() -> None:
    there = all_heads(tiny_model("lxmert"))
    pointed = [("cross", 1, head) for head in range(3)]
    found = random_heads(there, pointed, 0, 0)
    assert {head[:2] for head in found.heads} == {("cross", 2)}


def test_all_heads_of_a_direction() -> None:
    model = tiny_model("vilbert")
    assert len(all_heads(model, "text->image")) == 3 * 4 and len(all_heads(model, "image->image")) == 3 * 2
    with pytest.raises(ValueError, match="name a direction"):
        all_heads(model)
    with pytest.raises(ValueError, match="'text->text'"):
        all_heads(tiny_model("bert"), "text->image")


def test_sizes() -> None:
    assert default_sizes(9) == (0, 1, 2, 4, 8) and default_sizes(8) == (0, 1, 2, 4, 8)
    assert default_sizes(1) == (0, 1)
    assert curve().meta["settings"]["sizes"] == [0, 1, 2]


# --- the result ---


def test_the_same_again_in_any_batch() -> None:
    one, other = curve(batch_size=5), curve(batch_size=32)
    assert one == curve(batch_size=5)
    assert np.allclose(one.frame["value"], other.frame["value"], atol=1e-5)


def test_it_is_saved_and_read(tmp_path: Any) -> None:
    found = curve()
    assert load_result(found.save(tmp_path)) == found
    assert found.probe == "head_ablation" and set(found.frame["size"].dropna()) == {0, 1, 2}
    assert set(found.select(control="random heads")["draw"]) == {0, 1, 2}


def test_what_it_says_of_itself() -> None:
    found = curve()
    meta = found.meta
    assert meta["heads"] == [["joint", 2, 1], ["joint", 3, 0]] and meta["n_heads"] == 9
    assert meta["n_words"] == 12 and meta["n_pairs"] == 24 and "derangement" in meta["pairs"]
    assert meta["cost"]["examples_in_each"] == 36
    sets = found.select(control="random heads", measure=ACCURACY)
    different = {frozenset(note.split(";")[0].split(", ")) for note in sets["note"]}
    assert meta["cost"]["passes"] == 4 + len(different)
    assert "all from the same layers" in sets["note"].iloc[0]


def test_a_set_that_is_drawn_twice_is_run_once_and_said() -> None:
    found = curve(draws=8)
    assert found.meta["cost"]["passes"] < 2 + 2 * 9
    assert "of the draws these are different sets" in found.meta["control_notes"]["random heads"]


def test_the_table_holds_the_curve_and_its_levels() -> None:
    found = curve()
    table = head_curves.curve_table(found)
    assert table.index.tolist() == [0, 1, 2, "no picture"]
    assert table[AUC, "value"].tolist() == [1.0, 0.5, 0.5, 0.5]
    assert table[AUC, "random, mean"].tolist()[1:3] == [1.0, 1.0]
    assert table[ACCURACY, "minus random, value"].tolist()[1:3] == pytest.approx([-2 / 3, -2 / 3])


def test_the_block_of_a_two_stream_model_is_the_one_pointed_at() -> None:
    model = tiny_model("vilbert")
    pointed = PointedHeads((("cross", 1, 3), ("cross", 2, 0)), (0.9, 0.8), "text->image", split="val")
    found = ablation_curve(model, tiny_examples(5), pointed, draws=1, **FAST)
    assert found.meta["settings"]["direction"] == "text->image" and found.meta["pointed_by"]["split"] == "val"
    whole = ablation_curve(
        tiny_model("uniter"), tiny_examples(5), replace(pointed, heads=(("joint", 1, 0),)), **FAST
    )
    assert whole.meta["settings"]["direction"] is None, "one softmax: the whole head"


# --- where there is no number, and errors ---


def test_reasons() -> None:
    text = ablation_curve(tiny_model("bert"), tiny_examples(3), [("text", 1, 0)], **FAST)
    assert "sees no picture" in str(text.reason) and head_curves.nothing(text)
    nothing = PointedHeads((), reason="its probe has no number")
    other = ablation_curve(tiny_model("lxmert"), tiny_examples(3), nothing, **FAST)
    assert other.reason == "its probe has no number"
    assert "not defined" in head_curves.curve_table(other)


def test_a_measure_that_the_data_do_not_allow_has_its_reason() -> None:
    bare = [replace(e, phrases=()) for e in tiny_examples(4)]
    found = ablation_curve(tiny_model("uniter"), bare, [("joint", 1, 0)], draws=1, **FAST)
    assert head_curves.measures(found) == [AUC]
    with pytest.raises(ValueError, match="linked to a region"):
        head_curves.curve(found, ACCURACY)
    alone = ablation_curve(carrier("uniter"), pictures(1), [("joint", 1, 0)], draws=1, **FAST)
    assert head_curves.measures(alone) == [ACCURACY, LOSS]
    headless = tiny_model("uniter", matching_head=False)
    found = ablation_curve(headless, pictures(6), [("joint", 1, 0)], draws=1, **FAST)
    assert AUC not in head_curves.measures(found)
    neither = ablation_curve(headless, bare, [("joint", 1, 0)], draws=1, **FAST)
    assert "no head for matching" in head_curves.nothing(neither)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sizes": (1, 3)}, "from 1 to 2: up to a quarter of the 9 heads"),
        ({"sizes": ()}, "from 1 to 2"),
        ({"draws": 0}, "at least 1 random set"),
        ({"direction": "up->down"}, "'text->text'"),
        ({"how": "half"}, "'zero', 'mean'"),
        ({"how": "mean"}, "reference"),
        ({"words": "verbs"}, "'content', 'head'"),
    ],
)
def test_errors(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        curve(**options)


@pytest.mark.parametrize(
    ("heads", "said"), [([], "no heads came"), ([("joint", 9, 0)], "no head of carrier-uniter")]
)
def test_heads_that_cannot_be(heads: list[Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ablation_curve(carrier("uniter"), pictures(4), heads, **FAST)


def test_reading_says_what_there_is() -> None:
    with pytest.raises(ValueError, match="matching_auc"):
        head_curves.curve(curve(), "f1")
    assert vnb.ablation_curve is ablation_curve and tuple(MEASURES) == (ACCURACY, LOSS, AUC)
