from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordPiece

from tests.tiny import tiny_tokenizer, tiny_words
from value_nb.models.words import WordPieces


def test_every_piece_knows_its_word() -> None:
    sentence = tiny_words().sentence(("A", "umbrella", "zzz"))
    assert sentence.tokens == ("[CLS]", "a", "um", "##brel", "##la", "[UNK]", "[SEP]")
    assert sentence.words == (-1, 0, 1, 1, 1, 2, -1)


def test_a_word_of_which_nothing_is_left_becomes_unknown() -> None:
    sentence = tiny_words().sentence(("man", "\u200b", "dog"))
    assert sentence.tokens == ("[CLS]", "man", "[UNK]", "dog", "[SEP]")


def test_a_word_may_be_cut_by_punctuation() -> None:
    assert tiny_words().sentence(("dog.man",)).words == (-1, 0, 0, 0, -1)


def test_a_directory_needs_its_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no tokenizer\.json"):
        WordPieces.load(tmp_path)
    tiny_tokenizer().save(str(tmp_path / "tokenizer.json"))
    assert WordPieces.load(tmp_path).mask == 4


def test_a_vocabulary_without_mask_is_refused() -> None:
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3}
    with pytest.raises(ValueError, match=r"no \[MASK\]"):
        WordPieces(Tokenizer(WordPiece(vocabulary, unk_token="[UNK]")))


def test_a_copy_in_another_process_finds_the_same_pieces() -> None:
    words = tiny_words()
    other = pickle.loads(pickle.dumps(words))
    assert other.sentence(("umbrella", "trombonist")) == words.sentence(("umbrella", "trombonist"))
    assert other.pieces.cache_info().currsize == 2 == words.pieces.cache_info().currsize
