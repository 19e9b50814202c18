"""One pass of a model over a data set that feeds any number of probes, and the same under each control."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Literal

from value_nb.controls import AsIs, Condition, Control, NotPossible, Opened
from value_nb.probes.base import Needs, Probe
from value_nb.provenance import record, training_seed
from value_nb.stats import REPLICATES

if TYPE_CHECKING:
    from value_nb.data.example import Example
    from value_nb.layout import LayerBatch
    from value_nb.models.base import VLModel
    from value_nb.result import Result, Results
    from value_nb.sanity import SanityGate

WINDOW = 8  # batches that are read ahead and sorted by length, so that little is spent on padding
Choice = Literal["default", "none"] | Sequence[Control]


@dataclass(frozen=True, slots=True)
class Collected:
    """What one pass brought together.

    Attributes
    ----------
    probes
        The probes, having seen every example.
    n, n_images
        Examples and different pictures.
    data, split
        As the examples say; several are joined by "+".
    """

    probes: tuple[Probe, ...]
    n: int
    n_images: int
    data: str
    split: str


def sweep(
    model: VLModel,
    data: Iterable[Example],
    probes: Sequence[Probe],
    batch_size: int = 32,
    controls: Choice = "default",
    progress: bool = True,
    seed: int = 0,
    gate: Literal["auto"] | bool | SanityGate = "auto",
) -> Results:
    """Put any number of questions to a model in one pass over the data, and one pass for each control.

    Batch size and order of the examples do not matter, but for a model's own rounding in other shapes.

    Parameters
    ----------
    model
        From `load_model`.
    data
        Examples, for instance from `load_dataset`. Read several times when there are controls, or a probe
        that looks over them first; what is no sequence is then held in memory.
    probes
        Templates, with different names; they are left as they are.
    batch_size
        Examples run at once.
    controls
        "default": those each probe names; "none"; or a list, for instance `[RandomWeights(), Mismatched()]`.
    progress
        Show a bar for each pass.
    seed
        Seed of the probes, the intervals and the default controls.
    gate
        Whether the model can read these features, asked before any probe and shown in every figure. "auto":
        measured on at most 200 captions (`value_nb.sanity_gate`) for a trained model that sees pictures and
        has no quality card; never for random weights, or where something was taken away. True: in any case.
        False: not at all. Or a gate that was measured before, so that a second sweep does not do it again.

    Returns
    -------
    Results by probe name. A probe that makes no sense for this model gets a result without rows whose
    `reason` says why.

    Raises
    ------
    ValueError
        For probes of one name, an unknown choice of controls, a control that no probe supports, a batch
        size below 1, another choice of gate, or a gate of another model.
    """
    from value_nb.result import Results

    _check_probes(probes)
    reasons = {probe.name: probe.not_defined(model) for probe in probes}
    fit = [probe for probe in probes if reasons[probe.name] is None]
    plan, skipped = _plan(fit, controls, seed)
    once = len(plan) < 2 and not any(probe.prepares for probe in fit)
    examples: Any = data if isinstance(data, Sequence) or once else list(data)
    examples, entry = _gate(model, examples, gate, bool(fit), batch_size, progress, seed)
    prepared = {probe.name: probe.fresh(seed).prepare(examples) for probe in fit}
    books = {p.name: _Book(p, model, reasons[p.name], seed, skipped.get(p.name, []), entry) for p in probes}
    for condition, asked in plan.items():
        try:
            opened = condition.open(model, examples)
        except NotPossible as problem:
            _skip(problem, [books[probe.name] for probe in asked], chosen=controls != "default")
            continue
        ready = [prepared[probe.name].fresh(seed) for probe in asked]
        collected = collect(opened.model, opened.examples, ready, batch_size, progress, opened.label)
        for probe in collected.probes:
            books[probe.name].enter(opened, collected, probe)
    return Results({name: book.result() for name, book in books.items()})


def collect(
    model: VLModel,
    examples: Iterable[Example],
    probes: Sequence[Probe],
    batch_size: int = 32,
    progress: bool = False,
    label: str = "",
) -> Collected:
    """Run the model once over the examples and let the probes, which are changed, see what they need.

    Shards can be collected apart, on fresh copies of the same probes, and merged with `Probe.merge`.
    """
    import torch
    from tqdm.auto import tqdm

    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; expected at least 1")
    hand_out = _Dispatcher(model, probes)
    seen, images = 0, set[str]()
    data, splits = set[str](), set[str]()
    total = len(examples) if isinstance(examples, Sequence) else None
    said = f"{model.name} ({label or 'sweep'})"
    with tqdm(total=total, desc=said, disable=not progress, leave=False) as bar:
        for chunk in _batches(examples, batch_size):
            with torch.inference_mode():
                model.run(model.prepare(chunk), on_layer=hand_out)
            seen += len(chunk)
            images.update(example.image_id for example in chunk)
            data.update(example.dataset for example in chunk)
            splits.update(example.split for example in chunk)
            bar.update(len(chunk))
    if not seen:
        raise ValueError("no examples came; check the data set and its limit")
    return Collected(tuple(probes), seen, len(images), "+".join(sorted(data)), "+".join(sorted(splits)))


def _gate(
    model: VLModel, examples: Any, gate: Any, asked: bool, batch_size: int, progress: bool, seed: int
) -> tuple[Any, dict[str, Any]]:
    """The examples, and what is known of the model: measured now where that is due and a probe will run.

    A stream is read as far as the gate needs it, and what was read is put back in front.
    """
    from value_nb.sanity import EXAMPLES, is_due, settled

    head = examples
    if asked and not isinstance(examples, Sequence) and (gate is True or (gate == "auto" and is_due(model))):
        rest = iter(examples)
        head = list(islice(rest, EXAMPLES))
        examples = chain(head, rest)
    choice = gate if asked or not (gate is True or gate == "auto") else False
    return examples, settled(model, head, choice, seed, batch_size, progress)


def _skip(problem: NotPossible, books: Sequence[_Book], chosen: bool) -> None:
    """Note that the data cannot give a control; raise where the user has chosen it."""
    if chosen:
        raise problem
    for book in books:
        book.skipped.append(str(problem))


class _Dispatcher:
    """Hands each probe the layers it needs, and of those only what it asked for."""

    def __init__(self, model: VLModel, probes: Sequence[Probe]) -> None:
        self.served = [(probe, _checked(probe, model)) for probe in probes]

    def __call__(self, batch: LayerBatch) -> None:
        for probe, needs in self.served:
            if batch.stack not in needs.stacks:
                continue
            maps = {name: batch.attention[name] for name in batch.attention if name in needs.attention}
            if needs.hidden or maps:
                probe.update(replace(batch, hidden=batch.hidden if needs.hidden else {}, attention=maps))


def _checked(probe: Probe, model: VLModel) -> Needs:
    needs = probe.needs(model)
    stacks = frozenset(model.stacks)
    directions = {direction for stack in needs.stacks & stacks for direction in model.directions[stack]}
    for kind, wanted, there in (
        ("stacks", needs.stacks, stacks),
        ("directions", needs.attention, directions),
    ):
        if not wanted <= there:
            raise ValueError(
                f"{probe.name} needs {kind} {sorted(wanted - there)}, which {model.name} lacks; "
                f"it has {sorted(there)}"
            )
    return needs


def _batches(examples: Iterable[Example], batch_size: int) -> Iterator[list[Example]]:
    """Batches of examples of like length, from windows that are read one at a time."""
    for window in _chunks(examples, batch_size * WINDOW):
        yield from _chunks(sorted(window, key=_length), batch_size)


def _chunks(examples: Iterable[Example], size: int) -> Iterator[list[Example]]:
    chunk: list[Example] = []
    for example in examples:
        chunk.append(example)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _length(example: Example) -> tuple[int, int]:
    return len(example.words), 0 if example.regions is None else len(example.regions)


def _check_probes(probes: Sequence[Probe]) -> None:
    wrong = [probe for probe in probes if not isinstance(probe, Probe)]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is no probe; pass instances, for instance [FusionDegree()]")
    names = [probe.name for probe in probes]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        shared = f"two probes are named {', '.join(twice)}; sweep them one after the other"
        raise ValueError(shared if twice else "no probes came; pass at least one, as in [FusionDegree()]")


def _plan(
    probes: Sequence[Probe], controls: Choice, seed: int
) -> tuple[dict[Condition, list[Probe]], dict[str, list[str]]]:
    """Which probes see which condition, and by probe the chosen controls that make no sense for it."""
    plan: dict[Condition, list[Probe]] = {AsIs(): list(probes)} if probes else {}
    skipped: dict[str, list[str]] = {}
    supported = set()
    for probe in probes:
        for control in _chosen(controls, probe, seed):
            if control.name not in probe.controls:
                skipped.setdefault(probe.name, []).append(f"{control.name} makes no sense for this probe")
                continue
            supported.add(control.name)
            for condition in control.conditions(probe):
                plan.setdefault(condition, []).append(probe)
    if not isinstance(controls, str) and probes:
        useless = [control.name for control in controls if control.name not in supported]
        if useless:
            raise ValueError(f"no probe here supports the control {useless[0]!r}; leave it out")
    return plan, skipped


def _chosen(controls: Choice, probe: Probe, seed: int) -> tuple[Control, ...]:
    if isinstance(controls, str):
        if controls not in ("default", "none"):
            raise ValueError(f"controls={controls!r}; expected 'default', 'none' or a list of controls")
        return probe.default_controls(seed) if controls == "default" else ()
    wrong = [control for control in controls if not isinstance(control, Control)]
    if wrong:
        raise ValueError(
            f"{wrong[0]!r} is no control; expected instances, for instance [RandomWeights(), Mismatched()]"
        )
    return tuple(controls)


class _Book:
    """Rows of one probe over all conditions, and what is known about them."""

    def __init__(
        self,
        probe: Probe,
        model: VLModel,
        reason: str | None,
        seed: int,
        skipped: list[str],
        gate: Mapping[str, Any],
    ) -> None:
        self.gate = gate
        self.template, self.model, self.reason, self.seed = probe, model, reason, seed
        self.skipped, self.notes, self.rows = list(skipped), dict[str, str](), list[dict[str, Any]]()
        self.seen: Collected | None = None

    def enter(self, opened: Opened, collected: Collected, probe: Probe) -> None:
        """Add the rows of one condition."""
        if self.seen is None:
            self.seen = collected
        if opened.note:
            self.notes[opened.label] = opened.note
        shared = {
            "model": self.model.name,
            "weights": opened.model.weights,
            "control": opened.label,
            "data": collected.data,
            "split": collected.split,
            "seed": training_seed(opened.model),
        }
        self.rows += [shared | row for row in probe.rows(replicates=REPLICATES)]

    def result(self) -> Result:
        """The finished result."""
        import pandas as pd

        from value_nb.result import Result

        frame = pd.DataFrame(self.rows if self.rows else {"value": []})
        return Result(self.template.name, frame, self._meta(), self.reason)

    def _meta(self) -> dict[str, Any]:
        seen = self.seen
        known = {
            "data": seen.data if seen else None,
            "split": seen.split if seen else None,
            "n": seen.n if seen else 0,
            "n_images": seen.n_images if seen else 0,
        }
        return record(self.model, known, self.seed, gate=self.gate) | {
            "title": self.template.title,
            "question": self.template.question,
            "settings": self.template.settings(),
            "n_counts": {"": "pairs", **self.template.counts},
            "control_notes": self.notes,
            "controls_left_out": sorted(set(self.skipped)),
        }
