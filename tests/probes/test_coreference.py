from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.fakes import fake_examples
from tests.probes.planted import planted_examples as pair_examples
from tests.probes.planted_pairs import PairModel, pick
from tests.tiny import tiny_examples, tiny_model
from value_nb.best_layer import best_layer
from value_nb.collecting import collect
from value_nb.controls import Mismatched, RandomWeights
from value_nb.data.example import Phrase
from value_nb.probes.coreference import SIDES, CoreferenceProbe, Detection
from value_nb.probes.linear import fit
from value_nb.probes.views import Bilinear, States, leading_components
from value_nb.sweep import sweep

VCD, ONE_CLASS, VCC = "VCD", "VCD of one class", "VCC"
BILINEAR = "bilinear embedding probe"


def made(*questions: str, **settings) -> CoreferenceProbe:
    return CoreferenceProbe(
        questions or (VCD, ONE_CLASS, VCC), **({"n_jobs": 1, "grid": (0.01, 0.1)} | settings)
    )


def swept(model, examples, probe=None, controls="none", **options) -> pd.DataFrame:
    probe = made() if probe is None else probe
    return sweep(model, examples, [probe], progress=False, controls=controls, **options)[probe.name].frame


@pytest.fixture(scope="module")
def planted() -> pd.DataFrame:
    """Types in the words and pairs in the states of layer 2; links in a head; one sweep with controls."""
    model = PairModel(signal={2: 8.0}, pairs={2: 10.0}, links=0.5)
    return swept(model, pair_examples(150), controls="default")


@pytest.mark.parametrize("question", [VCD, ONE_CLASS])
def test_planted_pairs_are_found_where_they_are(planted, question):
    group = f"{question}, {BILINEAR}"
    assert pick(planted, group, layer=2)["value"] > 0.97
    assert pick(planted, group, layer=1)["value"] < 0.65 and pick(planted, group, layer=0)["value"] < 0.65
    assert best_layer(planted, group) == ("joint", 2)
    assert pick(planted, f"{question}, attention probe")["value"] == 1.0
    row = pick(planted, group, layer=2)
    assert (row["n"], row["n_images"], row["split"]) == (100, 25, "test"), (
        "four pairs for each of 25 pictures"
    )


@pytest.mark.parametrize("question", [VCD, ONE_CLASS])
def test_one_side_alone_is_at_one_half_exactly(planted, question):
    for side in ("phrase", "region"):
        for control in ("none", "random weights", "mismatched"):
            row = pick(planted, f"{question}, {BILINEAR}: {side} only", control=control)
            assert row["value"] == row["lo"] == row["hi"] == 0.5
            val = pick(
                planted, f"{question}, {BILINEAR}: {side} only", "validation_accuracy", control=control
            )
            assert val["value"] == 0.5
    assert pick(planted, f"{question}, majority", "majority_accuracy")["value"] == 0.5
    assert pick(planted, f"{question}, chance", "chance")["value"] == 0.5


def test_states_side_by_side_have_nothing_to_learn_from():
    """The paper's embedding probe on squares: phrases and regions sum up to the same in either answer."""
    probe = collect(PairModel(pairs={2: 10.0}), pair_examples(60), [made(VCD).fresh(0)]).probes[0]._asked[VCD]
    ids, phrase = probe._store.read((BILINEAR, "joint", 2, "phrase"))
    region = probe._store.read((BILINEAR, "joint", 2, "region"))[1]
    task = probe._table.task(ids)
    assert fit(np.concatenate([phrase, region], axis=1), task, 1.0).test.mean() == 0.5
    products = Bilinear(SIDES).combine([phrase, region], task.rows("train"))
    assert fit(products, task, 1.0).test.mean() > 0.97


def test_types_are_found_and_each_side_stands_beside_them(planted):
    assert pick(planted, f"{VCC}, embedding probe", layer=2)["value"] > 0.97
    assert pick(planted, f"{VCC}, embedding probe", layer=1)["value"] < 0.75
    assert pick(planted, f"{VCC}, embedding probe: phrase only")["value"] > 0.97
    assert pick(planted, f"{VCC}, embedding probe: region only")["value"] < 0.75
    assert pick(planted, f"{VCC}, chance", "chance")["value"] == 0.5
    assert pick(planted, f"{VCC}, control task", "type_recurrence")["value"] == 1.0


def test_random_weights_find_nothing(planted):
    rows = planted[planted["control"] == "random weights"]
    assert set(rows["weights"]) == {"random:0"}, "one seed"
    for group in (f"{VCD}, {BILINEAR}", f"{ONE_CLASS}, {BILINEAR}", f"{VCC}, embedding probe"):
        assert pick(planted, group, control="random weights", layer=2)["value"] < 0.75
    assert pick(planted, f"{VCD}, attention probe", control="random weights")["value"] <= 0.6


def test_mismatched_pairs_keep_each_side_and_lose_what_is_between_them(planted):
    rows = planted[planted["control"] == "mismatched"]
    assert not rows["group"].str.contains("attention").any(), "no run has both sides"
    assert pick(planted, f"{VCD}, {BILINEAR}", control="mismatched", layer=2)["value"] < 0.65
    own = pick(planted, f"{VCC}, embedding probe", layer=2)
    other = pick(planted, f"{VCC}, embedding probe", control="mismatched", layer=2)
    assert other["value"] > 0.97 and (other["n"], other["n_images"]) == (own["n"], own["n_images"])


def test_mismatched_sides_come_from_the_right_runs():
    """Phrase states from (caption A, picture B), region states from (caption B, picture A)."""
    examples, model = pair_examples(12), PairModel(pairs={2: 10.0})
    swapped = Mismatched(0).swapped(examples, "both")
    probe = collect(model, swapped, [made(VCC).fresh(0)]).probes[0]._asked[VCC]
    ids, states = probe._store.read(("embedding probe", "joint", 2, "region"))
    own = collect(model, [swapped[k] for k in range(1, 24, 2)], [made(VCC).fresh(0)]).probes[0]._asked[VCC]
    again, alone = own._store.read(("embedding probe", "joint", 2, "region"))
    assert np.array_equal(ids, again) and np.array_equal(states, alone)
    with pytest.raises(KeyError, match="nothing was appended under"):
        own._store.read(("embedding probe", "joint", 2, "phrase"))
    matched_ids = collect(model, examples, [made(VCC).fresh(0)]).probes[0]._asked[VCC]._table.ids
    assert np.array_equal(ids, matched_ids), "the same questions as of matched pairs"


def test_control_task_has_lemmas_and_lemmas_with_classes():
    example = pair_examples(1)[0]
    example = replace(example, words=("the", "Men", "the", "horses"))
    example = replace(example, regions=replace(example.regions, names=("man", "horse")))
    asked = made()._asked
    assert [i.type for i in asked[VCC].items(example)] == ["man", "horse"]
    assert sorted(i.type for i in asked[VCD].items(example)) == [
        "horse / horse", "horse / man", "man / horse", "man / man",
    ]  # fmt: skip


def test_phrases_of_several_types_and_regions():
    example = pair_examples(1)[0]
    first, second = example.phrases
    example = replace(
        example, phrases=(replace(first, types=("people", "other")), replace(second, regions=(0, 1)))
    )
    items = made()._asked[VCC].items(example)
    assert [i.spans["region"].units for i in items] == [(0,), (1,)] and len({i.name for i in items}) == 2
    assert {i.label for i in items} == set(second.types)


def test_sharding_order_and_batches_do_not_matter():
    examples, model = pair_examples(36), PairModel(pairs={2: 4.0}, links=0.1)
    expected = pd.DataFrame(collect(model, examples, [made().fresh(3)]).probes[0].rows(replicates=20))
    shards = [
        collect(model, examples[k::3], [made(limit=500).fresh(3)], batch_size=5).probes[0] for k in (2, 0, 1)
    ]
    merged = made(limit=500).fresh(3).merge(shards[0]).merge(shards[1].merge(shards[2]))
    pd.testing.assert_frame_equal(expected, pd.DataFrame(merged.rows(replicates=20)), check_exact=True)


@pytest.mark.parametrize(
    ("family", "stack"), [("uniter", "joint"), ("lxmert", "cross"), ("vilbert", "cross")]
)
def test_single_stream_and_two_stream(family, stack):
    """States of unequal widths are no trouble; attention runs both ways."""
    model = tiny_model(family)
    frame = swept(model, two_phrases(24), made(VCD, VCC))
    for group in (f"{VCD}, {BILINEAR}", f"{VCC}, embedding probe"):
        rows = frame[(frame["group"] == group) & (frame["measure"] == "accuracy")]
        assert rows["stack"].unique().tolist() == [stack]
        assert rows["layer"].tolist() == list(range(model.stacks[stack] + 1))
        side = pick(frame, f"{group}: region only")
        assert side["value"] == 0.5 or group.startswith(VCC)
    assert len(frame[(frame["group"] == f"{VCD}, attention probe") & (frame["measure"] == "accuracy")]) == 1


def two_phrases(n: int):
    splits = ("train", "train", "val", "test")
    found = []
    for k, e in enumerate(tiny_examples(n, words=(4, 7), regions=(3, 6))):
        kinds = ("people", "animals") if k % 3 else ("animals", "people")
        phrases = tuple(Phrase(2 * j, 2 * j + 1, str(j + 1), (kinds[j],), (j,)) for j in range(2))
        boxes = e.regions.boxes.copy()
        boxes[:2] = [[0, 0, 0.3, 0.3], [0.5, 0.5, 0.9, 0.9]]
        regions = replace(e.regions, boxes=boxes)
        found.append(replace(e, split=splits[k % 4], phrases=phrases, regions=regions))
    return found


def test_settings_are_followed():
    probe = CoreferenceProbe(
        questions=[VCC, VCD], components=3, dtype="float32", limit=77, grid=(0.5,), n_jobs=1
    )
    assert probe.settings() == {
        "questions": [VCC, VCD], "components": 3, "dtype": "float32", "limit": 77, "grid": [0.5],
        "description_length": False,
    }  # fmt: skip
    for question in probe._asked.values():
        assert (question.dtype, question.limit, question.grid, question._n_jobs) == ("float32", 77, [0.5], 1)
    assert probe._asked[VCD].views()[1].components == 3
    frame = swept(PairModel(), pair_examples(36), made(VCC, description_length=True))
    assert {g.split(",")[0] for g in frame["group"]} == {VCC} and "compression" in set(frame["measure"])
    assert probe.default_controls(4) == (RandomWeights((4,)), Mismatched(4))


def test_the_seed_draws_the_squares_and_the_template_is_left_alone():
    examples = pair_examples(12)
    wide = [
        replace(e, phrases=(replace(e.phrases[0], regions=(0, 2)), e.phrases[1]), regions=three(e))
        for e in examples
    ]
    asked = [{i.name for e in wide for i in made(VCD).fresh(s)._asked[VCD].items(e)} for s in (0, 1)]
    assert asked[0] != asked[1]
    probe = made(VCD)
    swept(PairModel(), pair_examples(36), probe)
    assert len(probe._asked[VCD]._table) == 0


def three(example):
    boxes = np.array([*example.regions.boxes, [0.0, 0.6, 0.2, 0.9]], dtype=np.float32)
    return replace(example.regions, boxes=boxes, names=("thing",) * 3, sources=("annotated",) * 3)


def test_a_question_that_cannot_be_asked_says_why():
    def alone(example):
        return replace(example, regions=replace(example.regions, names=("man", "dog")))

    frame = swept(PairModel(), [alone(e) for e in pair_examples(36)])
    row = pick(frame, ONE_CLASS)
    assert np.isnan(row["value"]) and row["unit"] == "not defined" and row["n"] == 0
    assert row["note"] == "no example has anything to ask"
    assert pick(frame, f"{VCD}, {BILINEAR}", layer=2)["n"] == 24, "the others are answered"


def test_errors_say_what_came():
    with pytest.raises(
        ValueError, match=r"questions=\['VCE'\] came; expected one or more different among 'VCD'"
    ):
        made("VCE")
    with pytest.raises(ValueError, match="components=0 came; expected exactly two sides and at least one"):
        swept(PairModel(), pair_examples(6), made(VCD, components=0))
    with pytest.raises(ValueError, match="VCD: no example has anything to ask; VCC: no example"):
        swept(PairModel(), fake_examples(3), made(VCD, VCC))
    only = [replace(e, split="test") for e in pair_examples(6)]
    with pytest.raises(ValueError, match="no example of train, val has anything to ask"):
        swept(PairModel(), only)
    with pytest.raises(ValueError, match="differ; only probes with the same settings"):
        made(VCD).merge(made(VCC))


def test_a_text_model_gets_a_reason():
    result = sweep(PairModel(stack="text"), pair_examples(6), [made()], progress=False)["coreference_probe"]
    assert result.reason.startswith("no stack of planted has what is looked at (attention probe, bilinear")


def test_inputs_are_left_as_they_are():
    examples = pair_examples(6)
    before = [e.regions.boxes.copy() for e in examples]
    Detection(VCD, 4, False).items(examples[0])
    assert all(np.array_equal(a, e.regions.boxes) for a, e in zip(before, examples, strict=True))
    block = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float16)
    copy = block.copy()
    leading_components(block, np.arange(10), 3)
    assert np.array_equal(block, copy)


def test_leading_components_are_white_in_training_and_learn_from_it_alone():
    rng = np.random.default_rng(0)
    block = rng.normal(size=(200, 7)) @ rng.normal(size=(7, 7))
    block[:, 6] = 3.0  # without variance
    train = np.arange(0, 200, 2)
    found = leading_components(block, train, 4)
    assert found.shape == (200, 4)
    assert np.allclose(np.cov(found[train].T, bias=True), np.eye(4), atol=1e-9)
    other = block.copy()
    other[1::2] *= 100
    assert np.allclose(leading_components(other, train, 4)[train], found[train])
    assert leading_components(block, train, 99).shape == (200, 6)


def test_bilinear_takes_a_side_alone_as_it_is():
    block = np.ones((4, 3), dtype=np.float16)
    assert Bilinear(SIDES).combine([block], np.arange(3)).shape == (4, 3)
    assert States(SIDES).combine([block, block], np.arange(3)).shape == (4, 6)
