"""The VALUE paper's observations, and the rules by which a model's results are held against them.

The rules were fixed before anything was measured. A rule turns one result into a `Finding`; it never looks at
another model, since one trained model of a kind cannot speak for the kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from value_nb import coreference_heads, crossmodal, importance, linguistic_scores, relation_rule

if TYPE_CHECKING:
    from value_nb.result import Result

HOLDS, FAILS, UNTESTED = "holds", "does not hold", "cannot be tested"
NO_TASKS = "no task was put"
NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule makes of one model's result.

    Attributes
    ----------
    holds
        None: cannot be tested; `said` is the reason.
    said
        The number that decides, in words.
    value, lo, hi
        The same as numbers, with its 95 % interval over pictures (sentences, for linguistic tasks).
    against
        What the interval has to lie above (below, for fusion).
    """

    holds: bool | None
    said: str
    value: float = NAN
    lo: float = NAN
    hi: float = NAN
    against: float = NAN

    @property
    def verdict(self) -> str:
        """In words: "holds", "does not hold" or "cannot be tested"."""
        return UNTESTED if self.holds is None else HOLDS if self.holds else FAILS


@dataclass(frozen=True, slots=True)
class Observation:
    """One of the paper's observations, or one reading of it.

    Attributes
    ----------
    key
        Its number in the paper, with what the reading is: "i, per position".
    claim
        What the paper says.
    rule
        When it holds for a model.
    probe
        Whose result it is judged by.
    notebook
        Where that number is shown and explained.
    judge
        Result -> finding.
    """

    key: str
    claim: str
    rule: str
    probe: str
    notebook: str
    judge: Callable[[Any], Finding]


def fused(result: Result) -> Finding:
    """Last minus first layer's AMI; the paper's claim is "deeper layers fuse more", so below 0."""
    if "ami_last_minus_first" not in set(result.frame["measure"]):
        return Finding(None, "a stack of one layer has no last and first")
    row = result.select(measure="ami_last_minus_first", specials="paper", control="none").iloc[0]
    said = f"AMI of the last minus the first layer {_signed(row)}"
    return Finding(bool(row["hi"] < 0), said, *_numbers(row), against=0.0)


def over_text(weighing: str) -> Callable[[Result], Finding]:
    """[CLS] text share above one half in most layers; shown is the layer that decides."""

    def judge(result: Result) -> Finding:
        found = importance.verdict(result, weighing)
        rows = importance.layers(result, importance.SHARES[weighing])
        row = importance.deciding(rows[rows["control"] == "none"])
        said = (
            f"{found.above} of {found.layers} layers above one half; the deciding one, layer {row['layer']}, "
            f"{_spell(row)}"
        )
        return Finding(found.holds, said, *_numbers(row), against=importance.HALF)

    return judge


def subset_of_heads(direction: str) -> Callable[[Result], Finding]:
    """Heads above random models; shown is the head that gives most across."""

    def judge(result: Result) -> Finding:
        if direction not in set(result.frame["direction"]):
            return Finding(None, f"no {direction}")
        if crossmodal.random_models(result) < crossmodal.RANDOM_MODELS:
            return Finding(None, f"needs {crossmodal.RANDOM_MODELS} random-weight models")
        found = crossmodal.verdict(result, direction)
        rows = crossmodal.heads(result, "mass_minus_expected", direction, "excluded")
        row = rows[rows["control"] == "none"].sort_values("value", kind="stable").iloc[-1]
        said = (
            f"{found.above} of {found.heads} heads above random's {found.threshold:+.2f}, {found.least} "
            f"needed; the largest, layer {row['layer']} head {row['head']}, {_signed(row)}"
        )
        return Finding(found.holds, said, *_numbers(row), against=found.threshold)

    return judge


def aligned(result: Result) -> Finding:
    """Chosen heads of types and directions; shown is the head chosen for all types together."""
    found = coreference_heads.verdict(result)
    if not found.tested:
        return Finding(None, "no type could be tested: too few phrases of pictures with two chains")
    tables = [coreference_heads.best_heads(result, d) for d in coreference_heads.DIRECTIONS
              if d in set(coreference_heads.chosen(result)["direction"])]  # fmt: skip
    rows: list[Any] = [table.loc[coreference_heads.ALL] for table in tables]
    row = max(rows, key=lambda row: row["hit_rate"])
    said = (
        f"{found.held} of {found.tested} types and directions; over all types layer {row['layer']} head "
        f"{row['head']} hits in {row['hit_rate']:.2f} ({row['lo']:.2f} to {row['hi']:.2f}), best guess "
        f"{row['best_guess']:.2f}"
    )
    return Finding(found.holds, said, *_numbers(row, "hit_rate"), against=float(row["best_guess"]))


def related(result: Result) -> Finding:
    """The attention probe on relations beside the best of random weights and class pair + geometry."""
    found = relation_rule.verdict(result)
    if found.holds is None:
        return Finding(None, found.reason)
    rival, level = max(found.rivals.items(), key=lambda pair: pair[1])
    said = (
        f"attention probe {found.value:.2f} ({found.lo:.2f} to {found.hi:.2f}) of {found.n:,} pairs; {rival} "
        f"{level:.2f}"
    )
    return Finding(found.holds, said, found.value, found.lo, found.hi, against=level)


def linguistic(view: str) -> Callable[[Any], Finding]:
    """Tasks on which a view lies above random weights, bag of words and length."""

    def judge(results: Any) -> Finding:
        found = linguistic_scores.verdict_all(results, view)
        if found.holds is None:
            said = "; ".join(f"{task}: {why}" for task, why in found.untested.items())
            return Finding(None, said or NO_TASKS)
        named = f": {', '.join(found.held)}" if found.held else ""
        return Finding(found.holds, f"{len(found.held)} of {len(found.tested)} tasks{named}")

    return judge


def _numbers(row: Any, value: str = "value") -> tuple[float, float, float]:
    return float(row[value]), float(row["lo"]), float(row["hi"])


def _spell(row: Any) -> str:
    return f"{row['value']:.2f} ({row['lo']:.2f} to {row['hi']:.2f})"


def _signed(row: Any) -> str:
    return f"{row['value']:+.2f} ({row['lo']:+.2f} to {row['hi']:+.2f})"


OBSERVATIONS: tuple[Observation, ...] = (
    Observation(
        "fusion",
        "deeper layers fuse more (said of the single-stream model)",
        "the interval of last minus first AMI lies below 0",
        "fusion_degree",
        "01_multimodal_fusion",
        fused,
    ),
    *(
        Observation(
            f"i, {weighing}",
            "models attend over text rather than images",
            "[CLS] text share above one half, with its interval, in most layers",
            "modality_importance",
            "02_modality_importance",
            over_text(weighing),
        )
        for weighing in importance.SHARES
    ),
    *(
        Observation(
            f"ii, {direction}",
            "a subset of heads is tailored to cross-modal interaction",
            "more heads than chance gives, at most half, above the 99th percentile of random models",
            "cross_modal_heads",
            "03_cross_modal_heads",
            subset_of_heads(direction),
        )
        for direction in ("image->text", "text->image")
    ),
    Observation(
        "iii",
        "attention shows patterns coherent with the alignment of regions and words",
        "a chosen head beats the best trivial guess, Holm p below 0.05",
        "coreference_attention",
        "04_visual_coreference",
        aligned,
    ),
    Observation(
        "iv",
        "attention reveals relations among regions",
        "VRI attention probe's interval above random weights and class pair + geometry",
        "relation_probe",
        "05_visual_relations",
        related,
    ),
    *(
        Observation(
            f"v, {name}",
            f"linguistic knowledge is encoded in the {where}",
            "interval above random weights, bag of words and length, on most tasks",
            "linguistic_probe",
            "06_linguistic_knowledge",
            linguistic(view),
        )
        for name, where, view in (
            ("attention", "attention heads", linguistic_scores.HEADS),
            ("embedding", "hidden states", "embedding"),
        )
    ),
)
"""In the paper's order. (ii) is read in both directions; (v) of hidden states has a row of its own."""
