from __future__ import annotations

import numpy as np
import pytest

from data.build.boxes import pixel_box, union_box
from data.build.visual_genome_files import descriptions
from data.build.world import HEIGHT, WIDTH
from tests.build.conftest import SEED, Miniature
from value_nb.data.dataset import SPLITS
from value_nb.data.example import Example
from value_nb.data.flickr30k_entities import load_flickr30k_entities
from value_nb.data.visual_genome import load_visual_genome

SIZE = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT])


@pytest.fixture(scope="module")
def examples(miniature: Miniature) -> list[Example]:
    loaded = [load_visual_genome(miniature.root / "visual_genome", split, strict=True) for split in SPLITS]
    assert not any(data.problems for data in loaded)
    return [example for data in loaded for example in data]


def test_every_split_has_its_pictures(miniature: Miniature, examples: list[Example]) -> None:
    assert {e.image_id: e.split for e in examples} == miniature.split_of


def test_objects_come_back(miniature: Miniature, examples: list[Example]) -> None:
    for example in examples:
        assert example.regions is not None
        scene = miniature.scenes[example.image_id]
        assert example.regions.names == tuple(t.cls for t in scene.things)
        gold = np.array([t.annotated_box for t in scene.things]) / SIZE
        assert np.abs(gold - example.regions.boxes).max() * WIDTH <= 1.01


def test_relations_come_back(miniature: Miniature, examples: list[Example]) -> None:
    for example in examples:
        written = set(miniature.scenes[example.image_id].relations())
        assert {(r.subject, r.predicate, r.object) for r in example.relations} == written
        assert written
        assert example.extra["relations_unlinked"] == 0


def test_descriptions_come_back_with_their_boxes(miniature: Miniature, examples: list[Example]) -> None:
    for image_id, scene in miniature.scenes.items():
        written = descriptions(scene, SEED)
        read = [e for e in examples if e.image_id == image_id]
        assert [e.caption for e in read] == [phrase for phrase, _ in written]
        for example, (_, (x, y, w, h)) in zip(read, written, strict=True):
            assert np.allclose(np.array(example.extra["region_box"]) * SIZE, [x, y, x + w, y + h])


def test_descriptions_are_several_and_different(miniature: Miniature) -> None:
    for scene in miniature.scenes.values():
        phrases = [phrase for phrase, _ in descriptions(scene, SEED)]
        assert len(phrases) == len(set(phrases)) >= 4
    assert any(len(phrase.split()) > 3 for phrase in phrases)


def test_both_formats_have_the_same_boxes(miniature: Miniature, examples: list[Example]) -> None:
    boxes = {e.image_id: set(map(tuple, e.regions.boxes.tolist())) for e in examples if e.regions is not None}
    for example in load_flickr30k_entities(miniature.root / "flickr30k_entities", "test"):
        assert example.regions is not None
        assert set(map(tuple, example.regions.boxes.tolist())) <= boxes[example.image_id]


def test_ids_are_never_used_twice(examples: list[Example]) -> None:
    assert len({e.id.split("#")[1] for e in examples}) == len(examples)
    objects = {(e.image_id, o[0]) for e in examples for o in e.extra["objects"]}
    assert len({key for _, key in objects}) == len(objects)


def test_a_union_holds_its_boxes(miniature: Miniature) -> None:
    boxes = [pixel_box(t) for s in miniature.scenes.values() for t in s.things]
    x, y, w, h = union_box(boxes)
    assert x == min(b[0] for b in boxes) and y + h == max(b[1] + b[3] for b in boxes)
    assert x + w <= WIDTH and y >= 0 and min(min(b[2:]) for b in boxes) >= 1
    with pytest.raises(ValueError, match="at least one"):
        union_box([])
