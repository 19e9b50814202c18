"""Which words and which regions are hidden from a model that is being trained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.build.training_corpus import FIRST_PIECE, MASK, OTHER

IGNORE = -100
"""Target of a position that is not asked for."""
REGION_SHARE = 0.03
"""Regions that are hidden for their own sake; with those that show the same pixels, 18 % are hidden."""
SAME_PIXELS = 0.5
"""Overlap, as a share of the smaller box, from which one region would give another away."""
KEPT, REPLACED = 0.1, 0.1
"""Of the words that are asked for: left as they are, and replaced by other pieces; the rest are [MASK]."""


@dataclass(frozen=True)
class WordShares:
    """Probability with which a word is hidden: of colour words and object nouns ("scene"), and of all others.

    Hiding what can be seen more often than other words is ERNIE-ViL's idea (Yu et al. 2021).
    """

    other: float = 0.2
    scene: float = 0.2


def mask_words(
    pieces: np.ndarray,
    word: np.ndarray,
    kind: np.ndarray,
    vocabulary: int,
    rng: np.random.Generator,
    shares: WordShares,
) -> tuple[np.ndarray, np.ndarray]:
    """Hide whole words, at least one in every caption that has any.

    Parameters
    ----------
    pieces, word, kind
        `(caption, position)` ids, the word that each belongs to, -1 where none, and that word's kind.
    vocabulary
        Number of pieces that there are.

    Returns
    -------
    New pieces, and targets: the true piece where it is asked for, `IGNORE` elsewhere.
    """
    draws = rng.random((len(pieces), int(word.max(initial=0)) + 1))
    at = np.maximum(word, 0)
    share = np.where(_kind_of_word(word, kind, draws.shape) == OTHER, shares.other, shares.scene)
    draw = np.where(word >= 0, np.take_along_axis(draws / share, at, axis=1), np.inf)
    chosen = ((draw < 1) | (draw == draw.min(axis=1, keepdims=True))) & (word >= 0)
    fate = np.take_along_axis(rng.random(draws.shape), at, axis=1)
    other = rng.integers(FIRST_PIECE, vocabulary, size=pieces.shape)
    hidden = np.where(fate < KEPT, pieces, np.where(fate < KEPT + REPLACED, other, MASK))
    seen, target = np.where(chosen, hidden, pieces), np.where(chosen, pieces, IGNORE)
    return seen.astype(np.int64), target.astype(np.int64)


def _kind_of_word(word: np.ndarray, kind: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """`(caption, word)` kinds from `(caption, position)` ones."""
    found = np.zeros(shape, dtype=np.int64)
    row, position = np.nonzero(word >= 0)
    np.maximum.at(found, (row, word[row, position]), kind[row, position])
    return found


def mask_one_word(pieces: np.ndarray, word: np.ndarray, index: int) -> np.ndarray:
    """`(position,)` pieces of a caption with all pieces of one word as [MASK]."""
    return np.where(word == index, MASK, pieces)


def mask_regions(boxes: np.ndarray, rng: np.random.Generator, share: float = REGION_SHARE) -> np.ndarray:
    """`(example, region)` bool: which regions are hidden, from boxes `(example, region, 4)`.

    Each is hidden with probability `share`, and with it every region that overlaps it: jittered copies and
    parts would give the answer away, and nothing would have to be learned from the caption. (VOLTA hides
    regions with an IoU of at least 0.4 for the same reason.)
    """
    chosen = rng.random(boxes.shape[:2]) < share
    return (chosen[:, :, None] & (overlap_of_smaller(boxes) >= SAME_PIXELS)).any(axis=1) | chosen


def overlap_of_smaller(boxes: np.ndarray) -> np.ndarray:
    """`(example, region, region)` area of the intersection over that of the smaller box."""
    low = np.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    high = np.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    area = np.clip(boxes[..., 2:] - boxes[..., :2], 0, None).prod(axis=-1)
    return shared / np.maximum(np.minimum(area[:, :, None], area[:, None, :]), 1e-12)
