"""The mentions of a data set and what each looks at in every head, in an order of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from value_nb import seeds
from value_nb.probes.coreference_statistics import ImageHits, image_hits, mean_weight, top_regions
from value_nb.probes.mentions import DIRECTIONS, Mention, Placed

ALL = "all"
Key = tuple[str, tuple[str, int]]
"""Direction and (stack, layer)."""


def parts(images: np.ndarray, splits: np.ndarray, choose_on: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Which mentions choose the heads and which score them; no picture does both.

    Parameters
    ----------
    images, splits
        `(mention,)` str.
    choose_on
        The split that chooses, where there are others: then "test" scores, or, where it is not there, all
        others do. Where there is one split alone, half of its pictures choose, drawn by their id.
    seed
        Seed of the halves.

    Returns
    -------
    Two `(mention,)` bool.
    """
    there = set(splits.tolist())
    if choose_on in there and len(there) > 1:
        rest = splits == "test" if "test" in there - {choose_on} else splits != choose_on
        return splits == choose_on, rest
    half = {image: seeds.uniforms(image, seed, 1, purpose="head choice")[0] < 0.5 for image in set(images)}
    choosing = np.array([half[image] for image in images.tolist()], dtype=bool)
    return choosing, ~choosing


@dataclass(frozen=True, slots=True)
class Looks:
    """What mentions look at in one layer and direction; `(mention, head)` each.

    Attributes
    ----------
    top
        The region with the largest weight.
    linked, unlinked
        Mean weights of linked and of unlinked regions, nan where there are none.
    """

    top: np.ndarray
    linked: np.ndarray
    unlinked: np.ndarray

    @classmethod
    def of(cls, weights: np.ndarray, placed: Placed) -> Looks:
        """Reduce the weights `(mention, head, region)` of a batch."""
        top = top_regions(weights, placed.rank, placed.valid).astype(np.int16)
        means = (mean_weight(weights, chosen) for chosen in (placed.linked, placed.unlinked))
        return cls(top, *(mean.astype(np.float32) for mean in means))

    @classmethod
    def joined(cls, parts: Sequence[Looks], order: Sequence[int]) -> Looks:
        """Several batches' as one, in the given order."""
        names = ("top", "linked", "unlinked")
        return cls(*(np.concatenate([getattr(p, f) for p in parts])[list(order)] for f in names))


@dataclass(frozen=True)
class Table:
    """Mentions and, by direction, what they look at in all heads of all layers.

    Attributes
    ----------
    mentions, images, splits
        `(mention,)`.
    places
        direction -> (stack, layer, head) of each column.
    top
        direction -> `(mention, head)` int16: the region with the largest weight.
    weights
        direction -> `(mention, head, 2)` float32: mean weights of linked and of unlinked regions.
    sets
        image -> its chains, and `(chain, region)` bool: the regions that are a hit for each.
    """

    mentions: tuple[Mention, ...]
    images: np.ndarray
    splits: np.ndarray
    places: dict[str, list[tuple[str, int, int]]]
    top: dict[str, np.ndarray]
    weights: dict[str, np.ndarray]
    sets: dict[str, tuple[list[str], np.ndarray]]

    @classmethod
    def of(cls, listed: Sequence[Mention], looks: Mapping[Key, Sequence[Looks]]) -> Table:
        """Bring together what batches have left, in the order of pictures, captions and phrases."""
        names = [(m.image_id, m.example_id, m.number) for m in listed]
        order = sorted(range(len(listed)), key=names.__getitem__)
        mentions = tuple(listed[i] for i in order)
        images, splits = (np.array([getattr(m, f) for m in mentions]) for f in ("image_id", "split"))
        table = cls(mentions, images, splits, {}, {}, {}, _sets(mentions))
        for direction in DIRECTIONS:
            keys = sorted(key for key in looks if key[0] == direction)
            if not keys:
                continue
            layers = [Looks.joined(looks[key], order) for key in keys]
            table.top[direction] = np.concatenate([layer.top for layer in layers], axis=1)
            means = [[getattr(layer, f) for layer in layers] for f in ("linked", "unlinked")]
            table.weights[direction] = np.stack([np.concatenate(m, axis=1) for m in means], axis=-1)
            heads = [layer.top.shape[1] for layer in layers]
            table.places[direction] = [(*k[1], h) for k, n in zip(keys, heads, strict=True) for h in range(n)]
        return table

    def take(self, chosen: np.ndarray) -> Table:
        """Some of the mentions."""
        mentions = tuple(m for m, keep in zip(self.mentions, chosen, strict=True) if keep)
        top, weights = ({d: a[chosen] for d, a in part.items()} for part in (self.top, self.weights))
        images, splits = self.images[chosen], self.splits[chosen]
        return Table(mentions, images, splits, self.places, top, weights, self.sets)

    @cached_property
    def groups(self) -> dict[str, np.ndarray]:
        """Entity type, and "all" -> `(mention,)` bool."""
        types = sorted({t for m in self.mentions for t in m.types})
        groups = {t: np.array([t in m.types for m in self.mentions], dtype=bool) for t in types}
        return {ALL: np.ones(len(self.mentions), dtype=bool)} | groups

    def hits(self, direction: str, part: str = "hits") -> np.ndarray:
        """`(mention, head)` bool: the region looked at most is one of the mention's "hits" or "linked"."""
        top = self.top[direction]
        member = np.zeros((len(top), int(max(m.regions for m in self.mentions))), dtype=bool)
        for row, mention in enumerate(self.mentions):
            member[row, list(getattr(mention, part))] = True
        return np.take_along_axis(member, top.astype(np.int64), axis=1)

    def by_image(self, direction: str, where: np.ndarray) -> list[ImageHits]:
        """Hits of each picture's chains on each other's regions, of some of the mentions."""
        rows = np.flatnonzero(where)
        if not len(rows):
            return []
        starts = np.flatnonzero(self.images[rows][1:] != self.images[rows][:-1]) + 1
        return [self._image(direction, mine) for mine in np.split(rows, starts)]

    def _image(self, direction: str, rows: np.ndarray) -> ImageHits:
        image = self.mentions[rows[0]].image_id
        chains, sets = self.sets[image]
        chain = np.array([chains.index(self.mentions[i].chain) for i in rows])
        return image_hits(image, self.top[direction][rows].astype(np.int64), chain, sets)


def _sets(mentions: Sequence[Mention]) -> dict[str, tuple[list[str], np.ndarray]]:
    hits: dict[str, dict[str, set[int]]] = {}
    sizes = {mention.image_id: mention.regions for mention in mentions}
    for mention in mentions:
        hits.setdefault(mention.image_id, {}).setdefault(mention.chain, set()).update(mention.hits)
    found = {}
    for image, chains in hits.items():
        names = sorted(chains)
        sets = np.zeros((len(names), sizes[image]), dtype=bool)
        for row, name in enumerate(names):
            sets[row, sorted(chains[name])] = True
        found[image] = (names, sets)
    return found
