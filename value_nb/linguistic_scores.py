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
VIEWS = (HEADS, "embedding")
"""What the rule is put to: the attention of heads, and in a row of its own the states."""

BASELINES = ("majority", "length", "bag of words")
RIVALS = ("random weights", "bag of words", "length")
"""What the attention variant has to lie above, for the observation that heads encode linguistic knowledge."""

CODED = ("accuracy", "description_length", "compression")

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


def no_selectivity(result: Result) -> str:
    """Why there is no selectivity on this task, in words; "" where there is."""
    rows = check(result).select(measure="selectivity", control="none")
    missing = rows[rows["unit"] == "not defined"]
    return "" if len(missing) < len(rows) else str(missing["note"].iloc[0])


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
    controls = [control for control in CONDITIONS if control in set(there["control"])]
    wanted = [(group, control) for control in controls for group in (*EMBEDDINGS, HEADS)]
    wanted += [(group, "none") for group in BASELINES]
    found = []
    for group, control in wanted:
        if (group, control) in pairs:
            row = score(result, group, control)
            place = {"task": task_name(result), "model": result.meta["model"]}
            found.append(place | {c: row.get(c) for c in COLUMNS if c not in place})
    return found


def code_table(result: Result) -> pd.DataFrame:
    """Description length of the training labels: bits a label and compression, of each view where it is best.

    Parameters
    ----------
    result
        Of `LinguisticProbe(description_length=True)`.

    Returns
    -------
    Rows by view; columns stack, layer (best on validation), accuracy, bits per label, compression, lo, hi (of
    the compression: above 1 the features help).

    Raises
    ------
    ValueError
        For a result without description lengths.
    """
    if not check(result).frame["measure"].eq("compression").any():
        raise ValueError(
            f"the result of {result.meta['model']} has no description lengths; run it with "
            "LinguisticProbe(description_length=True)"
        )
    rows = {}
    for group in (*EMBEDDINGS, HEADS):
        own, bits, ratio = (score(result, group, measure=m) for m in CODED)
        rows[group] = {c: own.get(c) for c in ("stack", "layer")} | {
            "accuracy": own["value"], "bits per label": bits["value"], "compression": ratio["value"],
            "lo": ratio["lo"], "hi": ratio["hi"],
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("view")


def score_table(results: Mapping[str, Result]) -> pd.DataFrame:
    """Tasks as rows: test scores of the views at their best layers, beside baselines and random weights."""
    table = scores(results)
    shown = table["control"].isin(["none", "random weights"])
    named = table["group"].where(table["control"] == "none", table["group"] + ", random weights")
    order = [name for name in dict.fromkeys(named[shown])]
    wide = table[shown].assign(name=named[shown]).pivot(index="task", columns="name", values="value")
    return wide.reindex(index=list(dict.fromkeys(table["task"])), columns=order).rename_axis(columns=None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the heads, or the states, tell more of a task than what needs no training or no model.

    Attributes
    ----------
    value, lo, hi
        Of the view that is judged.
    rivals
        Rival -> its score, of those that were run.
    """

    value: float
    lo: float
    hi: float
    rivals: dict[str, float]

    @property
    def holds(self) -> bool | None:
        """The interval lies above every rival's score; None: cannot be tested."""
        return None if self.untested else not self.unbeaten

    @property
    def unbeaten(self) -> list[str]:
        """The rivals that the interval does not lie above."""
        return [name for name, value in self.rivals.items() if not self.lo > value]

    @property
    def untested(self) -> str:
        """Why the rule cannot be put, in words; "" where it can.

        A rival was not run, there is no interval, or a rival answers every sentence (the length does, where
        the class is the length): nothing can lie above that, so that failing to would say nothing.
        """
        if missing := [name for name in RIVALS if name not in self.rivals]:
            return f"without {' and '.join(missing)} there is nothing to hold it against"
        if self.lo != self.lo:
            return "there is no interval"
        full = [name for name, value in self.rivals.items() if value >= 1.0]
        return (
            f"{' and '.join(full)} alone answers every sentence, above which nothing can lie" if full else ""
        )


def best_pooling(result: Result, control: str = "none") -> str:
    """ "[CLS]" or "mean", whichever does better on validation at its best layer; of equals the first."""
    found = {g: score(result, g, control, "validation_accuracy")["value"] for g in EMBEDDINGS}
    return max(found, key=lambda group: found[group])


def verdict(result: Result, view: str = HEADS) -> Verdict:
    """Observation (v) of the paper on one task, by the rule that was fixed beforehand.

    It holds where the 95 % interval of the view lies above the scores of the same view with random weights,
    of a bag of words, and of the length.

    Parameters
    ----------
    view
        "heads": statistics of the heads' attention, which the observation is about; "embedding": the states,
        for a row of their own, at the pooling and layer that are best on validation (those of the
        random-weight model chosen in the same way).

    Raises
    ------
    ValueError
        For another view.
    """
    if view not in VIEWS:
        raise ValueError(f"view={view!r}; expected one of {', '.join(map(repr, VIEWS))}")
    own = _of_view(result, view, "none")
    there = set(result.frame[["group", "control"]].dropna().itertuples(index=False, name=None))
    rivals: dict[str, float] = {}
    for name in RIVALS:
        if name == "random weights" and (HEADS, name) in there:
            rivals[name] = float(_of_view(result, view, name)["value"])
        elif (name, "none") in there:
            rivals[name] = float(score(result, name)["value"])
    return Verdict(float(own["value"]), float(own["lo"]), float(own["hi"]), rivals)


def _of_view(result: Result, view: str, control: str) -> pd.Series:
    return score(result, view if view == HEADS else best_pooling(result, control), control)


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Observation (v) over several tasks: in how many of them a view tells more than its rivals.

    Attributes
    ----------
    tasks
        Task in words -> its verdict.
    undefined
        Task in words -> why the probe makes no sense for this model; no verdict stands for these.
    """

    tasks: dict[str, Verdict]
    undefined: dict[str, str]

    @property
    def held(self) -> list[str]:
        """Tasks on which the rule holds."""
        return [task for task, one in self.tasks.items() if one.holds]

    @property
    def tested(self) -> list[str]:
        """Tasks on which the rule could be put."""
        return [task for task, one in self.tasks.items() if one.holds is not None]

    @property
    def untested(self) -> dict[str, str]:
        """Task -> why the rule could not be put."""
        return {task: one.untested for task, one in self.tasks.items() if one.untested} | self.undefined

    @property
    def holds(self) -> bool | None:
        """On more than half of the tested tasks; None where none could be tested.

        The protocol fixes the rule for a task. "Most" is what it fixes for observation (i) over layers.
        """
        return 2 * len(self.held) > len(self.tested) if self.tested else None


def verdict_all(results: Mapping[str, Result], view: str = HEADS) -> Verdicts:
    """Observation (v) of the paper over all tasks of one model.

    Parameters
    ----------
    results
        What `value_nb.probe_linguistics` returns: task -> result. None at all: nothing could be tested.
    view
        As in `verdict`.

    Raises
    ------
    ValueError
        For another view, another probe's results, or results of several models.
    """
    models = sorted({str(one.meta.get("model")) for one in results.values()})
    if len(models) > 1:
        raise ValueError(
            f"results of {len(models)} models came ({', '.join(models)}); expected what "
            "value_nb.probe_linguistics returns for one"
        )
    found: dict[str, Verdict] = {}
    undefined: dict[str, str] = {}
    for task, result in results.items():
        named = task.replace("_", " ")
        if result.probe == PROBE and result.reason is not None:
            undefined[named] = result.reason
        else:
            found[named] = verdict(result, view)
    return Verdicts(found, undefined)
