"""Unpacking archives of strangers: nothing is written outside the folder, and nothing grows without end.

Refused: absolute names, `..`, names that mean something else on another system, links, devices, the same name
twice, encrypted members, and more bytes or members than the limits allow. Bytes are counted as they come out,
whatever the archive says of itself.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from value_nb.getting.errors import ArchiveError
from value_nb.getting.manifest import in_words

BLOCK = 1 << 20
SMALL = 1 << 20
"""The ratio is held against at least so many bytes: a small text may shrink a thousandfold."""
BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, NotImplementedError, ValueError, OverflowError),
)
"""What the readers raise at damaged archives."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may come out of an archive.

    Attributes
    ----------
    size
        Bytes in all.
    ratio
        Bytes in all, divided by the size of the archive (at least 1 MiB). Text shrinks about tenfold; what
        is made to fill a disk, a thousandfold and more.
    members
        Files and folders.
    """

    size: int = 200 * 10**9
    ratio: float = 100.0
    members: int = 1_000_000


@dataclass(slots=True)
class _Meter:
    """What came out so far, held against the limits."""

    limits: Limits
    packed: int
    size: int = 0
    members: int = 0
    names: set[str] = field(default_factory=set)

    def member(self) -> None:
        self.members += 1
        if self.members > self.limits.members:
            raise ArchiveError(f"the archive has more than {self.limits.members} members: refused")

    def file(self, name: str) -> None:
        if name in self.names:
            raise ArchiveError(f"the archive has {name!r} twice: refused")
        self.names.add(name)

    def grow(self, count: int) -> None:
        self.size += count
        if self.size > self.limits.size:
            raise ArchiveError(f"the archive unpacks to more than {in_words(self.limits.size)}: refused")
        if self.size > self.limits.ratio * max(self.packed, SMALL):
            raise ArchiveError(
                f"the archive unpacks to more than {self.limits.ratio:g} times its {in_words(self.packed)}, "
                "as no archive of data does: refused"
            )


@dataclass(frozen=True, slots=True)
class _Member:
    """A regular file in an archive, or a folder (no stream)."""

    name: str
    stream: IO[bytes] | None


def unpack(archive: Path, folder: Path, kind: str, limits: Limits | None = None) -> dict[str, str]:
    """Unpack an archive into a folder, and return the SHA-256 of every file by its path in the folder.

    Parameters
    ----------
    archive
        A zip file, or a tar file, compressed with gzip, bzip2 or xz or not at all.
    folder
        Is made; must be empty.
    kind
        "zip" or "tar".
    limits
        How much may come out; None: 200 GB, a hundred times the archive's size, a million members.

    Raises
    ------
    ArchiveError
        When it is not whole, or holds what is refused. What was unpacked before stays in the folder, which
        the caller throws away.
    """
    read = {"zip": _zip_members, "tar": _tar_members}.get(kind)
    if read is None:
        raise ValueError(f"kind is {kind!r}; valid: 'zip', 'tar'")
    folder.mkdir(parents=True, exist_ok=True)
    meter = _Meter(limits or Limits(), archive.stat().st_size)
    try:
        return _write_all(read(archive), folder, meter)
    except BROKEN as error:
        raise _broken(kind, error) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise _broken(kind, error) from error  # gzip and bzip2 say so of damaged data


def _broken(kind: str, error: Exception) -> ArchiveError:
    return ArchiveError(f"what came is not a whole {kind} archive: {error or type(error).__name__}")


def _write_all(members: Iterator[_Member], folder: Path, meter: _Meter) -> dict[str, str]:
    digests = {}
    for member in members:
        meter.member()
        path = safe_path(member.name, folder)
        name = path.relative_to(folder).as_posix()
        try:
            if member.stream is None:
                path.mkdir(parents=True, exist_ok=True)
                continue
            meter.file(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            digests[name] = _write(member.stream, path, meter)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise ArchiveError(
                f"the archive has {member.name!r} both as file and folder, or twice"
            ) from error
    return digests


def _write(stream: IO[bytes], path: Path, meter: _Meter) -> str:
    digest = hashlib.sha256()
    with stream, path.open("xb") as file:
        while block := stream.read(BLOCK):
            meter.grow(len(block))
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def safe_path(name: str, folder: Path) -> Path:
    """Return where a member of that name goes, which is inside the folder.

    Raises
    ------
    ArchiveError
        When the name is absolute, empty, or has `..`, a drive, a backslash or a control character.
    """
    parts = PurePosixPath(name).parts
    plain = name.isprintable() and "\\" not in name and ":" not in name
    if not plain or not parts or name.startswith("/") or any(not part.strip(" .") for part in parts):
        raise ArchiveError(
            f"the archive has a member called {name!r}, which may lie outside its folder: refused"
        )
    path = folder.joinpath(*parts)
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ArchiveError(
            f"the archive has a member called {name!r}, which lies outside its folder: refused"
        )
    return path


def _zip_members(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise ArchiveError(f"the archive has a link or device, {info.filename!r}: refused")
            if info.flag_bits & 1:
                raise ArchiveError(f"the archive has an encrypted member, {info.filename!r}: refused")
            # zipfile cuts names at a null byte; what was really written is in orig_filename.
            if "\0" in info.orig_filename:
                raise ArchiveError(f"the archive has a member called {info.orig_filename!r}: refused")
            yield _Member(info.filename, None if info.filename.endswith("/") else opened.open(info))


def _tar_members(archive: Path) -> Iterator[_Member]:
    with tarfile.open(archive, "r:*") as opened:
        for info in opened:
            if not (info.isreg() or info.isdir()):
                raise ArchiveError(f"the archive has a link or device, {info.name!r}: refused")
            yield _Member(info.name, None if info.isdir() else opened.extractfile(info))


def take(folder: Path, wanted: Mapping[str, str]) -> dict[str, Path]:
    """Find files and folders by their last name in what was unpacked, the highest first.

    Parameters
    ----------
    folder
        What was unpacked.
    wanted
        Last name, and where it will go.

    Returns
    -------
    Where it will go, and where it is.

    Raises
    ------
    ArchiveError
        When a name is nowhere; the message says what there is.
    """
    everything = list(folder.rglob("*"))
    found: dict[str, Path] = {}
    for name, to in wanted.items():
        paths = [path for path in everything if path.name == name and "__MACOSX" not in path.parts]
        if not paths:
            there = ", ".join(sorted(path.name for path in folder.iterdir())[:10]) or "nothing"
            raise ArchiveError(f"the archive has no {name!r}; at its top it has: {there}")
        found[to] = min(paths, key=lambda path: (len(path.parts), str(path)))
    return found


def put(source: Path, target: Path) -> None:
    """Move a file or folder to its final name, at once; what was there goes away afterwards."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.is_dir():
        os.replace(source, target)
        return
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    os.replace(target, old)
    os.replace(source, target)
    shutil.rmtree(old)
