"""Mentions: linked phrases of a batch, their words and regions as positions, and attention between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from value_nb import seeds
from value_nb.data.example import Example, Phrase, Regions
from value_nb.data.matching import LINK_THRESHOLD, ROUNDING, iou
from value_nb.probes.coreference_statistics import averaging, region_ranks

if TYPE_CHECKING:
    from torch import Tensor

    from value_nb.layout import Layout

DIRECTIONS = ("image->text", "text->image")


@dataclass(frozen=True, slots=True)
class Mention:
    """A phrase that regions show.

    Attributes
    ----------
    image_id, split, example_id, number
        Where: the picture, its split, the caption, and which of its phrases.
    chain, types
        Coreference chain and entity types.
    linked
        Regions that show it.
    overlapping
        Other regions that overlap one of its gold boxes with an IoU of at least 0.5: neither linked nor
        unlinked, and a hit when they are looked at most.
    regions
        How many regions the picture has.
    largest, central
        Whether the largest region, and the one nearest to the middle, would be a hit.
    """

    image_id: str
    split: str
    example_id: str
    number: int
    chain: str
    types: tuple[str, ...]
    linked: tuple[int, ...]
    overlapping: tuple[int, ...]
    regions: int
    largest: bool
    central: bool

    @property
    def hits(self) -> tuple[int, ...]:
        """The regions that are a hit."""
        return (*self.linked, *self.overlapping)


def mentions(example: Example, seed: int) -> Iterator[tuple[Phrase, Mention]]:
    """The linked phrases of an example.

    In a mismatched pair each chain is given regions at random, as many as it has in its own picture, among
    the annotated ones of the other; the same in all captions of the picture.

    Parameters
    ----------
    seed
        Seed of the links that are drawn.
    """
    if example.regions is None or not len(example.regions):
        return
    found = [(n, *links) for n in range(len(example.phrases)) if (links := _links(example, n, seed))[0]]
    if not found:
        return
    largest, central = _guesses(example.regions)
    overlaps = iou(np.concatenate([boxes for *_, boxes in found]), example.regions.boxes)
    near = overlaps >= LINK_THRESHOLD - ROUNDING  # (gold box of any phrase, region)
    ends = np.cumsum([len(boxes) for *_, boxes in found])
    for (number, linked, boxes), end in zip(found, ends, strict=True):
        overlap = near[end - len(boxes) : end].any(axis=0)
        others = tuple(r for r in np.flatnonzero(overlap).tolist() if r not in linked)
        hits = {*linked, *others}
        phrase = example.phrases[number]
        yield (
            phrase,
            Mention(
                example.image_id, example.split, example.id, number, phrase.chain, phrase.types, linked,
                others, len(example.regions), largest in hits, central in hits,
            ),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Placed:
    """The mentions of a batch as positions, on the device of its layout.

    Attributes
    ----------
    mentions
        One for each row of `averaging`, `valid` and `rank`.
    example, slot
        `(mention,)` int64: row of the batch, and which of that row's mentions: 0, 1, ...
    words
        `(example, slot, text position)` float32: 1 on the phrase's words; `word_shares` adds up to 1, over
        the pieces of a word and then over words. 0 where an example has fewer mentions.
    regions
        `(example, image position, region)` float32: 1 on the region, for a patch the share of it that lies
        in the region; `region_shares` adds up to 1 over its positions.
    averaging
        `(mention, region, 2)` float64: turns weights into means of linked and of unlinked regions
        (`coreference_statistics.averaging`).
    valid
        `(mention, region)` bool: there is such a region.
    rank
        `(mention, region)` int64: a shuffled order of the regions.
    """

    mentions: tuple[Mention, ...]
    example: Tensor
    slot: Tensor
    words: Tensor
    word_shares: Tensor
    regions: Tensor
    region_shares: Tensor
    averaging: Tensor
    valid: Tensor
    rank: Tensor


def place(layout: Layout, seed: int) -> Placed | None:
    """Find the mentions of a batch; None when there are none.

    A mention is left out when a word of it has no position, because its caption was cut.
    """
    import torch

    found = [
        (row, phrase, mention)
        for row, example in enumerate(layout.examples)
        for phrase, mention in mentions(example, seed)
    ]
    unit = layout.streams["text"].unit.cpu().numpy()
    placed = [set(row.tolist()) for row in unit]
    kept = [item for item in found if set(item[1].words) <= placed[item[0]]]
    if not kept:
        return None
    rows, phrases, listed = zip(*kept, strict=True)
    example = np.array(rows, dtype=np.int64)
    slot = np.arange(len(example)) - np.searchsorted(example, example)
    first, last = (np.array([getattr(p, end) for p in phrases])[:, None] for end in ("first", "last"))
    of_word = unit[example]
    words = ((of_word >= first) & (of_word <= last)).astype(np.float32)
    pieces = (of_word[:, :, None] == of_word[:, None, :]).sum(axis=-1)
    shares = (words / pieces / (last - first + 1)).astype(np.float32)
    regions = layout.streams["image"].membership(max(m.regions for m in listed))
    valid = np.arange(regions.shape[2]) < np.array([m.regions for m in listed])[:, None]
    linked, hits = (_mask([getattr(m, part) for m in listed], valid.shape) for part in ("linked", "hits"))

    def there(array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(regions.device)

    return Placed(
        mentions=tuple(listed),
        example=there(example),
        slot=there(slot),
        words=there(_by_example(words, example, slot, len(unit))),
        word_shares=there(_by_example(shares, example, slot, len(unit))),
        regions=regions,
        region_shares=_by_region(regions),
        averaging=averaging(there(np.stack([linked, valid & ~hits], axis=-1))),
        valid=there(valid),
        rank=there(_ranks(listed, valid.shape, seed)),
    )


def pooled(block: Tensor, placed: Placed, direction: str) -> Tensor:
    """Attention between phrases and regions: sum over what is looked at, mean over what looks.

    Where positions are patches, both go by the share of the patch that lies in the region.

    Parameters
    ----------
    block
        `(example, head, query, key)` of one of `DIRECTIONS`.
    placed
        The mentions of the batch.
    direction
        "text->image": what the phrase gives to each region. "image->text": what each region gives to it.

    Returns
    -------
    `(mention, head, region)` float32 between 0 and 1, on the block's device.
    """
    # One product for all mentions of an example: a map is read where it lies, never copied for each mention.
    maps, heads = block.detach().float(), block.shape[1]
    if direction == "text->image":
        looked = (placed.word_shares[:, None] @ maps).flatten(1, 2) @ placed.regions
        found = looked.unflatten(1, (heads, -1))
    else:
        given = (maps.flatten(1, 2) @ placed.words.transpose(1, 2)).unflatten(1, (heads, -1))
        by_position = given.permute(0, 2, 1, 3).flatten(2)  # (example, image position, head and slot)
        pooled_ = placed.region_shares.transpose(1, 2) @ by_position
        found = pooled_.unflatten(2, (heads, -1)).permute(0, 2, 3, 1)
    return found[placed.example, :, placed.slot]


def _by_example(rows: np.ndarray, example: np.ndarray, slot: np.ndarray, examples: int) -> np.ndarray:
    """`(mention, position)` -> `(example, slot, position)`, 0 where an example has fewer mentions."""
    spread = np.zeros((examples, int(slot.max()) + 1, rows.shape[1]), dtype=rows.dtype)
    spread[example, slot] = rows
    return spread


def _links(example: Example, number: int, seed: int) -> tuple[tuple[int, ...], np.ndarray]:
    """The regions of a phrase and its boxes `(box, 4)`: gold ones, or drawn in a mismatched pair."""
    phrase, regions = example.phrases[number], example.regions
    if regions is None:
        raise ValueError(f"example {example.id!r} has no regions")
    if "matched" not in example.extra:
        linked = tuple(sorted(phrase.regions))
        gold = example.extra.get("gold_boxes", {}).get(phrase.chain)
        return linked, regions.boxes[list(linked)] if gold is None else np.asarray(gold)
    wanted = len(example.extra["matched"].phrases[number].regions)
    there = [r for r, source in enumerate(regions.sources) if source == "annotated"] or [*range(len(regions))]
    name = f"{example.image_id}/{phrase.chain}"
    drawn = seeds.uniforms(name, seed, len(there), purpose="drawn links").argsort()[:wanted]
    linked = tuple(sorted(there[k] for k in drawn))
    return linked, regions.boxes[list(linked)]


def _guesses(regions: Regions) -> tuple[int, int]:
    """The largest region, and the one whose middle is nearest to the middle of the picture."""
    boxes = np.asarray(regions.boxes, dtype=np.float64)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    return int(area.argmax()), int(((middle - 0.5) ** 2).sum(axis=1).argmin())


def _by_region(regions: Tensor) -> Tensor:
    """`(example, position, region)` shares that add up to 1 over the positions of a region."""
    whole = regions.sum(dim=1, keepdim=True)
    return regions / whole.where(whole > 0, 1.0)


def _mask(members: Sequence[Sequence[int]], shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    for row, chosen in enumerate(members):
        mask[row, list(chosen)] = True
    return mask


def _ranks(listed: Sequence[Mention], shape: tuple[int, ...], seed: int) -> np.ndarray:
    pictures = {(m.image_id, m.regions) for m in listed}
    known = {picture: region_ranks(picture[0], seed, picture[1]) for picture in pictures}
    ranks = np.zeros(shape, dtype=np.int64)
    for row, mention in enumerate(listed):
        ranks[row, : mention.regions] = known[mention.image_id, mention.regions]
    return ranks
