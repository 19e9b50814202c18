"""Reading results of probing tasks: the score of each view at its best layer, and the rule for "knows"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from value_nb.best_layer import best_layer

if TYPE_CHECKING:
    from value_nb.result import Result

PROBE = "linguistic_probe"
EMBEDDINGS = ("[CLS]", "mean")
HEADS = "heads"
BASELINES = ("majority", "length", "bag of words")
RIVALS = ("random weights", "bag of words", "length")
"""What the attention variant has to lie above, for the observation that heads encode linguistic knowledge."""

CONDITIONS = ("none", "mean region", "random weights", "mismatched")

COLUMNS = ("task", "model", "group", "control", "stack", "layer", "value", "lo", "hi", "n", "n_images")


def check(result: Result) -> Result:
    """Return the result. Raises ValueError for another probe's, or one that is not defined."""
    if result.probe != PROBE:
        raise ValueError(f"a result of {result.probe!r} came; expected one of {PROBE!r}")
    result.check_defined()
    return result


def task_name(result: Result) -> str:
    """Name of the task in words: "tree depth"."""
    return str(result.meta["data"]).rpartition("/")[2].replace("_", " ")


def score(result: Result, group: str, control: str = "none", measure: str = "accuracy") -> pd.Series:
    """The test score of a view or a baseline; of embeddings at the layer that is best on validation.

    Parameters
    ----------
    group
        "[CLS]", "mean", "heads", "majority", "bag of words" or "length".
    control
        "none", "random weights" (its own best layer) or, of two-stream models, "mean region".
    measure
        "accuracy", "control_task_accuracy", "selectivity" or "accuracy_beyond_trained_length".

    Raises
    ------
    ValueError
        For a group, control or measure that the result does not have.
    """
    wanted = "majority_accuracy" if (group, measure) == ("majority", "accuracy") else measure
    rows = check(result).select(group=group, control=control)
    if group in EMBEDDINGS:
        stack, layer = best_layer(result.frame, group, control)
        rows = rows[(rows["stack"] == stack) & (rows["layer"] == layer)]
    rows = rows[rows["measure"] == wanted]
    if len(rows) != 1:
        raise ValueError(
            f"{len(rows)} rows of {wanted!r} for group {group!r} under control {control!r}; expected one. "
            "Several seeds of random weights: choose one with RandomWeights((0,))"
        )
    return rows.iloc[0]


def scores(results: Result | Mapping[str, Result]) -> pd.DataFrame:
    """Every view and baseline of one or several tasks, one row each: `score` as a table.

    Parameters
    ----------
    results
        A result, or what `value_nb.probe_linguistics` returns.

    Returns
    -------
    Columns task, model, group, control, stack, layer, value, lo, hi, n, n_images.
    """
    many = list(results.values()) if isinstance(results, Mapping) else [results]
    return pd.DataFrame([row for result in many for row in _rows(check(result))], columns=[*COLUMNS])


def _rows(result: Result) -> list[dict[str, Any]]:
    there = result.frame[["group", "control"]].dropna().drop_duplicates()
    pairs = set(there.itertuples(index=False, name=None))
    controls = [
        c for c in ("none", "mean region", "random weights", "mismatched") if c in set(there["control"])
    ]
    wanted = [(group, control) for control in controls for group in (*EMBEDDINGS, HEADS)]
    wanted += [(group, "none") for group in BASELINES]
    found = []
    for group, control in wanted:
        if (group, control) in pairs:
            row = score(result, group, control)
            place = {"task": task_name(result), "model": result.meta["model"]}
            found.append(place | {c: row.get(c) for c in COLUMNS if c not in place})
    return found


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the attention of heads tells more of a task than what needs no training or no model.

    Attributes
    ----------
    holds
        The interval of the attention variant lies above every rival's score; None: cannot be tested, since
        a rival was not run.
    value, lo, hi
        Of the attention variant.
    rivals
        Rival -> its score.
    """

    holds: bool | None
    value: float
    lo: float
    hi: float
    rivals: dict[str, float]

    @property
    def unbeaten(self) -> list[str]:
        """The rivals that the interval does not lie above."""
        return [name for name, value in self.rivals.items() if not self.lo > value]


def verdict(result: Result) -> Verdict:
    """Observation (v) of the paper on one task, by the rule that was fixed beforehand.

    It holds where the 95 % interval of the statistics of heads lies above the scores of the same statistics
    with random weights, of a bag of words, and of the length.
    """
    own = score(result, HEADS)
    rivals: dict[str, float] = {}
    for name in RIVALS:
        group, control = (HEADS, name) if name == "random weights" else (name, "none")
        if ((result.frame["group"] == group) & (result.frame["control"] == control)).any():
            rivals[name] = float(score(result, group, control)["value"])
    value, lo, hi = (float(own[c]) for c in ("value", "lo", "hi"))
    tested = len(rivals) == len(RIVALS) and lo == lo
    return Verdict(all(lo > v for v in rivals.values()) if tested else None, value, lo, hi, rivals)
