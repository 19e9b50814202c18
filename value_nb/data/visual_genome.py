"""Visual Genome: pictures with described regions, objects, and relations between objects.

Read are image_data, objects, relationships and region_descriptions of the releases 1.0, 1.2 and 1.4, plain or
zipped, by the names under which they are published: `objects.json.zip` (1.4), `objects_v1_2.json.zip` (1.2),
`objects_v1.json.zip` (1.0).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from value_nb.data.dataset import SPLITS, Dataset, check_flag, check_limit, check_split
from value_nb.data.example import Example, Regions, Relation
from value_nb.data.json_stream import stream_objects
from value_nb.data.matching import LINK_THRESHOLD, Match, check_threshold, link_regions
from value_nb.data.paths import find_image
from value_nb.data.problems import DataFormatError, ProblemReport, Spot
from value_nb.data.region_sources import NamedRegions, open_regions
from value_nb.data.visual_genome_aliases import Aliases, load_aliases
from value_nb.data.visual_genome_files import find_files
from value_nb.data.visual_genome_records import (
    Description,
    Record,
    Scene,
    SceneObject,
    Triple,
    read_descriptions,
    read_id,
    read_objects,
    shown,
    split_words,
    whole,
)

COLLECTIONS = ("", "vg")
"""Collections of region features whose numbers are image ids here (see `image_key`)."""
SPLIT_FILE = "splits.json"
TRAIN_PERCENT, VAL_PERCENT = 80, 10

Size = tuple[int, int]
UNKNOWN = -1
"""The COCO id of a picture whose record says nothing of COCO."""


@dataclass(frozen=True, slots=True)
class ImageData:
    """What image_data says of a picture: (width, height), and its id in COCO.

    `coco_id` is None where the picture is not in COCO, and `UNKNOWN` where the record says nothing of it.
    """

    size: Size
    coco_id: int | None = UNKNOWN


@dataclass(frozen=True, slots=True)
class _Picture:
    """What is known of a picture."""

    image: ImageData
    objects: tuple[SceneObject, ...]
    relations: tuple[Triple, ...]


@dataclass(slots=True)
class _Source:
    """Builds examples; keeps the links of the last picture, since its descriptions come in a row."""

    name: str
    split: str
    pictures: dict[str, _Picture]
    folders: tuple[Path, ...]
    store: NamedRegions | None
    threshold: float = LINK_THRESHOLD
    _last: tuple[str, Regions, Match, Path | None] | None = field(default=None, repr=False)

    def linked(self, image_id: str) -> tuple[Regions, Match, Path | None]:
        """Return the regions without features, which of them shows each object, and its file."""
        last = self._last
        if last is None or last[0] != image_id:
            objects = self.pictures[image_id].objects
            names = [item.names[0] if item.names else "" for item in objects]
            stored = None if self.store is None else self.store.read(image_id, features=False)
            file = find_image(self.folders, image_id)
            links = link_regions([item.box for item in objects], names, stored, self.threshold)
            last = self._last = (image_id, *links, file)
        return last[1:]

    def example(self, record: tuple[str, Description], features: bool) -> Example:
        """Return the example of a region description."""
        image_id, description = record
        picture = self.pictures[image_id]
        regions, match, file = self.linked(image_id)
        relations, unlinked = link_relations(picture.relations, match)
        if features and self.store is not None:
            regions = replace(regions, features=self.store.read(image_id).features)
        return Example(
            id=f"{image_id}#{description.id}",
            image_id=image_id,
            caption=description.text,
            words=split_words(description.text),
            image=file,
            size=picture.image.size,
            regions=regions,
            relations=relations,
            dataset=self.name,
            split=self.split,
            extra={
                "region_box": description.box,
                "objects": tuple(
                    (item.id, item.names, row) for item, row in zip(picture.objects, match.rows, strict=True)
                ),
                "annotated_boxes": np.array([item.box for item in picture.objects]).reshape(-1, 4),
                "annotated_regions": match.rows,
                "annotated_relations": picture.relations,
                "relations_unlinked": unlinked,
                "coco_id": None if picture.image.coco_id == UNKNOWN else picture.image.coco_id,
                "boxes_linked": (match.matched, len(match.rows)),
            },
        )


def link_relations(relations: Collection[Triple], match: Match) -> tuple[tuple[Relation, ...], int]:
    """Move relations from objects to regions.

    Returns the relations between two different regions, each once, and the number of relations that were lost
    because an object has no region or both have the same one.
    """
    linked: dict[Relation, None] = {}
    lost = 0
    for subject, predicate, target in relations:
        rows = match.rows[subject], match.rows[target]
        if -1 in rows or rows[0] == rows[1]:
            lost += 1
        else:
            linked[Relation(rows[0], predicate, rows[1])] = None
    return tuple(linked), lost


def hash_split(image_id: str) -> str:
    """Return the split of a picture of the real Visual Genome, which has no official splits.

    The first 8 bytes of SHA-256 of the image id in decimal, as a big-endian number modulo 100: below 80
    train, below 90 val, else test. It depends on nothing but the id.

    Examples
    --------
    >>> [hash_split(image_id) for image_id in ("1", "5", "8")]
    ['train', 'val', 'test']
    """
    percent = int.from_bytes(hashlib.sha256(image_id.encode()).digest()[:8], "big") % 100
    return "train" if percent < TRAIN_PERCENT else "val" if percent < TRAIN_PERCENT + VAL_PERCENT else "test"


def read_image_data(path: Path, problems: ProblemReport) -> dict[str, ImageData]:
    """Read size and COCO id of every picture, by image id."""
    found: dict[str, ImageData] = {}
    for number, record in enumerate(stream_objects(path), start=1):
        image_id, width, height = (
            whole(value) for value in (read_id(record, "image_id"), record.get("width"), record.get("height"))
        )
        if image_id is None or width is None or height is None or width < 1 or height < 1:
            problems.at(path, f"element {number}").skip(
                "bad picture record",
                f"image_id, width, height are {image_id}, {width}, {height}; expected whole numbers above 0.",
                "The picture is left out.",
            )
            continue
        coco = whole(record["coco_id"]) if "coco_id" in record else UNKNOWN
        found.setdefault(str(image_id), ImageData((width, height), coco))
    return found


def split_ids(
    root: Path, split: str, known: Collection[str], split_file: Path | str | None = None
) -> frozenset[str]:
    """Return the image ids of a split: from the split file, else splits.json in the root, else `hash_split`.

    Raises
    ------
    FileNotFoundError
        When there is no such split file.
    DataFormatError
        When it is not `{"train": [ids], "val": [ids], "test": [ids]}` without overlap.
    """
    path = root / SPLIT_FILE if split_file is None else Path(split_file).expanduser()
    if not path.is_file():
        if split_file is not None:
            raise FileNotFoundError(
                f"{path} does not exist; expected a file of splits, "
                '{"train": [ids], "val": [ids], "test": [ids]}. Correct split_file, or leave it out: then '
                "splits.json in the root counts, or else a hash of the image id."
            )
        return frozenset(image_id for image_id in known if hash_split(image_id) == split)
    expected = (
        'expected {"train": [ids], "val": [ids], "test": [ids]}, no id twice. Correct or delete the file.'
    )
    try:
        table = json.loads(path.read_text("utf-8-sig"))
        lists = {name: [whole(value) for value in table[name]] for name in SPLITS}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataFormatError(path, "", f"it cannot be used ({error!r}); {expected}") from error
    ids = [value for values in lists.values() for value in values]
    if None in ids or len(set(ids)) != len(ids):
        raise DataFormatError(path, "", f"an id is no whole number or occurs twice; {expected}")
    return frozenset(str(value) for value in lists[split])


def _of_pictures(
    path: Path, wanted: Collection[str], problems: ProblemReport
) -> Iterator[tuple[str, Record, Spot]]:
    """Yield the records of the wanted pictures with their ids; stop when all were seen."""
    missing = set(wanted)
    for number, record in enumerate(stream_objects(path), start=1):
        spot = problems.at(path, f"element {number}")
        image_id = whole(read_id(record, "image_id"))
        if image_id is None:
            spot.skip(
                "record without picture",
                f"the image id {shown(read_id(record, 'image_id'))} came; expected a whole number.",
                "The record is left out.",
            )
        elif str(image_id) in missing:
            missing.remove(str(image_id))
            yield str(image_id), record, problems.at(path, f"picture {image_id}")
        elif str(image_id) in wanted:
            spot.skip(
                "repeated picture",
                f"the image id {image_id} occurs again; expected each once.",
                "The first record is kept.",
            )
        if not missing:
            return


def load_visual_genome(
    root: Path | str,
    split: str = "test",
    *,
    images: Path | str | None = None,
    regions: Any = None,
    threshold: float = LINK_THRESHOLD,
    release: str | None = None,
    aliases: bool | Path | str | None = None,
    split_file: Path | str | None = None,
    exclude_coco: bool = False,
    limit: int | None = None,
    strict: bool = False,
    name: str = "visual-genome",
) -> Dataset:
    """Read one split: an example per region description, in the order of region_descriptions.

    Example ids are `<image id>#<region id>`. An example has all regions and relations of its picture. Words:
    see `split_words`; predicates: see `clean_predicate`; relations: see `Scene.add_relations`.

    Visual Genome has no official splits. Without a split file a picture's split is a hash of its id (see
    `hash_split`: 80 % train, 10 % val, 10 % test), the same for every release and on every machine.

    Part of the pictures are also in COCO (`coco_id`). A model that was pre-trained on COCO has seen these
    pictures, with other captions, whichever split they are in here. UNITER and LXMERT were pre-trained on
    Visual Genome's own descriptions as well, so for them no split is unseen; models of Conceptual Captions
    alone have seen none of it.

    The files are read as a stream; what is kept are the records of the split, measured at about 40 KB a
    picture with 50 descriptions and 35 objects. Use `limit` where that is too much.

    Parameters
    ----------
    root
        Folder with the four files.
    images
        Folder of the pictures; the default is `VG_100K/`, `VG_100K_2/` or `images/` in the root. They may be
        absent.
    regions
        Region features: a region store or a file of another format, by its path or opened (see
        `open_regions`). Objects are linked to its regions by their overlap (see `match_boxes`). Without it
        the objects are the regions, without features.
    threshold
        Smallest IoU, in (0, 1], at which an object and a region show the same thing.
    release
        "1.0", "1.2" or "1.4": which objects and relationships are read, where the root has several. None: the
        newest of which it has both (see `find_files`).
    aliases
        Alias files for the names of objects and for predicates. None: those that lie in the root, if any;
        True: both must lie there; False: none; a path: the folder of both. See `load_aliases`.
    split_file
        A JSON file `{"train": [ids], "val": [ids], "test": [ids]}`; None: `splits.json` of the root where
        there is one, else the hash.
    exclude_coco
        Leave out the pictures that are in COCO. Those of which image_data does not say it are skipped and
        reported.
    limit, strict
        Keep the first so many descriptions; raise at the first bad record instead of skipping it. With a
        limit only what is needed is read, and only its problems are reported.

    Returns
    -------
    Data set whose `example.extra` has: "region_box" (the described box in fractions, or None), "objects" (per
    annotated object its id, all its names, and its region or -1), "annotated_boxes" (`(object, 4)`
    fractions), "annotated_regions" (per object its region, or -1), "annotated_relations" (subject, predicate,
    object as places among the objects), "relations_unlinked" and "boxes_linked" (see `link_relations`,
    `Match`), and "coco_id" (None where it is not in COCO or not known).

    Raises
    ------
    FileNotFoundError, ValueError, TypeError, DataFormatError
        A file or the features missing; a bad option; broken JSON, features of none of the pictures, or a bad
        record in strict mode.
    """
    root, split, limit = Path(root), check_split(split), check_limit(limit)
    threshold, exclude_coco = check_threshold(threshold), check_flag("exclude_coco", exclude_coco)
    files = find_files(root, release)
    problems, store = ProblemReport(strict), open_regions(regions, COLLECTIONS)
    table = load_aliases(root, aliases, problems)
    known = read_image_data(files["image_data"], problems)
    ids = sorted(split_ids(root, split, known, split_file), key=int)
    if store is not None:
        store.check(ids)
    wanted = _usable(files["image_data"], ids, known, exclude_coco, store, problems)
    records = _read_records(files["region_descriptions"], wanted, known, limit, problems)
    pictures = _read_pictures(files, {image_id: known[image_id] for image_id, _ in records}, table, problems)
    folders = (
        (Path(images),) if images is not None else tuple(root / n for n in ("VG_100K", "VG_100K_2", "images"))
    )
    source = _Source(name, split, pictures, folders, store, threshold)
    return Dataset(name, split, records, source, problems)


def _usable(
    path: Path,
    ids: Sequence[str],
    known: dict[str, ImageData],
    exclude_coco: bool,
    store: NamedRegions | None,
    problems: ProblemReport,
) -> frozenset[str]:
    """Leave out pictures in COCO, if asked to, and those without a size or features, which are reported."""
    usable = set()
    for image_id in ids:
        spot, image = problems.at(path, f"picture {image_id}"), known.get(image_id)
        if image is None:
            spot.skip(
                "picture without size",
                "it is in the split file but not in image_data; expected it in both.",
                "The picture is left out.",
            )
        elif exclude_coco and image.coco_id == UNKNOWN:
            spot.skip(
                "picture without coco_id",
                "image_data does not say whether it is in COCO; expected coco_id.",
                "The picture is left out; load with exclude_coco=False to have it.",
            )
        elif exclude_coco and image.coco_id is not None:
            continue
        elif store is not None and image_id not in store:
            spot.skip(
                "picture without regions",
                f"the region features {store.path} lack it.",
                "The picture is left out; add its features, or load without any.",
            )
        else:
            usable.add(image_id)
    return frozenset(usable)


def _read_records(
    path: Path,
    wanted: Collection[str],
    known: dict[str, ImageData],
    limit: int | None,
    problems: ProblemReport,
) -> list[tuple[str, Description]]:
    """Read the descriptions of the wanted pictures with their image ids, the first `limit` of them."""
    records: list[tuple[str, Description]] = []
    for image_id, record, spot in _of_pictures(path, wanted, problems):
        found = read_descriptions(record.get("regions"), known[image_id].size, spot)
        records += ((image_id, one) for one in found)
        if limit is not None and len(records) >= limit:
            break
    return records[:limit]


def _read_pictures(
    files: dict[str, Path], wanted: dict[str, ImageData], aliases: Aliases, problems: ProblemReport
) -> dict[str, _Picture]:
    scenes = {image_id: Scene(image.size, []) for image_id, image in wanted.items()}
    for image_id, record, spot in _of_pictures(files["objects"], wanted, problems):
        objects = read_objects(record.get("objects"), wanted[image_id].size, spot, aliases)
        scenes[image_id] = Scene(wanted[image_id].size, objects, aliases=aliases)
    for image_id, record, spot in _of_pictures(files["relationships"], wanted, problems):
        scenes[image_id].add_relations(record.get("relationships"), spot)
    return {
        image_id: _Picture(wanted[image_id], tuple(scene.objects), tuple(scene.relations))
        for image_id, scene in scenes.items()
    }
