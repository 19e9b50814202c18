"""Broken input in every format: an error that names the file, or exactly the right numbers."""

from __future__ import annotations

import csv
import json
import pickle
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from value_nb.data.features import convert_features, open_features
from value_nb.data.problems import DataFormatError

from .test_round_trips import check
from .writers import (
    WRITERS,
    Made,
    butd_fields,
    joined,
    lxmert_fields,
    make,
    npz_bytes,
    packed,
    plain_arrays,
    uniter_arrays,
    uniter_value,
    write_lmdb,
    write_lxmert,
    write_npz_file,
    write_npz_folder,
    write_tsv,
    write_uniter,
    write_uniter_compressed,
    write_volta_arrays,
    write_volta_h5,
)

quick = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def bad_pictures() -> dict[str, tuple[Made, str]]:
    """Pictures that no format may let through, and what is said of them."""
    good = make("2", 3, seed=7)
    nan = good.features.copy()
    nan[1, 2] = np.nan
    infinite = good.features.copy()
    infinite[0, 0] = np.inf
    outside, negative, empty, lost = (good.pixels.copy() for _ in range(4))
    outside[2, 2] = good.size[0] * 1.01
    negative[0, 0] = -3
    empty[1, 3] = empty[1, 1]
    lost[0, 0] = np.nan
    return {
        "nan feature": (replace(good, features=nan), "nan or infinity among the features"),
        "infinite feature": (replace(good, features=infinite), "nan or infinity among the features"),
        "width": (make("2", 3, width=5), r"the shapes \{'features': \(3, 5\)\} came; expected .*\(3, 4\)"),
        "outside": (replace(good, pixels=outside), r"region 2 with the box .* all four inside \[0, 1\]"),
        "negative": (replace(good, pixels=negative), r"region 0 with the box -.* all four inside \[0, 1\]"),
        "no area": (replace(good, pixels=empty), "region 1 with the box .* x1 < x2 and y1 < y2"),
        "nan box": (replace(good, pixels=lost), "region 0 with the box nan"),
        "confidence": (
            replace(good, confidence=np.full(3, 1.5, np.float32)),
            r"a confidence outside \[0, 1\]",
        ),
        "class": (replace(good, class_id=np.array([0, 1600, 2])), "class indices from 0 to 1600 came"),
    }


@pytest.mark.parametrize("bad", bad_pictures())
@pytest.mark.parametrize("name", WRITERS)
def test_numbers_that_cannot_be_regions(tmp_path: Path, name: str, bad: str) -> None:
    format, write = WRITERS[name]
    if format == "butd-tsv" and bad in ("confidence", "class"):
        pytest.skip("not in the file")
    if bad == "class" and format == "uniter-lmdb":
        pytest.skip("an arg max is always in range")
    if bad == "width" and format == "npz-file":
        pytest.skip("one array has one width")
    picture, text = bad_pictures()[bad]
    first = make("1", 2)
    source = open_features(write(tmp_path, [first, picture]))
    with pytest.raises(DataFormatError, match=rf"picture 2: {text}") as caught:
        source.read("2")
    assert tmp_path in Path(caught.value.file).parents
    check(source.read("1"), first, format)
    if name in ("uniter", "lxmert", "npz folder") and bad != "confidence":
        with pytest.warns(UserWarning, match="1 record skipped"):
            store = convert_features(source, tmp_path / "store.h5", progress=False)
        assert store.image_ids == ("1",) and store.problems.skipped == {"unreadable picture": 1}
        with pytest.raises(DataFormatError, match=r"picture 2: .*strict=True stops here"):
            convert_features(source, tmp_path / "strict.h5", progress=False, strict=True)


def survey(path: Path, format: str, images: Sequence[Made]) -> tuple[int, list[DataFormatError]]:
    """Read all there is: how many pictures came through (each must be right), and the errors."""
    by_id, errors, right = {image.image_id: image for image in images}, [], 0
    try:
        source = open_features(path, format)
        for _, read in source.stream():
            try:
                image = read()
            except DataFormatError as error:
                errors.append(error)
            else:
                check(image, by_id[image.image_id], format)
                right += 1
    except DataFormatError as error:
        errors.append(error)
    return right, errors


CUT: dict[str, tuple[Callable[[Path, Sequence[Made]], Path], str]] = {
    "lxmert": (write_lxmert, "a.tsv"),
    "butd": (WRITERS["butd"][1], "a.tsv"),
    "npz file": (write_npz_file, "a.npz"),
    "npz file packed": (WRITERS["npz file packed"][1], "a.npz"),
    "npz folder": (write_npz_folder, "npz/2.npz"),
    "volta h5": (write_volta_h5, "a.h5"),
    "uniter": (write_uniter, "feat_numbb100/data.mdb"),
    "volta arrays": (write_volta_arrays, "volta.lmdb/data.mdb"),
}


@pytest.mark.parametrize("name", CUT)
@quick
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere(name: str, share: float) -> None:
    """A TSV file cut exactly between two lines is a shorter file: nothing can tell."""
    images = [make("1", 3), make("2", 2, seed=1), make("3", 4, seed=2)]
    write, file = CUT[name]
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), images)
        whole = (Path(folder) / file).read_bytes()
        kept = whole[: int(share * len(whole))]
        (Path(folder) / file).write_bytes(kept)
        right, errors = survey(path, WRITERS[name][0], images)
        between_lines = file.endswith("tsv") and (not kept or kept.endswith(b"\n"))
        assert len(errors) == (0 if between_lines else 1)
        assert all(error.file == str(Path(folder) / file) for error in errors)
        if file.endswith("tsv"):
            assert right == kept.count(b"\n")
        else:
            assert right == (2 if name == "npz folder" else 0)


@pytest.mark.parametrize("name", ["npz file packed", "npz folder", "uniter compressed"])
@quick
@given(data=st.data())
def test_changed_bytes_in_a_zip(name: str, data: st.DataObject) -> None:
    """Its checksums tell (the one uncompressed format, npz-file, compares none for the rows)."""
    images = [make("1", 3), make("2", 2, seed=1)]
    arrays = plain_arrays(images[0])
    blob = bytearray(npz_bytes(uniter_arrays(images[0]) if name.startswith("uniter") else arrays))
    blob[data.draw(st.integers(0, len(blob) - 1))] ^= data.draw(st.integers(1, 255))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "npz").mkdir()
        (Path(folder) / "npz" / "1.npz").write_bytes(blob)
        path, format = Path(folder) / "npz", "npz-folder"
        if name.startswith("uniter"):
            path, format = write_uniter_compressed(Path(folder), images), "uniter-lmdb"
            write_lmdb(path, {b"1": bytes(blob)})
        if name == "npz file packed":
            path = WRITERS[name][1](Path(folder), images)
            format = "npz-file"
            whole = bytearray(path.read_bytes())
            whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1
            path.write_bytes(whole)
        try:
            survey(path, format, images)
        except AssertionError:
            if name == "npz file packed":
                return  # rows are read where they lie, without a checksum over the whole
            source = open_features(path, format)
            read = source.read("1")  # an optional array may have lost its name, never its numbers
            assert read.size is None or np.isnan(read.confidence).all() or (read.class_id == -1).all()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"features": "AAAA"}, r"features: it is no whole base64|3 bytes came; expected a multiple of 4"),
        ({"features": "AAA"}, "it is no whole base64"),
        ({"features": "!" * 64}, "it is no whole base64"),
        ({"boxes": "AAAAAA=="}, r"boxes \(1,\) came; expected \(region, 4\)"),
        ({"num_boxes": 4}, "3 boxes came; expected as many as num_boxes says, b'4'"),
        ({"num_boxes": "many"}, "3 boxes came; expected as many as num_boxes says"),
        ({"img_w": 0}, "the size b'0' x b'.*' came; expected whole pixels above 0"),
        ({"img_h": "tall"}, "the size .* came; expected whole pixels above 0"),
        ({"objects_conf": ""}, "0 numbers in objects_conf came; expected 3, one a region"),
        ({"objects_id": "AAAAAAAAAAA="}, "1 numbers in objects_id came; expected 3"),
        ({"boxes": pickle.dumps(print).hex()}, r"boxes: |boxes \("),
    ],
)
def test_a_bad_field(tmp_path: Path, change: dict[str, Any], text: str) -> None:
    rows = [lxmert_fields(make("1")), lxmert_fields(make("2", seed=1)) | change]
    source = open_features(write_tsv(tmp_path / "a.tsv", rows))
    with pytest.raises(DataFormatError, match=rf"a\.tsv, picture 2.*({text})"):
        source.read("2")
    assert len(source.read("1").boxes) == 3


def test_lines_without_a_picture_are_not_passed_over(tmp_path: Path) -> None:
    first, second = lxmert_fields(make("1")), lxmert_fields(make("2", seed=1))
    path = write_tsv(tmp_path / "a.tsv", [first, second, first])
    path.write_bytes(path.read_bytes() + b"three\tfields\tonly\r\n" + b"\xff\t1\r\n" + b"nothing\n" + b"cu")
    source = open_features(path)
    assert source.image_ids == ("1", "2", "(line 3)", "three", "(line 5)", "(line 6)", "(line 7)")
    for image_id, text in (
        ("(line 3)", r"line 3: picture 1 came again; expected each once \(first: line 1\)"),
        ("three", "line 4: 3 fields came; expected 10: img_id, img_h"),
        ("(line 5)", "line 5: 2 fields came"),
        ("(line 6)", "line 6: 1 fields came"),
        ("(line 7)", "line 7: a line without an end came, so it was cut"),
    ):
        with pytest.raises(DataFormatError, match=rf"a\.tsv, {text}"):
            source.read(image_id)
    with pytest.warns(UserWarning, match="5 records skipped"):
        store = convert_features(path, tmp_path / "store.h5", progress=False)
    assert store.image_ids == ("1", "2") and len(store.problems) == 5


def test_lines_end_and_are_quoted_as_the_csv_module_does_it(tmp_path: Path) -> None:
    row = butd_fields(make("1"))
    path = write_tsv(tmp_path / "a.tsv", [row | {"image_id": 'a "b"'}])
    assert b'"a ""b"""' in path.read_bytes()
    assert open_features(path).image_ids == ('a "b"',)
    plain = write_tsv(tmp_path / "b.tsv", [row])
    plain.write_bytes(plain.read_bytes().replace(b"\r\n", b"\n"))
    check(open_features(plain).read("1"), make("1"), "butd-tsv")


def test_long_fields_leave_the_csv_module_alone(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    path = write_lxmert(tmp_path, [make("1", 40, width=2048)])
    assert path.stat().st_size > 2 * before
    assert open_features(path).read("1").features.shape == (40, 2048)
    assert csv.field_size_limit() == before


def test_a_random_look_up_reads_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_features(write_lxmert(tmp_path, [make(str(n), seed=n) for n in range(5)]))
    assert len(source.image_ids) == 5 and source.width == 4
    monkeypatch.setattr(source, "_records", lambda: pytest.fail("the whole file was read again"))
    check(source.read("3"), make("3", seed=3), "lxmert-tsv")


def test_a_file_that_changes_is_said(tmp_path: Path) -> None:
    path = write_lxmert(tmp_path, [make("1"), make("2", seed=1)])
    source = open_features(path)
    assert source.image_ids == ("1", "2")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataFormatError, match="line 2: the file has changed"):
        source.read("2")


def test_uniter_lists_and_records(tmp_path: Path) -> None:
    path = write_uniter(tmp_path, [make("1"), make("2", seed=1)])
    write_lmdb(path, {b"__keys__": json.dumps(["1", "lost"]).encode()})
    source = open_features(path)
    assert source.image_ids == ("1", "lost", "2"), "what the list lacks comes after it"
    with pytest.raises(DataFormatError, match="picture lost: listed, but not there"):
        source.read("lost")
    for keys, text in (
        (b'["1", "1"]', "'1' occurs twice"),
        (b"[1]", "something else came; expected a list of names"),
        (b"[" * 100_000, "it is no JSON"),
        (b"\xff", "it is no JSON"),
    ):
        write_lmdb(path, {b"__keys__": keys})
        with pytest.raises(DataFormatError, match=rf"data\.mdb, __keys__: {text}"):
            open_features(path).image_ids  # noqa: B018


def value(**change: Any) -> bytes:
    import msgpack

    arrays: dict[str, Any] = {name: packed(array) for name, array in uniter_arrays(make("1")).items()}
    return msgpack.packb({**arrays, **change}, use_bin_type=True)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "it is no whole msgpack value"),
        (b"\x93\x01\x02\x03", "list came; expected a map of arrays"),
        (value()[:-20], "it is no whole msgpack value"),
        (value(features=3), "features: int came; expected an array"),
        (value(features={b"nd": True}), "features: a map of nd came; expected nd, type, shape and data"),
        (value(features=packed(np.array([{}], object)) | {b"data": b"x" * 8}), "an array of type '|O' came"),
        (value(features=packed(np.zeros((3, 4), "<f2")) | {b"shape": [3, 5]}), "24 bytes for an array"),
        (value(features=packed(np.zeros((3, 4), "<f2")) | {b"shape": [-3, -4]}), "24 bytes for an array"),
        (value(features=packed(np.zeros((2, 4), "<f2"))), r"norm_bb \(3, 6\) and features \(2, 4\) came"),
        (value(features=packed(np.zeros((3, 4, 1), "<f2"))), "norm_bb"),
        (value(conf=packed(np.zeros((2, 1), "<f2"))), r"conf \(2, 1\) came; expected \(3, 1\)"),
        (value(soft_labels=packed(np.zeros((3, 1), "<f2"))), r"soft_labels \(3, 1\) came"),
        (npz_bytes({"features": np.zeros((3, 4))}), "only features came; expected norm_bb"),
        (
            npz_bytes({"features": np.array([{}], object), "norm_bb": np.zeros(2)}),
            "features: an array of type object",
        ),
        (uniter_value(make("1")) + b"\x00", "it is no whole msgpack value"),
    ],
)
def test_bad_uniter_values(tmp_path: Path, content: bytes, text: str) -> None:
    path = write_uniter(tmp_path, [make("0"), make("1", seed=1)])
    write_lmdb(path, {b"1": content})
    source = open_features(path)
    with pytest.raises(DataFormatError, match=rf"data\.mdb, picture 1.*{text}"):
        source.read("1")
    assert len(source.read("0").boxes) == 3


def test_the_json_with_numbers_of_regions(tmp_path: Path) -> None:
    images = [make("1", 5), make("2", 5, seed=1)]
    path = write_uniter(tmp_path, images).rename(tmp_path / "feat_th0.2_max100_min2")
    assert [len(image.boxes) for image in open_features(path)] == [5, 5], "no json: as stored"
    counts = tmp_path / "nbb_th0.2_max100_min2.json"
    counts.write_text('{"1": 2}')
    assert len(open_features(path).read("1").boxes) == 2
    with pytest.raises(DataFormatError, match="picture 2: its number of regions is not in the json"):
        open_features(path).read("2")
    for text in ("[", "[1]", '{"1": -1}', '{"1": "2"}'):
        counts.write_text(text)
        with pytest.raises(DataFormatError, match=r"nbb_th0\.2_max100_min2\.json: "):
            open_features(path).read("1")


def test_objects_in_npz_files_are_refused(tmp_path: Path) -> None:
    folder = write_npz_folder(tmp_path, [make("1")])
    np.savez(folder / "2.npz", **plain_arrays(make("2")) | {"features": np.array([{}] * 3, object)})
    with pytest.raises(DataFormatError, match=r"2\.npz, features: an array of type object came.*unpickled"):
        open_features(folder).read("2")
    np.savez(tmp_path / "a.npz", **joined([make("1")]) | {"image_id": np.array(["1"], object)})
    with pytest.raises(DataFormatError, match=r"a\.npz, image_id: an array of type object came"):
        open_features(tmp_path / "a.npz").image_ids  # noqa: B018
    np.savez(tmp_path / "b.npz", **joined([make("1")]) | {"features": np.array([[{}]] * 3, object)})
    with pytest.raises(DataFormatError, match=r"b\.npz, features: an array of type object came"):
        open_features(tmp_path / "b.npz").image_ids  # noqa: B018


def test_an_npz_head_that_promises_too_much(tmp_path: Path) -> None:
    """A head that says 10^15 rows sets no memory aside."""
    import zipfile

    write_npz_folder(tmp_path, [make("1")])
    path = tmp_path / "npz" / "1.npz"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    head = members["features.npy"].replace(b"(3, 4), }" + b" " * 13, b"(1000000000000000, 4), }")[:128]
    members["features.npy"] = head + members["features.npy"][len(head) :]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(DataFormatError, match=r"1\.npz, features: .*bytes for float32 \(10+, 4\) came"):
        open_features(tmp_path / "npz").read("1")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"image_id": np.array(["1", "1"])}, "image_id: <U1 .* came; expected texts, each once"),
        ({"offset": np.array([0, 3])}, "offset: .* came; expected 0 rising to 5"),
        ({"offset": np.array([0, 4, 3])}, "offset: "),
        ({"features": np.zeros((4, 4), np.float32)}, r"\{'features': \(4, 4\)\} came; expected 5 rows"),
        ({"features": np.asfortranarray(np.ones((5, 4), np.float32))}, "features: an array in column order"),
        ({"features": np.zeros((5, 4), int)}, "picture 1: numbers of other types came"),
        ({"boxes": np.zeros((5, 3), np.float32)}, "picture 1: the shapes"),
        ({"size": np.array([[-1, 5], [5, 5]])}, "picture 1: the size -1 x 5 came"),
        ({"size": np.zeros((3, 2), int)}, "came; expected 5 rows"),
        ({"boxes": None}, "boxes: it is missing"),
        ({"image_id": None}, "image_id: it is missing"),
    ],
)
def test_bad_npz_files(tmp_path: Path, change: dict[str, Any], text: str) -> None:
    arrays = joined([make("1"), make("2", 2, seed=1)]) | change
    path = tmp_path / "a.npz"
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(DataFormatError, match=rf"a\.npz.*{text}"):
        open_features(path).read("1")


def test_h5_files_that_point_elsewhere_or_were_never_filled(tmp_path: Path) -> None:
    import h5py

    path = write_volta_h5(tmp_path, [make("1"), make("2", seed=1), make("3", seed=2)])
    with h5py.File(path, "r+") as file:
        del file["1/features"]
        file["1/features"] = h5py.ExternalLink("other.h5", "features")
        del file["2/features"]
        file["2"].create_dataset("features", (3, 4), "f4", chunks=(3, 4))
        file["link"] = h5py.SoftLink("/3")
        file["4"] = np.zeros(3)
    source = open_features(path)
    for image_id, text in (
        ("1", "features: no data set of this file came"),
        ("2", "features: its numbers were never written"),
        ("link", "no group of this file came"),
        ("4", "no group of this file came"),
    ):
        with pytest.raises(DataFormatError, match=rf"a\.h5, picture {image_id}.*{text}"):
            source.read(image_id)
    check(source.read("3"), make("3", seed=2), "volta-h5")


def test_detection_says_what_was_tried(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(
        ValueError, match=r"a\.txt is in no known format\. Tried: LMDB .*HDF5 and npz.*TSV \(1 fields"
    ):
        open_features(tmp_path / "a.txt")
    with pytest.raises(ValueError, match=r"Tried: LMDB \(no data\.mdb.*a folder of npz files"):
        open_features(tmp_path)
    with pytest.raises(ValueError, match="begins with b'abcd'"):
        open_features(write_lmdb(tmp_path / "other", {b"a": b"abcdef"}))
    with pytest.raises(ValueError, match=r"holds several databases: other\. Give the path of one"):
        open_features(tmp_path)
    with pytest.raises(
        ValueError, match="format='tsv' came; expected None or one of uniter-lmdb, lxmert-tsv"
    ):
        open_features(tmp_path / "a.txt", "tsv")
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        open_features(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"class_names holds 3; expected texts"):
        open_features(write_lxmert(tmp_path, [make("1")]), class_names=[3])  # type: ignore[list-item]
    store = convert_features(tmp_path / "a.tsv", tmp_path / "store.h5", progress=False)
    with pytest.raises(ValueError, match="is a region store already"):
        open_features(store.path)


def test_databases_without_their_lists_are_still_known(tmp_path: Path) -> None:
    uniter = write_lmdb(tmp_path / "u", {b"1": uniter_value(make("1"))})
    assert open_features(uniter).image_ids == ("1",) and open_features(uniter).format == "uniter-lmdb"
    from .writers import volta_arrays

    volta = write_lmdb(tmp_path / "v.lmdb", {b"1": pickle.dumps(volta_arrays(make("1")))}, subdir=False)
    assert open_features(volta).format == "volta-lmdb"
    check(open_features(volta).read("1"), make("1"), "volta-lmdb")
