"""LMDB files read page by page: as the lmdb library reads them, and damage is an error, never a crash."""

from __future__ import annotations

import tempfile
from pathlib import Path

import lmdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from value_nb.data.features.lmdb_file import LmdbFile, is_lmdb
from value_nb.data.problems import DataFormatError

from .writers import write_lmdb

quick = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
RECORDS = st.dictionaries(
    st.binary(min_size=1, max_size=60),
    st.binary(max_size=40) | st.integers(0, 20_000).map(lambda n: bytes(n % 251 for _ in range(n))),
    max_size=60,
)


def by_library(path: Path) -> dict[bytes, bytes]:
    with lmdb.open(str(path), readonly=True, lock=False) as file, file.begin() as transaction:
        return dict(transaction.cursor())


@quick
@given(RECORDS, RECORDS)
def test_it_reads_what_the_library_reads(first: dict[bytes, bytes], later: dict[bytes, bytes]) -> None:
    """With pages that a second transaction left free, and keys that were taken out again."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_lmdb(Path(folder) / "db", first)
        with (
            lmdb.open(str(path), map_size=1 << 27, lock=False, sync=False) as file,
            file.begin(write=True) as transaction,
        ):
            for key in list(first)[::2]:
                transaction.delete(key)
            for key, value in later.items():
                transaction.put(key, value)
        ours, theirs = LmdbFile(path), by_library(path)
        assert list(ours) == list(theirs) and len(ours) == len(theirs)
        assert {key: ours.get(key) for key in ours} == theirs


@pytest.fixture(scope="module")
def tall(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with branch pages, leaves and large values."""
    records = {b"%05d" % i: bytes([i % 256]) * 150 for i in range(400)}
    records |= {b"x%05d" % i: bytes([i]) * 9_000 for i in range(5)}
    return write_lmdb(tmp_path_factory.mktemp("tall") / "db", records)


def test_several_pages_deep(tall: Path) -> None:
    with lmdb.open(str(tall), readonly=True, lock=False) as file:
        assert file.stat()["depth"] == 2 and file.stat()["overflow_pages"] == 15
    ours, theirs = LmdbFile(tall), by_library(tall)
    assert {key: ours.get(key) for key in ours} == theirs
    assert b"00399" in ours and b"0" not in ours and is_lmdb(tall) and is_lmdb(tall / "data.mdb")
    assert not (tall / "lock.mdb").exists()


@quick
@given(data=st.data())
def test_a_file_cut_anywhere_is_said(tall: Path, tmp_path: Path, data: st.DataObject) -> None:
    """The library ends the process here, with a bus error."""
    whole = (tall / "data.mdb").read_bytes()
    cut = data.draw(st.integers(0, len(whole) - 1))
    (tmp_path / "data.mdb").write_bytes(whole[:cut])
    with pytest.raises(DataFormatError, match=r"data\.mdb.*(damaged or cut short|head pages)"):
        LmdbFile(tmp_path).index  # noqa: B018


@quick
@given(data=st.data())
def test_damaged_pages_never_crash_or_hang(tall: Path, tmp_path: Path, data: st.DataObject) -> None:
    whole = bytearray((tall / "data.mdb").read_bytes())
    page = data.draw(st.integers(0, len(whole) // 4096 - 1))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[page * 4096 + data.draw(st.integers(0, 200))] = data.draw(st.integers(0, 255))
    (tmp_path / "data.mdb").write_bytes(whole)
    try:
        file = LmdbFile(tmp_path)
        for key in file:
            file.get(key)
    except DataFormatError as error:
        assert error.file == str(tmp_path / "data.mdb")


def test_a_page_that_leads_back_to_itself(tall: Path, tmp_path: Path) -> None:
    import struct

    whole = bytearray((tall / "data.mdb").read_bytes())
    newest = max((0, 4096), key=lambda at: struct.unpack_from("<Q", whole, at + 144))
    (root,) = struct.unpack_from("<Q", whole, newest + 128)
    (first,) = struct.unpack_from("<H", whole, root * 4096 + 16)
    struct.pack_into("<HHH", whole, root * 4096 + first, root, 0, 0)
    (tmp_path / "data.mdb").write_bytes(whole)
    with pytest.raises(DataFormatError, match="a second way to it"):
        LmdbFile(tmp_path).index  # noqa: B018


def test_other_tables_are_refused(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path / "named"), max_dbs=2, lock=False) as file:
        file.open_db(b"inner")
    with pytest.raises(DataFormatError, match=r"an entry of .* bytes with flags 0x2"):
        LmdbFile(tmp_path / "named").index  # noqa: B018
    path = write_lmdb(tmp_path / "db", {b"a": b"1"})
    whole = bytearray((path / "data.mdb").read_bytes())
    whole[92] = whole[4096 + 92] = 4  # several values to a key
    (path / "data.mdb").write_bytes(whole)
    with pytest.raises(DataFormatError, match="a table with the options 0x4"):
        LmdbFile(path).index  # noqa: B018


def test_an_empty_database_and_a_changed_one(tmp_path: Path) -> None:
    path = write_lmdb(tmp_path / "db", {})
    assert len(LmdbFile(path)) == 0
    write_lmdb(path, {b"a": b"1"})
    file = LmdbFile(path)
    assert file.get(b"a") == b"1"
    with pytest.raises(KeyError):
        file.get(b"b")
    with lmdb.open(str(path), map_size=1 << 27, lock=False) as other, other.begin(write=True) as change:
        change.put(b"a", b"2" * 10_000)
    with pytest.raises(DataFormatError, match="has changed since it was opened"):
        file.get(b"a")
    assert write_lmdb(tmp_path / "flat.lmdb", {b"k": b"v"}, subdir=False).is_file()
    assert LmdbFile(tmp_path / "flat.lmdb").get(b"k") == b"v"
