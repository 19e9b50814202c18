"""The kit's region store: boxes and features of every picture of a data set, in one HDF5 file.

Attributes: format="value_nb-regions", version=1, feature_source (text). Data sets, over all pictures one
after the other: image_id `(image,)` UTF-8; offset `(image + 1,)` int64; size `(image, 2)` int32 width,
height; boxes `(row, 4)` float32 x1 y1 x2 y2 in [0, 1]; features `(row, width)` float16; confidence `(row,)`
float16; class_id `(row,)` int16, -1 where unknown; class_names `(class,)` UTF-8; annotated `(row,)` bool.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from value_nb.data.example import Regions
from value_nb.data.problems import DataFormatError

FORMAT, VERSION = "value_nb-regions", 1
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


@dataclass(frozen=True, slots=True)
class StoredImage:
    """The regions of one picture, as `write_region_store` takes them.

    Attributes
    ----------
    image_id, size
        The picture and its (width, height) in pixels.
    boxes, features
        `(region, 4)` x1 y1 x2 y2 in [0, 1], and `(region, width)`.
    confidence, class_id, annotated
        `(region,)`: detector confidence in [0, 1] (nan where unknown), index into the class names (-1 where
        unknown), and whether the box is an annotated one.
    """

    image_id: str
    size: tuple[int, int]
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
        self._opened: tuple[int, h5py.File, _Index] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_opened": None}

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

    def size(self, image_id: str) -> tuple[int, int]:
        """Return (width, height) of a picture in pixels. Raises KeyError when the store lacks it."""
        width, height = self._open()[1].size[self._row(image_id)].tolist()
        return width, height

    def read(self, image_id: str, features: bool = True) -> Regions:
        """Return the regions of a picture; without `features` these stay unread (None).

        Raises
        ------
        KeyError
            When the store lacks the picture.
        DataFormatError
            When its boxes, features or class indices are out of range.
        """
        file, index = self._open()
        row = self._row(image_id)
        rows = slice(int(index.offset[row]), int(index.offset[row + 1]))
        boxes = _checked_boxes(file["boxes"][rows], self.path, image_id)
        vectors = file["features"][rows].astype(np.float32) if features else None
        if vectors is not None and not np.isfinite(vectors).all():
            raise DataFormatError(
                self.path,
                f"features of picture {image_id}",
                "nan or infinity came; expected finite numbers. Build the store again.",
            )
        names = _names(file["class_id"][rows], index.class_names, self.path, image_id)
        sources = tuple("annotated" if flag else "detected" for flag in file["annotated"][rows])
        return Regions(boxes, vectors, names, sources, file["confidence"][rows].astype(np.float32))

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
    if version != VERSION:
        raise DataFormatError(
            path,
            "attribute 'version'",
            f"{version!r} came; this release reads version {VERSION}. "
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


def write_region_store(
    path: Path | str, images: Iterable[StoredImage], class_names: Sequence[str], feature_source: str
) -> Path:
    """Write a region store under a temporary name, and give it its own name only when it is whole.

    Parameters
    ----------
    path
        The file to make; an older one is replaced.
    images
        The pictures, in the order in which they are stored.
    class_names
        What the class indices stand for.
    feature_source
        What made the features, in words.

    Raises
    ------
    ValueError
        When a picture's arrays do not fit together, or an image id occurs twice.
    """
    path, stored = Path(path), list(images)
    if not stored:
        raise ValueError("No pictures came; expected at least one StoredImage.")
    for image in stored:
        _check_image(image, stored[0].features.shape[-1], len(class_names))
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with h5py.File(temporary, "w") as file:
            _fill(file, stored, class_names, feature_source)
        with h5py.File(temporary, "r") as file:
            _read_index(file, path)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


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


def _fill(
    file: h5py.File, images: list[StoredImage], class_names: Sequence[str], feature_source: str
) -> None:
    text = h5py.string_dtype("utf-8")
    file.attrs["format"], file.attrs["version"], file.attrs["feature_source"] = (
        FORMAT,
        VERSION,
        feature_source,
    )
    counts = [len(image.boxes) for image in images]
    file.create_dataset("image_id", data=[image.image_id for image in images], dtype=text)
    file.create_dataset("class_names", data=list(class_names), dtype=text, shape=(len(class_names),))
    file.create_dataset("offset", data=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))
    file.create_dataset("size", data=np.array([image.size for image in images], dtype=np.int32))
    dtypes = {"boxes": np.float32, "class_id": np.int16, "annotated": np.bool_}
    for name in ROWS:
        array = np.concatenate([np.asarray(getattr(image, name)) for image in images])
        dtype = dtypes.get(name, np.float16)
        file.create_dataset(
            name, data=array.astype(dtype), compression="gzip", shuffle=True, track_times=False
        )
