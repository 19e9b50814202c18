"""The kit's region store: boxes and features of every picture of a data set, in one HDF5 file.

Attributes: format="value_nb-regions", version=2, feature_source (text). Data sets, over all pictures one
after the other: image_id `(image,)` UTF-8; offset `(image + 1,)` int64; size `(image, 2)` int32 width,
height, 0 0 where unknown (version 1: never unknown); boxes `(row, 4)` float32 x1 y1 x2 y2 in [0, 1];
features `(row, width)` float16; confidence `(row,)` float16; class_id `(row,)` int16, -1 where unknown;
class_names `(class,)` UTF-8, "" where only the index is known; annotated `(row,)` bool.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from value_nb.data.example import Regions
from value_nb.data.problems import DataFormatError, ProblemReport

FORMAT, VERSION = "value_nb-regions", 2
READABLE = (1, 2)
"""Versions that are read; `VERSION` is written."""
KINDS = {
    "image_id": ("O", 1),
    "offset": ("iu", 1),
    "size": ("iu", 2),
    "boxes": ("f", 2),
    "features": ("f", 2),
    "confidence": ("f", 1),
    "class_id": ("i", 1),
    "class_names": ("O", 1),
    "annotated": ("b", 1),
}
"""Per data set the allowed kinds of dtype and the number of axes."""
ROWS = ("boxes", "features", "confidence", "class_id", "annotated")
BOX_SLACK = 1e-5
"""Boxes may leave [0, 1] by this much (rounding); they are cut back."""

FILE_TYPES = {"boxes": np.float32, "class_id": np.int16, "annotated": np.bool_}
"""Types on disk of the per-region data sets; the others are float16."""

CHUNK_BYTES, CHUNK_ROWS, BLOCK_CHUNKS = 1 << 17, 4096, 8
"""Size of a piece of the features, most rows in a piece, and how many pieces are written at a time."""


@dataclass(frozen=True, slots=True)
class StoredImage:
    """The regions of one picture, as `write_region_store` takes them.

    Attributes
    ----------
    image_id, size
        The picture and its (width, height) in pixels, None where unknown.
    boxes, features
        `(region, 4)` x1 y1 x2 y2 in [0, 1], and `(region, width)`.
    confidence, class_id, annotated
        `(region,)`: detector confidence in [0, 1] (nan where unknown), index into the class names (-1 where
        unknown), and whether the box is an annotated one.
    """

    image_id: str
    size: tuple[int, int] | None
    boxes: np.ndarray
    features: np.ndarray
    confidence: np.ndarray
    class_id: np.ndarray
    annotated: np.ndarray


@dataclass(frozen=True, slots=True)
class _Index:
    """What is kept in memory of an open store."""

    row_of: dict[str, int]
    offset: np.ndarray
    size: np.ndarray
    class_names: tuple[str, ...]
    feature_source: str
    width: int


class RegionStore:
    """Regions by image id: `store["17"]` gives a `Regions`.

    The file is opened at the first look-up, once per process: a copy that was pickled, or that finds itself
    in a forked process, opens the file anew.

    Parameters
    ----------
    path
        The HDF5 file.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    DataFormatError
        At the first look-up, when the file is not a region store.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(
                f"{self.path} does not exist; expected a region store (HDF5, format {FORMAT!r}). "
                "Give the path of an existing store, or None to work with annotated boxes alone."
            )
        self.problems = ProblemReport()
        """What `convert_features` could not bring into this store; empty for a store opened from its file."""
        self._opened: tuple[int, h5py.File, _Index] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "problems": self.problems, "_opened": None}

    def _open(self) -> tuple[h5py.File, _Index]:
        if self._opened is None or self._opened[0] != os.getpid():
            try:
                file = h5py.File(self.path, "r")
            except OSError as error:
                raise DataFormatError(
                    self.path,
                    "",
                    f"it cannot be opened as HDF5 ({error}); expected a region store. Copy it again.",
                ) from error
            try:
                self._opened = os.getpid(), file, _read_index(file, self.path)
            except BaseException:
                file.close()
                raise
        return self._opened[1:]

    def close(self) -> None:
        """Close the file; the next look-up opens it again."""
        if self._opened is not None and self._opened[0] == os.getpid():
            self._opened[1].close()
        self._opened = None

    @property
    def image_ids(self) -> tuple[str, ...]:
        """The image ids, in the order of the file."""
        return tuple(self._open()[1].row_of)

    @property
    def feature_source(self) -> str:
        """What made the features, in words."""
        return self._open()[1].feature_source

    @property
    def class_names(self) -> tuple[str, ...]:
        """The detector's classes."""
        return self._open()[1].class_names

    @property
    def width(self) -> int:
        """Number of features of a region."""
        return self._open()[1].width

    def __len__(self) -> int:
        return len(self._open()[1].row_of)

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._open()[1].row_of

    def __iter__(self) -> Iterator[str]:
        return iter(self.image_ids)

    def __getitem__(self, image_id: str) -> Regions:
        return self.read(image_id)

    def size(self, image_id: str) -> tuple[int, int] | None:
        """Return (width, height) of a picture in pixels, None where unknown.

        Raises KeyError when the store lacks the picture.
        """
        width, height = self._open()[1].size[self._row(image_id)].tolist()
        return (width, height) if width and height else None

    def read(self, image_id: str, features: bool = True) -> Regions:
        """Return the regions of a picture; without `features` these stay unread (None).

        Raises
        ------
        KeyError
            When the store lacks the picture.
        DataFormatError
            When its boxes, features or class indices are out of range, or the file is damaged there.
        """
        index, part = self._open()[1], self._parts(image_id, features)
        boxes = _checked_boxes(part["boxes"], self.path, image_id)
        vectors = part["features"].astype(np.float32) if features else None
        if vectors is not None and not np.isfinite(vectors).all():
            raise DataFormatError(
                self.path,
                f"features of picture {image_id}",
                "nan or infinity came; expected finite numbers. Build the store again.",
            )
        names = _names(part["class_id"], index.class_names, self.path, image_id)
        sources = tuple("annotated" if flag else "detected" for flag in part["annotated"])
        return Regions(boxes, vectors, names, sources, part["confidence"].astype(np.float32))

    def class_ids(self, image_id: str) -> np.ndarray:
        """Return the class index of each region, -1 where unknown. Raises as `read` does."""
        return self._parts(image_id, False)["class_id"].astype(np.int64)

    def _parts(self, image_id: str, features: bool) -> dict[str, np.ndarray]:
        """Read a picture's rows of every per-region data set."""
        file, index = self._open()
        row = self._row(image_id)
        rows = slice(int(index.offset[row]), int(index.offset[row + 1]))
        try:
            return {name: file[name][rows] for name in ROWS if features or name != "features"}
        except OSError as error:
            raise DataFormatError(
                self.path,
                f"picture {image_id}",
                f"its rows cannot be read ({error}); the file is damaged. Copy or build it again.",
            ) from error

    def _row(self, image_id: str) -> int:
        row_of = self._open()[1].row_of
        if image_id not in row_of:
            some = ", ".join(repr(key) for key in list(row_of)[:5])
            raise KeyError(
                f"{self.path} has no picture {image_id!r}; expected one of its {len(row_of)} image ids, "
                f"for instance {some}. Image ids are strings."
            )
        return row_of[image_id]

    def __repr__(self) -> str:
        return f"RegionStore({str(self.path)!r})"


def open_store(regions: RegionStore | Path | str | None) -> RegionStore | None:
    """Return a region store for a store, a path, or None."""
    return regions if regions is None or isinstance(regions, RegionStore) else RegionStore(regions)


def _read_index(file: h5py.File, path: Path) -> _Index:
    """Check the whole layout and read what is small. Raises DataFormatError."""
    if file.attrs.get("format") != FORMAT:
        raise DataFormatError(
            path,
            "attribute 'format'",
            f"{file.attrs.get('format')!r} came; expected {FORMAT!r}. "
            "This HDF5 file is not a region store of value_nb; give the path of one.",
        )
    version = file.attrs.get("version")
    if version not in READABLE:
        raise DataFormatError(
            path,
            "attribute 'version'",
            f"{version!r} came; this release reads the versions {', '.join(map(str, READABLE))}. "
            "Build the store again, or use the release of value_nb that wrote it.",
        )
    for name in KINDS:
        _check_dataset(file, name, path)
    image_ids = _texts(file["image_id"], path)
    offset = file["offset"][:].astype(np.int64)
    _check_lengths(file, image_ids, offset, path)
    row_of = {image_id: row for row, image_id in enumerate(image_ids)}
    source = str(file.attrs.get("feature_source", ""))
    names = tuple(_texts(file["class_names"], path))
    return _Index(row_of, offset, file["size"][:], names, source, int(file["features"].shape[1]))


def _check_dataset(file: h5py.File, name: str, path: Path) -> None:
    kinds, axes = KINDS[name]
    if name not in file:
        raise DataFormatError(
            path, f"data set {name!r}", f"it is missing; expected {', '.join(KINDS)}. Build the store again."
        )
    data = file.get(name) if isinstance(file.get(name, getlink=True), h5py.HardLink) else None
    if not isinstance(data, h5py.Dataset) or data.external or data.is_virtual:
        raise DataFormatError(
            path,
            f"data set {name!r}",
            "it is no data set, or points to another file; expected a data set stored "
            "in this file. Build the store again.",
        )
    if data.ndim != axes or data.dtype.kind not in kinds:
        raise DataFormatError(
            path,
            f"data set {name!r}",
            f"{data.ndim} axes of {data.dtype} came; expected {axes} of kind {kinds}. Build the store again.",
        )


def _texts(data: h5py.Dataset, path: Path) -> list[str]:
    if h5py.check_string_dtype(data.dtype) is None:
        raise DataFormatError(path, f"data set {data.name!r}", "it holds no text; expected UTF-8 strings.")
    return [str(text) for text in data.asstr()[:]]


def _check_lengths(file: h5py.File, image_ids: list[str], offset: np.ndarray, path: Path) -> None:
    rows = len(file["boxes"])
    wrong = {name: len(file[name]) for name in ROWS if len(file[name]) != rows}
    if wrong or file["boxes"].shape[1] != 4 or file["size"].shape != (len(image_ids), 2):
        raise DataFormatError(
            path,
            "shapes",
            f"boxes {file['boxes'].shape}, size {file['size'].shape}, other lengths {wrong} came; "
            f"expected boxes (row, 4), size ({len(image_ids)}, 2) and every per-row data set as long as "
            "boxes. "
            "Build the store again.",
        )
    steps = np.diff(offset)
    if len(offset) != len(image_ids) + 1 or offset[0] != 0 or offset[-1] != rows or (steps < 0).any():
        raise DataFormatError(
            path,
            "data set 'offset'",
            f"{len(offset)} offsets came; expected {len(image_ids) + 1} that start at 0, "
            f"never fall and end at {rows}. Build the store again.",
        )
    if len(set(image_ids)) != len(image_ids):
        raise DataFormatError(
            path,
            "data set 'image_id'",
            "an image id occurs twice; expected each once. Build the store again.",
        )


def _checked_boxes(boxes: np.ndarray, path: Path, image_id: str) -> np.ndarray:
    inside = (
        np.isfinite(boxes).all()
        and boxes.min(initial=0) >= -BOX_SLACK
        and boxes.max(initial=1) <= 1 + BOX_SLACK
    )
    if not inside or (boxes[:, 2:] <= boxes[:, :2]).any():
        raise DataFormatError(
            path,
            f"boxes of picture {image_id}",
            "a box outside [0, 1], or without area, came; expected x1 < x2 and "
            "y1 < y2 as fractions of width and height. Divide by the picture's size and build the store "
            "again.",
        )
    return np.clip(boxes, 0.0, 1.0).astype(np.float32)


def _names(class_id: np.ndarray, names: tuple[str, ...], path: Path, image_id: str) -> tuple[str, ...]:
    if class_id.max(initial=-1) >= len(names) or class_id.min(initial=-1) < -1:
        raise DataFormatError(
            path,
            f"class_id of picture {image_id}",
            f"a class index outside -1 to {len(names) - 1} came; expected "
            "an index into class_names, or -1 where the class is unknown. Build the store again.",
        )
    return tuple(names[index] if index >= 0 else "" for index in class_id.tolist())


class RegionStoreWriter:
    """Writes a region store picture by picture; memory does not grow with their number.

    Everything goes to a temporary file beside the store, which gets its own name when the `with` block ends
    without an error, the file has been closed, and it can be read as a store. Kept in memory: the image ids,
    sizes and numbers of regions, and at most a few megabytes of rows.

    Parameters
    ----------
    path
        The file to make; an older one is replaced.
    class_names
        What the class indices stand for, "" where only the index is known.
    feature_source
        What made the features, in words.
    check
        Called with the finished store, still under its temporary name; what it raises keeps the store from
        getting its own name.

    Examples
    --------
        with RegionStoreWriter("features.h5", names, "a detector") as writer:
            for picture in pictures:
                writer.add(picture)
    """

    def __init__(
        self,
        path: Path | str,
        class_names: Sequence[str],
        feature_source: str,
        check: Callable[[RegionStore], None] | None = None,
    ) -> None:
        self.path, self.class_names, self.feature_source = Path(path), tuple(class_names), feature_source
        self._temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        self._check = check
        self._seen: dict[str, tuple[tuple[int, int], int]] = {}
        self._waiting: list[dict[str, np.ndarray]] = []
        self._rows_waiting = 0
        self._width: int | None = None

    def __enter__(self) -> RegionStoreWriter:
        self._file = h5py.File(self._temporary, "w")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self._file:
                if kind is None:
                    self._finish()
            if kind is None:
                self._publish()
        finally:
            self._temporary.unlink(missing_ok=True)

    def add(self, image: StoredImage) -> None:
        """Add a picture.

        Raises
        ------
        ValueError
            When its arrays do not fit together or its numbers are out of range.
        DataFormatError
            When its image id has been added before.
        """
        width = image.features.shape[-1] if self._width is None else self._width
        _check_image(image, width, len(self.class_names))
        if image.image_id in self._seen:
            raise DataFormatError(
                self.path, f"picture {image.image_id}", "an image id came twice; expected each once."
            )
        if self._width is None:
            self._begin(width)
        self._seen[image.image_id] = (image.size or (0, 0), len(image.boxes))
        self._waiting.append({name: np.asarray(getattr(image, name)) for name in ROWS})
        self._rows_waiting += len(image.boxes)
        if self._rows_waiting >= self._block:
            self._write(self._block)

    def _begin(self, width: int) -> None:
        """Make the data sets that grow."""
        self._width = width
        chunk = max(1, min(CHUNK_ROWS, CHUNK_BYTES // max(1, 2 * width)))
        self._block = chunk * BLOCK_CHUNKS
        for name, columns in {**dict.fromkeys(ROWS, ()), "boxes": (4,), "features": (width,)}.items():
            self._file.create_dataset(
                name,
                shape=(0, *columns),
                maxshape=(None, *columns),
                chunks=(chunk if name == "features" else CHUNK_ROWS, *(max(1, side) for side in columns)),
                dtype=FILE_TYPES.get(name, np.float16),
                compression="gzip",
                shuffle=True,
                track_times=False,
            )

    def _write(self, multiple: int) -> None:
        """Append the waiting rows, up to a multiple of so many, so that pieces are packed once."""
        count = self._rows_waiting // multiple * multiple
        rows = {name: np.concatenate([part[name] for part in self._waiting]) for name in ROWS}
        for name, array in rows.items():
            data = self._file[name]
            data.resize(len(data) + count, axis=0)
            data[len(data) - count :] = np.asarray(array[:count], data.dtype)
        self._waiting = [{name: array[count:].copy() for name, array in rows.items()}]
        self._rows_waiting -= count

    def _finish(self) -> None:
        if self._width is None:
            raise ValueError("No pictures came; expected at least one StoredImage.")
        if self._rows_waiting:
            self._write(1)
        file, text = self._file, h5py.string_dtype("utf-8")
        file.attrs["format"], file.attrs["version"] = FORMAT, VERSION
        file.attrs["feature_source"] = self.feature_source
        sizes, counts = zip(*self._seen.values(), strict=True)
        file.create_dataset("image_id", data=list(self._seen), dtype=text)
        names = list(self.class_names)
        file.create_dataset("class_names", data=names, dtype=text, shape=(len(names),))
        file.create_dataset("offset", data=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))
        file.create_dataset("size", data=np.array(sizes, dtype=np.int32))

    def _publish(self) -> None:
        with h5py.File(self._temporary, "r") as file:
            _read_index(file, self.path)
        if self._check is not None:
            store = RegionStore(self._temporary)
            try:
                self._check(store)
            finally:
                store.close()
        os.replace(self._temporary, self.path)


def write_region_store(
    path: Path | str, images: Iterable[StoredImage], class_names: Sequence[str], feature_source: str
) -> Path:
    """Write a region store under a temporary name, and give it its own name only when it is whole.

    Parameters
    ----------
    path
        The file to make; an older one is replaced.
    images
        The pictures, in the order in which they are stored; taken one at a time.
    class_names
        What the class indices stand for.
    feature_source
        What made the features, in words.

    Raises
    ------
    ValueError
        When a picture's arrays do not fit together, or an image id occurs twice.
    """
    with RegionStoreWriter(path, class_names, feature_source) as writer:
        for image in images:
            writer.add(image)
    return writer.path


def _check_image(image: StoredImage, width: int, n_classes: int) -> None:
    rows = len(image.boxes)
    shapes = {name: np.shape(getattr(image, name)) for name in ROWS}
    wanted = {"boxes": (rows, 4), "features": (rows, width)}
    wrong = {name: shape for name, shape in shapes.items() if shape != wanted.get(name, (rows,))}
    if wrong:
        raise ValueError(
            f"Picture {image.image_id!r}: shapes {wrong} came; expected boxes ({rows}, 4), features "
            f"({rows}, {width}) "
            f"and ({rows},) for the others."
        )
    _checked_boxes(np.asarray(image.boxes), Path("region store"), image.image_id)
    _names(np.asarray(image.class_id), ("",) * n_classes, Path("region store"), image.image_id)
    if (
        not np.isfinite(image.features).all()
        or np.abs(image.features).max(initial=0) > np.finfo(np.float16).max
    ):
        raise ValueError(
            f"Picture {image.image_id!r}: features that float16 cannot hold came; scale them first."
        )
