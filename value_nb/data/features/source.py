"""What every source of region features offers, whatever the format of its files."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from value_nb.data.problems import DataFormatError
from value_nb.data.regions import BOX_SLACK, StoredImage

VISUAL_GENOME_CLASSES = 1600
"""Classes of the detectors trained on Visual Genome (bottom-up attention), background left out."""

MAX_REGIONS, MAX_WIDTH = 100_000, 1 << 16
"""Larger counts in a file are taken for damage: no memory is set aside for them."""

MAX_BYTES = 1 << 30
"""Largest array, or unpacked record, of one picture."""

NUMERIC = frozenset(
    f"{order}{kind}" for order in "<>|=" for kind in "f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 b1".split()
)
"""Types of numbers that are read; anything else (objects, text, records) is refused."""

Names = Sequence[str] | Path | str | None
Reader = Callable[[], StoredImage]


class FeatureSource(ABC):
    """Region features of many pictures, in the files of somebody else's format; read only.

    Files are opened when they are needed, once per process: a copy that was pickled, or that finds itself in
    a forked process, opens them anew. Image ids are the format's own. The width of the features is that of
    the first picture that can be read; a picture of another width is refused.

    Parameters
    ----------
    path
        The file or folder.
    class_names
        What the class indices stand for: a sequence, or a text file with one name a line (for instance
        objects_vocab.txt of the detector). None: the indices are kept, and their names are "" (unknown).

    Raises
    ------
    FileNotFoundError
        When nothing is at the path.
    DataFormatError
        When a file, or the record asked for, is not what its format says.
    """

    format: ClassVar[str]
    """Name of the format, as `open_features` takes it."""

    made_by: ClassVar[str]
    """What made the features, in words, as far as the format tells."""

    def __init__(self, path: Path | str, class_names: Names = None) -> None:
        self.path = Path(path).expanduser()
        if not self.path.exists():
            raise FileNotFoundError(
                f"{self.path} does not exist; expected features in the format {self.format}."
            )
        self._given_names = None if class_names is None else read_class_names(class_names)
        self._width: int | None = None

    @property
    @abstractmethod
    def image_ids(self) -> Sequence[str]:
        """The image ids, in the order of the file; found at the first look-up."""

    @abstractmethod
    def _decode(self, image_id: str) -> StoredImage:
        """Read one picture, unchecked. Raises KeyError where it is unknown, DataFormatError where damaged."""

    @property
    def data_file(self) -> Path:
        """The file that holds the features (the folder, where there are many)."""
        return self.path

    @property
    def class_names(self) -> tuple[str, ...]:
        """The detector's classes, "" where the name is unknown."""
        return ("",) * self._n_classes() if self._given_names is None else self._given_names

    def _n_classes(self) -> int:
        return VISUAL_GENOME_CLASSES

    @property
    def feature_source(self) -> str:
        """What made the features, in words, and the format and name of the file."""
        return f"{self.made_by}; converted from {self.format} {self.path.name}"

    @property
    def width(self) -> int:
        """Number of features of a region."""
        if self._width is None:
            self._width = self._first_width()
        return self._width

    def _first_width(self) -> int:
        for _, read in self._records():
            try:
                image = read()
            except DataFormatError:
                continue
            if len(image.boxes) and image.features.ndim == 2:
                return image.features.shape[1]
        return 0

    def read(self, image_id: str) -> StoredImage:
        """Return one picture.

        Boxes are fractions of width and height; features are as stored (float16 or float32); the size is None
        where the format does not tell it.

        Raises
        ------
        KeyError
            When the source lacks the picture.
        DataFormatError
            When the record is damaged, or its numbers cannot be regions.
        """
        return self._checked(self._decode(image_id))

    def stream(self) -> Iterator[tuple[str, Reader]]:
        """Yield every image id with a call that reads the picture, in the order of the file.

        The way through a whole file: a record that cannot be read raises when it is called, and the next one
        can still be had.
        """
        for image_id, read in self._records():
            yield image_id, lambda read=read: self._checked(read())  # type: ignore[misc]

    def _records(self) -> Iterator[tuple[str, Reader]]:
        for image_id in self.image_ids:
            yield image_id, lambda image_id=image_id: self._decode(image_id)  # type: ignore[misc]

    def _checked(self, image: StoredImage) -> StoredImage:
        return check_regions(image, self.data_file, self.width, len(self.class_names))

    def fingerprint(self) -> str:
        """Return a text that changes when the file does, or when other regions are taken from it."""
        status = self.data_file.stat()
        return f"{self.format} {self.data_file.name} {status.st_size} {status.st_mtime_ns}"

    @property
    def known_length(self) -> int | None:
        """Number of pictures, None while it is not known without reading the whole file."""
        return len(self)

    def __len__(self) -> int:
        return len(self.image_ids)

    def __iter__(self) -> Iterator[StoredImage]:
        return (read() for _, read in self.stream())

    def _no_picture(self, image_id: str) -> KeyError:
        some = ", ".join(map(repr, self.image_ids[:5]))
        return KeyError(
            f"{self.path} has no picture {image_id!r}; expected one of its {len(self)} image ids, for "
            f"instance {some}. Image ids are strings, as the file has them."
        )

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__.copy()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r}), format {self.format!r}"


def read_class_names(names: Sequence[str] | Path | str) -> tuple[str, ...]:
    """Return class names from a sequence, or from a text file with one a line.

    Raises FileNotFoundError when there is no such file, ValueError when a name is no text.
    """
    if isinstance(names, (str, Path)):
        return tuple(Path(names).expanduser().read_text("utf-8").splitlines())
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        raise ValueError(f"class_names holds {wrong[0]!r}; expected texts, or the path of a text file.")
    return tuple(names)


def damaged(path: Path | str, place: str, found: str, expected: str) -> DataFormatError:
    """Return the error of a record that cannot be used."""
    return DataFormatError(path, place, f"{found}; expected {expected}. Copy or build the file again.")


def stored(
    image_id: str,
    size: tuple[int, int] | None,
    boxes: NDArray[Any],
    features: NDArray[Any],
    confidence: NDArray[Any] | None = None,
    class_id: NDArray[Any] | None = None,
) -> StoredImage:
    """Make a picture of detected regions; what is None becomes unknown."""
    rows = len(boxes)
    return StoredImage(
        image_id,
        size,
        boxes,
        features,
        np.full(rows, np.nan, np.float32) if confidence is None else confidence.astype(np.float32),
        np.full(rows, -1, np.int64) if class_id is None else class_id.astype(np.int64),
        np.zeros(rows, bool),
    )


def fractions(boxes: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float32]:
    """Divide boxes in pixels, x1 y1 x2 y2, by (width, height), in float32."""
    sides = np.array([*size, *size], np.float32)
    return np.divide(boxes.astype(np.float32), sides, dtype=np.float32)


def picture_size(width: Any, height: Any, path: Path | str, place: str) -> tuple[int, int]:
    """Return (width, height) as numbers. Raises DataFormatError unless both are whole and positive."""
    try:
        size = int(width), int(height)
    except (TypeError, ValueError, OverflowError):
        size = (0, 0)
    if not all(0 < side < 1 << 31 for side in size):
        raise damaged(path, place, f"the size {width!r} x {height!r} came", "whole pixels above 0")
    return size


def raw_array(data: bytes, dtype: str, shape: tuple[int, ...], path: Path | str, place: str) -> NDArray[Any]:
    """Return a new array from raw bytes in row order. Raises DataFormatError unless they fit exactly."""
    if dtype not in NUMERIC:
        raise damaged(path, place, f"an array of type {dtype!r} came", "numbers (floats, integers or flags)")
    kind = np.dtype(dtype)
    if any(side < 0 for side in shape) or len(data) != kind.itemsize * math.prod(shape):
        raise damaged(
            path, place, f"{len(data)} bytes for an array of {dtype} {shape} came", "as many as it takes"
        )
    return np.frombuffer(data, kind).reshape(shape).copy()


def check_regions(image: StoredImage, path: Path | str, width: int, n_classes: int) -> StoredImage:
    """Return a picture that can be used: its arrays fit together, and all numbers are in range.

    Boxes may leave [0, 1] by 1e-5 (rounding) and are cut back. A picture without regions is allowed.

    Raises
    ------
    DataFormatError
        Arrays that do not fit together, another width than `width`, nan or infinity, a box outside [0, 1] or
        without area, a confidence outside [0, 1], or a class index outside -1 to `n_classes` - 1.
    """
    place, rows = f"picture {image.image_id}", len(image.boxes)
    features = image.features if rows or image.features.size else image.features.reshape(0, width)
    shapes = {"boxes": image.boxes.shape, "features": features.shape}
    shapes |= {name: getattr(image, name).shape for name in ("confidence", "class_id", "annotated")}
    wanted: dict[str, Any] = {"boxes": (rows, 4), "features": (rows, width)}
    wrong = {name: shape for name, shape in shapes.items() if shape != wanted.get(name, (rows,))}
    if wrong:
        expected = f"boxes ({rows}, 4), features ({rows}, {width}) and one confidence and class a region"
        raise damaged(path, place, f"the shapes {wrong} came", expected)
    if rows > MAX_REGIONS:
        raise damaged(path, place, f"{rows} regions came", f"at most {MAX_REGIONS}")
    if not np.isfinite(features).all():
        raise damaged(path, place, "nan or infinity among the features came", "finite numbers")
    boxes = _checked_boxes(np.asarray(image.boxes, np.float32), path, place)
    confidence = np.asarray(image.confidence, np.float32)
    if ((confidence < 0) | (confidence > 1)).any():
        raise damaged(path, place, "a confidence outside [0, 1] came", "a probability, or nan where unknown")
    if image.class_id.min(initial=-1) < -1 or image.class_id.max(initial=-1) >= n_classes:
        found = f"class indices from {image.class_id.min()} to {image.class_id.max()} came"
        raise damaged(path, place, found, f"-1 (unknown) to {n_classes - 1}; are there more class names?")
    return StoredImage(
        image.image_id, image.size, boxes, features, confidence, image.class_id, image.annotated
    )


def _checked_boxes(boxes: NDArray[np.float32], path: Path | str, place: str) -> NDArray[np.float32]:
    finite = np.isfinite(boxes).all()
    if not finite or boxes.min(initial=0) < -BOX_SLACK or boxes.max(initial=1) > 1 + BOX_SLACK:
        row = int(np.argmax(~((boxes >= -BOX_SLACK) & (boxes <= 1 + BOX_SLACK)).all(axis=1)))
        raise damaged(
            path,
            place,
            f"region {row} with the box {_shown(boxes[row])} (fractions of the picture) came",
            "all four inside [0, 1]",
        )
    empty = (boxes[:, 2:] <= boxes[:, :2]).any(axis=1)
    if empty.any():
        row = int(empty.argmax())
        raise damaged(
            path, place, f"region {row} with the box {_shown(boxes[row])} came", "x1 < x2 and y1 < y2"
        )
    return np.clip(boxes, 0.0, 1.0)


def _shown(box: ArrayLike) -> str:
    return " ".join(f"{value:.4f}" for value in np.asarray(box).tolist())


def in_this_process(opened: tuple[int, Any] | None) -> bool:
    """Whether something opened, kept beside its process id, belongs to this process."""
    return opened is not None and opened[0] == os.getpid()
