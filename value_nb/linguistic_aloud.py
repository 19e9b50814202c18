"""Probing tasks read aloud: the score of the best layer, its rivals, and what the heads alone say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from value_nb import linguistic_scores as scores
from value_nb import quality_gate

if TYPE_CHECKING:
    from value_nb.result import Result

NAMES = {"[CLS]": "the state of [CLS]", "mean": "the mean over words"}
NO_MISMATCH = "Mismatched pairs do not apply: these sentences have no picture."


def sentences(result: Result) -> str:
    """What the result of one task says, one sentence to a line."""
    lines = [_where(result), *(_embedding(result, group) for group in scores.EMBEDDINGS)]
    lines += [_mean_region(result), _rivals(result), _heads(result), _beyond(result), _picture(result)]
    if "mismatched" not in set(result.frame["control"]):
        lines.append(NO_MISMATCH)
    return "\n".join(line for line in lines if line)


def read_tasks(results: Mapping[str, Result]) -> str:
    """What the results of several tasks say together: where states and heads beat what needs no model."""
    found = scores.verdict_all(results)
    many = [result for result in results.values() if result.reason is None]
    above = [scores.task_name(result) for result in many if _beats_baselines(result)]
    first = next(iter(results.values())).meta
    lines = [f"{first['model']}, {len(results)} probing task{'s' * (len(results) != 1)}."]
    if many:
        lines.append(
            "At the layer and pooling that are best on validation, its states lie above bag of words, length "
            f"and majority in {_counted(above, len(many))}."
        )
    lines.append(verdict_sentence(found))
    lines += [f"Not tested, {task}: {why}." for task, why in found.untested.items()]
    return "\n".join(line for line in (*lines, quality_gate.sentence(first)) if line)


def read_picture(result: Result) -> str:
    """How each condition was made, and what does not apply, one to a line: what the result itself says."""
    said = [f"{name}: {note}" for name, note in result.meta["control_notes"].items()]
    return "\n".join([*said, *(f"left out: {one}" for one in result.meta["controls_left_out"])])


def verdict_sentence(found: scores.Verdicts) -> str:
    """The rule over all tasks in one sentence: "... holds here", "does not hold" or "cannot be tested"."""
    claim = "“linguistic knowledge is encoded in the attention heads”"
    if found.holds is None:
        return f"On no task can the heads be held against all their rivals, so {claim} cannot be tested here."
    said = "holds" if found.holds else "does not hold"
    return (
        "The attention of its heads lies above random weights, bag of words and length in "
        f"{_counted(found.held, len(found.tested))}, so {claim} {said} here."
    )


def _beats_baselines(result: Result) -> bool:
    """Whether the pooling that is best on validation lies above every baseline with its interval."""
    own = scores.score(result, scores.best_pooling(result))
    return bool(all(own["lo"] > scores.score(result, b)["value"] for b in scores.BASELINES))


def _counted(tasks: list[str], n: int) -> str:
    return f"{len(tasks)} of {n} task{'s' * (n != 1)}" + (f" ({', '.join(tasks)})" if tasks else "")


def _where(result: Result) -> str:
    row = scores.score(result, "majority")
    return (
        f"{result.meta['model']} on {scores.task_name(result)}: {row['n']:,} test sentences, of which always "
        f"giving the most frequent class gets {row['value']:.2f} right."
    )


def _embedding(result: Result, group: str) -> str:
    own = scores.score(result, group)
    said = f"At {_place(own)}, chosen on validation, {NAMES[group]} gets {_spell(own)} right"
    if "random weights" in set(result.frame["control"]):
        random = scores.score(result, group, "random weights")
        said += f", with random weights at best {random['value']:.2f}"
    control = scores.score(result, group, measure="control_task_accuracy")
    if control["value"] == control["value"]:
        said += f", and of labels drawn at random for each final content word {control['value']:.2f}"
    return f"{said}."


def _mean_region(result: Result) -> str:
    if "mean region" not in set(result.frame["control"]):
        return ""
    said = [f"{NAMES[g]} {_spell(scores.score(result, g, 'mean region'))}" for g in scores.EMBEDDINGS]
    return f"With the mean region in place of a picture: {', '.join(said)}."


def _rivals(result: Result) -> str:
    bag, length = (scores.score(result, name)["value"] for name in ("bag of words", "length"))
    return f"Without any model, a bag of words gets {bag:.2f} and the sentence's length {length:.2f}."


def _heads(result: Result) -> str:
    found = scores.verdict(result)
    said = f"Statistics of the heads' attention get {found.value:.2f} ({found.lo:.2f} to {found.hi:.2f})"
    if "random weights" in found.rivals:
        said += f", with random weights {found.rivals['random weights']:.2f}"
    if found.untested:
        return f"{said}; whether they know more cannot be tested: {found.untested}."
    if found.holds:
        return f"{said}; they lie above random weights, bag of words and length."
    return f"{said}; they do not lie above {' or '.join(found.unbeaten)}."


def _beyond(result: Result) -> str:
    row = result.select(measure="beyond_trained_length", control="none").iloc[0]
    if row["unit"] == "not defined":
        return "How long the sentences of its pre-training were is not known, so none is flagged as longer."
    if row["value"] == 0:
        return ""
    apart = scores.score(result, "mean", measure="accuracy_beyond_trained_length")
    return (
        f"{row['value']:.0%} of the test sentences are longer than the model was trained with; on these, "
        f"which no other number counts, {NAMES['mean']} gets {_spell(apart)}."
    )


def _picture(result: Result) -> str:
    note = result.meta["control_notes"].get("none", "")
    return f"{note[:1].upper()}{note[1:]}." if note else ""


def _place(row: Any) -> str:
    return f"layer {row['layer']} of the {row['stack']} stack"


def _spell(row: Any) -> str:
    return f"{row['value']:.2f} ({row['lo']:.2f} to {row['hi']:.2f})"
