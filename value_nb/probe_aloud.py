"""Classifier probes read aloud: where the answers can be read, and what reaches as much without the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from value_nb import answers, relation_rule

if TYPE_CHECKING:
    from value_nb.result import Result

ABOUT = {
    "VCD": "whether a phrase and a region belong together",
    "VCD of one class": "which of two regions of one class a phrase belongs to",
    "VCC": "of which entity type a linked pair is",
    "VRI": "whether a relation holds between two regions",
    "VRC": "which relation holds",
}


def sentences(result: Result) -> list[str]:
    """A few sentences for each question that was put; for relations also the fixed rule's verdict."""
    said = [sentence for question in answers.questions(result) for sentence in _question(result, question)]
    return [*said, relation_rule.sentence(result)] if result.probe == relation_rule.PROBE else said


def _question(result: Result, question: str) -> list[str]:
    why = answers.why_not(result, question)
    if why is not None:
        return [f"{question} cannot be asked of these data: {why}."]
    return [
        _best(result, question),
        *_attention(result, question),
        _beside(result, question),
        *_sides(result, question),
        *_control_task(result, question),
    ]


def _best(result: Result, question: str) -> str:
    found, floor = answers.best(result, question), answers.floor(result, question)
    return (
        f"{question}, {ABOUT.get(question, question)}: the {answers.view(result, question)} is right for "
        f"{_spell(found.row)} of {int(found.row['n']):,} test pairs in {found.stack} layer {found.layer} "
        f"(chosen on validation), {_against(found.row, floor.value)} {_named(floor.label)}."
    )


def _attention(result: Result, question: str) -> list[str]:
    row = answers.level(result, question, "attention probe")
    if row is None:
        return []
    floor = answers.floor(result, question)
    return [f"The attention probe reaches {_spell(row)}, {_against(row, floor.value)} that."]


def _beside(result: Result, question: str) -> str:
    """Random weights and mismatched pairs at their own best layers, and the best baseline."""
    said = []
    for control, name in (("random weights", "random weights"), ("mismatched", "mismatched pairs")):
        if not answers.curve(result, question, control).empty:
            said.append(f"{name} reach {_spell(answers.best(result, question, control).row)}")
    for name in answers.baselines(result, question):
        row = answers.level(result, question, name)
        said.append(f"{name} reaches {_spell(row)}")
    return f"Beside it, {', '.join(said)}." if said else "No control was run beside it."


def _sides(result: Result, question: str) -> list[str]:
    found = answers.sides(result, question)
    if not found:
        return []
    return [
        "At that layer " + ", ".join(f"{name} reaches {_spell(row)}" for name, row in found.items()) + "."
    ]


def _control_task(result: Result, question: str) -> list[str]:
    """What the probe makes of a random answer for each type, at that layer, or why there is none."""
    row = answers.control_task(result, question)
    if row is None:
        return []
    if row["value"] != row["value"]:
        return [f"Its control task is not defined: {row['note']}."]
    gap = answers.control_task(result, question, "selectivity")
    said = f"Its control task, a random answer for each type of item, reaches {_spell(row)}"
    if gap is None or gap["value"] != gap["value"]:
        return [f"{said}."]
    interval = f"95 % interval {gap['lo']:+.2f} to {gap['hi']:+.2f}"
    return [f"{said}, so the selectivity is {gap['value']:+.2f} ({interval})."]


def _against(row: Any, level: float) -> str:
    if row["lo"] > level:
        return "above"
    return "below" if row["hi"] < level else "not told apart from"


def _named(label: str) -> str:
    name, _, value = label.partition(": ")
    return f"the majority's {value}" if name == "majority" else f"chance, {value}"


def _spell(row: Any) -> str:
    """A number with its interval; one picture gives none."""
    if row["lo"] != row["lo"]:
        return f"{row['value']:.2f} (no interval)"
    return f"{row['value']:.2f} ({row['lo']:.2f} to {row['hi']:.2f})"
