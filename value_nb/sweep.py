"""One pass of a model over a data set that feeds any number of probes, and the same under each control."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Literal

from value_nb.collecting import Collected, collect
from value_nb.controls import AsIs, Condition, Control, NotPossible, Opened
from value_nb.probes.base import Probe
from value_nb.provenance import record, training_seed
from value_nb.stats import REPLICATES

if TYPE_CHECKING:
    from value_nb.data.example import Example
    from value_nb.models.base import VLModel
    from value_nb.result import Result, Results
    from value_nb.sanity import SanityGate

Choice = Literal["default", "none"] | Sequence[Control]


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
