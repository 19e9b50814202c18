"""The pictures that a conversion has read so far, in a file that outlives a kill at any point.

An SQLite database: what was committed is there after a crash, the rest is undone by SQLite at the next
opening. HDF5 gives no such promise for a file that was being written, so the store itself is written from
this file at the end, in one go. Features are kept as float16, as in the store.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import numpy as np

from value_nb.data.problems import DataFormatError
from value_nb.data.regions import StoredImage

LAYOUT = "value_nb conversion 1"
TABLES = """
create table note (name text primary key, value text not null);
create table picture (position integer primary key, image_id text unique not null, width integer,
    height integer, rows integer not null, boxes blob not null, features blob not null,
    confidence blob not null, class_id blob not null);
"""
SYNCHRONOUS = "normal"
"""How far SQLite waits for the disk; "off" would stand a kill, but not a power cut."""

COMMIT_EVERY = 64
"""So many pictures are lost at most."""

TYPES = {"boxes": "<f4", "features": "<f2", "confidence": "<f4", "class_id": "<i8"}


class PartFile:
    """Pictures by their position in the source.

    Parameters
    ----------
    path
        The file; made where there is none.
    fingerprint
        Of the source.

    Attributes
    ----------
    other
        Whether another source left the file behind, so that `clear` is needed first.

    Raises
    ------
    BlockingIOError
        When another process is writing the file.
    DataFormatError
        When it is not such a file.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path, self.fingerprint = path, fingerprint
        self.other = False
        self._uncommitted = 0

    def __enter__(self) -> PartFile:
        with self._errors():
            self._db = sqlite3.connect(self.path, timeout=0, isolation_level=None)
        try:
            with self._errors():
                self._prepare()
        except BaseException:
            self._db.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.commit()
        finally:
            self._db.close()

    def _prepare(self) -> None:
        self._db.execute("pragma locking_mode = exclusive")
        self._db.execute("pragma journal_mode = wal")  # whole after a kill or a power cut, with few waits
        self._db.execute(f"pragma synchronous = {SYNCHRONOUS}")
        self._db.execute("begin exclusive")
        if not self._db.execute("select 1 from sqlite_master").fetchall():
            self._fill()
        if self.note("layout") != LAYOUT:
            raise sqlite3.DatabaseError("other tables than those of a conversion")
        self.other = self.note("fingerprint") != self.fingerprint
        self._db.execute("commit")

    def _fill(self) -> None:
        for statement in TABLES.split(";"):
            self._db.execute(statement)
        self._set("layout", LAYOUT)
        self._set("fingerprint", self.fingerprint)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if "locked" in str(error):
                raise BlockingIOError(
                    f"{self.path} is in use: another conversion to this file runs. Wait, or stop that one."
                ) from error
            if "full" in str(error):
                raise OSError(errno.ENOSPC, f"no space left for {self.path}") from error
            raise DataFormatError(
                self.path,
                "",
                f"it is not the part file of a conversion ({error}). Remove it to begin anew.",
            ) from error

    def note(self, name: str) -> str | None:
        """Return a remark by its name, None where there is none."""
        found = self._db.execute("select value from note where name = ?", (name,)).fetchone()
        return None if found is None else found[0]

    def _set(self, name: str, value: str) -> None:
        self._db.execute("insert or replace into note values (?, ?)", (name, value))

    def remark(self, name: str, value: str) -> None:
        """Keep a remark, and everything added before."""
        with self._errors():
            self._set(name, value)
        self.commit()

    def commit(self) -> None:
        """Make everything that was added safe from a kill."""
        if self._db.in_transaction:
            with self._errors():
                self._db.execute("commit")
        self._uncommitted = 0

    def clear(self) -> None:
        """Forget everything, and begin anew with this source."""
        with self._errors():
            self._db.execute("begin")
            self._db.execute("delete from picture")
            self._db.execute("delete from note where name = 'finished'")
            self._set("fingerprint", self.fingerprint)
            self._db.execute("commit")
        self.other = False

    def image_ids(self) -> list[str]:
        """Return the source's image ids of the pictures that are there, in their order."""
        with self._errors():
            return [row[0] for row in self._db.execute("select image_id from picture order by position")]

    def positions(self) -> set[int]:
        """Return the positions of the pictures that are there."""
        with self._errors():
            return {row[0] for row in self._db.execute("select position from picture")}

    def add(self, position: int, image: StoredImage) -> None:
        """Keep a picture. It is safe from a kill after at most 64 more."""
        blobs = [getattr(image, name).astype(kind).tobytes() for name, kind in TYPES.items()]
        width, height = image.size or (None, None)
        with self._errors():
            if not self._db.in_transaction:
                self._db.execute("begin")
            self._db.execute(
                "insert into picture values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (position, image.image_id, width, height, len(image.boxes), *blobs),
            )
        self._uncommitted += 1
        if self._uncommitted >= COMMIT_EVERY:
            self.commit()

    def images(self, width: int) -> Iterator[StoredImage]:
        """Yield the pictures in the order of the source, one at a time; `width` is that of the features."""
        with self._errors():
            for _, image_id, wide, high, rows, *blobs in self._db.execute(
                "select * from picture order by position"
            ):
                parts = {
                    name: np.frombuffer(blob, kind)
                    for (name, kind), blob in zip(TYPES.items(), blobs, strict=True)
                }
                parts["boxes"] = parts["boxes"].reshape(rows, 4)
                parts["features"] = parts["features"].reshape(rows, width)
                size = None if wide is None else (wide, high)
                yield StoredImage(image_id, size, annotated=np.zeros(rows, bool), **parts)

    def remove(self) -> None:
        """Delete the file; call it after the `with` block."""
        for ending in ("", "-journal", "-wal", "-shm"):
            self.path.with_name(self.path.name + ending).unlink(missing_ok=True)
