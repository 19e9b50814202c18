"""VOLTA's and ViLBERT's feature databases: LMDB with pickled values, read without running the pickles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from value_nb.data.features.detector_fields import fields_image, pick, text_of
from value_nb.data.features.lmdb_file import LmdbFile
from value_nb.data.features.restricted_pickle import load_list, load_record
from value_nb.data.features.source import FeatureSource, Names, damaged
from value_nb.data.regions import StoredImage

KEYS = b"keys"


class VoltaLmdb(FeatureSource):
    """Pictures of a VOLTA or ViLBERT LMDB.

    The key `keys` holds a pickled list of the image ids as bytes. A value is a pickled dict in one of two
    flavours: texts with base64 arrays, named as in LXMERT's TSV files; or numpy arrays, named as in VOLTA's
    H5 files. Boxes in pixels. Pickles are read by `restricted_pickle`: plain data and arrays of numbers only.

    Parameters
    ----------
    path
        The LMDB folder (or its file).
    class_names
        As for every source; without them there are 1600.
    """

    format = "volta-lmdb"
    made_by = "bottom-up attention, as VOLTA's databases hold it"

    def __init__(self, path: Path | str, class_names: Names = None) -> None:
        super().__init__(path, class_names)
        self.lmdb = LmdbFile(self.path)
        self._ids: dict[str, bytes] | None = None

    @property
    def data_file(self) -> Path:
        """The LMDB's own file."""
        return self.lmdb.path

    @property
    def image_ids(self) -> Sequence[str]:
        """The image ids, in the order of the database's own list."""
        return tuple(self._keys())

    def __len__(self) -> int:
        return len(self._keys())

    def _keys(self) -> dict[str, bytes]:
        """Key of each image id: those of the list, then others that are there."""
        if self._ids is None:
            there = KEYS in self.lmdb
            listed = load_list(self.lmdb.get(KEYS), self.data_file, "keys") if there else []
            if len(set(listed)) != len(listed):
                raise damaged(self.data_file, "keys", "an id occurs twice", "each once")
            keys = dict.fromkeys([*listed, *(key for key in self.lmdb if key != KEYS)])
            self._ids = {text_of(key, self.data_file, "keys"): key for key in keys}
        return self._ids

    def _decode(self, image_id: str) -> StoredImage:
        keys, place = self._keys(), f"picture {image_id}"
        if image_id not in keys:
            raise self._no_picture(image_id)
        if keys[image_id] not in self.lmdb:
            raise damaged(self.data_file, place, "listed, but not there", "its record")
        record = load_record(self.lmdb.get(keys[image_id]), self.data_file, place)
        own = pick(record, "img_id")
        if isinstance(own, (str, bytes)) and text_of(own, self.data_file, place) != image_id:
            raise damaged(self.data_file, place, f"the record of picture {own!r:.60} came", "its own")
        return fields_image(image_id, record, self.data_file)
