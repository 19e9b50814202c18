from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.fakes import fake_examples
from tests.probes.planted_pairs import pick
from tests.probes.relation_scenes import RelationModel, relation_examples
from tests.tiny import FEATURE_SIZE, tiny_model
from value_nb.best_layer import best_layer
from value_nb.collecting import collect
from value_nb.probes.relations import RelationProbe
from value_nb.sweep import sweep

VRI, VRC = "VRI", "VRC"


def made(*questions: str, **settings) -> RelationProbe:
    return RelationProbe(questions or (VRI, VRC), **({"n_jobs": 1, "grid": (0.01, 0.1)} | settings))


def swept(model, examples, probe=None, controls="none", **options) -> pd.DataFrame:
    probe = made() if probe is None else probe
    return sweep(model, examples, [probe], progress=False, controls=controls, **options)[probe.name].frame


@pytest.fixture(scope="module")
def planted() -> pd.DataFrame:
    """Shown in the states of layer 2 when the caption is right, and in one head; one sweep with controls."""
    model = RelationModel(shows=8.0, points=0.5, needs_caption=True)
    return swept(model, relation_examples(150), controls="default")


def test_planted_relations_are_found_where_they_are(planted):
    for question in (VRI, VRC):
        group = f"{question}, embedding probe"
        assert pick(planted, group, layer=2)["value"] > 0.97
        assert best_layer(planted, group) == ("joint", 2)
    assert pick(planted, "VRI, embedding probe", layer=1)["value"] < 0.65
    assert pick(planted, "VRC, embedding probe", layer=1)["value"] < 0.5
    assert pick(planted, "VRI, attention probe")["value"] == 1.0
    assert pick(planted, "VRC, attention probe")["value"] < 0.6, "the head does not tell predicates apart"
    row = pick(planted, "VRI, embedding probe", layer=2)
    assert (row["n"], row["n_images"], row["split"]) == (100, 25, "test")


def test_either_kind_of_caption_has_a_score_of_its_own(planted):
    for subset in ("pair mentioned", "pair not mentioned"):
        row = pick(planted, f"VRI, embedding probe, {subset}", layer=2)
        assert row["value"] > 0.95 and row["n"] == 50
        assert pick(planted, f"VRI, majority, {subset}", "majority_accuracy")["value"] == 0.5


def test_class_pair_is_at_one_half_exactly(planted):
    assert pick(planted, "VRI, class pair only")["value"] == 0.5
    assert pick(planted, "VRI, majority", "majority_accuracy")["value"] == 0.5
    for name in ("geometry only", "class pair + geometry"):
        assert pick(planted, f"VRI, {name}")["value"] < 0.65 and pick(planted, f"VRC, {name}")["value"] < 0.6


def test_chance_is_computed(planted):
    assert pick(planted, "VRI, chance", "chance")["value"] == 0.5
    assert pick(planted, "VRC, chance", "chance")["value"] == pytest.approx(1 / 3)
    fewer = swept(RelationModel(), relation_examples(60), made(VRC, k=2))
    assert pick(fewer, "VRC, chance", "chance")["value"] == 0.5


def test_mismatched_captions_leave_the_picture(planted):
    """The same questions of the same pictures; what needed the caption is gone."""
    own = pick(planted, "VRI, embedding probe", layer=2)
    other = pick(planted, "VRI, embedding probe", control="mismatched", layer=2)
    assert (own["n"], own["n_images"]) == (other["n"], other["n_images"]) and other["value"] < 0.65
    assert pick(planted, "VRI, attention probe", control="mismatched")["value"] == 1.0, (
        "needs no caption here"
    )
    subset = pick(planted, "VRI, embedding probe, pair mentioned", control="mismatched", layer=2)
    assert subset["n"] == 50, "by the matched caption"


def test_random_weights_find_nothing(planted):
    assert set(planted[planted["control"] == "random weights"]["weights"]) == {"random:0"}
    assert pick(planted, "VRI, embedding probe", control="random weights", layer=2)["value"] < 0.65


def test_geometry_is_found_where_it_tells():
    """Related men stand left of their dogs, unrelated ones right, equally far."""
    examples = relation_examples(60)
    turned = []
    for e in examples:
        boxes = e.regions.boxes.copy()
        other = 2 if e.relations[0].subject == 0 else 0
        boxes[[other, other + 1]] = boxes[[other + 1, other]]
        turned.append(replace(e, regions=replace(e.regions, boxes=boxes)))
    frame = swept(RelationModel(), turned, made(VRI))
    assert pick(frame, "VRI, geometry only")["value"] == 1.0
    assert pick(frame, "VRI, class pair + geometry")["value"] == 1.0
    assert pick(frame, "VRI, class pair only")["value"] == 0.5


def test_class_pair_is_found_where_it_tells():
    """Men hold dogs and are near trees."""
    from value_nb.data.example import Relation

    examples = [
        replace(e, relations=(Relation(0, "holding", 1), Relation(2, "near", 4)))
        for e in relation_examples(36)
    ]
    frame = swept(RelationModel(), examples, made(VRC))
    assert pick(frame, "VRC, class pair only")["value"] == 1.0
    assert pick(frame, "VRC, control task", "type_recurrence")["value"] == 1.0


def test_control_task_has_class_pairs():
    examples = relation_examples(12)
    probe = made().fresh(0).prepare(examples)
    types = {i.type for q in probe._asked.values() for e in examples for i in q.items(e)}
    assert types == {"man / dog"}


def test_sharding_order_and_batches_do_not_matter():
    examples, model = relation_examples(36), RelationModel(shows=2.0, points=0.1)
    whole = made().fresh(3).prepare(examples)
    expected = pd.DataFrame(collect(model, examples, [whole]).probes[0].rows(replicates=20))
    ready = made(limit=500).fresh(3).prepare(examples[::-1])
    shards = [collect(model, examples[k::3], [ready.fresh(3)], batch_size=5).probes[0] for k in (2, 0, 1)]
    merged = shards[0].merge(shards[1].merge(shards[2]))
    pd.testing.assert_frame_equal(expected, pd.DataFrame(merged.rows(replicates=20)), check_exact=True)
    with pytest.raises(ValueError, match="looked over different examples do not merge"):
        shards[0].merge(made(limit=500).fresh(3).prepare(examples[:12]))


def with_features(examples):
    rng = np.random.default_rng(0)
    features = {e.image_id: rng.normal(size=(5, FEATURE_SIZE)).astype(np.float32) for e in examples}
    return [
        replace(e, words=("a", "man", "near", "dog") if e.words[1] == "man" else ("a", "red", "hat", "."),
                regions=replace(e.regions, features=features[e.image_id], confidence=np.ones(5, np.float32)))
        for e in examples
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("family", "stacks"),
    [("uniter", {"joint"}), ("lxmert", {"image", "cross"}), ("vilbert", {"cross"})],
)
def test_single_stream_and_two_stream(family, stacks):
    model = tiny_model(family)
    frame = swept(model, with_features(relation_examples(24)))
    for question in (VRI, VRC):
        group = f"{question}, embedding probe"
        rows = frame[(frame["group"] == group) & (frame["measure"] == "accuracy")]
        assert set(rows["stack"]) == stacks
        assert len(rows) == sum(model.stacks[s] + 1 for s in stacks)
        assert (
            len(frame[(frame["group"] == f"{question}, attention probe") & (frame["measure"] == "accuracy")])
            == 1
        )


def test_settings_are_followed():
    probe = RelationProbe(VRC, k=7, edges=(0.2,), dtype="float32", limit=9, grid=(0.5,), n_jobs=1)
    assert probe.settings() == {
        "questions": [VRC], "k": 7, "edges": [0.2], "dtype": "float32", "limit": 9, "grid": [0.5],
        "description_length": False,
    }  # fmt: skip
    examples = relation_examples(30)
    far = [replace(e, regions=replace(e.regions, boxes=moved(e.regions.boxes))) for e in examples]
    counts = [
        sum(map(len, made(VRI, edges=edges).fresh(0).prepare(far)._plans[VRI].values()))
        for edges in ((), (0.1, 0.3))
    ]
    assert counts[0] > counts[1] > 0, "fewer pairs have a partner where the distance counts"
    drawn = {frozenset(made(VRI).fresh(s).prepare(twice(examples))._plans[VRI]) for s in range(4)}
    assert len(drawn) > 1, "the seed draws"


def moved(boxes):
    """Men 2 and dog 3 far from each other, the others near; a man of one pair is far from the other's dog."""
    changed = boxes.copy()
    changed[0], changed[1] = [0.4, 0.4, 0.5, 0.5], [0.45, 0.4, 0.55, 0.5]
    changed[2], changed[3] = [0.0, 0.0, 0.1, 0.1], [0.9, 0.9, 1.0, 1.0]
    return changed


def twice(examples):
    return [*examples, *(replace(e, id=f"{e.id}b") for e in examples)]


def test_errors_say_what_came():
    with pytest.raises(ValueError, match=r"k=1, edges=\[0.1\] came; expected at least two predicates"):
        made(k=1, edges=(0.1,))
    with pytest.raises(ValueError, match="ascending edges"):
        made(edges=(0.3, 0.1))
    with pytest.raises(
        ValueError, match=r"questions=\['VCD'\] came; expected one or more different among 'VRI'"
    ):
        made("VCD")
    with pytest.raises(ValueError, match="nobody has looked over them"):
        collect(RelationModel(), relation_examples(6), [made().fresh(0)])
    with pytest.raises(ValueError, match="VRI: no example has anything to ask; VRC: no example"):
        swept(RelationModel(), fake_examples(3))


def test_examples_may_be_streamed_and_templates_are_left_alone():
    examples, probe = relation_examples(36), made()
    frame = swept(RelationModel(), iter(examples), probe)
    pd.testing.assert_frame_equal(frame, swept(RelationModel(), examples))
    assert probe._plans is None and not len(probe._asked[VRI]._table)


def test_a_text_model_gets_a_reason():
    result = sweep(RelationModel(stack="text"), relation_examples(6), [made()], progress=False)[
        "relation_probe"
    ]
    assert result.reason.startswith("no stack of planted has what is looked at (attention probe, embedding")
