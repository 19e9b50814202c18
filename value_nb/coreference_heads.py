"""Reading a coreference attention result: maps of heads, the best head of each type, the fixed rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from value_nb import reasons

if TYPE_CHECKING:
    from value_nb.result import Result

PROBE = "coreference_attention"
DIRECTIONS = ("text->image", "image->text")
MAPS = ("hit_rate", "hit_rate_linked", "linked_weight", "unlinked_weight", "p_max")
GUESSES = ("chance", "largest_region", "central_region")
BESIDE = {
    "hit_rate": "chance",
    "hit_rate_linked": "chance_linked",
    "linked_weight": "unlinked_weight",
    "unlinked_weight": "linked_weight",
}
"""Measure of a head -> what stands beside it."""
ALL = "all"
SMALLEST = 0.001  # p-values below are printed as such
LEVEL = 0.05
NO_MENTIONS = "no example came whose phrases are linked to regions, or none was left to score heads on"


def nothing(result: Result) -> str:
    """Why a result has no number at all, in words; "" when it has. ValueError for another probe's result."""
    return reasons.nothing(result, PROBE, NO_MENTIONS)


def head_map(
    result: Result, measure: str = "hit_rate", direction: str = "text->image", group: str = ALL
) -> pd.DataFrame:
    """One measure of the model's own heads as a map: `head` as rows, `layer` as columns.

    Raises
    ------
    ValueError
        For a measure, direction or entity type that there is not, or heads in several stacks.
    """
    if measure not in MAPS:
        raise ValueError(f"measure={measure!r}; expected one of {', '.join(map(repr, MAPS))}")
    found = result.select(measure=measure, direction=direction, group=group, control="none")
    if found["stack"].nunique() > 1:
        raise ValueError(f"{direction} is in the stacks {sorted(set(found['stack']))}; a map is of one")
    return found.pivot(index="head", columns="layer", values="value")


def best_heads(result: Result, direction: str = "text->image") -> pd.DataFrame:
    """The chosen head of each entity type, beside what it has to be held against.

    Returns
    -------
    Types as rows, "all" last, in descending order of mentions; columns stack, layer, head, `hit_rate` with
    `lo` and `hi`, `mentions`, `chance`, `best_guess` (the best of chance, the largest and the most central
    region), `permuted`, `p`, `p_holm`, `p_within_type_holm`, and where those controls were run `random_low`,
    `random_high` (chosen heads of the random-weight models) and `mismatched`.

    Raises
    ------
    ValueError
        For a direction that the result does not have.
    """
    frame = result.frame
    rows = result.select(measure="chosen_hit_rate", direction=direction, control="none").set_index("group")
    named = {"value": "hit_rate", "n": "mentions"}
    table = rows[["stack", "layer", "head", "value", "lo", "hi", "n"]].rename(columns=named)
    own = frame[frame["control"] == "none"]
    guesses = own[own["measure"].isin(GUESSES)].pivot(index="group", columns="measure", values="value")
    table["chance"], table["best_guess"] = guesses["chance"], guesses.max(axis=1)
    for column in ("chosen_permuted", "p", "p_holm", "p_within_type_holm"):
        found = own[(own["measure"] == column) & (own["direction"] == direction)]
        table[column.removeprefix("chosen_")] = found.set_index("group")["value"].astype(float)
    rates = frame[(frame["measure"] == "chosen_hit_rate") & (frame["direction"] == direction)]
    random = rates[rates["control"] == "random weights"].groupby("group")["value"]
    if len(random):
        table["random_low"], table["random_high"] = random.min(), random.max()
    if (rates["control"] == "mismatched").any():
        table["mismatched"] = rates[rates["control"] == "mismatched"].set_index("group")["value"]
    order = table.index.to_series().eq(ALL).astype(int) * -1e9 + table["mentions"].astype(float)
    return table.loc[order.sort_values(ascending=False, kind="stable").index].rename_axis(None)


def best_head(
    result: Result, group: str = ALL, direction: str = "text->image"
) -> tuple[str, int, int] | None:
    """(stack, layer, head) that was chosen for an entity type; None where the result has no number.

    Raises
    ------
    ValueError
        For a type without a chosen head (the message lists those with one) or a direction there is not.
    """
    if nothing(result) or not len(chosen(result)):
        return None
    table = best_heads(result, direction)
    if group not in table.index:
        raise ValueError(f"group={group!r}; expected one of {', '.join(map(repr, table.index))}")
    row: Any = table.loc[group]
    return str(row["stack"]), int(row["layer"]), int(row["head"])


def groups(result: Result) -> list[str]:
    """ "all", then the entity types of the mentions that heads are scored on, most frequent first."""
    counts = result.select(measure="chance", control="none").set_index("group")["n"].drop(ALL)
    return [ALL, *counts.sort_values(ascending=False, kind="stable").index]


def head_by_type(
    result: Result, layer: int, head: int, measure: str = "hit_rate", direction: str = "text->image"
) -> pd.DataFrame:
    """One measure of one head for every entity type, beside what it is held against.

    Returns
    -------
    Types as rows, "all" first; columns `value`, `lo`, `hi`, `n`, and `beside`: chance for a rate, the mean
    weight of the unlinked regions for a weight; `best_guess` for "hit_rate".

    Raises
    ------
    ValueError
        For a measure, direction, layer or head that there is not.
    """
    if measure not in BESIDE:
        raise ValueError(f"measure={measure!r}; expected one of {', '.join(map(repr, BESIDE))}")
    place = {"direction": direction, "layer": layer, "head": head, "control": "none"}
    rows = result.select(measure=measure, **place).set_index("group")
    table = rows.reindex(columns=["value", "lo", "hi", "n"]).astype({"n": "int64"})
    table = table.reindex([g for g in groups(result) if g in rows.index])
    weight = measure.endswith("weight")
    beside = result.select(measure=BESIDE[measure], **(place if weight else {"control": "none"}))
    table["beside"] = beside.set_index("group")["value"]
    if measure == "hit_rate":
        frame = result.frame
        own = frame[(frame["control"] == "none") & frame["measure"].isin(GUESSES)]
        table["best_guess"] = own.groupby("group")["value"].max()
    return table


def paper_table(result: Result, direction: str = "text->image") -> pd.DataFrame:
    """The table of best heads in words and rounded numbers, as the paper prints it, with our controls.

    One cell with the reason where there is no number.
    """
    if why := nothing(result) or ("" if len(chosen(result)) else NO_MENTIONS):
        return reasons.reason_table(result, why)
    table = best_heads(result, direction)
    shown = pd.DataFrame(index=table.index.rename("type"))
    shown["head"] = [f"layer {row['layer']}, head {row['head']}" for _, row in table.iterrows()]
    shown["hit rate"] = [spell(row["hit_rate"], row["lo"], row["hi"]) for _, row in table.iterrows()]
    shown["mentions"] = table["mentions"]
    for column in ("chance", "best_guess", "permuted", "mismatched"):
        if column in table:
            shown[column.replace("_", " ")] = table[column].map(_two)
    if "random_low" in table:
        low, high = table["random_low"], table["random_high"]
        shown["random weights"] = [f"{_two(a)} to {_two(b)}" for a, b in zip(low, high, strict=True)]
    for column, name in (("p", "p"), ("p_holm", "p, Holm"), ("p_within_type_holm", "p within type, Holm")):
        shown[name] = table[column].map(_p)
    return shown


def spell(value: float, lo: float, hi: float) -> str:
    """A number with its interval in words; one picture gives none."""
    if pd.isna(lo) or pd.isna(hi):
        return f"{value:.2f} (no interval)"
    return f"{value:.2f} ({lo:.2f} to {hi:.2f})"


def _two(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else ""


def _p(value: float) -> str:
    """A p-value; "" where there was nothing to swap."""
    if not np.isfinite(value):
        return ""
    return f"{value:.3f}" if value >= SMALLEST else f"< {SMALLEST:g}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Does attention show patterns coherent with the alignment of regions and words?

    The rule was fixed before measuring: the chosen head beats the best trivial guess and its p-value,
    corrected over types and directions, lies below 0.05.

    Attributes
    ----------
    held, tested
        Types and directions for which both are so, of how many.
    """

    held: int
    tested: int

    @property
    def holds(self) -> bool:
        """For at least one type and direction; the correction bounds the chance of any false one."""
        return self.held > 0


def holding(result: Result, direction: str) -> list[str]:
    """The entity types for which the rule holds in a direction."""
    table = best_heads(result, direction).drop(index=ALL, errors="ignore")
    kept = (table["hit_rate"] > table["best_guess"]) & (table["p_holm"] < LEVEL)
    return table.index[kept].tolist()


def verdict(result: Result) -> Verdict:
    """The paper's third observation, held against a result. ValueError for a result without a number."""
    if why := nothing(result):
        raise ValueError(f"{PROBE} has no number for {result.meta.get('model')}: {why}")
    there = [d for d in DIRECTIONS if d in set(chosen(result)["direction"])]
    tested = sum(int(np.isfinite(best_heads(result, d)["p_holm"]).sum()) for d in there)
    return Verdict(sum(len(holding(result, d)) for d in there), tested)


def chosen(result: Result) -> pd.DataFrame:
    """The rows of the model's own chosen heads; empty where none could be chosen."""
    frame = result.frame
    return frame[(frame["measure"] == "chosen_hit_rate") & (frame["control"] == "none")]
