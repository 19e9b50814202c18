"""The reader's own picture and sentence as an Example, with regions of theirs or the boxes of a grid."""

from __future__ import annotations

import tempfile
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile, is_zipfile

import numpy as np

from value_nb.data.example import Example, Phrase, Regions
from value_nb.data.grid_boxes import grid_regions, regions_note
from value_nb.data.matching import as_boxes
from value_nb.data.pictures import read_picture

if TYPE_CHECKING:
    from PIL.Image import Image

DATASET = "own picture"
BOXES, FEATURES, NAMES, CONFIDENCE = "boxes", "features", "names", "confidence"
Given = Regions | Mapping[str, Any] | str | Path
Links = Sequence[Phrase] | Mapping[str, Sequence[int]]
OTHER = ("other",)
"""Entity type of a phrase of which nobody says more."""
MOST_ARRAY = 2**30  # bytes that an array of regions may unfold to


def own_picture(
    path_or_bytes: str | Path | bytes,
    caption: str,
    regions: Given | None = None,
    phrases: Links = (),
    grid: tuple[int, int] = (4, 4),
) -> Example:
    """Make an example of a picture and a sentence of your own.

        example = vnb.own_picture("dog.jpg", "A dog with a red hat .")
        vnb.load_model("path/to/vilt").trace(example)

    Probes and panels speak of regions. A model that reads pixels (ViLT) needs no more than their boxes. A
    model that is fed with region features (UNITER, LXMERT, ViLBERT) needs features of the detector that it
    was trained with; without them it says so. Where no regions come, the boxes of a grid stand for them:
    `Regions.sources` is then "grid", and figures say that nobody detected anything there.

    Parameters
    ----------
    path_or_bytes
        A PNG, JPEG, WebP, GIF, BMP or TIFF file, or its content. It is turned upright as its EXIF orientation
        says and brought to RGB, transparency on white; where that changes anything, or content came, the
        example's `image` is a copy that lives as long as this process.
    caption
        The sentence; split at white space, punctuation at either end of a word is a word of its own.
    regions
        `Regions`; or a mapping, or the path of an .npz file, with "boxes" `(region, 4)` x1 y1 x2 y2 as
        fractions of the upright picture, and as you have them "features" `(region, width)`, "names"
        `(region,)`, "confidence" `(region,)`. None: the grid.
    phrases
        What the caption's phrases show: `Phrase`s, or words -> region indices, as in {"a red hat": [2]}. The
        words of a mapping stand somewhere in the caption; the first place counts.
    grid
        (rows, columns) of the grid, 1 to 64 each; not looked at where regions come.

    Raises
    ------
    ValueError
        For what is no picture, one of more than 50 million pixels or 100 MB, a caption without a word, boxes
        outside the picture, arrays that do not fit each other, and phrases that are not in the caption or
        show regions that there are not.
    """
    source = path_or_bytes if isinstance(path_or_bytes, bytes) else Path(path_or_bytes).expanduser()
    words = split_caption(caption)
    picture = read_picture(source, upright=True)
    found = grid_regions(*_checked_grid(grid)) if regions is None else given_regions(regions)
    image = _kept(source, picture)
    digest = blake2b(picture.tobytes(), digest_size=6).hexdigest()
    example = Example(
        id=f"own-{digest}#0",
        image_id=f"own-{digest}",
        caption=caption.strip(),
        words=words,
        image=image,
        size=picture.size,
        regions=found,
        phrases=_phrases(phrases, words, len(found)),
        dataset=DATASET,
    )
    note = regions_note(example)
    example.extra.update({"regions": note} if note else {})
    return example


def split_caption(caption: str) -> tuple[str, ...]:
    """The words of a sentence: split at white space, punctuation at either end apart.

    Characters that show nothing (control characters, joiners alone) make no word.

    Raises
    ------
    ValueError
        For something else than text, and for text without a word.

    Examples
    --------
    >>> split_caption("It isn't (really) a dog.")
    ('It', "isn't", '(', 'really', ')', 'a', 'dog', '.')
    """
    if not isinstance(caption, str):
        raise ValueError(f"the caption is {type(caption).__name__}; expected text")
    try:
        caption.encode("utf-8")
    except UnicodeEncodeError as problem:
        raise ValueError(f"the caption holds half a character (a lone surrogate): {problem}") from problem
    plain = "".join(" " if unicodedata.category(c) == "Cc" else c for c in caption)
    words = [part for chunk in plain.split() for part in _peeled(chunk) if any(map(_shows, part))]
    if not words:
        raise ValueError(f"the caption {caption!r} has no word; expected a sentence about the picture")
    return tuple(words)


def _peeled(chunk: str) -> list[str]:
    """A chunk between spaces: punctuation before it, the word, punctuation behind it, each mark apart."""
    first, last = 0, len(chunk)
    while first < last and _is_mark(chunk[first]):
        first += 1
    while last > first and _is_mark(chunk[last - 1]):
        last -= 1
    return [*chunk[:first], *([chunk[first:last]] if first < last else []), *chunk[last:]]


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("P")


def _shows(character: str) -> bool:
    """Whether a character is more than a format sign, a separator or a mark on another one."""
    return unicodedata.category(character)[0] not in "CZM"


def given_regions(given: Given) -> Regions:
    """Regions as a reader has them; see `own_picture`.

    Raises
    ------
    ValueError
        For a file that is no .npz of plain arrays, missing boxes, boxes outside [0, 1] or without an area,
        and arrays of other lengths.
    """
    if isinstance(given, Regions):
        arrays: Mapping[str, Any] = {
            BOXES: given.boxes, FEATURES: given.features, NAMES: given.names, CONFIDENCE: given.confidence
        }  # fmt: skip
        return _regions({k: v for k, v in arrays.items() if v is not None}, given.sources)
    if isinstance(given, str | Path):
        return _regions(_read_npz(Path(given).expanduser()))
    if isinstance(given, Mapping):
        return _regions(given)
    raise ValueError(
        f"regions is {type(given).__name__}; expected Regions, a mapping with 'boxes', or the path of an .npz"
    )


def _regions(arrays: Mapping[str, Any], sources: Sequence[str] | None = None) -> Regions:
    known = (BOXES, FEATURES, NAMES, CONFIDENCE)
    if BOXES not in arrays or (unknown := [name for name in arrays if name not in known]):
        odd = "boxes are missing" if BOXES not in arrays else f"{', '.join(map(repr, unknown))} is not known"
        raise ValueError(f"regions: {odd}; expected 'boxes', and as you have them {', '.join(known[1:])}")
    boxes = _checked_boxes(as_boxes(arrays[BOXES]))
    features = _numbers(arrays, FEATURES, 2, len(boxes))
    names = tuple(map(str, arrays.get(NAMES, ("",) * len(boxes))))
    if len(names) != len(boxes):
        raise ValueError(f"{len(names)} names for {len(boxes)} boxes; expected one each")
    kinds = ("detected",) * len(boxes) if sources is None else tuple(sources)
    return Regions(
        boxes.astype(np.float32), features, names, kinds, _numbers(arrays, CONFIDENCE, 1, len(boxes))
    )


def _checked_boxes(boxes: np.ndarray) -> np.ndarray:
    if not len(boxes):
        raise ValueError("regions has no boxes; expected at least one, or None for a grid")
    if not np.isfinite(boxes).all() or boxes.min() < 0.0 or boxes.max() > 1.0:
        raise ValueError(
            f"boxes lie between {boxes.min():.6g} and {boxes.max():.6g}; expected x1 y1 x2 y2 as fractions "
            "of the picture, 0 to 1: divide pixels by width and height"
        )
    if flat := np.flatnonzero((boxes[:, 2] <= boxes[:, 0]) | (boxes[:, 3] <= boxes[:, 1])).tolist():
        raise ValueError(f"box {flat[0]} is {boxes[flat[0]].tolist()}; expected x1 < x2 and y1 < y2")
    return boxes


def _numbers(arrays: Mapping[str, Any], name: str, dimensions: int, n: int) -> np.ndarray | None:
    """One of the arrays as float32 with a row for each box; None where it did not come."""
    if name not in arrays:
        return None
    try:
        values = np.array(arrays[name], dtype=np.float32)
    except (TypeError, ValueError) as problem:
        raise ValueError(f"{name} holds no numbers: {problem}") from problem
    if values.ndim != dimensions or len(values) != n:
        shape = "(region, width)" if dimensions == 2 else "(region,)"
        raise ValueError(f"{name} has shape {values.shape}; expected {shape} with {n} regions")
    if name == FEATURES and not np.isfinite(values).all():
        raise ValueError("features hold numbers that are not finite")
    return values


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz that regions are made of; never a pickle."""
    if not path.is_file():
        raise ValueError(f"there is no file {path}; expected an .npz with boxes and features")
    try:
        if not is_zipfile(path):
            raise ValueError("it is no archive of arrays by name")
        with np.load(path, allow_pickle=False) as stored:
            if (size := sum(one.file_size for one in stored.zip.infolist())) > MOST_ARRAY:
                raise ValueError(f"its arrays unfold to {size:,} bytes")
            return {name: stored[name] for name in stored.files}
    except (ValueError, OSError, EOFError, BadZipFile, KeyError, MemoryError, OverflowError) as problem:
        raise ValueError(
            f"{path} is no .npz of plain arrays of at most {MOST_ARRAY:,} bytes: {problem}"
        ) from problem


def _checked_grid(grid: tuple[int, int]) -> tuple[int, int]:
    if not isinstance(grid, Sequence) or len(grid) != 2 or not all(isinstance(k, int) for k in grid):
        raise ValueError(f"grid is {grid!r}; expected (rows, columns), for instance (4, 4)")
    return grid[0], grid[1]


def _phrases(phrases: Links, words: tuple[str, ...], n: int) -> tuple[Phrase, ...]:
    """Phrases of the caption, each checked against its words and regions."""
    if isinstance(phrases, Mapping):
        found = [
            Phrase(*_span(text, words), chain=str(k), types=OTHER, regions=tuple(shown))
            for k, (text, shown) in enumerate(phrases.items(), start=1)
        ]
    else:
        found = list(phrases)
    for phrase in found:
        if not 0 <= phrase.first <= phrase.last < len(words):
            raise ValueError(f"{phrase} does not lie in the caption, which has {len(words)} words: {words}")
        if wrong := [r for r in phrase.regions if not 0 <= r < n]:
            raise ValueError(f"{phrase} shows region {wrong[0]}; there are regions 0 to {n - 1}")
    return tuple(found)


def _span(text: str, words: tuple[str, ...]) -> tuple[int, int]:
    """First and last word of a phrase in the caption, whatever the capitals."""
    wanted = [word.casefold() for word in split_caption(text)]
    folded = [word.casefold() for word in words]
    for first in range(len(words) - len(wanted) + 1):
        if folded[first : first + len(wanted)] == wanted:
            return first, first + len(wanted) - 1
    raise ValueError(f"the phrase {text!r} is not in the caption; its words: {', '.join(words)}")


def _kept(source: Path | bytes, picture: Image) -> Path:
    """A file that shows the picture as it is looked at: the reader's own, or an upright copy in RGB."""
    if isinstance(source, Path) and _same(source, picture):
        return source.resolve()
    digest = blake2b(picture.tobytes() + str(picture.size).encode(), digest_size=12).hexdigest()
    path = Path(_folder().name) / f"{digest}.png"
    if not path.is_file():
        partial = path.with_suffix(".partial")
        picture.save(partial, format="PNG")
        partial.replace(path)
    return path


def _same(source: Path, picture: Image) -> bool:
    """Whether whoever opens the file and turns it to RGB sees this picture."""
    from PIL import Image

    with Image.open(source) as stored:
        plain = stored.mode in ("RGB", "L")
        if not plain or stored.has_transparency_data:
            return False
        return np.array_equal(np.asarray(stored.convert("RGB")), np.asarray(picture))


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """This process's folder of copies, for this user alone; it goes when the process ends."""
    return tempfile.TemporaryDirectory(prefix="value_nb-pictures-")
