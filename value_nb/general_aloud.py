"""Any result in sentences: its lowest and highest number, and how far the controls reach."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from value_nb.result import Result

PLACE = ("stack", "layer", "head", "direction", "group", "specials")


def say_any(result: Result) -> str:
    """Where each measure is lowest and highest, with intervals, one measure a line; then its controls."""
    frame, meta = result.frame, result.meta
    said = [f"{meta['model']} on {meta['data']}, {meta['n']:,} examples of {meta['n_images']:,} pictures."]
    for measure, rows in frame.groupby("measure", sort=False):
        said.append(_range(str(measure), rows[rows["control"] == "none"]))
        said += [
            f"Under the control {control}, {measure} runs from {part['value'].min():.2f} to "
            f"{part['value'].max():.2f}."
            for control, part in rows[rows["control"] != "none"].groupby("control", sort=False)
        ]
    return "\n".join(line for line in said if line)


def _range(measure: str, rows: pd.DataFrame) -> str:
    known = rows[rows["value"].notna()].sort_values("value", kind="stable")
    if known.empty:
        return f"{measure} has no number."
    low, high = known.iloc[0], known.iloc[-1]
    if len(known) == 1:
        return f"{measure} is {_spell(low)}."
    return (
        f"{measure} is lowest at {_place(low)}, {_spell(low)}, and highest at {_place(high)}, {_spell(high)}."
    )


def _place(row: Any) -> str:
    return ", ".join(f"{name} {row[name]}" for name in PLACE if name in row and row.notna()[name])


def _spell(row: Any) -> str:
    return f"{row['value']:.2f} [{row['lo']:.2f}, {row['hi']:.2f}]"
