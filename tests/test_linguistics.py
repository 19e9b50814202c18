"""Probing tasks of a model in one call: how the picture is taken away, and what the results say of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import value_nb as vnb
from tests.tiny import FEATURE_SIZE, tiny_examples, tiny_model, tiny_regions
from value_nb import linguistics
from value_nb.ablation import without_image
from value_nb.aloud import read_aloud
from value_nb.data.example import Example
from value_nb.data.senteval import TASKS
from value_nb.linguistic_aloud import read_picture, read_tasks
from value_nb.linguistic_scores import code_table, score, score_table, scores, verdict, verdict_all
from value_nb.linguistics import mean_region, probe_linguistics
from value_nb.probes.linguistic import LinguisticProbe
from value_nb.result import Result, Results
from value_nb.sweep import sweep

PROBE = LinguisticProbe(n_jobs=1, grid=(0.01,))
SPLITS = ("train", "train", "val", "test")


def sentences(task: str = "first", pictures: bool = False, n: int = 24) -> list[Example]:
    return [
        replace(
            e,
            id=f"{task}#{k}",
            regions=e.regions if pictures else None,
            label=("a", "b")[k % 3 % 2],
            dataset=f"tiny/{task}",
            split=SPLITS[k % 4],
        )
        for k, e in enumerate(tiny_examples(n, seed=len(task)))
    ]


def run(family: str, tasks=None, **options) -> Results:
    given = {"tiny/first": sentences()} if tasks is None else tasks
    return probe_linguistics(tiny_model(family), given, PROBE, progress=False, **options)


def states(model, examples, closed=()) -> list[torch.Tensor]:
    heard = []
    model.run(model.prepare(examples), lambda b: heard.append(b.hidden.get("text")), closed=closed)
    return [h for h in heard if h is not None]


# --- no picture --------------------------------------------------------------------------------------------


def test_single_stream_without_picture_is_a_run_without_regions():
    """Every layer's text states, with the regions masked and with no regions at all."""
    model, examples = tiny_model("uniter"), tiny_examples(5)
    bare = [replace(e, regions=None) for e in examples]
    with without_image(model) as blind:
        masked = states(blind, examples)
    for layer, (own, other) in enumerate(zip(masked, states(model, bare), strict=True)):
        valid = model.prepare(bare).layout.streams["text"].valid
        torch.testing.assert_close(own[valid], other[valid], rtol=0, atol=1e-6), layer
    seen = states(model, examples)[-1]
    assert (seen[valid] - masked[-1][valid]).abs().max() > 0.01, "regions would matter"


@pytest.mark.parametrize("family", ["uniter", "lxmert", "vilbert"])
def test_pictures_of_the_sentences_do_not_matter(family, monkeypatch):
    heard = []

    def listening(model, examples, probes, **options):
        heard.append(states(model, examples))
        return sweep(model, examples, probes, **options)

    monkeypatch.setattr(linguistics, "sweep", listening)
    found = [run(family, {"first": sentences(pictures=p)}, controls="none")["first"] for p in (False, True)]
    for own, other in zip(*heard, strict=True):
        torch.testing.assert_close(own, other, rtol=0, atol=1e-5)
    assert [r.meta["n"] for r in found] == [24, 24]


def test_text_layers_of_two_streams_are_as_they_are():
    """They never see a picture; cross layers do."""
    model, examples = tiny_model("lxmert"), tiny_examples(3)
    seen, blind = states(model, examples), states(model, examples, closed=("text->image",))
    text = model.stacks["text"] + 1
    assert all(torch.equal(*pair) for pair in zip(seen[: text + 1], blind[: text + 1], strict=True))
    assert not torch.allclose(seen[-1], blind[-1], atol=1e-3)


@pytest.mark.parametrize(
    ("family", "name", "said"),
    [
        ("uniter", "tiny-uniter [no image]", "all regions are masked before the softmax"),
        ("lxmert", "tiny-lxmert [no image]", "the text->image gate is closed, which is exact in information"),
        ("bert", "tiny-bert", "no picture: the model has none"),
    ],
)
def test_results_say_how_the_picture_was_taken_away(family, name, said):
    result = run(family, controls="none")["first"]
    assert result.meta["model"] == name and set(result.frame["model"]) == {name}
    assert said in result.meta["control_notes"]["none"]
    assert ("out of distribution" in result.meta["control_notes"]["none"]) == (family == "lxmert")
    left_out = result.meta["controls_left_out"]
    assert any("mean region" in one for one in left_out)
    assert ("no pictures were given" in left_out[-1]) == (family == "lxmert")


def test_default_controls_and_what_does_not_apply():
    result = run("uniter")["first"]
    assert set(result.frame["control"]) == {"none", "random weights"}
    mismatched, region = result.meta["controls_left_out"]
    assert "mismatched pairs need one each" in mismatched
    assert region == "mean region: does not apply, tiny-uniter does without a picture exactly"


# --- the mean region ---------------------------------------------------------------------------------------


def test_mean_region_by_hand():
    rng = np.random.default_rng(0)
    one, two = tiny_regions(rng, 1), tiny_regions(rng, 3)
    examples = [replace(e, regions=r) for e, r in zip(tiny_examples(2), (one, two), strict=True)]
    twice = replace(examples[1], id="1#1")
    found = mean_region([*examples, twice])
    mean = np.concatenate([one.features, two.features]).mean(axis=0)
    assert np.allclose(found.features, mean[None], atol=1e-6) and found.features.dtype == np.float32
    assert found.boxes.tolist() == [[0, 0, 1, 1]] and found.names == ("mean region",) and len(found) == 1


@pytest.mark.parametrize(
    ("pictures", "said"),
    [
        ([], "no regions came to take the mean of"),
        (sentences()[:1], "has no region features; pass pictures of a data set that has them"),
    ],
)
def test_mean_region_of_nothing(pictures, said):
    with pytest.raises(ValueError, match=said):
        mean_region(pictures)


@pytest.mark.parametrize("family", ["lxmert", "vilbert"])
def test_two_streams_with_the_mean_region(family):
    pictures = tiny_examples(6, seed=5)
    result = run(family, pictures=pictures)["first"]
    frame = result.frame
    assert set(frame["control"]) == {"none", "mean region", "random weights"}
    own, other = (frame[frame["control"] == c] for c in ("none", "mean region"))
    assert set(own["model"]) == {f"tiny-{family} [no image]"} and set(other["model"]) == {f"tiny-{family}"}
    assert set(other["group"]) == {"[CLS]", "mean", "heads"}, "baselines stand there once"
    place = ["stack", "layer", "measure", "group"]
    both = own.merge(other, on=place, suffixes=("", "_region"))
    text = both[both["stack"] == "text"]
    assert len(text) and text["value"].equals(text["value_region"])
    note = result.meta["control_notes"]["mean region"]
    n = sum(len(e.regions) for e in pictures)
    assert f"the mean feature of {n} regions of tiny (test)" in note and "out of distribution too" in note


def test_the_region_reaches_the_cross_layers():
    model, examples = tiny_model("lxmert"), sentences()[:3]
    region = mean_region(tiny_examples(6, seed=5))
    seen = states(model, [replace(e, regions=region) for e in examples])
    blind = states(model, examples, closed=("text->image",))
    assert not torch.allclose(seen[-1], blind[-1], atol=1e-3)
    assert region.features.shape == (1, FEATURE_SIZE)


# --- tasks -------------------------------------------------------------------------------------------------


def test_names_of_the_tasks():
    assert vnb.linguistic_tasks() == tuple(f"mini-senteval/{task}" for task in TASKS)
    assert vnb.linguistic_tasks("senteval")[1] == "senteval/tree_depth" and len(vnb.linguistic_tasks()) == 9
    with pytest.raises(ValueError, match="expected one of 'mini-senteval', 'senteval'"):
        vnb.linguistic_tasks("mini")


def test_a_result_for_each_task_and_one_table():
    results = run("bert", {"tiny/first": sentences(), "tiny/second": sentences("second")}, controls="none")
    assert list(results) == ["first", "second"]
    assert {r.probe for r in results.values()} == {"linguistic_probe"}
    frame = results.frame
    assert frame.groupby("probe")["data"].unique().map(list).to_dict() == {
        "first": ["tiny/first"], "second": ["tiny/second"]
    }  # fmt: skip
    assert len(frame) == sum(len(r.frame) for r in results.values())


def test_tasks_are_loaded_by_name(tmp_path):
    for task in ("tree_depth", "past_present"):
        lines = [
            f"{part}\t{'AB'[k % 3 % 2]}\t{' '.join(e.words)}\n"
            for part, count in (("tr", 12), ("va", 6), ("te", 6))
            for k, e in enumerate(tiny_examples(count, seed=count))
        ]
        (tmp_path / f"{task}.txt").write_text("".join(lines))
    names = [f"senteval/{task}" for task in ("tree_depth", "past_present")]
    results = probe_linguistics(
        tiny_model("bert"), names, PROBE, root=tmp_path, limit={"train": 9}, controls="none", progress=False
    )
    assert list(results) == ["tree_depth", "past_present"]
    assert (
        results["tree_depth"].meta["data"] == "senteval/tree_depth" and results["tree_depth"].meta["n"] == 21
    )


@pytest.mark.parametrize(
    ("tasks", "options", "said"),
    [
        ("senteval/tree_depth", {}, r"expected a list of names, for instance \['senteval/tree_depth'\]"),
        ([], {}, "expected one or more of different names"),
        (["senteval/tree_depth", "mini-senteval/tree_depth"], {}, "of different names"),
        ({"first": []}, {"limit": 3}, "root and limit are for tasks that are named"),
        ({"first": []}, {}, "no examples came"),
    ],
)
def test_tasks_that_cannot_be(tasks, options, said):
    with pytest.raises(ValueError, match=said):
        run("bert", tasks, **options)


def test_trained_length_is_the_models():
    model = tiny_model("bert")
    model.name = "mini-bert"
    result = probe_linguistics(model, {"first": sentences(n=12)}, progress=False, controls="none")["first"]
    assert result.meta["settings"]["trained_length"] == 24
    assert result.select(measure="beyond_trained_length")["value"].tolist() == [0.0]


# --- reading results ---------------------------------------------------------------------------------------


def made(
    heads=(0.8, 0.75, 0.85), random=0.6, bag=0.7, length=0.5, gate=True, control="random weights"
) -> Result:
    """A result with numbers of our own: [CLS] is best on validation at layer 1, on test at layer 2."""
    rows = []

    def add(measure, group, value, lo=None, hi=None, layer=None, control="none", **more):
        rows.append(
            {"model": "ours", "weights": "trained", "control": control, "data": "x-senteval/tree_depth",
             "split": "test", "stack": None if layer is None else "joint", "layer": layer, "measure": measure,
             "group": group, "value": value, "lo": value - 0.05 if lo is None else lo,
             "hi": value + 0.05 if hi is None else hi, "n": 40, "n_images": 40, "unit": "fraction"} | more
        )  # fmt: skip

    for group in ("[CLS]", "mean"):
        for layer, (val, test) in enumerate(((0.5, 0.5), (0.9, 0.7), (0.6, 0.95))):
            shift = 0.0 if group == "[CLS]" else 0.01
            add("accuracy", group, test + shift, layer=layer)
            add("validation_accuracy", group, val, layer=layer, split="val")
            add("control_task_accuracy", group, 0.3, layer=layer)
            if control:
                add("accuracy", group, 0.4, layer=layer, control=control, weights="random:0")
                add("validation_accuracy", group, 0.4, layer=layer, control=control, weights="random:0")
    add("accuracy", "heads", *heads)
    if control:
        add("accuracy", "heads", random, control=control, weights="random:0")
    add("accuracy", "bag of words", bag)
    add("accuracy", "length", length)
    add("majority_accuracy", "majority", 0.5)
    add("beyond_trained_length", None, 0.0)
    meta = {
        "model": "ours", "data": "x-senteval/tree_depth", "gate_met": gate, "n": 240, "n_images": 240,
        "split": "test+train+val", "layers": {"joint": 2}, "control_notes": {"none": "no picture: none"},
        "controls_left_out": [],
    }  # fmt: skip
    return Result("linguistic_probe", pd.DataFrame(rows), meta)


def test_the_best_layer_is_chosen_on_validation():
    row = score(made(), "[CLS]")
    assert (row["stack"], row["layer"], row["value"]) == ("joint", 1, 0.7)
    table = scores(made())
    assert len(table) == 9 and set(table["control"]) == {"none", "random weights"}
    assert set(table["task"]) == {"tree depth"}
    own = table[table["control"] == "none"].set_index("group")["value"]
    assert own.to_dict() == pytest.approx(
        {"[CLS]": 0.7, "mean": 0.71, "heads": 0.8, "majority": 0.5, "length": 0.5, "bag of words": 0.7}
    )


@pytest.mark.parametrize(
    ("change", "holds", "unbeaten"),
    [
        ({}, True, []),
        ({"random": 0.76}, False, ["random weights"]),
        ({"bag": 0.75}, False, ["bag of words"]),
        ({"length": 0.9}, False, ["length"]),
        ({"heads": (0.8, 0.45, 0.9)}, False, ["random weights", "bag of words", "length"]),
        ({"control": None}, None, []),
    ],
)
def test_the_rule_for_heads(change, holds, unbeaten):
    found = verdict(made(**change))
    assert found.holds is holds and found.unbeaten == unbeaten
    said = read_aloud(made(**change))
    if holds:
        assert "they lie above random weights, bag of words and length." in said
    elif holds is False:
        assert f"they do not lie above {' or '.join(unbeaten)}." in said
    else:
        assert "cannot be tested: without random weights there is nothing to hold it against." in said


def test_read_aloud_says_the_numbers():
    said = read_aloud(made(gate=False)).splitlines()
    assert said[0] == (
        "ours on tree depth: 40 test sentences, of which always giving the most frequent class gets 0.50 "
        "right."
    )
    assert said[1] == (
        "At layer 1 of the joint stack, chosen on validation, the state of [CLS] gets 0.70 (0.65 to 0.75) "
        "right, with random weights at best 0.40, and of labels drawn at random for each final content "
        "word 0.30."
    )
    assert "Mismatched pairs do not apply: these sentences have no picture." in said
    assert said[-1].startswith("The model misses its quality gate")
    assert "quality gate" not in read_aloud(made())


def test_read_aloud_of_real_results():
    two = run("lxmert", pictures=tiny_examples(6, seed=5))["first"]
    said = read_aloud(two)
    assert "With the mean region in place of a picture: the state of [CLS]" in said
    assert "out of distribution" in said and "no other number counts" not in said
    assert "is not known, so none is flagged as longer" in said
    flagged = LinguisticProbe(trained_length=9, n_jobs=1, grid=(0.01,))
    result = probe_linguistics(
        tiny_model("bert"), {"x": sentences()}, flagged, progress=False, controls="none"
    )["x"]
    assert "are longer than the model was trained with" in read_aloud(result)


@pytest.mark.parametrize(("rival", "named"), [("length", "length"), ("bag", "bag of words")])
def test_what_a_rival_answers_entirely_cannot_be_tested(rival, named):
    """No interval can lie above 1."""
    result = made(**{rival: 1.0})
    found = verdict(result)
    assert found.holds is None and found.unbeaten == [named]
    assert f"cannot be tested: {named} alone answers every sentence" in read_aloud(result)


def test_without_an_interval_nothing_is_tested():
    nan = float("nan")
    assert verdict(made(heads=(0.8, nan, nan))).untested == "there is no interval"


def undefined() -> Result:
    return Result("linguistic_probe", pd.DataFrame({"value": []}), {"model": "ours"}, "no stack has text")


GOOD, BAD = {}, {"bag": 0.9}


@pytest.mark.parametrize(
    ("tasks", "held", "holds"),
    [
        ([GOOD, GOOD, BAD], ["a", "b"], True),
        ([GOOD, BAD], ["a"], False),
        ([BAD], [], False),
        ([GOOD, {"length": 1.0}], ["a"], True),
        ([{"control": None}, {"length": 1.0}], [], None),
    ],
)
def test_the_rule_over_all_tasks(tasks, held, holds):
    """More than half of those that could be tested; half is not most."""
    results = {name: made(**change) for name, change in zip("abc", tasks, strict=False)}
    found = verdict_all(results)
    assert (found.held, found.holds) == (held, holds)
    assert set(found.tested) | set(found.untested) == set(results)
    said = {True: "holds here.", False: "does not hold here.", None: "cannot be tested here."}[holds]
    assert f"“linguistic knowledge is encoded in the attention heads” {said}" in read_tasks(results)


def test_tasks_that_are_not_defined_are_not_tested():
    found = verdict_all({"one_two": undefined(), "three": made()})
    assert found.untested == {"one two": "no stack has text"} and found.holds is True
    said = read_tasks({"one_two": undefined()})
    assert "Not tested, one two: no stack has text." in said and "cannot be tested here" in said


def test_states_have_a_verdict_of_their_own():
    """[CLS] and the mean are equal on validation, so the first is taken: 0.70 (0.65 to 0.75) at layer 1."""
    found = verdict(made(bag=0.6), "embedding")
    assert (found.value, found.holds) == (0.7, True)
    assert found.rivals == {"random weights": 0.4, "bag of words": 0.6, "length": 0.5}
    assert verdict(made(bag=0.65), "embedding").holds is False, "the interval ends there"
    results = {"one": made(bag=0.74), "two": made(bag=0.6)}
    assert verdict_all(results).held == ["one", "two"]
    assert verdict_all(results, "embedding").held == ["two"]
    with pytest.raises(ValueError, match="view='mean'; expected one of 'heads', 'embedding'"):
        verdict(made(), "mean")


def test_verdicts_are_of_one_model():
    assert verdict_all({}).holds is None
    other = made()
    other = Result(other.probe, other.frame, other.meta | {"model": "theirs"})
    with pytest.raises(ValueError, match=r"results of 2 models came \(ours, theirs\)"):
        verdict_all({"one": made(), "two": other})


def test_several_tasks_read_aloud():
    results = Results({"one": made(), "two": made(bag=0.9), "three": made(control=None)})
    said = read_tasks(results)
    assert "in 0 of 3 tasks." in said, "0.65 is below the bag's 0.7"
    assert "random weights, bag of words and length in 1 of 2 tasks (one)" in said
    assert "Not tested, three: without random weights there is nothing to hold it against." in said
    low = read_tasks({"one": made(bag=0.6)})
    assert "length and majority in 1 of 1 task (tree depth)" in low


def test_tables_by_hand():
    table = score_table({"one": made()})
    assert table.index.tolist() == ["tree depth"]
    assert table.iloc[0].to_dict() == pytest.approx(
        {"[CLS]": 0.7, "mean": 0.71, "heads": 0.8, "[CLS], random weights": 0.4, "mean, random weights": 0.4,
         "heads, random weights": 0.6, "majority": 0.5, "length": 0.5, "bag of words": 0.7}
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"run it with LinguisticProbe\(description_length=True\)"):
        code_table(made())


def test_description_lengths_are_those_of_the_best_layer():
    coder = LinguisticProbe(description_length=True, n_jobs=1, grid=(0.01,))
    tasks = {"first": sentences(n=40)}
    result = probe_linguistics(tiny_model("bert"), tasks, coder, progress=False, controls="none")["first"]
    table = code_table(result)
    assert list(table.index) == ["[CLS]", "mean", "heads"]
    for group, row in table.iterrows():
        own = score(result, group, measure="description_length")
        assert (row["bits per label"], row["accuracy"]) == (own["value"], score(result, group)["value"])
        assert row["compression"] == pytest.approx(1 / row["bits per label"]), "two classes: 1 bit each"


def test_how_the_picture_was_taken_away_is_what_the_result_says():
    result = run("lxmert", pictures=tiny_examples(6, seed=5), controls="none")["first"]
    said = read_picture(result).splitlines()
    assert [line.partition(":")[0] for line in said] == ["none", "mean region"]
    assert "left out: mean region: does not apply" in read_picture(run("uniter", controls="none")["first"])


def test_results_of_other_probes_are_refused():
    other = Result("fusion_degree", pd.DataFrame({"value": [1.0]}), {"model": "x"})
    with pytest.raises(
        ValueError, match="a result of 'fusion_degree' came; expected one of 'linguistic_probe'"
    ):
        score(other, "heads")


def test_beside_the_paper():
    """No number is published: the two statements stand alone, ours are 'not published here'."""
    table = made().compare()
    said = table[table["published_model"].notna()]
    assert said["published_model"].tolist() == ["UNITER-base", "LXMERT"]
    assert said["published"].isna().all() and said["value"].isna().all()
    assert "above LXMERT on all nine tasks, below BERT-base" in said["said"].iloc[0]
    ours = table[table["published_model"].isna()]
    assert set(ours["note"]) == {"not published here"} and len(ours) == 9


def test_results_are_saved_and_read(tmp_path):
    result = run("lxmert", pictures=tiny_examples(6, seed=5), controls="none")["first"]
    assert vnb.load_result(result.save(tmp_path / "x")) == result
