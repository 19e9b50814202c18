"""The sanity gate: does this model read these features at all? Asked before any probe.

Features of another detector have the same width (2048) and are taken without an error, and everything that
is then measured is noise. A model that was pre-trained to tell whether caption and picture belong together
can be asked just that: with features that it cannot read it is right about half of the time.

    gate = vnb.sanity_gate(model, data)
    gate.verdict, gate.matching.value          # "met", 0.97
    vnb.sweep(model, data, probes, gate=gate)  # or model.with_card(gate); without, a sweep measures it itself
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from value_nb import estimates, quality_gate, seeds
from value_nb.cache.codecs import PLAIN
from value_nb.cache.remember import remembered
from value_nb.cache.remember import said as said_of
from value_nb.controls import Mismatched
from value_nb.data.example import Example
from value_nb.progress import bar
from value_nb.quality_gate import MEASURED, MET, NOT_DEFINED, NOT_MEASURED, NOT_MET, UNDECIDED
from value_nb.stats import REPLICATES

if TYPE_CHECKING:
    import pandas as pd

    from value_nb.models.base import VLModel

EXAMPLES = 200
"""Captions that a gate asks about: of 200 pictures, the interval at chance is about 0.06 to each side."""

CHANCE_AUC, LEAST_AUC = 0.5, 0.75
"""A matching AUC has to lie above chance with its interval, and to reach 0.75: of the pairs that guessing
puts in the wrong order (half of them) at least half are put right, the share that the miniature's cards ask
for of masked words. The cards ask 0.95 of the AUC, on captions that the gold scene makes false of the
picture. Here nobody knows: a caption of another picture may well be true of this one, and counts against a
model that is right. An interval above chance is not enough by itself: right boxes with wrong features say a
little, too. Measured on the miniature's test pictures with mini-uniter, mini-lxmert and mini-vilbert: with
their features 0.96 to 0.99 (200 pictures); with the features turned by a random rotation 0.49 to 0.53, in two
of nine cases with an interval above chance; with features drawn at random 0.50 to 0.55; with each column
shuffled among the regions of a picture, which keeps their mean, 0.62 to 0.67 (100 pictures each)."""

CHANCE_GAIN, LEAST_GAIN = 0.0, 0.05
"""Without a matching head: the right picture has to make more masked content words right than another one
does, with its interval, and at least one in twenty more. Many content words can be guessed without a picture,
so the cards' line (half of the errors, on words for colours and objects) cannot be asked of all of them."""

LEAST_IMAGES = 10
"""With fewer pictures the gate stays undecided: two captions on two pictures are in order by luck one time in
six, with an interval that does not show it; ten on ten, one time in 184,756."""

Heads = dict[str, str]


@dataclass(frozen=True, slots=True)
class Measure:
    """A number with its 95 % interval over images, and what it was counted over.

    Attributes
    ----------
    value, lo, hi
        nan where there is none: one image gives no interval.
    n, n_images
        Pairs (for the AUC) or words, and images.
    """

    value: float
    lo: float
    hi: float
    n: int
    n_images: int


@dataclass(frozen=True, slots=True)
class SanityGate:
    """What a model makes of the features of some data.

    Attributes
    ----------
    model, weights, data, split
        What was measured on what.
    n, n_images, seed
        Captions and pictures asked about; seed of their choice, of the swaps and of the intervals.
    matching
        Area under the ROC curve of captions with their own picture against the same captions with another
        one's, 0 to 1, 0.5 is chance, below it the score is upside down. None without a matching head.
    words_right, words_other, words_gain
        Share of masked content words (one a caption) that are right with the right picture, with another
        one, and the difference, paired over images. None without a word head.
    verdict
        "met", "not met", "undecided" (too few pictures to say), "not measured" or "not defined".
    reason
        The verdict in a sentence.
    note
        The verdict and the number that decided, as in a figure's title.
    """

    model: str
    weights: str
    data: str
    split: str
    n: int
    n_images: int
    seed: int
    matching: Measure | None
    words_right: Measure | None
    words_other: Measure | None
    words_gain: Measure | None
    verdict: str
    reason: str
    note: str

    @property
    def met(self) -> bool | None:
        """The verdict as a card has it; None where it is neither met nor missed."""
        return {MET: True, NOT_MET: False}.get(self.verdict)

    @property
    def record(self) -> dict[str, Any]:
        """The gate as plain values, as it stands in `meta["gate"]` of results; nan becomes None."""
        plain: dict[str, Any] = _plain(asdict(self))
        return {"source": MEASURED, **plain}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> SanityGate:
        """The gate that `record` was made of, for instance that of a saved result.

        ValueError for something else, a card's answer for instance, which has no numbers.
        """
        if record.get("source") != MEASURED:
            raise ValueError(
                f"this record is of source {record.get('source')!r}; expected that of a measured gate, as in "
                f"meta['gate'] of a result whose gate was measured ({MEASURED!r})"
            )
        values = {field.name: record[field.name] for field in fields(cls)}
        read: dict[str, Any] = {k: _measure(v) if isinstance(v, Mapping) else v for k, v in values.items()}
        return cls(**read)

    @property
    def table(self) -> pd.DataFrame:
        """One row a measure: value, lo, hi, least (what is asked for), n, n_images."""
        import pandas as pd

        rows = {
            "matching AUC": (self.matching, LEAST_AUC),
            "masked words right, right picture": (self.words_right, None),
            "masked words right, another picture": (self.words_other, None),
            "masked words, difference": (self.words_gain, None if self.matching else LEAST_GAIN),
        }
        found = {name: asdict(one) | {"least": least} for name, (one, least) in rows.items() if one}
        columns = ["value", "lo", "hi", "least", "n", "n_images"]
        return pd.DataFrame.from_dict(found, orient="index", columns=columns).rename_axis("measure")

    def __repr__(self) -> str:
        asked = f"{self.n} captions of {self.n_images} pictures of {self.data} ({self.split})"
        return f"SanityGate({self.model!r}, {asked}: {self.verdict}. {self.reason})"


def sanity_gate(
    model: VLModel,
    data: Iterable[Example],
    n: int = EXAMPLES,
    seed: int = 0,
    batch_size: int = 32,
    progress: bool = False,
    cache: bool = True,
) -> SanityGate:
    """Ask a model whether it can tell captions that belong to a picture from those that do not.

    Every caption is put beside its own picture and beside that of another example (a derangement of the
    pictures, as in the control `Mismatched`: none keeps its own, each is used once). A score that looks at
    the caption alone gives exactly 0.5, since the captions are the same on both sides; so does one that
    looks at the picture alone, where each has the same number of captions. Where the model has a matching
    head, the AUC decides; else masked content words do, one drawn from each caption.

    The gate is met when the interval lies above chance, which says that the picture speaks to the model, and
    the number reaches `LEAST_AUC` (`LEAST_GAIN` for words), which says that the features do, well enough
    for more to be asked. It is missed when the interval lies below that line, and undecided otherwise.

    Parameters
    ----------
    model
        From `load_model`.
    data
        Captions with pictures and region features, as the model's figures will use them.
    n
        At most so many captions: of as many pictures as there are, the same number of each, drawn by id.
    seed
        Of the draw, the swaps and the intervals.
    batch_size
        Examples run at once. It costs up to four passes over n captions.
    progress
        Show a bar.
    cache
        Look the gate up among kept results, and keep it (`value_nb.cache_info`); False: measure it anew.

    Returns
    -------
    The gate. "not defined" for a model that sees no picture; "not measured" with fewer than two pictures,
    or where the model has neither head.

    Raises
    ------
    ValueError
        For n below 2 or a batch size below 1, for anything but examples, and for examples that the model
        refuses (features of another width, captions that are too long).
    """
    for what, given, least in (("n", n, 2), ("batch_size", batch_size, 1)):
        if given < least:
            raise ValueError(f"{what} is {given}; expected at least {least}")
    if not quality_gate.sees_pictures(model):
        verdict, reason = NOT_DEFINED, f"{model.name} sees no picture, so no features can be wrong for it."
        return _gate(model, (), seed, verdict, reason)
    sample = drawn(data if isinstance(data, Sequence) else list(data), n, seed)
    if len({example.image_id for example in sample}) < 2:
        reason = "There are fewer than two pictures with regions, so no caption can be put to another one."
        return _gate(model, sample, seed, NOT_MEASURED, reason)
    return remembered(
        "sanity gate",
        lambda: _depends_on(model, sample, seed, batch_size),
        lambda: _measured(model, sample, seed, batch_size, progress),
        PLAIN.around(lambda gate: gate.record, SanityGate.from_record),
        {"model": model.name, "data": said_of(sample), "n": len(sample)},
        cache,
    )


def _depends_on(model: VLModel, sample: Sequence[Example], seed: int, batch_size: int) -> list[Any]:
    """The parts of a gate's key: of the data only the captions that are asked about."""
    from value_nb.cache import keys

    pixels = model.picture_input == "pixels"
    return [
        keys.of_model(model),
        keys.of_examples(sample, pixels),
        seed,
        batch_size,
        keys.of_code(sanity_gate),
    ]


def drawn(data: Sequence[Example], n: int, seed: int) -> list[Example]:
    """At most `n` captions with regions, the same number of each picture, whatever the order of the data."""
    light = getattr(data, "without_features", lambda: data)()
    rows: dict[str, list[tuple[float, int]]] = {}
    for index, example in enumerate(light):
        if not isinstance(example, Example):
            raise ValueError(f"expected examples of a data set, got {type(example).__name__}")
        if example.regions is not None and len(example.regions):
            rows.setdefault(example.image_id, []).append((_place(example.id, seed), index))
    images = sorted(rows, key=lambda image_id: (_place(image_id, seed), image_id))[:n]
    each = max(1, n // len(images)) if images else 0
    chosen = sorted(index for image_id in images for _, index in sorted(rows[image_id])[:each])
    return [data[index] for index in chosen]


def settled(
    model: VLModel,
    data: Sequence[Example],
    gate: str | bool | SanityGate = "auto",
    seed: int = 0,
    batch_size: int = 32,
    progress: bool = False,
    cache: bool = True,
) -> dict[str, Any]:
    """What stands under "gate" in the meta of a sweep's results; measured now where that is due.

    Parameters
    ----------
    gate
        "auto": measured for a trained model that sees pictures and has neither card nor gate. True: measured
        in any case. False: not measured. A gate: taken as it is.
    cache
        As in `sanity_gate`.

    Raises
    ------
    ValueError
        For another choice, and for a gate of another model.
    """
    if isinstance(gate, SanityGate):
        quality_gate.check_same(gate, model.name)
        return gate.record
    if not isinstance(gate, bool) and gate != "auto":
        raise ValueError(f"gate={gate!r}; expected 'auto', True, False or a gate from value_nb.sanity_gate")
    if gate is True or (gate == "auto" and is_due(model)):
        how: dict[str, Any] = {"batch_size": batch_size, "progress": progress, "cache": cache}
        return sanity_gate(model, data, seed=seed, **how).record
    return quality_gate.of_model(model)


def is_due(model: VLModel) -> bool:
    """Whether "auto" measures: a trained, whole model that sees pictures, of which nobody knows anything."""
    trained = model.weights == "trained" and not getattr(model, "changes", ())
    return trained and not quality_gate.is_known(model) and quality_gate.sees_pictures(model)


def with_measured_gate(
    model: VLModel,
    data: Sequence[Example],
    seed: int = 0,
    batch_size: int = 32,
    progress: bool = False,
    cache: bool = True,
) -> VLModel:
    """The model with its gate in the card, measured now where "auto" would; else the model itself."""
    if not is_due(model):
        return model
    how: dict[str, Any] = {"batch_size": batch_size, "progress": progress, "cache": cache}
    return model.with_card(sanity_gate(model, data, seed=seed, **how))


def _measured(
    model: VLModel, sample: list[Example], seed: int, batch_size: int, progress: bool
) -> SanityGate:
    import torch

    apart = [replace(example, split="") for example in sample]  # nothing is learned: any two may be swapped
    others = [*Mismatched(seed, false_by_gold=False).swapped(apart, "caption")]
    matching = words = None
    with torch.no_grad(), _bar(model, sample, progress) as moved:
        missing = _missing_heads(model, sample[0])
        if "matching" not in missing:
            matching = _auc(model, sample, others, seed, batch_size, moved)
        if "words" not in missing:
            words = _words(model, sample, others, seed, batch_size, moved)
    right, other, gain = words or (None, None, None)
    verdict, reason, note = _judged(model, matching, gain, missing)
    made = _gate(model, sample, seed, verdict, reason)
    return replace(made, matching=matching, words_right=right, words_other=other, words_gain=gain, note=note)


def _gate(model: VLModel, sample: Sequence[Example], seed: int, verdict: str, reason: str) -> SanityGate:
    """A gate without numbers."""
    data, splits, images = ({getattr(e, name) for e in sample} for name in ("dataset", "split", "image_id"))
    return SanityGate(
        model.name, model.weights, "+".join(sorted(data)), "+".join(sorted(splits)), len(sample), len(images),
        int(seed), None, None, None, None, verdict, reason, f"sanity gate {verdict}",
    )  # fmt: skip


def _missing_heads(model: VLModel, example: Example) -> Heads:
    """ "matching" or "words" -> what the model itself says of the head that it has not."""
    outputs = model.run(model.prepare([example]))
    asked = {
        "matching": lambda: model._matching_logits(outputs),
        "words": lambda: model._word_logits(outputs.hidden["text"][:, :1]),
    }
    missing: Heads = {}
    for head, ask in asked.items():
        try:
            ask()
        except ValueError as problem:
            missing[head] = str(problem)
    return missing


def _auc(
    model: VLModel, own: list[Example], others: list[Example], seed: int, batch_size: int, moved: Any
) -> Measure:
    """Logits, not probabilities: these round to one, and to ties, where a model is sure."""
    pairs = [*own, *others]
    match = np.arange(len(pairs)) < len(own)
    score = np.zeros(len(pairs))
    for rows in _batches(pairs, batch_size):
        outputs = model.run(model.prepare([pairs[row] for row in rows]))
        score[rows] = model._matching_logits(outputs).detach().double().cpu().numpy()
        moved.update(len(rows))
    images = np.array([example.image_id for example in pairs])
    return _measure(estimates.auc(score, match, images, seed, REPLICATES).row)


def _words(
    model: VLModel, own: list[Example], others: list[Example], seed: int, batch_size: int, moved: Any
) -> tuple[Measure, Measure, Measure] | None:
    """Right, with another picture, difference; None where no caption has a content word."""
    asked = [(k, word) for k, example in enumerate(own) if (word := _content_word(example, seed)) is not None]
    if not asked:
        return None
    images = np.array([own[k].image_id for k, _ in asked])
    found = []
    for side in (own, others):
        correct = np.zeros(len(asked))
        examples, words = [side[k] for k, _ in asked], [word for _, word in asked]
        for rows in _batches(examples, batch_size):
            said = model.masked_words([examples[r] for r in rows], [words[r] for r in rows], batch_size)
            correct[rows] = said.correct
            moved.update(len(rows))
        found.append(estimates.mean_of(correct, images, seed, REPLICATES))
    right, other = found
    return _measure(right.row), _measure(other.row), _measure((right - other).row)


def _content_word(example: Example, seed: int) -> int | None:
    """A content word of the caption, drawn by the example's id; None where there is none."""
    from value_nb.ablation_questions import is_content

    words = [index for index, word in enumerate(example.words) if is_content(word)]
    draws = seeds.uniforms(example.id, seed, len(words), purpose="masked word")
    return words[int(draws.argmin())] if words else None


def _judged(
    model: VLModel, matching: Measure | None, gain: Measure | None, missing: Heads
) -> tuple[str, str, str]:
    """Verdict, reason and note."""
    if matching is not None:
        verdict = judge(matching, CHANCE_AUC, LEAST_AUC)
        number = f"matching AUC {matching.value:.2f} [{matching.lo:.2f}, {matching.hi:.2f}]"
        return verdict, _why_matching(verdict, matching, gain), _note(verdict, number, _doubt(matching))
    if gain is not None:
        verdict = judge(gain, CHANCE_GAIN, LEAST_GAIN)
        number = f"masked words {gain.value:+.2f} [{gain.lo:+.2f}, {gain.hi:+.2f}]"
        return verdict, _why_words(verdict, gain, missing), _note(verdict, number, "wrong features?")
    why = "; ".join([*missing.values(), *([] if "words" in missing else ["no caption has a content word"])])
    reason = f"{model.name} can be asked neither for a match nor for words: {why}."
    return NOT_MEASURED, reason, _note(NOT_MEASURED, "", "")


def judge(one: Measure, chance: float, least: float) -> str:
    """The verdict on a number.

    "met": the interval lies above chance and the value reaches the line; "not met": the interval lies below
    the line; "undecided": neither, or fewer than `LEAST_IMAGES` pictures.
    """
    if one.n_images < LEAST_IMAGES:
        return UNDECIDED
    if one.lo > chance and one.value >= least:
        return MET
    return NOT_MET if one.hi < least else UNDECIDED


def _doubt(matching: Measure) -> str:
    """What a missed gate makes one think of; right boxes lift wrong features a little above chance."""
    return "score upside down?" if matching.hi < CHANCE_AUC else "wrong features?"


def _note(verdict: str, number: str, doubt: str) -> str:
    said = f"sanity gate {verdict}" + (f": {number}" if number else "")
    return f"{said}, {doubt}" if verdict == NOT_MET and doubt else said


def _why_matching(verdict: str, one: Measure, gain: Measure | None) -> str:
    number = (
        f"matching AUC {one.value:.2f}, 95 % interval {one.lo:.2f} to {one.hi:.2f}; 0.5 is chance, "
        f"{LEAST_AUC} is asked for"
    )
    if verdict == MET:
        return f"Captions are told from those of other pictures ({number})."
    if verdict == UNDECIDED:
        return f"There are too few pictures to say whether captions are told from others well ({number})."
    if one.hi < CHANCE_AUC:
        return (
            f"Captions of other pictures score higher than a picture's own ({number}): the matching score "
            "looks upside down, so check which of its two outputs means a match."
        )
    if one.lo > CHANCE_AUC:
        return (
            f"Captions are told from those of other pictures, but too seldom ({number}): right boxes with "
            "the features of another detector may give as much."
        )
    helps = gain is not None and gain.lo > CHANCE_GAIN
    but = "the right picture helps with masked words, so perhaps it is the matching head that was not trained"
    wrong = "these are probably not the features that the model was trained with"
    return f"Captions are not told from those of other pictures ({number}): {but if helps else wrong}."


def _why_words(verdict: str, gain: Measure, missing: Heads) -> str:
    number = (
        f"{gain.value:+.2f} of the masked content words, 95 % interval {gain.lo:+.2f} to {gain.hi:+.2f}; "
        f"0 is chance, {LEAST_GAIN:+.2f} is asked for; the model has no head for matching"
    )
    if verdict == MET:
        return f"The right picture helps with masked words ({number})."
    if verdict == UNDECIDED:
        return f"There are too few pictures to say how much the right one helps with masked words ({number})."
    if gain.lo > CHANCE_GAIN:
        return f"The right picture helps with masked words, but too little ({number})."
    return (
        f"The right picture does not help with masked words ({number}): these are probably not the features "
        "that the model was trained with."
    )


def _batches(examples: Sequence[Example], size: int) -> Iterator[list[int]]:
    """Rows of examples of like length, so that little is spent on padding."""
    order = sorted(range(len(examples)), key=lambda row: len(examples[row].words))
    return (order[first : first + size] for first in range(0, len(order), size))


def _bar(model: VLModel, sample: list[Example], progress: bool) -> Any:
    return bar(label=f"{model.name} (sanity gate)", total=4 * len(sample), progress=progress)


def _place(name: str, seed: int) -> float:
    return float(seeds.uniforms(name, seed, 1, purpose="sanity gate")[0])


def _measure(row: Mapping[str, Any]) -> Measure:
    """From a row of a frame or of a record, in which None stands for nan."""
    value, lo, hi = (math.nan if row[k] is None else float(row[k]) for k in ("value", "lo", "hi"))
    return Measure(value, lo, hi, int(row["n"]), int(row["n_images"]))


def _plain(value: Any) -> Any:
    """nan -> None, at any depth, since JSON has no nan."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
