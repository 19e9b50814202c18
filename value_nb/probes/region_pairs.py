"""Which pairs of regions are asked about, with which caption: drawn over a whole data set at once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from value_nb import seeds
from value_nb.data.matching import iou
from value_nb.probes.geometry import aspect, distance_bin
from value_nb.probes.lemma import lemma

if TYPE_CHECKING:
    from value_nb.data.example import Example, Regions

RELATED, UNRELATED = "related", "not related"
MENTIONED, SILENT = "pair mentioned", "pair not mentioned"
OVERLAP = 0.5
"""Regions with this IoU or more may show one thing, annotated twice."""

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Asked:
    """A pair of regions that an example is asked about.

    Attributes
    ----------
    subject, object
        Regions of the example's picture.
    label
        The answer.
    subset
        Whether the example's caption names both.
    """

    subject: int
    object: int
    label: str
    subset: str


Plan = dict[str, tuple[Asked, ...]]
"""Example id -> what it is asked."""


@dataclass(slots=True)
class Picture:
    """What is known of a picture, and which of its regions each of its captions names."""

    id: str
    split: str
    regions: Regions
    ratio: float
    predicates: dict[Pair, set[str]]
    captions: list[tuple[str, frozenset[int]]] = field(default_factory=list)

    def classes(self, pair: Pair) -> tuple[str, str]:
        """Class names of subject and object."""
        return self.regions.names[pair[0]], self.regions.names[pair[1]]

    def tellings(self, pair: Pair, seed: int) -> Iterator[tuple[str, str]]:
        """(example id, subset): one caption that names both and one that does not, where there are any."""
        for subset in (MENTIONED, SILENT):
            fit = [name for name, named in self.captions if (named >= set(pair)) == (subset == MENTIONED)]
            if fit:
                draw = float(seeds.uniforms(f"{self.id}/{pair}/{subset}", seed, 1, purpose="caption")[0])
                yield sorted(fit)[int(draw * len(fit))], subset

    def unrelated(self, wanted: frozenset[tuple[str, str]]) -> Iterator[Pair]:
        """Annotated pairs of the wanted classes without a relation, in either direction.

        A pair whose regions overlap those of a related pair is left out: it may be the same, drawn twice.
        """
        names, boxes = self.regions.names, self.regions.boxes
        there = [k for k, source in enumerate(self.regions.sources) if source == "annotated" and names[k]]
        candidates = [(a, b) for a in there for b in there if a != b and (names[a], names[b]) in wanted]
        related = {pair for one in self.predicates for pair in (one, one[::-1])}
        alike = iou(boxes, boxes) >= OVERLAP
        for a, b in candidates:
            if (a, b) not in related and not any(alike[a, c] and alike[b, d] for c, d in related):
                yield a, b


def gather(examples: Iterable[Example]) -> list[Picture]:
    """The pictures of examples (features are not looked at), in order of their ids.

    Raises
    ------
    ValueError
        When a picture comes in two splits.
    """
    pictures: dict[str, Picture] = {}
    for example in examples:
        if example.regions is None:
            continue
        if example.image_id not in pictures:
            pictures[example.image_id] = _picture(example, example.regions)
        picture = pictures[example.image_id]
        if picture.split != example.split:
            raise ValueError(
                f"image {example.image_id!r} is in {picture.split!r} and {example.split!r}; a picture may "
                "be in one split alone"
            )
        picture.captions.append((example.id, mentioned(example)))
    return [pictures[name] for name in sorted(pictures)]


def mentioned(example: Example) -> frozenset[int]:
    """Regions of which the caption has a name: its last word, in singular or plural.

    All names that the data set gives an object count (`extra["objects"]` of Visual Genome). A word of
    another level ("vehicle" for a tractor) is no name.
    """
    if example.regions is None:
        return frozenset()
    said = {lemma(word) for word in example.words}
    names = defaultdict(set, {k: {name} for k, name in enumerate(example.regions.names)})
    for _, more, region in example.extra.get("objects", ()):
        names[region] |= set(more)
    return frozenset(
        region
        for region, mine in names.items()
        if region >= 0 and any(name.split() and lemma(name.split()[-1]) in said for name in mine)
    )


def plan_relations(pictures: Sequence[Picture], edges: tuple[float, ...], seed: int) -> Plan:
    """Related pairs, and as many unrelated ones of the same kind: what VRI asks.

    Kind: split, class pair (subject, object), distance bin, and whether the caption names both. Of each kind
    the same number of either answer is drawn, so none of these tells the answer: their majority is right for
    exactly one half.

    Parameters
    ----------
    pictures
        From `gather`.
    edges
        Of the distance bins, see `distance_bin`.
    seed
        Of what is drawn.
    """
    plan: dict[str, list[Asked]] = defaultdict(list)
    for duo in _duos(pictures, edges, seed):
        for draw in duo:
            plan[draw.example].append(draw.asked)
    return {example: tuple(asked) for example, asked in plan.items()}


def dense_examples(
    pictures: Sequence[Picture], edges: tuple[float, ...], seed: int, limits: Mapping[str, int]
) -> frozenset[str]:
    """Ids of few examples of which VRI asks many pairs: whole matches, drawn by the seed.

    A match is a related pair and its unrelated partner of the same kind, each asked of one example. Of each
    split matches are taken in an order drawn by the seed, as long as their examples fit into its limit. The
    first examples of a data set would hold few matches: their number grows with the square of how many
    pictures there are.

    Parameters
    ----------
    pictures, edges, seed
        As in `plan_relations`.
    limits
        Split -> at most so many examples; a split that is not named has none.
    """
    chosen: dict[str, set[str]] = {split: set() for split in limits}
    for related, partner in sorted(
        _duos(pictures, edges, seed), key=lambda duo: (duo[0].order, duo[0].example)
    ):
        split = related.kind[0]
        grown = chosen.get(split, set()) | {related.example, partner.example}
        if split in chosen and len(grown) <= limits[split]:
            chosen[split] = grown
    return frozenset().union(*chosen.values())


def plan_predicates(pictures: Sequence[Picture], k: int, seed: int) -> tuple[Plan, tuple[str, ...]]:
    """Related pairs with one of the `k` most frequent predicates of training: what VRC asks.

    Pairs with several predicates have no one answer and are left out. Of equally frequent predicates the
    first in order of the alphabet is taken.

    Returns
    -------
    (plan, the predicates, most frequent first).
    """
    single = [
        (picture, pair, next(iter(found)))
        for picture in pictures
        for pair, found in picture.predicates.items()
        if len(found) == 1
    ]
    counts = Counter(predicate for picture, _, predicate in single if picture.split == "train")
    chosen = tuple(sorted(counts, key=lambda predicate: (-counts[predicate], predicate))[:k])
    plan: dict[str, list[Asked]] = defaultdict(list)
    for picture, pair, predicate in single:
        if predicate in chosen:
            for example, subset in picture.tellings(pair, seed):
                plan[example].append(Asked(*pair, predicate, subset))
    return {example: tuple(asked) for example, asked in plan.items()}, chosen


@dataclass(frozen=True, slots=True)
class _Draw:
    """A candidate: its kind, its place in the drawing, and what would be asked of which example."""

    kind: tuple[str, ...]
    order: float
    example: str
    asked: Asked


def _duos(pictures: Sequence[Picture], edges: tuple[float, ...], seed: int) -> Iterator[tuple[_Draw, _Draw]]:
    """Related pairs with an unrelated partner of the same kind each; no pair has two partners."""
    kinds: dict[tuple[str, ...], tuple[list[_Draw], list[_Draw]]] = defaultdict(lambda: ([], []))
    for place, pairs in _places(pictures, edges).items():
        for picture, pair, label in pairs:
            for draw in _draws(picture, pair, label, place, seed):
                kinds[draw.kind][label == UNRELATED].append(draw)
    for both in kinds.values():
        ordered = (sorted(draws, key=lambda one: (one.order, one.example)) for draws in both)
        yield from zip(*ordered, strict=False)


def _places(
    pictures: Sequence[Picture], edges: tuple[float, ...]
) -> dict[tuple[str, ...], list[tuple[Picture, Pair, str]]]:
    """(split, classes, distance bin) -> its pairs, where there are some with either answer."""
    wanted: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for picture in pictures:
        wanted[picture.split] |= {picture.classes(p) for p in picture.predicates if all(picture.classes(p))}
    found: dict[tuple[str, ...], list[tuple[Picture, Pair, str]]] = defaultdict(list)
    for picture in pictures:
        classes = frozenset(wanted[picture.split])
        related = [pair for pair in picture.predicates if picture.classes(pair) in classes]
        for label, pairs in ((RELATED, related), (UNRELATED, [*picture.unrelated(classes)])):
            for pair in pairs:
                where = str(distance_bin(picture.regions.boxes, *pair, picture.ratio, edges))
                found[picture.split, *picture.classes(pair), where].append((picture, pair, label))
    return {place: pairs for place, pairs in found.items() if len({label for *_, label in pairs}) == 2}


def _draws(picture: Picture, pair: Pair, label: str, kind: tuple[str, ...], seed: int) -> Iterator[_Draw]:
    for example, subset in picture.tellings(pair, seed):
        order = float(seeds.uniforms(f"{example}/{pair}", seed, 1, purpose="relations")[0])
        yield _Draw((*kind, subset), order, example, Asked(*pair, label, subset))


def _picture(example: Example, regions: Regions) -> Picture:
    predicates: dict[Pair, set[str]] = defaultdict(set)
    for relation in example.relations:
        predicates[relation.subject, relation.object].add(relation.predicate)
    boxes = np.array(regions.boxes, dtype=np.float64)
    light = type(regions)(boxes, None, regions.names, regions.sources)
    return Picture(example.image_id, example.split, light, aspect(example.size), dict(predicates))
