import pytest

from value_nb.probes.content_words import FUNCTION_WORDS, final_content_word


@pytest.mark.parametrize(
    ("sentence", "word"),
    [
        ("A dog stands behind a cook who rides it .", "rides"),
        ("On a beach , two Boats are standing in front of the HOUSES .", "houses"),
        ("They did n't .", "."),
        ("Of the 3", "3"),
        (". !", "!"),
        ("", ""),
    ],
)
def test_the_last_word_that_carries_content(sentence, word):
    assert final_content_word(tuple(sentence.split())) == word


def test_function_words_are_lower_case():
    assert all(word == word.lower() for word in FUNCTION_WORDS)
