from __future__ import annotations

import numpy as np
import pytest

from data.build.masking import IGNORE, WordShares, mask_one_word, mask_regions, mask_words, overlap_of_smaller
from data.build.training_corpus import COLOUR, FIRST_PIECE, MASK, OBJECT
from tests.build.tiny_corpus import PIECES, tiny_corpus

PLAIN = WordShares(0.2, 0.2)


@pytest.fixture(scope="module")
def many():
    """Many copies of a few captions: pieces, word, kind."""
    corpus = tiny_corpus()
    rows = np.tile(np.arange(len(corpus)), 200)
    return corpus.pieces[rows], corpus.word[rows], corpus.kind[rows]


def masked(many, shares=PLAIN, seed=0):
    return mask_words(*many, len(PIECES), np.random.default_rng(seed), shares)


def test_specials_and_padding_are_never_touched(many):
    pieces, word, _ = many
    hidden, target = masked(many, WordShares(0.99, 0.99))
    outside = word < 0
    assert np.array_equal(hidden[outside], pieces[outside])
    assert (target[outside] == IGNORE).all()
    assert hidden[~outside].min() >= MASK


def test_whole_words_are_asked_for_with_their_true_pieces(many):
    pieces, word, _ = many
    _, target = masked(many)
    asked = target != IGNORE
    assert np.array_equal(target[asked], pieces[asked])
    for row in range(50):
        for index in range(word[row].max() + 1):
            assert len(set(asked[row, word[row] == index])) == 1


def test_every_caption_is_asked_for_a_word(many):
    _, target = masked(many, WordShares(0.01, 0.01))
    assert (target != IGNORE).any(axis=1).all()


def test_eight_tenths_become_mask_one_tenth_other_pieces_one_tenth_stay(many):
    pieces, _, _ = many
    hidden, target = masked(many)
    asked = target != IGNORE
    assert (hidden[asked] == MASK).mean() == pytest.approx(0.8, abs=0.02)
    changed = asked & (hidden != pieces) & (hidden != MASK)
    assert changed.sum() / asked.sum() == pytest.approx(0.1 * (1 - 1 / len(PIECES)), abs=0.02)
    assert hidden[changed].min() >= FIRST_PIECE
    assert np.array_equal(hidden[~asked], pieces[~asked])


def test_shares_of_scene_words_and_of_others(many):
    _, word, kind = many
    _, target = masked(many, WordShares(other=0.1, scene=0.5))
    asked = target != IGNORE
    scene = (kind == COLOUR) | (kind == OBJECT)
    assert asked[scene].mean() == pytest.approx(0.5, abs=0.02)
    assert asked[~scene & (word >= 0)].mean() == pytest.approx(0.1, abs=0.03)


def test_the_same_generator_gives_the_same_and_nothing_is_written_into(many):
    before = [a.copy() for a in many]
    first, second, third = masked(many), masked(many), masked(many, seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], third[0])
    assert all(np.array_equal(a, b) for a, b in zip(many, before, strict=True))


def test_one_word_with_all_its_pieces():
    pieces, word = np.array([2, 7, 8, 9, 3, 0]), np.array([-1, 0, 1, 1, -1, -1])
    assert mask_one_word(pieces, word, 1).tolist() == [2, 7, MASK, MASK, 3, 0]


def test_regions_that_do_not_overlap_are_hidden_at_their_share():
    left = np.arange(20) / 20
    boxes = np.stack([left, np.zeros(20), left + 0.05, np.ones(20)], axis=-1)
    hidden = mask_regions(np.tile(boxes, (400, 1, 1)), np.random.default_rng(0), 0.15)
    assert hidden.mean() == pytest.approx(0.15, abs=0.02)


def test_what_shows_the_same_pixels_is_hidden_together():
    box, part, far = [0.1, 0.1, 0.5, 0.5], [0.2, 0.2, 0.3, 0.3], [0.7, 0.7, 0.9, 0.9]
    hidden = mask_regions(np.tile(np.array([box, part, far]), (200, 1, 1)), np.random.default_rng(0), 0.3)
    assert (hidden[:, 0] == hidden[:, 1]).all()
    assert (hidden[:, 0] != hidden[:, 2]).any()
    assert overlap_of_smaller(np.array([[box, part, far]]))[0].round(6).tolist() == [
        [1, 1, 0],
        [1, 1, 0],
        [0, 0, 1],
    ]
