"""Everything that a model's card tells of it, with 95 % intervals over held-out pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from data.build.evaluate import HiddenWords, Pairs, hard_pairs, hidden_words, matching_pairs, other_pictures
from data.build.predictors import Predictor
from data.build.training_corpus import KINDS, TrainingCorpus
from value_nb import stats

RIGHT, MISMATCHED, TEXT_ONLY = "right picture", "mismatched picture", "mini-bert"
REMOVED = "errors removed"
Measure = dict[str, float]
"""{"value", "lo", "hi"}."""


@dataclass(frozen=True)
class WordCounts:
    """How often words of one kind were right: `condition` -> `(image,)` counts; `asked` `(image,)`."""

    right: dict[str, np.ndarray]
    asked: np.ndarray


def measure(
    model: Predictor,
    text_only: Predictor | None,
    corpus: TrainingCorpus,
    captions: np.ndarray,
    seed: int,
    replicates: int = stats.REPLICATES,
) -> dict[str, Any]:
    """Measure a model on some captions of a corpus.

    Parameters
    ----------
    model
        What is measured.
    text_only
        mini-bert, for "without the picture"; None when it is mini-bert that is measured.
    captions
        `(caption,)` indices.
    seed
        Of the mismatched pictures, the false captions and the bootstrap.

    Returns
    -------
    "words": kind -> {"n_words", "n_images", condition -> accuracy, "errors removed"}, and for a model that
    sees pictures "matching AUC" and "hard-swap AUC". Each measure is {"value", "lo", "hi"}; see evaluate.py
    for formulas.
    """
    if model.sees_pictures and text_only is None:
        raise ValueError("a model that sees pictures is compared with mini-bert: text_only is missing")
    asked = hidden_words(corpus, captions)
    right = _right_words(model, text_only, corpus, asked, seed)
    found: dict[str, Any] = {
        "words": {
            name: word_measures(_counts(corpus, asked, right, kind), seed, replicates)
            for name, kind in KINDS.items()
        }
    }
    if model.sees_pictures:
        pairs = {"matching AUC": matching_pairs(model, corpus, captions, seed)}
        pairs["hard-swap AUC"] = hard_pairs(model, corpus, captions)
        found |= {name: auc_measure(p, corpus.n_images, seed, replicates) for name, p in pairs.items()}
    return found


def _right_words(
    model: Predictor, text_only: Predictor | None, corpus: TrainingCorpus, asked: HiddenWords, seed: int
) -> dict[str, np.ndarray]:
    """Condition -> `(question,)` whether the word was right."""
    own = corpus.caption_image[asked.caption].astype(np.int64)
    if not model.sees_pictures:
        return {TEXT_ONLY: asked.right(model.words(corpus, asked.pieces, own))}
    other = other_pictures(corpus.n_images, seed)[own]
    found = {
        RIGHT: asked.right(model.words(corpus, asked.pieces, own)),
        MISMATCHED: asked.right(model.words(corpus, asked.pieces, other)),
    }
    if text_only is not None:
        found[TEXT_ONLY] = asked.right(text_only.words(corpus, asked.pieces, own))
    return found


def _counts(
    corpus: TrainingCorpus, asked: HiddenWords, right: dict[str, np.ndarray], kind: int
) -> WordCounts:
    chosen = asked.kind == kind
    image = corpus.caption_image[asked.caption[chosen]]

    def per_image(values: np.ndarray) -> np.ndarray:
        return np.bincount(image, weights=values, minlength=corpus.n_images)

    return WordCounts(
        {name: per_image(r[chosen].astype(np.float64)) for name, r in right.items()},
        per_image(np.ones(len(image))),
    )


def word_measures(counts: WordCounts, seed: int, replicates: int) -> dict[str, Any]:
    """Accuracy in every condition and, where there is a right picture, the errors that it removes."""
    names = list(counts.right)
    table = np.stack([*(counts.right[n] for n in names), counts.asked], axis=1)
    ids = [str(i) for i in range(len(table))]
    draws = stats.replicate_sums(table, ids, seed=seed, replicates=replicates)
    totals = np.concatenate([table.sum(axis=0, keepdims=True), draws])
    n_images = int((counts.asked > 0).sum())
    accuracy = {name: _ratio(totals[:, i], totals[:, -1]) for i, name in enumerate(names)}
    found: dict[str, Any] = {"n_words": int(counts.asked.sum()), "n_images": n_images}
    found |= {name: _interval(values, n_images) for name, values in accuracy.items()}
    if RIGHT in accuracy:
        without = np.max([values for name, values in accuracy.items() if name != RIGHT], axis=0)
        found[REMOVED] = _interval(_ratio(accuracy[RIGHT] - without, 1 - without), n_images)
    return found


def auc_measure(pairs: Pairs, n_images: int, seed: int, replicates: int) -> Measure | None:
    """Area under the ROC curve; None where there is no pair."""
    if not len(pairs.score):
        return None
    weights = stats.poisson_weights([str(i) for i in range(n_images)], seed, replicates)
    values = np.array([pairs.auc(), *pairs.weighted_aucs(weights)])
    return _interval(values, len(np.unique(pairs.image)))


def _ratio(num: np.ndarray, den: np.ndarray) -> np.ndarray:
    return np.divide(num, den, out=np.full(num.shape, np.nan), where=den > 0)


def _interval(values: np.ndarray, n_images: int) -> Measure:
    """The first value with the percentiles of the others; nan turns into None in a card."""
    found = stats.percentile_interval(values[:1], values[1:, None], np.array([n_images]), stats.LEVEL)
    return {"value": float(found.value[0]), "lo": float(found.lo[0]), "hi": float(found.hi[0])}
