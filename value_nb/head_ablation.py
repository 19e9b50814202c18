"""Head ablation: are the heads that a probe points at needed for what the model does?

pointed = vnb.pointed_heads(results["coreference_attention"])
curve = vnb.ablation_curve(model, data, pointed)
curve.plot()

Attention that looks meaningful may be of no use. So heads are switched off in order of rank, and the same
number of random heads of the same layers, and the model is asked again.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from value_nb import estimates
from value_nb.ablation import Head, ablate_heads, without_image
from value_nb.ablation_questions import Answers, Questions, questions
from value_nb.cache.codecs import RESULTS
from value_nb.cache.remember import kept
from value_nb.estimates import Estimate
from value_nb.head_curves import (
    ACCURACY,
    AUC,
    BESIDE,
    LOSS,
    MEASURES,
    NO_PICTURE,
    POINTED,
    PROBE,
    RANDOM,
    UNITS,
)
from value_nb.head_sets import QUARTER, RandomHeads, all_heads, default_sizes, random_heads
from value_nb.pointed_heads import PointedHeads
from value_nb.progress import bar
from value_nb.provenance import light, provenance, shared_columns
from value_nb.sanity import with_measured_gate
from value_nb.stats import REPLICATES

if TYPE_CHECKING:
    from value_nb.data.example import Example
    from value_nb.models.base import VLModel
    from value_nb.result import Result

TITLE = "Head ablation"
QUESTION = "Does the model need the heads that a probe points at more than other heads of the same layers?"


@kept("head ablation", RESULTS)
def ablation_curve(
    model: VLModel,
    examples: Sequence[Example],
    heads: PointedHeads | Sequence[Head],
    *,
    sizes: Sequence[int] | None = None,
    draws: int = 5,
    direction: str | None = None,
    how: str = "zero",
    reference: Sequence[Example] | None = None,
    words: str = "content",
    per_caption: int | None = 1,
    batch_size: int = 32,
    replicates: int = REPLICATES,
    progress: bool = True,
    seed: int = 0,
    cache: bool = True,
) -> Result:
    """Switch heads off in order of rank, and random ones beside them, and ask the model each time.

    Measures, each with a 95 % interval over images:

    masked_word_accuracy
        Share of masked words that are right, with the picture; 0 to 1.
    masked_word_loss
        Minus the natural logarithm of the right word's probability, mean over words, in nats; 0 upwards.
    matching_auc
        Area under the ROC curve of captions with their own picture against the same captions with
        another's; 0.5 is chance. What a caption says by itself cannot help.
    ..._minus_random
        Of each measure: with the pointed heads off, minus the mean over the random sets of that size,
        paired over images. Below 0 for accuracy and AUC, above 0 for the loss: the pointed heads matter more.

    Words are masked one at a time, all pieces of a word at once.

    Parameters
    ----------
    model
        From `load_model`.
    examples
        Captions with pictures, phrases linked to regions; other pictures than the heads were ranked on.
    heads
        From `pointed_heads`, or any (stack, layer, head) in order of rank.
    sizes
        Numbers of heads to switch off, 0 (always measured) up to a quarter of all heads. None: 1, 2, 4, ...
    draws
        Random sets of each size. Head k of a draw stands beside the k-th that is pointed at: it is of the
        same layer where one is left there that is not pointed at, else of the nearest one (column `note`).
    direction
        The block that is switched off of each head, "text->image" for instance. None: the whole head in a
        single-stream model, where its blocks share their weights; in a two-stream model, whose blocks have
        heads of their own, the block that `heads` were pointed at in (`heads.direction`).
    how, reference
        "zero" or "mean", the latter over the reference examples; see `ablate_heads`.
    words
        "content" or "head": which words are masked; see `ablation_questions.questions`.
    per_caption
        At most so many masked words of a caption, drawn by its id; None: all.
    batch_size, replicates, progress, seed
        Examples run at once; bootstrap replicates; a bar; seed of random heads, words, swaps and intervals.
    cache
        Look the result up among kept ones, and keep it (`value_nb.cache_info`); False: compute it anew.

    Returns
    -------
    A result of probe "head_ablation", with columns `size` (heads off) and `draw`. control "none": pointed
    heads; "random heads"; "no picture": nothing off, picture taken away. It carries a reason instead where
    the model sees no picture or `heads` has a reason. Costs up to (1 + sizes x (1 + draws) + 1) passes over
    words and pairs; `meta["cost"]` says how many.

    Raises
    ------
    ValueError
        For heads, sizes, draws, direction, how or words that cannot be (the message lists those that can).
    """
    from value_nb.result import Result

    model = with_measured_gate(model, examples, seed, batch_size, progress, cache)
    meta = provenance(model, light(examples), seed, replicates)
    meta |= {"title": TITLE, "question": QUESTION, "n_counts": {"": "pairs", **MEASURES}}
    if why := _why_not(model, heads):
        return _result(Result, [], meta, why)
    direction = _block(model, heads, direction)
    plan = _plan(model, heads, sizes, draws, direction, seed)
    asked = questions(model, examples, words, per_caption, seed)
    book = _Book(asked, seed, replicates)
    options = {"direction": direction, "how": how, "reference": reference}
    known: dict[tuple[int | None, frozenset[Head]], Answers] = {}  # a set that is drawn twice is run once
    for step in bar(plan.steps(), f"{model.name} (head ablation)", plan.n_steps, progress):
        key = (step.size, frozenset(step.heads))
        if key not in known:
            known[key] = _answers(model, step, asked, batch_size, options)
        book.enter(step, known[key])
    meta |= _about(plan, asked, heads, options, words, per_caption)
    shared = shared_columns(meta, model) | {"direction": direction}
    return _result(Result, [shared | row for row in book.rows()], meta, None)


@dataclass(frozen=True, slots=True)
class Step:
    """One pass: which heads are off, and as what they count.

    Attributes
    ----------
    control
        "none" (pointed heads), "random heads" or "no picture".
    size, draw
        Heads off, None without picture; number of the random draw.
    heads
        Those that are off.
    note
        Anything that a reader must know of the set.
    """

    control: str
    size: int | None
    draw: int | None = None
    heads: tuple[Head, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """All passes of a curve."""

    pointed: tuple[Head, ...]
    sizes: tuple[int, ...]
    random: tuple[RandomHeads, ...]
    n_heads: int

    @property
    def n_steps(self) -> int:
        """How many sets are measured."""
        return 2 + (len(self.sizes) - 1) * (1 + len(self.random))

    def different(self, size: int) -> int:
        """How many of the random sets of a size differ."""
        return len({frozenset(found.heads[:size]) for found in self.random})

    @property
    def n_passes(self) -> int:
        """How many runs they take, since equal sets are run once."""
        return 2 + sum(1 + self.different(size) for size in self.sizes if size)

    def steps(self) -> Iterator[Step]:
        """The model as it is, then growing sets, then the model without picture."""
        for size in self.sizes:
            yield Step(POINTED, size, None, self.pointed[:size], spelled(self.pointed[:size]))
            for draw, found in enumerate(self.random if size else ()):
                note = f"{spelled(found.heads[:size])}; {found.said(size)}"
                yield Step(RANDOM, size, draw, found.heads[:size], note)
        yield Step(NO_PICTURE, None)


def spelled(heads: Sequence[Head]) -> str:
    """Heads in words: "joint 3:2, joint 4:0" (layer 3, head 2; layer 4, head 0)."""
    return ", ".join(f"{stack} {layer}:{head}" for stack, layer, head in heads) or "nothing off"


def _why_not(model: VLModel, heads: PointedHeads | Sequence[Head]) -> str | None:
    if not any("image" in name for names in model.directions.values() for name in names):
        return f"{model.name} sees no picture, so there is nothing that its heads could bring from one"
    return heads.reason if isinstance(heads, PointedHeads) else None


def _block(model: VLModel, heads: PointedHeads | Sequence[Head], direction: str | None) -> str | None:
    """The direction that is switched off; see `ablation_curve`."""
    if direction is not None or model.joint or not isinstance(heads, PointedHeads):
        return direction
    return heads.direction


def _plan(
    model: VLModel,
    heads: Sequence[Head],
    sizes: Sequence[int] | None,
    draws: int,
    direction: str | None,
    seed: int,
) -> Plan:
    there = all_heads(model, direction)
    ranked = [*dict.fromkeys((stack, int(layer), int(head)) for stack, layer, head in heads)]
    if wrong := [head for head in ranked if head not in there]:
        raise ValueError(
            f"{wrong[0]!r} is no head of {model.name} with direction {direction!r}; heads are (stack, layer "
            f"from 1, head from 0), {there[0]!r} to {there[-1]!r}"
        )
    if not ranked:
        raise ValueError("no heads came; pass a ranking with at least one, as pointed_heads gives it")
    if draws < 1:
        raise ValueError(f"draws={draws}; at least 1 random set of each size is needed to compare with")
    chosen = _sizes(sizes, len(ranked), len(there))
    pointed = tuple(ranked[: chosen[-1]])
    random = tuple(random_heads(there, pointed, draw, seed) for draw in range(draws))
    return Plan(pointed, chosen, random, len(there))


def _sizes(sizes: Sequence[int] | None, ranked: int, n_heads: int) -> tuple[int, ...]:
    """Set sizes, 0 first, checked against a quarter of all heads and the length of the ranking."""
    most = min(n_heads // QUARTER, ranked)
    if most < 1:
        raise ValueError(
            f"there are {n_heads} heads; a quarter of them is not one, so none can be switched off"
        )
    if sizes is None:
        return default_sizes(most)
    found = sorted({0, *(operator.index(size) for size in sizes)})
    if found[0] < 0 or found[-1] > most or len(found) < 2:
        raise ValueError(
            f"sizes={list(sizes)}; expected whole numbers from 1 to {most}: up to a quarter of the "
            f"{n_heads} heads, and of the {ranked} that are pointed at"
        )
    return tuple(found)


def _answers(
    model: VLModel, step: Step, asked: Questions, batch_size: int, options: dict[str, Any]
) -> Answers:
    if step.size is None:
        with without_image(model) as changed:
            return asked.put_to(changed, batch_size)
    if not step.heads:
        return asked.put_to(model, batch_size)
    with ablate_heads(model, step.heads, **options) as changed:
        return asked.put_to(changed, batch_size)


class _Book:
    """Estimates of every pass, and rows of them."""

    def __init__(self, asked: Questions, seed: int, replicates: int) -> None:
        self.asked, self.seed, self.replicates = asked, seed, replicates
        self.found: list[tuple[Step, dict[str, Estimate]]] = []

    def enter(self, step: Step, said: Answers) -> None:
        """Take the answers of one pass."""
        draws = {"seed": self.seed, "replicates": self.replicates}
        values: dict[str, Estimate] = {}
        if self.asked.asked:
            images = self.asked.word_images
            for measure, part in ((ACCURACY, said.correct), (LOSS, said.loss)):
                values[measure] = estimates.mean_of(part, images, **draws)
        if self.asked.pairs:
            values[AUC] = estimates.auc(said.score, self.asked.match, self.asked.pair_images, **draws)
        self.found.append((step, values))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every pass, then pointed minus random heads."""
        for step, values in self.found:
            for measure, estimate in values.items():
                yield _where(step, measure) | estimate.row
        for measure, kind in MEASURES.items():
            if kind in self.asked.missing:
                yield _missing(measure, self.asked.missing[kind])
            else:
                yield from self._beside(measure)

    def _beside(self, measure: str) -> Iterator[dict[str, Any]]:
        for step, values in self.found:
            if step.control != POINTED or not step.size:
                continue
            others = [v[measure] for s, v in self.found if (s.control, s.size) == (RANDOM, step.size)]
            found = values[measure] - estimates.mean(others)
            yield _where(step, measure) | found.row | {"measure": f"{measure}{BESIDE}"}


def _where(step: Step, measure: str) -> dict[str, Any]:
    return {
        "control": step.control, "size": step.size, "draw": step.draw, "note": step.note or None,
        "measure": measure, "unit": UNITS[measure],
    }  # fmt: skip


def _missing(measure: str, why: str) -> dict[str, Any]:
    from value_nb.probes.report import not_defined

    return {"control": POINTED} | not_defined(measure, why)


def _about(
    plan: Plan,
    asked: Questions,
    heads: PointedHeads | Sequence[Head],
    options: dict[str, Any],
    words: str,
    per_caption: int | None,
) -> dict[str, Any]:
    """What the result says of how it was made."""
    reference = options["reference"]
    settings = {
        "sizes": list(plan.sizes), "draws": len(plan.random), "direction": options["direction"],
        "how": options["how"], "reference": None if reference is None else len(reference),
        "words": words, "per_caption": per_caption,
    }  # fmt: skip
    moved = [away > 0 for found in plan.random for away in found.moved]
    notes = {
        RANDOM: f"{len(moved) - sum(moved)} of {len(moved)} random heads are from the layer of the head "
        f"that they stand beside, {sum(moved)} from an adjacent layer; pointed heads are "
        f"excluded{_alike(plan)}",
        NO_PICTURE: "no head is off; the text does not see the picture, but in a model of two streams the "
        "image stream still sees the text, so that a matching score which reads it can stay above chance",
    }
    return {
        "settings": settings,
        "heads": [list(head) for head in plan.pointed],
        "n_heads": plan.n_heads,
        "pointed_by": _pointed_by(heads),
        "control_notes": notes,
        "controls_left_out": [],
        "pairs": asked.swapped,
        "n_words": len(asked.asked),
        "n_pairs": len(asked.pairs),
        "cost": {"passes": plan.n_passes, "examples_in_each": len(asked.asked) + len(asked.pairs)},
    }


def _alike(plan: Plan) -> str:
    """The sizes at which the layers hardly leave a choice, so that random sets are the same."""
    counts = {size: plan.different(size) for size in plan.sizes if size}
    few = [
        f"{many} of {len(plan.random)} at {size}" for size, many in counts.items() if many < len(plan.random)
    ]
    return f"; of the draws these are different sets: {', '.join(few)}" if few else ""


def _pointed_by(heads: PointedHeads | Sequence[Head]) -> dict[str, Any] | None:
    if not isinstance(heads, PointedHeads):
        return None
    named = ("probe", "measure", "direction", "data", "split", "n_images")
    return {name: getattr(heads, name) for name in named} | {"said": heads.said}


def _result(make: type[Result], rows: list[dict[str, Any]], meta: dict[str, Any], why: str | None) -> Result:
    import pandas as pd

    return make(PROBE, pd.DataFrame(rows if rows else {"value": []}), meta, why)
