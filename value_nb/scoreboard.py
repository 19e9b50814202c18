"""The scoreboard: every observation of the paper, held against every model, by rules fixed beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from value_nb import quality_gate
from value_nb.observations import OBSERVATIONS, UNTESTED, Finding, Observation

if TYPE_CHECKING:
    import pandas as pd


Measured = Mapping[str, Any]
"""Probe -> its result; for "linguistic_probe" task -> result."""

COLUMNS = (
    "observation", "claim", "rule", "model", "verdict", "number", "value", "lo", "hi", "against", "n",
    "n_images", "data", "split", "gate_met", "gate", "notebook",
)  # fmt: skip
PUBLISHED = ("probe", "published_model", "published_data", "said", "published")
"""What tells one published number from another."""

NOT_MEASURED = "not measured"


def scoreboard(measured: Mapping[str, Measured]) -> pd.DataFrame:
    """Judge every observation for every model.

    Parameters
    ----------
    measured
        Model -> probe -> result, as `value_nb.measure_observations` returns it for one model.

    Returns
    -------
    One row for each observation and model. `verdict` is "holds", "does not hold" or "cannot be tested";
    `number` says what decided, or why there is nothing to decide by; `value`, `lo`, `hi` are that number with
    its 95 % interval over the pictures of this one trained model, `against` is what the interval was held
    against; `gate` says what a quality card or sanity gate holds against the model, "" where nothing does;
    `notebook` is where the number is made and explained.
    """
    import pandas as pd

    rows = [_row(one, model, results) for one in OBSERVATIONS for model, results in measured.items()]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def sentences(board: pd.DataFrame) -> list[str]:
    """The board read aloud: a sentence for each observation, the models of one verdict together.

    Why an observation cannot be tested on a model stands in the board's `number`.
    """
    said = []
    for key, rows in board.groupby("observation", sort=False):
        parts = [
            f"{verdict} for {', '.join(_named(row) for _, row in same.iterrows())}"
            for verdict, same in rows.groupby("verdict", sort=False)
        ]
        said.append(f"({key}) “{rows['claim'].iloc[0]}” {'; '.join(parts)}.")
    return said


def beside_paper(measured: Mapping[str, Measured]) -> pd.DataFrame:
    """The paper's numbers, each with those of our models that stand at the same place.

    Returns
    -------
    One row for each published entry at whose place a model of ours has a number: probe, published_model, said
    and published, then a column for each model, its value with its 95 % interval; "" where it has none.
    Linguistic tasks are statements about all nine and have no row.
    """
    import pandas as pd

    tables = [
        result.compare().assign(probe=probe, model=model)
        for model, results in measured.items()
        for probe, result in results.items()
        if not isinstance(result, Mapping)
    ]
    joined = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    if joined.empty or joined[["published", "value"]].isna().any(axis=1).all():
        return pd.DataFrame(columns=[*PUBLISHED])
    known = joined.dropna(subset=["published", "value"])
    known = known.assign(ours=[_spell(row) for _, row in known.iterrows()])
    wide = known.pivot(index=list(PUBLISHED), columns="model", values="ours").fillna("")
    order = known[[*PUBLISHED]].drop_duplicates()
    return wide.loc[list(order.itertuples(index=False, name=None))].reset_index().rename_axis(columns=None)


def _spell(row: Any) -> str:
    return f"{row['value']:.2f} ({row['lo']:.2f} to {row['hi']:.2f})"


def _named(row: Any) -> str:
    """A model with what decided; one whose gate is not met says so."""
    said = [] if row["verdict"] == UNTESTED else [row["number"]]
    said += [row["gate"]] if row["gate"] else []
    return f"{row['model']} ({', '.join(said)})" if said else str(row["model"])


def _row(observation: Observation, model: str, results: Measured) -> dict[str, Any]:
    found = _judged(observation, results.get(observation.probe))
    meta = _meta(results.get(observation.probe))
    kept = {name: meta.get(name) for name in ("n", "n_images", "data", "split", "gate_met")}
    return {
        "observation": observation.key, "claim": observation.claim, "rule": observation.rule, "model": model,
        "verdict": found.verdict, "number": found.said, "value": found.value, "lo": found.lo, "hi": found.hi,
        "against": found.against, "notebook": observation.notebook, **kept, "gate": quality_gate.short(meta),
    }  # fmt: skip


def _judged(observation: Observation, result: Any) -> Finding:
    """A finding; without a number, the reason."""
    if result is None:
        return Finding(None, NOT_MEASURED)
    if isinstance(result, Mapping):
        return observation.judge(result)
    if result.reason is not None:
        return Finding(None, result.reason)
    return observation.judge(result) if len(result.frame) else Finding(None, "no example could be asked")


def _meta(result: Any) -> dict[str, Any]:
    """Facts of a result; of several tasks, sums and the name that they share."""
    if result is None:
        return {}
    if not isinstance(result, Mapping):
        return dict(result.meta)
    metas = [one.meta for one in result.values()]
    names = {str(meta["data"]).rpartition("/")[0] for meta in metas}
    counted = {name: sum(meta[name] for meta in metas) for name in ("n", "n_images")}
    return metas[0] | counted | {"data": "+".join(sorted(names))}
