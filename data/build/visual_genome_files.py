"""Writes objects, relations and described regions as files of Visual Genome 1.4, and a split file."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from data.build.boxes import PixelBox, pixel_box, union_box
from data.build.captions import Speaker
from data.build.scenes import Scene, Thing
from data.build.splits import SPLITS, check_pictures
from data.build.trees import node
from data.build.world import HEIGHT, WIDTH

DESCRIPTIONS = 6
"""Region descriptions of a picture, fewer where it does not have so many different ones."""
RELATION_SHARE = 0.65
URL = "data/mini/images/{}.webp"
Record = dict[str, Any]


def write_visual_genome_files(scenes: list[Scene], split_of: dict[str, str], out: Path, seed: int) -> None:
    """Write OUT/{image_data,objects,splits}.json and OUT/{relationships,region_descriptions}.json.zip.

    The two large files are zipped, as the real ones are when they are downloaded.
    Objects are all things of a picture, body parts included; relations are those that `Scene.relations`
    reads off the picture.

    Parameters
    ----------
    scenes, split_of
        The pictures; their ids are digits. Image id -> "train", "val" or "test".
    out
        Folder to write into; it is made.
    seed
        Of the region descriptions.

    Raises
    ------
    ValueError
        When scenes and splits are not of the same pictures.
    """
    by_id = {scene.id: scene for scene in scenes}
    ids = check_pictures(split_of, [scene.id for scene in scenes])
    ordered = [by_id[i] for i in ids]
    relation_ids, region_ids = count(1), count(1)
    out.mkdir(parents=True, exist_ok=True)
    _write(out / "image_data.json", [_image_record(s) for s in ordered])
    _write(out / "objects.json", [_objects_record(s) for s in ordered])
    _write(out / "relationships.json.zip", [_relations_record(s, relation_ids) for s in ordered])
    _write(out / "region_descriptions.json.zip", [_regions_record(s, region_ids, seed) for s in ordered])
    _write(out / "splits.json", {split: [int(i) for i in ids if split_of[i] == split] for split in SPLITS})


def _write(path: Path, value: object) -> None:
    """Without spaces; one picture a line, so that a file can be looked at and compared.

    Archives carry no date, so that the same records give the same bytes.
    """
    if isinstance(value, list):
        text = "[" + ",\n".join(json.dumps(v, separators=(",", ":")) for v in value) + "]\n"
    else:
        text = json.dumps(value, separators=(",", ":")) + "\n"
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            member = zipfile.ZipInfo(path.stem, date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(member, text, zipfile.ZIP_DEFLATED, compresslevel=9)
    else:
        path.write_text(text, "utf-8", newline="\n")


def _image_record(scene: Scene) -> Record:
    image_id = int(scene.id)
    return {
        "width": WIDTH,
        "url": URL.format(image_id),
        "height": HEIGHT,
        "image_id": image_id,
        "coco_id": None,
        "flickr_id": image_id,
    }


def object_id(scene: Scene, thing: Thing) -> int:
    """An id that no other thing of any picture has: image id, then two digits for the thing."""
    return int(scene.id) * 100 + thing.id


def _box_record(thing: Thing) -> Record:
    x, y, w, h = pixel_box(thing)
    return {"x": x, "y": y, "w": w, "h": h}


def _objects_record(scene: Scene) -> Record:
    objects = [
        {"object_id": object_id(scene, t), **_box_record(t), "names": [t.cls], "synsets": []}
        for t in scene.things
    ]
    return {"image_id": int(scene.id), "objects": objects, "image_url": URL.format(scene.id)}


def _relations_record(scene: Scene, numbers: count[int]) -> Record:
    things = {t.id: t for t in scene.things}
    relations = [
        {
            "relationship_id": next(numbers),
            "predicate": predicate,
            "synsets": [],
            "subject": _end_record(scene, things[subject]),
            "object": _end_record(scene, things[other]),
        }
        for subject, predicate, other in scene.relations()
    ]
    return {"relationships": relations, "image_id": int(scene.id)}


def _end_record(scene: Scene, thing: Thing) -> Record:
    return {"object_id": object_id(scene, thing), **_box_record(thing), "name": thing.cls, "synsets": []}


def _regions_record(scene: Scene, numbers: count[int], seed: int) -> Record:
    regions = [
        {
            "region_id": next(numbers),
            "width": w,
            "height": h,
            "image_id": int(scene.id),
            "phrase": phrase,
            "y": y,
            "x": x,
        }
        for phrase, (x, y, w, h) in descriptions(scene, seed)
    ]
    return {"regions": regions, "id": int(scene.id)}


def descriptions(scene: Scene, seed: int) -> list[tuple[str, PixelBox]]:
    """Short descriptions of parts of the picture, each with the box of what it names.

    They depend on nothing but the scene and the seed.
    """
    rng = np.random.default_rng([seed, 17, *scene.id.encode()])
    made: dict[str, PixelBox] = {}
    for phrase, box in _candidates(scene, rng):
        made.setdefault(phrase, box)
        if len(made) == DESCRIPTIONS:
            break
    return list(made.items())


def _candidates(scene: Scene, rng: np.random.Generator) -> Iterator[tuple[str, PixelBox]]:
    """Relations and single things in random order, each once."""
    things = {t.id: t for t in scene.things}
    relations = [scene.relations()[i] for i in rng.permutation(len(scene.relations()))]
    whole = [t for t in scene.things if t.parent is None]
    single = [whole[i] for i in rng.permutation(len(whole))]
    while relations or single:
        if relations and (not single or rng.random() < RELATION_SHARE):
            subject, predicate, other = relations.pop()
            speaker = Speaker(scene, rng)
            tree = node("NP", speaker.np(subject), speaker.participle((subject, predicate, other)))
            boxes = [pixel_box(things[subject]), pixel_box(things[other])]
        else:
            thing = single.pop()
            speaker = Speaker(scene, rng)
            place = speaker.place_phrase() if thing.grounded and speaker.chance(0.15) else None
            tree = node("NP", speaker.np(thing.id), place)
            boxes = [pixel_box(thing)]
        yield _phrase(tree.words(), rng), union_box(boxes)


def _phrase(words: list[str], rng: np.random.Generator) -> str:
    """The words as a describer types them: often without the first article."""
    if words[0] in {"a", "an"} and rng.random() < 0.5:
        words = words[1:]
    return " ".join(words)
