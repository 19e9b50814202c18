from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from tests.probes.relation_scenes import BOXES, NAMES, related, relation_examples
from value_nb.data.example import Relation
from value_nb.probes.geometry import distance_bin
from value_nb.probes.region_pairs import (
    MENTIONED,
    RELATED,
    SILENT,
    UNRELATED,
    dense_examples,
    gather,
    mentioned,
    plan_predicates,
    plan_relations,
)

EDGES = (0.1, 0.3)


def asked(examples, seed=0, edges=EDGES):
    plan = plan_relations(gather(examples), edges, seed)
    return [(e, one) for e in examples for one in plan.get(e.id, ())]


def test_each_related_pair_has_an_unrelated_one_of_its_kind():
    examples = relation_examples(12)
    found = asked(examples)
    labels = Counter((one.label, one.subset) for _, one in found)
    assert labels == dict.fromkeys([(a, b) for a in (RELATED, UNRELATED) for b in (MENTIONED, SILENT)], 12)
    for example, one in found:
        pair, _ = related(int(example.image_id[1:]), 0)
        assert ((one.subject, one.object) == pair) == (one.label == RELATED)
        assert (example.words[1] == "man") == (one.subset == MENTIONED)


def test_kinds_are_balanced_in_class_pair_distance_split_and_caption():
    """Pictures in which some pair has no partner: those are left out, not the balance."""
    examples = relation_examples(30)
    wide = BOXES.copy()
    wide[3] += [0.5, 0, 0.5, 0]  # the second dog far off: its pair is in another bin
    rng = np.random.default_rng(0)
    moved = {f"i{k}": rng.random() < 0.5 for k in range(30)}
    examples = [
        replace(e, regions=replace(e.regions, boxes=wide)) if moved[e.image_id] else e for e in examples
    ]
    found = asked(examples)
    counts = Counter()
    for e, one in found:
        far = distance_bin(e.regions.boxes, one.subject, one.object, 1.0, EDGES)
        counts[e.split, NAMES[one.subject], NAMES[one.object], far, one.subset, one.label] += 1
    for (*kind, label), n in counts.items():
        other = UNRELATED if label == RELATED else RELATED
        assert counts[(*kind, other)] == n
    assert 0 < len(found) < 120 and {key[3] for key in counts} == {1, 2}


def test_no_unrelated_pair_without_a_related_one_of_its_classes():
    assert all((NAMES[o.subject], NAMES[o.object]) == ("man", "dog") for _, o in asked(relation_examples(6)))


def test_only_annotated_regions_and_neither_direction():
    examples = relation_examples(12)
    detected = [
        replace(
            e, regions=replace(e.regions, sources=("annotated", "annotated", "annotated", "detected", "x"))
        )
        for e in examples
    ]
    drawn = {(o.subject, o.object) for _, o in asked(detected) if o.label == UNRELATED}
    assert drawn and not any(3 in pair for pair in drawn)
    both = [
        replace(e, relations=(*e.relations, Relation(3, "near", 2), Relation(1, "near", 0))) for e in examples
    ]
    drawn = {(o.subject, o.object) for _, o in asked(both) if o.label == UNRELATED}
    assert not drawn & {(0, 1), (1, 0), (2, 3), (3, 2)}


def test_what_overlaps_a_related_pair_is_not_unrelated():
    """A man annotated twice: the dog that one of him holds is held by the other too."""
    examples = relation_examples(12)
    boxes = BOXES.copy()
    boxes[2] = boxes[0] + 0.001
    boxes[3] = boxes[1] + 0.001
    twice = [replace(e, regions=replace(e.regions, boxes=boxes)) for e in examples]
    assert asked(twice) == []


def test_which_regions_a_caption_names():
    example = relation_examples(1)[0]
    assert mentioned(example) == {0, 1, 2, 3}, "man, and dogs in the plural"
    assert mentioned(replace(example, words=("trees",))) == {4}
    named = replace(
        example, extra={"objects": ((7, ("tree", "big oak"), 4), (8, ("x",), -1))}, words=("oak",)
    )
    assert mentioned(named) == {4}, "any name of an object, by its last word"
    assert mentioned(replace(example, regions=None)) == frozenset()


def test_one_caption_of_either_kind_is_drawn():
    examples = relation_examples(6)
    more = [*examples, *(replace(e, id=f"{e.id}b") for e in examples)]
    per_pair = Counter((e.image_id, o.subject, o.object, o.subset) for e, o in asked(more))
    assert set(per_pair.values()) == {1}
    drawn = {tuple(sorted(e.id for e, _ in asked(more, seed=s))) for s in range(6)}
    assert len(drawn) > 1, "which one is drawn by the seed"


def test_the_order_of_the_examples_does_not_matter():
    examples = relation_examples(30)
    plan = plan_relations(gather(examples), EDGES, 0)
    other = plan_relations(gather(examples[::-1]), EDGES, 0)
    assert {k: set(v) for k, v in plan.items()} == {k: set(v) for k, v in other.items()}


def test_the_most_frequent_predicates_of_training():
    examples = relation_examples(60)
    counts = Counter(related(k, 0)[1] for k in range(60) if k % 6 not in (2, 5))
    usual = sorted(counts, key=lambda p: (-counts[p], p))
    plan, chosen = plan_predicates(gather(examples), 2, seed=0)
    assert list(chosen) == usual[:2]
    labels = Counter(one.label for asked in plan.values() for one in asked)
    assert set(labels) == set(chosen)
    assert labels[chosen[0]] == 2 * sum(related(k, 0)[1] == chosen[0] for k in range(60)), (
        "with both captions"
    )
    assert len(plan_predicates(gather(examples), 99, seed=0)[1]) == 3


def test_pairs_of_several_predicates_are_left_out_of_classification():
    examples = relation_examples(12)
    double = [
        replace(e, relations=(*e.relations, replace(e.relations[0], predicate="also"))) for e in examples
    ]
    assert plan_predicates(gather(double), 5, 0) == ({}, ())
    assert asked(double), "and are related all the same"


def test_a_picture_in_two_splits_is_refused():
    examples = relation_examples(2)
    with pytest.raises(ValueError, match="image 'i0' is in 'train' and 'test'"):
        gather([examples[0], replace(examples[1], split="test")])


def test_dense_examples_are_whole_matches_within_the_limit():
    pictures = gather(relation_examples(60))
    chosen = dense_examples(pictures, EDGES, 0, {"train": 7, "test": 4})
    split_of = {e.id: e.split for e in relation_examples(60)}
    counts = Counter(split_of[one] for one in chosen)
    assert counts == {"train": 6, "test": 4} or counts == {"train": 7, "test": 4}
    few = [e for e in relation_examples(60) if e.id in chosen]
    assert sum(map(len, plan_relations(gather(few), EDGES, 0).values())) >= len(few)


def test_what_is_dense_is_drawn_by_the_seed_alone():
    examples = relation_examples(60)
    first, same, other = (
        dense_examples(gather(some), EDGES, seed, {"train": 8})
        for some, seed in ((examples, 0), (examples[::-1], 0), (examples, 1))
    )
    assert first == same != other
