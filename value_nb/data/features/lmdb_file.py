"""The records of an LMDB file, read with every page checked first.

LMDB maps its file into memory and trusts it: a file cut short, or a damaged page, ends the whole process (a
bus error or an assertion that Python cannot catch), and the library refuses to open a file again in a forked
process. A feature file that was downloaded may well be cut. So the tree of pages is walked here in plain
Python, each offset checked against the file's size, and a value is then read as bytes from the file: nothing
is mapped, no lock file is written, and damage is an error like any other. Read only; one unnamed table
without duplicate keys, 64 bit, little-endian, as every feature LMDB is.

Not seen: LMDB keeps no checksums, so bytes changed inside a value are noticed only where the record's own
format notices; and a file that another process rewrites while it is read (its size and time are compared).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from value_nb.data.problems import DataFormatError

MAGIC, HEADER, DATA_FILE = 0xBEEFC0DE, 16, "data.mdb"
BRANCH, LEAF, META, DIRTY = 0x01, 0x02, 0x08, 0x10
BIG_VALUE, NO_PAGE, DEEPEST = 0x01, 2**64 - 1, 32


@dataclass(frozen=True, slots=True)
class _Meta:
    """What one of the two meta pages says of the table."""

    page_size: int
    flags: int
    depth: int
    entries: int
    root: int
    last_page: int
    transaction: int


def find_data_file(path: Path) -> Path:
    """Return the LMDB file of a path: the file itself, or data.mdb of a folder."""
    return path / DATA_FILE if path.is_dir() else path


def is_lmdb(path: Path) -> bool:
    """Whether a path is an LMDB file, or a folder with one."""
    file = find_data_file(path)
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        return stream.read(HEADER + 4)[HEADER:] == struct.pack("<I", MAGIC)


class LmdbFile:
    """Values by key, in the order of the keys.

    Parameters
    ----------
    path
        The file, or a folder with data.mdb.

    Raises
    ------
    DataFormatError
        At the first look-up, when the file is cut short, a page is damaged, or it is no plain LMDB table.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = find_data_file(Path(path))
        self._index: dict[bytes, tuple[int, int]] | None = None
        self._state: tuple[int, int] = (0, 0)

    @property
    def index(self) -> dict[bytes, tuple[int, int]]:
        """Key -> where its value lies: first byte and number of bytes."""
        if self._index is None:
            with self.path.open("rb") as stream:
                self._state = _state(stream)
                self._index = _read_index(stream, self.path)
        return self._index

    def __contains__(self, key: object) -> bool:
        return key in self.index

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.index)

    def __len__(self) -> int:
        return len(self.index)

    def get(self, key: bytes) -> bytes:
        """Return the value of a key. Raises KeyError where there is none, DataFormatError as above."""
        first, size = self.index[key]
        with self.path.open("rb") as stream:
            if _state(stream) != self._state:
                raise DataFormatError(
                    self.path, "", "the file has changed since it was opened; open it again when it is whole."
                )
            stream.seek(first)
            return stream.read(size)


def _state(stream: BinaryIO) -> tuple[int, int]:
    status = os.fstat(stream.fileno())
    return status.st_size, status.st_mtime_ns


def _bad(path: Path, place: str, found: str) -> DataFormatError:
    return DataFormatError(
        path, place, f"{found}. The LMDB file is damaged or cut short; copy or download it again."
    )


def _read_index(stream: BinaryIO, path: Path) -> dict[bytes, tuple[int, int]]:
    size = os.fstat(stream.fileno()).st_size
    meta = _newest_meta(stream, path)
    if (meta.last_page + 1) * meta.page_size > size:
        found = f"{size} bytes came; expected at least {(meta.last_page + 1) * meta.page_size}"
        raise _bad(path, "", found)
    if meta.flags:
        raise DataFormatError(
            path, "", f"a table with the options {meta.flags:#x} came; expected plain keys and values."
        )
    index: dict[bytes, tuple[int, int]] = {}
    if meta.root != NO_PAGE:
        walk = _Walk(stream, path, meta, size)
        for key, first, length in walk.leaves(meta.root, 1):
            if key in index:
                raise _bad(path, "", f"the key {key[:80]!r} occurs twice")
            index[key] = first, length
    if len(index) != meta.entries:
        raise _bad(path, "", f"{len(index)} keys came; expected {meta.entries}, as the file says")
    return index


def _newest_meta(stream: BinaryIO, path: Path) -> _Meta:
    first = _read_meta(stream, path, 0)
    second = _read_meta(stream, path, first.page_size)
    if first.page_size != second.page_size:
        raise _bad(path, "page 1", f"page sizes {first.page_size} and {second.page_size} came")
    return max(second, first, key=lambda meta: meta.transaction)


def _read_meta(stream: BinaryIO, path: Path, offset: int) -> _Meta:
    stream.seek(offset)
    page, place = stream.read(152), f"page {int(offset > 0)}"
    if len(page) < 152:
        raise _bad(path, place, f"{offset + len(page)} bytes came; expected two head pages")
    flags, magic, version = *struct.unpack_from("<H", page, 10), *struct.unpack_from("<II", page, HEADER)
    if not flags & META or magic != MAGIC or version != 1:
        raise _bad(path, place, f"flags {flags:#x}, mark {magic:#x}, version {version} came; no head page")
    (page_size,) = struct.unpack_from("<I", page, 40)
    table_flags, depth = struct.unpack_from("<HH", page, 92)
    entries, root, last_page, transaction = struct.unpack_from("<QQQQ", page, 120)
    if not (512 <= page_size <= 1 << 16 and page_size & (page_size - 1) == 0) or depth > DEEPEST:
        raise _bad(path, place, f"page size {page_size} and depth {depth} came")
    return _Meta(page_size, table_flags, depth, entries, root, last_page, transaction)


class _Walk:
    """One way down the tree of pages; no page is visited twice, nothing outside the file is read."""

    def __init__(self, stream: BinaryIO, path: Path, meta: _Meta, size: int) -> None:
        self.stream, self.path, self.meta, self.size = stream, path, meta, size
        self.seen: set[int] = set()

    def leaves(self, number: int, depth: int) -> Iterator[tuple[bytes, int, int]]:
        """Yield key, first byte and number of bytes of every value below a page."""
        page, flags = self._page(number)
        kind = LEAF if depth == self.meta.depth else BRANCH
        if flags & ~DIRTY != kind:
            raise self._error(number, f"flags {flags:#x} at depth {depth} of {self.meta.depth} came")
        for offset in self._offsets(page, number):
            low, high, node_flags, key_size = struct.unpack_from("<HHHH", page, offset)
            first = offset + 8 + key_size
            if first > len(page):
                raise self._error(number, "a key reaches over the end of the page")
            if kind == BRANCH:
                yield from self.leaves(low | high << 16 | node_flags << 32, depth + 1)
            else:
                where = self._value(page, number, first, low | high << 16, node_flags)
                yield page[offset + 8 : first], *where

    def _page(self, number: int) -> tuple[bytes, int]:
        if not 2 <= number <= self.meta.last_page or number in self.seen:
            raise self._error(number, f"no such page, or a second way to it (last: {self.meta.last_page})")
        self.seen.add(number)
        self.stream.seek(number * self.meta.page_size)
        page = self.stream.read(self.meta.page_size)
        own, _, flags = struct.unpack_from("<QHH", page)
        if own != number:
            raise self._error(number, f"it calls itself page {own}")
        return page, flags

    def _offsets(self, page: bytes, number: int) -> tuple[int, ...]:
        lower, upper = struct.unpack_from("<HH", page, 12)
        if not HEADER <= lower <= upper <= len(page) or lower % 2:
            raise self._error(number, f"bounds {lower} and {upper} came")
        offsets = struct.unpack_from(f"<{(lower - HEADER) // 2}H", page, HEADER)
        if any(not upper <= offset <= len(page) - 8 for offset in offsets):
            raise self._error(number, "an entry lies outside the page")
        return offsets

    def _value(self, page: bytes, number: int, first: int, size: int, flags: int) -> tuple[int, int]:
        if flags == 0 and first + size <= len(page):
            return number * len(page) + first, size
        if flags != BIG_VALUE or first + 8 > len(page):
            raise self._error(number, f"an entry of {size} bytes with flags {flags:#x} came")
        (big,) = struct.unpack_from("<Q", page, first)
        start = big * len(page) + HEADER
        if not 2 <= big <= self.meta.last_page or start + size > self.size:
            raise self._error(number, f"a value of {size} bytes on page {big} leaves the file")
        return start, size

    def _error(self, number: int, found: str) -> DataFormatError:
        return _bad(self.path, f"page {number}", found)
