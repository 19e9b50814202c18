"""How long the sentences were that a model was trained with; longer ones are scored apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from value_nb.models.runs import Run

if TYPE_CHECKING:
    from value_nb.models.base import VLModel

MINI = 24
TRAINED = {
    "mini-bert": MINI, "mini-uniter": MINI, "mini-lxmert": MINI, "mini-vilbert": MINI,
    "uniter-base": 62, "lxmert-base": 20,
}  # fmt: skip
"""Longest sentence of pre-training in positions, [CLS] and [SEP] included: the miniature's captions; UNITER's
60 word pieces, LXMERT's `max_seq_length`. Models that are not here: not known."""

BEYOND = "beyond_trained_length"
"""Name of what longer sentences are scored under, and of the measure that says how many they are."""


def trained_length(model: VLModel) -> int | None:
    """Positions of the longest sentence that a model was pre-trained with, specials included.

    None where it is not known: then no sentence is flagged, unless the reader says how long it is.
    """
    return TRAINED.get(Run.parse(model.name.split(" [")[0]).model)
