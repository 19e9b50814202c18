from dataclasses import replace

import numpy as np

from tests.fakes import fake_example
from value_nb.data.example import Example, Phrase, Regions
from value_nb.probes.squares import mentions, pairs_of, squares

PEOPLE = ("people",)
APART = [[0.0, 0.0, 0.2, 0.2], [0.3, 0.3, 0.5, 0.5], [0.6, 0.6, 0.8, 0.8], [0.8, 0.0, 1.0, 0.2]]


def example(boxes: list[list[float]], names: tuple[str, ...], phrases: tuple[Phrase, ...]) -> Example:
    regions = Regions(np.array(boxes, dtype=np.float32), None, names, ("annotated",) * len(boxes))
    words = tuple(f"w{k}" for k in range(10))
    return replace(fake_example("a", 0, words, len(boxes)), regions=regions, phrases=phrases)


def phrase(k: int, chain: str, *regions: int) -> Phrase:
    """Phrase number k takes the words 2k and 2k + 1."""
    return Phrase(2 * k, 2 * k + 1, chain, PEOPLE, regions)


def test_two_chains_make_one_square():
    made = example(APART, ("man", "dog", "hat", "man"), (phrase(0, "1", 0), phrase(1, "2", 1)))
    (square,) = squares(made, seed=0)
    found = {(p.chain, region, linked) for p, region, linked in pairs_of(square)}
    assert found == {("1", 0, True), ("2", 1, True), ("1", 1, False), ("2", 0, False)}


def test_three_chains_make_one_and_four_make_two():
    phrases = tuple(phrase(k, str(k + 1), k) for k in range(4))
    names = ("man", "dog", "hat", "tree")
    assert len(squares(example(APART, names, phrases[:3]), seed=0)) == 1
    both = squares(example(APART, names, phrases), seed=0)
    used = [mention.region for square in both for mention in square]
    assert sorted(used) == [0, 1, 2, 3]
    drawn = {squares(example(APART, names, phrases), seed=s)[0] for s in range(20)}
    assert len(drawn) > 3, "who is paired with whom is drawn by the seed"


def test_chains_without_a_region_and_chains_named_twice():
    phrases = (phrase(0, "1", 0), phrase(1, "0"), phrase(2, "1", 1), phrase(3, "2"))
    made = example(APART, ("man",) * 4, phrases)
    (mention,) = mentions(made, seed=0)
    assert (mention.phrase, mention.region, mention.gold) == (phrases[0], 0, (0, 1))
    assert squares(made, seed=0) == []


def test_of_several_regions_one_is_drawn():
    made = example(APART, ("man",) * 4, (phrase(0, "1", 0, 1, 2), phrase(1, "2", 3)))
    drawn = {m.region for s in range(30) for m in mentions(made, s) if m.phrase.chain == "1"}
    assert drawn == {0, 1, 2}


def test_a_region_over_the_other_chain_is_neither_linked_nor_unlinked():
    near = [0.0, 0.0, 0.2, 0.19]  # IoU 0.95 with the first box
    boxes = [APART[0], near, APART[1], APART[2]]
    assert squares(example(boxes, ("man",) * 4, (phrase(0, "1", 0), phrase(1, "2", 1))), 0) == []
    third = phrase(2, "1", 1)  # another phrase of chain 1, whose region lies over that of chain 2
    away = example(
        [APART[0], near, near, APART[2]], ("man",) * 4, (phrase(0, "1", 3), third, phrase(1, "2", 2))
    )
    assert squares(away, 0) == []
    shared = example(APART, ("man",) * 4, (phrase(0, "1", 0), phrase(1, "2", 0)))
    assert squares(shared, 0) == [], "one region for both"


def test_phrases_that_share_a_word_make_no_square():
    made = example(APART, ("man",) * 4, (Phrase(0, 3, "1", PEOPLE, (0,)), Phrase(3, 4, "2", PEOPLE, (1,))))
    assert squares(made, 0) == []


def test_regions_of_one_class():
    phrases = tuple(phrase(k, str(k + 1), k) for k in range(4))
    made = example(APART, ("man", "dog", "man", "tree"), phrases)
    for seed in range(5):
        (square,) = squares(made, seed, same_class=True)
        assert {mention.region for mention in square} == {0, 2}
    assert squares(example(APART, ("", "", "", ""), phrases), 0, same_class=True) == []
    assert len(squares(example(APART, ("", "", "", ""), phrases), 0)) == 2


def test_a_caption_without_a_picture_has_none():
    assert squares(replace(fake_example("a", 0, ("x",), 2), regions=None), 0) == []
