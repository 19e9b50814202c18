"""Reading a cross-modal ablation result: losses of both sides, and what is added when something is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from value_nb import reasons

if TYPE_CHECKING:
    from value_nb.result import Result

PROBE = "cross_modal_ablation"
WHOLE = "everything"
NO_REGIONS, OTHER_REGIONS = "without its regions", "without as many other regions"
NO_PHRASE, OTHER_WORDS = "without its phrase", "without as many other words"
NO_IMAGE, NO_TEXT = "without the picture", "without the text"
SIDES = {
    "masked_phrase": (WHOLE, OTHER_REGIONS, NO_REGIONS, NO_IMAGE),
    "masked_region": (WHOLE, OTHER_WORDS, NO_PHRASE, NO_TEXT),
}
"""What is predicted -> the conditions under which it is, in order."""
NEED = {NO_REGIONS: OTHER_REGIONS, NO_PHRASE: OTHER_WORDS}
"""What is taken away -> the control, in which as much else is."""
ADDED, BEYOND = "_added", "_beyond_others"
ASYMMETRY = "added_to_words_minus_regions"
UNITS = {"loss": "nats", "accuracy": "fraction"}
NO_PHRASES = "no example came with a phrase that is linked to regions and has a content word"
KINDS = {"added": f"_loss{ADDED}", "loss": "_loss", "accuracy": "_accuracy"}
"""What can be read of a side, and how its measure ends."""


def nothing(result: Result) -> str:
    """Why a result has no number at all, in words; "" when it has. ValueError for another probe's result."""
    if why := reasons.nothing(result, PROBE, NO_PHRASES):
        return why
    return "" if sides(result) else "; ".join(why_not(result, side) for side in SIDES)


def sides(result: Result) -> list[str]:
    """What was predicted: "masked_phrase", "masked_region" or both."""
    frame = result.frame
    there = set(frame[frame["value"].notna()]["measure"]) if "measure" in frame else set()
    return [side for side in SIDES if f"{side}_loss" in there]


def why_not(result: Result, side: str) -> str:
    """Why a side has no number; "" when it has."""
    rows = result.select(measure=f"{side}_loss")
    return str(rows["note"].iloc[0]) if rows["value"].isna().all() else ""


def losses(result: Result, side: str, kind: str = "loss") -> pd.DataFrame:
    """Rows of one side under every control, in the order of conditions.

    Parameters
    ----------
    side
        "masked_phrase" or "masked_region".
    kind
        "loss", "accuracy", or "added": the loss minus that with everything.
    """
    if side not in SIDES:
        raise ValueError(f"side={side!r}; expected one of {', '.join(map(repr, SIDES))}")
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r}; expected one of {', '.join(map(repr, KINDS))}")
    rows = result.select(measure=f"{side}{KINDS[kind]}")
    if why := why_not(result, side):
        raise ValueError(f"there is no {side} for {result.meta['model']}: {why}")
    order = {group: place for place, group in enumerate(SIDES[side])}
    return rows.sort_values("group", key=lambda groups: groups.map(order), kind="stable").reset_index(
        drop=True
    )


def everything(result: Result, side: str) -> pd.Series:
    """The row of the model's own loss with everything there."""
    return result.select(measure=f"{side}_loss", group=WHOLE, control="none").iloc[0]


def beyond_others(result: Result, side: str) -> pd.Series:
    """The model's own loss without its regions (or phrase) minus that without as many others."""
    need = next(group for group in NEED if group in SIDES[side])
    return result.select(measure=f"{side}_loss{BEYOND}", group=need, control="none").iloc[0]


def asymmetry(result: Result) -> pd.Series:
    """What words lose without the picture minus what regions lose without the text, of the model itself."""
    return result.select(measure=ASYMMETRY, control="none").iloc[0]


def loss_table(result: Result) -> pd.DataFrame:
    """Conditions as rows: loss, accuracy and added loss of the model itself, and of random weights.

    Where the result has no number, a table of one cell that says why.
    """
    if why := nothing(result):
        return reasons.reason_table(result, why)
    parts = []
    for side in sides(result):
        columns: dict[str, pd.Series] = {}
        for kind in KINDS:
            rows = losses(result, side, kind)
            own = rows[rows["control"] == "none"].set_index("group")
            columns |= {
                f"{kind}{end}": own[part] for part, end in (("value", ""), ("lo", ", lo"), ("hi", ", hi"))
            }
            random = rows[rows["control"] == "random weights"]
            if len(random):
                columns[f"{kind}, random weights"] = random.groupby("group")["value"].mean()
        parts.append(pd.DataFrame(columns).reindex(SIDES[side]))
    return pd.concat(dict(zip(sides(result), parts, strict=True)), names=["predicted", "taken away"])
