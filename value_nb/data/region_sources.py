"""Region features by image id, whichever file they come from and however it spells its image ids.

UNITER's databases name a picture by its file (`flickr30k_000000092795.npz`, `vg_000000000017.npz`), LXMERT's
tables by its number or as `COCO_val2014_000000000042`; the annotations name it by its bare number.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from value_nb.data.example import Regions
from value_nb.data.problems import DataFormatError
from value_nb.data.regions import FORMAT, RegionStore, StoredImage

SUFFIXES = (".npz", ".npy", ".jpg", ".jpeg", ".png")
NUMBERED = re.compile(r"(?:(?P<collection>[A-Za-z]\w*)_)?0*(?P<number>[0-9]+)")
FAMILIES = ("flickr30k", "vg", "coco")
"""Collections whose names go on behind the family's name (`coco_val2014`, `vg_gqa`) are counted to it."""


def image_key(name: str) -> tuple[str, str]:
    """Split the name of a picture in a file of region features into collection and image id.

    The file's ending goes; digits at the end, without the zeros before them, are the image id; what stands
    before them is the collection in lower case, cut to its family ("flickr30k", "vg", "coco"), and "" for a
    bare number. A name of another form is an image id as it is.

    Examples
    --------
    >>> image_key("flickr30k_001000092795.npz")
    ('flickr30k', '1000092795')
    >>> image_key("COCO_val2014_000000000042")
    ('coco', '42')
    >>> image_key("2370799"), image_key("dev-0-0-img0")
    (('', '2370799'), ('', 'dev-0-0-img0'))
    """
    base = PurePosixPath(name)
    stem = name[: -len(base.suffix)] if base.suffix.lower() in SUFFIXES else name
    match = NUMBERED.fullmatch(stem)
    if match is None:
        return "", stem
    collection = (match["collection"] or "").lower()
    family = next((f for f in FAMILIES if collection == f or collection.startswith(f"{f}_")), collection)
    return family, match["number"]


class NamedRegions:
    """A source of region features, asked by the image ids of a data set.

    Parameters
    ----------
    source
        A `RegionStore`, or any reader with `path`, `class_names`, `read(name)` and its names under
        `image_ids` or by iteration.
    collections
        The collections (see `image_key`) whose numbers are image ids of the data set. Pictures of others are
        passed over: picture 42 of COCO is not picture 42 of Visual Genome.

    Raises
    ------
    DataFormatError
        At the first look-up, when two names stand for one picture.
    """

    def __init__(self, source: Any, collections: Collection[str] = ("",)) -> None:
        self.source, self.collections = source, tuple(collections)
        self.path = Path(getattr(source, "path", "region features"))
        self._names: dict[str, str] | None = None
        self._last: tuple[str, StoredImage] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_names": None, "_last": None}

    @property
    def class_names(self) -> tuple[str, ...]:
        """The detector's classes."""
        return tuple(self.source.class_names)

    def _listed(self) -> Iterable[str]:
        return self.source.image_ids if hasattr(self.source, "image_ids") else self.source

    @property
    def names(self) -> dict[str, str]:
        """Image id -> name in the source, for the pictures of the data set's collections."""
        if self._names is None:
            self._names = _by_image_id(self._listed(), self.collections, self.path)
        return self._names

    def __contains__(self, image_id: object) -> bool:
        return image_id in self.names

    def read(self, image_id: str, features: bool = True) -> Regions:
        """Return the regions of a picture; without `features` these are None.

        Raises KeyError when there are none, and DataFormatError when they are damaged.
        """
        if image_id not in self.names:
            some = ", ".join(repr(key) for key in list(self.names)[:5])
            raise KeyError(
                f"{self.path} has no picture {image_id!r}; expected one of {len(self.names)}, for instance "
                f"{some}."
            )
        name = self.names[image_id]
        if isinstance(self.source, RegionStore):
            return self.source.read(name, features)
        if self._last is None or self._last[0] != name:  # boxes are asked for first, then the features
            self._last = name, self.source.read(name)
        return as_regions(self._last[1], self.class_names, self.path, features)

    def check(self, wanted: Iterable[str]) -> None:
        """Raise DataFormatError when there are regions of none of the wanted pictures."""
        wanted = list(wanted)
        if not wanted or any(image_id in self for image_id in wanted):
            return
        theirs = ", ".join(map(repr, islice(self._listed(), 3))) or "none"
        ours = ", ".join(repr(image_id) for image_id in wanted[:3])
        prefixes = " or ".join(f"{name}_<number>" if name else "<number>" for name in self.collections)
        raise DataFormatError(
            self.path,
            "image ids",
            f"it has regions of none of the {len(wanted)} pictures of the split, whose ids are {ours} and so "
            f"on; it names its pictures {theirs} and so on. Expected names of the form {prefixes}. Give the "
            "features of this data set and split.",
        )

    def __repr__(self) -> str:
        return f"NamedRegions({self.source!r}, {self.collections!r})"


def _by_image_id(listed: Iterable[str], collections: Collection[str], path: Path) -> dict[str, str]:
    names: dict[str, str] = {}
    for name in listed:
        collection, image_id = image_key(name)
        if collection not in collections:
            continue
        if image_id in names:
            raise DataFormatError(
                path,
                f"picture {image_id}",
                f"the names {names[image_id]!r} and {name!r} both stand for it; expected one name for each "
                "picture. Keep one of them.",
            )
        names[image_id] = name
    return names


def as_regions(image: StoredImage, class_names: tuple[str, ...], path: Path, features: bool) -> Regions:
    """Turn what a reader of features gives into `Regions`.

    Raises DataFormatError when a class index is outside -1 to the number of classes.
    """
    import numpy as np

    classes = np.asarray(image.class_id).tolist()
    if class_names and classes and not -1 <= min(classes) <= max(classes) < len(class_names):
        raise DataFormatError(
            path,
            f"classes of picture {image.image_id}",
            f"a class index outside -1 to {len(class_names) - 1} came; expected an index of a class, or -1 "
            "where it is unknown. Give the class names that belong to these features.",
        )
    names = tuple(class_names[index] if class_names and index >= 0 else "" for index in classes)
    sources = tuple("annotated" if flag else "detected" for flag in np.asarray(image.annotated).tolist())
    boxes = np.asarray(image.boxes, dtype=np.float32).reshape(-1, 4)
    vectors = np.asarray(image.features, dtype=np.float32) if features else None
    return Regions(boxes, vectors, names, sources, np.asarray(image.confidence, dtype=np.float32))


def open_regions(regions: Any, collections: Collection[str]) -> NamedRegions | None:
    """Return the source of a data set's region features.

    Parameters
    ----------
    regions
        A region store, or any format of `value_nb.data.features.detect.open_features`: as a path, or opened.
        None: no features.
    collections
        As in `NamedRegions`.

    Raises
    ------
    FileNotFoundError, TypeError, DataFormatError
        No such path; neither a path nor a source; a file of no known format.
    """
    if regions is None or isinstance(regions, NamedRegions):
        return regions
    if isinstance(regions, (str, Path)):
        return NamedRegions(_open(Path(regions).expanduser()), collections)
    if hasattr(regions, "read") and hasattr(regions, "class_names"):
        return NamedRegions(regions, collections)
    raise TypeError(
        f"regions={regions!r} came; expected the path of region features (a region store, UNITER's or "
        "VOLTA's LMDB folder, LXMERT's .tsv, VOLTA's .h5, a folder of .npz), such features opened, or None."
    )


def _open(path: Path) -> Any:
    if not path.exists():
        return RegionStore(path)  # says what is expected
    if is_region_store(path):
        return RegionStore(path)
    from value_nb.data.features.detect import open_features

    return open_features(path)


def is_region_store(path: Path) -> bool:
    """Whether a file is HDF5 and says that it is a region store, of whatever version."""
    import h5py

    if not path.is_file() or not h5py.is_hdf5(path):
        return False
    try:
        with h5py.File(path, "r") as file:
            return bool(file.attrs.get("format") == FORMAT)
    except OSError:
        return False
