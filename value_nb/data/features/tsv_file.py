"""Feature files with one picture a line and fields between tabs; found again by byte offset.

The first look-up of an id, or one way through with `stream()`, notes where each line begins (32 bytes a
picture are kept); after that a picture is read by itself. A line without an end is taken for cut, as a
complete file ends in one. A file that was cut exactly at the end of a line looks like a shorter file: only
the number of pictures tells. Fields are split at tabs by hand, so the csv module's process-wide limit on
the size of a field plays no part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from value_nb.data.features.detector_fields import fields_image
from value_nb.data.features.source import MAX_BYTES, FeatureSource, Names, Reader, damaged
from value_nb.data.problems import DataFormatError
from value_nb.data.regions import StoredImage


@dataclass(frozen=True, slots=True)
class _Line:
    """Where a line is, and the number of the earlier line that has the same image id (0: none)."""

    number: int
    first: int
    size: int
    earlier: int


class TsvSource(FeatureSource):
    """Pictures of a file with tabs; the subclasses name its fields.

    A line without an id of its own (cut, or with the id of an earlier line) goes by "(line 17)", so that it
    is not passed over in silence: reading it raises.
    """

    fields: ClassVar[tuple[str, ...]]
    """Names of the fields in their order; the first is the image id."""

    def __init__(self, path: Path | str, class_names: Names = None) -> None:
        super().__init__(path, class_names)
        self._index: dict[str, _Line] | None = None

    @property
    def image_ids(self) -> Sequence[str]:
        """The image ids, in the order of the file."""
        return tuple(self._lines_by_id())

    def __len__(self) -> int:
        return len(self._lines_by_id())

    @property
    def known_length(self) -> int | None:
        """Number of pictures, None before the first way through the file."""
        return None if self._index is None else len(self._index)

    def _lines_by_id(self) -> dict[str, _Line]:
        if self._index is None:
            for _ in self._records():
                pass
        assert self._index is not None
        return self._index

    def _records(self) -> Iterator[tuple[str, Reader]]:
        index: dict[str, _Line] = {}
        with self.path.open("rb") as stream:
            first = number = 0
            while line := stream.readline(MAX_BYTES):
                number += 1
                if len(line) == MAX_BYTES:
                    raise damaged(
                        self.path, f"line {number}", f"over {MAX_BYTES} bytes came", "a shorter line"
                    )
                image_id = _image_id(line)
                earlier = index[image_id].number if image_id in index else 0
                where = _Line(number, first, len(line), earlier)
                image_id = f"(line {number})" if earlier or not image_id else image_id
                index[image_id] = where
                first += len(line)
                yield image_id, partial(self._parse, image_id, where, line)
        self._index = index

    def _decode(self, image_id: str) -> StoredImage:
        where = self._lines_by_id().get(image_id)
        if where is None:
            raise self._no_picture(image_id)
        with self.path.open("rb") as stream:
            stream.seek(where.first)
            line = stream.read(where.size)
        if len(line) < where.size or (_image_id(line) != image_id and not image_id.startswith("(line ")):
            raise damaged(
                self.path, f"line {where.number}", "the file has changed since it was opened", "the same"
            )
        return self._parse(image_id, where, line)

    def _parse(self, image_id: str, where: _Line, line: bytes) -> StoredImage:
        place = f"line {where.number}"
        if not line.endswith(b"\n"):
            raise damaged(
                self.path,
                place,
                "a line without an end came, so it was cut",
                "a line end (if the line is whole, append one)",
            )
        if where.earlier:
            raise DataFormatError(
                self.path,
                place,
                f"picture {_image_id(line)} came again; expected each once (first: line {where.earlier}). "
                "Remove one of the two lines.",
            )
        parts = line.rstrip(b"\r\n").split(b"\t")
        if len(parts) != len(self.fields):
            names = ", ".join(self.fields)
            raise damaged(self.path, place, f"{len(parts)} fields came", f"{len(self.fields)}: {names}")
        return fields_image(image_id, dict(zip(self.fields, parts, strict=True)), self.path)


def _image_id(line: bytes) -> str:
    """Return the first field as text, "" where there is none."""
    field, tab, _ = line.partition(b"\t")
    if field.startswith(b'"') and field.endswith(b'"') and len(field) > 1:
        field = field[1:-1].replace(b'""', b'"')  # as the csv module quotes
    try:
        return field.decode() if tab else ""
    except UnicodeDecodeError:
        return ""
