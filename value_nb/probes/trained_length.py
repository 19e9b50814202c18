"""How long the sentences were that a model was trained with; longer ones are scored apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from value_nb.models.runs import Run

if TYPE_CHECKING:
    from value_nb.models.base import VLModel

MINI, UNITER, LXMERT, VOLTA = 24, 62, 20, 38
TRAINED = {
    "mini-bert": MINI, "mini-uniter": MINI, "mini-lxmert": MINI, "mini-vilbert": MINI,
    "uniter-base": UNITER, "uniter-large": UNITER, "lxmert-base": LXMERT, "lxmert-official": LXMERT,
    "ctrl-uniter": VOLTA, "ctrl-lxmert": VOLTA, "ctrl-vilbert": VOLTA, "ctrl-visualbert": VOLTA,
    "ctrl-vl-bert": VOLTA,
}  # fmt: skip
"""Longest sentence of pre-training in positions, [CLS] and [SEP] included, of models whose card does not say
it, or that have none, as with random weights: the miniature's captions; UNITER's 60 word pieces, LXMERT's
`max_seq_length`, VOLTA's 38 for its controlled models."""

ON_CARD = "trained_length"
"""Name of it on a model's card."""

BEYOND = "beyond_trained_length"
"""Name of what longer sentences are scored under, and of the measure that says how many they are."""


def trained_length(model: VLModel) -> int | None:
    """Positions of the longest sentence that a model was pre-trained with, specials included.

    As its card says; else as the table `TRAINED` says for a model of its name. None where neither knows:
    then no sentence is flagged, unless the reader says how long it is. (How many positions a model has room
    for does not tell: UNITER has 512 and was never given more than 62.)
    """
    said = model.card.get(ON_CARD)
    return int(said) if said is not None else TRAINED.get(Run.parse(model.name.split(" [")[0]).model)
