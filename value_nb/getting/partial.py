"""A download that is not whole yet: its bytes, and a note of what they are the beginning of."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Note:
    """What the server said about the whole file.

    Attributes
    ----------
    url
        The location that was asked.
    etag, modified
        The headers ETag and Last-Modified, "" where there was none.
    total
        Size of the whole file in bytes, None where the server did not say.
    """

    url: str
    etag: str = ""
    modified: str = ""
    total: int | None = None

    @property
    def validator(self) -> str:
        """What If-Range can ask by: a strong ETag, else the time of the last change; "" where neither."""
        strong = self.etag if self.etag.startswith('"') else ""
        return strong or self.modified

    def same_file(self, other: Note) -> bool:
        """Whether nothing that both notes say differs."""
        pairs = ((self.etag, other.etag), (self.modified, other.modified), (self.total, other.total))
        return all(mine == yours for mine, yours in pairs if mine and yours)


@dataclass(frozen=True, slots=True)
class Partial:
    """The beginning of a file, beside its note.

    Parameters
    ----------
    folder
        Where both lie.
    name
        Of the file.
    url
        The location: each has a beginning of its own, since two mirrors may differ.
    """

    folder: Path
    name: str
    url: str

    @property
    def path(self) -> Path:
        """Where the bytes are."""
        tag = hashlib.sha256(self.url.encode()).hexdigest()[:8]
        return self.folder / f"{self.name}.{tag}.part"

    @property
    def note_path(self) -> Path:
        """Where the note is."""
        return self.path.with_name(f"{self.path.name}.json")

    @property
    def size(self) -> int:
        """Bytes that are here."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def note(self) -> Note | None:
        """Return the note; None where there is none that can be used."""
        try:
            found = json.loads(self.note_path.read_text(encoding="utf-8"))
            note = Note(**found) if isinstance(found, Mapping) else None
        except (OSError, ValueError, TypeError):
            return None
        return note if note is not None and note.url == self.url and _sound(note) else None

    def begin(self, note: Note) -> None:
        """Start from nothing. The bytes go first: a note never stands beside another file's bytes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.discard()
        self.path.touch()
        draft = self.note_path.with_name(f"{self.note_path.name}.new")
        draft.write_text(json.dumps(asdict(note)), encoding="utf-8")
        os.replace(draft, self.note_path)

    def discard(self) -> None:
        """Throw away what is here."""
        self.path.unlink(missing_ok=True)
        self.note_path.unlink(missing_ok=True)


def _sound(note: Note) -> bool:
    texts = all(isinstance(text, str) for text in (note.etag, note.modified))
    return texts and (note.total is None or (type(note.total) is int and note.total >= 0))
