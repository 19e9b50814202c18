"""One picture with one sentence, and everything known about both: what every loader yields."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Phrase:
    """A noun phrase of the caption and the regions that it is linked to.

    Attributes
    ----------
    first, last
        Word span in `Example.words`, 0-based, `last` inclusive.
    chain
        Coreference chain id as written in the data ("0" for a phrase that is not visible).
    types
        Entity types: one or more of people, clothing, bodyparts, animals, vehicles, instruments,
        scene, other, notvisual.
    regions
        Indices into `Example.regions` of the regions that show it; empty when nothing shows it.
    """

    first: int
    last: int
    chain: str
    types: tuple[str, ...]
    regions: tuple[int, ...] = ()

    @property
    def words(self) -> range:
        """Indices of the words of the phrase."""
        return range(self.first, self.last + 1)


@dataclass(frozen=True, slots=True)
class Relation:
    """Subject, predicate, object, where subject and object are indices into `Example.regions`."""

    subject: int
    predicate: str
    object: int


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """The regions of one picture, in the order in which a model sees them.

    Attributes
    ----------
    boxes
        `(region, 4)` float32, x1 y1 x2 y2 as fractions of width and height, inside [0, 1].
    features
        `(region, width)` float32, or None where the data set has no features.
    names
        Class name of each region ("" where unknown): the annotated name, else the detector's.
    sources
        "annotated" (an annotated box, or a detected region that one is linked to) or "detected", per region;
        "grid" or "patch" where nobody looked (grid_boxes.py).
    confidence
        `(region,)` detector confidence in [0, 1], nan where unknown.
    """

    boxes: np.ndarray
    features: np.ndarray | None
    names: tuple[str, ...]
    sources: tuple[str, ...]
    confidence: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Regions):
            return NotImplemented
        return (self.names, self.sources) == (other.names, other.sources) and all(
            _same(getattr(self, part), getattr(other, part)) for part in ("boxes", "features", "confidence")
        )

    def __hash__(self) -> int:
        return hash((self.names, self.sources))


def _same(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    """Whether two arrays are equal, nan equal to nan, or both absent."""
    import numpy as np

    return a is b if a is None or b is None else np.array_equal(a, b, equal_nan=True)


@dataclass(frozen=True, slots=True)
class Example:
    """One sentence, with its picture where there is one.

    Attributes
    ----------
    id
        Unique in the data set, for instance "17#3" for caption 3 of picture 17.
    image_id
        The picture: intervals are taken over it, because captions of one picture are not independent.
    image
        Path of the picture's file, None where it is not on this machine.
    size
        (width, height) of the picture in pixels, None where there is no picture.
    caption, words
        The sentence as written, and split into words.
    regions
        None for a sentence without a picture.
    phrases, relations
        Noun phrases linked to regions; relations between regions.
    label
        Class of a sentence in a probing task, None elsewhere.
    dataset, split
        Where it came from.
    extra
        Whatever else the source says, read-only by convention (for instance `gold` scene facts).
    """

    id: str
    image_id: str
    caption: str
    words: tuple[str, ...]
    image: Path | None = None
    size: tuple[int, int] | None = None
    regions: Regions | None = None
    phrases: tuple[Phrase, ...] = ()
    relations: tuple[Relation, ...] = ()
    label: str | None = None
    dataset: str = ""
    split: str = ""
    extra: dict[str, Any] = field(default_factory=dict, hash=False, compare=False)

    def __repr__(self) -> str:
        regions = "no picture" if self.regions is None else f"{len(self.regions)} regions"
        return f"Example({self.id!r}, {self.caption!r}, {regions})"
