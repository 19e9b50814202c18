"""Results read aloud: the number of a notebook in a sentence, with its interval, and no more than it says."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from value_nb import importance

if TYPE_CHECKING:
    from value_nb.result import Result


GATE = "The model misses its quality gate, so none of this is evidence about trained models."


def read_aloud(result: Result) -> str:
    """What a result says, in sentences made from its numbers, one to a line; or why there is no number.

    Raises
    ------
    ValueError
        For a result of a probe that has no sentences yet.
    """
    if result.probe not in SENTENCES:
        known = ", ".join(sorted(SENTENCES))
        raise ValueError(f"no sentences for {result.probe!r}; there are sentences for: {known}")
    if result.reason is not None:
        return f"There is no number for {result.meta['model']}: {result.reason}."
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
    return [f"At that layer {_models(n)} reach {low:.2f} to {high:.2f}."]


def _modality(result: Result) -> str:
    if why := importance.nothing(result):
        return f"There is no number for {result.meta['model']}: {why}."
    sentences = [_where(result), _most_to_text(result)]
    sentences += [_most_layers(result, weighing, "paper") for weighing in importance.SHARES]
    sentences.append(_without_specials(result))
    if result.meta.get("gate_met") is False:
        sentences.append(GATE)
    return "\n".join(sentences)


def _most_to_text(result: Result) -> str:
    """The layer that gives most to the text, beside an even spread and the random models."""
    rows = importance.layers(result, "cls_mass")
    own = rows[rows["control"] == "none"]
    top = own.sort_values("value", kind="stable").iloc[-1]
    level = importance.even(result, "cls_mass")
    said = f"[CLS] gives most to the text in layer {top['layer']}: {_spell(top)} of its attention"
    random = rows[(rows["control"] == "random weights") & (rows["layer"] == top["layer"])]["value"]
    beside = f", and {_models(len(random))} give {random.min():.2f} to {random.max():.2f}"
    return f"{said}; an even spread would give {level:.2f}{beside if len(random) else ''}."


def _most_layers(result: Result, weighing: str, specials: str) -> str:
    found = importance.verdict(result, weighing, specials)
    said = "holds" if found.holds else "does not hold"
    place = "Raw" if weighing == "raw" else "Per position"
    return (
        f"{place}, the text gets more than the image in {found.above} of {found.layers} layers (interval "
        f"above one half), so “more to text in most layers” {said} here."
    )


def _without_specials(result: Result) -> str:
    found = {weighing: importance.verdict(result, weighing, "excluded") for weighing in importance.SHARES}
    counted = [f"{one.above} of {one.layers} {weighing}" for weighing, one in found.items()]
    return f"With [CLS] and [SEP] left out it is {' and '.join(counted)}."


def _models(n: int) -> str:
    return f"{n} model{'s' * (n != 1)} of the same shape with random weights"


def _spell(row: Any) -> str:
    return f"{row['value']:.2f} ({row['lo']:.2f} to {row['hi']:.2f})"


SENTENCES: dict[str, Callable[[Result], str]] = {"fusion_degree": _fusion, "modality_importance": _modality}
"""Probe -> what makes its sentences."""
