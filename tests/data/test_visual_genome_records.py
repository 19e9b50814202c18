from __future__ import annotations

from typing import Any

import pytest

from value_nb.data.problems import Spot
from value_nb.data.visual_genome_aliases import clean_name, clean_predicate
from value_nb.data.visual_genome_records import (
    Scene,
    read_box,
    read_descriptions,
    read_names,
    read_objects,
    split_words,
    whole,
)

from .conftest import vg_object, vg_region, vg_relation

SIZE = (100, 50)


def scene_of(objects: list[Any], relations: Any, spot: Spot) -> Scene:
    scene = Scene(SIZE, read_objects(objects, SIZE, spot.inside("objects")))
    scene.add_relations(relations, spot.inside("relations"))
    return scene


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A man's T-shirt, red.", ("a", "man's", "t-shirt", ",", "red", ".")),
        ("  two  dogs\n", ("two", "dogs")),
        ("the boy’s 3rd cup!", ("the", "boy’s", "3rd", "cup", "!")),
        ("- dog -", ("-", "dog", "-")),
        ("Élan", ("élan",)),
        (" \t", ()),
    ],
)
def test_split_words(text: str, words: tuple[str, ...]) -> None:
    assert split_words(text) == words


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (" ON ", "on"),
        ("on a.", "on a"),
        ("in-front  of", "infront of"),
        ("...", ""),
        ("", ""),
        ("has?!", "has"),
    ],
)
def test_clean_predicate(text: str, clean: str) -> None:
    assert clean_predicate(text) == clean


def test_names_and_ids() -> None:
    assert clean_name(" T-Shirt  Man ") == "t-shirt man"
    assert read_names({"names": ["Man", "man ", "", 3, "Boy"], "name": "Guy"}) == ("man", "boy", "guy")
    assert read_names({"name": ["dog"]}) == ("dog",)
    assert read_names({}) == ()
    assert [whole(v) for v in (3, "3", 3.0, True, None, "x", 3.5, float("nan"), [3])] == [
        3,
        3,
        3,
        *[None] * 6,
    ]


@pytest.mark.parametrize(
    ("record", "box"),
    [
        ({"x": 0, "y": 0, "w": 50, "h": 25}, (0, 0, 0.5, 0.5)),
        ({"x": 0, "y": 0, "width": 50, "height": 25}, (0, 0, 0.5, 0.5)),
        ({"x": -10, "y": -5, "w": 20, "h": 10}, (0, 0, 0.1, 0.1)),
        ({"x": -904, "y": 0, "w": 9000, "h": 9000}, (0, 0, 1, 1)),
        ({"x": 99, "y": 49, "w": 1, "h": 1}, (0.99, 0.98, 1, 1)),
    ],
)
def test_boxes_that_are_kept(record: dict[str, Any], box: tuple[float, ...], spot: Spot) -> None:
    assert read_box(record, SIZE, spot) == pytest.approx(box)
    assert len(spot.report) == 0


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        ({"x": 100, "y": 0, "w": 10, "h": 10}, "empty box"),
        ({"x": 5, "y": 0, "w": 0, "h": 10}, "empty box"),
        ({"x": 5, "y": 0, "w": -3, "h": 10}, "empty box"),
        ({"x": 5, "y": 0, "w": 10}, "box without numbers"),
        ({"x": "5", "y": 0, "w": 10, "h": 10}, "box without numbers"),
        ({"x": float("nan"), "y": 0, "w": 10, "h": 10}, "box without numbers"),
        ({"x": True, "y": 0, "w": 10, "h": 10}, "box without numbers"),
    ],
)
def test_boxes_that_are_dropped(record: dict[str, Any], kind: str, spot: Spot) -> None:
    assert read_box(record, SIZE, spot) is None
    assert spot.report.skipped == {kind: 1}


def test_objects(spot: Spot) -> None:
    objects = read_objects(
        [
            vg_object(1, 0, 0, 10, 10, "Man", "guy", merged_object_ids=[7, "8", None]),
            vg_object(2, 0, 0, 10, 10),
            vg_object(1, 5, 5, 10, 10, "dog"),
            {"object_id": None, "x": 0, "y": 0, "w": 1, "h": 1},
            vg_object(3, 200, 0, 10, 10, "sky"),
            "dog",
        ],
        SIZE,
        spot,
    )
    assert [(o.id, o.names, o.merged) for o in objects] == [(1, ("man", "guy"), (7, 8)), (2, (), ())]
    assert spot.report.skipped == {
        "repeated object id": 1,
        "object without id": 1,
        "empty box": 1,
        "no record": 1,
    }
    assert spot.report.changed == {"object without name": 1}
    assert read_objects(None, SIZE, spot) == []
    assert "NoneType came; expected a list of records" in repr(spot.report)


OBJECTS = [vg_object(1, 0, 0, 10, 10, "man", merged_object_ids=[5]), vg_object(2, 20, 0, 10, 10, "horse")]


def test_relations_are_cleaned_and_kept_once(spot: Spot) -> None:
    relations = [
        vg_relation(1, "Riding", 2),
        vg_relation(1, "riding.", 2),
        vg_relation(1, "on", 2),
        vg_relation(2, "under", 1),
    ]
    scene = scene_of(OBJECTS, relations, spot)
    assert list(scene.relations) == [(0, "riding", 1), (0, "on", 1), (1, "under", 0)]
    assert spot.report.changed == {"repeated relation": 1}
    assert len(spot.report) == 0


def test_useless_relations_are_skipped(spot: Spot) -> None:
    relations = [
        vg_relation(1, " . ", 2),
        vg_relation(1, None, 2),
        vg_relation(1, "on", 1),
        vg_relation(1, "on", 99),
        vg_relation("man", "on", 2),
        {"predicate": "on"},
        vg_relation(1, "on", vg_object(9, 500, 0, 5, 5, "sky")),
    ]
    scene = scene_of(OBJECTS, relations, spot)
    assert not scene.relations
    assert len(scene.objects) == 2
    assert spot.report.skipped == {
        "empty predicate": 2,
        "self relation": 1,
        "unknown object": 1,
        "relation without an end": 3,
        "empty box": 1,
    }
    texts = [str(p) for p in spot.report]
    assert any(
        "record 3, object: the object id 99 is not among the picture's objects and has no box" in t
        for t in texts
    )


def test_merged_ids_and_boxes_of_the_relation_find_objects(spot: Spot) -> None:
    horse = {"object_id": 77, "name": "horse", "merged_object_ids": [2]}
    sky = {**vg_object(9, 0, 0, 100, 10), "name": "Sky"}
    relations = [vg_relation(5, "on", horse), vg_relation(1, "under", sky), vg_relation(9, "above", 2)]
    scene = scene_of(OBJECTS, relations, spot)
    assert list(scene.relations) == [(0, "on", 1), (0, "under", 2), (2, "above", 1)]
    assert (scene.objects[2].names, scene.objects[2].box) == (("sky",), (0, 0, 1, 0.2))
    assert spot.report.changed == {"object known from a relation only": 1}


def test_descriptions(spot: Spot) -> None:
    regions = [
        vg_region(1, " A man. "),
        vg_region(2, ""),
        vg_region(3, None),
        vg_region(1, "again"),
        vg_region(4, "a dog", x=500),
        vg_region("x", "a cat"),  # type: ignore[arg-type]
    ]
    found = read_descriptions(regions, SIZE, spot)
    assert [(d.id, d.text, d.box) for d in found] == [(1, "A man.", (0, 0, 0.1, 0.2)), (4, "a dog", None)]
    assert spot.report.skipped == {"empty description": 3, "repeated region id": 1, "empty box": 1}
    assert "record 1: region 2 with the phrase '' came; expected a region_id and a sentence." in repr(
        spot.report
    )


def test_release_1_writes_ids_under_id_and_names_under_name_or_object_names(spot: Spot) -> None:
    man = {"id": 1, "x": 0, "y": 0, "w": 10, "h": 10, "names": ["Man"]}
    horse = {"id": 2, "x": 20, "y": 0, "w": 10, "h": 10, "object_names": ["horse"]}
    relation = {"id": 9, "predicate": "ON", "subject": {**man, "name": "man"}, "object": horse}
    scene = scene_of([man, horse], [relation], spot)
    assert [(o.id, o.names) for o in scene.objects] == [(1, ("man",)), (2, ("horse",))]
    assert list(scene.relations) == [(0, "on", 1)]
    region = {"id": 5, "image": 1, "phrase": "a man", "x": 0, "y": 0, "width": 10, "height": 10}
    assert read_descriptions([region], SIZE, spot)[0].id == 5
    assert not spot.report


def test_texts_that_no_tokenizer_can_read_are_left_out(spot: Spot) -> None:
    """JSON can write half of a pair of surrogates; a whole pair is an emoji."""
    half, dog = "\ud83d", "\U0001f415"
    assert read_names({"names": [f"a {half}", f"a {dog}"]}) == (f"a {dog}",)
    found = read_descriptions([vg_region(1, f"a {half}"), vg_region(2, f"a {dog}")], SIZE, spot)
    assert [d.text for d in found] == [f"a {dog}"]
    scene = scene_of(OBJECTS, [vg_relation(1, f"on {half}", 2), vg_relation(1, f"on {dog}", 2)], spot)
    assert list(scene.relations) == [(0, f"on {dog}", 1)]
    assert spot.report.skipped == {"empty description": 1, "empty predicate": 1}
    repr(spot.report).encode()


def test_numbers_that_are_no_ids_and_no_pixels(spot: Spot) -> None:
    for value in (10**400, -(10**400), 1e300, float("inf"), "9" * 5000):
        assert whole(value) is None
        assert read_box({"x": value, "y": 0, "w": 1, "h": 1}, SIZE, spot) is None
    assert spot.report.skipped == {"box without numbers": 5}
    assert len(repr(spot.report)) < 2000, "a message can be read"
