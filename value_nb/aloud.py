"""Results read aloud: the number of a notebook in a sentence, with its interval, and no more than it says."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from value_nb import (
    ablation_aloud,
    coreference_aloud,
    crossmodal,
    importance,
    linguistic_aloud,
    probe_aloud,
    quality_gate,
)
from value_nb.general_aloud import say_any

if TYPE_CHECKING:
    from value_nb.result import Result


def read_aloud(result: Result) -> str:
    """What a result says, in sentences made from its numbers, one to a line; or why there is no number.

    The last sentence says what the quality card or the sanity gate says of the model, where there is anything
    to say. A probe without sentences of its own gets general ones (`general_aloud.say_any`).
    """
    if result.reason is not None:
        return f"There is no number for {result.meta['model']}: {result.reason}."
    said = SENTENCES.get(result.probe, say_any)(result)
    return "\n".join(line for line in (said, quality_gate.sentence(result.meta)) if line)


def verdict(lo: float, hi: float, below: str, above: str, between: str) -> str:
    """`below` where the interval lies below 0, `above` where it lies above, else `between`."""
    if hi < 0:
        return below
    return above if lo > 0 else between


def _fusion(result: Result) -> str:
    frame = result.select(measure="ami", specials="paper", control="none").sort_values("layer")
    last = frame.iloc[-1]
    sentences = [_where(result), _ends(frame), *_change(result), *_beside_random(result, last)]
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
    interval = _interval(row)
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


def _cross_modal(result: Result) -> str:
    if why := crossmodal.nothing(result):
        return f"There is no number for {result.meta['model']}: {why}."
    directions = list(dict.fromkeys(result.frame["direction"]))
    sentences = [_where(result)]
    for direction in directions:
        sentences += [_heads_above_half(result, direction), _beyond_counts(result, direction)]
        sentences += _subset_of_heads(result, direction)
    return "\n".join(sentences)


def _heads_above_half(result: Result, direction: str) -> str:
    """The paper's numbers in ours, and why they do not say much by themselves."""
    table = crossmodal.summary(result, direction)
    rows = result.select(measure="largest_head", direction=direction, specials="paper", control="none")
    n = crossmodal.head_map(result, "share_of_pairs", direction).size
    said = (
        f"{direction}: {table['none']['share_of_heads']:.0%} of {n} heads look across in more than half "
        f"of the pairs, the largest in {_spell(rows.iloc[0])} of them"
    )
    if "random weights" in table:
        said += f"; of heads with random weights it is {table['random weights']['share_of_heads']:.0%}"
    return f"{said}. This share depends on how many words and regions there are."


def _beyond_counts(result: Result, direction: str) -> str:
    """The head that gives most across beyond the share of positions, without specials."""
    found = crossmodal.heads(result, "mass_minus_expected", direction, "excluded")
    top = found[found["control"] == "none"].sort_values("value", kind="stable").iloc[-1]
    interval = _interval(top)
    return (
        f"With [CLS] and [SEP] left out, head {top['head']} of layer {top['layer']} gives most across beyond "
        f"the share of positions: {top['value']:+.2f} ({interval})."
    )


def _subset_of_heads(result: Result, direction: str) -> list[str]:
    """The rule for "a subset of heads"; nothing without the random-weight models that it needs."""
    if crossmodal.random_models(result) < crossmodal.RANDOM_MODELS:
        return []
    found = crossmodal.verdict(result, direction)
    said = "holds" if found.holds else "does not hold"
    return [
        f"{found.above} of {found.heads} heads lie above {found.threshold:+.2f}, the 99th percentile of "
        f"{_models(crossmodal.RANDOM_MODELS)} (chance gives {found.least} or more in fewer than 5 of 100 "
        f"models), so “a subset of heads is tailored to cross-modal interaction” {said} here."
    ]


def _coreference(result: Result) -> str:
    return "\n".join([_where(result), *coreference_aloud.sentences(result)])


def _cross_modal_ablation(result: Result) -> str:
    return "\n".join([_where(result), *ablation_aloud.cross_modal_sentences(result)])


def _head_ablation(result: Result) -> str:
    return "\n".join([_where(result), *ablation_aloud.head_sentences(result)])


def _questions(result: Result) -> str:
    return "\n".join([_where(result), *probe_aloud.sentences(result)])


def _models(n: int) -> str:
    return f"{n} model{'s' * (n != 1)} of the same shape with random weights"


def _interval(row: Any) -> str:
    """Of a difference, in words; one picture alone gives none."""
    if row["lo"] != row["lo"]:
        return "no interval"
    return f"95 % interval {row['lo']:+.2f} to {row['hi']:+.2f}"


def _spell(row: Any) -> str:
    if row["lo"] != row["lo"]:
        return f"{row['value']:.2f} (no interval)"
    return f"{row['value']:.2f} ({row['lo']:.2f} to {row['hi']:.2f})"


SENTENCES: dict[str, Callable[[Result], str]] = {
    "coreference_attention": _coreference,
    "coreference_probe": _questions,
    "cross_modal_ablation": _cross_modal_ablation,
    "cross_modal_heads": _cross_modal,
    "fusion_degree": _fusion,
    "head_ablation": _head_ablation,
    "linguistic_probe": linguistic_aloud.sentences,
    "modality_importance": _modality,
    "relation_probe": _questions,
}
"""Probe -> what makes its sentences."""
