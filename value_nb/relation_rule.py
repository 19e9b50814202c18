"""The fixed rule for "attention reveals relations among regions", held against a relation probe's result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from value_nb import answers, reasons

if TYPE_CHECKING:
    from value_nb.result import Result

PROBE = "relation_probe"
QUESTION, VIEW = "VRI", "attention probe"
RANDOM, KNOWN = "random weights", "class pair + geometry"
NO_PAIRS = "no example came with regions between which a relation holds"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Does the attention between two regions reveal whether a relation holds between them?

    The rule was fixed before anything was measured: on VRI, the attention probe's 95 % interval lies above
    the better of its two rivals: the same probe on the same model with random weights, and a classifier that
    knows the two classes and boxes and no model.

    Attributes
    ----------
    value, lo, hi
        Accuracy of the attention probe on the test pairs, a fraction, with its interval over pictures; nan
        where it cannot be tested.
    n, n_images
        Test pairs, and pictures that they are of.
    rivals
        "random weights" and "class pair + geometry" -> accuracy.
    reason
        Why it cannot be tested; "" when it can.
    """

    value: float = float("nan")
    lo: float = float("nan")
    hi: float = float("nan")
    n: int = 0
    n_images: int = 0
    rivals: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""

    @property
    def level(self) -> float:
        """Accuracy of the better rival, which the interval has to lie above; nan without rivals."""
        return max(self.rivals.values(), default=float("nan"))

    @property
    def holds(self) -> bool | None:
        """Whether the interval lies above both rivals; None: cannot be tested."""
        return None if self.reason else bool(self.lo > self.level)


def verdict(result: Result) -> Verdict:
    """The paper's fourth observation, held against a result.

    Where the result lacks what the rule asks for (the probe is not defined for the model, the data cannot
    ask VRI, no random weights were run, pairs of one picture alone), the verdict carries the reason.

    Raises
    ------
    ValueError
        For a result of another probe.
    """
    if why := _missing(result):
        return Verdict(reason=why)
    row = answers.level(result, QUESTION, VIEW)
    rivals = {
        RANDOM: answers.level(result, QUESTION, VIEW, control=RANDOM),
        KNOWN: answers.level(result, QUESTION, KNOWN),
    }
    known = {name: float(rival["value"]) for name, rival in rivals.items()}
    value, lo, hi = (float(row[name]) for name in ("value", "lo", "hi"))
    return Verdict(value, lo, hi, int(row["n"]), int(row["n_images"]), known)


def sentence(result: Result) -> str:
    """The verdict in words."""
    found = verdict(result)
    if found.holds is None:
        return f"“Attention reveals relations among regions” cannot be tested here: {found.reason}."
    named = " and ".join(f"{value:.2f} by {name}" for name, value in found.rivals.items())
    said = "holds" if found.holds else "does not hold"
    place = "lies above" if found.holds else "does not lie above"
    return (
        f"The attention probe's interval on VRI, {found.lo:.2f} to {found.hi:.2f}, {place} the better of "
        f"{named}, so “attention reveals relations among regions” {said} here."
    )


def _missing(result: Result) -> str:
    """What the rule asks for and the result does not have; "" when all is there."""
    if why := reasons.nothing(result, PROBE, NO_PAIRS):
        return why
    if QUESTION not in answers.questions(result):
        return f"{QUESTION} was not asked"
    if (unasked := answers.why_not(result, QUESTION)) is not None:
        return unasked
    row = answers.level(result, QUESTION, VIEW)
    if row is None:
        return f"{result.meta['model']} has no attention between regions"
    if answers.level(result, QUESTION, VIEW, control=RANDOM) is None:
        return "it needs a model with random weights beside it, and none was run"
    return "" if np.isfinite(row["lo"]) else f"pairs of {int(row['n_images'])} picture give no interval"
