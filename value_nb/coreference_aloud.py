"""A coreference attention result in sentences made from its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from value_nb import coreference_heads as reading

if TYPE_CHECKING:
    import pandas as pd

    from value_nb.result import Result

SIDES = {
    "text->image": "phrases look at their regions (text->image)",
    "image->text": "regions look at their phrases (image->text)",
}


def sentences(result: Result) -> list[str]:
    """Each direction's chosen heads, and the rule; or why there is no number."""
    why = reading.nothing(result) or ("" if len(reading.chosen(result)) else reading.NO_MENTIONS)
    if why:
        return [f"There is no number for {result.meta['model']}: {why}."]
    chosen = reading.chosen(result)
    directions = [d for d in reading.DIRECTIONS if d in set(chosen["direction"])]
    said = [line for direction in directions for line in _direction(result, direction)]
    found = reading.verdict(result)
    verdict = "holds" if found.holds else "does not hold"
    return [
        *said,
        f"In {found.held} of {found.tested} types and directions the chosen head beats the best guess with "
        f"a corrected p below {reading.LEVEL:g}, so “attention shows patterns coherent with the alignment of "
        f"regions and words” {verdict} here.",
    ]


def _direction(result: Result, direction: str) -> list[str]:
    table = reading.best_heads(result, direction)
    lines = [_overall(table.loc[reading.ALL], direction)] if reading.ALL in table.index else []
    return [*lines, _types(table.loc[reading.holding(result, direction)])]


def _types(held: pd.DataFrame) -> str:
    """The entity types for which the rule holds, and whether things of one type are told apart."""
    if not len(held):
        return "For no entity type does its best head beat the best guess with a corrected p below 0.05."
    listed = ", ".join(f"{group} {_spell(row)}" for group, row in held.iterrows())
    apart = held.index[held["p_within_type_holm"] < reading.LEVEL].tolist()
    said = f"among things of one type it tells them apart for {', '.join(apart) or 'none of these'}"
    return f"The best head of its own beats the best guess for {listed}; {said}.{_beyond_random(held)}"


def _beyond_random(held: pd.DataFrame) -> str:
    """For which of these types no random-weight model reaches as far; "" without such models."""
    if "random_high" not in held:
        return ""
    beyond = held.index[held["hit_rate"] > held["random_high"]].tolist()
    if len(beyond) == len(held):
        return " The best heads of random-weight models stay below in each of these."
    named = ", ".join(beyond) or "none of these"
    return f" Above the best heads of all random-weight models it lies for {named}."


def _overall(row: Any, direction: str) -> str:
    said = (
        f"When {SIDES[direction]}, the best head (layer {row['layer']}, head {row['head']}, chosen on other "
        f"pictures) hits in {_spell(row)} of {row['mentions']:,} mentions; chance is {row['chance']:.2f}, "
        f"always guessing one region gives up to {row['best_guess']:.2f}"
    )
    if row["permuted"] == row["permuted"]:
        said += f", and with the picture's regions swapped among its phrases it is {row['permuted']:.2f}"
    if "random_high" in row and row["random_high"] == row["random_high"]:
        said += f"; the best heads of random-weight models reach {row['random_high']:.2f}"
    return f"{said}."


def _spell(row: Any) -> str:
    return reading.spell(row["hit_rate"], row["lo"], row["hi"])
