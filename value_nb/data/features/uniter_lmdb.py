"""UNITER's image databases: one LMDB folder per setting.

Layout: `<img_db>/<data set>/<name>/data.mdb`, where the name says which regions a reader takes:
`feat_numbb36` the first 36; `feat_th0.2_max100_min10` as many as `nbb_th0.2_max100_min10.json` beside the
folder says (the records hold no more; without the json, all of them); `all` those above a threshold. Each
may end in `_compressed`. In another folder a record's regions are all taken. Sizes of pictures
are not stored.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from value_nb.data.features.lmdb_file import LmdbFile
from value_nb.data.features.source import FeatureSource, Names, damaged
from value_nb.data.features.uniter_record import Record, conf_of, decode_record, record_image
from value_nb.data.problems import DataFormatError
from value_nb.data.regions import StoredImage

KEYS = b"__keys__"
NUMBER = re.compile(r"feat_numbb(\d+)(_compressed)?")
THRESHOLD = re.compile(r"feat_(th[^_]+_max\d+_min\d+)(_compressed)?")
ALL = re.compile(r"all(_compressed)?")


@dataclass(frozen=True, slots=True)
class RegionChoice:
    """How many of a picture's regions, sorted by falling confidence, a reader takes from an `all` database.

    Those with a confidence above the threshold, but at least `least` and at most `most`.

    Attributes
    ----------
    threshold
        In [0, 1], compared in float16, as the confidences are stored; strictly above counts.
    most, least
        Bounds of the number of regions.
    """

    threshold: float = 0.2
    most: int = 100
    least: int = 10

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1 or not 0 <= self.least <= self.most:
            raise ValueError(f"{self} came; expected a threshold in [0, 1] and 0 <= least <= most.")

    def count(self, confidence: NDArray[np.float16]) -> int:
        """Return the number of regions to take; it may exceed the number that there are."""
        above = int((confidence > confidence.dtype.type(self.threshold)).sum())
        return min(self.most, max(self.least, above))


class UniterLmdb(FeatureSource):
    """Pictures of a UNITER image database.

    Parameters
    ----------
    path
        The LMDB folder (or its data.mdb).
    class_names
        As for every source; the number of classes is that of the soft labels.
    choice
        Which regions of an `all` database are taken; None is UNITER's own: above 0.2, 10 to 100.

    Raises
    ------
    ValueError
        When `choice` is given for a database that has its regions chosen already.
    """

    format = "uniter-lmdb"
    made_by = "bottom-up attention (ResNet-101, 10 to 100 regions), as UNITER's image databases hold it"

    def __init__(
        self, path: Path | str, class_names: Names = None, choice: RegionChoice | None = None
    ) -> None:
        super().__init__(path, class_names)
        self.lmdb = LmdbFile(self.path)
        self.name = self.lmdb.path.resolve().parent.name
        if choice is not None and not ALL.fullmatch(self.name):
            raise ValueError(
                f"choice={choice} came for {self.name!r}, whose regions are chosen already; it is for "
                "databases named 'all' or 'all_compressed'. Leave it out."
            )
        self.choice = choice or RegionChoice()
        self._ids: tuple[str, ...] | None = None
        self._counts: dict[str, int] | None = None
        self._classes: int | None = None

    @property
    def data_file(self) -> Path:
        """The LMDB's own file."""
        return self.lmdb.path

    @property
    def image_ids(self) -> Sequence[str]:
        """The image ids (keys, with their extension), in the order of the database's own list."""
        if self._ids is None:
            self._ids = self._read_ids()
        return self._ids

    def _read_ids(self) -> tuple[str, ...]:
        present = [key for key in self.lmdb if key != KEYS]
        listed = _names(self.lmdb.get(KEYS), self.data_file) if KEYS in self.lmdb else []
        known = set(listed)
        try:
            more = [name for key in present if (name := key.decode()) not in known]
        except UnicodeDecodeError as error:
            raise damaged(self.data_file, "", f"a key that is no UTF-8 ({error}) came", "names") from error
        return (*listed, *more)

    @property
    def counts(self) -> dict[str, int]:
        """Number of regions by image id, from the json beside the folder; empty where there is none."""
        if self._counts is None:
            named = THRESHOLD.fullmatch(self.name)
            file = self.lmdb.path.resolve().parent.parent / f"nbb_{named[1] if named else ''}.json"
            self._counts = _read_counts(file) if named and file.is_file() else {}
        return self._counts

    def fingerprint(self) -> str:
        """Return a text that changes when the file does, or when other regions are taken from it."""
        counts = zlib.crc32(json.dumps(self.counts, sort_keys=True).encode())
        return f"{super().fingerprint()} {self.name} {self.choice} {counts}"

    def _record(self, image_id: str) -> Record:
        key = image_id.encode()
        if key not in self.lmdb:
            if image_id in self.image_ids:
                raise damaged(self.data_file, f"picture {image_id}", "listed, but not there", "its record")
            raise self._no_picture(image_id)
        return decode_record(self.lmdb.get(key), self.data_file, f"picture {image_id}")

    def _decode(self, image_id: str) -> StoredImage:
        record = self._record(image_id)
        return record_image(record, image_id, self._rows(record, image_id), self.data_file)

    def _rows(self, record: Record, image_id: str) -> int:
        """Return how many regions the original reader takes."""
        number = NUMBER.fullmatch(self.name)
        if number:
            return int(number[1])
        if ALL.fullmatch(self.name):
            return self.choice.count(conf_of(record, self.data_file, f"picture {image_id}"))
        if not self.counts:
            return len(record["norm_bb"])
        if image_id not in self.counts:
            raise damaged(
                self.data_file, f"picture {image_id}", "its number of regions is not in the json", "it"
            )
        return self.counts[image_id]

    def _n_classes(self) -> int:
        if self._classes is None:
            self._classes = self._first_classes()
        return self._classes

    def _first_classes(self) -> int:
        for image_id in self.image_ids:
            try:
                soft = self._record(image_id).get("soft_labels")
            except DataFormatError:
                continue
            return soft.shape[1] - 1 if soft is not None and soft.ndim == 2 else 0
        return 0


def _names(value: bytes, path: Path) -> list[str]:
    try:
        names = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise damaged(path, "__keys__", f"it is no JSON ({error})", "a list of names") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise damaged(path, "__keys__", "something else came", "a list of names")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise damaged(path, "__keys__", f"{twice!r} occurs twice", "each name once")
    return names


def _read_counts(path: Path) -> dict[str, int]:
    try:
        counts = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise damaged(path, "", f"it is no JSON ({error})", "numbers of regions by name") from error
    if not isinstance(counts, dict) or not all(type(n) is int and n >= 0 for n in counts.values()):
        raise damaged(path, "", "something else came", "numbers of regions by name")
    return counts
