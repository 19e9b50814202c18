"""Constituency trees of captions, with the noun phrases that refer to things marked in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

PLACE = "place"
UNSEEN = "unseen"


@dataclass(frozen=True)
class Leaf:
    """One word and its part of speech (Penn tags)."""

    word: str
    tag: str


@dataclass(frozen=True)
class Node:
    """A constituent. `ref` marks a base noun phrase: ids of things, `PLACE`, or `UNSEEN`."""

    label: str
    children: tuple[Node | Leaf, ...]
    ref: tuple[int, ...] | str | None = None

    def leaves(self) -> Iterator[Leaf]:
        """The words from left to right."""
        for child in self.children:
            if isinstance(child, Leaf):
                yield child
            else:
                yield from child.leaves()

    def words(self) -> list[str]:
        """The words as strings."""
        return [leaf.word for leaf in self.leaves()]

    def depth(self) -> int:
        """Nodes on the longest way from here to a word, this one included."""
        return 1 + max((c.depth() if isinstance(c, Node) else 0) for c in self.children)

    def nodes(self, start: int = 0) -> Iterator[tuple[Node, int, int]]:
        """Every node with the span (first, last) of its words."""
        at = start
        for child in self.children:
            if isinstance(child, Node):
                yield from child.nodes(at)
                at += sum(1 for _ in child.leaves())
            else:
                at += 1
        yield self, start, at - 1


def node(label: str, *children: Node | Leaf | None, ref: tuple[int, ...] | str | None = None) -> Node:
    """A node of the children that are there; None stands for an optional child left out."""
    return Node(label, tuple(c for c in children if c is not None), ref)


@dataclass(frozen=True)
class Mention:
    """What one noun phrase claims: a thing of this class, colour and size, so many of them."""

    cls: str
    ids: tuple[int, ...]
    colour: str | None = None
    size: str | None = None


@dataclass(frozen=True)
class Sentence:
    """A caption with gold syntax and gold reference.

    Attributes
    ----------
    tree
        Root S (or NP for a fragment).
    mentions
        Claims about single things; `cls` may be a hypernym ("animal").
    claims
        (subject ids, predicate, object ids).
    place
        The ground it names, None where it names none.
    tense, subject_plural, object_plural
        Of the main clause; None where it has none.
    """

    tree: Node
    mentions: tuple[Mention, ...]
    claims: tuple[tuple[tuple[int, ...], str, tuple[int, ...]], ...]
    place: str | None = None
    tense: str | None = None
    subject_plural: bool | None = None
    object_plural: bool | None = None
    extra: dict[str, object] = field(default_factory=dict, compare=False, hash=False)

    @property
    def words(self) -> list[str]:
        """The words, the first one capitalised, punctuation as words of their own."""
        words = self.tree.words()
        return [words[0][0].upper() + words[0][1:], *words[1:]]
