"""What was brought: its SHA-256 at the first download, kept in `<root>/checksums.json`, and checked since.

Hardly anybody publishes checksums of these weights and data. The first download is therefore taken on trust,
and every later one is held against it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from value_nb.getting.errors import ChecksumError, FetchError

FILE = "checksums.json"
LOCKS = ".locks"
DIGITS = 64  # of a SHA-256 in hexadecimal


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of something that was brought.

    Attributes
    ----------
    sha256
        Of the file as it came, in lower-case hexadecimal.
    size
        Its size in bytes.
    source
        The location that gave it.
    day
        When, as YYYY-MM-DD (UTC).
    unpacked
        Of an archive: digest of every file or folder taken from it, by its path in the item's folder.
    """

    sha256: str
    size: int
    source: str
    day: str
    unpacked: Mapping[str, str] | None = None


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree_digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of a folder: that of its files' lines "digest  path", sorted."""
    if path.is_file():
        return digest(path)
    files = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    lines = "".join(f"{digest(path / file)}  {file}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()


class Book:
    """The checksums of a root.

    Parameters
    ----------
    root
        Folder under which items lie.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.path = root, root / FILE

    def read(self) -> dict[str, Kept]:
        """Return what is kept, by "item/part". Raises FetchError when the file cannot be used."""
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise self._unusable(str(error)) from error
        try:
            return {key: Kept(**value) for key, value in found.items() if _sound(value)}
        except (AttributeError, TypeError) as error:
            raise self._unusable(str(error)) from error

    def _unusable(self, why: str) -> FetchError:
        return FetchError(
            f"{self.path} cannot be read as the list of checksums: {why}. It is written by vnb.fetch. "
            "Correct it, or delete it: then nothing that was brought before can be checked any more."
        )

    def write(self, key: str, kept: Kept) -> None:
        """Keep what was brought; other entries stay."""
        (self.root / LOCKS).mkdir(parents=True, exist_ok=True)
        with FileLock(self.root / LOCKS / f"{FILE}.lock"):
            entries = {name: asdict(value) for name, value in self.read().items()} | {key: asdict(kept)}
            part = self.path.with_name(f"{FILE}.part")
            part.write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n", encoding="utf-8")
            os.replace(part, self.path)

    def check(self, key: str, published: str | None, found: str, source: str) -> None:
        """Hold a digest against the published one, or, where there is none, the first download's.

        Raises
        ------
        ChecksumError
            When they differ.
        """
        if published is not None:
            if found != published:
                raise ChecksumError(f"sent other bytes: SHA-256 {found}, published is {published}")
            return
        first = self.read().get(key)
        if first is not None and first.sha256 != found:
            raise ChecksumError(
                f"sent other bytes than {first.source} did on {first.day}: SHA-256 {found}, then "
                f"{first.sha256}. If you trust the new ones, delete the entry {key!r} in {self.path}"
            )


def _sound(value: object) -> bool:
    if not isinstance(value, dict):
        raise TypeError(f"an entry is {type(value).__name__}, expected sha256, size, source and day")
    digits = value.get("sha256")
    if not isinstance(digits, str) or len(digits) != DIGITS:
        raise TypeError(f"a sha256 is {digits!r}, expected {DIGITS} hexadecimal digits")
    if not isinstance(value.get("size"), int) or not isinstance(value.get("unpacked"), dict | None):
        raise TypeError("expected a whole number as size, and digests by path, or null, as unpacked")
    return True


def today() -> str:
    """The day in UTC, as YYYY-MM-DD."""
    return datetime.now(UTC).date().isoformat()
