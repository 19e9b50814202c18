"""What the result of a classifier probe with several questions holds: curves, levels, and what to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from value_nb.best_layer import best_layer

if TYPE_CHECKING:
    import pandas as pd

    from value_nb.result import Result

VIEWS = ("embedding probe", "bilinear embedding probe")
NO_MODEL = ("class pair only", "geometry only", "class pair + geometry")


@dataclass(frozen=True, slots=True)
class Floor:
    """What needs no features: the majority, or 1 / number of answers where that is higher."""

    value: float
    label: str


@dataclass(frozen=True, slots=True)
class Best:
    """The embedding probe at the layer that is best on validation; `row` is of the test split."""

    stack: str
    layer: int
    row: Any


def questions(result: Result) -> list[str]:
    """The questions that were put, in order."""
    return [*result.meta["settings"]["questions"]]


def pick_question(result: Result, question: str | None) -> str:
    """The question, or the first. Raises ValueError for one that was not put."""
    asked = questions(result)
    if question is not None and question not in asked:
        raise ValueError(
            f"question={question!r} came; {result.probe} was asked: {', '.join(map(repr, asked))}"
        )
    return asked[0] if question is None else question


def why_not(result: Result, question: str) -> str | None:
    """Why the data cannot ask the question, or None."""
    frame = result.frame
    row = frame[(frame["group"] == question) & (frame["control"] == "none")]
    return None if row.empty else str(row.iloc[0]["note"])


def view(result: Result, question: str) -> str:
    """Which embedding probe a question has."""
    there = set(result.frame["group"])
    return next(name for name in VIEWS if f"{question}, {name}" in there)


def curve(
    result: Result, question: str, control: str, subset: str | None = None, measure: str = "accuracy"
) -> pd.DataFrame:
    """The embedding probe by stack and layer, under a control ("none"); empty where that was not run.

    Raises
    ------
    ValueError
        For a subset that there is not.
    """
    frame = result.frame
    group = f"{question}, {view(result, question)}"
    wanted = group if subset is None else f"{group}, {subset}"
    if wanted not in set(frame["group"]):
        found = {g.removeprefix(f"{group}, ") for g in frame["group"].dropna() if g.startswith(f"{group}, ")}
        raise ValueError(
            f"subset={subset!r} came; {question} has: {', '.join(map(repr, sorted(found))) or 'none'}"
        )
    rows = frame["measure"].eq(measure) & frame["group"].eq(wanted) & frame["control"].eq(control)
    return frame[rows].reset_index(drop=True)


def level(result: Result, question: str, name: str, subset: str | None = None, control: str = "none") -> Any:
    """The one row of something that has no layers (the attention probe, a baseline); None without."""
    frame = result.frame
    group = f"{question}, {name}" + (f", {subset}" if subset else "")
    rows = frame[frame["measure"].eq("accuracy") & frame["group"].eq(group) & frame["control"].eq(control)]
    return rows.iloc[0] if len(rows) == 1 else None


def baselines(result: Result, question: str) -> list[str]:
    """Baselines without a model that stand beside a question."""
    there = set(result.frame["group"])
    return [name for name in NO_MODEL if f"{question}, {name}" in there]


def sides(result: Result, question: str) -> dict[str, Any]:
    """Side alone ("phrase only") -> its row at the best layer."""
    prefix = f"{question}, {view(result, question)}: "
    frame = result.frame
    rows = frame[
        frame["measure"].eq("accuracy")
        & frame["control"].eq("none")
        & frame["group"].str.startswith(prefix)
        & ~frame["group"].str.removeprefix(prefix).str.contains(", ")
    ]
    return {str(row["group"]).removeprefix(prefix): row for _, row in rows.iterrows()}


def best(result: Result, question: str, control: str = "none") -> Best:
    """The embedding probe at the layer that is best on validation; of equals the first."""
    stack, layer = best_layer(result.frame, f"{question}, {view(result, question)}", control)
    rows = curve(result, question, control)
    return Best(stack, layer, rows[(rows["stack"] == stack) & (rows["layer"] == layer)].iloc[0])


def control_task(result: Result, question: str, measure: str = "control_task_accuracy") -> Any:
    """The row of the control task, or of "selectivity", at the embedding probe's best layer; None without.

    Where the items' types allow no control task, its value is nan and the column `note` says why.
    """
    at = best(result, question)
    rows = curve(result, question, "none", measure=measure)
    if rows.empty:
        return None
    rows = rows[(rows["stack"] == at.stack) & (rows["layer"] == at.layer)]
    return rows.iloc[0] if len(rows) else None


def floor(result: Result, question: str, subset: str | None = None) -> Floor:
    """What a classifier without features reaches."""
    frame = result.frame[result.frame["control"] == "none"]
    group = f"{question}, majority" + (f", {subset}" if subset else "")
    majority = float(frame[frame["group"] == group]["value"].iloc[0])
    chance = float(frame[frame["group"] == f"{question}, chance"]["value"].iloc[0])
    if majority >= chance:
        return Floor(majority, f"majority: {majority:.2f}")
    return Floor(chance, f"chance: {chance:.2f}")
