"""Coreference attention against numbers worked out by hand, a plain loop, planted heads, every sharding."""

from __future__ import annotations

import dataclasses
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.probes.coreference_fakes import Mapped, corners, looking, mapped, noise, scene, world
from tests.tiny import tiny_examples, tiny_model
from value_nb import seeds, spilled, states
from value_nb.collecting import collect
from value_nb.controls import Mismatched
from value_nb.data.example import Example, Phrase
from value_nb.data.matching import iou
from value_nb.layout import LayerBatch
from value_nb.probes import coreference_table
from value_nb.probes.coreference_attention import CoreferenceAttention
from value_nb.probes.coreference_table import parts
from value_nb.probes.mentions import mentions
from value_nb.result import Result
from value_nb.sweep import sweep


def run(model: Any, examples: list[Example], controls: Any = "none", **options: Any) -> Result:
    probe = CoreferenceAttention(**{"permutations": 199} | options)
    return sweep(model, examples, [probe], controls=controls, progress=False)["coreference_attention"]


def both_splits(n: int = 12, **options: Any) -> list[Example]:
    return [*world(n, "val", **options), *world(n, "test", **options)]


def value(result: Result, measure: str, **where: Any) -> float:
    rows = result.select(measure=measure, **where)
    assert len(rows) == 1, rows
    return float(rows["value"].iloc[0])


# --- by hand ---

# Phrase 0 (words 0, 1) is linked to region 0, which region 1 overlaps; phrase 1 (words 3, 4) to 2 and 3.
BOXES = np.array(
    [[0, 0, 0.2, 1], [0.02, 0, 0.22, 1], [0.4, 0, 0.5, 1], [0.6, 0, 0.7, 1], [0.8, 0, 1, 1]], dtype=np.float32
)
WEIGHTS = np.array(
    [
        [0.1, 0.5, 0.0, 0.0, 0.2],  # the
        [0.3, 0.1, 0.0, 0.2, 0.0],  # thing0
        [0.9, 0.9, 0.9, 0.9, 0.9],  # and
        [0.1, 0.0, 0.0, 0.3, 0.1],  # the
        [0.1, 0.0, 0.2, 0.1, 0.3],  # thing1
        [0.9, 0.9, 0.9, 0.9, 0.9],  # and
    ]
)
CHAINS = {"0": ("people", (0,)), "1": ("other", (2, 3))}


def by_hand(**options: Any) -> Result:
    """Several copies of one picture, so that some choose and some score."""
    examples = [e for k in range(8) for e in scene(f"i{k}", CHAINS, [["0", "1"]], boxes=BOXES, **options)]
    return run(mapped(lambda *_: WEIGHTS, layers=1, heads=1), examples)


def test_the_probe_gives_the_numbers_worked_out_by_hand():
    """Phrase 0 looks most at region 1 (overlapping, 0.6 of both words), phrase 1 at 3 and 4 alike."""
    result = by_hand()
    for direction, scale in (("text->image", 0.5), ("image->text", 1.0)):  # mean over words, sum over words
        at = {"direction": direction, "group": "people", "layer": 1, "head": 0}
        assert value(result, "hit_rate", **at) == 1.0
        assert value(result, "hit_rate_linked", **at) == 0.0
        assert value(result, "linked_weight", **at) == pytest.approx(0.4 * scale)
        assert value(result, "unlinked_weight", **at) == pytest.approx(0.4 * scale / 3), "region 1 is neither"
        at["group"] = "other"
        assert value(result, "linked_weight", **at) == pytest.approx(0.3 * scale)  # (0.2 + 0.4) / 2
        assert value(result, "unlinked_weight", **at) == pytest.approx(0.2 * scale)  # (0.2 + 0 + 0.4) / 3
    chances = {
        "people": {"chance": 2 / 5, "chance_linked": 1 / 5, "largest_region": 1.0, "central_region": 0.0},
        "other": {"chance": 2 / 5, "chance_linked": 2 / 5, "largest_region": 0.0, "central_region": 1.0},
    }
    for group, expected in chances.items():
        found = {measure: value(result, measure, group=group) for measure in expected}
        assert found == pytest.approx(expected), group


def test_any_of_several_boxes_is_a_hit():
    for region in (2, 3):
        weights = np.zeros((6, 5))
        weights[3:5, region] = 1.0
        examples = [e for k in range(4) for e in scene(f"i{k}", CHAINS, [["0", "1"]], boxes=BOXES)]
        result = run(mapped(lambda *_, w=weights: w, layers=1, heads=1), examples)
        at = {"group": "other", "direction": "text->image", "layer": 1}
        assert value(result, "hit_rate_linked", **at) == 1.0


def test_gold_boxes_decide_what_overlaps():
    """A gold box that region 4 overlaps, beside the region that is linked."""
    gold = {"0": np.array([[0.0, 0, 0.2, 1], [0.8, 0, 1, 1]]), "1": BOXES[2:4]}
    example = scene("a", CHAINS, [["0", "1"]], boxes=BOXES, gold=gold)[0]
    found = [mention for _, mention in mentions(example, 0)]
    assert [(m.linked, m.overlapping) for m in found] == [((0,), (1, 4)), ((2, 3), ())]


def test_equal_weights_come_to_chance_and_not_to_the_annotated_first():
    result = run(mapped(lambda e, *_: np.ones((len(e.words), 6)), layers=1, heads=1), world(400))
    rows = result.select(measure="hit_rate", group="all")
    assert (rows["value"] - 1 / 6).abs().max() < 0.03


# --- planted ---


def knows(example: Example, direction: str, layer: int, head: int) -> np.ndarray:
    """Head 1 of layer 2 looks from phrases at their regions, all others anywhere."""
    weights = noise()(example, direction, layer, head)
    if (direction, layer, head) != ("text->image", 2, 1):
        return weights
    return looking(example, weights, lambda phrase: phrase.regions)


@pytest.mark.parametrize(("stack", "joint"), [("joint", True), ("cross", False)])
def test_a_planted_head_is_found_exactly(stack, joint):
    result = run(mapped(knows, stack=stack, joint=joint), both_splits())
    for group in ("people", "other", "all"):
        at = {"direction": "text->image", "group": group}
        row = result.select(measure="chosen_hit_rate", **at).iloc[0]
        assert (row["stack"], row["layer"], row["head"], row["value"]) == (stack, 2, 1, 1.0)
        assert row["split"] == "test" and row["n_images"] == 12
        assert result.select(measure="chosen_hit_rate_on_choice", **at)["split"].iloc[0] == "val"
        assert value(result, "p", **at) == pytest.approx(1 / 200)
        swapped = value(result, "chosen_permuted", **at)
        assert 0.2 < swapped < 0.3, "four chains: a quarter stays"
        maps = result.select(measure="p_max", **at).set_index(["layer", "head"])["value"]
        assert maps[2, 1] == pytest.approx(1 / 200) and maps.drop((2, 1)).min() > 0.05
    assert value(result, "p_within_type", direction="text->image", group="people") == pytest.approx(1 / 200)
    assert value(result, "p_holm", direction="text->image", group="other") == pytest.approx(4 / 200)
    assert value(result, "p_holm", direction="image->text", group="other") > 0.05
    assert "p_holm" not in set(result.select(group="all")["measure"])


def test_a_head_that_knows_the_class_is_not_taken_for_one_that_knows_the_thing():
    """Phrases look at one of the two regions of their type, which one does not depend on the phrase."""

    def plan(example: Example, direction: str, layer: int, head: int) -> np.ndarray:
        first = seeds.uniforms(example.id, layer, 1, purpose="planted")[0] < 0.5
        alike = {"people": (0, 1), "other": (2, 3)}
        return looking(
            example, noise()(example, direction, layer, head), lambda p: [alike[p.types[0]][not first]]
        )

    result = run(mapped(plan, layers=1, heads=1), both_splits(20))
    for group in ("people", "other"):
        at = {"direction": "text->image", "group": group}
        assert value(result, "p", **at) == pytest.approx(1 / 200)
        assert value(result, "p_within_type", **at) > 0.05
        assert value(result, "chosen_permuted_within_type", **at) == pytest.approx(0.5, abs=0.05)


def test_weights_tell_linked_from_unlinked():
    result = run(mapped(knows), both_splits())
    at = {"direction": "text->image", "group": "all", "layer": 2, "head": 1}
    gap = value(result, "linked_weight", **at) - value(result, "unlinked_weight", **at)
    assert gap == pytest.approx(1.0, abs=0.15)


def test_pictures_with_one_chain_are_counted_and_add_nothing():
    alone = [e for k in range(5) for e in scene(f"test-one{k}", {"0": ("people", (0,))}, [["0"]])]
    with_them, without = (run(mapped(knows), [*both_splits(), *more]) for more in (alone, []))
    at = {"direction": "text->image", "group": "people"}
    assert value(with_them, "images_with_one_chain", group="all") == 5
    assert value(without, "images_with_one_chain", group="all") == 0
    assert value(with_them, "images_with_one_chain", group="people") == 5
    assert value(with_them, "images_with_one_chain_of_type", group="people") == 5
    for measure in ("p", "chosen_permuted", "p_within_type"):
        assert value(with_them, measure, **at) == value(without, measure, **at)
    n = [r.select(measure="chosen_hit_rate", **at)["n_images"].iloc[0] for r in (with_them, without)]
    assert n == [17, 12], "they do count in the rate"


def test_a_phrase_of_two_types_counts_in_both():
    examples = [
        dataclasses.replace(
            e, phrases=(dataclasses.replace(e.phrases[0], types=("people", "animals")), *e.phrases[1:])
        )
        for e in world(6)
    ]
    result = run(mapped(noise()), examples)
    n = result.select(measure="chance").set_index("group")["n"]
    assert n["animals"] > 0 and n["people"] + n["other"] + n["animals"] > n["all"]


# --- choice ---


def test_no_picture_chooses_and_scores():
    images = np.array([f"i{k // 2}" for k in range(40)])
    one = np.array(["test"] * 40)
    choosing, scoring = parts(images, one, "val", 0)
    assert not set(images[choosing]) & set(images[scoring]) and (choosing ^ scoring).all()
    assert 10 < choosing.sum() < 30
    splits = np.array(["train"] * 10 + ["val"] * 10 + ["test"] * 20)
    choosing, scoring = parts(images, splits, "val", 0)
    assert (splits[choosing] == "val").all() and (splits[scoring] == "test").all() and scoring.sum() == 20
    choosing, scoring = parts(images[:20], splits[:20], "val", 0)
    assert set(splits[:20][scoring]) == {"train"}
    choosing, scoring = parts(images, splits, "train", 0)
    assert set(splits[choosing]) == {"train"} and set(splits[scoring]) == {"test"}


def test_of_a_few_pictures_some_choose_and_some_score():
    """Five pictures of the miniature's test split all fell to one half, and the result was empty."""
    for seed in range(40):
        images = np.array(["a", "b", "b"])
        choosing, scoring = parts(images, np.array(["test"] * 3), "val", seed)
        assert choosing.any() and scoring.any()
        assert not (choosing & scoring).any() and choosing[1] == choosing[2]
    choosing, scoring = parts(np.array(["a"]), np.array(["test"]), "val", 0)
    assert int(choosing.sum()) + int(scoring.sum()) == 1


def test_a_head_that_is_good_on_the_choosing_pictures_alone_scores_nothing():
    def plan(example: Example, direction: str, layer: int, head: int) -> np.ndarray:
        weights = noise()(example, direction, layer, head)
        return looking(example, weights, lambda p: p.regions) if example.split == "val" and head else weights

    result = run(mapped(plan, layers=1), both_splits())
    at = {"direction": "text->image", "group": "all"}
    assert value(result, "chosen_hit_rate_on_choice", **at) == 1.0
    assert value(result, "chosen_hit_rate", **at) < 0.4 and value(result, "p", **at) > 0.05


# --- against a plain loop, in models of one and of two streams ---


def plainly(model: Any, examples: list[Example]) -> dict[tuple[Any, ...], float]:
    """Phrase by phrase from the labelled matrices of traces; (measure, direction, layer, head) -> mean."""
    found: dict[tuple[Any, ...], list[float]] = {}
    for example in examples:
        trace = model.trace(example)
        for direction in ("text->image", "image->text"):
            stack = "joint" if "joint" in model.stacks else "cross"
            for layer in range(1, model.stacks[stack] + 1):
                for head in range(model.heads(stack, direction)):
                    table = trace.attention(direction, layer, head=head).drop(columns="unassigned")
                    for phrase in example.phrases:
                        words = list(phrase.words)
                        if direction == "text->image":
                            weights = table.to_numpy()[words].mean(axis=0)
                        else:
                            weights = table.to_numpy()[:, words].sum(axis=1)
                        boxes = example.regions.boxes
                        near = iou(boxes[list(phrase.regions)], boxes).max(axis=0) >= 0.5
                        at = (direction, layer, head)
                        found.setdefault(("hit_rate", *at), []).append(near[weights.argmax()])
                        linked = weights[list(phrase.regions)].mean()
                        found.setdefault(("linked_weight", *at), []).append(linked)
                        if not near.all():
                            found.setdefault(("unlinked_weight", *at), []).append(weights[~near].mean())
    return {key: float(np.mean(values)) for key, values in found.items()}


def linked_examples(n: int) -> list[Example]:
    examples = []
    for index, example in enumerate(tiny_examples(n, seed=2, words=(3, 7), regions=(4, 6))):
        phrases = (Phrase(0, 1, "1", ("people",), (0,)), Phrase(2, 2, "2", ("other",), (1, 3)))
        # One picture in three chooses heads: the plain loop is over the others.
        examples.append(dataclasses.replace(example, phrases=phrases, split="test" if index % 3 else "val"))
    return examples


@pytest.mark.parametrize("family", ["uniter", "lxmert", "vilbert"])
def test_random_models_agree_with_a_plain_loop(family):
    model, examples = tiny_model(family, seed=3, layers=2), linked_examples(6)
    result = run(model, examples)
    expected = plainly(model, [e for e in examples if e.split == "test"])
    frame = result.frame
    frame = frame[
        (frame["group"] == "all") & frame["measure"].isin(["hit_rate", "linked_weight", "unlinked_weight"])
    ]
    assert len(frame) == len(expected) > 0
    for row in frame.itertuples():
        key = (row.measure, row.direction, row.layer, row.head)
        assert row.value == pytest.approx(expected[key], abs=2e-6), key


# --- mismatched pairs ---


def test_links_of_mismatched_pairs_are_drawn_as_many_among_the_annotated():
    chains = {"0": ("people", (0, 1)), "1": ("other", (2,))}
    examples = [e for k in range(6) for e in scene(f"i{k}", chains, [["0", "1"], ["1", "0"]])]
    sources = ("annotated",) * 4 + ("detected",) * 2
    examples = [
        dataclasses.replace(e, regions=dataclasses.replace(e.regions, sources=sources)) for e in examples
    ]
    swapped = [*Mismatched(0).swapped(examples, "caption")]
    found: dict[tuple[str, str], set[tuple[int, ...]]] = {}
    for example in swapped:
        assert all(phrase.regions == () for phrase in example.phrases)
        for phrase, mention in mentions(example, 0):
            assert len(mention.linked) == len(chains[phrase.chain][1])
            assert max(mention.linked) < 4, "an annotated one"
            found.setdefault((example.image_id, phrase.chain), set()).add(mention.linked)
    assert len(found) == 12 and all(len(drawn) == 1 for drawn in found.values()), "the same in all captions"
    assert len(set().union(*found.values())) > 3, "and not the same in all pictures"


def test_a_head_that_knows_the_links_finds_none_in_mismatched_pairs():
    """Its words look at regions by their number, as in the picture that the caption is of."""
    planted = {"thing0": 0, "thing1": 1, "thing2": 2, "thing3": 3}

    def plan(example: Example, direction: str, layer: int, head: int) -> np.ndarray:
        weights = noise()(example, direction, layer, head)
        return looking(example, weights, lambda p: [planted[example.words[p.last]]])

    result = run(mapped(plan, layers=1, heads=1), both_splits(30), controls=[Mismatched(0)])
    at = {"direction": "text->image", "group": "all"}
    assert value(result, "chosen_hit_rate", control="none", **at) == 1.0
    assert value(result, "chosen_hit_rate", control="mismatched", **at) == pytest.approx(1 / 6, abs=0.06)
    assert value(result, "p", control="mismatched", **at) > 0.05
    assert value(result, "chance", control="mismatched", group="all") == pytest.approx(1 / 6)


# --- merging, controls, what is refused ---


def table(probe: CoreferenceAttention) -> pd.DataFrame:
    rows = pd.DataFrame(probe.rows(replicates=50))
    order = ["measure", "group", "direction", "stack", "layer", "head"]
    return rows.sort_values(order, kind="stable").reset_index(drop=True)


def test_any_sharding_gives_the_same():
    examples, model = both_splits(4), mapped(knows)
    whole = CoreferenceAttention(permutations=50)
    collect(model, examples, [whole], batch_size=16)
    shards = []
    for part in (examples[:3], examples[3:4], examples[4:]):
        shards.append(CoreferenceAttention(permutations=50))
        collect(model, part, [shards[-1]], batch_size=2)
    expected = table(whole)
    for one, two, three in permutations(shards):
        for merged in (one.merge(two).merge(three), one.merge(two.merge(three))):
            pd.testing.assert_frame_equal(table(merged), expected)
    assert len(shards[0]._mentions) < len(whole._mentions), "shards are left as they are"


def test_the_same_captions_may_come_in_batches_one_after_the_other():
    """Batches of one example: each layer of each is heard once."""
    examples, model = world(3), mapped(knows)
    one, many = CoreferenceAttention(permutations=20), CoreferenceAttention(permutations=20)
    collect(model, examples, [one], batch_size=1)
    collect(model, examples, [many], batch_size=6)
    pd.testing.assert_frame_equal(table(one), table(many))


def test_controls_have_their_names_and_seeds():
    frame = run(mapped(knows), both_splits(4), controls="default").frame
    assert set(frame["control"]) == {"none", "random weights", "mismatched"}
    assert frame[frame["control"] == "random weights"]["weights"].nunique() == 5


def test_examples_without_links_give_no_row():
    bare = [dataclasses.replace(e, phrases=()) for e in world(3)]
    assert run(mapped(noise()), bare).frame.empty
    mixed = run(mapped(noise()), [*bare, *world(4)])
    assert set(mixed.select(measure="chance", group="all")["n_images"]) <= {1, 2, 3, 4}


def test_a_phrase_of_a_cut_caption_is_left_out():
    class Cut(Mapped):
        def prepare(self, examples: Any) -> Any:
            batch = super().prepare(examples)
            text = batch.layout.streams["text"]
            text.unit[text.unit > 3] = -1
            return batch

    model = Cut(plan=noise(), stacks={"joint": 1})
    probe = CoreferenceAttention()
    collect(model, world(2), [probe])
    assert {m.number for m in probe._mentions} == {0}


def test_a_text_model_has_no_number_and_says_why():
    said = CoreferenceAttention().not_defined(tiny_model("bert"))
    assert said == "tiny-bert has no attention between text and image (stacks: text)"


def test_no_permutations_are_refused():
    with pytest.raises(ValueError, match="permutations=0; at least 1 is needed, 2500 are usual"):
        CoreferenceAttention(permutations=0)


def test_the_usual_number_keeps_the_monte_carlo_error_below_a_hundredth():
    result = run(mapped(noise()), both_splits(4), permutations=2500)
    assert result.select(measure="p_error")["value"].max() <= 0.01


def test_maps_are_left_as_they_are():
    model, same = tiny_model("uniter"), []
    probe = CoreferenceAttention()

    def check(batch: LayerBatch) -> None:
        before = {d: m.clone() for d, m in batch.attention.items()}
        probe.update(batch)
        same.append(all(torch.equal(before[d], batch.attention[d]) for d in before))

    model.run(model.prepare(linked_examples(3)), on_layer=check)
    assert same == [True] * 4


def test_small_statistics_alone_are_kept():
    """Per mention and head: a region and two means, 10 bytes."""
    probe, examples = CoreferenceAttention(), world(10)
    collect(mapped(noise(), layers=2, heads=3), examples, [probe])
    looks, mentions_ = probe._looks, range(len(probe._mentions))
    kept = 0
    for direction in ("image->text", "text->image"):
        keys = looks.keys(direction)
        kept += looks.top(keys, mentions_).nbytes + looks.weights(keys, mentions_).nbytes
    assert kept == len(probe._mentions) * 2 * 2 * 3 * 10
    written = len(b"".join(states.pack(looks)))
    assert kept < written < kept + 2000, "nor is room written that is not used"
    assert corners(3).shape == (3, 4)


def test_in_files_are_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no room in memory, in blocks of two pictures, added up from shards and kept in between."""
    examples = both_splits(9)
    model = mapped(noise(), layers=2, heads=3)
    probe = CoreferenceAttention(permutations=50)
    whole = collect(model, examples, [probe.fresh()]).probes[0].rows(replicates=50)
    monkeypatch.setattr(spilled, "LIMIT", 0)
    monkeypatch.setattr(coreference_table, "PICTURES", 2)
    total = probe.fresh()
    for part in (examples[:20], examples[20:]):
        seen = collect(model, part, [probe.fresh()]).probes[0]
        total = total.merge(probe.fresh().restore(states.unpack(b"".join(states.pack(seen.state())))))
    arrays = [*total._looks._top.values(), *total._looks._weights.values()]
    assert arrays and all(isinstance(array.base, np.memmap) for array in arrays)
    assert total.rows(replicates=50) == whole
