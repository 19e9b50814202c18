"""Reading a head ablation result: the curve of the pointed heads, the band of random ones, the two levels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from value_nb import reasons

if TYPE_CHECKING:
    from value_nb.result import Result

PROBE = "head_ablation"
ACCURACY, LOSS, AUC = "masked_word_accuracy", "masked_word_loss", "matching_auc"
MEASURES = {ACCURACY: "words", LOSS: "words", AUC: "pairs"}
"""Measure -> what it counts."""
UNITS = {ACCURACY: "fraction", LOSS: "nats", AUC: "fraction"}
BESIDE = "_minus_random"
POINTED, RANDOM, NO_PICTURE = "none", "random heads", "no picture"
ENDS = ("value", "lo", "hi")
NO_ROWS = "nothing could be asked of these examples"


def nothing(result: Result) -> str:
    """Why a result has no number at all, in words; "" when it has. ValueError for another probe's result."""
    if why := reasons.nothing(result, PROBE, NO_ROWS):
        return why
    return "" if measures(result) else "; ".join(dict.fromkeys(result.frame["note"]))


def measures(result: Result) -> list[str]:
    """The measures that have numbers, in order."""
    frame = result.frame
    there = set(frame[frame["value"].notna()]["measure"]) if "measure" in frame else set()
    return [measure for measure in MEASURES if measure in there]


def curve(result: Result, measure: str) -> pd.DataFrame:
    """The pointed heads' rows by `size`, 0 (nothing off) first."""
    rows = _rows(result, measure)
    return rows[rows["control"] == POINTED].sort_values("size").reset_index(drop=True)


def band(result: Result, measure: str) -> pd.DataFrame:
    """Over the random sets: index `size`, columns mean, min, max; at 0 nothing is off."""
    rows = _rows(result, measure)
    start = rows[(rows["control"] == POINTED) & (rows["size"] == 0)]
    random = pd.concat([start, rows[rows["control"] == RANDOM]])
    return random.groupby("size")["value"].agg(["mean", "min", "max"])


def without_picture(result: Result, measure: str) -> pd.Series:
    """The row of the model with nothing off whose text does not see the picture."""
    rows = _rows(result, measure)
    return rows[rows["control"] == NO_PICTURE].iloc[0]


def difference(result: Result, measure: str) -> pd.DataFrame:
    """Pointed minus mean of the random sets, by `size`, with intervals over images."""
    _rows(result, measure)
    found = result.select(measure=f"{measure}{BESIDE}")
    return found.sort_values("size").reset_index(drop=True)


def curve_table(result: Result) -> pd.DataFrame:
    """Sizes as rows, "no picture" last: for each measure the pointed heads, the random sets, the difference.

    Where the result has no number, a table of one cell that says why.
    """
    if why := nothing(result):
        return reasons.reason_table(result, why)
    parts: dict[tuple[str, str], pd.Series] = {}
    for measure in measures(result):
        bare = without_picture(result, measure)
        own = pd.concat([curve(result, measure).set_index("size"), bare.rename(NO_PICTURE).to_frame().T])
        random, apart = band(result, measure).drop(index=0), difference(result, measure).set_index("size")
        parts |= {(measure, part): own[part] for part in ENDS}
        parts |= {(measure, f"random, {part}"): random[part] for part in random}
        parts |= {(measure, f"minus random, {part}"): apart[part] for part in ENDS}
    index = [*result.meta["settings"]["sizes"], NO_PICTURE]
    table = pd.DataFrame({name: column.reindex(index) for name, column in parts.items()}, index=index)
    return table.astype(float).rename_axis(index="heads off")


def _rows(result: Result, measure: str) -> pd.DataFrame:
    if measure not in MEASURES:
        raise ValueError(f"measure={measure!r}; expected one of {', '.join(map(repr, MEASURES))}")
    if why := nothing(result):
        raise ValueError(f"{PROBE} has no number for {result.meta.get('model')}: {why}")
    rows = result.select(measure=measure)
    if rows["value"].isna().all():
        raise ValueError(f"there is no {measure}: {rows['note'].iloc[0]}")
    return rows
