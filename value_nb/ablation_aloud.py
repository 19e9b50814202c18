"""Ablation results in sentences made from their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from value_nb import cross_modal_losses, head_curves
from value_nb.cross_modal_losses import SIDES
from value_nb.head_curves import ACCURACY, AUC, LOSS, RANDOM

if TYPE_CHECKING:
    from value_nb.result import Result

NAMES = {
    ACCURACY: "the share of masked words that are right",
    AUC: "the AUC of telling own pictures from others'",
}
PREDICTED = {"masked_phrase": "the words of a phrase", "masked_region": "the class of a region"}


def head_sentences(result: Result) -> list[str]:
    """What switching heads off does, beside random heads; or why there is no number."""
    if why := head_curves.nothing(result):
        return [f"There is no number for {result.meta['model']}: {why}."]
    said = [_whose(result)]
    for measure in (AUC, ACCURACY):
        if measure in head_curves.measures(result):
            said += [_levels(result, measure), _largest(result, measure)]
            said += [_loss(result)] if measure == ACCURACY else []
        else:
            why = result.select(measure=measure)["note"].iloc[0]
            said.append(f"There is no number for {NAMES[measure]}: {why}.")
    return said


def _whose(result: Result) -> str:
    meta = result.meta
    by = meta["pointed_by"]
    if by is None:
        return f"Heads are switched off in the order given; {meta['control_notes'][RANDOM]}."
    same = by["split"] == meta["split"] and by["data"] == meta["data"]
    where = "the same split as is asked here" if same else f"the split {by['split']}"
    return (
        f"Heads are ranked by {by['said']} on {by['n_images']:,} pictures of {where}; "
        f"{meta['control_notes'][RANDOM]}."
    )


def _levels(result: Result, measure: str) -> str:
    full, bare = head_curves.curve(result, measure).iloc[0], head_curves.without_picture(result, measure)
    return f"With nothing off, {NAMES[measure]} is {_spell(full)}, without the picture {bare['value']:.2f}."


def _largest(result: Result, measure: str) -> str:
    """The largest set: pointed, random, and the difference."""
    own, apart = (find(result, measure).iloc[-1] for find in (head_curves.curve, head_curves.difference))
    random = head_curves.band(result, measure).loc[own["size"]]
    so = _so(apart["lo"], apart["hi"])
    return (
        f"With the first {own['size']} of {result.meta['n_heads']} heads off it is {_spell(own)}; with as "
        f"many random heads off it is {random['min']:.2f} to {random['max']:.2f}. The difference from their "
        f"mean is {apart['value']:+.2f}{_span(apart)}, {so}."
    )


def _loss(result: Result) -> str:
    """The finer measure of the same words: the difference at the largest set, where higher is worse."""
    apart = head_curves.difference(result, LOSS).iloc[-1]
    return (
        f"The loss on these words, a finer measure, is {_signed(apart)} above that with random heads off, "
        f"{_so(-apart['hi'], -apart['lo'])}."
    )


def _so(lo: float, hi: float) -> str:
    """What the interval of (pointed minus random) says, where less means that pointed heads are needed."""
    if hi < 0:
        return "so here the model needs them more than random heads"
    if lo > 0:
        return "so here the model needs them less than random heads"
    return "so these pictures cannot tell whether the model needs them more than random heads"


def _spell(row: Any) -> str:
    """The number, with its interval where there is more than one picture."""
    span = f" ({row['lo']:.2f} to {row['hi']:.2f})" if row["lo"] == row["lo"] else ""
    return f"{row['value']:.2f}{span}"


def cross_modal_sentences(result: Result) -> list[str]:
    """What either side loses, beside as much taken from elsewhere; or why there is no number."""
    if why := cross_modal_losses.nothing(result):
        return [f"There is no number for {result.meta['model']}: {why}."]
    there = cross_modal_losses.sides(result)
    said = [line for side in SIDES for line in _side(result, side, side in there)]
    return [*said, *_either(result)] if len(there) == len(SIDES) else said


def _side(result: Result, side: str, there: bool) -> list[str]:
    if not there:
        return [f"There is no number for {PREDICTED[side]}: {cross_modal_losses.why_not(result, side)}."]
    whole, _, need, none = SIDES[side]
    added = _own(result, side, "added")
    start = _own(result, side, "loss").loc[whole]
    return [
        f"The loss on {PREDICTED[side]} is {_spell(start)} nats with everything there. {need.capitalize()} "
        f"{_more(added.loc[need])}, {none} {_more(added.loc[none])}.",
        _beside_others(result, side, need),
    ]


def _beside_others(result: Result, side: str, need: str) -> str:
    row = cross_modal_losses.beyond_others(result, side)
    what = "regions" if side == "masked_phrase" else "words"
    if row["lo"] > 0:
        so = f"so here it is these {what} that count"
    elif row["hi"] < 0:
        so = f"so here these {what} count less than others"
    else:
        so = f"so these pictures cannot tell whether it is these {what} that count"
    return f"That is {_signed(row)} beyond what goes with as many other {what}, {so}."


def _either(result: Result) -> list[str]:
    """The paper's question: which side leans more on the other."""
    row = cross_modal_losses.asymmetry(result)
    if row["lo"] > 0:
        so = "so here words lean more on the picture than regions on the text"
    elif row["hi"] < 0:
        so = "so here regions lean more on the text than words on the picture"
    else:
        so = "so these pictures cannot tell which leans more on the other"
    return [
        f"Without the whole other modality words lose {_signed(row)} more than regions, {so}; the two losses "
        "are over different sets of answers."
    ]


def _own(result: Result, side: str, kind: str) -> Any:
    rows = cross_modal_losses.losses(result, side, kind)
    return rows[rows["control"] == "none"].set_index("group")


def _more(row: Any) -> str:
    return f"it is {_signed(row)}"


def _signed(row: Any) -> str:
    return f"{row['value']:+.2f} nats{_span(row)}"


def _span(row: Any) -> str:
    """The interval of a difference; nothing where one picture gave none."""
    return f" ({row['lo']:+.2f} to {row['hi']:+.2f})" if row["lo"] == row["lo"] else ""
