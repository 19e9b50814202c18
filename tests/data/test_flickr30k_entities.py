from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from value_nb.data.flickr30k_entities import load_flickr30k_entities
from value_nb.data.problems import DataFormatError
from value_nb.data.regions import RegionStore, write_region_store

from .conftest import stored_image, xml_file, xml_object

MakeRoot = Callable[..., Path]
SENTENCES = (
    "[/EN#5/people Two men] and [/EN#6/animals/other a dog] in [/EN#7/scene a park] .\n\n"
    "[/EN#5/people They] look at [/EN#0/notvisual it] , [/EN#9/other a thing] .\n"
)
NOTES = xml_file(
    xml_object("5", box=(1, 1, 20, 50)),
    xml_object("5", "8", box=(41, 1, 60, 50)),
    xml_object("6", box=(61, 26, 100, 50)),
    xml_object("0", box=(1, 1, 5, 5)),
    xml_object("7", extra="<scene>1</scene><nobndbox>0</nobndbox>"),
)


@pytest.fixture
def root(flickr_root: MakeRoot) -> Path:
    return flickr_root({"17": SENTENCES, "4": "[/EN#6/animals A dog] .\r\n"}, {"17": NOTES, "4": xml_file()})


@pytest.fixture
def store(tmp_path: Path) -> Path:
    dog, left, sky, right = [0.6, 0.5, 1, 1], [0, 0, 0.2, 0.9], [0, 0, 1, 0.1], [0.4, 0, 0.6, 1]
    images = [stored_image("17", [dog, left, sky, right], 1), stored_image("4", [sky], 2)]
    return write_region_store(tmp_path / "features.h5", images, ["dog", "man"], "test")


def test_an_example_per_caption_with_linked_phrases(root: Path) -> None:
    data = load_flickr30k_entities(root)
    assert [example.id for example in data] == ["17#1", "17#2", "4#1"]
    first, second, third = data
    assert first.caption == "Two men and a dog in a park ."
    assert [(p.chain, p.types, p.regions) for p in first.phrases] == [
        ("5", ("people",), (0, 1)),
        ("6", ("animals", "other"), (2,)),
        ("7", ("scene",), ()),
    ]
    assert [(p.chain, p.regions) for p in second.phrases] == [("5", (0, 1)), ("0", ()), ("9", ())]
    assert third.phrases[0].regions == ()
    assert (first.image_id, first.size, first.image) == ("17", (100, 50), None)
    assert (first.dataset, first.split, first.label) == ("flickr30k-entities", "test", None)
    assert len(data.problems) == 0


def test_without_a_store_the_annotated_boxes_are_the_regions(root: Path) -> None:
    first, _, third = load_flickr30k_entities(root)
    assert first.regions is not None and third.regions is not None
    assert first.regions.features is None
    assert set(first.regions.sources) == {"annotated"}
    np.testing.assert_allclose(first.regions.boxes[1], [0.4, 0, 0.6, 1], atol=1e-6)
    assert len(third.regions) == 0
    assert first.extra["boxes_linked"] == (4, 4)
    np.testing.assert_allclose(first.extra["gold_boxes"]["5"], [[0, 0, 0.2, 1], [0.4, 0, 0.6, 1]])
    assert first.extra["gold_boxes"]["7"].shape == (0, 4)
    assert first.extra["scene"] == {"7"}


def test_with_a_store_boxes_are_linked_to_its_rows(root: Path, store: Path) -> None:
    first = load_flickr30k_entities(root, regions=store)[0]
    assert [p.regions for p in first.phrases] == [(1, 3), (0,), ()]
    assert first.regions == RegionStore(store)["17"], "the store says itself which are annotated"
    assert first.extra["boxes_linked"] == (3, 4)


def test_features_are_read_per_example_and_not_for_counting(root: Path, store: Path) -> None:
    data = pickle.loads(pickle.dumps(load_flickr30k_entities(root, regions=store)))
    light = data.without_features()[0]
    assert light.regions.features is None
    assert data[0].regions.features is not None
    assert light.phrases == data[0].phrases
    counts = data.describe()["count"]
    assert counts.to_dict() == {
        "images": 2,
        "captions": 3,
        "phrases": 7,
        "phrases linked": 3,
        "phrases of type animals": 2,
        "phrases of type notvisual": 1,
        "phrases of type other": 2,
        "phrases of type people": 2,
        "phrases of type scene": 1,
        "relations": 0,
        "relations without a region": 0,
        "regions": 5,
        "regions per image, fewest": 1,
        "regions per image, most": 4,
        "annotated boxes": 4,
        "annotated boxes linked to a region": 3,
    }


def test_pictures_are_found_where_they_are(root: Path, tmp_path: Path) -> None:
    (root / "images").mkdir()
    (root / "images" / "17.jpg").write_bytes(b"")
    (tmp_path / "4.png").write_bytes(b"")
    assert [e.image and e.image.name for e in load_flickr30k_entities(root)] == ["17.jpg", "17.jpg", None]
    assert [e.image and e.image.name for e in load_flickr30k_entities(root, images=tmp_path)][2] == "4.png"


def test_unrelated_captions_are_left_out_or_flagged(root: Path) -> None:
    (root / "UNRELATED_CAPTIONS").write_text("# format: <imageID> <sentence number>\n17 2\nx 1\n4 0\n99 1")
    data = load_flickr30k_entities(root)
    assert [example.id for example in data] == ["17#1", "4#1"]
    assert data.problems.skipped == {"bad unrelated caption": 2}
    assert "UNRELATED_CAPTIONS, line 3: 'x 1' came; expected `<image id> <sentence number from 1>`" in repr(
        data.problems
    )
    flagged = load_flickr30k_entities(root, unrelated="flag")
    assert [example.extra["unrelated"] for example in flagged] == [False, True, False]
    with pytest.raises(ValueError, match=r"unrelated='keep' came; expected one of 'exclude', 'flag'"):
        load_flickr30k_entities(root, unrelated="keep")


def test_bad_pictures_are_skipped_and_said(flickr_root: MakeRoot, store: Path) -> None:
    root = flickr_root(
        {"17": SENTENCES, "4": "a\n"}, {"17": NOTES, "4": "<annotation>"}, split="17\n 4 \n\n17\nabc\n8.txt\n"
    )
    data = load_flickr30k_entities(root)
    assert [example.image_id for example in data] == ["17", "17"]
    assert data.problems.skipped == {"unreadable XML": 1, "bad image id": 2}
    assert data.problems.changed == {"repeated image id": 1}
    assert "test.txt, line 5: 'abc' came; expected one bare id in digits." in repr(data.problems)
    with pytest.raises(DataFormatError, match=r"test\.txt, line 5"):
        load_flickr30k_entities(root, strict=True)


def test_bad_sentence_files(flickr_root: MakeRoot) -> None:
    root = flickr_root(
        {"1": "", "2": "[/EN#1/people ]\na dog\n", "3": ""}, {str(i): xml_file() for i in range(1, 5)}
    )
    (root / "Sentences" / "1.txt").write_bytes(b"caf\xe9")
    (root / "test.txt").write_text("1\n2\n3\n4")
    data = load_flickr30k_entities(root)
    assert [example.id for example in data] == ["2#2"]
    assert data.problems.skipped == {
        "not UTF-8": 1,
        "unreadable phrase": 1,
        "caption without words": 1,
        "no sentence file": 1,
    }


def test_a_picture_that_the_store_lacks_is_skipped(root: Path, tmp_path: Path) -> None:
    path = write_region_store(tmp_path / "a.h5", [stored_image("4", [[0, 0, 1, 1]])], ["a", "b"], "")
    data = load_flickr30k_entities(root, regions=path)
    assert [example.image_id for example in data] == ["4"]
    assert f"test.txt, id 17: the region features {path} have no picture 17." in repr(data.problems)


def test_limit_counts_captions(root: Path) -> None:
    assert [len(load_flickr30k_entities(root, limit=n)) for n in (1, 2, 3, 9)] == [1, 2, 3, 3]
    with pytest.raises(ValueError, match="limit=0 came; expected None"):
        load_flickr30k_entities(root, limit=0)


def test_missing_files_are_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"val\.txt does not exist.*Split files in that folder: test\.txt"
    ):
        load_flickr30k_entities(root, "val")
    with pytest.raises(ValueError, match="split='dev' came; expected one of 'train', 'val', 'test'"):
        load_flickr30k_entities(root, "dev")
    with pytest.raises(FileNotFoundError, match=r"no Sentences and no Annotations folder.*BryanPlummer"):
        load_flickr30k_entities(tmp_path / "none")
