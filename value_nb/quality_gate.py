"""Is a model good enough to be asked? What its card or a sanity gate says, for figures and sentences.

There are two sources and one way to say them. A model of the miniature has a card, made when it was built:
`gate_met` there is True or False. A real checkpoint has none; `value_nb.sanity_gate` measures it on the data
at hand (`value_nb/sanity.py`). Both end up in `meta["gate_met"]` and `meta["gate"]` of every result, and what
a figure or a sentence says of them is made here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from value_nb.models.base import VLModel
    from value_nb.sanity import SanityGate

MET, NOT_MET, UNDECIDED = "met", "not met", "undecided"
NOT_MEASURED, NOT_DEFINED = "not measured", "not defined"
VERDICTS = (MET, NOT_MET, UNDECIDED, NOT_MEASURED, NOT_DEFINED)
ANSWERS = {True: MET, False: NOT_MET, None: NOT_MEASURED}
"""What a card's `gate_met` means in words."""

CARD, MEASURED = "card", "measured"
KEY = "sanity_gate"
"""Where a model's card keeps a measured gate."""

CARD_MISSED = "quality gate not met: this model cannot support the figure"
CARD_MISSED_ALOUD = "The model misses its quality gate, so none of this is evidence about trained models."


def sees_pictures(model: VLModel) -> bool:
    """Whether any of its attention goes to, from or among regions."""
    return any("image" in name for names in model.directions.values() for name in names)


def is_known(model: VLModel) -> bool:
    """Whether somebody has measured the model: its card answers, or holds a measured gate."""
    return model.gate_met is not None or KEY in model.card


def of_model(model: VLModel) -> dict[str, Any]:
    """What is known of a model, as it stands under "gate" in a result's meta.

    Returns
    -------
    `source` ("card", "measured" or None), `verdict` (one of `VERDICTS`), `reason` (a sentence) and, where it
    was measured, the numbers (`SanityGate.record`).
    """
    if KEY in model.card:
        return dict(model.card[KEY])
    if model.gate_met is not None:
        reason = f"The card beside its weights says that its quality gate is {ANSWERS[model.gate_met]}."
        return {"source": CARD, "verdict": ANSWERS[model.gate_met], "reason": reason}
    verdict, reason = _unknown(model)
    return {"source": None, "verdict": verdict, "reason": reason}


def answer(card: Mapping[str, Any]) -> bool | None:
    """Whether a card, with the measured gate in it, says that the model is good enough; None: unknown."""
    own = card.get("gate_met")
    return both(None if own is None else bool(own), card.get(KEY, {}))


def both(own: bool | None, gate: Mapping[str, Any]) -> bool | None:
    """A card's answer and a gate's in one: missed where either is missed."""
    measured = {MET: True, NOT_MET: False}.get(gate.get("verdict", ""))
    if False in (own, measured):
        return False
    return own if measured is None else measured


def with_gate(card: Mapping[str, Any], new: SanityGate | Mapping[str, Any], model: str) -> dict[str, Any]:
    """The card of a model with a gate in it, or another card in its place; see `VLModel.with_card`."""
    from value_nb.sanity import SanityGate

    if isinstance(new, SanityGate):
        check_same(new, model)
        return {**card, KEY: new.record}
    if not isinstance(new, Mapping):
        raise ValueError(f"{new!r} is no card; expected a gate from value_nb.sanity_gate, or a dict")
    return dict(new)


def check_same(gate: SanityGate, model: str) -> None:
    """ValueError unless a gate was measured on this model; one with something taken away keeps its gate."""
    if model != gate.model and not model.startswith(f"{gate.model} ["):
        raise ValueError(
            f"a gate of {gate.model!r} came with the model {model!r}; measure that one: "
            "value_nb.sanity_gate(model, data)"
        )


def note(meta: Mapping[str, Any]) -> str:
    """The line of a figure's title; "" where there is nothing to say.

    A measured gate is always said, with its number; of a card only that it is missed; and that nobody has
    measured a trained model that sees pictures.
    """
    gate = meta.get("gate") or {}
    lines = [CARD_MISSED] if _card_missed(meta) else []
    if gate.get("source") == MEASURED and gate["verdict"] != NOT_DEFINED:
        lines.append(str(gate["note"]))
    elif _nobody_measured(meta):
        lines.append("sanity gate not measured")
    return "\n".join(lines)


def short(meta: Mapping[str, Any]) -> str:
    """A few words for a list: "quality gate not met", or a measured gate that is not met; else ""."""
    gate = meta.get("gate") or {}
    if gate.get("source") == MEASURED and gate["verdict"] in (NOT_MET, UNDECIDED):
        return str(gate["note"])
    return "quality gate not met" if meta.get("gate_met") is False else ""


def sentence(meta: Mapping[str, Any]) -> str:
    """The same as `note`, read aloud: a sentence, or ""."""
    gate = meta.get("gate") or {}
    said = [CARD_MISSED_ALOUD] if _card_missed(meta) else []
    if gate.get("source") == MEASURED and gate["verdict"] != NOT_DEFINED:
        said.append(f"Sanity gate {gate['verdict']}: {gate['reason']}")
        if gate["verdict"] == NOT_MET:
            said.append("So none of this is evidence about the trained model.")
    elif _nobody_measured(meta):
        said.append(f"Whether it can read these features was not measured: {gate['reason']}")
    return " ".join(said)


def fact(meta: Mapping[str, Any]) -> str:
    """For a list of facts, as under a kept figure: "not met", or what was measured; "" as in `note`."""
    if _card_missed(meta):
        return NOT_MET
    return note(meta).removeprefix("sanity gate ")


def _card_missed(meta: Mapping[str, Any]) -> bool:
    """Whether the answer is no and no measured gate says why."""
    gate = meta.get("gate") or {}
    explained = gate.get("source") == MEASURED and gate["verdict"] == NOT_MET
    return meta.get("gate_met") is False and not explained


def _nobody_measured(meta: Mapping[str, Any]) -> bool:
    """Whether it is a trained model that sees pictures, with neither card nor gate."""
    gate = meta.get("gate") or {}
    unknown = gate.get("source") is None and gate.get("verdict") == NOT_MEASURED
    return unknown and meta.get("gate_met") is None and meta.get("weights") == "trained"


def _unknown(model: VLModel) -> tuple[str, str]:
    """Verdict and reason of a model that has neither card nor measured gate."""
    if not sees_pictures(model):
        return NOT_DEFINED, f"{model.name} sees no picture, so no features can be wrong for it."
    if model.weights != "trained":
        return NOT_MEASURED, "Its weights are random: the gate is asked of the trained model."
    if getattr(model, "changes", ()):
        return NOT_MEASURED, "Something was taken away from it: the gate is asked of the whole model."
    return NOT_MEASURED, "It has no quality card, and its sanity gate was not asked for."
