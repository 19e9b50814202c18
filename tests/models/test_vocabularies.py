"""Word pieces from vocab.txt are those of transformers' BertTokenizer; and where they are looked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import BertTokenizer

from tests.models.official_files import write_vocabulary
from tests.tiny import tiny_tokenizer
from value_nb.models.vocabularies import check_size, find_words, read_words, tokenizer_file, word_piece
from value_nb.models.words import WordPieces

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789éÉüñç.,;:!?'\"()[]-_/&%$猫狗山"
PIECES = [
    *SPECIALS, *LETTERS, *(f"##{letter}" for letter in LETTERS if letter.isalnum()), "caf", "##fee", "Café",
    "cafe", "café", "don", "##n't", "the", "The", "dog", "##dog", "🐕", "👩", "##\u200d", "straße",
    "str", "##asse",
]  # fmt: skip
TEXTS = [
    "The dogs' café, don't!", "CAFÉ", "naïve Señor Ünal", "猫と狗 in 山田", "a🐕b 👩‍👩‍👧 dog",
    "straße STRASSE ß", "well-known (so-called) \"word\"", "a\tb\nc\u00a0d\u200be\u200df",
    "x" * 101, "y" * 100,
    "", "  ",
    "e\u0301 n\u0303", "\ufffd \x00 \x07", "[MASK] [CLS]x [mask]", "ﬁne Ⅷ ½ ①", "שלום dog", "$5.00 & 7%",
    "İstanbul ıI", "中dog文", "don’t “quote”", "a…b",
]  # fmt: skip


def theirs(vocabulary: Path, lowercase: bool) -> BertTokenizer:
    return BertTokenizer(vocab=str(vocabulary), do_lower_case=lowercase)


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_vocabulary(tmp_path_factory.mktemp("v") / "vocab.txt", len(PIECES), PIECES)


@pytest.mark.parametrize("lowercase", [True, False])
def test_pieces_are_those_of_transformers(vocabulary: Path, lowercase: bool) -> None:
    reference, ours = theirs(vocabulary, lowercase), read_words(vocabulary, lowercase)
    for text in TEXTS:
        wanted = reference(text, add_special_tokens=False)["input_ids"]
        assert ours.tokenizer.encode(text, add_special_tokens=False).ids == wanted, text
    assert ours.vocab_size == len(PIECES)
    assert (ours.pad, ours.unknown, ours.cls, ours.sep, ours.mask) == (0, 1, 2, 3, 4)


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(text=st.text(max_size=12), lowercase=st.booleans())
def test_any_text_is_cut_as_transformers_does(vocabulary: Path, text: str, lowercase: bool) -> None:
    if "ours" not in READ:
        READ["ours"] = {low: word_piece(PIECES, low) for low in (True, False)}
        READ["theirs"] = {low: theirs(vocabulary, low) for low in (True, False)}
    wanted = READ["theirs"][lowercase](text, add_special_tokens=False)["input_ids"]
    assert READ["ours"][lowercase].encode(text, add_special_tokens=False).ids == wanted


READ: dict = {}


def test_lines_end_at_line_feeds_only(tmp_path: Path) -> None:
    """Pieces that are separators to str.splitlines do not shift the numbers of those behind them."""
    pieces = [*SPECIALS, "a", "\u2028", "\x85", "\x0c", "dog"]
    path = write_vocabulary(tmp_path / "vocab.txt", len(pieces), pieces)
    assert read_words(path).tokenizer.token_to_id("dog") == 9
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_words(path).tokenizer.token_to_id("dog") == 9


def test_case_is_the_settings_then_the_callers_then_told(tmp_path: Path) -> None:
    def lowers(name: str, pieces: list[str], given: bool | None) -> bool:
        words = read_words(write_vocabulary(tmp_path / name, len(pieces), pieces), given)
        return words.pieces("DOG") == words.pieces("dog")

    small, mixed = [*SPECIALS, "dog"], [*SPECIALS, "dog", "DOG"]
    assert lowers("vocab.txt", small, None) and not lowers("vocab.txt", mixed, None)
    assert lowers("vocab.txt", mixed, True) and not lowers("vocab.txt", small, False)
    assert lowers("bert-base-uncased/vocab.txt", mixed, None)
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    assert not lowers("vocab.txt", small, True)


def test_files_that_are_no_vocabulary_are_named(tmp_path: Path) -> None:
    path = write_vocabulary(tmp_path / "vocab.txt", 7, [*SPECIALS, "a", "a"])
    with pytest.raises(ValueError, match=r"vocab\.txt is no vocabulary: 1 of its 7 lines stand there before"):
        read_words(path)
    path.write_bytes(b"\xff\xfe[PAD]")
    with pytest.raises(ValueError, match=r"vocab\.txt is no vocabulary: expected text in UTF-8"):
        read_words(path)
    write_vocabulary(path, 3, ["a", "b", "c"])
    with pytest.raises(ValueError, match=r"vocab\.txt: the tokenizer has no \[CLS\]"):
        read_words(path)
    for text in ("{", "{}", "[1]"):
        (tmp_path / "tokenizer.json").write_text(text)
        with pytest.raises(ValueError, match=r"tokenizer\.json is no tokenizer\.json"):
            read_words(tmp_path / "tokenizer.json")


def test_a_folder_with_vocab_txt_is_enough(tmp_path: Path) -> None:
    write_vocabulary(tmp_path / "vocab.txt")
    assert WordPieces.load(tmp_path).sentence(("A", "umbrella")).tokens == (
        "[CLS]", "a", "um", "##brel", "##la", "[SEP]",
    )  # fmt: skip
    tiny_tokenizer().save(str(tmp_path / "tokenizer.json"))
    assert tokenizer_file(tmp_path) == tmp_path / "tokenizer.json"


def test_where_it_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: Path, cached: object
) -> None:
    """Given, beside the checkpoint, data folder, the hub's cache: each place wins over those behind it."""
    beside, data = tmp_path / "beside", tmp_path / "data" / "models" / "bert-base-cased"
    beside.mkdir()
    monkeypatch.setenv("VALUE_NB_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    with pytest.raises(
        ValueError, match=r'bert-base-cased.* is not on this machine.*vnb\.fetch\("bert-base-c'
    ):
        find_words("bert-base-cased", None, beside)
    snapshot = cached("google-bert/bert-base-cased")  # type: ignore[operator]
    places = [
        snapshot / "vocab.txt",
        data / "vocab.txt",
        beside / "vocab.txt",
        tmp_path / "given" / "vocab.txt",
    ]
    for place in places[:3]:
        write_vocabulary(place)
        assert find_words("bert-base-cased", None, beside)[1].resolve() == place.resolve()
    write_vocabulary(places[3])
    for given_place in (places[3], places[3].parent):
        assert find_words("bert-base-cased", given_place, beside)[1] == places[3]
    words, _ = find_words("bert-base-cased", None, beside)
    assert words.pieces("Dog") == (words.unknown,), "cased"
    with pytest.raises(ValueError, match=r"tokenizer='.*nowhere': expected a tokenizer\.json"):
        find_words("bert-base-cased", tmp_path / "nowhere", beside)


def test_a_mixed_up_vocabulary_asks_for_the_case(tmp_path: Path) -> None:
    words = read_words(write_vocabulary(tmp_path / "vocab.txt", 60))
    check_size(words, tmp_path / "vocab.txt", 60)
    with pytest.raises(
        ValueError,
        match=r"has 60 pieces and the checkpoint 30522 .*Cased/uncased\? 30522 is bert-base-uncased",
    ):
        check_size(words, tmp_path / "vocab.txt", 30522)


def test_settings_that_are_broken_are_named(tmp_path: Path) -> None:
    path = write_vocabulary(tmp_path / "vocab.txt")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps([1]))
    with pytest.raises(ValueError, match=r"tokenizer_config\.json holds list, expected a JSON object"):
        read_words(path)
