from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.probes.sentences import LookingModel, parrots, sentences
from tests.tiny import tiny_examples, tiny_model
from value_nb.ablation import without_image
from value_nb.best_layer import best_layer
from value_nb.collecting import collect
from value_nb.controls import RandomWeights
from value_nb.probes.linguistic import LinguisticProbe
from value_nb.probes.trained_length import TRAINED, trained_length
from value_nb.result import Result
from value_nb.sweep import sweep

FIT = {"n_jobs": 1, "grid": (0.01,)}
EMBEDDINGS = ["[CLS]", "mean"]


def probe(**settings) -> LinguisticProbe:
    return LinguisticProbe(**(FIT | settings))


def swept(model, examples, controls="none", **settings) -> Result:
    return sweep(model, examples, [probe(**settings)], progress=False, controls=controls)["linguistic_probe"]


def pick(
    frame: pd.DataFrame, measure: str, group: str, layer: int | None = None, control="none"
) -> pd.Series:
    rows = frame[(frame["measure"] == measure) & (frame["group"] == group) & (frame["control"] == control)]
    rows = rows if layer is None else rows[rows["layer"] == layer]
    assert len(rows) == 1, rows
    return rows.iloc[0]


@pytest.fixture(scope="module")
def found() -> Result:
    return swept(LookingModel(signal={1: 6.0}, looks=0.6), sentences(300), controls="default")


def test_what_is_planted_in_words_is_found_in_their_mean(found):
    assert pick(found.frame, "accuracy", "mean", 1)["value"] == 1.0
    assert best_layer(found.frame, "mean") == ("joint", 1)
    for group, layer in (("mean", 0), ("mean", 2), ("[CLS]", 0), ("[CLS]", 1), ("[CLS]", 2)):
        assert pick(found.frame, "accuracy", group, layer)["value"] < 0.75, (group, layer)


def test_what_is_planted_in_a_head_is_found_in_the_statistics(found):
    row = pick(found.frame, "accuracy", "heads")
    assert row["value"] == 1.0 and pd.isna(row["layer"]) and pd.isna(row["stack"])
    random = pick(found.frame, "accuracy", "heads", control="random weights")
    assert random["value"] < 0.7


def test_no_baseline_knows_it(found):
    for group in ("bag of words", "length"):
        assert pick(found.frame, "accuracy", group)["value"] < 0.7
    assert 0.4 < pick(found.frame, "majority_accuracy", "majority")["value"] < 0.7


def test_baselines_find_what_is_theirs():
    told = swept(LookingModel(), parrots(sentences(120))).frame
    assert pick(told, "accuracy", "bag of words")["value"] == 1.0
    long = [replace(e, label=str(len(e.words))) for e in sentences(240, words=(3, 6))]
    counted = swept(LookingModel(), long, grid=(1.0,)).frame
    assert pick(counted, "accuracy", "length")["value"] == 1.0
    assert pick(counted, "accuracy", "bag of words")["value"] > 0.9, "the filler word counts the length"


def test_nothing_planted_is_chance():
    nothing = swept(LookingModel(signal={}), sentences(600), controls="none").frame
    scored = nothing[nothing["measure"] == "accuracy"]
    assert len(scored) == 9 and scored["value"].between(0.35, 0.65).all()


def test_power_grows_with_the_signal():
    accuracies = []
    for signal in (0.0, 0.6, 6.0):
        frame = swept(LookingModel(signal={1: signal}), sentences(300)).frame
        accuracies.append(pick(frame, "accuracy", "mean", 1)["value"])
    assert accuracies == sorted(accuracies) and accuracies[0] < 0.7 < accuracies[-1]


def test_control_task_is_the_last_content_word(found):
    assert pick(found.frame, "type_recurrence", "control task")["n"] == 4, "four verbs"
    collected = collect(LookingModel(), sentences(12), [probe().fresh(0)]).probes[0]
    types = collected._table.task(collected._table.ids).types
    assert set(types) <= {"rides", "holds", "sees", "eats"}
    gap = pick(found.frame, "selectivity", "mean", 1)
    parts = [pick(found.frame, m, "mean", 1)["value"] for m in ("accuracy", "control_task_accuracy")]
    assert gap["value"] == pytest.approx(parts[0] - parts[1]) and gap["n"] == 50


def test_one_random_model_and_no_mismatched_pairs(found):
    assert set(found.frame["control"]) == {"none", "random weights"}
    assert set(found.frame["weights"]) == {"trained", "random:0"}
    (said,) = found.meta["controls_left_out"]
    assert "has no picture; mismatched pairs need one each" in said
    assert found.meta["n_counts"][""] == "sentences"


def test_sentences_with_a_picture_keep_their_sentence_in_mismatched_pairs():
    examples = [replace(e, label=("a", "b")[k % 2]) for k, e in enumerate(tiny_examples(24))]
    examples = [replace(e, split=("train", "train", "val", "test")[k // 6]) for k, e in enumerate(examples)]
    result = sweep(tiny_model("uniter"), examples, [probe()], progress=False)["linguistic_probe"]
    assert set(result.frame["control"]) == {"none", "random weights", "mismatched"}
    assert not result.meta["controls_left_out"]
    own, other = (
        result.select(control=c, group="length", measure="accuracy") for c in ("none", "mismatched")
    )
    assert own["n"].item() == other["n"].item()


@pytest.mark.parametrize("limit", [2**28, 500])
def test_sharding_order_batches_and_disk_do_not_matter(limit):
    model, examples = LookingModel(signal={1: 2.0}, looks=0.1), sentences(60)
    settings = {"trained_length": 14, "limit": limit}
    whole = collect(model, examples, [probe(**settings).fresh(0)]).probes[0]
    shards = [
        collect(model, examples[k::3], [probe(**settings).fresh(0)], batch_size=5).probes[0]
        for k in (2, 0, 1)
    ]
    merged = shards[0].merge(shards[1].merge(shards[2]))
    assert merged._store.on_disk == (limit == 500)
    expected, got = (pd.DataFrame(p.rows(replicates=20)) for p in (whole, merged))
    assert (expected["measure"] == "accuracy_beyond_trained_length").any()
    pd.testing.assert_frame_equal(expected, got, check_exact=True)


def test_text_only_model():
    frame = swept(tiny_model("bert"), _real_sentences()).frame
    assert set(frame["stack"].dropna()) == {"text"}
    layers = frame[(frame["measure"] == "accuracy") & (frame["group"] == "[CLS]")]["layer"]
    assert layers.tolist() == [0, 1, 2, 3]
    assert set(frame["group"].dropna()) == {
        "[CLS]", "mean", "heads", "bag of words", "length", "majority", "control task"
    }  # fmt: skip


@pytest.mark.parametrize("family", ["lxmert", "vilbert"])
def test_two_stream_models_have_text_and_cross_layers(family):
    model = tiny_model(family)
    with without_image(model) as blind:
        frame = swept(blind, _real_sentences()).frame
    for group in EMBEDDINGS:
        rows = frame[(frame["measure"] == "accuracy") & (frame["group"] == group)]
        for stack in ("text", "cross"):
            layers = rows[rows["stack"] == stack]["layer"].tolist()
            assert layers == [*range(model.stacks[stack] + 1)], (group, stack)
    assert pick(frame, "accuracy", "heads")["n"] == 6
    with pytest.raises(ValueError, match=r"has no regions, and tiny-.* has two streams"):
        swept(model, _real_sentences())


def test_inputs_are_left_as_they_are():
    examples = _real_sentences()
    before = [repr(e) for e in examples]
    swept(tiny_model("uniter"), examples)
    assert [repr(e) for e in examples] == before


# --- sentences beyond the trained length -----------------------------------------------------------------

LIMIT = 12  # positions: [CLS], two pieces a word, [SEP], so up to five words


def split_by_length(examples, split="test"):
    mine = [e for e in examples if e.split == split]
    return [e for e in mine if len(e.words) <= 5], [e for e in mine if len(e.words) > 5]


@pytest.fixture(scope="module")
def long() -> Result:
    """In long test sentences what is planted is turned: a classifier that is right on short ones fails."""

    class Turned(LookingModel):
        def states(self, at, example, where):
            if len(example.words) > 5 and example.split == "test":
                (phrase,) = example.phrases
                example = replace(example, phrases=(replace(phrase, types=(OTHER[example.label],)),))
            return super().states(at, example, where)

    return swept(Turned(signal={1: 8.0}), sentences(300), trained_length=LIMIT)


OTHER = {"people": "animals", "animals": "people"}


def test_long_sentences_are_flagged_and_scored_apart(long):
    short, longer = split_by_length(sentences(300))
    row = long.select(measure="beyond_trained_length").iloc[0]
    assert (row["value"], row["n"]) == (len(longer) / 50, 50) and 0.2 < row["value"] < 0.8
    own, apart = (pick(long.frame, m, "mean", 1) for m in ("accuracy", "accuracy_beyond_trained_length"))
    assert (own["value"], own["n"]) == (1.0, len(short))
    assert (apart["value"], apart["n"]) == (0.0, len(longer))


def test_every_score_counts_sentences_of_trained_length_alone(long):
    short, longer = split_by_length(sentences(300))
    val, _ = split_by_length(sentences(300), "val")
    frame = long.frame
    scored = frame[frame["unit"] == "fraction"]
    counts = {
        "accuracy": len(short), "majority_accuracy": len(short), "control_task_accuracy": len(short),
        "selectivity": len(short), "validation_accuracy": len(val),
        "accuracy_beyond_trained_length": len(longer), "beyond_trained_length": 50, "type_recurrence": 4,
    }  # fmt: skip
    for measure, n in counts.items():
        assert set(scored[scored["measure"] == measure]["n"]) == {n}, measure
    beyond = scored[scored["measure"] == "accuracy_beyond_trained_length"]
    assert set(beyond["group"]) == {"[CLS]", "mean", "heads", "bag of words", "length", "majority"}
    gap = pick(frame, "selectivity", "mean", 1)["value"]
    assert gap == pytest.approx(1.0 - pick(frame, "control_task_accuracy", "mean", 1)["value"])
    labels = [e.label for e in short]
    usual = max(sorted(OTHER), key=[e.label for e in sentences(300) if e.split == "train"].count)
    assert pick(frame, "majority_accuracy", "majority")["value"] == labels.count(usual) / len(short)


def test_without_long_sentences_nothing_changes():
    examples = sentences(60)
    frames = []
    for length in (None, 40):
        frame = swept(LookingModel(), examples, trained_length=length).frame
        rest = frame[frame["measure"] != "beyond_trained_length"].reset_index(drop=True)
        frames.append(rest.dropna(axis=1, how="all"))  # the column of notes, where only that row has one
        assert "accuracy_beyond_trained_length" not in set(frame["measure"])
    pd.testing.assert_frame_equal(*frames)
    known = swept(LookingModel(), examples, trained_length=40).select(measure="beyond_trained_length")
    assert known["value"].tolist() == [0.0]
    unknown = swept(LookingModel(), examples).select(measure="beyond_trained_length")
    assert np.isnan(unknown["value"]).all() and unknown["unit"].tolist() == ["not defined"]


def test_all_test_sentences_may_be_longer():
    examples = [e for e in sentences(300) if e.split == "train" or len(e.words) > 5]
    frame = swept(LookingModel(), examples, trained_length=LIMIT).frame
    row = pick(frame, "accuracy", "mean", 1)
    assert np.isnan(row["value"]) and row["n"] == 0
    assert pick(frame, "accuracy_beyond_trained_length", "mean", 1)["n"] > 0


def test_trained_lengths():
    from data.build.corpus import POSITIONS
    from value_nb.models.registry import KNOWN

    assert set(TRAINED) <= {entry.name for entry in KNOWN}
    assert {TRAINED[name] for name in TRAINED if name.startswith("mini-")} == {POSITIONS}
    model = tiny_model("bert")
    assert trained_length(model) is None
    for name, length in (("mini-lxmert", 24), ("lxmert-base", 20), ("mini-uniter-seed1@500 [no image]", 24)):
        model.name = name
        assert trained_length(model) == length, name
    model.card = {"trained_length": 31}
    assert trained_length(model) == 31, "the card knows better"


# --- what cannot be asked ---------------------------------------------------------------------------------


def test_errors():
    with pytest.raises(ValueError, match="trained_length is 2; expected None or at least 3 positions"):
        LinguisticProbe(trained_length=2)
    with pytest.raises(ValueError, match="has no label; expected a sentence of a probing task"):
        swept(LookingModel(), [replace(e, label=None) for e in sentences(12)])
    two = [*sentences(12), *sentences(12, draw="t", task="other")]
    with pytest.raises(
        ValueError, match=r"sentences of 2 tasks came \(fake-senteval/fake, fake-senteval/other"
    ):
        swept(LookingModel(), two)
    with pytest.raises(ValueError, match="needs all of"):
        swept(LookingModel(), [e for e in sentences(12) if e.split == "test"])


def test_settings_are_kept():
    assert probe(trained_length=9).settings()["trained_length"] == 9
    with pytest.raises(ValueError, match="same settings"):
        probe(trained_length=9).fresh(0).merge(probe(trained_length=10).fresh(0))


def test_description_length_is_an_option():
    frame = swept(LookingModel(signal={1: 6.0}), sentences(120), description_length=True, grid=(1.0,)).frame
    assert (
        pick(frame, "compression", "mean", 1)["value"] > 1.3 > pick(frame, "compression", "mean", 0)["value"]
    )


def test_default_controls():
    assert probe().default_controls(3)[0] == RandomWeights((3,))


def _real_sentences():
    """Sentences of tiny words without a picture."""
    splits = ("train", "train", "val", "test")
    return [
        replace(e, regions=None, phrases=(), label=("a", "b")[k % 3 % 2], split=splits[k % 4])
        for k, e in enumerate(tiny_examples(24))
    ]
