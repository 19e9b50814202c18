"""The rule for relations on results written by hand: both rivals count, and what is missing is said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest

from value_nb import relation_rule
from value_nb.aloud import read_aloud
from value_nb.result import Result

META = {"model": "by-hand", "data": "d", "split": "test", "n": 40, "n_images": 20,
        "settings": {"questions": ["VRI"]}}  # fmt: skip


def row(group: str, value: float, half: float = 0.05, control: str = "none", **more: Any) -> dict[str, Any]:
    return {
        "control": control, "group": group, "split": "test", "measure": "accuracy", "value": value,
        "lo": value - half, "hi": value + half, "n": 40, "n_images": 20, "unit": "fraction", **more,
    }  # fmt: skip


def made(
    own: float = 0.8, random: float | None = 0.6, known: float = 0.7, more: Sequence[dict[str, Any]] = ()
) -> Result:
    rows = [row("VRI, attention probe", own), row("VRI, class pair + geometry", known), *more]
    if random is not None:
        rows.append(row("VRI, attention probe", random, control="random weights"))
    return Result("relation_probe", pd.DataFrame(rows), META)


@pytest.mark.parametrize(
    ("own", "random", "known", "holds", "level"),
    [
        (0.80, 0.60, 0.70, True, 0.70),
        (0.76, 0.60, 0.70, True, 0.70),
        (0.75, 0.60, 0.75 - 0.05, False, 0.70),  # the lower end is at the rival, not above it
        (0.80, 0.60, 0.79, False, 0.79),
        (0.80, 0.79, 0.60, False, 0.79),
        (0.60, 0.55, 0.70, False, 0.70),
    ],
)
def test_the_interval_has_to_lie_above_both_rivals(own, random, known, holds, level):
    found = relation_rule.verdict(made(own, random, known))
    assert (found.holds, found.level, found.reason) == (holds, pytest.approx(level), "")
    assert (found.value, found.n, found.n_images) == (own, 40, 20)
    assert found.rivals == pytest.approx({"random weights": random, "class pair + geometry": known})


def test_other_rows_do_not_count():
    more = [
        row("VRI, attention probe, pair mentioned", 0.99),
        row("VRI, embedding probe", 0.99, stack="joint", layer=1),
        row("VRI, attention probe", 0.95, control="mismatched"),
        row("VRC, attention probe", 0.1),
        row("VRI, attention probe", 0.99, measure="control_task_accuracy"),
    ]
    assert relation_rule.verdict(made(more=more)) == relation_rule.verdict(made())


def lacking(**changes: Any) -> Result:
    return Result("relation_probe", made().frame, META | changes)


NOT_ASKED = [{"group": "VRI", "split": "test", "measure": "accuracy", "value": float("nan"), "n": 0,
              "n_images": 0, "unit": "not defined", "note": "no pairs", "control": "none"}]  # fmt: skip
ONE_PICTURE = [row("VRI, attention probe", 1.0, float("nan"), n_images=1),
               row("VRI, class pair + geometry", 0.5),
               row("VRI, attention probe", 0.5, control="random weights")]  # fmt: skip


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (
            Result("relation_probe", pd.DataFrame({"value": []}), META, reason="it has no picture"),
            "no picture",
        ),
        (Result("relation_probe", pd.DataFrame({"value": []}), META), "no example came with regions"),
        (lacking(settings={"questions": ["VRC"]}), "VRI was not asked"),
        (made(random=None), "needs a model with random weights beside it"),
        (Result("relation_probe", pd.DataFrame(NOT_ASKED), META), "no pairs"),
        (
            Result("relation_probe", pd.DataFrame([row("VRI, class pair + geometry", 0.5)]), META),
            "no attention",
        ),
        (Result("relation_probe", pd.DataFrame(ONE_PICTURE), META), "pairs of 1 picture give no interval"),
    ],
)
def test_what_cannot_be_tested_says_why(result, words):
    found = relation_rule.verdict(result)
    assert found.holds is None and words in found.reason
    assert found.rivals == {} and found.value != found.value
    assert f"cannot be tested here: {found.reason}." in relation_rule.sentence(result)


def test_in_words():
    assert relation_rule.sentence(made()) == (
        "The attention probe's interval on VRI, 0.75 to 0.85, lies above the better of 0.60 by random "
        "weights and 0.70 by class pair + geometry, so “attention reveals relations among regions” holds "
        "here."
    )
    assert "does not lie above the better of" in relation_rule.sentence(made(own=0.7))
    assert "does not hold here" in relation_rule.sentence(made(own=0.7))


def test_other_results_are_refused():
    other = Result("coreference_probe", made().frame, META)
    with pytest.raises(ValueError, match="a result of 'coreference_probe' came"):
        relation_rule.verdict(other)


def test_it_is_read_aloud(monkeypatch):
    monkeypatch.setattr("value_nb.probe_aloud._question", lambda result, question: [f"{question} said."])
    assert read_aloud(made()).splitlines()[1:] == ["VRI said.", relation_rule.sentence(made())]
