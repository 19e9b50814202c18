"""The corpus that models are trained and measured on, as one npz file holds it, all in memory."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

PAD, UNKNOWN, CLS, SEP, MASK = range(5)
FIRST_PIECE = 5
"""Ids below this are special pieces."""
OTHER, COLOUR, OBJECT = range(3)
KINDS = {"other": OTHER, "colour": COLOUR, "object": OBJECT}
"""Kinds of word."""
SPLITS = ("pretrain", "dev", "test")


@dataclass(frozen=True)
class TrainingCorpus:
    """Pictures and captions as arrays.

    Attributes
    ----------
    features, boxes, region_class
        `(image, region, feature)`, `(image, region, 4)` in fractions of the picture, `(image, region)` the
        detector's most likely class.
    caption_image
        `(caption,)` which picture a caption is of.
    pieces, length, word, kind
        `(caption, position)` piece ids from [CLS] to [SEP], padded with 0; `(caption,)` how many positions;
        the word that each piece belongs to, -1 where none; its kind.
    hard
        `(caption, position)` the caption with one colour or noun changed so that it is false; 0 where none.
    atoms_flat, atoms_offset, claim_flat, claim_offset
        Sorted ids of what is true of a picture, and of what a caption claims, row after row.
    """

    features: np.ndarray
    boxes: np.ndarray
    region_class: np.ndarray
    caption_image: np.ndarray
    pieces: np.ndarray
    length: np.ndarray
    word: np.ndarray
    kind: np.ndarray
    hard: np.ndarray
    atoms_flat: np.ndarray
    atoms_offset: np.ndarray
    claim_flat: np.ndarray
    claim_offset: np.ndarray

    def __post_init__(self) -> None:
        if len(self) == 0 or self.n_images == 0:
            raise ValueError(
                f"a corpus of {len(self)} captions and {self.n_images} pictures; both are needed"
            )
        if self.caption_image.min() < 0 or self.caption_image.max() >= self.n_images:
            raise ValueError(f"caption_image names a picture outside 0 to {self.n_images - 1}")

    def __len__(self) -> int:
        return len(self.caption_image)

    @property
    def n_images(self) -> int:
        """Number of pictures."""
        return len(self.features)

    def is_false(self, caption: int, image: int) -> bool:
        """Whether a caption claims something that is not true of a picture."""
        claims = self.claim_flat[self.claim_offset[caption] : self.claim_offset[caption + 1]]
        atoms = self.atoms_flat[self.atoms_offset[image] : self.atoms_offset[image + 1]]
        return not bool(np.isin(claims, atoms).all())

    @classmethod
    def load(cls, work: Path | str, split: str) -> TrainingCorpus:
        """Read `corpus-SPLIT.npz`; ValueError where it is missing or lacks an array."""
        if split not in SPLITS:
            raise ValueError(f"split is {split!r}; valid: {', '.join(SPLITS)}")
        path = Path(work) / f"corpus-{split}.npz"
        if not path.is_file():
            raise ValueError(f"{path} is missing; the step before this one (data.build.corpus) writes it")
        with np.load(path, allow_pickle=False) as file:
            if missing := [f.name for f in fields(cls) if f.name not in file.files]:
                raise ValueError(f"{path} lacks the arrays {', '.join(missing)}; write it again")
            return cls(**{f.name: file[f.name] for f in fields(cls)})
