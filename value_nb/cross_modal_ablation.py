"""Cross-modal ablation: how much worse does one modality do without the part of the other that it is about?

(Frank, Bugliarello and Elliott 2021, "Vision-and-Language or Vision-for-Language? On Cross-Modal Influence
in Multimodal Transformers".)

found = vnb.cross_modal_ablation(model, data)
found.plot()

Both directions are asked: words of a phrase with and without the regions that show it, and the class of the
region with and without the phrase.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from value_nb import estimates
from value_nb.ablation_questions import has_head
from value_nb.cache.codecs import RESULTS
from value_nb.cache.remember import kept
from value_nb.cross_modal_cases import Case, Cases, find_cases, with_hidden_features, without_regions
from value_nb.cross_modal_losses import (
    ADDED,
    ASYMMETRY,
    BEYOND,
    NEED,
    NO_IMAGE,
    NO_PHRASE,
    NO_REGIONS,
    NO_TEXT,
    OTHER_REGIONS,
    OTHER_WORDS,
    PROBE,
    SIDES,
    UNITS,
    WHOLE,
)
from value_nb.data.matching import LINK_THRESHOLD
from value_nb.estimates import Estimate
from value_nb.models.base import Batch
from value_nb.progress import bar
from value_nb.provenance import light, provenance, shared_columns
from value_nb.sanity import with_measured_gate
from value_nb.stats import REPLICATES

if TYPE_CHECKING:
    from value_nb.data.example import Example
    from value_nb.models.base import VLModel
    from value_nb.result import Result

TITLE = "Cross-modal ablation"
QUESTION = "Does what is said of a phrase need its regions, and what is said of a region its phrase?"
MEASURES = tuple(f"{side}_{kind}" for side in SIDES for kind in ("loss", "accuracy"))
NO_CLASS = "no region that shows a phrase has a class that the model can give"
TO_IMAGE, TO_TEXT = "text->image", "image->text"


@kept("cross-modal ablation", RESULTS)
def cross_modal_ablation(
    model: VLModel,
    examples: Sequence[Example],
    *,
    threshold: float = LINK_THRESHOLD,
    overlap: str = "target",
    words: str = "content",
    per_caption: int | None = None,
    classes: Sequence[str] | None = None,
    random_weights: Sequence[int] = (0,),
    batch_size: int = 32,
    replicates: int = REPLICATES,
    progress: bool = True,
    seed: int = 0,
    cache: bool = True,
) -> Result:
    """Take from one modality what the other is asked about, and measure the loss.

    Measures, with 95 % intervals over images; column `group` says what was taken away:

    masked_phrase_loss, masked_phrase_accuracy
        All words of a phrase are masked. Minus the natural logarithm of a piece's probability, mean over
        pieces of the words that count, in nats; and the share of these pieces that are right. Groups:
        "everything" (all regions are there), "without its regions", "without as many other regions" (drawn),
        "without the picture".
    masked_region_loss, masked_region_accuracy
        The features of all its regions are hidden, as in pre-training, and the class of the best linked one
        is asked for (the class that the detector gives it). Groups: "everything" (the whole caption),
        "without its phrase" (its words are masked), "without as many other words" (drawn), "without the
        text".
    ..._added
        Each loss minus that with everything, paired over images: what the model loses.
    ..._beyond_others
        Each loss without its regions (or phrase) minus that without as many others.
    added_to_words_minus_regions
        What words lose without the picture minus what regions lose without the text, the paper's asymmetry.

    A region is taken away by dropping it: the model meets the picture as if it had never had that region,
    which is exact (a global row, a mean over regions, is then that of the others). The paper puts the mean
    feature in its place, which leaves the number of regions as it is; here the control, which drops as many
    others, answers for the number. A phrase is taken away by masking its words, as in the paper: a caption
    without them would be another sentence. The whole other modality is taken away by attention: "text->image"
    or "image->text" is closed, exact in information; two-stream models were never trained so.

    Parameters
    ----------
    model
        From `load_model`.
    examples
        Captions whose phrases are linked to regions.
    threshold, overlap
        Beside the linked ones all regions go whose overlap with a box of the phrase reaches the threshold:
        "target", the share of the phrase's box that the region covers (the published code); "iou"; or
        "smaller", the share of the smaller of the two, which takes parts of a thing away as well.
    words
        "content": the loss counts the phrase's words without function words; "all": all of them, as in the
        paper. All are masked in either case.
    per_caption
        At most so many phrases of a caption, drawn by its id; None: all.
    classes
        Names of the detector's classes in the order of the model's class output. None: those of the data's
        region store (`examples.region_classes`).
    random_weights
        Seeds of models of the same shape without training, asked the same; () for none.
    batch_size, replicates, progress, seed
        Examples run at once; bootstrap replicates; a bar; seed of the others and the intervals.
    cache
        Look the result up among kept ones, and keep it (`value_nb.cache_info`); False: compute it anew.

    Returns
    -------
    A result of probe "cross_modal_ablation"; a reason in its stead where the model sees no picture. A side
    that a model has no head for has a row whose `note` says so.

    Raises
    ------
    ValueError
        For a threshold, overlap or words that cannot be, and for a batch size below 1.
    """
    model = with_measured_gate(model, examples, seed, batch_size, progress, cache)
    meta = provenance(model, light(examples), seed, replicates)
    meta |= {"title": TITLE, "question": QUESTION, "n_counts": _counts()}
    if not any("image" in name for names in model.directions.values() for name in names):
        return _result([], meta, f"{model.name} sees no picture, so nothing can be taken from one")
    if getattr(model, "picture_input", "regions") == "pixels":
        return _result([], meta, f"{model.name} reads the picture's pixels: a region cannot be taken from it")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; expected at least 1")
    names = tuple(getattr(examples, "region_classes", ()) if classes is None else classes)
    cases = find_cases(
        examples, threshold=threshold, kind=overlap, scored=words, per_caption=per_caption, seed=seed
    )
    settings = {
        "threshold": threshold, "overlap": overlap, "words": words, "per_caption": per_caption,
        "random_weights": [int(number) for number in random_weights],
    }  # fmt: skip
    meta |= _about(cases, settings)
    if not cases.kept:
        return _result([], meta, None)
    models = [("none", model), *(("random weights", model.with_random_weights(s)) for s in random_weights)]
    plans = [(control, one, side) for control, one in models for side in _sides(one, names)]
    missing = {**_missing(model, names), **_without_cases(model, cases, names)}
    rows = [row for side, why in missing.items() for row in _not_defined(meta, model, side, why)]
    book = _Book(meta, {"seed": seed, "replicates": replicates})
    for control, one, side in bar(plans, f"{model.name} (cross-modal ablation)", progress=progress):
        asked = SIDE_CASES[side](cases, names)
        if asked.kept:
            book.enter(control, one, side, asked, _ask(one, side, asked, names, batch_size))
    return _result(rows + book.rows, meta, None)


class _Book:
    """Rows of every side that was asked, and the difference of both sides of a model."""

    def __init__(self, meta: dict[str, Any], draws: dict[str, int]) -> None:
        self.meta, self.draws = meta, draws
        self.rows: list[dict[str, Any]] = []
        self._added: dict[tuple[str, str], dict[str, Estimate]] = {}

    def enter(self, control: str, model: VLModel, side: str, asked: Cases, said: dict[str, Said]) -> None:
        """Add the rows of a side; with the second side of a model also the paper's asymmetry."""
        shared = shared_columns(self.meta, model) | {"control": control}
        losses = _losses(said, asked, self.draws)
        self.rows += [shared | row for row in _rows(side, said, losses, asked, self.draws)]
        added = self._added.setdefault((control, model.weights), {})
        added[side] = losses[SIDES[side][-1]] - losses[WHOLE]
        if len(added) == len(SIDES):
            apart = added["masked_phrase"] - added["masked_region"]
            self.rows.append(shared | {"measure": ASYMMETRY, "unit": UNITS["loss"]} | apart.row)


def _without_cases(model: VLModel, cases: Cases, names: Sequence[str]) -> dict[str, str]:
    """Sides that the model can be asked and for which no case is left -> why."""
    return {side: NO_CLASS for side in _sides(model, names) if not SIDE_CASES[side](cases, names).kept}


@dataclass(frozen=True, slots=True)
class Said:
    """What a model says in one condition, `(case,)` each: summed loss, right ones, how many there were."""

    loss: np.ndarray
    right: np.ndarray
    asked: np.ndarray


@torch.no_grad()
def phrase_loss(
    model: VLModel, cases: Sequence[Case], examples: Sequence[Example], closed: Sequence[str] = ()
) -> Said:
    """Mask the phrase of each case, in `examples` that stand for the cases', and ask for its scored words."""
    batch = model.prepare([*examples])
    truth, unit = batch.inputs["input_ids"], batch.layout.streams["text"].unit
    hidden = _positions(unit, [case.words for case in cases])
    masked = {**batch.inputs, "input_ids": truth.masked_fill(hidden, model.words.mask)}
    states = model.run(Batch(masked, batch.layout), closed=closed).hidden["text"]
    scored = _positions(unit, [case.scored for case in cases])
    logits = model._word_logits(states[scored]).float().log_softmax(-1)
    return _said(logits, truth[scored], scored.nonzero()[:, 0], len(cases))


@torch.no_grad()
def region_loss(
    model: VLModel,
    cases: Sequence[Case],
    masked_words: Sequence[Sequence[int]],
    names: Sequence[str],
    closed: Sequence[str] = (),
) -> Said:
    """Hide the regions of each case, mask some words, and ask for the class of the target region."""
    batch = model.prepare([with_hidden_features(case.example, case.regions) for case in cases])
    unit, truth = batch.layout.streams["image"].unit, batch.inputs["input_ids"]
    gone = _positions(batch.layout.streams["text"].unit, masked_words)
    inputs = batch.inputs | {
        "input_ids": truth.masked_fill(gone, model.words.mask),
        "region_mask": _positions(unit, [case.regions for case in cases]),
    }
    states = model.run(Batch(inputs, batch.layout), closed=closed).hidden["image"]
    asked = _positions(unit, [(case.target,) for case in cases])
    module: Any = model.module
    logits = module.masked_region_outputs(states[asked])["class"].float().log_softmax(-1)
    wanted = [names.index(_class(case)) for case in cases]
    return _said(logits, torch.tensor(wanted, device=logits.device), asked.nonzero()[:, 0], len(cases))


def _ask(model: VLModel, side: str, cases: Cases, names: Sequence[str], batch_size: int) -> dict[str, Said]:
    """Every condition of a side, in batches."""
    ask = _ask_phrases if side == "masked_phrase" else _ask_regions
    parts = [ask(model, cases.kept[k : k + batch_size], names) for k in range(0, len(cases.kept), batch_size)]
    return {group: _joined([part[group] for part in parts]) for group in SIDES[side]}


def _ask_phrases(model: VLModel, cases: Sequence[Case], names: Sequence[str]) -> dict[str, Said]:
    whole = [case.example for case in cases]
    return {
        WHOLE: phrase_loss(model, cases, whole),
        OTHER_REGIONS: phrase_loss(
            model, cases, [without_regions(c.example, c.other_regions) for c in cases]
        ),
        NO_REGIONS: phrase_loss(model, cases, [without_regions(c.example, c.regions) for c in cases]),
        NO_IMAGE: phrase_loss(model, cases, whole, closed=(TO_IMAGE,)),
    }


def _ask_regions(model: VLModel, cases: Sequence[Case], names: Sequence[str]) -> dict[str, Said]:
    nothing: list[Sequence[int]] = [()] * len(cases)
    return {
        WHOLE: region_loss(model, cases, nothing, names),
        OTHER_WORDS: region_loss(model, cases, [c.other_words for c in cases], names),
        NO_PHRASE: region_loss(model, cases, [c.words for c in cases], names),
        NO_TEXT: region_loss(model, cases, nothing, names, closed=(TO_TEXT,)),
    }


def _all_cases(cases: Cases, names: Sequence[str]) -> Cases:
    return cases


def _named_cases(cases: Cases, names: Sequence[str]) -> Cases:
    """Those whose target region has a class that the model can give."""
    return Cases(tuple(case for case in cases.kept if _class(case) in names), cases.left_out)


SIDE_CASES: dict[str, Callable[[Cases, Sequence[str]], Cases]] = {
    "masked_phrase": _all_cases,
    "masked_region": _named_cases,
}


def _class(case: Case) -> str:
    return "" if case.example.regions is None else case.example.regions.names[case.target]


def _positions(unit: torch.Tensor, wanted: Sequence[Sequence[int]]) -> torch.Tensor:
    """`(example, position)` bool: where the wanted words or regions of each example stand."""
    found = [torch.isin(row, torch.tensor([*some], device=unit.device, dtype=unit.dtype)) for row, some in
             zip(unit, wanted, strict=True)]  # fmt: skip
    return torch.stack(found)


def _said(logits: torch.Tensor, truth: torch.Tensor, case: torch.Tensor, n: int) -> Said:
    """Log probabilities `(asked, class)` and true classes `(asked,)`, added up by case."""
    loss = -logits.gather(-1, truth[:, None])[:, 0].double().cpu().numpy()
    right = (logits.argmax(-1) == truth).double().cpu().numpy()
    at = case.cpu().numpy()
    return Said(*(np.bincount(at, weights=part, minlength=n) for part in (loss, right, np.ones(len(at)))))


def _joined(parts: Sequence[Said]) -> Said:
    return Said(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("loss", "right", "asked")))


def _losses(said: dict[str, Said], cases: Cases, draws: dict[str, int]) -> dict[str, Estimate]:
    """Mean loss by condition."""
    return {
        group: estimates.ratio_of(answer.loss, answer.asked, cases.images, **draws)
        for group, answer in said.items()
    }


def _rows(
    side: str, said: dict[str, Said], losses: dict[str, Estimate], cases: Cases, draws: dict[str, int]
) -> Iterator[dict[str, Any]]:
    """Losses and accuracies of every condition, and the paired differences of losses."""
    for group, answer in said.items():
        right = estimates.ratio_of(answer.right, answer.asked, cases.images, **draws)
        for kind, found in (("loss", losses[group]), ("accuracy", right)):
            yield {"measure": f"{side}_{kind}", "group": group, "unit": UNITS[kind]} | found.row
    for group in SIDES[side][1:]:
        added = losses[group] - losses[WHOLE]
        yield {"measure": f"{side}_loss{ADDED}", "group": group, "unit": UNITS["loss"]} | added.row
    for group, control in NEED.items():
        if group in losses:
            beyond = losses[group] - losses[control]
            yield {"measure": f"{side}_loss{BEYOND}", "group": group, "unit": UNITS["loss"]} | beyond.row


def _sides(model: VLModel, names: Sequence[str]) -> list[str]:
    return [side for side in SIDES if side not in _missing(model, names)]


def _missing(model: VLModel, names: Sequence[str]) -> dict[str, str]:
    """Side -> why it cannot be asked of this model with these data."""
    missing = {}
    if not has_head(model, "word_head"):
        missing["masked_phrase"] = f"{model.name} has no head for masked words"
    sizes = dict(getattr(model.config, "region_targets", ()) or ())
    if "class" not in sizes:
        missing["masked_region"] = f"{model.name} has no head for the class of a masked region"
    elif not names:
        missing["masked_region"] = "the data do not name the detector's classes; pass classes=[...]"
    elif len(names) != sizes["class"]:
        missing["masked_region"] = (
            f"{len(names)} classes are named and {model.name} tells {sizes['class']} apart"
        )
    return missing


def _not_defined(meta: dict[str, Any], model: VLModel, side: str, why: str) -> list[dict[str, Any]]:
    from value_nb.probes.report import not_defined

    return [shared_columns(meta, model) | {"control": "none"} | not_defined(f"{side}_loss", why)]


def _about(cases: Cases, settings: dict[str, Any]) -> dict[str, Any]:
    """What the result says of how it was made."""
    many = [len(case.regions) for case in cases.kept]
    return {
        "settings": settings,
        "n_phrases": len(cases.kept),
        "left_out": cases.left_out,
        "regions_dropped": float(np.mean(many)) if many else 0.0,
        "control_notes": {
            OTHER_REGIONS: "as many others of the picture, drawn by seed",
            OTHER_WORDS: "as many others of the caption, drawn by seed",
        },
        "controls_left_out": [],
    }


def _counts() -> dict[str, str]:
    losses = {f"{side}_loss{tail}" for side in SIDES for tail in ("", ADDED, BEYOND)}
    named = {*MEASURES, *losses}
    return {"": "pairs"} | {
        m: "pieces" if m.startswith("masked_phrase") else "regions" for m in sorted(named)
    }


def _result(rows: list[dict[str, Any]], meta: dict[str, Any], why: str | None) -> Result:
    import pandas as pd

    from value_nb.result import Result

    return Result(PROBE, pd.DataFrame(rows if rows else {"value": []}), meta, why)
