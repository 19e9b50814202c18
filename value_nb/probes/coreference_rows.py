"""From a table of mentions to rows: rates and weights with intervals, chosen heads, permutation tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from value_nb import stats
from value_nb.probes.coreference_statistics import ImageHits, Permuted, permuted_hits, within
from value_nb.probes.coreference_table import ALL, Table
from value_nb.progress import bar
from value_nb.sums import ImageSums

HEAD_MEASURES = ("hit_rate", "hit_rate_linked", "linked_weight", "unlinked_weight")
CHANCES = ("chance", "chance_linked", "largest_region", "central_region")
P = "p-value"
Row = dict[str, Any]


def all_rows(
    choosing: Table, scored: Table, seed: int, permutations: int, replicates: int, progress: bool = False
) -> list[Row]:
    """Every row of the result.

    Parameters
    ----------
    choosing, scored
        The mentions that choose heads, and those that everything else is about.
    seed, permutations, replicates
        Of the permutation tests and the intervals.
    progress
        Show a bar.
    """
    if not scored.mentions:
        return []
    rows = [*_chance_rows(scored, seed, replicates)]
    tests: list[Test] = []
    total = len(scored.places) * (1 + len(scored.groups))
    with bar(label="coreference (intervals, permutations)", total=total, progress=progress) as moved:
        for direction in scored.places:
            rows += _head_rows(scored, direction, seed, replicates)
            rows += _choice_rows(choosing, direction, seed, replicates)
            moved.update()
            for group in scored.groups:
                found = run_test(choosing, scored, direction, group, seed, permutations)
                rows += _map_rows(found, scored)
                tests.append(found)
                moved.update()
    return [*rows, *_chosen_rows(tests, choosing, scored, seed, permutations, replicates)]


@dataclass(frozen=True, slots=True)
class Swapped:
    """One permutation test of one head.

    Attributes
    ----------
    p
        P-value; nan where no picture has anything to swap.
    rate
        Mean hit rate over the permutations, of the mentions in pictures that swap.
    n, n_images
        Those mentions and pictures.
    """

    p: float = float("nan")
    rate: float = float("nan")
    n: int = 0
    n_images: int = 0


@dataclass(frozen=True, slots=True)
class Test:
    """What one direction and entity type comes to.

    Attributes
    ----------
    direction, group
        Which.
    head
        Column of the chosen head; None where no mention could choose one.
    p_map
        `(head,)`: p-values that hold for all heads at once; nan where there is nothing to swap.
    n, n_images
        Mentions and pictures that have something to swap.
    chains, alike
        The chosen head when the chains of a picture swap, and when only those of the type do.
    """

    __test__ = False  # no test case, whatever it is called

    direction: str
    group: str
    head: int | None
    p_map: np.ndarray
    n: int
    n_images: int
    chains: Swapped
    alike: Swapped


def run_test(
    choosing: Table, scored: Table, direction: str, group: str, seed: int, permutations: int
) -> Test:
    """Choose a head on some pictures; test it, and all heads at once, on the others."""
    head = choose(choosing, direction, group)
    where = scored.groups[group]
    found = permuted_hits(scored.by_image(direction, where), seed, permutations)
    p_map = stats.max_statistic_p(found.observed, found.null) if found.n_images else np.zeros(0)
    chains = alike = Swapped()
    if head is not None:
        chains = _swapped(found, head)
        of_type = iter(()) if group == ALL else _of_type(scored.by_image(direction, where), head)
        alike = _swapped(permuted_hits(of_type, seed, permutations), 0)
    return Test(direction, group, head, p_map, found.n, found.n_images, chains, alike)


def choose(choosing: Table, direction: str, group: str) -> int | None:
    """The column of the head with the highest hit rate (the first of several), None without mentions."""
    where = choosing.groups.get(group)
    if where is None or direction not in choosing.places or not where.any():
        return None
    return int(sum(choosing.hits(direction, block).sum(axis=0) for block in choosing.blocks(where)).argmax())


def _swapped(found: Permuted, head: int) -> Swapped:
    if not found.n:
        return Swapped()
    p = float(stats.permutation_p(found.observed[head], found.null[:, head]))
    return Swapped(p, float(found.null[:, head].mean()) / found.n, found.n, found.n_images)


def _of_type(images: Iterable[ImageHits], head: int) -> Iterator[ImageHits]:
    """Of each picture the chains that have mentions here, where there are two; one head alone."""
    for image in images:
        chains = np.flatnonzero(image.mentions)
        if len(chains) > 1:
            alike = within(image, chains)
            yield ImageHits(alike.image_id, alike.counts[..., [head]], alike.mentions)


def _chance_rows(table: Table, seed: int, replicates: int) -> Iterator[Row]:
    """What guessing gives, and how many pictures have nothing to swap."""
    made: dict[str, Callable[[Any], float]] = {
        "chance": lambda m: len(m.hits) / m.regions,
        "chance_linked": lambda m: len(m.linked) / m.regions,
        "largest_region": lambda m: float(m.largest),
        "central_region": lambda m: float(m.central),
    }
    values = np.array([[made[name](m) for name in CHANCES] for m in table.mentions])
    for group, where in table.groups.items():
        found = stats.mean_interval(values[where], table.images[where], seed=seed, replicates=replicates)
        for cell, name in enumerate(CHANCES):
            yield _row({"group": group}, name, table, int(where.sum())) | _value(found, cell)
        yield from _one_chain_rows(table, group, where)


def _one_chain_rows(table: Table, group: str, where: np.ndarray) -> Iterator[Row]:
    chains: dict[str, set[str]] = {}
    for row in np.flatnonzero(where):
        chains.setdefault(table.mentions[row].image_id, set()).add(table.mentions[row].chain)
    there: dict[str, set[str]] = {}
    for mention in table.mentions:
        there.setdefault(mention.image_id, set()).add(mention.chain)
    counted = {"images_with_one_chain": sum(len(there[image]) == 1 for image in chains)}
    if group != ALL:
        counted["images_with_one_chain_of_type"] = sum(len(names) == 1 for names in chains.values())
    for measure, value in counted.items():
        about = {"value": float(value), "n_images": len(chains), "unit": "images"}
        yield _row({"group": group}, measure, table, len(chains)) | about


def _head_rows(table: Table, direction: str, seed: int, replicates: int) -> Iterator[Row]:
    """Rates and weights of every head, by entity type."""
    for group, where in table.groups.items():
        found, counts = _interval(table, where, partial(_of_heads, table, direction), seed, replicates)
        for (column, place), (m, measure) in (
            (c, x) for c in enumerate(table.places[direction]) for x in enumerate(HEAD_MEASURES)
        ):
            if counts[column, m]:
                where_ = _at(place, direction, group)
                yield _row(where_, measure, table, int(counts[column, m])) | _value(found, (column, m))


def _of_heads(table: Table, direction: str, block: np.ndarray) -> np.ndarray:
    """`(mention, head, measure)` in the order of `HEAD_MEASURES`."""
    hits = [table.hits(direction, block, part) for part in ("hits", "linked")]
    return np.concatenate([np.stack(hits, axis=-1), table.weights(direction, block)], axis=-1)


def _choice_rows(table: Table, direction: str, seed: int, replicates: int) -> Iterator[Row]:
    """The hit rate of every head on the mentions that choose, of all types: what heads are ranked by."""
    if not table.mentions:
        return
    found, _ = _interval(table, table.groups[ALL], partial(table.hits, direction), seed, replicates)
    for column, place in enumerate(table.places[direction]):
        where = _at(place, direction, ALL)
        yield _row(where, "hit_rate_on_choice", table, len(table.mentions)) | _value(found, column)


def _interval(
    table: Table, where: np.ndarray, values: Callable[[np.ndarray], np.ndarray], seed: int, replicates: int
) -> tuple[stats.Interval, np.ndarray]:
    """The mean of `values(block)` over some mentions with its interval, and how many have a value."""
    sums = ImageSums()
    for block in table.blocks(where):
        sums.add("", table.images[block].tolist(), values(block))
    ids, num, den = sums.table("")
    return stats.ratio_interval(num, den, ids, seed=seed, replicates=replicates), den.sum(axis=0)


def _map_rows(found: Test, table: Table) -> Iterator[Row]:
    """P-values that hold for all heads of a direction at once."""
    places = table.places[found.direction] if found.n else []
    for place, p in zip(places, found.p_map, strict=True):
        if np.isfinite(p):
            where = _at(place, found.direction, found.group)
            about = {"value": float(p), "n_images": found.n_images, "unit": P}
            yield _row(where, "p_max", table, found.n) | about


def _chosen_rows(
    tests: Sequence[Test], choosing: Table, scored: Table, seed: int, permutations: int, replicates: int
) -> Iterator[Row]:
    """Chosen heads on the pictures that they were not chosen on, beside what swapping gives."""
    chosen = [found for found in tests if found.head is not None]
    holm = {part: _holm(chosen, part) for part in ("chains", "alike")}
    for row, found in enumerate(chosen):
        at = _at(scored.places[found.direction][found.head or 0], found.direction, found.group)
        for measure, table in (("chosen_hit_rate", scored), ("chosen_hit_rate_on_choice", choosing)):
            yield _rate_row(at, measure, table, found, seed, replicates)
        for part, tag in (("chains", ""), ("alike", "_within_type")):
            swapped: Swapped = getattr(found, part)
            rate, p = f"chosen_permuted{tag}", f"p{tag}"
            yield from _swap_rows(at, {rate: swapped.rate}, swapped, scored, "fraction")
            yield from _swap_rows(at, {p: swapped.p, f"{p}_holm": holm[part][row]}, swapped, scored, P)
        error = (
            {"p_error": float(stats.monte_carlo_error(found.chains.p, permutations))}
            if found.chains.n
            else {}
        )
        yield from _swap_rows(at, error, found.chains, scored, P)


def _holm(chosen: Sequence[Test], part: str) -> np.ndarray:
    """P-values of one kind of test, corrected over types x directions; nan for all types together."""
    p = np.array([np.nan if found.group == ALL else getattr(found, part).p for found in chosen], dtype=float)
    return stats.holm(p)


def _rate_row(at: Row, measure: str, table: Table, found: Test, seed: int, replicates: int) -> Row:
    where = table.groups[found.group]
    mean, _ = _interval(
        table, where, lambda block: table.hits(found.direction, block)[:, found.head], seed, replicates
    )
    return _row(at, measure, table, int(where.sum())) | _value(mean, ())


def _swap_rows(at: Row, values: dict[str, float], swapped: Swapped, table: Table, unit: str) -> Iterator[Row]:
    for measure, value in values.items():
        if np.isfinite(value):
            about = {"value": float(value), "n_images": swapped.n_images, "unit": unit}
            yield _row(at, measure, table, swapped.n) | about


def _at(place: tuple[str, int, int], direction: str, group: str) -> Row:
    stack, layer, head = place
    return {"stack": stack, "layer": layer, "head": head, "direction": direction, "group": group}


def _row(where: Row, measure: str, table: Table, n: int) -> Row:
    return where | {"measure": measure, "split": table.split, "n": n}


def _value(found: stats.Interval, cell: int | tuple[int, ...]) -> Row:
    return {
        "value": float(found.value[cell]), "lo": float(found.lo[cell]), "hi": float(found.hi[cell]),
        "n_images": int(found.n_images[cell]), "unit": "fraction",
    }  # fmt: skip
