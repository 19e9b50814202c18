"""Phrases with the regions that show them: what is hidden, what is taken away, and what in its stead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from value_nb import seeds
from value_nb.ablation_questions import is_content
from value_nb.data.example import Example, Phrase, Regions
from value_nb.data.matching import LINK_THRESHOLD, ROUNDING, as_boxes, iou

OVERLAPS = ("target", "iou", "smaller")
SCORED = ("content", "all")


@dataclass(frozen=True, slots=True)
class Case:
    """One phrase of one caption.

    Attributes
    ----------
    example
        The caption and its picture as they are.
    words, scored
        Words of the phrase, which are masked together, and those of them whose loss counts.
    regions
        Regions that show it or overlap a box of it.
    target
        The one of them that covers its boxes best, which is predicted in turn.
    other_regions, other_words
        As many others, drawn.
    """

    example: Example
    words: tuple[int, ...]
    scored: tuple[int, ...]
    regions: tuple[int, ...]
    target: int
    other_regions: tuple[int, ...]
    other_words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Cases:
    """The phrases that are asked for, and how many were left out for want of others of their kind."""

    kept: tuple[Case, ...]
    left_out: int

    @property
    def images(self) -> np.ndarray:
        """`(case,)` image ids."""
        return np.array([case.example.image_id for case in self.kept], dtype=str)


def overlap(boxes: np.ndarray, regions: np.ndarray, kind: str) -> np.ndarray:
    """`(box, region)` overlap of a phrase's boxes with regions, in [0, 1].

    Parameters
    ----------
    kind
        The area of both together over: "target", the phrase's box; "iou", their union; "smaller", the
        smaller of the two.
    """
    if kind == "iou":
        return iou(boxes, regions)
    one, other = as_boxes(boxes), as_boxes(regions)
    low, high = (
        np.maximum(one[:, None, :2], other[None, :, :2]),
        np.minimum(one[:, None, 2:], other[None, :, 2:]),
    )
    both = np.clip(high - low, 0.0, None).prod(axis=2)
    area, areas = (np.clip(part[:, 2:] - part[:, :2], 0.0, None).prod(axis=1) for part in (one, other))
    over = area[:, None] if kind == "target" else np.minimum(area[:, None], areas[None, :])
    return np.divide(both, over, out=np.zeros_like(both), where=over > 0).clip(0.0, 1.0)


def find_cases(
    examples: Sequence[Example],
    *,
    threshold: float = LINK_THRESHOLD,
    kind: str = "target",
    scored: str = "content",
    per_caption: int | None = None,
    seed: int = 0,
) -> Cases:
    """Phrases that are linked to regions and have a content word.

    A phrase is left out when fewer other regions, or fewer other words, are there than would be taken away
    with it: every case is measured under every condition.

    Parameters
    ----------
    threshold, kind
        A region belongs to a phrase when it is linked to it, or its `overlap` with one of the phrase's boxes
        reaches the threshold.
    scored
        "content": the phrase's words without function words; "all" of them.
    per_caption
        At most so many phrases of a caption, drawn by its id; None: all.
    seed
        Of the others that are drawn.

    Raises
    ------
    ValueError
        For a threshold outside (0, 1], another kind, or another `scored`.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold={threshold}; expected a share above 0 and up to 1, 0.5 is usual")
    for name, given, known in (("overlap", kind, OVERLAPS), ("words", scored, SCORED)):
        if given not in known:
            raise ValueError(f"{name}={given!r}; expected one of {', '.join(map(repr, known))}")
    kept: list[Case] = []
    left_out = 0
    for example in examples:
        found = [*_of(example, threshold, kind, scored, seed)]
        whole = [case for case in found if case is not None]
        left_out += len(found) - len(whole)
        kept += _drawn(example, whole, per_caption, seed)
    kept.sort(key=lambda case: len(case.example.words))  # like lengths together: little padding
    return Cases(tuple(kept), left_out)


def without_regions(example: Example, gone: Sequence[int]) -> Example:
    """The example as if its picture never had these regions; links and relations, which count them, go."""
    regions = _of_picture(example)
    keep = [row for row in range(len(regions)) if row not in set(gone)]
    some = Regions(
        regions.boxes[keep],
        None if regions.features is None else regions.features[keep],
        tuple(regions.names[row] for row in keep),
        tuple(regions.sources[row] for row in keep),
        None if regions.confidence is None else regions.confidence[keep],
    )
    phrases = tuple(replace(phrase, regions=()) for phrase in example.phrases)
    return replace(example, regions=some, phrases=phrases, relations=())


def with_hidden_features(example: Example, hidden: Sequence[int]) -> Example:
    """The example with the features of these regions at zero, so that no mean over regions has them."""
    regions = _of_picture(example)
    if regions.features is None:
        raise ValueError(f"the regions of example {example.id!r} have no features: load the data with them")
    features = np.array(regions.features)
    features[list(hidden)] = 0
    return replace(example, regions=replace(regions, features=features))


def _of(example: Example, threshold: float, kind: str, scored: str, seed: int) -> Iterator[Case | None]:
    """The cases of an example; None for one that has too few others."""
    if example.regions is None:
        return
    for number, phrase in enumerate(example.phrases):
        content = tuple(i for i in phrase.words if is_content(example.words[i]))
        if not phrase.regions or not content:
            continue
        boxes = _boxes(example, phrase)
        near = overlap(boxes, example.regions.boxes, kind).max(axis=0, initial=0.0) >= threshold - ROUNDING
        regions = tuple(sorted({*phrase.regions, *np.flatnonzero(near).tolist()}))
        words = tuple(phrase.words)
        name = f"{example.id}/{number}"
        others = _others(len(example.regions), regions, f"{name}/regions", seed)
        elsewhere = [i for i, word in enumerate(example.words) if not any(map(str.isalnum, word))]
        other_words = _others(len(example.words), (*words, *elsewhere), f"{name}/words", seed, len(words))
        whole = len(others) == len(regions) and len(other_words) == len(words)
        fit = iou(boxes, example.regions.boxes).max(axis=0, initial=0.0)
        target = max(phrase.regions, key=lambda row: (fit[row], -row))
        yield (
            Case(
                example,
                words,
                content if scored == "content" else words,
                regions,
                target,
                others,
                other_words,
            )
            if whole
            else None
        )


def _boxes(example: Example, phrase: Phrase) -> np.ndarray:
    """The annotated boxes of a phrase, or those of its regions where the data have no others."""
    gold = example.extra.get("gold_boxes", {}).get(phrase.chain)
    return _of_picture(example).boxes[list(phrase.regions)] if gold is None else np.asarray(gold)


def _of_picture(example: Example) -> Regions:
    if example.regions is None:
        raise ValueError(f"example {example.id!r} has no picture")
    return example.regions


def _others(n: int, taken: Sequence[int], name: str, seed: int, many: int | None = None) -> tuple[int, ...]:
    """As many others as are taken (or `many`), drawn by name; fewer where there are not so many."""
    free = [row for row in range(n) if row not in set(taken)]
    order = seeds.uniforms(name, seed, len(free), purpose="others in its stead").argsort()
    return tuple(sorted(free[k] for k in order[: len(taken) if many is None else many]))


def _drawn(example: Example, cases: list[Case], most: int | None, seed: int) -> list[Case]:
    if most is None or len(cases) <= most:
        return cases
    order = seeds.uniforms(example.id, seed, len(cases), purpose="masked phrase").argsort()[:most]
    return [cases[k] for k in sorted(order)]
