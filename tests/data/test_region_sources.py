from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from value_nb.data.problems import DataFormatError
from value_nb.data.region_sources import NamedRegions, image_key, open_regions
from value_nb.data.regions import RegionStore, StoredImage, write_region_store

from .conftest import stored_image
from .real_layouts import detected, write_lxmert_tsv, write_uniter_lmdb


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("flickr30k_001000092795.npz", ("flickr30k", "1000092795")),
        ("flickr30k_000001000092795.npz", ("flickr30k", "1000092795")),
        ("vg_000000002417.npz", ("vg", "2417")),
        ("coco_train2014_000000000042.npz", ("coco", "42")),
        ("COCO_val2014_000000000042", ("coco", "42")),
        ("visual_grounding_coco_gt_000000000042.npz", ("visual_grounding_coco_gt", "42")),
        ("1000092795", ("", "1000092795")),
        ("1000092795.jpg", ("", "1000092795")),
        ("0", ("", "0")),
        ("000", ("", "0")),
        ("n123456", ("", "n123456")),
        ("dev-0-0-img0", ("", "dev-0-0-img0")),
        ("nlvr2_dev-0-0-img0.npz", ("", "nlvr2_dev-0-0-img0")),
        ("", ("", "")),
    ],
)
def test_names_of_pictures(name: str, key: tuple[str, str]) -> None:
    assert image_key(name) == key


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.integers(0, 10**11), st.sampled_from(["flickr30k", "vg", "COCO_val2014", "coco_train2014"]))
def test_a_number_comes_back_whatever_stands_before_it(number: int, prefix: str) -> None:
    assert image_key(f"{prefix}_{number:012d}.npz")[1] == image_key(str(number))[1] == str(number)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.text(max_size=30))
def test_any_name_has_a_key(name: str) -> None:
    collection, image_id = image_key(name)
    assert image_id or not name.strip() or name.startswith(".")
    assert collection == "" or collection in name.lower()


def test_a_region_store_may_have_names_of_either_form(tmp_path: Path) -> None:
    images = [stored_image(n, [[0, 0, 1, 1]], k) for k, n in enumerate(("flickr30k_000000000017.npz", "18"))]
    path = write_region_store(tmp_path / "f.h5", images, ["a", "b"], "")
    source = open_regions(path, ("", "flickr30k"))
    assert source is not None and "17" in source and "18" in source and "19" not in source
    assert source.read("17") == RegionStore(path)["flickr30k_000000000017.npz"]
    assert source.class_names == ("a", "b")
    other = open_regions(path, ("", "vg"))
    assert other is not None and "17" not in other and "18" in other
    with pytest.raises(KeyError, match=r"f\.h5 has no picture '17'; expected one of 1, for instance '18'"):
        other.read("17")


def test_two_names_for_one_picture_are_refused(tmp_path: Path) -> None:
    images = [stored_image(name, [[0, 0, 1, 1]]) for name in ("vg_000000000017.npz", "17")]
    path = write_region_store(tmp_path / "f.h5", images, ["a", "b"], "")
    with pytest.raises(DataFormatError, match=r"picture 17: the names 'vg_000000000017\.npz' and '17' both"):
        "17" in NamedRegions(RegionStore(path), ("", "vg"))  # noqa: B015


def test_other_formats_are_opened_by_their_content(tmp_path: Path) -> None:
    ids = [17, 18]
    paths = [
        write_lxmert_tsv(tmp_path / "a.tsv", ids),
        write_uniter_lmdb(tmp_path / "feat_numbb5", "flickr30k", ids),
    ]
    boxes, vectors = detected(18)
    for path in paths:
        source = pickle.loads(pickle.dumps(open_regions(path, ("", "flickr30k"))))
        found = source.read("18")
        np.testing.assert_allclose(found.boxes, boxes / [200, 100, 200, 100], atol=1e-3)
        np.testing.assert_allclose(found.features, vectors, atol=2e-3)
        assert found.features.dtype == np.float32
        assert source.read("18", features=False).features is None
        assert found.sources == ("detected",) * 5


class Counting:
    """A reader of a picture that counts how often it is read."""

    path, class_names, image_ids = Path("x"), ("a",), ("1", "2")

    def __init__(self, class_id: int = 0) -> None:
        self.class_id, self.reads = class_id, 0

    def read(self, name: str) -> StoredImage:
        self.reads += 1
        box, none = np.array([[0, 0, 1, 1]]), np.zeros(1, bool)
        return StoredImage(name, (1, 1), box, np.ones((1, 3)), np.ones(1), np.array([self.class_id]), none)


def test_a_picture_is_decoded_once_for_boxes_and_features() -> None:
    reader = Counting()
    source = open_regions(reader, ("",))
    assert source is not None and open_regions(source, ("",)) is source
    assert source.read("1", features=False).features is None
    assert source.read("1").names == ("a",)
    assert reader.reads == 1
    source.read("2")
    assert reader.reads == 2


def test_classes_must_have_names() -> None:
    source = open_regions(Counting(class_id=1), ("",))
    assert source is not None
    with pytest.raises(DataFormatError, match="classes of picture 1: a class index outside -1 to 0 came"):
        source.read("1")


@pytest.mark.parametrize("wrong", [3, {"a": 1}, ["f.h5"]])
def test_neither_path_nor_source(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"regions=.* came; expected the path of region features"):
        open_regions(wrong, ("",))


def test_files_of_no_format_are_named(tmp_path: Path) -> None:
    assert open_regions(None, ("",)) is None
    with pytest.raises(FileNotFoundError, match=r"none\.h5 does not exist"):
        open_regions(tmp_path / "none.h5", ("",))
    (tmp_path / "a.h5").write_text("hello")
    with pytest.raises(ValueError, match=r"a\.h5"):
        open_regions(tmp_path / "a.h5", ("",))
    path = write_region_store(tmp_path / "b.h5", [stored_image("1", [[0, 0, 1, 1]])], ["a", "b"], "")
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ValueError, match=r"b\.h5"):
        open_regions(path, ("",))


def test_the_features_of_another_data_set_are_said(tmp_path: Path) -> None:
    path = write_region_store(tmp_path / "f.h5", [stored_image("18", [[0, 0, 1, 1]])], ["a", "b"], "")
    source = open_regions(path, ("", "vg"))
    assert source is not None
    source.check(["17", "18"])
    source.check([])
    with pytest.raises(DataFormatError, match=r"none of the 1 pictures.*ids are '17'.*'18'.*vg_<number>"):
        source.check(["17"])
