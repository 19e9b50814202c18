"""Small writers of every feature format, independent of the readers; and pictures to write."""

from __future__ import annotations

import base64
import csv
import json
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import lmdb
import msgpack
import numpy as np
from hypothesis import strategies as st

CLASSES = 7


@dataclass(frozen=True)
class Made:
    """A picture as a detector leaves it: boxes in pixels."""

    image_id: str
    size: tuple[int, int]
    pixels: np.ndarray
    features: np.ndarray
    confidence: np.ndarray
    class_id: np.ndarray

    @property
    def boxes(self) -> np.ndarray:
        width, height = self.size
        columns = [self.pixels[:, i] / np.float32((width, height)[i % 2]) for i in range(4)]
        return np.stack(columns, axis=1)


def make(image_id: str, rows: int = 3, width: int = 4, seed: int = 0) -> Made:
    """A picture of float16 numbers, so that every format and the store hold it exactly."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(200, 700)), int(rng.integers(200, 700))
    low = rng.integers(0, 90, (rows, 2))
    high = low + rng.integers(1, 100, (rows, 2))
    return Made(
        image_id,
        size,
        np.concatenate([low, high], axis=1).astype(np.float32),
        rng.normal(size=(rows, width)).astype(np.float16).astype(np.float32),
        rng.random(rows).astype(np.float16).astype(np.float32),
        rng.integers(0, CLASSES, rows),
    )


@st.composite
def pictures(draw: Any, least: int = 1) -> list[Made]:
    """Some pictures with one width of features, each with its own number of regions."""
    names = draw(st.lists(st.integers(1, 10**9), min_size=least, max_size=5, unique=True))
    width, seed = draw(st.integers(1, 9)), draw(st.integers(0, 2**31))
    return [
        make(str(name), draw(st.integers(1 if i == 0 else 0, 6)), width, seed + i)
        for i, name in enumerate(names)
    ]


def b64(array: np.ndarray, dtype: str) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype).tobytes()).decode()


def lxmert_fields(image: Made) -> dict[str, Any]:
    rows = len(image.pixels)
    return {
        "img_id": image.image_id,
        "img_h": image.size[1],
        "img_w": image.size[0],
        "objects_id": b64(image.class_id, "<i8"),
        "objects_conf": b64(image.confidence, "<f4"),
        "attrs_id": b64(np.zeros(rows), "<i8"),
        "attrs_conf": b64(np.zeros(rows), "<f4"),
        "num_boxes": rows,
        "boxes": b64(image.pixels, "<f4"),
        "features": b64(image.features, "<f4"),
    }


def butd_fields(image: Made) -> dict[str, Any]:
    fields = lxmert_fields(image)
    return {
        "image_id": fields["img_id"],
        "image_w": fields["img_w"],
        "image_h": fields["img_h"],
        "num_boxes": fields["num_boxes"],
        "boxes": fields["boxes"],
        "features": fields["features"],
    }


def write_tsv(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, delimiter="\t", fieldnames=list(rows[0]))
        writer.writerows(rows)
    return path


def write_lxmert(folder: Path, images: Sequence[Made]) -> Path:
    return write_tsv(folder / "a.tsv", [lxmert_fields(image) for image in images])


def write_butd(folder: Path, images: Sequence[Made]) -> Path:
    return write_tsv(folder / "a.tsv", [butd_fields(image) for image in images])


def write_lmdb(path: Path, records: dict[bytes, bytes], subdir: bool = True) -> Path:
    with (
        lmdb.open(str(path), map_size=1 << 27, subdir=subdir, lock=False, sync=False) as file,
        file.begin(write=True) as transaction,
    ):
        for key, value in records.items():
            transaction.put(key, value)
    return path


def packed(array: np.ndarray) -> dict[bytes, Any]:
    """As msgpack-numpy encodes an array."""
    return {
        b"nd": True,
        b"type": array.dtype.str,
        b"kind": b"",
        b"shape": list(array.shape),
        b"data": array.tobytes(),
    }


def uniter_arrays(image: Made) -> dict[str, np.ndarray]:
    boxes, rows = image.boxes.astype(np.float16), len(image.pixels)
    soft = np.zeros((rows, CLASSES + 1), np.float16)
    soft[:, 0] = 1  # the background, which must not count
    soft[np.arange(rows), image.class_id + 1] = 0.5
    return {
        "norm_bb": np.concatenate([boxes, boxes[:, 2:] - boxes[:, :2]], axis=1),
        "features": image.features.astype(np.float16),
        "conf": image.confidence.astype(np.float16)[:, None],
        "soft_labels": soft,
    }


def npz_bytes(arrays: dict[str, Any]) -> bytes:
    import io

    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def uniter_value(image: Made) -> bytes:
    return msgpack.packb({name: packed(a) for name, a in uniter_arrays(image).items()}, use_bin_type=True)


def write_uniter(folder: Path, images: Sequence[Made]) -> Path:
    records = {image.image_id.encode(): uniter_value(image) for image in images}
    records[b"__keys__"] = json.dumps([image.image_id for image in images]).encode()
    return write_lmdb(folder / "feat_numbb100", records)


def write_uniter_compressed(folder: Path, images: Sequence[Made]) -> Path:
    """With the stray member `allow_pickle`, as old numpy left it."""
    stray = {"allow_pickle": np.array(False)}
    records = {image.image_id.encode(): npz_bytes(uniter_arrays(image) | stray) for image in images}
    records[b"__keys__"] = json.dumps([image.image_id for image in images]).encode()
    return write_lmdb(folder / "feat_numbb100_compressed", records)


def volta_arrays(image: Made) -> dict[str, Any]:
    return {
        "img_id": image.image_id,
        "img_w": image.size[0],
        "img_h": np.int64(image.size[1]),
        "obj_id": image.class_id,
        "obj_conf": image.confidence,
        "attr_id": np.zeros(len(image.pixels), np.int64),
        "boxes": image.pixels,
        "features": image.features,
    }


def write_volta(
    folder: Path, images: Sequence[Made], fields: Callable[[Made], dict[str, Any]], protocol: int
) -> Path:
    records = {image.image_id.encode(): pickle.dumps(fields(image), protocol) for image in images}
    records[b"keys"] = pickle.dumps([image.image_id.encode() for image in images], protocol)
    return write_lmdb(folder / "volta.lmdb", records)


def write_volta_text(folder: Path, images: Sequence[Made]) -> Path:
    def as_text(image: Made) -> dict[str, str]:
        return {name: str(value) for name, value in lxmert_fields(image).items()}

    return write_volta(folder, images, as_text, 4)


def write_volta_arrays(folder: Path, images: Sequence[Made]) -> Path:
    return write_volta(folder, images, volta_arrays, 4)


def write_volta_h5(folder: Path, images: Sequence[Made]) -> Path:
    path = folder / "a.h5"
    with h5py.File(path, "w") as file:
        for image in images:
            group = file.create_group(image.image_id)
            for name, value in volta_arrays(image).items():
                if name != "img_id":
                    group[name] = value
    return path


def plain_arrays(image: Made) -> dict[str, np.ndarray]:
    return {
        "boxes": image.boxes,
        "features": image.features,
        "confidence": image.confidence,
        "class_id": image.class_id,
        "size": np.array(image.size),
    }


def write_npz_folder(folder: Path, images: Sequence[Made]) -> Path:
    (folder / "npz").mkdir()
    for image in images:
        np.savez(folder / "npz" / f"{image.image_id}.npz", **plain_arrays(image))
    return folder / "npz"


def joined(images: Sequence[Made]) -> dict[str, np.ndarray]:
    arrays = [plain_arrays(image) for image in images]
    whole = {name: np.concatenate([a[name] for a in arrays]) for name in arrays[0] if name != "size"}
    whole["size"] = np.array([image.size for image in images])
    whole["image_id"] = np.array([image.image_id for image in images])
    whole["offset"] = np.cumsum([0, *(len(image.pixels) for image in images)])
    return whole


def write_npz_file(folder: Path, images: Sequence[Made]) -> Path:
    np.savez(folder / "a.npz", **joined(images))
    return folder / "a.npz"


def write_npz_packed(folder: Path, images: Sequence[Made]) -> Path:
    np.savez_compressed(folder / "a.npz", **joined(images))
    return folder / "a.npz"


WRITERS: dict[str, tuple[str, Callable[[Path, Sequence[Made]], Path]]] = {
    "uniter": ("uniter-lmdb", write_uniter),
    "uniter compressed": ("uniter-lmdb", write_uniter_compressed),
    "lxmert": ("lxmert-tsv", write_lxmert),
    "butd": ("butd-tsv", write_butd),
    "volta text": ("volta-lmdb", write_volta_text),
    "volta arrays": ("volta-lmdb", write_volta_arrays),
    "volta h5": ("volta-h5", write_volta_h5),
    "npz folder": ("npz-folder", write_npz_folder),
    "npz file": ("npz-file", write_npz_file),
    "npz file packed": ("npz-file", write_npz_packed),
}
"""By a name for tests: what the format is called, and its writer."""
