"""Visual Genome: pictures with described regions, objects, and relations between objects.

Read are releases 1.2 and 1.4: image_data, objects, relationships and region_descriptions, each `<name>.json`,
`<name>.json.zip` as downloaded, or the same with `_v1_2` behind the name. Release 1.0 is recognised and
refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from value_nb.data.dataset import SPLITS, Dataset, check_limit, check_split
from value_nb.data.example import Example, Regions, Relation
from value_nb.data.json_stream import stream_objects
from value_nb.data.matching import Match, link_regions
from value_nb.data.paths import find_image
from value_nb.data.problems import DataFormatError, ProblemReport, Spot
from value_nb.data.regions import RegionStore, open_store
from value_nb.data.visual_genome_records import (
    RELEASE_1,
    Description,
    Record,
    Scene,
    SceneObject,
    Triple,
    read_descriptions,
    read_objects,
    refuse_release_1,
    split_words,
    whole,
)

FILES = ("image_data", "objects", "relationships", "region_descriptions")
ENDINGS = (".json", ".json.zip", "_v1_2.json", "_v1_2.json.zip")
RELEASE_1_ENDINGS = ("_v1.json", "_v1.json.zip")
DOWNLOAD = "https://homes.cs.washington.edu/~ranjay/visualgenome/data/dataset/"
SPLIT_FILE = "splits.json"
TRAIN_PERCENT, VAL_PERCENT = 80, 10

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Picture:
    """What is known of a picture."""

    size: Size
    objects: tuple[SceneObject, ...]
    relations: tuple[Triple, ...]


@dataclass(slots=True)
class _Source:
    """Builds examples; keeps the links of the last picture, since its descriptions come in a row."""

    name: str
    split: str
    pictures: dict[str, _Picture]
    folders: tuple[Path, ...]
    store: RegionStore | None
    _last: tuple[str, Regions, Match, Path | None] | None = field(default=None, repr=False)

    def linked(self, image_id: str) -> tuple[Regions, Match, Path | None]:
        """Return the regions without features, which of them shows each object, and its file."""
        last = self._last
        if last is None or last[0] != image_id:
            objects = self.pictures[image_id].objects
            names = [item.names[0] if item.names else "" for item in objects]
            stored = None if self.store is None else self.store.read(image_id, features=False)
            file = find_image(self.folders, image_id)
            last = self._last = (image_id, *link_regions([item.box for item in objects], names, stored), file)
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
            size=picture.size,
            regions=regions,
            relations=relations,
            dataset=self.name,
            split=self.split,
            extra={
                "region_box": description.box,
                "objects": tuple(
                    (item.id, item.names, row) for item, row in zip(picture.objects, match.rows, strict=True)
                ),
                "relations_unlinked": unlinked,
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


def find_file(root: Path, name: str) -> Path:
    """Return the file of a part ("objects"), the plain one before the zip.

    Raises
    ------
    FileNotFoundError
        When there is none: says what is expected and where to download it.
    DataFormatError
        When only release 1.0 of it is there.
    """
    for ending in ENDINGS:
        if (root / f"{name}{ending}").is_file():
            return root / f"{name}{ending}"
    for ending in RELEASE_1_ENDINGS:
        if (root / f"{name}{ending}").is_file():
            raise DataFormatError(root / f"{name}{ending}", "", RELEASE_1)
    raise FileNotFoundError(
        f"{root} has no {name}.json; expected {', '.join(FILES)}, each as .json or .json.zip as downloaded "
        "from "
        f"{DOWNLOAD} ({name}.json.zip)."
    )


def read_sizes(path: Path, problems: ProblemReport) -> dict[str, Size]:
    """Read (width, height) by image id from image_data."""
    sizes: dict[str, Size] = {}
    for number, record in enumerate(stream_objects(path), start=1):
        spot = problems.at(path, f"element {number}")
        refuse_release_1(record, "image_id", spot)
        image_id, width, height = (whole(record.get(key)) for key in ("image_id", "width", "height"))
        if image_id is None or width is None or height is None or width < 1 or height < 1:
            spot.skip(
                "bad picture record",
                f"image_id, width, height are {image_id}, {width}, {height}; expected whole numbers above 0.",
                "The picture is left out.",
            )
        else:
            sizes.setdefault(str(image_id), (width, height))
    return sizes


def split_ids(root: Path, split: str, known: Collection[str]) -> frozenset[str]:
    """Return the image ids of a split: from splits.json where the root has one, else by `hash_split`.

    Raises DataFormatError when splits.json is not `{"train": [ids], "val": [ids], "test": [ids]}` without
    overlap.
    """
    path = root / SPLIT_FILE
    if not path.is_file():
        return frozenset(image_id for image_id in known if hash_split(image_id) == split)
    expected = (
        'expected {"train": [ids], "val": [ids], "test": [ids]}, no id twice. Correct or delete the file.'
    )
    try:
        table = json.loads(path.read_text("utf-8-sig"))
        lists = {name: [whole(value) for value in table[name]] for name in SPLITS}
    except (ValueError, TypeError, KeyError) as error:
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
        if path.name.startswith("region_descriptions"):
            value = record.get("image_id", record.get("id"))
        else:
            refuse_release_1(record, "image_id", spot)
            value = record.get("image_id")
        image_id = whole(value)
        if image_id is None:
            spot.skip(
                "record without picture",
                f"the image id {value!r} came; expected a whole number.",
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
    regions: RegionStore | Path | str | None = None,
    limit: int | None = None,
    strict: bool = False,
    name: str = "visual-genome",
) -> Dataset:
    """Read one split: an example per region description, in the order of region_descriptions.

    Example ids are `<image id>#<region id>`. An example has all regions and relations of its picture. Words:
    see `split_words`; predicates: see `clean_predicate`; relations: see `Scene.add_relations`. Splits:
    `split_ids`. `example.extra`: "region_box" (the described box in fractions, or None), "objects" (per
    annotated object its id, all its names, and its region or -1), "relations_unlinked" and "boxes_linked"
    (see `link_relations`, `Match`).

    Parameters
    ----------
    root
        Folder with the four files.
    images
        Folder of the pictures; the default is `VG_100K/`, `VG_100K_2/` or `images/` in the root. They may be
        absent.
    regions
        A region store or its path. Objects are linked to its rows at an IoU of at least 0.5 (see
        `match_boxes`). Without it the objects are the regions, without features.
    limit, strict
        Keep the first so many descriptions; raise at the first bad record instead of skipping it. With a
        limit only what is needed is read, and only its problems are reported.

    Raises
    ------
    FileNotFoundError, ValueError, DataFormatError
        A file or the store missing; a bad option; release 1.0, broken JSON, or a bad record in strict mode.
    """
    root, split, limit = Path(root), check_split(split), check_limit(limit)
    files = {part: find_file(root, part) for part in FILES}
    problems, store = ProblemReport(strict), open_store(regions)
    sizes = read_sizes(files["image_data"], problems)
    wanted = _usable(root, split_ids(root, split, sizes), sizes, store, problems)
    records: list[tuple[str, Description]] = []
    for image_id, record, spot in _of_pictures(files["region_descriptions"], wanted, problems):
        records += (
            (image_id, one) for one in read_descriptions(record.get("regions"), sizes[image_id], spot)
        )
        if limit is not None and len(records) >= limit:
            break
    records = records[:limit]
    pictures = _read_pictures(files, dict.fromkeys(image_id for image_id, _ in records), sizes, problems)
    folders = (
        (Path(images),) if images is not None else tuple(root / n for n in ("VG_100K", "VG_100K_2", "images"))
    )
    return Dataset(name, split, records, _Source(name, split, pictures, folders, store), problems)


def _usable(
    root: Path,
    ids: Collection[str],
    sizes: dict[str, Size],
    store: RegionStore | None,
    problems: ProblemReport,
) -> frozenset[str]:
    """Leave out the pictures without a size or without regions in the store, and report them."""
    usable = set()
    for image_id in sorted(ids, key=int):
        spot = problems.at(root, f"picture {image_id}")
        if image_id not in sizes:
            spot.skip(
                "picture without size",
                "it is in splits.json but not in image_data; expected it in both.",
                "The picture is left out.",
            )
        elif store is not None and image_id not in store:
            spot.skip(
                "picture without regions",
                f"the region store {store.path} lacks it.",
                "The picture is left out; add it to the store, or load without one.",
            )
        else:
            usable.add(image_id)
    return frozenset(usable)


def _read_pictures(
    files: dict[str, Path], wanted: dict[str, None], sizes: dict[str, Size], problems: ProblemReport
) -> dict[str, _Picture]:
    scenes = {image_id: Scene(sizes[image_id], []) for image_id in wanted}
    for image_id, record, spot in _of_pictures(files["objects"], wanted, problems):
        scenes[image_id] = Scene(sizes[image_id], read_objects(record.get("objects"), sizes[image_id], spot))
    for image_id, record, spot in _of_pictures(files["relationships"], wanted, problems):
        scenes[image_id].add_relations(record.get("relationships"), spot)
    return {
        image_id: _Picture(scene.size, tuple(scene.objects), tuple(scene.relations))
        for image_id, scene in scenes.items()
    }
