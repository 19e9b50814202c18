from __future__ import annotations

import pytest

from data.build import relations
from data.build.scenes import LEAST_RELATIONS, MOST_THINGS, Thing, sample_scene
from data.build.world import CLASSES, HEIGHT, WIDTH

SCENES = [sample_scene(f"t-{i}", 3) for i in range(60)]


def thing(
    cls: str, box: tuple[float, float, float, float], z: int = 0, *, id_: int = 0, grounded: bool = True
) -> Thing:
    return Thing(id_, cls, "", False, None, None, box, z, grounded)


MAN = thing("man", (100, 100, 162, 200))


def test_the_same_id_and_seed_give_the_same_scene():
    assert sample_scene("x", 1) == sample_scene("x", 1)
    assert sample_scene("x", 1) != sample_scene("x", 2)
    assert sample_scene("x", 1) != sample_scene("y", 1)


@pytest.mark.parametrize("scene", SCENES, ids=lambda s: s.id)
def test_every_scene_keeps_the_rules(scene):
    whole = [t for t in scene.things if t.parent is None]
    assert 4 <= len(whole) <= MOST_THINGS
    assert len(scene.relations()) >= LEAST_RELATIONS
    assert [t.id for t in scene.things] == list(range(len(scene.things)))
    for t in scene.things:
        x1, y1, x2, y2 = t.annotated_box
        assert 0 <= x1 < x2 <= WIDTH
        assert 0 <= y1 < y2 <= HEIGHT
        assert t.parent is None or relations.is_person(scene.things[t.parent])
        assert (t.colour is not None) == CLASSES[t.cls].colourable


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (thing("cap", (120, 98, 142, 118), 1, grounded=False), "wearing"),
        (thing("apple", (121, 120, 141, 140), 1, grounded=False), "eating"),
        (thing("guitar", (111, 134, 151, 174), 1, grounded=False), "playing"),
        (thing("rabbit", (116, 139, 146, 169), 1, grounded=False), "carrying"),
        (thing("book", (151, 148, 171, 172), 1, grounded=False), "holding"),
        (thing("shirt", (146, 148, 176, 172), 1, grounded=False), "folding"),
        (thing("violin", (146, 148, 176, 172), 1, grounded=False), "fixing"),
        (thing("box", (116, 70, 146, 104), 1, grounded=False), "balancing"),
        (thing("woman", (168, 102, 230, 204), 1), "talking to"),
        (thing("woman", (180, 102, 240, 204), 1), "waving to"),
        (thing("horse", (166, 140, 240, 204), 1), "feeding"),
        (thing("horse", (180, 140, 240, 204), 1), "calling"),
        (thing("car", (166, 140, 240, 204), 1), "washing"),
        (thing("car", (184, 140, 250, 204), 1), "waiting for"),
        (thing("tree", (90, 40, 180, 180), -1), "under"),
        (thing("castle", (90, 40, 180, 170), -1), "in front of"),
        (thing("tree", (230, 40, 300, 180), -1), None),
    ],
    ids=lambda value: getattr(value, "cls", value),
)
def test_what_a_man_does_with_a_thing_depends_on_its_class_and_place(other, expected):
    assert relations.predicate(MAN, other) == expected


@pytest.mark.parametrize(
    ("base", "bottom", "expected"),
    [
        ("horse", 160, "riding"),
        ("car", 160, "driving"),
        ("bicycle", 160, "riding"),
        ("sofa", 160, "sitting on"),
        ("horse", 128, "standing on"),
        ("bicycle", 128, None),
    ],
)
def test_how_deep_the_feet_are_decides_between_riding_and_standing(base, bottom, expected):
    below = thing(base, (90, 120, 172, 190))
    rider = thing("man", (100, bottom - 100, 162, bottom), 1, grounded=False)
    assert relations.predicate(rider, below) == expected


def test_drawing_order_decides_who_is_behind():
    front, back = thing("dog", (120, 150, 160, 200), 2), thing("cow", (100, 130, 170, 190), 1)
    assert relations.predicate(back, front) == "behind"
    assert relations.predicate(front, back) is None
