from __future__ import annotations

import json
import pickle
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from value_nb.data.example import Relation
from value_nb.data.problems import DataFormatError
from value_nb.data.regions import write_region_store
from value_nb.data.visual_genome import hash_split, load_visual_genome
from value_nb.data.visual_genome_files import FILES

from .conftest import stored_image, vg_object, vg_region, vg_relation

MakeRoot = Callable[..., Path]
MAN, HORSE, SKY = (
    vg_object(1, 0, 0, 50, 25, "man", "Rider"),
    vg_object(2, 50, 25, 50, 25, "horse"),
    vg_object(3, 0, 0, 100, 5, "sky"),
)
PICTURES: dict[int, Any] = {
    10: (
        [MAN, HORSE, SKY],
        [vg_relation(1, "Riding", 2), vg_relation(3, "above", 2)],
        [vg_region(100, "A man rides."), vg_region(101, "the horse", 50, 25, 50, 25)],
    ),
    2: ([HORSE], [], [vg_region(200, "a horse")]),
    3: ([], [], []),
}


@pytest.fixture
def root(vg_root: MakeRoot) -> Path:
    return vg_root(PICTURES)


def rewrite(root: Path, name: str, change: Callable[[Any], Any]) -> None:
    path = root / f"{name}.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def test_an_example_per_description_with_all_relations_of_the_picture(root: Path) -> None:
    data = load_visual_genome(root)
    assert [example.id for example in data] == ["10#100", "10#101", "2#200"]
    first, second, third = data
    assert (first.caption, first.words) == ("A man rides.", ("a", "man", "rides", "."))
    assert first.relations == second.relations == (Relation(0, "riding", 1), Relation(2, "above", 1))
    assert third.relations == ()
    assert second.extra["region_box"] == (0.5, 0.5, 1, 1)
    assert (first.image_id, first.size, first.split, first.dataset) == (
        "10",
        (100, 50),
        "test",
        "visual-genome",
    )
    assert first.extra["objects"][0] == (1, ("man", "rider"), 0)
    assert not data.problems


def test_without_a_store_the_objects_are_the_regions(root: Path) -> None:
    first = load_visual_genome(root)[0]
    assert first.regions is not None
    assert first.regions.features is None
    assert first.regions.names == ("man", "horse", "sky")
    assert first.regions.sources == ("annotated",) * 3
    np.testing.assert_allclose(first.regions.boxes[1], [0.5, 0.5, 1, 1])


def test_with_a_store_objects_are_linked_and_name_their_regions(root: Path, tmp_path: Path) -> None:
    boxes = [[0.5, 0.5, 1, 1], [0.4, 0.4, 0.5, 0.5], [0, 0, 0.5, 0.45]]
    images = [stored_image("10", boxes, 1), stored_image("2", boxes, 2)]
    store = write_region_store(tmp_path / "features.h5", images, ["cup", "cat"], "test")
    data = pickle.loads(pickle.dumps(load_visual_genome(root, regions=store)))
    first = data[0]
    assert first.relations == (Relation(2, "riding", 0),)
    assert first.extra["relations_unlinked"] == 1
    assert first.extra["boxes_linked"] == (2, 3)
    assert [row for _, _, row in first.extra["objects"]] == [2, 0, -1]
    assert first.regions.names == ("horse", "cup", "man")
    assert first.regions.sources == ("annotated", "detected", "annotated")
    np.testing.assert_allclose(first.regions.features, images[0].features, atol=2e-3)
    assert data.without_features()[0].regions.features is None
    assert "the region features" in repr(data.problems) and "picture 3" in repr(data.problems)
    counts = data.describe()["count"]
    assert counts["images"] == 2
    assert counts["captions"] == 3
    assert counts["relations"] == 1
    assert counts["relations without a region"] == 1
    assert counts["annotated boxes"] == 4
    assert counts["annotated boxes linked to a region"] == 3
    assert "phrases" not in counts


def test_two_objects_on_one_region_are_no_pair(vg_root: MakeRoot, tmp_path: Path) -> None:
    twin = vg_object(4, 0, 0, 50, 24, "person")
    root = vg_root(
        {10: ([MAN, twin, HORSE], [vg_relation(1, "near", 4), vg_relation(4, "on", 2)], [vg_region(1, "a")])}
    )
    image = stored_image("10", [[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]])
    store = write_region_store(tmp_path / "features.h5", [image], ["a", "b"], "")
    example = load_visual_genome(root, regions=store)[0]
    assert example.relations == (Relation(0, "on", 1),)
    assert example.extra["relations_unlinked"] == 1
    assert example.regions is not None and example.regions.names == ("man", "horse")


@pytest.mark.parametrize("ending", [".json.zip", "_v1_2.json", "_v1_2.json.zip"])
def test_files_are_read_as_downloaded(root: Path, ending: str) -> None:
    plain = list(load_visual_genome(root))
    for name in FILES:
        text = (root / f"{name}.json").read_text()
        (root / f"{name}.json").unlink()
        path = root / f"{name}{ending}"
        if ending.endswith(".zip"):
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(path.name.removesuffix(".zip"), text)
        else:
            path.write_text(text)
    assert list(load_visual_genome(root)) == plain


def test_the_order_of_the_files_does_not_matter(root: Path) -> None:
    plain = list(load_visual_genome(root))
    rewrite(root, "objects", lambda records: records[::-1])
    rewrite(root, "relationships", lambda records: [*records[::-1], {"image_id": 999, "relationships": []}])
    assert list(load_visual_genome(root)) == plain


def test_the_layout_of_release_1_2(root: Path) -> None:
    plain = list(load_visual_genome(root))

    def older(records: Any) -> Any:
        for record in records:
            for relation in record["relationships"]:
                for end in ("subject", "object"):
                    item = next(o for o in (MAN, HORSE, SKY) if o["object_id"] == relation[end]["object_id"])
                    relation[end] = {**item, "name": item["names"][0]}
                    del relation[end]["names"]
        return records

    rewrite(root, "relationships", older)
    assert list(load_visual_genome(root)) == plain


def test_limit_counts_descriptions_and_reads_no_further(root: Path) -> None:
    assert [len(load_visual_genome(root, limit=n)) for n in (1, 2, 3, 9)] == [1, 2, 3, 3]
    rewrite(root, "objects", lambda records: [*records[:1], {"image_id": "x"}, *records[1:]])
    assert not load_visual_genome(root, limit=1).problems
    assert load_visual_genome(root).problems.skipped == {"record without picture": 1}


def test_a_picture_twice_in_a_file_is_said(root: Path) -> None:
    rewrite(root, "objects", lambda records: [records[0], {"image_id": 10, "objects": []}, *records[1:]])
    data = load_visual_genome(root)
    assert data.problems.skipped == {"repeated picture": 1}
    assert data[0].regions is not None and len(data[0].regions) == 3


def test_strict_names_file_and_picture(vg_root: MakeRoot) -> None:
    root = vg_root({10: ([MAN, HORSE], [vg_relation(1, "", 2)], [vg_region(1, "a")])})
    data = load_visual_genome(root)
    assert data.problems.skipped == {"empty predicate": 1}
    with pytest.raises(
        DataFormatError, match=r"relationships\.json, picture 10, record 0: the predicate '' is empty"
    ):
        load_visual_genome(root, strict=True)


def test_pictures_without_size_or_record(root: Path) -> None:
    rewrite(root, "image_data", lambda records: [{**records[0], "width": 0}, records[1]])
    data = load_visual_genome(root)
    assert [example.id for example in data] == ["2#200"]
    assert data.problems.skipped == {"bad picture record": 1, "picture without size": 2}
    assert "in the split file but not in image_data" in repr(data.problems)


def test_pictures_are_found_in_both_folders(root: Path) -> None:
    for folder, name in (("VG_100K", "10.jpg"), ("VG_100K_2", "2.jpg")):
        (root / folder).mkdir()
        (root / folder / name).write_bytes(b"")
    assert [e.image and e.image.parent.name for e in load_visual_genome(root)] == [
        "VG_100K",
        "VG_100K",
        "VG_100K_2",
    ]


def test_missing_files_are_named(root: Path) -> None:
    (root / "relationships.json").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"no relationships\.json; expected image_data.*homes\.cs\.washington"
    ):
        load_visual_genome(root)


def test_the_split_by_hash_is_fixed_and_near_its_shares(vg_root: MakeRoot) -> None:
    assert [hash_split(str(i)) for i in (1, 5, 8, 19)] == ["train", "val", "test", "test"]
    shares = Counter(hash_split(str(i)) for i in range(10_000))
    assert shares["train"] / 10_000 == pytest.approx(0.8, abs=0.02)
    assert shares["val"] / 10_000 == pytest.approx(0.1, abs=0.02)
    pictures = {i: ([HORSE], [], [vg_region(i, "a")]) for i in (1, 5, 8, 19)}
    root = vg_root(pictures, split=None)
    found = {s: [e.image_id for e in load_visual_genome(root, s)] for s in ("train", "val", "test")}
    assert found == {"train": ["1"], "val": ["5"], "test": ["8", "19"]}


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        '{"train": [1]}',
        '{"train": [1], "val": [1], "test": []}',
        '{"train": ["x"], "val": [], "test": []}',
    ],
)
def test_a_bad_split_file_is_said(root: Path, text: str) -> None:
    (root / "splits.json").write_text(text)
    with pytest.raises(
        DataFormatError, match=r'splits\.json: .*expected \{"train": \[ids\].*Correct or delete'
    ):
        load_visual_genome(root)


def test_aliases_of_the_root_are_used_unless_refused(root: Path, tmp_path: Path) -> None:
    (root / "object_alias.txt").write_text("person, man\nrider,Cowboy\n")
    (root / "relationship_alias.txt").write_text("on top of,riding\n")
    first = load_visual_genome(root)[0]
    assert first.regions is not None and first.regions.names == ("person", "horse", "sky")
    assert first.extra["objects"][0] == (1, ("person", "rider"), 0)
    assert first.relations == (Relation(0, "on top of", 1), Relation(2, "above", 1))
    plain = load_visual_genome(root, aliases=False)[0]
    assert plain.regions is not None and plain.regions.names == ("man", "horse", "sky")
    assert plain.relations[0].predicate == "riding"
    elsewhere = tmp_path / "aliases"
    elsewhere.mkdir()
    for name in ("object_alias.txt", "relationship_alias.txt"):
        (root / name).rename(elsewhere / name)
    assert load_visual_genome(root)[0].relations == plain.relations
    assert load_visual_genome(root, aliases=elsewhere)[0].relations == first.relations
    with pytest.raises(FileNotFoundError, match=r"no object_alias\.txt"):
        load_visual_genome(root, aliases=True)


def test_relations_that_an_alias_makes_equal_are_kept_once(vg_root: MakeRoot) -> None:
    relations = [vg_relation(1, "near", 2), vg_relation(1, "Next to.", 2)]
    root = vg_root({10: ([MAN, HORSE], relations, [vg_region(1, "a")])})
    assert len(load_visual_genome(root)[0].relations) == 2
    (root / "relationship_alias.txt").write_text("near,next to\n")
    data = load_visual_genome(root)
    assert data[0].relations == (Relation(0, "near", 1),)
    assert data.problems.changed == {"repeated relation": 1}


def test_pictures_of_which_nothing_is_known_of_coco(root: Path) -> None:
    rewrite(root, "image_data", lambda records: [{**records[0], "coco_id": None}, *records[1:]])
    assert [e.extra["coco_id"] for e in load_visual_genome(root)] == [None] * 3
    data = load_visual_genome(root, exclude_coco=True)
    assert [e.image_id for e in data] == ["10", "10"]
    assert data.problems.skipped == {"picture without coco_id": 2}
    rewrite(root, "image_data", lambda records: [{**r, "coco_id": 5} for r in records])
    assert len(load_visual_genome(root, exclude_coco=True)) == 0
    assert load_visual_genome(root)[0].extra["coco_id"] == 5
    with pytest.raises(ValueError, match=r"exclude_coco='yes' came; expected True or False"):
        load_visual_genome(root, exclude_coco="yes")  # type: ignore[arg-type]


def test_a_split_file_of_ones_own_comes_first(root: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.json"
    mine.write_text('{"train": [], "val": [10], "test": ["2", 3]}')
    assert [e.image_id for e in load_visual_genome(root, split_file=mine)] == ["2"]
    assert [e.image_id for e in load_visual_genome(root, "val", split_file=str(mine))] == ["10", "10"]
    with pytest.raises(FileNotFoundError, match=r"none\.json does not exist; expected a file of splits"):
        load_visual_genome(root, split_file=tmp_path / "none.json")
    mine.write_text('{"train": []}')
    with pytest.raises(DataFormatError, match=r"mine\.json: it cannot be used"):
        load_visual_genome(root, split_file=mine)


def test_the_threshold_decides_what_is_linked(root: Path, tmp_path: Path) -> None:
    boxes = [[0.5, 0.5, 1, 1], [0, 0, 0.5, 0.4]]  # the horse exactly; of the man four fifths
    store = write_region_store(tmp_path / "f.h5", [stored_image("10", boxes)], ["cup", "cat"], "")
    for threshold, rows in ((0.8, [1, 0, -1]), (0.81, [-1, 0, -1])):
        data = load_visual_genome(root, regions=store, threshold=threshold)
        assert [row for _, _, row in data[0].extra["objects"]] == rows
        assert data.threshold == data[1:].threshold == threshold
    assert load_visual_genome(root).threshold is None
