from __future__ import annotations

import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from value_nb.data.problems import DataFormatError
from value_nb.data.regions import RegionStore, StoredImage, open_store, write_region_store

from .conftest import stored_image

BOXES = [[0, 0, 0.5, 0.5], [0.25, 0.25, 1, 1]]


@pytest.fixture
def images() -> list[StoredImage]:
    return [
        stored_image("10", BOXES, 1),
        stored_image("2", [], 2),
        stored_image("30", [*BOXES, [0, 0, 1, 1]], 3),
    ]


@pytest.fixture
def path(tmp_path: Path, images: list[StoredImage]) -> Path:
    return write_region_store(tmp_path / "features.h5", images, ["dog", "cat"], "made up")


def test_what_was_written_is_read(path: Path, images: list[StoredImage]) -> None:
    store = RegionStore(path)
    assert store.image_ids == tuple(store) == ("10", "2", "30")
    assert (len(store), store.width, store.feature_source) == (3, 5, "made up")
    assert store.class_names == ("dog", "cat")
    assert "30" in store and "3" not in store and 30 not in store
    for image in images:
        regions = store[image.image_id]
        np.testing.assert_array_equal(regions.boxes, image.boxes)
        assert regions.features is not None and regions.features.dtype == np.float32
        np.testing.assert_allclose(regions.features, image.features, atol=2e-3)
        assert regions.confidence is not None
        np.testing.assert_allclose(regions.confidence, image.confidence, atol=1e-3)
    assert store["30"].names == ("", "dog", "cat")
    assert store["30"].sources == ("annotated", "detected", "annotated")
    assert store.size("30") == (100, 50)
    assert store.read("10", features=False).features is None


def test_it_opens_late_and_survives_pickling(path: Path) -> None:
    store = RegionStore(path)
    assert store._opened is None
    first = store["10"]
    assert store._opened is not None
    again = pickle.loads(pickle.dumps(store))
    assert again._opened is None
    assert again["10"] == first
    store.close()
    assert store["10"] == first


def _names_in_child(store: RegionStore, queue: Any) -> None:
    names = store["30"].names
    queue.put((names, store._opened is not None and store._opened[0]))


def test_a_forked_process_opens_its_own_handle(path: Path) -> None:
    store = RegionStore(path)
    assert store["30"].names
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_names_in_child, args=(store, queue))
    child.start()
    names, opened_by = queue.get(timeout=60)
    assert names == store["30"].names
    assert opened_by == child.pid
    child.join()
    assert child.exitcode == 0


def test_a_missing_picture_lists_some_that_are_there(path: Path) -> None:
    with pytest.raises(KeyError, match=r"no picture '7'; expected one of its 3 image ids.*'10', '2', '30'"):
        RegionStore(path)["7"]


def test_open_store_takes_a_path_a_store_or_none(path: Path, tmp_path: Path) -> None:
    store = open_store(path)
    assert store is not None and open_store(store) is store
    assert open_store(None) is None
    with pytest.raises(FileNotFoundError, match=r"none\.h5 does not exist; expected a region store"):
        open_store(tmp_path / "none.h5")


def test_a_file_that_is_no_hdf5(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_text("hello")
    with pytest.raises(DataFormatError, match=r"a\.h5: it cannot be opened as HDF5"):
        RegionStore(tmp_path / "a.h5").image_ids  # noqa: B018


def broken(path: Path, name: str, value: Any) -> RegionStore:
    with h5py.File(path, "r+") as file:
        if name in ("format", "version"):
            file.attrs[name] = value
        else:
            del file[name]
            if value is not None:
                file[name] = value
    return RegionStore(path)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("format", "other", r"attribute 'format': 'other' came; expected 'value_nb-regions'.*give the path"),
        ("version", 2, r"attribute 'version': .*2.* came; this release reads version 1"),
        ("boxes", None, r"data set 'boxes': it is missing; expected image_id, offset"),
        ("boxes", h5py.ExternalLink("other.h5", "boxes"), r"'boxes'.* points to another file"),
        ("boxes", h5py.SoftLink("/features"), r"'boxes'.* points to another file"),
        (
            "offset",
            np.array([0, 3, 2, 5]),
            r"'offset': 4 offsets came; expected 4 that start at 0, never fall",
        ),
        ("offset", np.array([0, 2, 2, 4]), r"'offset'.*end at 5"),
        ("offset", np.array([0, 2, 5]), r"'offset': 3 offsets came; expected 4"),
        ("offset", np.array([0.0, 2, 2, 5]), r"'offset': 1 axes of float64 came; expected 1 of kind iu"),
        ("confidence", np.zeros(4), r"shapes: .*\{'confidence': 4\}"),
        ("class_id", np.zeros((5, 2), dtype=int), r"'class_id': 2 axes"),
        ("image_id", ["10", "10", "30"], r"'image_id': an image id occurs twice"),
    ],
)
def test_a_bad_layout_is_said_at_the_first_look_up(path: Path, name: str, value: Any, text: str) -> None:
    store = broken(path, name, value)
    with pytest.raises(DataFormatError, match=text) as caught:
        store["10"]
    assert caught.value.file == str(path)
    assert store._opened is None


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("boxes", np.full((5, 4), 2, np.float32), r"boxes of picture 10: a box outside \[0, 1\]"),
        ("boxes", np.zeros((5, 4), np.float32), r"boxes of picture 10: .*without area"),
        ("boxes", np.full((5, 4), np.nan, np.float32), r"boxes of picture 10"),
        ("features", np.full((5, 5), np.nan, np.float16), r"features of picture 10: nan or infinity"),
        ("class_id", np.full(5, 2, np.int16), r"class_id of picture 10: a class index outside -1 to 1"),
    ],
)
def test_bad_values_are_said_when_read(path: Path, name: str, value: Any, text: str) -> None:
    with pytest.raises(DataFormatError, match=text):
        broken(path, name, value)["10"]


def test_writing_is_all_or_nothing(path: Path, tmp_path: Path, images: list[StoredImage]) -> None:
    before = path.read_bytes()
    with pytest.raises(DataFormatError, match="twice"):
        write_region_store(path, [images[0], images[0]], ["dog", "cat"], "")
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["features.h5"]


def test_the_same_pictures_give_the_same_bytes(path: Path, images: list[StoredImage]) -> None:
    again = write_region_store(path.with_name("again.h5"), images, ["dog", "cat"], "made up")
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"confidence": np.zeros(3)},
            r"Picture '10': shapes \{'confidence': \(3,\)\} came; expected .*\(2,\)",
        ),
        ({"boxes": np.zeros((2, 3))}, r"expected boxes \(2, 4\)"),
        ({"features": np.full((2, 5), 1e6)}, r"Picture '10': features that float16 cannot hold"),
        ({"class_id": np.array([0, 2])}, r"class_id of picture 10"),
        ({"boxes": np.array([[0, 0, 30, 40], [0, 0, 1, 1]])}, r"boxes of picture 10.*Divide by"),
    ],
)
def test_bad_pictures_are_not_written(
    tmp_path: Path, images: list[StoredImage], change: dict[str, Any], text: str
) -> None:
    from dataclasses import replace

    with pytest.raises(ValueError, match=text):
        write_region_store(tmp_path / "a.h5", [replace(images[0], **change)], ["dog", "cat"], "")
    with pytest.raises(ValueError, match="No pictures came"):
        write_region_store(tmp_path / "a.h5", [], [], "")
    assert not (tmp_path / "a.h5").exists()
