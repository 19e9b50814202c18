"""Reading a modality importance result: maps of heads, curves of layers, and the rule for "more to text"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from value_nb import reasons

if TYPE_CHECKING:
    from value_nb.result import Result

PROBE = "modality_importance"
MEASURES = ("cls_mass", "cls_mass_per_position", "text_share", "text_share_per_position")
SHARES = {"raw": "text_share", "per position": "text_share_per_position"}
HALF = 0.5  # of a text share: as much to the text as to the image
NO_PAIRS = "no example came that has both words and regions"


def nothing(result: Result) -> str:
    """Why a result has no number at all, in words; "" when it has. ValueError for another probe's result."""
    return reasons.nothing(result, PROBE, NO_PAIRS)


def rows(result: Result, measure: str, specials: str = "paper", group: str = "text") -> pd.DataFrame:
    """Heads and layers of one measure, under every control.

    Raises
    ------
    ValueError
        For a measure, treatment of specials or group that there is not; the message lists those there are.
    """
    if measure not in MEASURES:
        raise ValueError(f"measure={measure!r}; expected one of {', '.join(map(repr, MEASURES))}")
    return result.select(measure=measure, specials=specials, group=group)


def layers(result: Result, measure: str, specials: str = "paper", group: str = "text") -> pd.DataFrame:
    """The rows of whole layers (mean over heads) under every control."""
    found = rows(result, measure, specials, group)
    return found[found["head"].isna()].reset_index(drop=True)


def heads(result: Result, measure: str, specials: str = "paper", group: str = "text") -> pd.DataFrame:
    """The model's own heads as a map: `head` as rows, `layer` as columns."""
    found = rows(result, measure, specials, group)
    own = found[(found["control"] == "none") & found["head"].notna()]
    return own.pivot(index="head", columns="layer", values="value")


def groups(result: Result, measure: str, specials: str = "paper") -> list[str]:
    """The modalities that a measure has under a treatment of specials."""
    found = result.select(measure=measure, specials=specials)
    return list(dict.fromkeys(found["group"]))


def even(result: Result, measure: str, specials: str = "paper", group: str = "text") -> float:
    """What no preference gives: an even spread's share, 1 per position, a half for a text share."""
    if measure in SHARES.values():
        return HALF
    if measure == "cls_mass_per_position":
        return 1.0
    found = result.select(measure="position_share", specials=specials, group=group, control="none")
    return float(found["value"].iloc[0])


@dataclass(frozen=True, slots=True)
class Verdict:
    """Does [CLS] attend more to text than to the image? The rule was fixed before anything was measured.

    Attributes
    ----------
    above, layers
        Layers whose text share has its whole interval above one half, of how many.
    """

    above: int
    layers: int

    @property
    def holds(self) -> bool:
        """In most layers, that is in more than half of them."""
        return 2 * self.above > self.layers


def verdict(result: Result, weighing: str = "raw", specials: str = "paper") -> Verdict:
    """The paper's first observation, held against a result.

    Parameters
    ----------
    weighing
        "raw", or "per position": corrected for how many positions each modality has.

    Raises
    ------
    ValueError
        For another weighing, or a result that has no number.
    """
    if weighing not in SHARES:
        raise ValueError(f"weighing={weighing!r}; expected one of {', '.join(map(repr, SHARES))}")
    result.check_defined()
    found = layers(result, SHARES[weighing], specials)
    own = found[found["control"] == "none"]
    return Verdict(int((own["lo"] > HALF).sum()), len(own))


def deciding(layers: pd.DataFrame) -> pd.Series:
    """The layer on which "in most layers" hangs.

    Of the layers in descending order of their intervals' lower ends, it is the first that makes up a
    majority: more than half of them lie above a limit, with their whole intervals, exactly when it does.

    Parameters
    ----------
    layers
        One row for each layer, with a column `lo`.
    """
    ordered = layers.sort_values("lo", ascending=False, kind="stable")
    return ordered.iloc[len(ordered) // 2]


def layer_table(result: Result, specials: str = "paper") -> pd.DataFrame:
    """Layers as rows: what [CLS] gives to each modality, raw and per position, and the text share.

    Where the result has no number, a table of one cell that says why.
    """
    if why := nothing(result):
        return reasons.reason_table(result, why)
    named = {"cls_mass": "mass", "cls_mass_per_position": "mass per position", "text_share": "text share",
             "text_share_per_position": "text share per position"}  # fmt: skip
    columns = {}
    for measure, name in named.items():
        for group in groups(result, measure, specials):
            found = layers(result, measure, specials, group)
            columns[name, group] = found[found["control"] == "none"].set_index("layer")["value"]
    return pd.DataFrame(columns).sort_index()
