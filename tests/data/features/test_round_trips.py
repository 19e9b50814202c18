"""Every format: what a small writer wrote is read, found by id, pickled, and converted, exactly."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from value_nb.data.features import convert_features, open_features
from value_nb.data.regions import StoredImage

from .writers import CLASSES, WRITERS, Made, make, pictures

FORMATS = pytest.mark.parametrize("name", WRITERS)


@pytest.fixture(params=WRITERS)
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.param


def check(read: StoredImage, made: Made, format: str) -> None:
    """Compare what was read with what was made, as far as the format holds it."""
    half = np.float16 if format == "uniter-lmdb" else np.float32
    assert read.image_id == made.image_id
    assert read.size == (None if format == "uniter-lmdb" else made.size)
    np.testing.assert_array_equal(read.boxes, made.boxes.astype(half).astype(np.float32))
    np.testing.assert_array_equal(read.features, made.features)
    if format == "butd-tsv":
        assert np.isnan(read.confidence).all() and (read.class_id == -1).all()
    else:
        np.testing.assert_array_equal(read.confidence, made.confidence)
        np.testing.assert_array_equal(read.class_id, made.class_id)
    assert not read.annotated.any()


@FORMATS
@settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(images=pictures())
def test_what_was_written_is_read_and_converted(name: str, images: list[Made]) -> None:
    format, write = WRITERS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), images)
        source = open_features(path)
        assert source.format == format and len(source) == len(images)
        assert sorted(source.image_ids) == sorted(image.image_id for image in images)
        for image in images:
            check(source.read(image.image_id), image, format)
        store = convert_features(path, Path(folder) / "store.h5", progress=False)
        assert store.image_ids == tuple(source.image_ids)
        assert not store.problems
        for image in images:
            regions, read = store[image.image_id], source.read(image.image_id)
            np.testing.assert_array_equal(regions.boxes, read.boxes)
            np.testing.assert_array_equal(regions.features, image.features)
            np.testing.assert_array_equal(regions.confidence, read.confidence)
            np.testing.assert_array_equal(store.class_ids(image.image_id), read.class_id)
            assert store.size(image.image_id) == read.size
            assert set(regions.sources) <= {"detected"}
        store.close()


def test_what_every_source_offers(tmp_path: Path, name: str) -> None:
    format, write = WRITERS[name]
    images = [make("10", 3, seed=1), make("9", 0, seed=2), make("300", 2, seed=3)]
    path = write(tmp_path, images)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    source = open_features(path, format)
    assert (source.width, len(source)) == (4, 3)
    by_id = {image.image_id: image for image in images}
    assert [image.image_id for image in source] == list(source.image_ids)
    for image in source:
        check(image, by_id[image.image_id], format)
    assert source.feature_source.endswith(f"converted from {format} {path.name}")
    assert format in repr(source)
    with pytest.raises(KeyError, match=r"has no picture '11'; expected one of its 3 image ids, for instance"):
        source.read("11")
    again = pickle.loads(pickle.dumps(source))
    check(again.read("300"), images[2], format)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == before, "no lock file"


def test_a_forked_process_reads(tmp_path: Path, name: str) -> None:
    format, write = WRITERS[name]
    images = [make("1"), make("2", seed=5)]
    source = open_features(write(tmp_path, images))
    source.read("1")
    child = os.fork()
    if not child:
        code = 1
        try:
            check(source.read("2"), images[1], format)
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    check(source.read("2"), images[1], format)


def test_a_picture_of_ten_thousand_regions(tmp_path: Path, name: str) -> None:
    format, write = WRITERS[name]
    images = [make("1", 10_000, width=3), make("2", 1, width=3)]
    path = write(tmp_path, images)
    if format == "uniter-lmdb":  # its name says 100
        path = path.rename(tmp_path / "every region")
    check(open_features(path).read("1"), images[0], format)
    if name in ("uniter", "lxmert"):
        assert len(convert_features(path, tmp_path / "store.h5", progress=False)["1"]) == 10_000


def test_class_names_are_given_or_unknown(tmp_path: Path, name: str) -> None:
    format, write = WRITERS[name]
    path = write(tmp_path, [make("1", 5)])
    names = [f"thing {i}" for i in range(CLASSES)]
    (tmp_path / "names").mkdir()
    (tmp_path / "names" / "vocabulary.txt").write_text("\n".join(names), "utf-8")
    unknown = open_features(path)
    assert set(unknown.class_names) <= {""}
    assert len(unknown.class_names) == (CLASSES if format == "uniter-lmdb" else 1600)
    for given_names in (names, tmp_path / "names" / "vocabulary.txt"):
        source = open_features(path, class_names=given_names)
        assert source.class_names == tuple(names)
    store = convert_features(path, tmp_path / "store.h5", progress=False, class_names=names)
    ids = store.class_ids("1").tolist()
    assert store["1"].names == tuple(names[i] if i >= 0 else "" for i in ids)
