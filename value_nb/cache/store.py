"""A folder of entries, each whole or not there: written beside, checked when read, never half.

FOLDER/entries/KEY/...            files of an entry, and manifest.json with the sha256 of each
FOLDER/entries/.KEY.XXXX.part     being written, or left behind by a process that was killed
FOLDER/work/KEY/...               parts of something unfinished, for whoever goes on with it
FOLDER/locks/KEY.lock             held by one process at a time
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from value_nb.getting.room import FULL

T = TypeVar("T")

VARIABLE = "VALUE_NB_CACHE"
OFF = "off"
MANIFEST, ABOUT = "manifest.json", "about.json"
PART, BAD = ".part", ".bad"
FORMAT, VERSION = "value_nb-cache", 1
ABANDONED = 24 * 3600.0  # seconds after which a half-written entry has no writer any more


class StoreFull(OSError):
    """The disk has no room for another entry. What was there before stays as it was."""


class Broken(ValueError):
    """An entry that is not what was written; the message says in what."""


def current() -> Store | None:
    """The store of this user, or None where VALUE_NB_CACHE is "off".

    VALUE_NB_CACHE names its folder; else it is value_nb in the user's cache folder (XDG_CACHE_HOME, or
    ~/.cache). Nothing is made on disk before something is kept.
    """
    named = os.environ.get(VARIABLE, "").strip()
    if named.lower() == OFF:
        return None
    if named:
        return Store(Path(named).expanduser())
    base = os.environ.get("XDG_CACHE_HOME", "").strip()
    try:
        return Store((Path(base) if base else Path.home() / ".cache") / "value_nb")
    except RuntimeError:  # a user without a home
        return None


class Store:
    """Entries by key. Safe to use from several processes at once.

    Parameters
    ----------
    folder
        Where they lie; made on first write.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.entries, self.unfinished = self.folder / "entries", self.folder / "work"

    def get(self, key: str, read: Callable[[Path], T]) -> T | None:
        """What `read` makes of an entry's folder; None where there is none.

        Every file is checked against the manifest first. An entry that is not what was written, or that
        `read` cannot read, is removed and reported with a warning; the caller computes it anew.
        """
        folder = self.entries / checked(key)
        if not folder.is_dir():
            return None
        try:
            verify(folder, key)
            return read(folder)
        except (OSError, ValueError, LookupError, TypeError, AttributeError, EOFError) as problem:
            self._remove_bad(key, problem)
            return None

    def put(self, key: str, write: Callable[[Path], Any], about: Mapping[str, Any]) -> bool:
        """Keep an entry: `write` fills a hidden folder, which gets its name when it is whole.

        Parameters
        ----------
        key
            From `value_nb.cache.keys.key`.
        write
            Called with an empty folder; writes plain files into it (folders inside are fine).
        about
            Plain values for `cache_info`: kind, model, data, n, probe, version, seconds.

        Returns
        -------
        False where another process kept the same key first: theirs stays.

        Raises
        ------
        StoreFull
            When the disk has no room. Nothing of the entry is left, and the others are as they were.
        OSError
            When the folder cannot be written.
        """
        checked(key)
        with self._room():
            self.entries.mkdir(parents=True, exist_ok=True)
            self._sweep_up(key)
            part = Path(tempfile.mkdtemp(prefix=f".{key}.", suffix=PART, dir=self.entries))
            try:
                write(part)
                seal(part, key, about)
                return _named(part, self.entries / key)
            finally:
                shutil.rmtree(part, ignore_errors=True)

    def keep(self, key: str, write: Callable[[Path], Any], about: Mapping[str, Any]) -> bool:
        """Like `put`, for a result that is already there: what cannot be kept is reported, never raised.

        Returns
        -------
        Whether an entry of this key is there now.
        """
        try:
            self.put(key, write, about)
            return True
        except OSError as problem:
            warnings.warn(
                f"The result is computed but was not kept for the next run: {problem}", stacklevel=2
            )
            return False

    def work(self, key: str, about: Mapping[str, Any] | None = None) -> Path:
        """The folder for unfinished parts of a key, made where it is missing.

        Its files are the caller's own, to write atomically; `about` is noted once for `cache_info`.
        """
        folder = self.unfinished / checked(key)
        with self._room():
            folder.mkdir(parents=True, exist_ok=True)
            if about is not None and not (folder / ABOUT).exists():
                _write_json(folder / ABOUT, dict(about))
        return folder

    def done(self, key: str) -> None:
        """Remove the unfinished parts of a key."""
        shutil.rmtree(self.unfinished / checked(key), ignore_errors=True)

    def lock(self, key: str, timeout: float = -1) -> Any:
        """A lock on a key, for a with-block; it is free again when its process ends, however it ends.

        Parameters
        ----------
        timeout
            Seconds to wait; -1 for ever, 0 not at all. `filelock.Timeout` is raised when they are over.
        """
        from filelock import FileLock

        folder = self.folder / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / f"{checked(key)}.lock", timeout=timeout)

    def manifests(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """(key, manifest) of every entry whose manifest can be read; its files are not checked."""
        for folder in _folders(self.entries):
            with suppress(OSError, ValueError, KeyError):
                yield folder.name, _manifest(folder)

    def __repr__(self) -> str:
        return f"Store({str(self.folder)!r})"

    def _remove_bad(self, key: str, problem: Exception) -> None:
        """Take an entry away, unless another process has mended it meanwhile."""
        folder = self.entries / key
        if isinstance(problem, Broken | OSError) and is_whole(folder, key):
            return
        aside = folder.with_name(f".{key}.{uuid4().hex}{BAD}")
        with suppress(OSError):
            os.rename(folder, aside)  # needs no room, and nobody meets half of it
        shutil.rmtree(aside, ignore_errors=True)
        warnings.warn(
            f"A kept result was damaged ({problem}); it is removed and computed again. It was {folder}.",
            stacklevel=3,
        )

    def _sweep_up(self, key: str) -> None:
        """Remove what killed processes left of this key."""
        for left in self.entries.glob(f".{key}.*"):
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > ABANDONED:
                    shutil.rmtree(left, ignore_errors=True)

    @contextmanager
    def _room(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise StoreFull(
                error.errno,
                f"the disk of the cache, {self.folder}, is full ({error.strerror}); make room, for instance "
                f"with vnb.clear_cache(), or set {VARIABLE} to another folder or to 'off'",
            ) from error


def seal(folder: Path, key: str, about: Mapping[str, Any]) -> None:
    """Write the manifest of a folder's files: the last file of an entry."""
    files = {str(path.relative_to(folder).as_posix()): _sum(path) for path in _files(folder)}
    sizes = sum((folder / name).stat().st_size for name in files)
    body = {"format": FORMAT, "version": VERSION, "key": key, "created": time.time(), "bytes": sizes,
            "about": dict(about), "files": files}  # fmt: skip
    _write_json(folder / MANIFEST, {"body": body, "sha256": _own_sum(body)})


def verify(folder: Path, key: str) -> dict[str, Any]:
    """The manifest of an entry whose files are all as they were written. Raises Broken or OSError."""
    body = _manifest(folder)
    if body["key"] != key:
        raise Broken(f"the manifest is of {body['key']}")
    there = {str(path.relative_to(folder).as_posix()) for path in _files(folder)} - {MANIFEST}
    if there != set(body["files"]):
        raise Broken(f"files differ: {', '.join(sorted(there ^ set(body['files'])))}")
    for name, expected in body["files"].items():
        if _sum(folder / name) != expected:
            raise Broken(f"{name} was changed")
    return body


def is_whole(folder: Path, key: str) -> bool:
    """Whether `verify` has nothing to say."""
    try:
        verify(folder, key)
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True


def checked(key: str) -> str:
    """The key, which becomes a file name. Raises ValueError unless it is lower-case hexadecimal."""
    if not key or set(key) - set("0123456789abcdef"):
        raise ValueError(f"key={key!r}; expected hexadecimal digits, as value_nb.cache.keys.key makes them")
    return key


def size_of(folder: Path) -> int:
    """Bytes of all files of a folder; files that go away meanwhile count nothing."""
    total = 0
    for path in _files(folder):
        with suppress(OSError):
            total += path.stat().st_size
    return total


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        note = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        body, stated = note["body"], note["sha256"]
    except FileNotFoundError:
        raise Broken("it has no manifest") from None
    except (ValueError, KeyError, TypeError):
        raise Broken("its manifest cannot be read") from None
    if _own_sum(body) != stated:
        raise Broken("its manifest was changed")
    if (body["format"], body["version"]) != (FORMAT, VERSION):
        raise Broken(f"its format is {body['format']} {body['version']}, expected {FORMAT} {VERSION}")
    return body


def _named(part: Path, final: Path) -> bool:
    """Give a whole entry its name; False where the name is taken."""
    try:
        os.rename(part, final)
    except OSError:
        if not final.is_dir():
            raise
        return False
    return True


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _own_sum(body: Any) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _write_json(path: Path, value: Any) -> None:
    """Whole or not at all."""
    beside = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    try:
        beside.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
