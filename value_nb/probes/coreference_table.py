"""The mentions of a data set and what each looks at in every head, in an order of their own.

Mentions are many and heads are too, so nothing here is made for all of both at once: `blocks` of pictures are
gone through one after the other.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from operator import itemgetter

import numpy as np

from value_nb import seeds
from value_nb.probes.coreference_looks import Gathered, Key
from value_nb.probes.coreference_statistics import ImageHits, image_hits
from value_nb.probes.mentions import DIRECTIONS, Mention

ALL = "all"
PICTURES = 256  # of a block


def parts(images: np.ndarray, splits: np.ndarray, choose_on: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Which mentions choose the heads and which score them; no picture does both.

    Parameters
    ----------
    images, splits
        `(mention,)` str.
    choose_on
        The split that chooses, where there are others: then "test" scores, or, where it is not there, all
        others do. Where there is one split alone, half of its pictures choose, drawn by their id; of two
        pictures or more, at least one does either.
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
    drawn = {i: float(seeds.uniforms(i, seed, 1, purpose="head choice")[0]) for i in set(images.tolist())}
    half = {image: number < 0.5 for image, number in drawn.items()}
    if len(drawn) > 1 and len(set(half.values())) == 1:
        nearest = min(drawn, key=lambda image: abs(drawn[image] - 0.5))
        half[nearest] = not half[nearest]
    choosing = np.array([half[image] for image in images.tolist()], dtype=bool)
    return choosing, ~choosing


@dataclass(frozen=True)
class Table:
    """Mentions and, by direction, what they look at in all heads of all layers.

    Attributes
    ----------
    mentions
        In the order of pictures, captions and phrases.
    rows
        `(mention,)`: row of each in `gathered`.
    gathered
        What each mention looks at.
    """

    mentions: tuple[Mention, ...]
    rows: np.ndarray
    gathered: Gathered

    @classmethod
    def of(cls, listed: Sequence[Mention], gathered: Gathered) -> Table:
        """Bring what batches have left in order."""
        names = [(m.image_id, m.example_id, m.number) for m in listed]
        order = sorted(range(len(listed)), key=names.__getitem__)
        return cls(tuple(listed[i] for i in order), np.array(order, dtype=np.intp), gathered)

    def take(self, chosen: np.ndarray) -> Table:
        """The mentions of some of the pictures; `chosen` is `(mention,)` bool."""
        mentions = tuple(m for m, keep in zip(self.mentions, chosen, strict=True) if keep)
        return Table(mentions, self.rows[chosen], self.gathered)

    @cached_property
    def images(self) -> np.ndarray:
        """`(mention,)` str."""
        return np.array([m.image_id for m in self.mentions], dtype=str)

    @cached_property
    def splits(self) -> np.ndarray:
        """`(mention,)` str."""
        return np.array([m.split for m in self.mentions], dtype=str)

    @cached_property
    def split(self) -> str:
        """The split; several are joined by "+"."""
        return "+".join(sorted(set(self.splits.tolist())))

    @cached_property
    def groups(self) -> dict[str, np.ndarray]:
        """Entity type, and "all" -> `(mention,)` bool."""
        types = sorted({t for m in self.mentions for t in m.types})
        groups = {t: np.array([t in m.types for m in self.mentions], dtype=bool) for t in types}
        return {ALL: np.ones(len(self.mentions), dtype=bool)} | groups

    @cached_property
    def places(self) -> dict[str, list[tuple[str, int, int]]]:
        """Direction -> (stack, layer, head) of each column."""
        return {
            direction: [(*key[1], head) for key in keys for head in range(self.gathered.heads(key))]
            for direction, keys in self._keys.items()
        }

    @cached_property
    def _keys(self) -> dict[str, list[Key]]:
        found = {direction: self.gathered.keys(direction) for direction in DIRECTIONS}
        return {direction: keys for direction, keys in found.items() if keys}

    def blocks(self, where: np.ndarray) -> Iterator[np.ndarray]:
        """Indices of the mentions that are chosen by `(mention,)` bool, some pictures at a time."""
        for start in range(0, len(self._pictures), PICTURES):
            first, last = self._pictures[start][0], self._pictures[start : start + PICTURES][-1][1]
            chosen = first + np.flatnonzero(where[first:last])
            if len(chosen):
                yield chosen

    @cached_property
    def _pictures(self) -> list[tuple[int, int]]:
        """First mention of each picture, and the first one of the next."""
        starts = np.flatnonzero(self.images[1:] != self.images[:-1]) + 1
        return [*pairwise([0, *starts.tolist(), len(self.mentions)])] if self.mentions else []

    def top(self, direction: str, block: np.ndarray) -> np.ndarray:
        """`(mention, head)` int16: the region with the largest weight."""
        return self.gathered.top(self._keys[direction], self.rows[block])

    def weights(self, direction: str, block: np.ndarray) -> np.ndarray:
        """`(mention, head, 2)` float32: mean weights of linked and of unlinked regions."""
        return self.gathered.weights(self._keys[direction], self.rows[block])

    def hits(self, direction: str, block: np.ndarray, part: str = "hits") -> np.ndarray:
        """`(mention, head)` bool: the region looked at most is one of the mention's "hits" or "linked"."""
        listed = [self.mentions[i] for i in block]
        member = np.zeros((len(block), max(mention.regions for mention in listed)), dtype=bool)
        for row, mention in enumerate(listed):
            member[row, list(getattr(mention, part))] = True
        return np.take_along_axis(member, self.top(direction, block).astype(np.int64), axis=1)

    def by_image(self, direction: str, where: np.ndarray) -> Iterator[ImageHits]:
        """Hits of each picture's chains on each other's regions, of some of the mentions."""
        for block in self.blocks(where):
            top = self.top(direction, block).astype(np.int64)
            cuts = np.flatnonzero(self.images[block][1:] != self.images[block][:-1]) + 1
            for rows, mine in zip(np.split(block, cuts), np.split(top, cuts), strict=True):
                yield self._image(rows, mine)

    def _image(self, rows: np.ndarray, top: np.ndarray) -> ImageHits:
        image = self.mentions[rows[0]].image_id
        chains, sets = self._sets(int(rows[0]))
        chain = np.array([chains.index(self.mentions[i].chain) for i in rows])
        return image_hits(image, top, chain, sets)

    def _sets(self, mention: int) -> tuple[list[str], np.ndarray]:
        """The chains of a mention's picture, and `(chain, region)` bool: what is a hit for each."""
        first, last = self._pictures[bisect_right(self._pictures, mention, key=itemgetter(0)) - 1]
        hits: dict[str, set[int]] = {}
        for one in self.mentions[first:last]:
            hits.setdefault(one.chain, set()).update(one.hits)
        names = sorted(hits)
        sets = np.zeros((len(names), self.mentions[mention].regions), dtype=bool)
        for row, name in enumerate(names):
            sets[row, sorted(hits[name])] = True
        return names, sets
