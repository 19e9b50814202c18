"""Which head looks from region to region along a relation: chosen on validation pictures, shown on test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from value_nb import stats
from value_nb.cache.codecs import TABLE
from value_nb.cache.remember import kept
from value_nb.probes.geometry import distance_bin
from value_nb.probes.region_pairs import Picture, gather
from value_nb.probes.relations import EDGES
from value_nb.probes.spans import place, pool_attention, regions
from value_nb.progress import bar
from value_nb.sums import ImageSums

if TYPE_CHECKING:
    import pandas as pd

    from value_nb.data.example import Example
    from value_nb.layout import LayerBatch
    from value_nb.models.base import VLModel

DIRECTION = "image->image"
WAYS = ("subject->object", "object->subject")
CHOSEN_ON, SHOWN_ON = "val", "test"
NONE = "no relation"
BATCH = 32
COLUMNS = (
    "relation", "stack", "layer", "head", "way", "related", "unrelated", "difference", "lo", "hi", "pairs",
    "n_images",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Pair:
    """A pair of regions: predicate (or none) and distance bin are its group."""

    subject: int
    object: int
    group: tuple[str, int]


@kept("relation heads", TABLE)
def relation_heads(
    model: VLModel,
    examples: Sequence[Example],
    k: int = 8,
    edges: Sequence[float] = EDGES,
    seed: int = 0,
    progress: bool = True,
    cache: bool = True,
) -> pd.DataFrame:
    """For each frequent predicate the head that gives most along it, beside pairs without a relation.

    The attention between subject and object is averaged over the related pairs of all pictures, by head and
    way (the subject looks at the object, or back). Of it is taken the mean over annotated pairs between which
    no relation holds, in the same distance bins with the same shares, since near regions get more attention
    for whatever reason. Head and way are chosen by this difference on validation pictures; the table has
    the numbers of test pictures. It describes: a head may follow the classes, or the exact offset, alone.

    Parameters
    ----------
    model
        Any; for one without "image->image" the table has one cell, the reason.
    examples
        Of the splits "val" and "test"; others are not used. Of each picture the first example is run.
    k
        So many predicates, the most frequent of the validation pictures.
    edges
        Of the distance bins, in shares of the picture's diagonal.
    seed
        Of the intervals.
    progress
        Show a bar.
    cache
        Look the table up among kept results, and keep it (`value_nb.cache_info`); False: compute it anew.

    Returns
    -------
    A row for each predicate that test pictures have: relation, stack, layer (1-based), head (0-based), way,
    related and unrelated (mean share of a region's attention, 0 to 1), difference with its 95 % interval over
    test pictures, pairs, n_images.

    Raises
    ------
    ValueError
        When one of the two splits has no related pair.
    """
    import pandas as pd

    stacks = [stack for stack, there in model.directions.items() if DIRECTION in there]
    if not stacks:
        why = f"{model.name} has no attention from region to region ({DIRECTION})"
        return pd.DataFrame({"not defined": [why]}, index=pd.Index([model.name], name="model"))
    sums = _collect(model, examples, tuple(edges), progress)
    counts = {split: _counts(sums[split]) for split in (CHOSEN_ON, SHOWN_ON)}
    if missing := [split for split, found in counts.items() if not set(found) - {NONE}]:
        raise ValueError(f"no related pair in {', '.join(missing)}; pass examples of 'val' and 'test'")
    usual = sorted(set(counts[CHOSEN_ON]) - {NONE}, key=lambda name: (-counts[CHOSEN_ON][name], name))[:k]
    rows = [_row(sums, predicate, seed) for predicate in usual if predicate in counts[SHOWN_ON]]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(sums: dict[str, dict[str, ImageSums]], predicate: str, seed: int) -> dict[str, Any]:
    chosen = max(
        ((float(difference.max()), stack, np.unravel_index(int(difference.argmax()), difference.shape))
         for stack, one in sums[CHOSEN_ON].items()
         for difference in [_values(one, predicate)[2]]),
        key=lambda found: found[0],
    )  # fmt: skip
    _, stack, (layer, head, way) = chosen
    shown = sums[SHOWN_ON][stack]
    cell = (layer, head, way)
    related, unrelated, difference = (float(part[cell]) for part in _values(shown, predicate))
    draws = _draws(shown, predicate, cell, seed)
    n = _images(shown, predicate)
    interval = stats.percentile_interval(np.array(difference), draws, np.array(n))
    return {
        "relation": predicate, "stack": stack, "layer": int(layer) + 1, "head": int(head), "way": WAYS[way],
        "related": related, "unrelated": unrelated, "difference": difference, "lo": float(interval.lo),
        "hi": float(interval.hi), "pairs": _counts({stack: shown})[predicate], "n_images": n,
    }  # fmt: skip


def _groups(sums: ImageSums) -> list[tuple[str, int]]:
    """(predicate or none, distance bin) of everything that was added up."""
    keys: list[Any] = sums.keys
    return [(str(name), int(where)) for name, where in keys]


def _parts(sums: ImageSums, predicate: str) -> list[tuple[float, tuple[Any, ...], tuple[Any, ...]]]:
    """For each distance bin that both have: its share of the related pairs, and both tables."""
    there = _groups(sums)
    bins = [where for name, where in there if name == predicate and (NONE, where) in there]
    tables = [(sums.table((predicate, where)), sums.table((NONE, where))) for where in bins]
    sizes = np.array([own[2][..., 0, 0, 0].sum() for own, _ in tables])
    return [(size / sizes.sum(), *both) for size, both in zip(sizes, tables, strict=True)]


def _values(sums: ImageSums, predicate: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`(layer, head, way)` each: related, unrelated at the same distances, and their difference."""
    parts = _parts(sums, predicate)
    means = [[share * t[1].sum(axis=0) / t[2].sum(axis=0) for t in tables] for share, *tables in parts]
    related, unrelated = (np.sum([pair[side] for pair in means], axis=0) for side in (0, 1))
    return related, unrelated, related - unrelated


def _draws(sums: ImageSums, predicate: str, cell: tuple[Any, ...], seed: int) -> np.ndarray:
    """`(replicate,)`: the difference of one cell under the bootstrap, bins with their shares as they are."""
    total: Any = 0.0
    for share, own, other in _parts(sums, predicate):
        means = [
            stats.replicate_ratios(num[(slice(None), *cell)][:, None], den[(slice(None), *cell)][:, None],
                                   ids, seed=seed)[:, 0]
            for ids, num, den in (own, other)
        ]  # fmt: skip
        total = total + share * (means[0] - means[1])
    return np.asarray(total)


def _counts(by_stack: dict[str, ImageSums]) -> Counter[str]:
    """Pairs by predicate, those without a distance bin of their own left out."""
    sums = next(iter(by_stack.values()))
    found: Counter[str] = Counter()
    there = _groups(sums)
    for name, where in there:
        if (NONE, where) in there:
            found[name] += int(sums.table((name, where))[2][..., 0, 0, 0].sum())
    return found


def _images(sums: ImageSums, predicate: str) -> int:
    parts = _parts(sums, predicate)
    return len({i for _, (ids, _, den), _ in parts for i, n in zip(ids, den[..., 0, 0, 0], strict=True) if n})


def _collect(
    model: VLModel, examples: Sequence[Example], edges: tuple[float, ...], progress: bool
) -> dict[str, dict[str, ImageSums]]:
    """split -> stack -> sums by (predicate, bin) of `(layer, head, way)`."""
    stacks = [stack for stack, there in model.directions.items() if DIRECTION in there]
    sums = {split: {stack: ImageSums() for stack in stacks} for split in (CHOSEN_ON, SHOWN_ON)}
    first = {one.image_id: one for one in reversed([e for e in examples if e.split in sums and e.regions])}
    pictures = {picture.id: picture for picture in gather(first.values())}
    chosen = [first[name] for name in pictures]
    starts = range(0, len(chosen), BATCH)
    for start in bar(starts, f"{model.name} (relation heads)", progress=progress):
        batch = chosen[start : start + BATCH]
        for split, stack, image, group, values in _batch(model, batch, pictures, edges):
            sums[split][stack].add(group, [image], values[None])
    return sums


def _batch(
    model: VLModel, batch: Sequence[Example], pictures: dict[str, Picture], edges: tuple[float, ...]
) -> Iterator[tuple[str, str, str, tuple[str, int], np.ndarray]]:
    """(split, stack, image, group, `(layer, head, way)`) of every pair of a batch of pictures."""
    asked = [(row, pair) for row, e in enumerate(batch) for pair in _pairs(pictures[e.image_id], edges)]
    seen: dict[str, list[np.ndarray]] = {}
    if not asked:
        return
    prepared = model.prepare(batch)
    rows = [row for row, _ in asked]
    ends = [place([regions(getattr(pair, side)) for _, pair in asked], rows, prepared.layout)
            for side in ("subject", "object")]  # fmt: skip

    def listen(layer: LayerBatch) -> None:
        if DIRECTION in layer.attention:
            block = layer.attention[DIRECTION]
            both = [pool_attention(block, *way).cpu().numpy() for way in (ends, ends[::-1])]
            seen.setdefault(layer.stack, []).append(np.stack(both, axis=-1))

    model.run(prepared, listen)
    for stack, layers in seen.items():
        for (row, pair), values in zip(asked, np.stack(layers, axis=1), strict=True):
            yield batch[row].split, stack, batch[row].image_id, pair.group, values


def _pairs(picture: Picture, edges: tuple[float, ...]) -> Iterator[_Pair]:
    """Pairs with one predicate, and annotated ones without any, with their distance bins."""
    boxes, names = picture.regions.boxes, picture.regions.names
    single = [(pair, next(iter(found))) for pair, found in picture.predicates.items() if len(found) == 1]
    every = frozenset((a, b) for a in names for b in names)
    for pair, name in [*single, *((pair, NONE) for pair in picture.unrelated(every))]:
        yield _Pair(*pair, (name, distance_bin(boxes, *pair, picture.ratio, edges)))
