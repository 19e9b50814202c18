"""Conversion: all or nothing, on from where it was killed, compared at the end, in flat memory."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from value_nb import progress
from value_nb.data.features import convert as conversion
from value_nb.data.features import convert_features, open_features
from value_nb.data.features.part_file import PartFile
from value_nb.data.problems import DataFormatError
from value_nb.data.regions import RegionStore

from .writers import lxmert_fields, make, write_lxmert, write_tsv, write_uniter

ROOT = Path(__file__).parents[3]


def quiet(src: Any, dst: Path, **more: Any) -> RegionStore:
    return convert_features(src, dst, progress=False, **more)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_lxmert(tmp_path, [make(str(n), n % 4, seed=n) for n in range(1, 31)])


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_nothing_is_left_beside_the_store(tmp_path: Path, source: Path) -> None:
    store = quiet(source, tmp_path / "new" / "features.h5")
    assert names(tmp_path / "new") == {"features.h5"}
    assert len(store) == 30 and store.feature_source.endswith("converted from lxmert-tsv a.tsv")
    assert quiet(open_features(source), tmp_path / "b.h5")["7"] == store["7"]


def test_an_older_store_is_replaced_only_on_request(tmp_path: Path, source: Path) -> None:
    dst = tmp_path / "features.h5"
    dst.write_bytes(b"mine")
    with pytest.raises(FileExistsError, match=r"features\.h5 exists.*overwrite=True"):
        quiet(source, dst)
    assert dst.read_bytes() == b"mine" and names(tmp_path) == {"a.tsv", "features.h5"}
    assert len(quiet(source, dst, overwrite=True)) == 30


def test_wrong_calls(tmp_path: Path, source: Path) -> None:
    with pytest.raises(ValueError, match="is the file that is read"):
        quiet(source, source, overwrite=True)
    with pytest.raises(ValueError, match="format, class_names came together with an open source"):
        quiet(open_features(source), tmp_path / "a.h5", format="lxmert-tsv", class_names=["a"])
    with pytest.raises(FileNotFoundError):
        quiet(tmp_path / "nothing", tmp_path / "a.h5")
    with pytest.raises(ValueError, match="40000 classes came; a store holds at most 32768"):
        quiet(source, tmp_path / "a.h5", class_names=["a"] * 40_000)
    with pytest.raises(ValueError, match="image_ids='x' came"):
        quiet(source, tmp_path / "a.h5", image_ids="x")
    assert names(tmp_path) == {"a.tsv"}


def test_image_ids_follow_the_rule(tmp_path: Path) -> None:
    images = [make(name, seed=i) for i, name in enumerate(("COCO_val2014_000000000042", "vg_9.npz"))]
    path = write_lxmert(tmp_path, images)
    kept = ("COCO_val2014_000000000042", "vg_9.npz")
    for rule, expected in (
        (None, ("42", "9")),
        ("digits", ("42", "9")),
        ("keep", kept),
        (str.lower, tuple(map(str.lower, kept))),
        (dict(zip(kept, "ab", strict=True)), ("a", "b")),
    ):
        assert quiet(path, tmp_path / "a.h5", image_ids=rule, overwrite=True).image_ids == expected
    twice = write_lxmert(tmp_path, [make("vg_7.npz"), make("coco_007", seed=1)])
    with pytest.raises(ValueError, match=r"gives '7' for both 'vg_7\.npz' and 'coco_007'"):
        quiet(twice, tmp_path / "b.h5")
    assert quiet(twice, tmp_path / "b.h5", image_ids="keep").image_ids == ("vg_7.npz", "coco_007")


def test_what_float16_cannot_hold_is_said(tmp_path: Path) -> None:
    large = make("2")
    large.features[1, 1] = 70_000
    path = write_lxmert(tmp_path, [make("1"), large])
    with pytest.warns(UserWarning, match="float16 overflow"):
        store = quiet(path, tmp_path / "a.h5")
    assert store.image_ids == ("1",) and store.problems.skipped == {"float16 overflow": 1}
    (problem,) = store.problems
    assert problem.place == "picture 2" and "a feature of 70000 came" in problem.message
    with pytest.raises(DataFormatError, match=r"picture 2: a feature of 70000.*strict=True"):
        quiet(path, tmp_path / "b.h5", strict=True)


def test_a_file_without_a_readable_picture(tmp_path: Path) -> None:
    path = write_tsv(tmp_path / "a.tsv", [lxmert_fields(make("1")) | {"boxes": "?"}])
    with pytest.raises(DataFormatError, match=r"a\.tsv: none of its 1 pictures can be read"):
        quiet(path, tmp_path / "a.h5")
    assert not (tmp_path / "a.h5").exists()


class Stop(BaseException):
    """Ends a conversion as Ctrl-C does."""


@pytest.mark.parametrize("after", [0, 1, 7, 29])
def test_on_from_where_it_was_stopped(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    whole = quiet(source, tmp_path / "whole.h5").path.read_bytes()
    read: list[str] = []

    def stopping(*args: Any) -> Any:
        if len(read) == after:
            raise Stop
        read.append(args[1])
        return readable(*args)

    readable = conversion._readable
    monkeypatch.setattr(conversion, "_readable", stopping)
    with pytest.raises(Stop):
        quiet(source, tmp_path / "a.h5")
    assert not (tmp_path / "a.h5").exists() and (tmp_path / "a.h5.part").exists()
    after, first = -1, list(read)
    quiet(source, tmp_path / "a.h5")
    assert read == [str(n) for n in range(1, 31)] and read[: len(first)] == first, "each is read once"
    assert (tmp_path / "a.h5").read_bytes() == whole
    assert names(tmp_path) == {"a.tsv", "whole.h5", "a.h5"}


KILLED = """
    import os, signal, sys
    sys.path.insert(0, {root!r})
    from value_nb.data.features import convert, part_file
    part_file.COMMIT_EVERY = 4
    left = {left}
    def counted(call):
        def wrapped(*args, **more):
            global left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **more)
        return wrapped
    part_file.PartFile.add = counted(part_file.PartFile.add)
    convert.RegionStoreWriter.add = counted(convert.RegionStoreWriter.add)
    convert._compare = counted(convert._compare)
    os.replace = counted(os.replace)
    part_file.PartFile.remove = counted(part_file.PartFile.remove)
    convert.convert_features({src!r}, {dst!r}, progress=False)
"""
STEPS = {"reading": 11, "writing": 30 + 12, "comparing": 60, "before its name": 61, "after it": 62}


@pytest.mark.parametrize("step", STEPS)
def test_on_after_a_kill(tmp_path: Path, source: Path, step: str) -> None:
    whole = quiet(source, tmp_path / "whole.h5").path.read_bytes()
    dst = tmp_path / "a.h5"
    code = textwrap.dedent(KILLED).format(root=str(ROOT), left=STEPS[step], src=str(source), dst=str(dst))
    ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, timeout=120)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert dst.exists() == (step == "after it") and (tmp_path / "a.h5.part").exists()
    with PartFile(tmp_path / "a.h5.part", open_features(source).fingerprint()) as part:
        kept = part.image_ids()
    assert kept == [str(n) for n in range(1, 9 if step == "reading" else 31)], "whole batches of 4"
    store = quiet(source, dst)
    assert store.path.read_bytes() == whole
    assert names(tmp_path) == {"a.tsv", "whole.h5", "a.h5"}


def test_a_part_of_another_file_is_begun_anew(tmp_path: Path, source: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(conversion, "_write", lambda *_: (_ for _ in ()).throw(Stop))
    with pytest.raises(Stop):
        quiet(source, tmp_path / "a.h5")
    monkeypatch.undo()
    other = write_uniter(tmp_path, [make("5"), make("6", seed=1)])
    with pytest.warns(
        UserWarning, match=r"a\.h5\.part was left by the conversion of another file: begun anew"
    ):
        store = quiet(other, tmp_path / "a.h5")
    assert store.image_ids == ("5", "6")


def test_a_part_that_belongs_to_an_unfinished_replacement(
    tmp_path: Path, source: Path, monkeypatch: Any
) -> None:
    """The store that is there is the old one: it is not taken for the result."""
    dst = quiet(write_uniter(tmp_path, [make("5")]), tmp_path / "a.h5").path
    monkeypatch.setattr(conversion, "_write", lambda *_: (_ for _ in ()).throw(Stop))
    with pytest.raises(Stop):
        quiet(source, dst, overwrite=True)
    monkeypatch.undo()
    with pytest.raises(FileExistsError):
        quiet(source, dst)
    assert len(quiet(source, dst, overwrite=True)) == 30


def test_only_one_conversion_at_a_time(tmp_path: Path, source: Path) -> None:
    with PartFile(tmp_path / "a.h5.part", "x"), pytest.raises(BlockingIOError, match="is in use: another"):
        quiet(source, tmp_path / "a.h5")


@pytest.mark.parametrize("content", [b"hello" * 1000, None])
def test_a_part_file_that_is_none(tmp_path: Path, source: Path, content: bytes | None) -> None:
    part = tmp_path / "a.h5.part"
    if content is None:
        with sqlite3.connect(part) as other:
            other.execute("create table mine (a)")
        other.close()
    else:
        part.write_bytes(content)
    with pytest.raises(
        DataFormatError, match=r"a\.h5\.part: it is not the part file of a conversion.*Remove it"
    ):
        quiet(source, tmp_path / "a.h5")
    assert part.exists()


@pytest.mark.parametrize("name", ["boxes", "features", "class_id", "size"])
def test_a_store_that_differs_gets_no_name(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Planted: one number of one picture goes wrong on its way through the part file."""
    from dataclasses import replace

    images = PartFile.images

    def wrong(self: PartFile, width: int) -> Any:
        for image in images(self, width):
            if image.image_id == "30":
                changed = (1, 1) if name == "size" else getattr(image, name).copy()
                if name != "size":
                    changed[0] = changed[0] / 2 if name == "boxes" else changed[0] + 1
                image = replace(image, **{name: changed})
            yield image

    monkeypatch.setattr(PartFile, "images", wrong)
    with pytest.raises(DataFormatError, match=r"picture 30: what was written differs from the source"):
        quiet(source, tmp_path / "a.h5")
    assert not (tmp_path / "a.h5").exists()


def test_a_picture_that_is_lost_is_noticed(tmp_path: Path, source: Path, monkeypatch: Any) -> None:
    images = PartFile.images
    monkeypatch.setattr(PartFile, "images", lambda self, width: list(images(self, width))[:-1])
    with pytest.raises(DataFormatError, match="29 pictures were written; expected 30"):
        quiet(source, tmp_path / "a.h5")


def test_memory_does_not_grow_with_the_number_of_pictures(tmp_path: Path) -> None:
    peaks = []
    for count in (80, 160):
        folder = tmp_path / str(count)
        folder.mkdir()
        images = [make(str(n), 36, width=256, seed=n) for n in range(1, count + 1)]
        path = write_lxmert(folder, images)
        del images
        tracemalloc.start()
        quiet(path, folder / "a.h5")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    features = 80 * 36 * 256 * 2
    assert peaks[1] - peaks[0] < features / 4, f"{peaks} bytes; all features would add {features}"


def test_a_bar_is_shown_on_request(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "DELAY", 0.0)  # what is done sooner shows none
    monkeypatch.delenv("CI", raising=False)
    convert_features(source, tmp_path / "a.h5")
    assert "reading" in (shown := capsys.readouterr().err) and "writing: 100%" in shown
    quiet(source, tmp_path / "b.h5")
    assert capsys.readouterr().err == ""


def test_the_part_keeps_what_float16_keeps(tmp_path: Path) -> None:
    image = make("1", 3)
    image.features[:] = np.pi
    store = quiet(write_lxmert(tmp_path, [image]), tmp_path / "a.h5")
    assert store["1"].features is not None
    assert set(store["1"].features.ravel()) == {np.float32(np.float16(np.pi))}
    assert os.listdir(tmp_path).count("a.h5.part") == 0
