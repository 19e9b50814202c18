"""How good a model of the miniature is, on pictures that it was not trained on.

Masked words: each word is hidden alone, all its pieces at once; it counts as right when every piece is. The
picture is the caption's own, or another one ("mismatched"); mini-bert sees none. What a picture brings is

    errors removed = (accuracy with the right picture - accuracy without) / (1 - accuracy without)

where "without" is the better of mini-bert and the same model with a mismatched picture. 1 means that the
right picture removes every error, 0 that it brings nothing. Matching: area under the ROC curve,
0.5 is chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import nn

from data.build.masking import mask_one_word
from data.build.predictors import Predictor, predictor
from data.build.training_corpus import KINDS, TrainingCorpus
from value_nb.roc import auc

TRIES = 100
"""Draws of another caption until one is false of the picture."""


@dataclass(frozen=True)
class HiddenWords:
    """Every word of some captions, each hidden once: `(question,)` or `(question, position)`.

    Attributes
    ----------
    caption, kind
        Where the word stands, and its kind.
    pieces, target
        The caption with the word hidden, and the true pieces there; -1 elsewhere.
    """

    caption: np.ndarray
    kind: np.ndarray
    pieces: np.ndarray
    target: np.ndarray

    def right(self, predicted: np.ndarray) -> np.ndarray:
        """`(question,)` whether all pieces of the word are as predicted."""
        return ((predicted == self.target) | (self.target < 0)).all(axis=1)


def hidden_words(corpus: TrainingCorpus, captions: np.ndarray) -> HiddenWords:
    """Hide every word of some captions, one at a time."""
    rows, kinds, pieces, targets = [], [], [], []
    for caption in captions:
        ids, word = corpus.pieces[caption], corpus.word[caption]
        for index in np.unique(word[word >= 0]):
            rows.append(caption)
            kinds.append(int(corpus.kind[caption][word == index].max()))
            pieces.append(mask_one_word(ids, word, int(index)))
            targets.append(np.where(word == index, ids, -1))
    return HiddenWords(np.array(rows), np.array(kinds), np.stack(pieces), np.stack(targets))


def other_pictures(n_images: int, seed: int) -> np.ndarray:
    """`(image,)` another picture for each, each once: one random ring through all of them."""
    if n_images < 2:
        raise ValueError("a mismatched picture needs at least two pictures; there is one")
    ring = np.random.default_rng([seed, n_images]).permutation(n_images)
    other = np.empty(n_images, dtype=np.int64)
    other[ring] = np.roll(ring, -1)
    return other


def false_captions(corpus: TrainingCorpus, captions: np.ndarray, seed: int) -> np.ndarray:
    """For the picture of each caption a caption of another picture that claims something false of it."""
    rng = np.random.default_rng([seed, len(corpus)])
    return np.array([_false_caption(corpus, int(corpus.caption_image[c]), rng) for c in captions])


def _false_caption(corpus: TrainingCorpus, image: int, rng: np.random.Generator) -> int:
    for _ in range(TRIES):
        drawn = int(rng.integers(len(corpus)))
        if corpus.caption_image[drawn] != image and corpus.is_false(drawn, image):
            return drawn
    raise ValueError(
        f"no caption that is false of picture {image} in {TRIES} draws; the captions claim too little"
    )


@dataclass(frozen=True)
class Pairs:
    """Scores of pairs that match and of pairs that do not, `(pair,)`, and the picture of each."""

    score: np.ndarray
    match: np.ndarray
    image: np.ndarray

    def auc(self) -> float:
        """Area under the ROC curve; nan where one side is empty."""
        from sklearn.metrics import roc_auc_score

        return float(roc_auc_score(self.match, self.score)) if len(set(self.match)) == 2 else float("nan")

    def weighted_aucs(self, weights: np.ndarray) -> np.ndarray:
        """The same with a weight for every picture, many times at once.

        `(image, replicate)` weights -> `(replicate,)`: the weight of pairs of a matching and another pair in
        which the matching one has the higher score (half where they are equal), over that of all such pairs.
        """
        return auc(self.score, self.match == 1, weights[self.image])


def matching_pairs(model: Predictor, corpus: TrainingCorpus, captions: np.ndarray, seed: int) -> Pairs:
    """Each caption with its picture, and that picture with a caption that is false of it."""
    images = corpus.caption_image[captions].astype(np.int64)
    false = corpus.pieces[false_captions(corpus, captions, seed)]
    return _pairs(model, corpus, corpus.pieces[captions], false, images)


def hard_pairs(model: Predictor, corpus: TrainingCorpus, captions: np.ndarray) -> Pairs:
    """Each caption with its picture, true and with one colour or noun changed, where that can be."""
    captions = captions[corpus.hard[captions].any(axis=1)]
    images = corpus.caption_image[captions].astype(np.int64)
    return _pairs(model, corpus, corpus.pieces[captions], corpus.hard[captions], images)


def _pairs(
    model: Predictor, corpus: TrainingCorpus, true: np.ndarray, false: np.ndarray, images: np.ndarray
) -> Pairs:
    if not len(images):
        return Pairs(np.zeros(0), np.zeros(0, dtype=np.int64), images)
    both = np.concatenate([images, images])
    scores = model.matching(corpus, np.concatenate([true, false]), both)
    return Pairs(scores, np.repeat([1, 0], len(images)), both)


def quick(module: nn.Module, corpus: TrainingCorpus, n_captions: int, seed: int) -> dict[str, float]:
    """A few measures on the first captions of a corpus, for the curve of a training."""
    model, captions = predictor(module), spread(corpus, n_captions)
    asked = hidden_words(corpus, captions)
    images = corpus.caption_image[asked.caption].astype(np.int64)
    right = asked.right(model.words(corpus, asked.pieces, images))
    found = {f"{name} words": _mean(right[asked.kind == kind]) for name, kind in KINDS.items()}
    if model.sees_pictures:
        found["matching AUC"] = matching_pairs(model, corpus, captions, seed).auc()
        found["hard-swap AUC"] = hard_pairs(model, corpus, captions).auc()
    return {name: value for name, value in found.items() if not np.isnan(value)}


def spread(corpus: TrainingCorpus, n_captions: int) -> np.ndarray:
    """Captions spread evenly over the corpus, at most all of them."""
    return np.unique(np.linspace(0, len(corpus) - 1, min(n_captions, len(corpus))).astype(np.int64))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
