from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from value_nb.data.example import Phrase
from value_nb.data.flickr30k_sentences import TYPES, format_sentence, parse_sentence
from value_nb.data.problems import DataFormatError, ProblemReport, Spot

WORDS = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp"), exclude_characters="[]"),
    min_size=1,
    max_size=8,
).filter(lambda word: word.split() == [word])


@st.composite
def sentences(draw: st.DrawFn) -> tuple[tuple[str, ...], tuple[Phrase, ...]]:
    words = tuple(draw(st.lists(WORDS, min_size=1, max_size=15)))
    cuts = sorted(draw(st.sets(st.integers(0, len(words)), max_size=8)))
    phrases = []
    for first, end in pairwise(cuts):
        if draw(st.booleans()):
            chain = draw(st.integers(0, 3) | st.integers(0, 10**7))
            types = tuple(draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=3)))
            phrases.append(Phrase(first, end - 1, str(chain), types))
    return words, tuple(phrases)


@given(sentences())
def test_what_is_written_is_read(sentence: tuple[tuple[str, ...], tuple[Phrase, ...]]) -> None:
    words, phrases = sentence
    report = ProblemReport()
    parsed = parse_sentence(format_sentence(words, phrases), report.at("a.txt", "line 1"))
    assert (parsed.words, parsed.phrases) == (words, phrases)
    assert not report


@given(
    st.lists(
        st.sampled_from(
            ["[/EN#1/people", "[/EN#0/notvisual", "[/EN#4", "[/EN#x/other", "a", "b]", "]", "[", "."]
        )
    )
)
def test_no_line_breaks_the_parser_and_no_word_is_lost(tokens: list[str]) -> None:
    report = ProblemReport()
    parsed = parse_sentence(" ".join(tokens), report.at("a.txt", "line 1"))
    expected = [token.rstrip("]") for token in tokens if token in ("a", "b]", ".")]
    assert [word.rstrip("]") for word in parsed.words if word in ("a", "b", "b]", ".")] == expected
    ends = [(phrase.first, phrase.last) for phrase in parsed.phrases]
    assert all(first <= last < len(parsed.words) for first, last in ends)
    assert all(before[1] < after[0] for before, after in pairwise(ends))
    openings = sum(token.startswith("[/EN#") for token in tokens)
    assert len(parsed.phrases) + len(report) == openings


def phrases_of(line: str, spot: Spot) -> list[tuple[str, str, tuple[str, ...]]]:
    sentence = parse_sentence(line, spot)
    return [(" ".join(sentence.words[i] for i in p.words), p.chain, p.types) for p in sentence.phrases]


def test_several_types(spot: Spot) -> None:
    assert phrases_of("[/EN#6729/vehicles/scene A bus] .", spot) == [("A bus", "6729", ("vehicles", "scene"))]


def test_not_visible_and_repeated_chains(spot: Spot) -> None:
    line = (
        "[/EN#0/notvisual It] is [/EN#0/notvisual nothing] to [/EN#8/people him] and [/EN#8/people himself] ."
    )
    assert [chain for _, chain, _ in phrases_of(line, spot)] == ["0", "0", "8", "8"]
    assert not spot.report


def test_a_phrase_may_start_with_a_clitic_and_stand_next_to_another(spot: Spot) -> None:
    line = "[/EN#1/people a woman] [/EN#249287/bodyparts 's face] , "
    line += "[/EN#2/other a blue] , [/EN#2/other heart] shaped"
    assert phrases_of(line, spot) == [
        ("a woman", "1", ("people",)),
        ("'s face", "249287", ("bodyparts",)),
        ("a blue", "2", ("other",)),
        ("heart", "2", ("other",)),
    ]
    assert not spot.report


def test_punctuation_stays_a_word_and_the_caption_has_no_markup(spot: Spot) -> None:
    sentence = parse_sentence("  [/EN#1/people A man]  does n't swim , .\r", spot)
    assert sentence.words == ("A", "man", "does", "n't", "swim", ",", ".")
    assert sentence.caption == "A man does n't swim , ."


@pytest.mark.parametrize(
    ("line", "words", "kept", "text"),
    [
        ("[/EN#1/people A man rides", "A man rides", 0, "'[/EN#1/people' is still open where the line ends"),
        (
            "[/EN#1/people A man rides [/EN#2/animals a horse] .",
            "A man rides a horse .",
            1,
            "is still open where '[/EN#2/animals' opens another phrase; expected a token ending in ']' "
            "before.",
        ),
        ("[/EN#4 A man] .", "A man .", 0, "'[/EN#4' is not understood: it has no entity type"),
        ("[/EN#4/ A man] .", "A man .", 0, "its header has another form"),
        ("[/EN#/people A man] .", "A man .", 0, "its header has another form; expected [/EN#<digits>/<type>"),
        ("[/EN#x1/people A man] .", "A man .", 0, "its header has another form"),
        ("[/EN#1/dragon A man] .", "A man .", 0, "its type 'dragon' is unknown; expected"),
        ("A [/EN#1/people ] man .", "A man .", 0, "it has no words"),
        ("A [/EN#1/people] man .", "A man .", 0, "it has no words"),
    ],
)
def test_bad_phrases_are_left_out_and_their_words_stay(
    line: str, words: str, kept: int, text: str, spot: Spot
) -> None:
    sentence = parse_sentence(line, spot)
    assert sentence.caption == words
    assert len(sentence.phrases) == kept
    messages = [str(p) for p in spot.report if p.skipped]
    assert len(messages) == len(spot.report) == 1
    assert messages[0].startswith("file.txt, line 7: the phrase ") and text in messages[0]
    assert "Its words are kept without the phrase" in messages[0]
    with pytest.raises(DataFormatError, match="strict=True"):
        parse_sentence(line, ProblemReport(strict=True).at("file.txt", "line 7"))


def test_later_phrases_keep_their_own_chain_after_an_unclosed_one(spot: Spot) -> None:
    line = "[/EN#1/people A man on [/EN#2/vehicles a bus] and [/EN#3/animals a dog] ."
    assert phrases_of(line, spot) == [("a bus", "2", ("vehicles",)), ("a dog", "3", ("animals",))]


def test_a_lone_closing_bracket_closes(spot: Spot) -> None:
    assert phrases_of("[/EN#1/people A man ] runs .", spot) == [("A man", "1", ("people",))]
    assert spot.report.changed == {"bracket alone": 1}
    assert len(spot.report) == 0


def test_stray_brackets_are_words(spot: Spot) -> None:
    sentence = parse_sentence("A [ sic ] man] [/EN#1/people a [ dog] .", spot)
    assert sentence.words == ("A", "[", "sic", "]", "man]", "a", "[", "dog", ".")
    assert [(p.first, p.last) for p in sentence.phrases] == [(5, 7)]
    assert spot.report.changed == {"bracket in a word": 4}


@pytest.mark.parametrize(
    ("words", "phrases", "text"),
    [
        (["a b"], [], "'a b' cannot be written"),
        (["a]"], [], "cannot be written"),
        ([""], [], "cannot be written"),
        (["a"], [Phrase(0, 1, "1", ("people",))], "leaves the 1 words"),
        (["a", "b"], [Phrase(0, 1, "1", ("people",)), Phrase(1, 1, "2", ("people",))], "overlaps"),
        (["a"], [Phrase(0, 0, "1", ())], "expected a chain id in digits and types among people"),
        (["a"], [Phrase(0, 0, "x", ("people",))], "expected a chain id in digits"),
        (["a"], [Phrase(0, 0, "1", ("dragon",))], "types among people"),
    ],
)
def test_what_cannot_be_written_is_said(words: list[str], phrases: list[Phrase], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        format_sentence(words, phrases)
