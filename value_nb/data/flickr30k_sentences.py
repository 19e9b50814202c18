"""The sentence files of Flickr30k Entities: captions with their noun phrases in brackets.

A caption is tokens between spaces. A phrase is `[/EN#<chain>/<type>(/<type>)*`, its words, and `]` glued to
the last of them: `[/EN#17/people A man] rides [/EN#18/animals/other a horse] .`
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from value_nb.data.example import Phrase
from value_nb.data.problems import Spot

ENTITY_TYPES = ("people", "clothing", "bodyparts", "animals", "vehicles", "instruments", "scene", "other")
"""The types of things that can be seen."""
TYPES = (*ENTITY_TYPES, "notvisual")
NOT_VISIBLE = "0"
"""The chain of every phrase that is not visible. Each such phrase stands alone: two of them never corefer."""

OPENING = "[/EN#"
HEADER = re.compile(r"\[/EN#(?P<chain>[0-9]+)(?P<types>(?:/[^/\[\]\s]+)*)")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A caption: its words, and its phrases in order (without regions)."""

    words: tuple[str, ...]
    phrases: tuple[Phrase, ...]

    @property
    def caption(self) -> str:
        """The words with one space between them."""
        return " ".join(self.words)


def parse_sentence(line: str, spot: Spot) -> Sentence:
    """Parse one line of a sentence file.

    Words are never lost; a phrase that cannot be read is reported and left out, and its words stay. The
    rules:

    - a token that begins with `[/EN#` opens a phrase, the next token that ends with `]` closes it;
    - a lone `]` closes the phrase after the word before it (reported as changed);
    - an opening inside an open phrase, or the end of the line, leaves the earlier phrase unclosed: it is left
      out;
    - a phrase without words, without a chain id in digits, without a type or with an unknown type is left
      out;
    - any other bracket is an ordinary part of a word (reported as changed), also inside a phrase.

    Examples
    --------
    >>> from value_nb.data.problems import ProblemReport
    >>> spot = ProblemReport().at("7.txt", "line 1")
    >>> sentence = parse_sentence("[/EN#5/people A man] rides [/EN#6/animals/other a horse] .", spot)
    >>> sentence.caption
    'A man rides a horse .'
    >>> [(p.first, p.last, p.chain, p.types) for p in sentence.phrases]
    [(0, 1, '5', ('people',)), (3, 4, '6', ('animals', 'other'))]
    """
    parser = _Parser(spot)
    for token in line.split():
        parser.feed(token)
    parser.abandon("the line ends")
    return Sentence(tuple(parser.words), tuple(parser.phrases))


@dataclass(slots=True)
class _Parser:
    spot: Spot
    words: list[str] = field(default_factory=list)
    phrases: list[Phrase] = field(default_factory=list)
    header: str | None = None
    first: int = 0

    def feed(self, token: str) -> None:
        if token.startswith(OPENING):
            self.abandon(f"{token!r} opens another phrase")
            self.header, self.first = token.rstrip("]"), len(self.words)
            if token.endswith("]"):
                self.close()
        elif self.header is not None and token.endswith("]"):
            self.add_word(token[:-1])
            self.close()
        else:
            self.add_word(token)

    def add_word(self, word: str) -> None:
        if not word:
            self.spot.change(
                "bracket alone",
                "a ']' stands alone; expected it glued to the last word of the phrase.",
                "The phrase was closed after the word before it; nothing needs doing.",
            )
            return
        if "[" in word or "]" in word:
            self.spot.change(
                "bracket in a word",
                f"the word {word!r} holds a bracket that opens or closes no phrase.",
                "It was kept as an ordinary word; if markup was meant, put spaces around it.",
            )
        self.words.append(word)

    def abandon(self, why: str) -> None:
        if self.header is not None:
            self.spot.skip(
                "unclosed phrase",
                f"the phrase {self.header!r} is still open where {why}; expected a token ending in ']' "
                "before.",
                "Its words are kept without the phrase; add the bracket.",
            )
        self.header = None

    def close(self) -> None:
        header, self.header = self.header or "", None
        chain, types = _read_header(header)
        unknown = [kind for kind in types if kind not in TYPES]
        found = (
            "its header has another form"
            if not chain
            else "it has no words"
            if len(self.words) == self.first
            else "it has no entity type"
            if not types
            else f"its type {unknown[0]!r} is unknown"
            if unknown
            else ""
        )
        if not found:
            self.phrases.append(Phrase(self.first, len(self.words) - 1, chain, types))
            return
        self.spot.skip(
            "unreadable phrase",
            f"the phrase {header!r} is not understood: {found}; expected [/EN#<digits>/<type>, words, ], "
            "where the type "
            f"is one of {', '.join(TYPES)}.",
            "Its words are kept without the phrase; correct the header.",
        )


def _read_header(header: str) -> tuple[str, tuple[str, ...]]:
    """Return chain and types; an unreadable header gives ("", ())."""
    match = HEADER.fullmatch(header)
    if match is None:
        return "", ()
    return match["chain"], tuple(match["types"].split("/")[1:])


def format_sentence(words: Sequence[str], phrases: Sequence[Phrase]) -> str:
    """Write a caption as a line of a sentence file: the inverse of `parse_sentence`.

    Raises
    ------
    ValueError
        When a word is empty or holds white space or a bracket, or phrases overlap, leave the caption, or lack
        a chain id in digits or a known type.
    """
    bad = [word for word in words if word.split() != [word] or "[" in word or "]" in word]
    if bad:
        raise ValueError(
            f"The word {bad[0]!r} cannot be written; expected words without spaces and brackets."
        )
    tokens, end = list(words), -1
    for phrase in sorted(phrases, key=lambda phrase: phrase.first):
        if not end < phrase.first <= phrase.last < len(words):
            raise ValueError(
                f"{phrase} overlaps another phrase or leaves the {len(words)} words of the caption."
            )
        header = "/".join((OPENING + phrase.chain, *phrase.types))
        if HEADER.fullmatch(header) is None or not phrase.types or not set(phrase.types) <= set(TYPES):
            raise ValueError(f"{phrase}: expected a chain id in digits and types among {', '.join(TYPES)}.")
        tokens[phrase.first] = f"{header} {tokens[phrase.first]}"
        tokens[phrase.last] += "]"
        end = phrase.last
    return " ".join(tokens)
