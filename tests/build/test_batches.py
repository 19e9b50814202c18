from __future__ import annotations

import numpy as np
import pytest
import torch

from data.build.batches import (
    MISMATCHED_SHARE,
    captions_of_step,
    dress,
    picture_batch,
    pictures_for,
    text_batch,
)
from data.build.masking import WordShares
from data.build.region_batches import region_row_batch
from tests.build.tiny_corpus import PIECES, REGIONS, tiny_corpus
from value_nb.models.regions import region_rows

SHARES = WordShares()


def test_every_caption_comes_once_in_a_pass_and_passes_differ():
    steps = [captions_of_step(10, 4, 0, step) for step in range(5)]
    passes = np.concatenate(steps).reshape(2, 10)
    assert all(sorted(one) == list(range(10)) for one in passes)
    assert not np.array_equal(*passes)
    assert not np.array_equal(captions_of_step(10, 4, 1, 0), steps[0])


def test_a_pass_may_be_shorter_than_a_batch():
    assert sorted(captions_of_step(3, 6, 0, 0)) == [0, 0, 1, 1, 2, 2]


def test_mismatched_captions_have_the_picture_of_another():
    corpus = tiny_corpus()
    captions = np.arange(len(corpus))
    for seed in range(20):
        images = pictures_for(corpus, captions, np.random.default_rng(seed))
        differ = images != corpus.caption_image
        assert differ.sum() == round(MISMATCHED_SHARE * len(corpus))
        assert images.min() >= 0 and images.max() < corpus.n_images


def test_one_picture_is_not_enough_for_matching():
    with pytest.raises(ValueError, match="at least two pictures"):
        pictures_for(tiny_corpus(1), np.array([0]), np.random.default_rng(0))


@pytest.mark.parametrize("location_size", [4, 5, 7])
@pytest.mark.parametrize("global_row", ["none", "first"])
def test_rows_of_many_pictures_are_those_of_each(location_size, global_row):
    corpus = tiny_corpus()
    features, places = region_row_batch(corpus.boxes, corpus.features, location_size, global_row)
    for image in range(corpus.n_images):
        one = region_rows(corpus.boxes[image], corpus.features[image], location_size, global_row)
        np.testing.assert_array_equal(places[image], one[1])
        np.testing.assert_allclose(features[image], one[0], rtol=0, atol=1e-7)


@pytest.mark.usefixtures("many_hidden")
def test_matched_tells_whose_picture_it_is_and_targets_are_the_true_ones():
    corpus = tiny_corpus()
    captions = captions_of_step(len(corpus), 16, 0, 3)
    batch = picture_batch(corpus, captions, 7, "none", 0, 3)
    own = torch.from_numpy(corpus.features[corpus.caption_image[captions]].astype(np.float32))
    same = (batch.region_feature == own).flatten(1).all(dim=1)
    assert same[batch.matched].all()
    assert batch.matched.sum() == 16 - round(MISMATCHED_SHARE * 16)
    hidden = batch.region_mask
    assert hidden.any() and (batch.features[hidden] == 0).all()
    assert torch.equal(batch.features[~hidden], batch.region_feature[~hidden])


def test_the_global_row_is_never_hidden_and_does_not_show_what_is():
    corpus = tiny_corpus()
    images, hidden = np.arange(2), np.zeros((2, REGIONS), dtype=bool)
    hidden[:, 0] = True
    batch = dress(corpus, images, hidden, np.ones(2, bool), 5, "first")
    assert batch.features.shape[1] == REGIONS + 1
    assert not batch.region_mask[:, 0].any() and batch.region_mask[:, 1].all()
    seen = corpus.features[images].astype(np.float32)
    seen[:, 0] = 0
    np.testing.assert_allclose(batch.features[:, 0], seen.mean(axis=1), atol=1e-7)
    assert torch.equal(batch.region_class[:, 1:], torch.from_numpy(corpus.region_class[images].astype(int)))


def test_text_is_cut_to_the_longest_and_padding_is_masked():
    corpus = tiny_corpus()
    captions = np.array([0, 1, 2])
    batch = text_batch(corpus, captions, len(PIECES), SHARES, 0, 0)
    longest = corpus.length[captions].max()
    assert batch.input_ids.shape == (3, longest)
    assert batch.text_mask.sum(dim=1).tolist() == corpus.length[captions].tolist()


def test_a_batch_depends_on_seed_and_step_alone():
    corpus, captions = tiny_corpus(), np.arange(8)
    first = [text_batch(corpus, captions, len(PIECES), SHARES, 0, step).input_ids for step in (0, 1)]
    again = [text_batch(corpus, captions, len(PIECES), SHARES, 0, step).input_ids for step in (1, 0)]
    assert torch.equal(first[0], again[1]) and torch.equal(first[1], again[0])
    assert not torch.equal(*first)
