"""From words to word pieces: each word on its own, so that every piece knows its word."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

SPECIALS = {"cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]", "mask": "[MASK]", "unknown": "[UNK]"}


@dataclass(frozen=True, slots=True)
class Sentence:
    """Pieces of one caption, [CLS] first and [SEP] last; `words` is -1 on these two."""

    ids: tuple[int, ...]
    tokens: tuple[str, ...]
    words: tuple[int, ...]


class WordPieces:
    """A BERT-like tokenizer, word by word.

    Attributes
    ----------
    cls, sep, pad, mask, unknown
        Ids of the special pieces.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.cls, self.sep, self.pad, self.mask, self.unknown = map(self._special, SPECIALS.values())
        self._remember()

    def _remember(self) -> None:
        self.pieces = lru_cache(maxsize=50_000)(self._pieces)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "pieces"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._remember()

    @classmethod
    def load(cls, directory: Path | str) -> WordPieces:
        """Read `tokenizer.json` of a model directory, or else its `vocab.txt` (vocabularies.py)."""
        from value_nb.models.vocabularies import read_words, tokenizer_file

        path = tokenizer_file(Path(directory))
        if path is None:
            raise ValueError(
                f"{directory} has no tokenizer.json and no vocab.txt; a model directory needs its tokenizer"
            )
        return read_words(path)

    @property
    def vocab_size(self) -> int:
        """Number of pieces."""
        return self.tokenizer.get_vocab_size()

    def _special(self, token: str) -> int:
        piece = self.tokenizer.token_to_id(token)
        if piece is None:
            raise ValueError(f"the tokenizer has no {token}; expected a BERT-like vocabulary")
        return piece

    def token(self, piece: int) -> str:
        """Piece id -> its text; ids outside the vocabulary become "[UNK]"."""
        return self.tokenizer.id_to_token(piece) or SPECIALS["unknown"]

    def _pieces(self, word: str) -> tuple[int, ...]:
        """Ids of a word's pieces; a word of which nothing is left becomes one unknown piece."""
        return tuple(self.tokenizer.encode(word, add_special_tokens=False).ids) or (self.unknown,)

    def sentence(self, words: tuple[str, ...]) -> Sentence:
        """[CLS], the pieces of each word in order, [SEP]."""
        ids, of = [self.cls], [-1]
        for index, word in enumerate(words):
            pieces = self.pieces(word)
            ids += pieces
            of += [index] * len(pieces)
        ids, of = [*ids, self.sep], [*of, -1]
        return Sentence(tuple(ids), tuple(map(self.token, ids)), tuple(of))
