"""Reading a cross-modal heads result: maps of heads, summaries, and the rule for "a subset of heads"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from value_nb import reasons
from value_nb.probes.crossmodal import MEASURES, SUMMARIES

if TYPE_CHECKING:
    import pandas as pd

    from value_nb.result import Result

PROBE = "cross_modal_heads"
PERCENTILE = 99
RANDOM_MODELS = 5  # as many as the rule asks for
NO_PAIRS = "no example came that has both words and regions"


def nothing(result: Result) -> str:
    """Why a result has no number at all, in words; "" when it has. ValueError for another probe's result."""
    return reasons.nothing(result, PROBE, NO_PAIRS)


def heads(
    result: Result, measure: str, direction: str = "image->text", specials: str = "paper"
) -> pd.DataFrame:
    """The rows of single heads of one measure, under every control.

    Raises
    ------
    ValueError
        For a measure, direction or treatment of specials that there is not; the message lists those there
        are.
    """
    if measure not in MEASURES:
        raise ValueError(f"measure={measure!r}; expected one of {', '.join(map(repr, MEASURES))}")
    return result.select(measure=measure, direction=direction, specials=specials)


def head_map(
    result: Result, measure: str, direction: str = "image->text", specials: str = "paper"
) -> pd.DataFrame:
    """The model's own heads as a map: `head` as rows, `layer` as columns."""
    found = heads(result, measure, direction, specials)
    return found[found["control"] == "none"].pivot(index="head", columns="layer", values="value")


def summary(result: Result, direction: str = "image->text", specials: str = "paper") -> pd.DataFrame:
    """`SUMMARIES` as rows; for the model itself and each control the mean over its models, as columns."""
    found = result.select(direction=direction, specials=specials)
    found = found[found["measure"].isin(SUMMARIES)]
    table = found.pivot_table(index="measure", columns="control", values="value", aggfunc="mean")
    order = [name for name in ("none", "random weights", "mismatched") if name in table]
    return table.loc[list(SUMMARIES), order].rename_axis(index=None, columns=None)


def random_models(result: Result) -> int:
    """How many random-weight models the result has."""
    frame = result.frame
    return int(frame[frame["control"] == "random weights"]["weights"].nunique())


@dataclass(frozen=True, slots=True)
class Verdict:
    """Is a subset of heads tailored to cross-modal interaction? The rule was fixed before measuring.

    Attributes
    ----------
    above, heads
        Heads above the threshold, of how many.
    threshold
        The 99th percentile over all heads of the random-weight models.
    """

    above: int
    heads: int
    threshold: float

    @property
    def holds(self) -> bool:
        """At least one head, and at most half of them all."""
        return self.above >= 1 and 2 * self.above <= self.heads


def verdict(result: Result, direction: str = "image->text", measure: str = "mass_minus_expected") -> Verdict:
    """The paper's second observation, held against a result, specials excluded.

    Parameters
    ----------
    measure
        "mass_minus_expected", which does not depend on the numbers of positions, or another of `MEASURES`.

    Raises
    ------
    ValueError
        For a result that has no number or lacks the five random-weight models, or an unknown name.
    """
    result.check_defined()
    found = heads(result, measure, direction, "excluded")
    models = random_models(result)
    random, own = (found[found["control"] == name]["value"].to_numpy() for name in ("random weights", "none"))
    if models < RANDOM_MODELS:
        raise ValueError(
            f"{models} random-weight models are in the result and the rule needs {RANDOM_MODELS}; sweep with "
            "controls='default'"
        )
    threshold = float(np.percentile(random, PERCENTILE))
    return Verdict(int((own > threshold).sum()), len(own), threshold)
