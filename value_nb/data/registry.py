"""The table of known data sets, and the one call that loads any of them."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from value_nb.by_name import is_own, own_function
from value_nb.data.dataset import SPLITS, Dataset, check_limit, check_split
from value_nb.data.flickr30k_entities import load_flickr30k_entities
from value_nb.data.matching import LINK_THRESHOLD
from value_nb.data.paths import bundled_root
from value_nb.data.senteval import FILES, TASKS, load_senteval
from value_nb.data.visual_genome import load_visual_genome
from value_nb.data.visual_genome_files import DOWNLOAD, RELEASES, file_names

if TYPE_CHECKING:
    import pandas as pd

Loader = Callable[..., Dataset]
"""Takes root and split, and by keyword limit, strict, name and the options of its entry."""

STORE = "features.h5"
"""A region store of this name in the root is used."""
FEATURES = ("linked", "none")
OF_PICTURES = ("regions", "threshold", "features", "images")
OF_PHRASES = (*OF_PICTURES, "unrelated")
OF_RELATIONS = (*OF_PICTURES, "release", "aliases", "split_file", "exclude_coco")
OPTIONS: dict[str, Any] = {
    "regions": None,
    "threshold": LINK_THRESHOLD,
    "features": "linked",
    "images": None,
    "unrelated": "exclude",
    "release": None,
    "aliases": None,
    "split_file": None,
    "exclude_coco": False,
}
"""Every option of single data sets with its default."""


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
    options
        The options of `load_dataset` that it takes.
    """

    name: str
    kind: str
    source: str
    folder: str
    layout: str
    get: str
    probe: tuple[str, ...]
    load: Loader
    options: tuple[str, ...] = ()

    def find(self, root: Path) -> bool:
        """Whether the data are in a root."""
        return any((root / path).exists() for path in self.probe)


def _store(root: Path, options: dict[str, Any], default: Path | None) -> dict[str, Any]:
    """Turn the option `features` into the region features to use: those given, else the default, or none."""
    features, rest = options["features"], {k: v for k, v in options.items() if k != "features"}
    if features not in FEATURES:
        raise ValueError(f"features={features!r} came; expected one of {', '.join(map(repr, FEATURES))}.")
    if features == "none" and rest["regions"] is not None:
        raise ValueError(f"regions={rest['regions']!r} came with features='none'; expected one of both.")
    chosen = default if rest["regions"] is None and features == "linked" else rest["regions"]
    return rest | {"regions": chosen}


def _mini(load: Loader, folder: str) -> Loader:
    def load_mini(root: Path, split: str, **options: Any) -> Dataset:
        images = root / "images" if options["images"] is None else options["images"]
        return load(root / folder, split, **_store(root, options, root / STORE) | {"images": images})

    return load_mini


def _real(load: Loader) -> Loader:
    def load_real(root: Path, split: str, **options: Any) -> Dataset:
        store = root / STORE
        return load(root, split, **_store(root, options, store if store.is_file() else None))

    return load_real


def _senteval(root: Path, split: str, *, name: str, **options: Any) -> Dataset:
    file = f"{name.split('/')[1]}.txt"
    candidates = (root / file, root / "senteval" / file, root / "data" / "probing" / file)
    path = next((path for path in candidates if path.is_file()), root / file)
    return load_senteval(path, split, name=name, **options)


MINI_LAYOUT = "the folders flickr30k_entities, visual_genome, senteval and images, and features.h5"
MINI_GET = "Ships with the repository in data/mini; `make mini` builds it."


def _bundled(name: str, kind: str, probe: str, load: Loader, options: tuple[str, ...] = ()) -> Entry:
    return Entry(name, kind, "bundled", "mini", MINI_LAYOUT, MINI_GET, (probe,), load, options)


def _real_senteval(task: str) -> Entry:
    file = f"{task}.txt"
    return Entry(
        name=f"senteval/{task}",
        kind="sentences",
        source="github.com/facebookresearch/SentEval",
        folder="senteval",
        layout=f"{file}, or data/probing/{file}",
        get=f'Run vnb.fetch("senteval/{task}"), or clone github.com/facebookresearch/SentEval (texts in '
        "data/probing) and give root=.",
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
        get='Run vnb.fetch("flickr30k-entities"), or unpack annotations.zip of '
        "github.com/BryanPlummer/flickr30k_entities (about 28 MB) beside its split files and give root=. "
        "Pictures: by form at the Illinois DenotationGraph page.",
        probe=("Sentences",),
        load=_real(load_flickr30k_entities),
        options=OF_PHRASES,
    )
    genome = Entry(
        name="visual-genome",
        kind="relations",
        source=DOWNLOAD,
        folder="visual-genome",
        layout="image_data, objects, relationships and region_descriptions, each .json or .json.zip; "
        "optional: object_alias.txt and relationship_alias.txt, VG_100K/<id>.jpg, VG_100K_2/<id>.jpg, "
        "splits.json, features.h5 (a region store)",
        get='Run vnb.fetch("visual-genome"), or download image_data, objects, relationships and '
        "region_descriptions (.json.zip), if wanted also "
        f"object_alias.txt and relationship_alias.txt, from {DOWNLOAD} and give root=. Pictures: images.zip "
        "and images2.zip in https://cs.stanford.edu/people/rak248/VG_100K_2/.",
        probe=tuple(name for release in RELEASES for name in file_names("objects", release)),
        load=_real(load_visual_genome),
        options=OF_RELATIONS,
    )
    minis = [
        _bundled(
            "mini-flickr30k",
            "phrases",
            "flickr30k_entities/Sentences",
            _mini(load_flickr30k_entities, "flickr30k_entities"),
            OF_PHRASES,
        ),
        _bundled(
            "mini-vg",
            "relations",
            "visual_genome/objects.json",
            _mini(load_visual_genome, "visual_genome"),
            OF_RELATIONS,
        ),
        *(_bundled(f"mini-senteval/{t}", "sentences", f"senteval/{t}.txt", _senteval) for t in TASKS),
    ]
    return {entry.name: entry for entry in (*minis, flickr, genome, *map(_real_senteval, FILES))}


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
    *,
    regions: Any = None,
    threshold: float = LINK_THRESHOLD,
    features: str = "linked",
    images: Path | str | None = None,
    unrelated: str = "exclude",
    release: str | None = None,
    aliases: bool | Path | str | None = None,
    split_file: Path | str | None = None,
    exclude_coco: bool = False,
) -> Dataset:
    """Load one split of a known data set.

    Parameters
    ----------
    name
        A name of the table that `datasets()` shows, for instance "mini-flickr30k" or "senteval/tree_depth".
        Or "module:function": a function of yours that is called with split= and limit=, and with root= where
        you gave one, and returns a `Dataset`. It takes no other options.
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
    regions
        Region features: the path of a region store, or of any format that is read (UNITER's LMDB, LXMERT's
        TSV, VOLTA's LMDB and HDF5, npz), or such features opened. None: `features.h5` in the root, where
        there is one. Names of pictures such as `flickr30k_000000092795.npz` are understood (see
        `image_key`).
    threshold
        Smallest IoU, in (0, 1], at which an annotated box and a region show the same thing. What that loses,
        and of which types, `region_coverage` counts.
    features
        "linked": annotated boxes are linked to the regions that have features, and these are what a model
        sees. "none": no features; the annotated boxes are the regions.
    images
        Folder of the pictures; None: where they usually lie in the root.
    unrelated
        Flickr30k Entities: "exclude" or "flag" captions that have nothing to do with their picture.
    release, aliases, split_file, exclude_coco
        Visual Genome: see `load_visual_genome`.

    Raises
    ------
    ValueError
        An unknown name or split, a bad limit or option, an option that this data set does not have, or
        (DataFormatError) data that cannot be used.
    FileNotFoundError
        The data are not there: says where they can be had, and the expected layout.
    """
    check_split(split)
    check_limit(limit)
    given = {
        "regions": regions,
        "threshold": threshold,
        "features": features,
        "images": images,
        "unrelated": unrelated,
        "release": release,
        "aliases": aliases,
        "split_file": split_file,
        "exclude_coco": exclude_coco,
    }
    if is_own(name):
        return _own(name, split, root, limit, given | {"strict": strict})
    entry = find_entry(name)
    options = _options_of(entry, given)
    folder = bundled_root() / entry.folder if root is None else Path(root).expanduser()
    try:
        return entry.load(folder, split, limit=limit, strict=strict, name=name, **options)
    except FileNotFoundError as error:
        if entry.find(folder):
            raise
        raise FileNotFoundError(
            f"Data set {name!r} is not in {folder} (looked for {' or '.join(entry.probe)}). "
            f"{entry.get} Expected in that folder: {entry.layout}."
        ) from error


def _own(name: str, split: str, root: Path | str | None, limit: int | None, given: dict[str, Any]) -> Dataset:
    """Call the reader's function."""
    defaults = OPTIONS | {"strict": False}
    if extra := [option for option, value in given.items() if value != defaults[option]]:
        raise ValueError(
            f"{extra[0]}={given[extra[0]]!r} came; {name} is called with split, limit and root alone."
        )
    where = {} if root is None else {"root": Path(root).expanduser()}
    data = own_function(name)(split=split, limit=limit, **where)
    if not isinstance(data, Dataset):
        raise ValueError(f"{name} returned {type(data).__name__}; expected a value_nb.data.Dataset.")
    return data


def _options_of(entry: Entry, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options that an entry takes. Raises ValueError for one that it would have to ignore."""
    extra = [
        option
        for option, value in given.items()
        if option not in entry.options and value is not OPTIONS[option] and value != OPTIONS[option]
    ]
    if extra:
        raise ValueError(
            f"{extra[0]}={given[extra[0]]!r} came; {entry.name} has no such option, only: "
            f"{', '.join(('limit', 'strict', *entry.options))}."
        )
    return {option: given[option] for option in entry.options}


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
