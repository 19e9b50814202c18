"""VOLTA's HDF5 feature files: one group per picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from value_nb.data.features.detector_fields import ALSO_NAMED, fields_image
from value_nb.data.features.source import MAX_BYTES, NUMERIC, FeatureSource, Names, damaged, in_this_process
from value_nb.data.regions import StoredImage

WANTED = ("boxes", "features", "num_boxes", *(name for names in ALSO_NAMED.values() for name in names[:2]))


class VoltaH5(FeatureSource):
    """Pictures of a VOLTA HDF5 file.

    A group per image id, with the data sets features `(region, 2048)`, boxes `(region, 4)` in pixels, obj_id,
    obj_conf (and attr_id, attr_conf, which are not read), img_w and img_h.
    """

    format = "volta-h5"
    made_by = "bottom-up attention, as VOLTA's H5 files hold it"

    def __init__(self, path: Path | str, class_names: Names = None) -> None:
        super().__init__(path, class_names)
        self._opened: tuple[int, h5py.File] | None = None
        self._ids: dict[str, None] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_opened": None}

    def _open(self) -> h5py.File:
        if not in_this_process(self._opened):
            try:
                self._opened = os.getpid(), h5py.File(self.path, "r")
            except OSError as error:
                raise damaged(
                    self.path, "", f"it cannot be opened as HDF5 ({error})", "a whole file"
                ) from error
        assert self._opened is not None
        return self._opened[1]

    def close(self) -> None:
        """Close the file; the next look-up opens it again."""
        if in_this_process(self._opened) and self._opened is not None:
            self._opened[1].close()
        self._opened = None

    @property
    def image_ids(self) -> Sequence[str]:
        """The image ids, in the order of the file."""
        return tuple(self._groups())

    def __len__(self) -> int:
        return len(self._groups())

    def _groups(self) -> dict[str, None]:
        if self._ids is None:
            try:
                self._ids = dict.fromkeys(self._open())
            except (RuntimeError, OSError) as error:
                raise damaged(
                    self.path, "", f"its groups cannot be listed ({error})", "a whole file"
                ) from error
        return self._ids

    def _decode(self, image_id: str) -> StoredImage:
        if image_id not in self._groups():
            raise self._no_picture(image_id)
        place, file = f"picture {image_id}", self._open()
        try:
            inside = isinstance(file.get(image_id, getlink=True), h5py.HardLink)
            group = file.get(image_id) if inside else None
            if not isinstance(group, h5py.Group):
                raise damaged(self.path, place, "no group of this file came", "a group")
            found = {name: self._read(group, name, place) for name in WANTED if name in group}
        except (OSError, RuntimeError, KeyError) as error:
            raise damaged(self.path, place, f"it cannot be read ({error})", "a whole file") from error
        return fields_image(image_id, found, self.path)

    def _read(self, group: h5py.Group, name: str, place: str) -> Any:
        """Read one data set that lies in this file. Raises DataFormatError on anything else."""
        place = f"{place}, {name}"
        data = group.get(name) if isinstance(group.get(name, getlink=True), h5py.HardLink) else None
        if not isinstance(data, h5py.Dataset) or data.external or data.is_virtual:
            raise damaged(self.path, place, "no data set of this file came", "a data set stored in it")
        if h5py.check_string_dtype(data.dtype) is not None and data.shape == ():
            return data.asstr()[()]
        if data.dtype.str not in NUMERIC or data.nbytes > MAX_BYTES:
            raise damaged(
                self.path, place, f"{data.dtype} {data.shape} came", f"numbers, at most {MAX_BYTES} bytes"
            )
        if data.size and not data.id.get_storage_size():
            raise damaged(self.path, place, "its numbers were never written", "numbers")
        return _array(data)


def _array(data: h5py.Dataset) -> NDArray[Any]:
    return np.asarray(data[()])
