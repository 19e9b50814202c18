"""Vocabularies of BERT: read from tokenizer.json or vocab.txt, and found for checkpoints that bring none.

Official checkpoints hold weights only. UNITER cut its captions with the pieces of bert-base-cased, all others
with those of bert-base-uncased; the pieces themselves lie wherever a BERT lies.
"""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from value_nb.models.locating import hub_folder, models_root
from value_nb.models.words import SPECIALS, WordPieces

TOKENIZER, VOCABULARY, SETTINGS = "tokenizer.json", "vocab.txt", "tokenizer_config.json"
LONGEST_WORD = 100
"""BERT's own limit in characters: a longer word is one [UNK]."""
SIZES = {28996: "bert-base-cased", 30522: "bert-base-uncased"}
"""Number of pieces -> whose vocabulary has as many."""


def tokenizer_file(place: Path) -> Path | None:
    """The tokenizer of a folder (tokenizer.json before vocab.txt), or a file itself; None where none is."""
    found = (place / TOKENIZER, place / VOCABULARY) if place.is_dir() else (place,)
    return next((path for path in found if path.is_file()), None)


def read_words(path: Path, lowercase: bool | None = None) -> WordPieces:
    """Read tokenizer.json, or a vocab.txt with one piece a line.

    Parameters
    ----------
    path
        The file.
    lowercase
        For vocab.txt, which does not say it: whether words are put into lower case, without accents. A
        `tokenizer_config.json` beside it that says `do_lower_case` is believed first; None: whether its name
        or its folder's says "uncased", or no piece has a capital letter.

    Raises
    ------
    ValueError
        Names the file where it is neither, holds a piece twice, or lacks one of BERT's special pieces.
    """
    if path.suffix == ".json":
        try:
            return _checked(path, Tokenizer.from_file(str(path)))
        except ValueError:
            raise
        except Exception as problem:  # tokenizers raises Exception itself
            raise ValueError(f"{path} is no tokenizer.json of the library tokenizers: {problem}") from problem
    pieces = _read_pieces(path)
    return _checked(path, word_piece(pieces, _lower(path, pieces, lowercase)))


def word_piece(pieces: list[str], lowercase: bool) -> Tokenizer:
    """BERT's tokenizer over these pieces: the id of a piece is its place in the list."""
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    model = WordPiece(vocabulary, unk_token=SPECIALS["unknown"], max_input_chars_per_word=LONGEST_WORD)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.add_special_tokens([token for token in SPECIALS.values() if token in vocabulary])
    return tokenizer


def _checked(path: Path, tokenizer: Tokenizer) -> WordPieces:
    try:
        return WordPieces(tokenizer)
    except ValueError as problem:
        raise ValueError(f"{path}: {problem}") from problem


def _read_pieces(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as problem:
        raise ValueError(
            f"{path} is no vocabulary: expected text in UTF-8, one piece a line ({problem})"
        ) from problem
    pieces = text.removesuffix("\n").split("\n")  # never splitlines: pieces may be odd separators themselves
    twice = len(pieces) - len(set(pieces))
    if twice:
        raise ValueError(f"{path} is no vocabulary: {twice} of its {len(pieces)} lines stand there before")
    return pieces


def _lower(path: Path, pieces: list[str], lowercase: bool | None) -> bool:
    from value_nb.models.json_files import read_json

    said = read_json(path.parent / SETTINGS).get("do_lower_case", lowercase)
    if said is not None:
        return bool(said)
    if "uncased" in path.name or "uncased" in path.parent.name:
        return True
    specials = set(SPECIALS.values())
    return not any(piece != piece.lower() for piece in pieces if piece not in specials)


def find_words(name: str, given: Path | None, beside: Path) -> tuple[WordPieces, Path]:
    """The word pieces for a checkpoint, and the file that they come from.

    Looked for in this order: what the caller gives, beside the checkpoint, in `models/<name>` of the data
    folder, and among what the hub's library has fetched before. Nothing is fetched.

    Parameters
    ----------
    name
        "bert-base-cased" or "bert-base-uncased".
    given
        A file or folder of the caller's; then no other place is looked at.
    beside
        Folder of the checkpoint.

    Raises
    ------
    ValueError
        Where there is none: says what to get.
    """
    places = [given] if given is not None else _places(name, beside)
    found = next((path for path in map(tokenizer_file, places) if path is not None), None)
    if found is not None:
        return read_words(found, lowercase="uncased" in name), found
    if given is not None:
        raise ValueError(
            f"tokenizer={str(given)!r}: expected a {TOKENIZER}, a {VOCABULARY}, or a folder with one"
        )
    raise ValueError(
        f"the checkpoint brings no tokenizer, and {name}, whose word pieces it was trained with, is not on "
        f"this machine (looked in {', '.join(map(str, places))} and the hub's cache). Run "
        f'vnb.fetch("{name}"), or give tokenizer=PATH, its {TOKENIZER} or {VOCABULARY}'
    )


def _places(name: str, beside: Path) -> list[Path]:
    root = models_root()
    cached = [hub_folder(f"{owner}{name}", file) for file in (TOKENIZER, VOCABULARY) for owner in OWNERS]
    return [beside, *([root / name] if root else []), *(path for path in cached if path is not None)]


OWNERS = ("google-bert/", "")
"""The hub moved these models to an owner; caches from before know them without."""


def check_size(words: WordPieces, file: Path, vocabulary: int) -> None:
    """ValueError where a tokenizer is not the one that a checkpoint was trained with, told by its size."""
    if words.vocab_size == vocabulary:
        return
    said = [f"{size} is {whose}" for size, whose in SIZES.items() if size in (words.vocab_size, vocabulary)]
    raise ValueError(
        f"{file} has {words.vocab_size} pieces and the checkpoint {vocabulary} rows for them: they do not "
        f"belong together. Cased/uncased? {'; '.join(said) or 'Neither size is that of an English BERT'}. "
        "Give the right one, tokenizer=PATH"
    )
