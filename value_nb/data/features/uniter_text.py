"""UNITER's text databases: which captions belong to which picture, as ids of word pieces.

A folder `<name>.db` with an LMDB file and json files. Value: an lz4 frame of a msgpack map with `input_ids`
(word pieces without [CLS] and [SEP]) and `img_fname`. Words are not stored: ids turn into pieces with the
vocabulary that `meta["bert"]` names (bert-base-cased).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from value_nb.data.features.lmdb_file import LmdbFile
from value_nb.data.features.source import MAX_BYTES, damaged

LZ4_MARK = b"\x04\x22\x4d\x18"


@dataclass(frozen=True, slots=True)
class TextRecord:
    """One caption.

    Attributes
    ----------
    id
        Its key.
    image_ids
        The pictures, one or (NLVR2) two, named as in the image database.
    input_ids
        Ids of the word pieces, without [CLS] and [SEP].
    extra
        Whatever else the record says (target, raw text), read-only by convention.
    """

    id: str
    image_ids: tuple[str, ...]
    input_ids: tuple[int, ...]
    extra: dict[str, Any] = field(default_factory=dict, hash=False)


class UniterText:
    """Captions of a UNITER text database.

    Parameters
    ----------
    path
        The folder, which holds data.mdb and the json files.

    Raises
    ------
    FileNotFoundError
        When there is no such folder.
    DataFormatError
        When a file, or the record asked for, is not what the format says.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).expanduser()
        self.lmdb = LmdbFile(self.path)
        if not self.lmdb.path.is_file():
            raise FileNotFoundError(f"{self.lmdb.path} does not exist; expected a UNITER text database.")
        self.meta: dict[str, Any] = self._json("meta.json")
        self.txt2img: dict[str, Any] = self._json("txt2img.json")
        self.img2txts: dict[str, Any] = self._json("img2txts.json") or self._turned()

    def _json(self, name: str) -> dict[str, Any]:
        """Return a json file's dict, empty where there is no such file."""
        file = self.path / name
        if not file.is_file():
            return {}
        try:
            found = json.loads(file.read_bytes())
        except (ValueError, RecursionError) as error:
            raise damaged(file, "", f"it is no JSON ({error})", "a map") from error
        if not isinstance(found, dict):
            raise damaged(file, "", f"{type(found).__name__} came", "a map")
        return found

    def _turned(self) -> dict[str, list[str]]:
        table: dict[str, list[str]] = {}
        for key, images in self.txt2img.items():
            for image in [images] if isinstance(images, str) else images:
                table.setdefault(image, []).append(key)
        return table

    @property
    def ids(self) -> tuple[str, ...]:
        """The captions' keys, in the order of the LMDB (as texts: "10" before "2")."""
        return tuple(key.decode("utf-8", "replace") for key in self.lmdb)

    @property
    def image_ids(self) -> Sequence[str]:
        """The pictures that have captions."""
        return tuple(self.img2txts)

    def read(self, key: str) -> TextRecord:
        """Return one caption. Raises KeyError where there is none, DataFormatError where it is damaged."""
        if key.encode() not in self.lmdb:
            raise KeyError(f"{self.path} has no caption {key!r}; expected one of its {len(self)} keys.")
        found = _unpack(self.lmdb.get(key.encode()), self.lmdb.path, f"caption {key}")
        pieces, images = found.pop("input_ids", None), found.pop("img_fname", None)
        images = [images] if isinstance(images, str) else images
        whole = isinstance(pieces, list) and all(type(piece) is int for piece in pieces)
        if not whole or not isinstance(images, list) or not all(isinstance(name, str) for name in images):
            raise damaged(self.lmdb.path, f"caption {key}", "other fields came", "input_ids and img_fname")
        return TextRecord(key, tuple(images), tuple(pieces or ()), found)

    def captions(self, image_id: str) -> tuple[TextRecord, ...]:
        """Return the captions of a picture. Raises KeyError where it has none."""
        if image_id not in self.img2txts:
            some = ", ".join(map(repr, self.image_ids[:5]))
            raise KeyError(f"{self.path} has no captions of {image_id!r}; expected for instance {some}.")
        return tuple(self.read(key) for key in self.img2txts[image_id])

    def __len__(self) -> int:
        return len(self.lmdb)

    def __iter__(self) -> Iterator[TextRecord]:
        return (self.read(key) for key in self.ids)

    def __repr__(self) -> str:
        return f"UniterText({str(self.path)!r})"


def _unpack(value: bytes, path: Path, place: str) -> dict[str, Any]:
    import lz4.frame
    import msgpack

    try:
        unpacker = lz4.frame.LZ4FrameDecompressor()
        data = unpacker.decompress(value, max_length=MAX_BYTES)
        found = msgpack.unpackb(data, raw=False) if unpacker.eof else None
    except Exception as error:  # damaged bytes raise nearly anything
        raise damaged(path, place, f"it cannot be unpacked ({error})", "an lz4 frame of a map") from error
    if not isinstance(found, dict):
        raise damaged(path, place, "it is cut short, or no map", "an lz4 frame of a map")
    return found
