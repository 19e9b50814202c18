"""Mentions: linked phrases of a batch, their words and regions as positions, and attention between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from value_nb import seeds
from value_nb.data.example import Example, Phrase, Regions
from value_nb.data.matching import LINK_THRESHOLD, ROUNDING, iou
from value_nb.probes.coreference_statistics import region_ranks

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
    largest, central = _guesses(example.regions)
    for number, phrase in enumerate(example.phrases):
        linked, boxes = _links(example, number, seed)
        if not linked:
            continue
        overlap = iou(boxes, example.regions.boxes).max(axis=0, initial=0.0) >= LINK_THRESHOLD - ROUNDING
        others = tuple(r for r in np.flatnonzero(overlap).tolist() if r not in linked)
        hits = {*linked, *others}
        yield (
            phrase,
            Mention(
                example.image_id, example.split, example.id, number, phrase.chain, phrase.types, linked,
                others, len(example.regions), largest in hits, central in hits,
            ),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Placed:
    """The mentions of a batch as positions.

    Attributes
    ----------
    mentions
        One for each row below.
    example, slot
        `(mention,)` int64: row of the batch, and which of that row's mentions: 0, 1, ...
    words
        `(mention, text position)` float32: 1 on the phrase's words; `word_shares` adds up to 1, over the
        pieces of a word and then over words.
    regions
        `(example, image position, region)` float32: 1 on the region, for a patch the share of it that lies
        in the region; `region_shares` adds up to 1 over its positions.
    linked, unlinked, valid
        `(mention, region)` bool.
    rank
        `(mention, region)` int64: a shuffled order of the regions.
    """

    mentions: tuple[Mention, ...]
    example: np.ndarray
    slot: np.ndarray
    words: np.ndarray
    word_shares: np.ndarray
    regions: np.ndarray
    region_shares: np.ndarray
    linked: np.ndarray
    unlinked: np.ndarray
    valid: np.ndarray
    rank: np.ndarray


def place(layout: Layout, seed: int) -> Placed | None:
    """Find the mentions of a batch; None when there are none.

    A mention is left out when a word of it has no position, because its caption was cut.
    """
    found = [
        (row, phrase, mention)
        for row, example in enumerate(layout.examples)
        for phrase, mention in mentions(example, seed)
    ]
    unit = layout.streams["text"].unit.cpu().numpy()
    kept = [item for item in found if set(item[1].words) <= set(unit[item[0]].tolist())]
    if not kept:
        return None
    rows, phrases, listed = zip(*kept, strict=True)
    example = np.array(rows, dtype=np.int64)
    first, last = (np.array([getattr(p, end) for p in phrases])[:, None] for end in ("first", "last"))
    of_word = unit[example]
    words = ((of_word >= first) & (of_word <= last)).astype(np.float32)
    pieces = (of_word[:, :, None] == of_word[:, None, :]).sum(axis=-1)
    regions = layout.streams["image"].membership(max(m.regions for m in listed)).cpu().numpy()
    valid = np.arange(regions.shape[2]) < np.array([m.regions for m in listed])[:, None]
    linked, hits = (_mask([getattr(m, part) for m in listed], valid.shape) for part in ("linked", "hits"))
    return Placed(
        mentions=tuple(listed),
        example=example,
        slot=np.arange(len(example)) - np.searchsorted(example, example),
        words=words,
        word_shares=(words / pieces / (last - first + 1)).astype(np.float32),
        regions=regions,
        region_shares=_by_region(regions),
        linked=linked,
        unlinked=valid & ~hits,
        valid=valid,
        rank=_ranks(listed, valid.shape, seed),
    )


def pooled(block: Tensor, placed: Placed, direction: str) -> np.ndarray:
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
    `(mention, head, region)` float32 between 0 and 1.
    """
    import torch

    def on(array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(block.device)

    # One product for all mentions of an example: a map is read where it lies, never copied for each mention.
    maps, heads = block.detach().float(), block.shape[1]
    if direction == "text->image":
        words = on(_by_example(placed, placed.word_shares, len(block)))  # (example, slot, text position)
        looked = (words[:, None] @ maps).flatten(1, 2) @ on(placed.regions)
        found = looked.unflatten(1, (heads, -1))
    else:
        words = on(_by_example(placed, placed.words, len(block)))
        given = (maps.flatten(1, 2) @ words.transpose(1, 2)).unflatten(1, (heads, -1))
        by_position = given.permute(0, 2, 1, 3).flatten(2)  # (example, image position, head and slot)
        pooled_ = on(placed.region_shares).transpose(1, 2) @ by_position
        found = pooled_.unflatten(2, (heads, -1)).permute(0, 2, 3, 1)
    return found.cpu().numpy()[placed.example, :, placed.slot]


def _by_example(placed: Placed, rows: np.ndarray, examples: int) -> np.ndarray:
    """`(mention, position)` -> `(example, slot, position)`, 0 where an example has fewer mentions."""
    spread = np.zeros((examples, int(placed.slot.max()) + 1, rows.shape[1]), dtype=rows.dtype)
    spread[placed.example, placed.slot] = rows
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


def _by_region(regions: np.ndarray) -> np.ndarray:
    """`(example, position, region)` shares that add up to 1 over the positions of a region."""
    whole = regions.sum(axis=1, keepdims=True)
    return np.divide(regions, whole, out=np.zeros_like(regions), where=whole > 0)


def _mask(members: Sequence[Sequence[int]], shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    for row, chosen in enumerate(members):
        mask[row, list(chosen)] = True
    return mask


def _ranks(listed: Sequence[Mention], shape: tuple[int, ...], seed: int) -> np.ndarray:
    ranks = np.zeros(shape, dtype=np.int64)
    for row, mention in enumerate(listed):
        ranks[row, : mention.regions] = region_ranks(mention.image_id, seed, mention.regions)
    return ranks
