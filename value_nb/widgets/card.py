"""A model's quality card as a table: was it trained well enough for its figures to mean anything?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from value_nb import quality_gate
from value_nb.quality_gate import ANSWERS

if TYPE_CHECKING:
    import pandas as pd

    from value_nb.models.base import VLModel

PLAIN = ("steps", "seed")


def card_table(model: VLModel) -> pd.DataFrame:
    """What the model's card says of its quality, one row each, first of all whether the gate is met.

    Then what a sanity gate found, where one was measured (`model.with_card(gate)`), the card's conditions,
    every measure with its 95 % interval, and how long it was trained from which seed. "not measured" where
    there is no card, as with random weights. How the model was made in detail stands in the card itself,
    `model.card`.
    """
    import pandas as pd

    card = model.card
    rows = {"quality gate": _verdict(model)} | dict(_sanity(model))
    rows |= {f"gate: {one['condition']}": _condition(one) for one in card.get("gate", [])}
    rows |= dict(_measures(card.get("metrics", {})))
    rows |= {name: str(card[name]) for name in PLAIN if name in card}
    return pd.DataFrame({model.name: rows}).rename_axis("what")


def _verdict(model: VLModel) -> str:
    """Met or not; where that is not known, what the measured gate says."""
    if model.gate_met is None and quality_gate.KEY in model.card:
        return str(model.card[quality_gate.KEY]["verdict"])
    return ANSWERS[model.gate_met]


def _sanity(model: VLModel) -> Iterator[tuple[str, str]]:
    """The measured gate: its verdict in a sentence, and every number with its interval."""
    if quality_gate.KEY not in model.card:
        return
    from value_nb.sanity import SanityGate

    gate = SanityGate.from_record(model.card[quality_gate.KEY])
    yield "sanity gate", gate.reason
    yield "sanity gate: asked", f"{gate.n} captions of {gate.n_images} pictures of {gate.data} ({gate.split})"
    for name, row in gate.table.iterrows():
        interval = f" ({_number(row['lo'])} to {_number(row['hi'])})"
        yield f"sanity gate: {name}", _number(row["value"]) + interval


def _condition(one: Mapping[str, Any]) -> str:
    return f"{_number(one['value'])}, at least {_number(one['least'])}: {ANSWERS[bool(one['met'])]}"


def _measures(metrics: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Measures by name, those of a group with its name before them."""
    for key, value in metrics.items():
        name = f"{before}{str(key).replace('_', ' ')}"
        if isinstance(value, Mapping) and "value" in value:
            interval = f" ({_number(value['lo'])} to {_number(value['hi'])})" if "lo" in value else ""
            yield name, _number(value["value"]) + interval
        elif isinstance(value, Mapping):
            yield from _measures(value, f"{name}: ")
        else:
            yield name, _number(value)


def _number(value: Any) -> str:
    if value is None:
        return "not measured"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
