"""Region features of any format into the kit's own store: streamed, resumable, compared at the end."""

from __future__ import annotations

import warnings
from dataclasses import replace
from glob import escape
from pathlib import Path

import numpy as np

from value_nb.data.features.detect import open_features
from value_nb.data.features.naming import Naming, Rule
from value_nb.data.features.part_file import PartFile
from value_nb.data.features.source import FeatureSource, Names, Reader
from value_nb.data.features.uniter_lmdb import RegionChoice
from value_nb.data.problems import DataFormatError, ProblemReport
from value_nb.data.regions import RegionStore, RegionStoreWriter, StoredImage
from value_nb.progress import bar

COMPARED = 20
"""So many pictures, evenly spread, are read again from the source and compared with the store."""

MOST_CLASSES = 1 << 15
"""Class indices are int16 in a store."""


def convert_features(
    src: FeatureSource | Path | str,
    dst: Path | str,
    format: str | None = None,
    image_ids: Rule = None,
    overwrite: bool = False,
    progress: bool = True,
    *,
    strict: bool = False,
    class_names: Names = None,
    choice: RegionChoice | None = None,
) -> RegionStore:
    """Bring region features of another format into a region store.

    Memory does not grow with the number of pictures, save for their ids. What has been read is kept in
    `<dst>.part` (float16, uncompressed: about as large as the store), so a call that was killed at any point
    goes on where it stopped when it is made again. The store is then written beside its final name, its
    number of pictures and a sample of 20 are compared with the source, and only then it gets its name and the
    part file goes. Features and confidences become float16.

    Parameters
    ----------
    src
        What `open_features` takes, or gives.
    dst
        The store to make, for instance features.h5 in the folder of a data set.
    format, class_names, choice
        As in `open_features`.
    image_ids
        How an image id of the source becomes one of the store. "digits": the number without leading zeros
        ('flickr30k_000001000092795.npz' becomes '1000092795', 'COCO_val2014_000000000042' becomes '42'); an
        id of another shape ('nlvr2_dev-0-0-img0.npz') is an error. None: "digits", but an id of another shape
        stays as it is. "keep": all stay. A function or a dict: its value. Two pictures never get one id.
    overwrite
        Replace a store that is there already; otherwise that is an error.
    progress
        Show a bar.
    strict
        Raise at the first picture that cannot be read, or whose features float16 cannot hold. Otherwise such
        pictures are skipped, counted and listed in `store.problems`, and a warning says how many.

    Returns
    -------
    The store, with the skipped pictures in its attribute `problems`.

    Raises
    ------
    FileNotFoundError
        When there is no `src`.
    FileExistsError
        When there is a `dst` and `overwrite` is False.
    BlockingIOError
        When another conversion to the same `dst` runs.
    ValueError
        What `open_features` raises; image ids that the rule cannot tell apart; or (DataFormatError) a file
        without a readable picture, or, with `strict`, with an unreadable one.
    """
    naming, dst = Naming(image_ids), Path(dst).expanduser()
    source, problems = _opened(src, format, class_names, choice), ProblemReport(strict)
    part = PartFile(dst.with_name(f"{dst.name}.part"), source.fingerprint())
    _check_room(source, dst, overwrite or part.path.exists())
    dst.parent.mkdir(parents=True, exist_ok=True)
    with part:
        if dst.exists() and not overwrite:
            if part.other or part.note("finished") != _state(dst):
                raise _exists(dst)
        else:
            _remove_leftovers(dst)
            _begin(part)
            _read_all(source, part, naming, problems, progress)
            _write(source, part, dst, naming, progress)
    part.remove()
    store = RegionStore(dst)
    store.problems = problems
    if problems:
        warnings.warn(f"{dst}: {problems!r}", stacklevel=2)
    return store


def _opened(
    src: FeatureSource | Path | str, format: str | None, class_names: Names, choice: RegionChoice | None
) -> FeatureSource:
    if not isinstance(src, FeatureSource):
        return open_features(src, format, class_names, choice)
    given = {"format": format, "class_names": class_names, "choice": choice}
    extra = ", ".join(name for name, value in given.items() if value is not None)
    if extra:
        raise ValueError(f"{extra} came together with an open source; give them to open_features instead.")
    return src


def _check_room(source: FeatureSource, dst: Path, may_exist: bool) -> None:
    """Refuse what could not end well before anything is read."""
    if dst.exists() and dst.resolve() == source.data_file.resolve():
        raise ValueError(f"dst={str(dst)!r} is the file that is read; give another name.")
    if dst.exists() and not may_exist:
        raise _exists(dst)
    if len(source.class_names) > MOST_CLASSES:
        raise ValueError(f"{len(source.class_names)} classes came; a store holds at most {MOST_CLASSES}.")


def _exists(dst: Path) -> FileExistsError:
    return FileExistsError(f"{dst} exists; expected no such file. Give overwrite=True to replace it.")


def _state(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"


def _remove_leftovers(dst: Path) -> None:
    """Remove stores that a killed conversion was writing; the part file's lock says that none runs now."""
    for file in dst.parent.glob(f".{escape(dst.name)}.*.part"):
        file.unlink(missing_ok=True)


def _begin(part: PartFile) -> None:
    if part.other:
        warnings.warn(f"{part.path} was left by the conversion of another file: begun anew.", stacklevel=3)
        part.clear()


def _read_all(
    source: FeatureSource, part: PartFile, naming: Naming, problems: ProblemReport, progress: bool
) -> None:
    """Read what the part file lacks."""
    done = part.positions()
    records = bar(source.stream(), "reading", source.known_length, progress, unit=" pictures", leave=True)
    with records:
        for position, (image_id, read) in enumerate(records):
            if position in done:
                naming(image_id)
            elif (image := _readable(source, image_id, read, problems)) is not None:
                naming(image_id)
                part.add(position, image)
    part.commit()


def _readable(
    source: FeatureSource, image_id: str, read: Reader, problems: ProblemReport
) -> StoredImage | None:
    """Read a picture; None, and reported as skipped, when it cannot be had or float16 cannot hold it."""
    try:
        image = read()
    except DataFormatError as error:
        remedy = "It is left out; the others are kept."
        problems.at(error.file, error.place).skip("unreadable picture", error.message, remedy)
        return None
    if np.abs(image.features).max(initial=0) <= np.finfo(np.float16).max:
        return image
    problems.at(source.data_file, f"picture {image_id}").skip(
        "float16 overflow",
        f"a feature of {np.abs(image.features).max():g} came; a store holds float16, up to 65504.",
        "It is left out; scale the features of the whole file and convert again.",
    )
    return None


def _write(source: FeatureSource, part: PartFile, dst: Path, naming: Naming, progress: bool) -> None:
    """Write the store from the part file, and compare it with the source before it gets its name."""
    ids = part.image_ids()
    if not ids:
        raise DataFormatError(
            source.data_file, "", f"none of its {len(source)} pictures can be read; expected one at least."
        )

    def check(store: RegionStore) -> None:
        _compare(source, store, ids, naming)
        part.remark("finished", _state(store.path))

    images = bar(part.images(source.width), "writing", len(ids), progress, unit=" pictures", leave=True)
    with images, RegionStoreWriter(dst, source.class_names, source.feature_source, check) as writer:
        for image in images:
            writer.add(replace(image, image_id=naming(image.image_id)))


def _compare(source: FeatureSource, store: RegionStore, ids: list[str], naming: Naming) -> None:
    """Compare the number of pictures, and some of them bit by bit, with the source."""
    if len(store) != len(ids):
        raise DataFormatError(store.path, "", f"{len(store)} pictures were written; expected {len(ids)}.")
    for row in sorted(set(np.linspace(0, len(ids) - 1, COMPARED).astype(int).tolist())):
        image, new = source.read(ids[row]), naming(ids[row])
        there, float16 = store.read(new), image.features.astype(np.float16)
        same = (
            np.array_equal(there.boxes, image.boxes)
            and there.features is not None
            and np.array_equal(there.features, float16.astype(np.float32))
            and np.array_equal(store.class_ids(new), image.class_id)
            and store.size(new) == image.size
        )
        if not same:
            raise DataFormatError(
                store.path,
                f"picture {new}",
                "what was written differs from the source; expected the same. Was the source changed "
                "meanwhile? Remove the part file and convert again.",
            )
