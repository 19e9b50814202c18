from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.fakes import fake_examples
from tests.probes.planted import HEADS, SIDES, WIDTH, PhraseType, TypedModel, planted_examples
from tests.tiny import tiny_examples, tiny_model
from value_nb.best_layer import best_layer
from value_nb.collecting import collect
from value_nb.controls import Mismatched, RandomWeights
from value_nb.probes.items import Item
from value_nb.probes.spans import words
from value_nb.probes.views import Attention, States
from value_nb.sweep import sweep


def swept(model: TypedModel, examples, probe=None, controls="none", **options) -> pd.DataFrame:
    probe = PhraseType() if probe is None else probe
    return sweep(model, examples, [probe], progress=False, controls=controls, **options)[probe.name].frame


def pick(frame: pd.DataFrame, measure: str, group: str, layer: int | None = None, **more) -> pd.Series:
    rows = frame[(frame["measure"] == measure) & (frame["group"] == group)]
    rows = rows if layer is None else rows[rows["layer"] == layer]
    for column, value in more.items():
        rows = rows[rows[column] == value]
    assert len(rows) == 1, rows
    return rows.iloc[0]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return swept(TypedModel(), planted_examples(150))


def test_what_is_planted_in_a_layer_is_found_there(frame):
    found = pick(frame, "accuracy", "embedding", 2)
    assert found["value"] > 0.95 and found["lo"] > 0.9
    assert pick(frame, "accuracy", "embedding", 1)["value"] < 0.75
    assert best_layer(frame) == ("joint", 2)


def test_counts_and_splits_are_said(frame):
    row = pick(frame, "accuracy", "embedding", 2)
    assert (row["n"], row["n_images"], row["split"], row["unit"]) == (50, 25, "test", "fraction")
    val = pick(frame, "validation_accuracy", "embedding", 2)
    assert (val["n"], val["n_images"], val["split"]) == (50, 25, "val")


def test_one_side_alone_at_the_best_layer(frame):
    phrase = pick(frame, "accuracy", "embedding: phrase only")
    region = pick(frame, "accuracy", "embedding: region only")
    assert (phrase["stack"], phrase["layer"], region["layer"]) == ("joint", 2, 2)
    assert phrase["value"] > 0.95 and region["value"] < 0.75


class Disagreeing(TypedModel):
    """Layer 1 tells the type but in test pictures, layer 2 but in validation pictures."""

    def states(self, at, example, where):
        if example.split == {1: "test", 2: "val"}.get(at[1]):
            example = replace(example, phrases=())
        return super().states(at, example, where)


def test_the_best_layer_of_one_side_is_chosen_on_validation_not_on_test():
    found = swept(Disagreeing(signal={1: 6.0, 2: 6.0}), planted_examples(150))
    scores = {layer: pick(found, "accuracy", "embedding", layer)["value"] for layer in (1, 2)}
    assert scores[2] > 0.95 > 0.8 > scores[1], "on test the other layer is better"
    phrase = pick(found, "accuracy", "embedding: phrase only")
    assert phrase["layer"] == 1 and phrase["value"] < 0.8


def test_majority_and_baselines(frame):
    examples = planted_examples(150)
    types = [p.types[0] for e in examples if e.split == "train" for p in e.phrases]
    usual = max(sorted(set(types)), key=types.count)
    test = [p.types[0] for e in examples if e.split == "test" for p in e.phrases]
    assert pick(frame, "majority_accuracy", "majority")["value"] == test.count(usual) / len(test)
    assert pick(frame, "accuracy", "head word")["value"] == 1.0, "each head word has one type"
    assert pick(frame, "accuracy", "head + box")["value"] == 1.0


def test_control_task_and_selectivity_at_every_layer(frame):
    assert pick(frame, "type_recurrence", "control task")["value"] == 1.0
    for layer in range(3):
        values = {m: pick(frame, m, "embedding", layer)["value"] for m in MEASURES}
        gap = values["accuracy"] - values["control_task_accuracy"]
        assert values["selectivity"] == pytest.approx(gap)
    assert pick(frame, "selectivity", "embedding", 2)["lo"] > 0


MEASURES = ("accuracy", "control_task_accuracy", "selectivity")


def test_attention_of_all_layers_together():
    frame = swept(TypedModel(looks=0.4), planted_examples(150), PhraseType(baseline=False))
    row = pick(frame, "accuracy", "attention")
    assert row["value"] == 1.0 and pd.isna(row["layer"])
    nothing = swept(TypedModel(), planted_examples(150), PhraseType(baseline=False))
    assert pick(nothing, "accuracy", "attention")["value"] < 0.75


def test_features_that_are_collected():
    probe = collect(TypedModel(looks=0.4), planted_examples(6), [PhraseType().fresh(0)]).probes[0]
    layers = {key[2] for key in probe._store.keys if key[0] == "embedding"}
    assert layers == {0, 1, 2} and {key[2] for key in probe._store.keys if key[0] == "attention"} == {1, 2}
    assert probe._store.read(("embedding", "joint", 2, "phrase"))[1].shape == (12, WIDTH)
    there = probe._store.read(("attention", "joint", 2, "phrase->region"))[1]
    assert there.shape == (12, HEADS)
    labels = probe._table.task(probe._table.ids).labels
    assert np.array_equal(there[:, 1] > 0.3, labels == "people") and (there[:, [0, 2]] < 0.3).all()


@pytest.mark.parametrize("limit", [2**28, 200])
def test_sharding_order_batches_and_disk_do_not_matter(limit):
    examples = planted_examples(36)
    whole = collect(TypedModel(), examples, [PhraseType().fresh(0)]).probes[0]
    expected = pd.DataFrame(whole.rows(replicates=20))
    shards = [
        collect(TypedModel(), examples[k::3], [PhraseType(limit=limit).fresh(0)], batch_size=5).probes[0]
        for k in (2, 0, 1)
    ]
    merged = shards[0].merge(shards[1].merge(shards[2]))
    assert merged._store.on_disk == (limit == 200)
    pd.testing.assert_frame_equal(expected, pd.DataFrame(merged.rows(replicates=20)), check_exact=True)


def test_number_of_jobs_does_not_matter():
    frames = [swept(TypedModel(), planted_examples(36), PhraseType(n_jobs=n)) for n in (1, 2)]
    pd.testing.assert_frame_equal(*frames)


def test_controls_of_the_sweep():
    examples = planted_examples(60)
    frame = swept(TypedModel(), examples, PhraseType(baseline=False), controls="default")
    assert set(frame["control"]) == {"none", "random weights"}
    assert set(frame[frame["control"] == "random weights"]["weights"]) == {"random:0"}, "one seed"
    found = pick(frame, "accuracy", "embedding", 2, control="random weights")
    assert found["value"] < 0.75 < pick(frame, "accuracy", "embedding", 2, control="none")["value"]


class PhraseAlone(PhraseType):
    """Looks at the words alone, so that it can be asked of a caption with another picture."""

    controls = frozenset({"random weights", "mismatched"})

    def items(self, example):
        named = [(f"{example.image_id}/{k}", p) for k, p in enumerate(example.phrases)]
        return [Item(name, p.types[0], {"phrase": words(p.words)}) for name, p in named]

    def views(self):
        return [States({"phrase": "text"})]


def test_mismatched_pairs():
    probe = PhraseAlone(baseline=False)
    assert probe.default_controls(3) == (RandomWeights((3,)), Mismatched(3))
    assert PhraseType().default_controls(3) == (RandomWeights((3,)),)
    frame = swept(TypedModel(), planted_examples(60), probe, controls=[Mismatched()])
    for control in ("none", "mismatched"):
        found = pick(frame, "accuracy", "embedding", 2, control=control)
        assert found["value"] > 0.8 and (found["n"], found["n_images"]) == (20, 10)
    with pytest.raises(ValueError, match="no items came: no example has anything to ask"):
        swept(TypedModel(), fake_examples(3))


def test_sides_may_come_from_different_examples():
    """What a mismatched pair of this kind needs: the phrase from one example, the region from another."""

    class Halves(PhraseType):
        def items(self, example):
            side = "phrase" if example.extra["half"] == "phrase" else "region"
            found = super().items(example)
            return [replace(i, name=i.name.split("@")[0], spans={side: i.spans[side]}) for i in found]

    examples = [
        replace(e, extra={"half": half}) for e in planted_examples(36) for half in ("phrase", "region")
    ]
    frame = swept(TypedModel(), examples, Halves(baseline=False))
    plain = swept(TypedModel(), planted_examples(36), PhraseType(baseline=False))
    joined = frame[frame["group"] == "embedding"].drop(columns=["split"]).reset_index(drop=True)
    whole = plain[plain["group"] == "embedding"].drop(columns=["split"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(joined, whole)
    assert "attention" not in set(frame["group"]), "no example has both sides"


def test_description_length_is_an_option():
    frame = swept(
        TypedModel(), planted_examples(60), PhraseType(True, description_length=True, grid=(0.01, 1.0))
    )
    row = pick(frame, "description_length", "embedding", 2)
    assert (row["unit"], row["split"], row["n"]) == ("bits per label", "train", 80)
    ratio = pick(frame, "compression", "embedding", 2)["value"]
    assert ratio == pytest.approx(1 / row["value"]) and ratio > 1.5
    assert pick(frame, "compression", "embedding", 0)["value"] < 1.1
    assert "compression" not in set(swept(TypedModel(), planted_examples(36))["measure"])


def test_control_task_that_is_not_defined():
    class Untyped(PhraseType):
        def items(self, example):
            return [replace(item, type=example.id) for item in super().items(example)]

    frame = swept(TypedModel(), planted_examples(36), Untyped(baseline=False))
    assert pick(frame, "type_recurrence", "control task")["value"] == 0
    for layer in range(3):
        row = pick(frame, "selectivity", "embedding", layer)
        assert np.isnan(row["value"]) and row["unit"] == "not defined"
        assert row["note"].startswith("0% of the types in test occur in training, and 80% are needed")
    others = frame[frame["unit"] != "not defined"]
    assert others["note"].isna().all() and "note" not in swept(TypedModel(), planted_examples(36))


def test_scores_of_subsets():
    class InTwo(PhraseType):
        def items(self, example):
            found = super().items(example)
            return [replace(item, subset=("first", "second")[k]) for k, item in enumerate(found)]

    frame = swept(TypedModel(), planted_examples(60), InTwo())
    plain = swept(TypedModel(), planted_examples(60))
    for group in ("embedding", "embedding: phrase only", "head word", "majority"):
        measure = "majority_accuracy" if group == "majority" else "accuracy"
        layer = None if group in ("head word", "majority") else 2
        parts = [pick(frame, measure, f"{group}, {name}", layer) for name in ("first", "second")]
        assert [row["n"] for row in parts] == [10, 10]
        whole = pick(frame, measure, group, layer)
        assert whole["value"] == pytest.approx(np.mean([row["value"] for row in parts]))
        assert whole["value"] == pick(plain, measure, group, layer)["value"], "the fits are the same"


@pytest.mark.parametrize(
    ("family", "stacks"), [("uniter", {"joint"}), ("lxmert", {"cross"}), ("vilbert", {"cross"})]
)
def test_real_engines(family, stacks):
    """Phrase and region need a stack that holds both; widths may differ."""
    splits = ("train", "train", "val", "test")
    examples = [
        replace(
            e,
            split=splits[k % 4],
            phrases=(replace(e.phrases[0], types=(("people", "animals")[k % 3 % 2],)),),
        )
        for k, e in enumerate(tiny_examples(24))
    ]
    model = tiny_model(family)
    frame = sweep(model, examples, [PhraseType()], progress=False, controls="none")["phrase_type"].frame
    layers = frame[(frame["group"] == "embedding") & (frame["measure"] == "accuracy")]
    assert set(layers["stack"]) == stacks and layers["layer"].max() == model.stacks[stacks.copy().pop()]
    assert "attention" in set(frame["group"])


def test_a_text_model_gets_a_reason():
    result = sweep(TypedModel(stack="text"), planted_examples(6), [PhraseType()], progress=False)[
        "phrase_type"
    ]
    assert result.reason == "no stack of planted has what is looked at (embedding, attention); stacks: text"


def test_views_of_one_stream_take_every_stack_that_has_it():
    model = tiny_model("lxmert")
    assert States({"sentence": "text"}).stacks(model) == {"text", "cross"}
    two = Attention({"subject": "image", "object": "image"})
    assert two.stacks(model) == {"image", "cross"} and two.directions == {"image->image"}
    assert two.parts == ("subject->object", "object->subject")
    assert States({"sentence": "text"}).alone == () and States(SIDES, one_side=False).alone == ()
    with pytest.raises(ValueError, match="attention lies between exactly two"):
        Attention({"phrase": "text"})


def test_errors_say_what_came():
    with pytest.raises(ValueError, match=r"splits \['test'\] came; a classifier needs all of"):
        swept(TypedModel(), [replace(e, split="test") for e in planted_examples(6)])
    with pytest.raises(ValueError, match="a row came twice; sweep each example once"):
        swept(TypedModel(), planted_examples(12) * 2)

    class Crossed(PhraseType):
        def items(self, example):
            return [replace(i, spans={"phrase": i.spans["region"]}) for i in super().items(example)]

    with pytest.raises(ValueError, match="side 'phrase' came as a span of the image"):
        swept(TypedModel(), planted_examples(6), Crossed())

    class Unknown(PhraseType):
        def baselines(self):
            return {"length": ["length"]}

    with pytest.raises(ValueError, match=r"baseline 'length' takes \['length'\], and no item has it"):
        swept(TypedModel(), planted_examples(24), Unknown())
    frame = swept(TypedModel(), planted_examples(24))
    with pytest.raises(ValueError, match="no layers of group 'nothing'"):
        best_layer(frame, "nothing")


def test_templates_are_left_as_they_are_and_settings_are_plain():
    probe = PhraseType()
    swept(TypedModel(), planted_examples(24), probe)
    assert len(probe._table) == 0 and not probe._store.keys
    assert set(probe.settings()) == {"baseline", "description_length", "dtype", "grid", "limit"}


def test_examples_without_items_are_no_trouble():
    examples = [*planted_examples(24), *(replace(e, split="train") for e in fake_examples(3))]
    frame = swept(TypedModel(), examples)
    assert pick(frame, "accuracy", "embedding", 2)["n"] == 8


def test_an_absent_stack_asks_for_nothing():
    needs = PhraseType().needs(TypedModel())
    assert needs.stacks == {"joint"} and needs.hidden and needs.attention == {"text->image", "image->text"}


def test_power_grows_with_the_signal():
    found = []
    for signal in (0.0, 2.0, 8.0):
        frame = swept(TypedModel(signal={1: signal}), planted_examples(90), PhraseType(baseline=False))
        found.append(pick(frame, "accuracy", "embedding", 1)["value"])
    assert found == sorted(found) and found[-1] == 1.0
