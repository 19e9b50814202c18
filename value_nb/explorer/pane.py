"""One head on the example: what the explorer shows once, or twice where something is pinned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from value_nb.explorer.pinned import Pinned
from value_nb.explorer.selection import Partners, Selection
from value_nb.probes.mentions import mentions

if TYPE_CHECKING:
    from value_nb.data.example import Example


@dataclass(frozen=True, slots=True)
class Pane:
    """One head and what it does with the selection.

    Attributes
    ----------
    where
        Model, layer and head.
    title
        The same, and what is shown, in words.
    partners
        By kind, "word" and "region"; empty without a selection.
    cell
        Layer and heads that the map marks; None where the map is of another model or stack.
    specials
        [CLS], [SEP] and their like, for each stream; empty where they are not shown.
    """

    where: Pinned
    title: str
    partners: Mapping[str, Partners]
    cell: tuple[int, Sequence[int]] | None
    specials: tuple[Partners, ...] = ()


@dataclass(frozen=True, slots=True)
class Links:
    """What the annotation joins to the selection: indices of words and regions.

    `near` are regions that overlap a linked one by half or more (IoU): as good as a linked one in the probe.
    """

    words: frozenset[int] = frozenset()
    regions: frozenset[int] = frozenset()
    near: frozenset[int] = frozenset()


def links_of(example: Example, selection: Selection | None) -> Links:
    """The words and regions that share a phrase with the selection, itself left out."""
    if selection is None:
        return Links()
    word = selection.kind == "word"
    joined = [p for p in example.phrases if selection.index in (p.words if word else p.regions) and p.regions]
    words = {one for phrase in joined for one in phrase.words}
    regions = {one for phrase in joined for one in phrase.regions}
    (words if word else regions).discard(selection.index)
    found = mentions(example, 0) if word else ()
    near = {
        one for phrase, mention in found if selection.index in phrase.words for one in mention.overlapping
    }
    return Links(frozenset(words), frozenset(regions), frozenset(near))
