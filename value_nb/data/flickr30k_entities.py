"""Flickr30k Entities: captions whose noun phrases are linked to boxes in the picture.

Expected layout of the root: `Sentences/<id>.txt`, `Annotations/<id>.xml`, `train.txt`, `val.txt`, `test.txt`
(bare ids, one a line), and, if wanted, `UNRELATED_CAPTIONS`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from value_nb.data.dataset import Dataset, check_limit, check_split
from value_nb.data.example import Example, Phrase, Regions
from value_nb.data.flickr30k_boxes import LARGEST_FILE, Annotations, read_annotations
from value_nb.data.flickr30k_sentences import NOT_VISIBLE, Sentence, parse_sentence
from value_nb.data.matching import LINK_THRESHOLD, Match, check_threshold, link_regions
from value_nb.data.paths import find_image
from value_nb.data.problems import ProblemReport, Spot
from value_nb.data.region_sources import NamedRegions, open_regions

UNRELATED_FILE = "UNRELATED_CAPTIONS"
UNRELATED_CHOICES = ("exclude", "flag")
COLLECTIONS = ("", "flickr30k")
"""Collections of region features whose numbers are image ids here (see `image_key`)."""
KEPT = 4  # pictures whose features are kept while their captions are read


@dataclass(frozen=True, slots=True)
class _Caption:
    """A record: caption `number` (from 1) of a picture."""

    image_id: str
    number: int
    sentence: Sentence
    unrelated: bool


@dataclass(slots=True)
class _Source:
    """Builds examples; keeps the links of the last picture and the features of the last few.

    Captions of a picture come in a row, or, where captions are swapped, in turn with those of another.
    """

    name: str
    split: str
    annotations: dict[str, Annotations]
    folders: tuple[Path, ...]
    store: NamedRegions | None
    threshold: float = LINK_THRESHOLD
    _last: tuple[str, Regions, Match, Path | None] | None = field(default=None, repr=False)
    _read: dict[str, np.ndarray | None] = field(default_factory=dict, repr=False)

    def linked(self, image_id: str) -> tuple[Regions, Match, Path | None]:
        """Return the regions without features, which of them shows each annotated box, and its file."""
        last = self._last
        if last is None or last[0] != image_id:
            boxes = self.annotations[image_id].boxes
            stored = None if self.store is None else self.store.read(image_id, features=False)
            file = find_image(self.folders, image_id)
            links = link_regions(boxes, ("",) * len(boxes), stored, self.threshold)
            last = self._last = (image_id, *links, file)
        return last[1:]

    def example(self, record: _Caption, features: bool) -> Example:
        """Return the example of a caption."""
        notes = self.annotations[record.image_id]
        regions, match, file = self.linked(record.image_id)
        if features and self.store is not None:
            regions = replace(regions, features=self._features(self.store, record.image_id))
        return Example(
            id=f"{record.image_id}#{record.number}",
            image_id=record.image_id,
            caption=record.sentence.caption,
            words=record.sentence.words,
            image=file,
            size=notes.size,
            regions=regions,
            phrases=link_phrases(record.sentence.phrases, notes, match),
            dataset=self.name,
            split=self.split,
            extra=self._extra(record, notes, match),
        )

    def _features(self, store: NamedRegions, image_id: str) -> np.ndarray | None:
        """Features of a picture's regions, read once while its captions are at hand."""
        if image_id not in self._read:
            while len(self._read) >= KEPT:
                self._read.pop(next(iter(self._read)))
            self._read[image_id] = store.read(image_id).features
        return self._read[image_id]

    def _extra(self, record: _Caption, notes: Annotations, match: Match) -> dict[str, object]:
        chains = sorted({phrase.chain for phrase in record.sentence.phrases})
        boxes = np.array(notes.boxes).reshape(-1, 4)
        return {
            "gold_boxes": {chain: boxes[list(notes.boxes_of(chain))] for chain in chains},
            "annotated_boxes": boxes,
            "annotated_regions": match.rows,
            "annotated_chains": notes.chains,
            "scene": notes.scene.intersection(chains),
            "no_box": notes.no_box.intersection(chains),
            "unrelated": record.unrelated,
            "boxes_linked": (match.matched, len(match.rows)),
        }


def link_phrases(phrases: Sequence[Phrase], notes: Annotations, match: Match) -> tuple[Phrase, ...]:
    """Give each phrase the regions that show its chain; a phrase of chain "0" is never linked."""
    linked = []
    for phrase in phrases:
        boxes = () if phrase.chain == NOT_VISIBLE else notes.boxes_of(phrase.chain)
        rows = {match.rows[box] for box in boxes} - {-1}
        linked.append(replace(phrase, regions=tuple(sorted(rows))))
    return tuple(linked)


def read_split(path: Path, problems: ProblemReport) -> list[str]:
    """Read the image ids of a split file: one a line, blank lines passed over, repeated ids kept once.

    Raises FileNotFoundError, saying which split files there are, when it does not exist.
    """
    if not path.is_file():
        there = sorted(other.name for other in path.parent.glob("*.txt")) or ["none"]
        raise FileNotFoundError(
            f"{path} does not exist; expected the ids of the split, one a line. Split files in that folder: "
            f"{', '.join(there)}. The split files of Flickr30k Entities come with its repository."
        )
    ids: dict[str, None] = {}
    for number, line in enumerate(path.read_text("utf-8-sig", errors="replace").split("\n"), start=1):
        spot, image_id = problems.at(path, f"line {number}"), line.strip()
        if image_id and not (image_id.isascii() and image_id.isdigit()):
            spot.skip(
                "bad image id",
                f"{image_id!r} came; expected one bare id in digits.",
                "The line is left out; correct it.",
            )
        elif image_id in ids:
            spot.change("repeated image id", f"the id {image_id} occurs again.", "It was used once.")
        elif image_id:
            ids[image_id] = None
    return list(ids)


def read_unrelated(path: Path, problems: ProblemReport) -> frozenset[tuple[str, int]]:
    """Read which captions have nothing to do with their picture: (image id, sentence number from 1).

    Lines are `<image id> <sentence number>`; lines that begin with # are comments. No file: no such captions.
    """
    found = set()
    lines = path.read_text("utf-8-sig", errors="replace").split("\n") if path.is_file() else []
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields or line.startswith("#"):
            continue
        if (
            len(fields) != 2
            or not all(part.isascii() and part.isdigit() for part in fields)
            or int(fields[1]) < 1
        ):
            problems.at(path, f"line {number}").skip(
                "bad unrelated caption",
                f"{line.strip()!r} came; expected `<image id> <sentence number from 1>`.",
                "The line is left out; correct it.",
            )
            continue
        found.add((fields[0], int(fields[1])))
    return frozenset(found)


def _read_text(path: Path, spot: Spot) -> str:
    """Return the text of a sentence file; "", and reported, when there is none to be had."""
    remedy = "The picture is left out; unpack annotations.zip again."
    if not path.is_file():
        spot.skip("no sentence file", "the file is missing; expected one per picture of the split.", remedy)
        return ""
    if path.stat().st_size > LARGEST_FILE:
        spot.skip(
            "too large a file", f"it is longer than {LARGEST_FILE} bytes; expected some captions.", remedy
        )
        return ""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"it is not UTF-8 ({error.reason} at byte {error.start}); expected UTF-8 text."
        spot.skip("not UTF-8", found, remedy)
    except OSError as error:
        spot.skip("unreadable file", f"it cannot be read ({error.strerror}).", remedy)
    return ""


def read_sentences(path: Path, problems: ProblemReport) -> list[tuple[int, Sentence]]:
    """Read the captions of a picture with their numbers, from 1; blank lines are not numbered."""
    text = _read_text(path, problems.at(path, "the whole file"))
    sentences: list[tuple[int, Sentence]] = []
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    for caption, (number, line) in enumerate(lines, start=1):
        spot = problems.at(path, f"line {number}")
        sentence = parse_sentence(line, spot)
        if sentence.words:
            sentences.append((caption, sentence))
        else:
            spot.skip(
                "caption without words", "no word came; expected a caption.", "The caption is left out."
            )
    return sentences


def load_flickr30k_entities(
    root: Path | str,
    split: str = "test",
    *,
    images: Path | str | None = None,
    regions: Any = None,
    threshold: float = LINK_THRESHOLD,
    unrelated: str = "exclude",
    limit: int | None = None,
    strict: bool = False,
    name: str = "flickr30k-entities",
) -> Dataset:
    """Read one split: an example per caption, in the order of the split file.

    Example ids are `<image id>#<caption number from 1>`. Words are the tokens of the file. A phrase is linked
    to the regions that show a box of its chain. `example.extra`: "gold_boxes" (chain -> `(box, 4)`
    fractions); "annotated_boxes" (`(box, 4)` fractions, all of the picture), "annotated_regions" (per such
    box its region, -1 where none overlaps it enough) and "annotated_chains" (per such box its chains);
    "scene" and "no_box" (chains with those flags); "unrelated"; "boxes_linked" (linked boxes, all boxes).

    Parameters
    ----------
    root
        Folder with Sentences/, Annotations/ and the split files.
    images
        Folder of the pictures; the default is `images/` or `flickr30k-images/` in the root. They may be
        absent.
    regions
        Region features: a region store or a file of another format, by its path or opened (see
        `open_regions`). Annotated boxes are linked to its regions by their overlap (see `match_boxes`).
        Without it the annotated boxes are the regions, without features.
    threshold
        Smallest IoU, in (0, 1], at which an annotated box and a region show the same thing.
    unrelated
        "exclude" leaves out the captions listed in UNRELATED_CAPTIONS, "flag" keeps them with
        `extra["unrelated"]` True. Without that file nothing is known to be unrelated.
    limit, strict
        Keep the first so many captions; raise at the first bad record instead of skipping it. With a limit,
        files beyond it are not read and their problems not reported.

    Raises
    ------
    FileNotFoundError, ValueError, DataFormatError
        Root, split file or features missing; a bad option; features of none of the pictures; a bad record
        in strict mode.
    """
    root, split, limit = Path(root), check_split(split), check_limit(limit)
    threshold = check_threshold(threshold)
    if unrelated not in UNRELATED_CHOICES:
        raise ValueError(
            f"unrelated={unrelated!r} came; expected one of {', '.join(map(repr, UNRELATED_CHOICES))}."
        )
    check_root(root)
    problems, store = ProblemReport(strict), open_regions(regions, COLLECTIONS)
    annotations: dict[str, Annotations] = {}
    captions: list[_Caption] = []
    for caption in _captions(root, split, store, annotations, problems):
        if not (caption.unrelated and unrelated == "exclude"):
            captions.append(caption)
        if limit is not None and len(captions) == limit:
            break
    folders = (Path(images),) if images is not None else (root / "images", root / "flickr30k-images")
    source = _Source(name, split, annotations, folders, store, threshold)
    return Dataset(name, split, captions, source, problems)


def check_root(root: Path) -> None:
    """Raise FileNotFoundError, with the expected layout, unless the root has both folders."""
    missing = [folder for folder in ("Sentences", "Annotations") if not (root / folder).is_dir()]
    if missing:
        raise FileNotFoundError(
            f"{root} has no {' and no '.join(missing)} folder; expected Sentences/<id>.txt, "
            "Annotations/<id>.xml and "
            "train.txt, val.txt, test.txt. Unpack annotations.zip of "
            "github.com/BryanPlummer/flickr30k_entities there."
        )


def _captions(
    root: Path,
    split: str,
    store: NamedRegions | None,
    annotations: dict[str, Annotations],
    problems: ProblemReport,
) -> Iterator[_Caption]:
    """Yield the captions of a split, and fill in `annotations` of their pictures on the way."""
    listed = root / f"{split}.txt"
    odd = read_unrelated(root / UNRELATED_FILE, problems)
    ids = read_split(listed, problems)
    if store is not None:
        store.check(ids)
    for image_id in ids:
        if store is not None and image_id not in store:
            problems.at(listed, f"id {image_id}").skip(
                "picture without regions",
                f"the region features {store.path} have no picture {image_id}.",
                "The picture is left out; add its features, or load without any.",
            )
            continue
        notes = read_annotations(root / "Annotations" / f"{image_id}.xml", problems)
        if notes is None:
            continue
        annotations[image_id] = notes
        for number, sentence in read_sentences(root / "Sentences" / f"{image_id}.txt", problems):
            yield _Caption(image_id, number, sentence, (image_id, number) in odd)
