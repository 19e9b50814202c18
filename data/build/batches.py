"""Batches of pre-training: a function of corpus, seed and step, whatever was drawn before.

Every model with the same seed reads the same captions in the same steps. A third of the pairs have a picture
of another caption; words and regions are hidden in these too, so that nothing but their content tells them
from the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data.build.masking import WordShares, mask_regions, mask_words
from data.build.region_batches import region_row_batch
from data.build.training_corpus import TrainingCorpus

ORDER, WORDS, PICTURES = range(3)
"""Names of the random streams of one seed."""
MISMATCHED_SHARE = 1 / 3
"""Fewer than half: only pairs that match teach words and regions."""


@dataclass(frozen=True)
class TextBatch:
    """Captions with hidden words: `(example, position)` each; `word_target` is IGNORE where not asked for."""

    input_ids: Tensor
    text_mask: Tensor
    word_target: Tensor


@dataclass(frozen=True)
class PictureBatch:
    """Pictures with hidden regions.

    `features`, `locations`, `image_mask`, `region_mask` are as `GatedModel.forward` takes them (a global
    row first where the model has one); `region_class` and `region_feature` are the targets of all rows;
    `matched` `(example,)` tells whether the picture is the caption's own.
    """

    features: Tensor
    locations: Tensor
    image_mask: Tensor
    region_mask: Tensor
    region_class: Tensor
    region_feature: Tensor
    matched: Tensor


def captions_of_step(n_captions: int, size: int, seed: int, step: int) -> np.ndarray:
    """`(example,)` captions of step 0, 1, ...: one shuffled pass over all after another, cut into batches."""
    places = np.arange(step * size, (step + 1) * size)
    chosen = np.empty(size, dtype=np.int64)
    for epoch in np.unique(places // n_captions):
        here = places // n_captions == epoch
        order = np.random.default_rng([seed, ORDER, int(epoch)]).permutation(n_captions)
        chosen[here] = order[places[here] % n_captions]
    return chosen


def pictures_for(corpus: TrainingCorpus, captions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`(example,)` a picture for each caption: its own, or for `MISMATCHED_SHARE` of them any other one."""
    own = corpus.caption_image[captions].astype(np.int64)
    if corpus.n_images < 2:
        raise ValueError("matching needs at least two pictures; this corpus has one")
    other = (own + rng.integers(1, corpus.n_images, size=len(own))) % corpus.n_images
    swapped = rng.permutation(len(own)) < round(MISMATCHED_SHARE * len(own))
    return np.where(swapped, other, own)


def text_batch(
    corpus: TrainingCorpus, captions: np.ndarray, vocabulary: int, shares: WordShares, seed: int, step: int
) -> TextBatch:
    """Captions with words hidden, cut to the longest of them."""
    longest = int(corpus.length[captions].max())
    pieces, word, kind = (a[captions, :longest] for a in (corpus.pieces, corpus.word, corpus.kind))
    rng = np.random.default_rng([seed, WORDS, step])
    hidden, target = mask_words(pieces, word, kind, vocabulary, rng, shares)
    valid = np.arange(longest) < corpus.length[captions, None]
    return TextBatch(
        torch.from_numpy(hidden), torch.from_numpy(valid.astype(np.float32)), torch.from_numpy(target)
    )


def picture_batch(
    corpus: TrainingCorpus, captions: np.ndarray, location_size: int, global_row: str, seed: int, step: int
) -> PictureBatch:
    """Pictures for some captions, a third of them of other captions, with regions hidden."""
    rng = np.random.default_rng([seed, PICTURES, step])
    images = pictures_for(corpus, captions, rng)
    hidden = mask_regions(corpus.boxes[images], rng)
    return dress(corpus, images, hidden, images == corpus.caption_image[captions], location_size, global_row)


def dress(
    corpus: TrainingCorpus,
    images: np.ndarray,
    hidden: np.ndarray,
    matched: np.ndarray,
    location_size: int,
    global_row: str,
) -> PictureBatch:
    """Make the tensors of some pictures; a global row is the mean of what is not hidden."""
    true = corpus.features[images].astype(np.float32)
    seen = np.where(hidden[:, :, None], np.float32(0), true)
    features, places = region_row_batch(corpus.boxes[images], seen, location_size, global_row)
    extra = features.shape[1] - true.shape[1]
    mask = np.pad(hidden, ((0, 0), (extra, 0)))
    classes = np.pad(corpus.region_class[images].astype(np.int64), ((0, 0), (extra, 0)))
    target = np.pad(true, ((0, 0), (extra, 0), (0, 0)))
    return PictureBatch(
        torch.from_numpy(features),
        torch.from_numpy(places),
        torch.ones(features.shape[:2]),
        torch.from_numpy(mask),
        torch.from_numpy(classes),
        torch.from_numpy(target),
        torch.from_numpy(np.asarray(matched)),
    )
