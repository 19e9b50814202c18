"""The table of known data sets, and the one call that loads any of them."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from value_nb.data.dataset import SPLITS, Dataset, check_limit, check_split
from value_nb.data.flickr30k_entities import load_flickr30k_entities
from value_nb.data.paths import bundled_root
from value_nb.data.senteval import TASKS, load_senteval
from value_nb.data.visual_genome import DOWNLOAD, ENDINGS, load_visual_genome

if TYPE_CHECKING:
    import pandas as pd

Loader = Callable[[Path, str, "int | None", bool, str], Dataset]
"""Root, split, limit, strict, name."""

STORE = "features.h5"
"""A region store of this name in the root is used."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One known data set.

    Attributes
    ----------
    name, kind
        What `load_dataset` takes; and phrases, relations or sentences.
    source
        "bundled" with the repository, or where it comes from.
    folder
        Where it lies in the bundled data folder when no `root` is given.
    layout
        What is expected in the root, in words.
    get
        How to get it, in words.
    probe
        A file or folder, relative to the root, by which its presence is told.
    load
        Its loader.
    """

    name: str
    kind: str
    source: str
    folder: str
    layout: str
    get: str
    probe: tuple[str, ...]
    load: Loader

    def find(self, root: Path) -> bool:
        """Whether the data are in a root."""
        return any((root / path).exists() for path in self.probe)


def _mini_flickr(root: Path, split: str, limit: int | None, strict: bool, name: str) -> Dataset:
    folder, images, regions = root / "flickr30k_entities", root / "images", root / STORE
    return load_flickr30k_entities(
        folder, split, images=images, regions=regions, limit=limit, strict=strict, name=name
    )


def _mini_vg(root: Path, split: str, limit: int | None, strict: bool, name: str) -> Dataset:
    folder, images, regions = root / "visual_genome", root / "images", root / STORE
    return load_visual_genome(
        folder, split, images=images, regions=regions, limit=limit, strict=strict, name=name
    )


def _flickr(root: Path, split: str, limit: int | None, strict: bool, name: str) -> Dataset:
    regions = root / STORE if (root / STORE).is_file() else None
    return load_flickr30k_entities(root, split, regions=regions, limit=limit, strict=strict, name=name)


def _vg(root: Path, split: str, limit: int | None, strict: bool, name: str) -> Dataset:
    regions = root / STORE if (root / STORE).is_file() else None
    return load_visual_genome(root, split, regions=regions, limit=limit, strict=strict, name=name)


def _senteval(root: Path, split: str, limit: int | None, strict: bool, name: str) -> Dataset:
    file = f"{name.split('/')[1]}.txt"
    candidates = (root / file, root / "senteval" / file, root / "data" / "probing" / file)
    path = next((path for path in candidates if path.is_file()), root / file)
    return load_senteval(path, split, limit=limit, strict=strict, name=name)


MINI_LAYOUT = "the folders flickr30k_entities, visual_genome, senteval and images, and features.h5"
MINI_GET = "Ships with the repository in data/mini; `make mini` builds it."


def _mini(name: str, kind: str, probe: str, load: Loader) -> Entry:
    return Entry(name, kind, "bundled", "mini", MINI_LAYOUT, MINI_GET, (probe,), load)


def _real_senteval(task: str) -> Entry:
    file = f"{task}.txt"
    return Entry(
        name=f"senteval/{task}",
        kind="sentences",
        source="github.com/facebookresearch/SentEval",
        folder="senteval",
        layout=f"{file}, or data/probing/{file}",
        get="Clone github.com/facebookresearch/SentEval (texts in data/probing) and give root=.",
        probe=(file, f"data/probing/{file}"),
        load=_senteval,
    )


def _entries() -> dict[str, Entry]:
    flickr = Entry(
        name="flickr30k-entities",
        kind="phrases",
        source="github.com/BryanPlummer/flickr30k_entities",
        folder="flickr30k-entities",
        layout="Sentences/<id>.txt, Annotations/<id>.xml, train.txt, val.txt, test.txt; "
        "optional: UNRELATED_CAPTIONS, images/<id>.jpg, features.h5 (a region store)",
        get="Unpack annotations.zip of github.com/BryanPlummer/flickr30k_entities (about 28 MB) beside its "
        "split files and give root=. Pictures: by form at the Illinois DenotationGraph page.",
        probe=("Sentences",),
        load=_flickr,
    )
    genome = Entry(
        name="visual-genome",
        kind="relations",
        source=DOWNLOAD,
        folder="visual-genome",
        layout="image_data, objects, relationships and region_descriptions, each .json or .json.zip; "
        "optional: VG_100K/<id>.jpg, VG_100K_2/<id>.jpg, splits.json, features.h5 (a region store)",
        get="Download image_data, objects, relationships and region_descriptions (.json.zip) from "
        f"{DOWNLOAD} and give root=. Pictures: images.zip and images2.zip in "
        "https://cs.stanford.edu/people/rak248/VG_100K_2/.",
        probe=tuple(f"objects{ending}" for ending in ENDINGS),
        load=_vg,
    )
    minis = [
        _mini("mini-flickr30k", "phrases", "flickr30k_entities/Sentences", _mini_flickr),
        _mini("mini-vg", "relations", "visual_genome/objects.json", _mini_vg),
        *(_mini(f"mini-senteval/{task}", "sentences", f"senteval/{task}.txt", _senteval) for task in TASKS),
    ]
    return {entry.name: entry for entry in (*minis, flickr, genome, *map(_real_senteval, TASKS))}


ENTRIES = _entries()
"""Every known data set by its name."""


def find_entry(name: str) -> Entry:
    """Return the entry of a name. Raises ValueError, with the valid names, when there is none."""
    if isinstance(name, str) and name in ENTRIES:
        return ENTRIES[name]
    near = difflib.get_close_matches(str(name), ENTRIES, n=3)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise ValueError(f"Data set {name!r} is not known.{hint} Known are: {', '.join(ENTRIES)}.")


def load_dataset(
    name: str,
    split: str = "test",
    root: Path | str | None = None,
    limit: int | None = None,
    strict: bool = False,
) -> Dataset:
    """Load one split of a known data set.

    Parameters
    ----------
    name
        A name of the table that `datasets()` shows, for instance "mini-flickr30k" or "senteval/tree_depth".
    split
        "train", "val" or "test".
    root
        Folder that holds the data. None: the bundled data (`data/mini`); for the real ones a folder of the
        same name in the bundled data folder, or wherever VALUE_NB_DATA points.
    limit
        Keep the first so many examples; None keeps all.
    strict
        Raise a `DataFormatError` at the first bad record. Otherwise bad records are skipped, counted and
        listed in `dataset.problems`.

    Raises
    ------
    ValueError
        An unknown name or split, a bad limit, or (DataFormatError) data that cannot be used.
    FileNotFoundError
        The data are not there: says where they can be had, and the expected layout.
    """
    entry = find_entry(name)
    check_split(split)
    check_limit(limit)
    folder = bundled_root() / entry.folder if root is None else Path(root).expanduser()
    try:
        return entry.load(folder, split, limit, strict, name)
    except FileNotFoundError as error:
        if entry.find(folder):
            raise
        raise FileNotFoundError(
            f"Data set {name!r} is not in {folder} (looked for {' or '.join(entry.probe)}). "
            f"{entry.get} Expected in that folder: {entry.layout}."
        ) from error


def datasets() -> pd.DataFrame:
    """Return the table of known data sets: name, kind, splits, source, present, how to get it.

    "Present" looks where `load_dataset` looks when it is given no `root`.
    """
    import pandas as pd

    try:
        base: Path | None = bundled_root()
    except FileNotFoundError:
        base = None
    rows = [
        {
            "name": entry.name,
            "kind": entry.kind,
            "splits": ", ".join(SPLITS),
            "source": entry.source,
            "present": base is not None and entry.find(base / entry.folder),
            "how to get it": entry.get,
        }
        for entry in ENTRIES.values()
    ]
    return pd.DataFrame(rows)
