from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from data.build import gate, measures
from data.build.evaluate import (
    Pairs,
    false_captions,
    hard_pairs,
    hidden_words,
    matching_pairs,
    other_pictures,
    spread,
)
from data.build.training_corpus import COLOUR, KINDS, MASK, OBJECT
from tests.build.tiny_corpus import COLOURS, ID, NOUNS, tiny_corpus

FEW = 50


class Oracle:
    """Reads nouns and colours off the features: answers what the picture shows, never from the text.

    A hidden colour is that of the thing whose noun stands behind it, a hidden noun the thing whose other
    noun is not in the caption. It says "a" where a word of another kind is hidden.
    """

    sees_pictures = True

    def words(self, corpus, pieces, images):
        out = pieces.astype(np.int64).copy()
        for row, image in enumerate(images):
            self.fill(out[row], self.things(corpus, image))
        return out

    def things(self, corpus, image):
        rows = corpus.features[image][corpus.features[image].any(axis=1)]
        return {int(r[: len(NOUNS)].argmax()): int(r[len(NOUNS) :].argmax()) for r in rows}

    def fill(self, ids, things):
        hidden = np.flatnonzero(ids == MASK)
        nouns = [n for n, noun in enumerate(NOUNS) if ID[noun[0]] in ids]
        before = ids[hidden[0] - 1]
        if before == ID["a"] and len(hidden) == 1 and len(nouns) == 2:
            noun = next(n for n in nouns if ids[hidden[0] + 1] == ID[NOUNS[n][0]])
            ids[hidden] = ID[COLOURS[things.get(noun, 0)]]
        elif len(nouns) == 1:
            left = [n for n in things if n not in nouns]
            answer = NOUNS[left[0]] if left else ()
            for position, piece in zip(hidden, answer, strict=False):
                ids[position] = ID[piece]
        else:
            ids[hidden] = ID["a"]

    def matching(self, corpus, pieces, images):
        return np.array([self.share_true(corpus, p, i) for p, i in zip(pieces, images, strict=True)])

    def share_true(self, corpus, ids, image):
        things = self.things(corpus, image)
        claimed = [(n, ids[int(np.flatnonzero(ids == ID[noun[0]])[0]) - 1]) for n, noun in enumerate(NOUNS)
                   if ID[noun[0]] in ids]  # fmt: skip
        return np.mean([n in things and ID[COLOURS[things[n]]] == colour for n, colour in claimed])


class Blind:
    """Always answers "red"."""

    sees_pictures = False

    def words(self, corpus, pieces, images):
        return np.where(pieces == MASK, ID["red"], pieces).astype(np.int64)


@pytest.fixture(scope="module")
def corpus():
    return tiny_corpus(30, seed=4)


def test_every_word_is_hidden_once_with_all_its_pieces(corpus):
    asked = hidden_words(corpus, np.array([0, 3]))
    assert len(asked.caption) == corpus.word[0].max() + 1 + corpus.word[3].max() + 1
    for row, caption in enumerate(asked.caption):
        hidden = asked.pieces[row] == MASK
        assert np.array_equal(asked.target[row][hidden], corpus.pieces[caption][hidden])
        assert (asked.target[row][~hidden] == -1).all()
        assert len(set(corpus.word[caption][hidden])) == 1
    assert sorted({*asked.kind}) == sorted(KINDS.values())


def test_a_word_is_right_when_all_its_pieces_are(corpus):
    asked = hidden_words(corpus, np.arange(10))
    truth = corpus.pieces[asked.caption].astype(np.int64)
    assert asked.right(truth).all()
    long = np.flatnonzero((asked.target >= 0).sum(axis=1) == 3)
    truth[long, (asked.target[long] >= 0).argmax(axis=1)] = MASK
    assert not asked.right(truth)[long].any()


def test_other_pictures_are_others_each_once():
    for n in (2, 3, 50):
        other = other_pictures(n, seed=0)
        assert sorted(other) == list(range(n))
        assert (other != np.arange(n)).all()


def test_false_captions_are_false_of_the_picture_and_of_another(corpus):
    captions = np.arange(len(corpus))
    false = false_captions(corpus, captions, seed=0)
    for caption, other in zip(captions, false, strict=True):
        image = int(corpus.caption_image[caption])
        assert corpus.caption_image[other] != image
        assert corpus.is_false(int(other), image)


def test_where_all_captions_are_true_of_all_pictures_there_is_no_false_one():
    corpus = tiny_corpus(4)
    everything = np.unique(corpus.claim_flat)
    generous = {**vars(corpus), "atoms_flat": np.tile(everything, 4)}
    generous["atoms_offset"] = np.arange(5) * len(everything)
    with pytest.raises(ValueError, match="no caption that is false of picture 0"):
        false_captions(type(corpus)(**generous), np.arange(2), seed=0)


def test_an_oracle_tells_pairs_apart_and_a_constant_does_not(corpus):
    captions = np.arange(len(corpus))
    assert matching_pairs(Oracle(), corpus, captions, seed=0).auc() == 1.0
    hard = hard_pairs(Oracle(), corpus, captions)
    assert hard.auc() == 1.0 and len(hard.score) == 2 * len(corpus)
    oracle = Oracle()
    oracle.matching = lambda corpus, pieces, images: np.zeros(len(pieces))
    assert matching_pairs(oracle, corpus, captions, seed=0).auc() == 0.5


def test_weighted_areas_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    score, match, image = (
        rng.integers(6, size=40).astype(float),
        np.repeat([1, 0], 20),
        rng.integers(8, size=40),
    )
    weights = rng.poisson(1, (8, 5))
    found = Pairs(score, match, image).weighted_aucs(weights)
    for column, value in enumerate(found):
        expected = roc_auc_score(match, score, sample_weight=weights[image, column])
        assert value == pytest.approx(expected)
    assert np.isnan(Pairs(score, np.ones(40), image).weighted_aucs(weights)).all()
    assert math.isnan(Pairs(score, np.ones(40), image).auc())


def test_measures_of_an_oracle_are_known(corpus):
    captions = np.arange(len(corpus))
    found = measures.measure(Oracle(), Blind(), corpus, captions, seed=0, replicates=FEW)
    colour, noun, other = (found["words"][k] for k in ("colour", "object", "other"))
    red = (corpus.pieces[corpus.kind == COLOUR] == ID["red"]).mean()
    assert colour[measures.RIGHT] == noun[measures.RIGHT] == {"value": 1.0, "lo": 1.0, "hi": 1.0}
    assert colour[measures.TEXT_ONLY]["value"] == pytest.approx(red)
    assert colour[measures.MISMATCHED]["value"] < 0.9
    assert noun[measures.TEXT_ONLY]["value"] == 0
    assert colour[measures.REMOVED]["value"] == noun[measures.REMOVED]["value"] == 1.0
    assert other[measures.REMOVED]["value"] == 0
    assert colour["n_words"] == (corpus.kind == COLOUR).sum() and colour["n_images"] == corpus.n_images
    assert noun["n_words"] == 2 * len(corpus) < (corpus.kind == OBJECT).sum()
    assert found["matching AUC"]["value"] == found["hard-swap AUC"]["value"] == 1.0
    assert gate.gate_met(found) is True


def test_errors_removed_by_hand():
    right = {measures.RIGHT: [2.0, 4.0], measures.MISMATCHED: [1.0, 1.0], measures.TEXT_ONLY: [2.0, 2.0]}
    counts = measures.WordCounts({k: np.array(v) for k, v in right.items()}, np.array([4.0, 4.0]))
    found = measures.word_measures(counts, seed=0, replicates=FEW)
    assert found[measures.REMOVED]["value"] == pytest.approx((0.75 - 0.5) / (1 - 0.5))
    low, high = (found[measures.RIGHT][side] for side in ("lo", "hi"))
    assert 0.5 <= low <= 0.75 <= high <= 1.0


def test_the_text_only_control_is_measured_once_and_has_no_gate(corpus):
    found = measures.measure(Blind(), None, corpus, np.arange(10), seed=0, replicates=FEW)
    assert set(found) == {"words"}
    assert set(found["words"]["colour"]) == {"n_words", "n_images", measures.TEXT_ONLY}
    assert gate.gate_met(found) is None


def test_a_model_that_sees_needs_its_control(corpus):
    with pytest.raises(ValueError, match="text_only is missing"):
        measures.measure(Oracle(), None, corpus, np.arange(10), seed=0)


@pytest.mark.parametrize("weak", ["colour", "object", "auc", "nothing"])
def test_the_gate_needs_all_three(weak):
    words = {k: {measures.REMOVED: {"value": 0.49 if k == weak else 0.5}} for k in ("colour", "object")}
    metrics = {"words": words, "matching AUC": {"value": 0.949 if weak == "auc" else 0.95}}
    assert gate.gate_met(metrics) is (weak == "nothing")


def test_what_was_not_measured_is_not_met():
    assert not gate.Criterion("x", math.nan, 0.5).met


def test_captions_are_spread_evenly(corpus):
    assert spread(corpus, 4).tolist() == [0, 19, 39, 59]
    assert len(spread(corpus, 10_000)) == len(corpus)
