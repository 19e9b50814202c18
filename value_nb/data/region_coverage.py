"""How many annotated boxes have a region with features: per entity type, predicate, and size of the box.

Detectors miss small things, so linking annotated boxes to detected regions by their overlap loses body parts
more often than people. Whatever is measured on linked regions is measured on what is left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from value_nb.data.dataset import Dataset
from value_nb.data.example import Example
from value_nb.data.flickr30k_sentences import NOT_VISIBLE
from value_nb.data.splits import Splits

if TYPE_CHECKING:
    import pandas as pd

AREAS = (0.005, 0.02, 0.08, 0.32)
"""Areas, as shares of the picture, that part the sizes: each is four times the one before."""
PREDICATES = 20
OTHERS = "all others"
BOX_GROUPS, RELATION_GROUPS = ("all", "type", "area"), ("subject", "object", "relation")

Cell = tuple[str, str]
"""By what it is grouped, and the group."""
Counts = dict[Cell, dict[str, list[int]]]
"""Cell -> image id -> how many, and how many of them are matched."""


def region_coverage(
    dataset: Dataset | Splits, predicates: int = PREDICATES, areas: Sequence[float] = AREAS, seed: int = 0
) -> pd.DataFrame:
    """Share of annotated boxes that a region with features shows, and of relations that are left.

    A box is matched when the IoU of a region with it reaches the data set's threshold (see `match_boxes`).
    Boxes and relations are counted once for each picture, however many captions it has; features are not
    read. Share 1: none is lost. Groups whose shares differ much are not represented alike in any result.

    Parameters
    ----------
    dataset
        With region features: see `regions=` of `load_dataset`.
    predicates
        Predicates shown each for itself, the most frequent ones; the rest is "all others".
    areas
        Ascending shares of the picture's area, in (0, 1), that part small boxes from large ones.
    seed
        Of the intervals.

    Returns
    -------
    One row per group, with the columns by, group, n, matched, share = matched / n in [0, 1], lo and hi (95 %
    interval over pictures, nan below two of them), n_images, unit ("box" or "relation"), threshold, seed.
    The column `by` has: "all" (every annotated box); "type" (boxes by entity type: a box counts in every
    type that a loaded phrase of its chains has; boxes of no loaded phrase count in "all" alone); "subject"
    and "object" (the box at that side of every annotated relation, by predicate); "relation" (relations
    with both sides matched, by different regions, by predicate); "area" (boxes by their area as a share of
    the picture's, from the lower bound on to below the upper one).

    Raises
    ------
    ValueError
        When no region features were loaded with the data set, or an option is out of range.

    Examples
    --------
    >>> data = load_dataset("mini-flickr30k", limit=20)           # doctest: +SKIP
    >>> region_coverage(data).query("by == 'type'")               # doctest: +SKIP
    """
    import pandas as pd

    threshold, edges = _threshold(dataset), _check_areas(areas)
    if isinstance(predicates, bool) or not isinstance(predicates, int) or predicates < 1:
        raise ValueError(f"predicates={predicates!r} came; expected a whole number of at least 1.")
    counts = _pool(_count(dataset, edges), predicates)
    rows = [_row(cell, counts[cell], seed) for cell in _in_order(counts, edges)]
    columns = ["by", "group", "n", "matched", "share", "lo", "hi", "n_images", "unit"]
    return pd.DataFrame(rows, columns=columns).assign(threshold=threshold, seed=seed)


def _threshold(dataset: Dataset | Splits) -> float:
    parts = dataset.parts if isinstance(dataset, Splits) else (dataset,)
    found = [part.threshold for part in parts]
    known = sorted({threshold for threshold in found if threshold is not None})
    if not known or None in found:
        raise ValueError(
            f"{dataset!r} was loaded without region features, so that every annotated box is a region of its "
            "own; expected features. Load it with regions=, the path of region features."
        )
    if len(known) > 1:
        raise ValueError(f"the parts of {dataset!r} have the thresholds {known}; expected one for all.")
    return known[0]


def _check_areas(areas: Sequence[float]) -> tuple[float, ...]:
    edges = (0.0, *map(float, areas), 1.0)
    if not all(low < high for low, high in pairwise(edges)):
        raise ValueError(f"areas={areas!r} came; expected ascending shares above 0 and below 1.")
    return edges


def _count(dataset: Dataset | Splits, edges: tuple[float, ...]) -> Counts:
    """Count boxes and relations once a picture; its captions together say the types of its chains."""
    pictures: dict[str, Example] = {}
    types: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for example in dataset.without_features():
        pictures.setdefault(example.image_id, example)
        for phrase in example.phrases:
            if phrase.chain != NOT_VISIBLE:
                types[example.image_id][phrase.chain].update(phrase.types)
    counts: Counts = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for image_id, example in pictures.items():
        for cell, matched in (*_boxes(example, types[image_id], edges), *_relations(example)):
            counts[cell][image_id][0] += 1
            counts[cell][image_id][1] += matched
    return counts


def _boxes(
    example: Example, types: Mapping[str, set[str]], edges: tuple[float, ...]
) -> Iterator[tuple[Cell, bool]]:
    boxes = example.extra.get("annotated_boxes", ())
    regions = example.extra.get("annotated_regions", ())
    chains = example.extra.get("annotated_chains", ((),) * len(boxes))
    for box, region, names in zip(boxes, regions, chains, strict=True):
        yield ("all", ""), region >= 0
        yield ("area", _area_name(edges, (box[2] - box[0]) * (box[3] - box[1]))), region >= 0
        for kind in sorted(set[str]().union(*(types.get(name, ()) for name in names))):
            yield ("type", kind), region >= 0


def _relations(example: Example) -> Iterator[tuple[Cell, bool]]:
    regions = example.extra.get("annotated_regions", ())
    for subject, predicate, target in example.extra.get("annotated_relations", ()):
        first, second = regions[subject], regions[target]
        yield ("subject", predicate), first >= 0
        yield ("object", predicate), second >= 0
        yield ("relation", predicate), min(first, second) >= 0 and first != second


def _area_name(edges: tuple[float, ...], area: float) -> str:
    place = min(int(np.searchsorted(edges, area, side="right")), len(edges) - 1)
    return f"{100 * edges[place - 1]:g} to {100 * edges[place]:g} %"


def _pool(counts: Counts, most: int) -> Counts:
    """Add up all predicates but the most frequent ones (of equally frequent ones the first by alphabet)."""
    total = {
        group: sum(n for n, _ in images.values())
        for (by, group), images in counts.items()
        if by == "relation"
    }
    shown = set(sorted(total, key=lambda predicate: (-total[predicate], predicate))[:most])
    pooled: Counts = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for (by, group), images in counts.items():
        group = group if by in BOX_GROUPS or group in shown else OTHERS
        for image_id, (n, matched) in images.items():
            pooled[by, group][image_id][0] += n
            pooled[by, group][image_id][1] += matched
    return pooled


def _in_order(counts: Counts, edges: tuple[float, ...]) -> list[Cell]:
    """Cells by what they are grouped; areas from small to large, other groups from frequent to rare."""
    areas = [_area_name(edges, low) for low, _ in pairwise(edges)]
    kinds = (*BOX_GROUPS, *RELATION_GROUPS)

    def place(cell: Cell) -> tuple[int, bool, int, str]:
        by, group = cell
        number = areas.index(group) if by == "area" else -sum(n for n, _ in counts[cell].values())
        return kinds.index(by), group == OTHERS, number, group

    return sorted(counts, key=place)


def _row(cell: Cell, images: Mapping[str, Sequence[int]], seed: int) -> tuple[Any, ...]:
    from value_nb.stats import ratio_interval

    sums = np.array(list(images.values()), dtype=np.float64)
    interval = ratio_interval(sums[:, 1], sums[:, 0], list(images), seed=seed)
    n, matched = int(sums[:, 0].sum()), int(sums[:, 1].sum())
    ends = (float(interval.lo), float(interval.hi))
    unit = "relation" if cell[0] == "relation" else "box"
    return (*cell, n, matched, matched / n, *ends, len(images), unit)
