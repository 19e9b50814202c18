"""The rules of the shipped miniature. Where data/mini is missing they fail: it ships with the kit."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import value_nb.data
from value_nb.data.dataset import SPLITS, Dataset
from value_nb.data.flickr30k_sentences import ENTITY_TYPES
from value_nb.data.regions import RegionStore
from value_nb.data.registry import load_dataset
from value_nb.data.senteval import TASKS

MINI = Path(value_nb.data.__file__).resolve().parents[2] / "data" / "mini"
LARGEST_DATA = 45_000_000
"""Bytes of all of data/."""


@pytest.fixture(autouse=True, scope="module")
def _mini_is_there() -> None:
    assert MINI.is_dir(), (
        f"{MINI} is missing: the miniature ships with the repository; `make mini` builds it."
    )


@pytest.fixture(scope="module")
def store() -> RegionStore:
    return RegionStore(MINI / "features.h5")


@pytest.fixture(scope="module")
def flickr() -> dict[str, Dataset]:
    return {s: load_dataset("mini-flickr30k", s, root=MINI, strict=True).without_features() for s in SPLITS}


@pytest.fixture(scope="module")
def genome() -> dict[str, Dataset]:
    return {s: load_dataset("mini-vg", s, root=MINI, strict=True).without_features() for s in SPLITS}


def images_of(data: Dataset) -> set[str]:
    return {example.image_id for example in data}


def test_nothing_is_skipped_or_changed(flickr: dict[str, Dataset], genome: dict[str, Dataset]) -> None:
    for data in (*flickr.values(), *genome.values()):
        assert len(data) > 0
        assert not data.problems, data.problems


def test_every_picture_has_the_same_number_of_regions(store: RegionStore) -> None:
    counts = Counter(len(store.read(image_id, features=False)) for image_id in store)
    assert len(counts) == 1, counts


def test_regions_outnumber_the_positions_of_the_longest_caption(
    store: RegionStore, flickr: dict[str, Dataset], genome: dict[str, Dataset]
) -> None:
    regions = len(store.read(store.image_ids[0], features=False))
    specials = 2
    longest = max(len(e.words) for data in (*flickr.values(), *genome.values()) for e in data)
    assert longest + specials < regions


def test_annotated_regions_come_first_and_detected_ones_follow(store: RegionStore) -> None:
    for image_id in store:
        sources = store.read(image_id, features=False).sources
        assert sources[0] == "annotated" and sources[-1] == "detected"
        assert list(sources) == sorted(sources)


def test_features_are_finite_and_differ_between_regions(store: RegionStore) -> None:
    for image_id in store.image_ids[:20]:
        features = store[image_id].features
        assert features is not None
        assert len(np.unique(features, axis=0)) > 1


def test_there_are_at_least_fifty_classes(store: RegionStore) -> None:
    assert len(set(store.class_names)) >= 50


def test_every_visible_phrase_is_linked(flickr: dict[str, Dataset]) -> None:
    for data in flickr.values():
        for example in data:
            for phrase in example.phrases:
                boxed = phrase.chain != "0" and len(example.extra["gold_boxes"][phrase.chain]) > 0
                assert bool(phrase.regions) == boxed, (example, phrase)
            assert example.extra["boxes_linked"][0] == example.extra["boxes_linked"][1], example


def test_linked_regions_are_the_annotated_boxes(flickr: dict[str, Dataset]) -> None:
    for example in flickr["test"]:
        assert example.regions is not None
        for phrase in example.phrases:
            for region in phrase.regions:
                gaps = np.abs(example.extra["gold_boxes"][phrase.chain] - example.regions.boxes[region])
                assert example.regions.sources[region] == "annotated"
                assert gaps.max(axis=1).min() < 0.01


def test_there_are_five_captions_a_picture(flickr: dict[str, Dataset]) -> None:
    for data in flickr.values():
        assert set(Counter(example.image_id for example in data).values()) == {5}


def test_captions_have_what_the_format_allows(flickr: dict[str, Dataset]) -> None:
    phrases = [phrase for data in flickr.values() for example in data for phrase in example.phrases]
    assert {kind for phrase in phrases for kind in phrase.types} == {*ENTITY_TYPES, "notvisual"}
    assert any(len(phrase.types) > 1 for phrase in phrases)
    assert any(len(phrase.regions) > 1 for phrase in phrases)
    assert all(phrase.regions == () for phrase in phrases if phrase.types == ("notvisual",))
    chains = [Counter(p.chain for p in e.phrases if p.chain != "0") for e in flickr["train"]]
    assert any(max(counter.values(), default=0) > 1 for counter in chains)


def test_both_formats_hold_the_same_pictures_in_the_same_splits(
    store: RegionStore, flickr: dict[str, Dataset], genome: dict[str, Dataset]
) -> None:
    splits = [images_of(flickr[split]) for split in SPLITS]
    for split, images in zip(SPLITS, splits, strict=True):
        assert images_of(genome[split]) <= images
    assert len(set().union(*splits)) == sum(map(len, splits))
    assert set().union(*splits) <= set(store.image_ids)


def test_relations_are_between_linked_regions(genome: dict[str, Dataset]) -> None:
    for data in genome.values():
        for example in data:
            assert example.regions is not None
            assert example.extra["relations_unlinked"] == 0, example
            ends = {end for r in example.relations for end in (r.subject, r.object)}
            assert all(example.regions.sources[end] == "annotated" for end in ends)
        assert any(example.relations for example in data)


def test_frequent_class_pairs_allow_at_least_two_predicates(genome: dict[str, Dataset]) -> None:
    predicates: dict[tuple[str, str], Counter[str]] = {}
    pictures = {example.image_id: example for example in genome["train"]}
    for example in pictures.values():
        assert example.regions is not None
        for relation in example.relations:
            pair = (example.regions.names[relation.subject], example.regions.names[relation.object])
            predicates.setdefault(pair, Counter())[relation.predicate] += 1
    frequent = sorted(predicates, key=lambda pair: -predicates[pair].total())[:20]
    assert frequent
    assert not [pair for pair in frequent if len(predicates[pair]) < 2]


def test_shown_pictures_are_there(flickr: dict[str, Dataset]) -> None:
    from PIL import Image

    shown = [example for example in flickr["test"] if example.image is not None]
    assert shown, "no picture of the test split is in data/mini/images"
    for example in shown[:10]:
        assert example.image is not None
        with Image.open(example.image) as picture:
            assert picture.size == example.size == (320, 240)


@pytest.mark.parametrize("task", TASKS)
def test_probing_tasks(task: str) -> None:
    splits = {s: load_dataset(f"mini-senteval/{task}", s, root=MINI, strict=True) for s in SPLITS}
    assert not any(data.problems for data in splits.values())
    labels = splits["train"].labels
    assert len(labels) > 1
    for split, data in splits.items():
        assert {example.label for example in data} == set(labels), split
    sentences = [example.caption for data in splits.values() for example in data]
    shared = {e.caption for e in splits["train"]} & {e.caption for e in splits["test"]}
    assert sentences and not shared


def test_the_data_stay_small() -> None:
    size = sum(path.stat().st_size for path in MINI.rglob("*") if path.is_file())
    assert size < LARGEST_DATA
