"""Small data sets laid out, named and written as the real ones are, with region features of detectors.

Every picture shows two men and two dogs; the words are those that `tests.tiny` has pieces for.
"""

from __future__ import annotations

import base64
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from tests.tiny import FEATURE_SIZE

SIZE = (200, 100)
BOXES = ((20, 10, 40, 30), (60, 10, 80, 30), (20, 60, 40, 80), (60, 60, 80, 80), (150, 80, 180, 95))
"""x1 y1 x2 y2 in pixels counted from 0, the ends not included: two men (even), two dogs (odd), and a hat."""
NAMES = ("man", "dog", "man", "dog", "hat")
SPLITS = {"train": 8, "val": 4, "test": 4}
"""Pictures a split."""
FIRST_ID = 1000092795
FLICKR_LINES = (
    "[/EN#{0}/people A man] holds [/EN#{1}/animals a dog] near [/EN#{2}/people/other a big man] .",
    "[/EN#{0}/people A red man] near [/EN#{4}/clothing a hat] .",
    "[/EN#{3}/animals A dog] near [/EN#0/notvisual it] .",
    "[/EN#{5}/people Two] [/EN#{5}/people men] near [/EN#{6}/scene a tree] .",
    "[/EN#{1}/animals A dog] ; [/EN#{3}/animals the umbrella dog] .",
)
RELEASES = {"1.4": "", "1.2": "_v1_2", "1.0": "_v1"}
DETECTED = (0, 1, 2, 3)
"""The detector missed the hat."""


def image_ids() -> dict[str, list[int]]:
    numbers = iter(range(FIRST_ID, FIRST_ID + 100))
    return {split: [next(numbers) for _ in range(n)] for split, n in SPLITS.items()}


def all_ids() -> list[int]:
    return [image_id for listed in image_ids().values() for image_id in listed]


def flickr_annotation(image_id: int, chain: int) -> str:
    """The chains chain to chain + 4 have a box each, chain + 5 both men's, chain + 6 is the scene."""
    objects = []
    for place, (x1, y1, x2, y2) in enumerate(BOXES):
        both = f"<name>{chain + 5}</name>" if place in (0, 2) else ""
        corners = f"<xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
        objects.append(f"<object><name>{chain + place}</name>{both}<bndbox>{corners}</bndbox></object>")
    scene = f"<object><name>{chain + 6}</name><scene>1</scene><nobndbox>0</nobndbox></object>"
    size = f"<size><width>{SIZE[0]}</width><height>{SIZE[1]}</height><depth>3</depth></size>"
    return f"<annotation><filename>{image_id}.jpg</filename>{size}{''.join(objects)}{scene}</annotation>"


def write_flickr(root: Path) -> Path:
    """Sentences/, Annotations/, the split files and UNRELATED_CAPTIONS (the last caption of one picture)."""
    for folder in ("Sentences", "Annotations"):
        (root / folder).mkdir(parents=True)
    ids = image_ids()
    for place, image_id in enumerate(all_ids()):
        chain = 100 + 10 * place
        lines = "".join(line.format(*range(chain, chain + 7)) + " \n" for line in FLICKR_LINES)
        (root / "Sentences" / f"{image_id}.txt").write_text(lines, "utf-8")
        (root / "Annotations" / f"{image_id}.xml").write_text(flickr_annotation(image_id, chain), "utf-8")
    for split, listed in ids.items():
        (root / f"{split}.txt").write_text("\n".join(map(str, listed)), "utf-8")
    unrelated = f"# format: <imageID> <sentence number>\n{ids['test'][0]} 5"
    (root / "UNRELATED_CAPTIONS").write_text(unrelated, "utf-8")
    return root


def detected(image_id: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes in pixels, a pixel off, and a detection of nothing; their features."""
    boxes = np.array([*(BOXES[place] for place in DETECTED), (0, 0, 200, 100)], dtype=np.float32)
    boxes[:-1, 0] += 1
    return boxes, np.random.default_rng(image_id).normal(size=(len(boxes), FEATURE_SIZE)).astype(np.float32)


def write_lxmert_tsv(path: Path, ids: list[int]) -> Path:
    """LXMERT's ten fields, arrays in base64."""
    rows = []
    for image_id in ids:
        boxes, features = detected(image_id)
        n = len(boxes)
        ints, floats = np.arange(n, dtype="<i8"), np.linspace(0.9, 0.5, n).astype("<f4")
        arrays = [base64.b64encode(a.tobytes()).decode() for a in (ints, floats, ints, floats)]
        pictures = [base64.b64encode(a.astype("<f4").tobytes()).decode() for a in (boxes, features)]
        rows.append("\t".join([str(image_id), str(SIZE[1]), str(SIZE[0]), *arrays, str(n), *pictures]))
    path.write_bytes("".join(row + "\r\n" for row in rows).encode())
    return path


def write_uniter_lmdb(folder: Path, prefix: str, ids: list[int]) -> Path:
    """A database feat_numbb5 as UNITER's convert script writes it: msgpack, arrays as in msgpack-numpy."""
    import lmdb
    import msgpack

    def packed(array: np.ndarray) -> dict[bytes, Any]:
        array = array.astype(np.float16)
        return {
            b"nd": True,
            b"type": array.dtype.str,
            b"kind": b"",
            b"shape": array.shape,
            b"data": array.tobytes(),
        }

    names = [f"{prefix}_{image_id:012d}.npz" for image_id in ids]
    folder.mkdir(parents=True)
    with lmdb.open(str(folder), map_size=1 << 24) as env, env.begin(write=True) as rows:
        for name, image_id in zip(names, ids, strict=True):
            boxes, features = detected(image_id)
            norm = boxes / np.array([*SIZE, *SIZE], np.float32)
            record = {
                "features": features,
                "norm_bb": np.concatenate([norm, norm[:, 2:] - norm[:, :2]], axis=1),
                "conf": np.linspace(0.9, 0.5, len(boxes))[:, None],
                "soft_labels": np.eye(len(boxes), 1601, k=1),
            }
            value = msgpack.packb({key: packed(array) for key, array in record.items()}, use_bin_type=True)
            rows.put(name.encode(), value)
        rows.put(b"__keys__", json.dumps(names).encode())
    return folder


def _object(place: int, key: int, release: str, single: bool = False) -> dict[str, Any]:
    x1, y1, x2, y2 = BOXES[place]
    record: dict[str, Any] = {"x": x1, "y": y1, "w": x2 - x1, "h": y2 - y1}
    record["id" if release == "1.0" else "object_id"] = key + place
    record |= {"name": NAMES[place]} if single else {"names": [NAMES[place]]}
    if release != "1.0":
        record["synsets"] = [f"{NAMES[place]}.n.01"]
    if release == "1.4":
        record["merged_object_ids"] = [key + 90 + place]
    return record


def vg_records(image_id: int, place: int, release: str) -> dict[str, dict[str, Any]]:
    """One picture's record in each file: in half of the pictures the lower man is the one that holds."""
    key, low = 1000 * (place + 1), 2 * (place % 2)
    ids = {"image": "image_id", "relation": "relationship_id", "region": "region_id"}
    if release == "1.0":
        ids = dict.fromkeys(ids, "id")
    predicates = (("HOLDS", low, low + 1), ("next to", low, 4)) if place % 3 else (("near", low, low + 1),)
    relations = [
        {
            ids["relation"]: key + 50 + number,
            "predicate": predicate,
            **({} if release == "1.0" else {"synsets": []}),
            "subject": _object(subject, key, release, single=True),
            "object": _object(target, key, release, single=release != "1.4"),
        }
        for number, (predicate, subject, target) in enumerate(predicates)
    ]
    regions = [
        {ids["region"]: key + 70 + number, "image_id": image_id, "phrase": phrase, "x": -2, "y": 5,
         "width": 100, "height": 40}
        for number, phrase in enumerate(("A man holds a dog.", "a big red hat"))
    ]  # fmt: skip
    image = {ids["image"]: image_id, "width": SIZE[0], "height": SIZE[1], "url": "", "flickr_id": None}
    return {
        "image_data": image | {"coco_id": place if place % 4 == 0 else None},
        "objects": {ids["image"]: image_id, "objects": [_object(p, key, release) for p in range(5)]},
        "relationships": {ids["image"]: image_id, "relationships": relations},
        "region_descriptions": {"id": image_id, "regions": regions},
    }


def write_visual_genome(root: Path, release: str) -> Path:
    """Zipped files under the names of the release, alias files, and a file of splits beside the root."""
    root.mkdir(parents=True)
    ids = image_ids()
    records = [vg_records(i, place, release) for place, i in enumerate(all_ids())]
    for part in ("image_data", "objects", "relationships", "region_descriptions"):
        with zipfile.ZipFile(
            root / f"{part}{RELEASES[release]}.json.zip", "w", zipfile.ZIP_DEFLATED
        ) as archive:
            archive.writestr(f"{part}.json", json.dumps([record[part] for record in records]))
    (root / "object_alias.txt").write_text("man,guy\ndog,puppy\n", "utf-8")
    (root / "relationship_alias.txt").write_text("near,next to, close to\nholds,holding\n", "utf-8")
    (root.parent / "vg_splits.json").write_text(json.dumps(ids), "utf-8")
    return root


def write_senteval(root: Path) -> Path:
    """A checkout of SentEval with its ten probing files, some lines with more fields than three."""
    from value_nb.data.senteval import FILES

    folder = root / "data" / "probing"
    folder.mkdir(parents=True)
    for task in FILES:
        lines = []
        for part, n in (("tr", 12), ("va", 4), ("te", 4)):
            for k in range(n):
                label = ("10", "5")[k % 2]
                more = "word\t" if task == "word_content" else ""
                lines.append(f"{part}\t{label}\t{more}A {'red ' * (k % 3)}man holds a dog .\n")
        (folder / f"{task}.txt").write_text("".join(lines), "utf-8")
    return root
