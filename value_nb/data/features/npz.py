"""Region features in npz files: a folder with one file per picture, or one file for all pictures.

One file per picture, `<image id>.npz`, in either naming:
    plain: boxes `(region, 4)` x1 y1 x2 y2 as fractions in [0, 1], features `(region, width)`; optional
    confidence `(region,)`, class_id `(region,)` (-1 where unknown), size `(2,)` width, height in pixels;
    UNITER's extractor: norm_bb, features, conf, soft_labels, as in its databases.

One file for all (the layout of a region store): image_id `(image,)` text, offset `(image + 1,)` whole numbers
from 0, boxes `(row, 4)`, features `(row, width)` over all pictures one after the other; optional confidence
`(row,)`, class_id `(row,)`, size `(image, 2)`, class_names `(class,)` text. Written with `np.savez`, rows are
read where they lie; with `np.savez_compressed` quickly only in the order of the file. Checksums are compared
only for what is read as a whole (not features, boxes, confidence and class_id).
"""

from __future__ import annotations

import math
import os
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from value_nb.data.features.npz_file import (
    BROKEN,
    member_names,
    open_npz,
    read_arrays,
    read_header,
    read_member,
)
from value_nb.data.features.source import (
    MAX_BYTES,
    FeatureSource,
    Names,
    damaged,
    in_this_process,
    picture_size,
    stored,
)
from value_nb.data.features.uniter_record import ARRAYS, decode_record, record_image
from value_nb.data.problems import DataFormatError
from value_nb.data.regions import StoredImage

PLAIN = ("boxes", "features", "confidence", "class_id", "size")
ROWS = ("boxes", "features", "confidence", "class_id")


class NpzFolder(FeatureSource):
    """Pictures in a folder of npz files, one each; the top of this module names the arrays."""

    format = "npz-folder"
    made_by = "unknown"

    def __init__(self, path: Path | str, class_names: Names = None) -> None:
        super().__init__(path, class_names)
        self._files: dict[str, Path] | None = None

    @property
    def image_ids(self) -> Sequence[str]:
        """The names of the files without .npz, sorted."""
        return tuple(self._found())

    def __len__(self) -> int:
        return len(self._found())

    def _found(self) -> dict[str, Path]:
        if self._files is None:
            self._files = {file.stem: file for file in sorted(self.path.glob("*.npz"))}
        return self._files

    def fingerprint(self) -> str:
        """Return a text that changes when a file is added, removed or rewritten."""
        states = [(status.st_size, status.st_mtime_ns) for status in map(Path.stat, self._found().values())]
        last = max((time for _, time in states), default=0)
        return f"{self.format} {len(states)} {sum(size for size, _ in states)} {last}"

    def _decode(self, image_id: str) -> StoredImage:
        if image_id not in self._found():
            raise self._no_picture(image_id)
        file = self._found()[image_id]
        with open_npz(file, file, "") as archive:
            names = member_names(archive)
        if "norm_bb" in names:
            record = decode_record(file.read_bytes(), file, "")
            return record_image(record, image_id, len(record["norm_bb"]), file)
        arrays = read_arrays(file, PLAIN, file, "")
        missing = [name for name in ("boxes", "features") if name not in arrays]
        if missing:
            expected = f"boxes and features, or {', '.join(ARRAYS)}"
            raise damaged(file, "", f"the arrays {', '.join(sorted(names)) or 'none'} came", expected)
        size = arrays.get("size")
        return _plain_image(image_id, arrays, size, file, f"picture {image_id}")


def _plain_image(
    image_id: str, arrays: dict[str, NDArray[Any]], size: NDArray[Any] | None, path: Path, place: str
) -> StoredImage:
    boxes, features = arrays["boxes"], arrays["features"]
    rows = len(boxes) if boxes.ndim == 2 else -1
    shapes = {name: arrays[name].shape for name in ROWS if name in arrays}
    flat = all(shape in ((rows,), (rows, 1)) for name, shape in shapes.items() if name in ROWS[2:])
    if (
        rows < 0
        or boxes.shape != (rows, 4)
        or features.shape[:1] != (rows,)
        or features.ndim != 2
        or not flat
    ):
        raise damaged(path, place, f"the shapes {shapes} came", "boxes (region, 4), features (region, width)")
    if features.dtype.kind != "f" or arrays.get("class_id", np.zeros(0, int)).dtype.kind not in "iu":
        raise damaged(path, place, "numbers of other types came", "floating point features, whole class_id")
    if size is not None and size.shape != (2,):
        raise damaged(path, place, f"a size of shape {size.shape} came", "width, height")
    whole = None
    if size is not None and size.any():
        whole = picture_size(size[0].item(), size[1].item(), path, place)
    parts = [arrays[name].reshape(rows) if name in arrays else None for name in ROWS[2:]]
    return stored(image_id, whole, boxes.astype(np.float32), features, *parts)


class _Rows:
    """One array of an npz file, read a few rows at a time."""

    def __init__(self, stream: IO[bytes], start: int, size: int, path: Path, name: str) -> None:
        self.stream, self.path, self.name = stream, path, name
        self.shape, by_columns, self.dtype = read_header(stream, path, name)
        self.first = stream.tell()
        self.row_bytes = self.dtype.itemsize * math.prod(self.shape[1:])
        if by_columns and len(self.shape) > 1 and min(self.shape) > 1:
            raise damaged(path, name, "an array in column order came", "row order (np.ascontiguousarray)")
        if not self.shape or self.first - start + self.row_bytes * self.shape[0] != size:
            raise damaged(
                path, name, f"{size} bytes for {self.dtype} {self.shape} came", "as many as it takes"
            )

    def read(self, start: int, stop: int, place: str) -> NDArray[Any]:
        size = (stop - start) * self.row_bytes
        if size > MAX_BYTES:
            raise damaged(self.path, place, f"{size} bytes of {self.name} came", f"at most {MAX_BYTES}")
        try:
            self.stream.seek(self.first + start * self.row_bytes)
            data = self.stream.read(size)
        except BROKEN as error:
            raise damaged(
                self.path, place, f"{self.name} cannot be read ({error})", "a whole file"
            ) from error
        if len(data) != size:
            raise damaged(self.path, place, f"{self.name} ends early", f"{size} bytes")
        return np.frombuffer(bytearray(data), self.dtype).reshape(stop - start, *self.shape[1:])


class NpzFile(FeatureSource):
    """Pictures of one npz file; the top of this module names the arrays."""

    format = "npz-file"
    made_by = "unknown"

    def __init__(self, path: Path | str, class_names: Names = None) -> None:
        super().__init__(path, class_names)
        self._opened: tuple[int, dict[str, Any]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_opened": None}

    def close(self) -> None:
        """Close the file; the next look-up opens it again."""
        if in_this_process(self._opened) and self._opened is not None:
            for part in self._opened[1]["rows"].values():
                part.stream.close()
            self._opened[1]["archive"].close()
        self._opened = None

    def _open(self) -> dict[str, Any]:
        if not in_this_process(self._opened):
            archive = open_npz(self.path, self.path, "")
            try:
                self._opened = os.getpid(), self._read_small(archive)
            except BaseException:
                archive.close()
                raise
        assert self._opened is not None
        return self._opened[1]

    def _read_small(self, archive: Any) -> dict[str, Any]:
        names, path = member_names(archive), self.path
        ids = read_member(archive, "image_id", path, "", text=True)
        offset = read_member(archive, "offset", path, "")
        size = read_member(archive, "size", path, "") if "size" in names else None
        classes = read_member(archive, "class_names", path, "", text=True) if "class_names" in names else None
        if ids.ndim != 1 or ids.dtype.kind != "U" or len(set(ids.tolist())) != len(ids):
            raise damaged(path, "image_id", f"{ids.dtype} {ids.shape} came", "texts, each once")
        rows = {name: self._rows(archive, name) for name in ROWS if name in names or name in ROWS[:2]}
        count = rows["boxes"].shape[0]
        rising = (
            offset.shape == (len(ids) + 1,) and offset.dtype.kind in "iu" and (np.diff(offset) >= 0).all()
        )
        if not rising or offset[0] != 0 or offset[-1] != count:
            raise damaged(path, "offset", f"{offset.dtype} {offset.shape} came", f"0 rising to {count}")
        wrong = {name: part.shape for name, part in rows.items() if part.shape[0] != count}
        if size is not None and size.shape != (len(ids), 2):
            wrong["size"] = size.shape
        if wrong:
            expected = f"{count} rows in each array, and a size for each of {len(ids)} pictures"
            raise damaged(path, "", f"{wrong} came", expected)
        index = {image_id: row for row, image_id in enumerate(ids.tolist())}
        return {"archive": archive, "index": index, "offset": offset, "size": size, "rows": rows} | (
            {} if classes is None else {"class_names": tuple(map(str, classes.reshape(-1).tolist()))}
        )

    def _rows(self, archive: Any, name: str) -> _Rows:
        try:
            info = archive.getinfo(f"{name}.npy")
            packed = archive.open(info)  # compares the two places where the zip file names it
            if info.compress_type != zipfile.ZIP_STORED:
                return _Rows(packed, 0, info.file_size, self.path, name)
            packed.close()
            stream, start = self._where(info)
            return _Rows(stream, start, info.file_size, self.path, name)
        except KeyError:
            raise damaged(
                self.path, name, "it is missing", ", ".join(("image_id", "offset", *ROWS[:2]))
            ) from None
        except DataFormatError:
            raise
        except (*BROKEN, struct.error) as error:
            raise damaged(self.path, name, f"it cannot be unpacked ({error})", "a whole file") from error

    def _where(self, info: zipfile.ZipInfo) -> tuple[IO[bytes], int]:
        """Open the file where an uncompressed array begins; zipfile would read all that is before it."""
        stream = self.path.open("rb")
        stream.seek(info.header_offset)
        name, extra = struct.unpack("<HH", stream.read(30)[26:])
        start = info.header_offset + 30 + name + extra
        stream.seek(start)
        return stream, start

    @property
    def image_ids(self) -> Sequence[str]:
        """The image ids, in the order of the file."""
        return tuple(self._open()["index"])

    def __len__(self) -> int:
        return len(self._open()["index"])

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names given, else those of the file, else as many unknown ones as Visual Genome has."""
        return super().class_names if self._given_names is not None else self._names_inside()

    def _names_inside(self) -> tuple[str, ...]:
        return self._open().get("class_names", ("",) * self._n_classes())

    def _decode(self, image_id: str) -> StoredImage:
        opened = self._open()
        if image_id not in opened["index"]:
            raise self._no_picture(image_id)
        row, place = opened["index"][image_id], f"picture {image_id}"
        start, stop = opened["offset"][row : row + 2].tolist()
        arrays = {name: part.read(start, stop, place) for name, part in opened["rows"].items()}
        size = None if opened["size"] is None else opened["size"][row]
        return _plain_image(image_id, arrays, size, self.path, place)
