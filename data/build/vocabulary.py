"""The miniature's WordPiece vocabulary, made from the world and the grammar, not from counts.

Written down rather than trained, so that the same world gives the same vocabulary on every machine.
Compounds and regular plurals are left out as whole words, so that some words take several pieces.
"""

from __future__ import annotations

import string
from functools import lru_cache

from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

from data.build.verbs import BE, STAND, VERBS
from data.build.world import CLASSES, COLOURS, GROUNDS

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
COMPOUNDS = {
    "grandfather": ("grand", "##father"),
    "grandmother": ("grand", "##mother"),
    "policeman": ("police", "##man"),
    "policemen": ("police", "##men"),
    "motorcycle": ("motor", "##cycle"),
    "bicycle": ("bi", "##cycle"),
    "saxophone": ("saxo", "##phone"),
    "afternoon": ("after", "##noon"),
}
"""Words that are written as several pieces."""
FUNCTION_WORDS = frozenset(  # read as a sentence, so kept as one
    "a an the two three several another some many no this that who which . , and but or there with "
    "at of in on for to from next front behind under he she it they his her its their him them big "
    "small nice day photo not while because says said thinks thought knows knew near".split()
)


def pieces() -> tuple[str, ...]:
    """All pieces in id order."""
    nouns = {n for kind in CLASSES.values() for n in (kind.name, kind.hypernym) if n}
    irregular = {k.plural for k in CLASSES.values() if k.plural and k.plural != k.name + "s"}
    verbs = {f for v in (*VERBS.values(), STAND) for f in (v.base, v.third, v.past, v.ing)}
    words = {*nouns, *irregular, *verbs, *FUNCTION_WORDS, *COLOURS, *GROUNDS, *BE.values(), "afternoon"}
    whole = words - set(COMPOUNDS)
    parts = {p for split in COMPOUNDS.values() for p in split}
    letters = {*string.ascii_lowercase, *string.digits, *("##" + c for c in string.ascii_lowercase), "##es"}
    return (*SPECIALS, *sorted({*whole, *parts, *letters, *string.punctuation}))


@lru_cache(maxsize=1)
def tokenizer() -> Tokenizer:
    """The tokenizer, lower-casing, splitting punctuation off, adding [CLS] and [SEP]."""
    vocabulary = {piece: i for i, piece in enumerate(pieces())}
    made = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=40))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(s, vocabulary[s]) for s in ("[CLS]", "[SEP]")],
    )
    return made


@lru_cache(maxsize=65536)
def word_pieces(word: str) -> tuple[int, ...]:
    """Ids of the pieces of one word."""
    return tuple(tokenizer().encode(word, add_special_tokens=False).ids)


def count(words: list[str]) -> int:
    """Number of word pieces of a sentence, without [CLS] and [SEP]."""
    return sum(len(word_pieces(word)) for word in words)
