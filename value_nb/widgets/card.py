"""A model's quality card as a table: was it trained well enough for its figures to mean anything?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from value_nb.models.base import VLModel

ANSWERS = {True: "met", False: "not met", None: "not measured"}


def card_table(model: VLModel) -> pd.DataFrame:
    """Everything that the model's card says in one number or a few words, one row each.

    The first row is the quality gate: "met", "not met", or "not measured" where there is no card.
    Numbers inside groups are named "group: number"; lists (training curves) are left to the card itself.
    """
    import pandas as pd

    rows = {"quality gate": ANSWERS[model.gate_met]}
    rows |= {name: value for name, value in _plain(model.card) if name != "gate_met"}
    return pd.DataFrame({model.name: rows}).rename_axis("what")


def _plain(card: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in card.items():
        name = f"{before}{str(key).replace('_', ' ')}" if before else str(key)
        if isinstance(value, Mapping):
            yield from _plain(value, f"{name}: ")
        elif isinstance(value, float):
            yield name, f"{value:.4g}"
        elif isinstance(value, str | int | bool) or value is None:
            yield name, value
