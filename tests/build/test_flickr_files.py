from __future__ import annotations

from itertools import count
from pathlib import Path

import numpy as np
import pytest

from data.build.flickr_files import Chains, entity_types, sentence_line, write_flickr_files
from data.build.scenes import Scene, Thing
from data.build.trees import PLACE, UNSEEN, Leaf, Sentence, node
from data.build.world import HEIGHT, WIDTH
from tests.build.conftest import Miniature
from value_nb.data.dataset import SPLITS
from value_nb.data.example import Example
from value_nb.data.flickr30k_entities import load_flickr30k_entities
from value_nb.data.matching import iou

SIZE = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT])
SMALLEST_OVERLAP = 0.75
"""Of a gold box with the annotated one: boxes are rounded to pixels, and feet are few pixels high."""


def things(cls: str, *boxes: tuple[float, float, float, float]) -> tuple[Thing, ...]:
    return tuple(Thing(i, cls, "x", False, None, None, box, i, True) for i, box in enumerate(boxes))


def scene_of(*kinds: Thing) -> Scene:
    return Scene("5", tuple(kinds), "field", 0, 100.0)


@pytest.fixture(scope="module")
def examples(miniature: Miniature) -> list[Example]:
    folder = miniature.root / "flickr30k_entities"
    loaded = [load_flickr30k_entities(folder, split, strict=True) for split in SPLITS]
    assert not any(data.problems for data in loaded)
    return [example for data in loaded for example in data]


def test_every_split_has_its_pictures(miniature: Miniature, examples: list[Example]) -> None:
    assert {e.image_id: e.split for e in examples} == miniature.split_of


def test_words_come_back(miniature: Miniature, examples: list[Example]) -> None:
    written = [tuple(s.words) for i in sorted(miniature.scenes, key=int) for s in miniature.sentences[i]]
    assert sorted(written) == sorted(e.words for e in examples)
    assert len(examples) == 30


def sentence_of(miniature: Miniature, example: Example) -> Sentence:
    return miniature.sentences[example.image_id][int(example.id.split("#")[1]) - 1]


def test_phrases_come_back_with_spans_and_types(miniature: Miniature, examples: list[Example]) -> None:
    for example in examples:
        sentence, scene = sentence_of(miniature, example), miniature.scenes[example.image_id]
        by_id = {t.id: t for t in scene.things}
        written = {
            (a, b): entity_types(n.ref, by_id) for n, a, b in sentence.tree.nodes() if n.ref is not None
        }
        assert {(p.first, p.last): p.types for p in example.phrases} == written


def test_chains_are_sets_of_things(miniature: Miniature, examples: list[Example]) -> None:
    chain_of: dict[tuple[str, object], str] = {}
    for example in examples:
        references = {
            (a, b): n.ref for n, a, b in sentence_of(miniature, example).tree.nodes() if n.ref is not None
        }
        for phrase in example.phrases:
            reference = references[phrase.first, phrase.last]
            if reference == UNSEEN:
                assert phrase.chain == "0"
            else:
                assert chain_of.setdefault((example.image_id, reference), phrase.chain) == phrase.chain
    assert len(set(chain_of.values())) == len(chain_of), "two references share a chain"


def test_linked_regions_are_the_boxes_of_the_things(miniature: Miniature, examples: list[Example]) -> None:
    seen = 0
    for example in examples:
        scene = {t.id: t for t in miniature.scenes[example.image_id].things}
        references = {
            (a, b): n.ref for n, a, b in sentence_of(miniature, example).tree.nodes() if n.ref is not None
        }
        assert example.regions is not None
        for phrase in example.phrases:
            reference = references[phrase.first, phrase.last]
            if isinstance(reference, str):
                assert phrase.regions == ()
                continue
            gold = np.array([scene[i].annotated_box for i in reference]) / SIZE
            overlap = iou(gold, example.regions.boxes[list(phrase.regions)])
            assert overlap.shape == (len(reference), len(reference))
            assert overlap.max(axis=1).min() > SMALLEST_OVERLAP
            seen += 1
    assert seen > 50


def test_places_are_scenes_without_a_box(miniature: Miniature, examples: list[Example]) -> None:
    places = 0
    for example in examples:
        for phrase in example.phrases:
            if (
                sentence_of(miniature, example).place is not None
                and phrase.types == ("scene",)
                and not phrase.regions
            ):
                assert phrase.chain in example.extra["scene"]
                assert phrase.chain not in example.extra["no_box"]
                places += 1
    assert places


def test_a_thing_of_two_chains_has_one_object_with_two_names() -> None:
    scene = scene_of(*things("dog", (10, 10, 50, 50), (100, 20, 140, 60)))
    both = node("NP", Leaf("two", "CD"), Leaf("dogs", "NNS"), ref=(0, 1))
    one = node("NP", Leaf("a", "DT"), Leaf("dog", "NN"), ref=(1,))
    chains = Chains(count(8))
    lines = [sentence_line(scene, Sentence(tree, (), ()), chains) for tree in (both, one)]
    assert lines == ["[/EN#8/animals Two dogs]", "[/EN#9/animals A dog]"]
    assert chains.of_thing(0) == ["8"]
    assert chains.of_thing(1) == ["8", "9"]


def test_boxes_count_from_one_and_hold_their_last_pixel(tmp_path: Path) -> None:
    scene = scene_of(*things("bus", (0, 0, WIDTH, HEIGHT)))
    tree = node("NP", Leaf("a", "DT"), Leaf("bus", "NN"), ref=(0,))
    write_flickr_files([scene], {"5": [Sentence(tree, (), ())]}, {"5": "val"}, tmp_path)
    text = (tmp_path / "Annotations" / "5.xml").read_text("utf-8")
    assert "<xmin>1</xmin><ymin>1</ymin><xmax>320</xmax><ymax>240</ymax>" in text
    (example,) = load_flickr30k_entities(tmp_path, "val", strict=True)
    assert example.phrases[0].types == ("vehicles", "scene")
    assert example.regions is not None and example.regions.boxes.tolist() == [[0, 0, 1, 1]]


def test_unseen_phrases_have_no_chain_of_their_own() -> None:
    chains = Chains(count(1))
    assert [chains.of(UNSEEN), chains.of(PLACE), chains.of((2, 1)), chains.of((1, 2))] == ["0", "1", "2", "2"]


def test_same_pictures_same_bytes(miniature: Miniature, tmp_path: Path) -> None:
    miniature.write(tmp_path)
    files = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file())
    assert len(files) == 3 + 6 + 6 + 5
    for file in files:
        assert (tmp_path / file).read_bytes() == (miniature.root / file).read_bytes(), file


@pytest.mark.parametrize("split_of", [{"5": "val", "6": "test"}, {}])
def test_pictures_and_splits_must_agree(tmp_path: Path, split_of: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="expected every picture once"):
        write_flickr_files([scene_of()], {"5": []}, split_of, tmp_path)


def test_a_picture_without_captions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no caption"):
        write_flickr_files([scene_of()], {}, {"5": "test"}, tmp_path)
