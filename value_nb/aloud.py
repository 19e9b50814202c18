"""Results read aloud: the number of a notebook in a sentence, with its interval, and no more than it says."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from value_nb.result import Result


GATE = "The model misses its quality gate, so none of this is evidence about trained models."


def read_aloud(result: Result) -> str:
    """What a result says, in sentences made from its numbers, one to a line.

    Raises
    ------
    ValueError
        For a result that is not defined for its model, or of a probe that has no sentences yet.
    """
    result.check_defined()
    if result.probe not in SENTENCES:
        known = ", ".join(sorted(SENTENCES))
        raise ValueError(f"no sentences for {result.probe!r}; there are sentences for: {known}")
    return SENTENCES[result.probe](result)


def verdict(lo: float, hi: float, below: str, above: str, between: str) -> str:
    """`below` where the interval lies below 0, `above` where it lies above, else `between`."""
    if hi < 0:
        return below
    return above if lo > 0 else between


def _fusion(result: Result) -> str:
    frame = result.select(measure="ami", specials="paper", control="none").sort_values("layer")
    last = frame.iloc[-1]
    sentences = [_where(result), _ends(frame), *_change(result), *_beside_random(result, last)]
    if result.meta.get("gate_met") is False:
        sentences.append(GATE)
    return "\n".join(sentences)


def _where(result: Result) -> str:
    meta = result.meta
    return f"{meta['model']} on {meta['data']}, {meta['n']:,} pairs of {meta['n_images']:,} pictures."


def _ends(frame: Any) -> str:
    first = frame[frame["layer"] == 1].iloc[0] if (frame["layer"] == 1).any() else frame.iloc[0]
    ends = [f"{_spell(row)} at layer {row['layer']}" for row in (first, frame.iloc[-1])]
    return f"The agreement of clusters and modalities (AMI) is {ends[0]} and {ends[1]}."


def _change(result: Result) -> list[str]:
    """Last layer minus layer 1; nothing for a stack of one layer."""
    if "ami_last_minus_first" not in set(result.frame["measure"]):
        return []
    row = result.select(measure="ami_last_minus_first", specials="paper", control="none").iloc[0]
    said = verdict(
        row["lo"],
        row["hi"],
        "so here the last layer is more fused than the first",
        "so here the last layer is less fused than the first",
        "so these pictures cannot tell whether the last layer is more fused than the first",
    )
    interval = f"95 % interval {row['lo']:+.2f} to {row['hi']:+.2f}"
    return [f"The change is {row['value']:+.2f} ({interval}), {said}."]


def _beside_random(result: Result, last: Any) -> list[str]:
    """The last layer beside the random-weight models; nothing when that control was not run."""
    if "random weights" not in set(result.frame["control"]):
        return []
    rows = result.select(measure="ami", specials="paper", control="random weights", layer=int(last["layer"]))
    low, high, n = rows["value"].min(), rows["value"].max(), len(rows)
    models = f"{n} model{'s' * (n != 1)} of the same shape with random weights"
    return [f"At that layer {models} reach {low:.2f} to {high:.2f}."]


def _spell(row: Any) -> str:
    return f"{row['value']:.2f} ({row['lo']:.2f} to {row['hi']:.2f})"


SENTENCES: dict[str, Callable[[Result], str]] = {"fusion_degree": _fusion}
"""Probe -> what makes its sentences."""
