"""Pairs of phrase and region that belong together, and the same with the regions changed over.

A square is made of two chains of one caption: (p1, r1) and (p2, r2) belong together, (p1, r2) and (p2, r1)
do not. Each phrase and each region occurs once in either answer, so neither tells the answer by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from value_nb import seeds
from value_nb.data.matching import iou

if TYPE_CHECKING:
    from value_nb.data.example import Example, Phrase

OVERLAP = 0.5
"""A region with this IoU or more to a region of the phrase's chain is neither linked to it nor unlinked."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A chain of a caption: its first phrase with a region, one region of that phrase, and all it shows.

    Attributes
    ----------
    phrase
        First linked phrase of the chain in the caption.
    region
        One of the phrase's regions, drawn by the seed.
    gold
        Regions of all the chain's phrases in the caption.
    """

    phrase: Phrase
    region: int
    gold: tuple[int, ...]


def mentions(example: Example, seed: int) -> list[Mention]:
    """The linked chains of a caption, in an order drawn by the seed."""
    chains: dict[str, list[Phrase]] = {}
    for phrase in example.phrases:
        if phrase.regions:
            chains.setdefault(phrase.chain, []).append(phrase)
    drawn = []
    for chain, phrases in chains.items():
        order, which = seeds.uniforms(f"{example.id}/{chain}", seed, 2, purpose="squares").tolist()
        own = phrases[0].regions
        gold = sorted({region for phrase in phrases for region in phrase.regions})
        drawn.append((order, Mention(phrases[0], own[int(which * len(own))], tuple(gold))))
    return [mention for _, mention in sorted(drawn, key=lambda pair: pair[0])]


def squares(example: Example, seed: int, same_class: bool = False) -> list[tuple[Mention, Mention]]:
    """Pairs of chains that make a square; each chain is in one at most.

    Parameters
    ----------
    example
        With regions and linked phrases.
    seed
        Of the order in which chains find a partner, and of the region of a phrase that has several.
    same_class
        Take only pairs whose two regions have one class name.

    Returns
    -------
    A pair is taken when neither region overlaps a region of the other chain (see `OVERLAP`) and the phrases
    share no word.
    """
    if example.regions is None:
        return []
    names = example.regions.names
    free = mentions(example, seed)
    found = []
    for first, second in combinations(free, 2):
        if first not in free or second not in free:
            continue
        alike = names[first.region] == names[second.region] != ""
        if (alike or not same_class) and _apart(first, second, example):
            found.append((first, second))
            free = [mention for mention in free if mention not in (first, second)]
    return found


def pairs_of(square: tuple[Mention, Mention]) -> Iterator[tuple[Phrase, int, bool]]:
    """The four pairs of a square: phrase, region, whether they belong together."""
    first, second = square
    yield first.phrase, first.region, True
    yield second.phrase, second.region, True
    yield first.phrase, second.region, False
    yield second.phrase, first.region, False


def _apart(first: Mention, second: Mention, example: Example) -> bool:
    if set(first.phrase.words) & set(second.phrase.words) or example.regions is None:
        return False
    boxes = example.regions.boxes
    return all(
        float(iou(boxes[[one.region]], boxes[list(other.gold)]).max()) < OVERLAP
        for one, other in ((first, second), (second, first))
    )


SIDES: Mapping[str, str] = {"phrase": "text", "region": "image"}
"""Sides of a pair and their streams."""
