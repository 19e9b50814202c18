from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from value_nb.data import regions as regions_file
from value_nb.data.problems import DataFormatError
from value_nb.data.regions import (
    RegionStore,
    RegionStoreWriter,
    StoredImage,
    open_store,
    write_region_store,
)

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
        ("version", 3, r"attribute 'version': .*3.* came; this release reads the versions 1, 2"),
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


def test_a_picture_of_unknown_size(tmp_path: Path, images: list[StoredImage]) -> None:
    path = tmp_path / "a.h5"
    write_region_store(path, [replace(images[0], size=None), images[1]], ["dog", "cat"], "")
    store = RegionStore(path)
    assert store.size("10") is None and store.size("2") == (100, 50)
    assert len(store["10"]) == 2


def test_classes_without_a_name_keep_their_index(tmp_path: Path, images: list[StoredImage]) -> None:
    store = RegionStore(write_region_store(tmp_path / "a.h5", images, ["", "", ""], ""))
    assert store["30"].names == ("", "", "")
    assert store.class_ids("30").tolist() == [-1, 0, 1]


def test_stores_of_version_1_are_read(path: Path) -> None:
    """The bundled store is one; its numbers here stand for the whole."""
    bundled = RegionStore(Path(__file__).parents[2] / "data" / "mini" / "features.h5")
    with h5py.File(bundled.path) as file:
        assert file.attrs["version"] in (1, 2)
        assert len(bundled) == len(file["image_id"]) and bundled.size(bundled.image_ids[0]) is not None
    before = RegionStore(path)["30"]
    with h5py.File(path, "r+") as file:
        file.attrs["version"] = 1
    assert RegionStore(path)["30"] == before


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_store_cut_anywhere_is_said(path: Path, images: list[StoredImage], share: float) -> None:
    whole = path.read_bytes()
    cut = path.with_name("cut.h5")
    cut.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataFormatError, match=r"cut\.h5: it cannot be opened as HDF5"):
        RegionStore(cut)["10"]


def test_a_damaged_piece_is_said(path: Path) -> None:
    with h5py.File(path) as file:
        piece = file["features"].id.get_chunk_info(0)
    whole = bytearray(path.read_bytes())
    whole[piece.byte_offset + 2 : piece.byte_offset + piece.size] = bytes(piece.size - 2)
    path.write_bytes(whole)
    with pytest.raises(DataFormatError, match=r"features\.h5, picture 10: its rows cannot be read"):
        RegionStore(path)["10"]
    assert len(RegionStore(path).read("10", features=False)) == 2


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    counts=st.lists(st.integers(0, 7), min_size=1, max_size=12),
    chunk=st.sampled_from([2, 10, 64]),
    block=st.integers(1, 3),
)
def test_pieces_of_any_size_hold_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counts: list[int], chunk: int, block: int
) -> None:
    """Pictures over several pieces, several pictures in one, and what is left at the end."""
    monkeypatch.setattr(regions_file, "CHUNK_BYTES", chunk * 10)
    monkeypatch.setattr(regions_file, "BLOCK_CHUNKS", block)
    made = [stored_image(str(n), [[0, 0, 0.5, 1]] * count, n) for n, count in enumerate(counts)]
    store = RegionStore(write_region_store(tmp_path / "a.h5", made, ["dog", "cat"], ""))
    for image in made:
        half = image.features.astype(np.float16).astype(np.float32)
        np.testing.assert_array_equal(store.read(image.image_id).features, half)
        np.testing.assert_array_equal(store.class_ids(image.image_id), image.class_id)
    store.close()


def test_pictures_are_taken_one_at_a_time(tmp_path: Path) -> None:
    """An endless supply that fails after a while: nothing is held, and nothing is left behind."""
    import tracemalloc

    def supply(count: int) -> Iterator[StoredImage]:
        for n in range(count):
            yield stored_image(str(n), [[0, 0, 1, 1]] * 36, n, width=256)
        raise KeyError("no more")

    peaks = []
    for count in (100, 300):
        tracemalloc.start()
        with pytest.raises(KeyError, match="no more"):
            write_region_store(tmp_path / "a.h5", supply(count), ["dog", "cat"], "")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 200 * 36 * 256 * 2 / 4
    assert not list(tmp_path.glob("*a.h5*"))


def test_a_check_can_refuse_the_store(tmp_path: Path, images: list[StoredImage]) -> None:
    def refuse(store: RegionStore) -> None:
        assert store.image_ids == ("10",) and not (tmp_path / "a.h5").exists()
        raise DataFormatError(store.path, "", "no")

    with (
        pytest.raises(DataFormatError, match="no"),
        RegionStoreWriter(tmp_path / "a.h5", ["dog", "cat"], "", refuse) as writer,
    ):
        writer.add(images[0])
    assert not list(tmp_path.glob("*a.h5*"))


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
    with pytest.raises(ValueError, match=text):
        write_region_store(tmp_path / "a.h5", [replace(images[0], **change)], ["dog", "cat"], "")
    with pytest.raises(ValueError, match="No pictures came"):
        write_region_store(tmp_path / "a.h5", [], [], "")
    assert not (tmp_path / "a.h5").exists()
