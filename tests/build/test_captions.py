from __future__ import annotations

import numpy as np
import pytest

from data.build import captions as grammar
from data.build import vocabulary
from data.build.captions import LONGEST, PATTERNS, captions
from data.build.corpus import COLOUR, OBJECT, with_article, word_kinds
from data.build.detector import REGIONS
from data.build.scenes import sample_scene
from data.build.trees import Node
from data.build.truth import caption_claims, hard_swaps, picture_atoms

SCENES = [sample_scene(f"c-{i}", 5) for i in range(40)]
SPOKEN = [(scene, sentence) for scene in SCENES for sentence in captions(scene, 5, vocabulary.count)]


def test_every_caption_is_true_of_its_picture():
    for scene, sentence in SPOKEN:
        lacking = caption_claims(scene, sentence) - picture_atoms(scene)
        assert not lacking, (sentence.words, lacking)


def test_captions_are_false_of_most_other_pictures():
    other = picture_atoms(SCENES[0])
    false = [not caption_claims(scene, s) <= other for scene, s in SPOKEN if scene is not SCENES[0]]
    assert np.mean(false) > 0.95


def test_a_hard_swap_changes_one_word_and_makes_the_caption_false():
    made = 0
    for scene, sentence in SPOKEN:
        words, truths = sentence.tree.words(), picture_atoms(scene)
        for index, new in hard_swaps(sentence, truths):
            assert new != words[index]
            named = {m.cls for m in sentence.mentions} | {m.colour for m in sentence.mentions}
            assert words[index] in named
            made += 1
    assert made > 100


def test_captions_are_short_and_in_the_vocabulary():
    unknown = vocabulary.SPECIALS.index("[UNK]")
    assert LONGEST + 2 < REGIONS
    for _, sentence in SPOKEN:
        assert vocabulary.count(sentence.words) <= LONGEST
        assert all(unknown not in vocabulary.word_pieces(word) for word in sentence.words)


def test_every_pattern_speaks():
    seen = set()
    rng = np.random.default_rng(0)
    for scene in SCENES:
        for pattern, _ in PATTERNS:
            relations = grammar._chosen(scene, rng)
            if relations and pattern(grammar.Speaker(scene, rng), relations) is not None:
                seen.add(pattern)
    assert seen == {pattern for pattern, _ in PATTERNS}


def test_spans_of_noun_phrases_cover_their_words():
    for _, sentence in SPOKEN:
        words = sentence.tree.words()
        for constituent, first, last in sentence.tree.nodes():
            assert isinstance(constituent, Node)
            assert constituent.words() == words[first : last + 1]


def test_the_same_scene_gives_the_same_captions():
    assert captions(SCENES[0], 5, vocabulary.count) == captions(SCENES[0], 5, vocabulary.count)


def test_colour_and_object_words_are_marked():
    kinds = {kind: set() for kind in (COLOUR, OBJECT)}
    for _, sentence in SPOKEN:
        for word, kind in zip(sentence.tree.words(), word_kinds(sentence), strict=True):
            if kind in kinds:
                kinds[kind].add(word)
    assert {"red", "blue"} <= kinds[COLOUR]
    assert {"man", "horse"} & kinds[OBJECT]
    assert not kinds[OBJECT] & {"animal", "person", "field", "beach"}


@pytest.mark.parametrize(
    ("words", "index", "expected"),
    [
        (["A", "umbrella"], 1, ["An", "umbrella"]),
        (["an", "dog"], 1, ["a", "dog"]),
        (["the", "dog"], 1, ["the", "dog"]),
        (["dog"], 0, ["dog"]),
    ],
)
def test_articles_follow_the_word(words, index, expected):
    assert with_article(words, index) == expected
