"""One pass of a model over a data set that feeds any number of probes, and the same under each control."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Literal

from value_nb.batches import BatchSize, settled
from value_nb.collecting import Collected
from value_nb.controls import AsIs, Condition, Control, NotPossible, Opened
from value_nb.probes.base import Probe
from value_nb.progress import bar
from value_nb.provenance import record, training_seed
from value_nb.shards import Compute, Journal, collect_shards, here
from value_nb.stats import REPLICATES
from value_nb.sweep_cache import Kept

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
    batch_size: BatchSize = 32,
    controls: Choice = "default",
    progress: bool = True,
    seed: int = 0,
    gate: Literal["auto"] | bool | SanityGate = "auto",
    cache: bool = True,
    client: Any = None,
) -> Results:
    """Put any number of questions to a model in one pass over the data, and one pass for each control.

    Batch size and order of the examples do not matter, but for rounding: a model's own in other shapes, and
    that of sums over the captions of an image.

    The results are kept (`value_nb.cache_info` lists them) and found again when the same is asked: model,
    weights, data, probes, controls, batch size, seed and code. A sweep that was cut off, by a kill or a full
    disk, goes on after the last part that was written (256 examples each, written every five seconds), with
    the same numbers as if nothing had happened.

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
        Examples run at once; "auto": as many as memory easily holds, up to 32 on a CPU and 256 on a GPU.
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
    cache
        Whether to look for these results, or for finished parts of them, and to keep them. Neither is done
        for a stream (anything but a sequence), or where a probe or a control cannot be told from another
        one, as its source cannot be had. The environment variable VALUE_NB_CACHE names the folder, or "off".
    client
        A `distributed.Client`: parts of 256 examples go to the workers of its Dask cluster, which hold the
        model once each, and partial results are added up here in order (`value_nb.distributed`). Features for
        classifiers come back as well, and lie here, beyond the `limit` of the probe on disk. Results
        that were kept are found with or without it.

    Returns
    -------
    Results by probe name. A probe that makes no sense for this model gets a result without rows whose
    `reason` says why.

    Raises
    ------
    ValueError
        For probes of one name, an unknown choice of controls, a control that no probe supports, a batch
        size below 1, another choice of gate, a gate of another model, or what is no client.
    ImportError
        For a client where the package distributed is missing.
    """
    _check_probes(probes)
    batch_size, data = settled(model, data, batch_size)
    if client is not None:
        from value_nb.distributed import checked

        client = checked(client)
    reasons = {probe.name: probe.not_defined(model) for probe in probes}
    fit = [probe for probe in probes if reasons[probe.name] is None]
    plan, skipped = _plan(fit, controls, seed)
    once = len(plan) < 2 and not any(probe.prepares for probe in fit)
    examples: Any = data if isinstance(data, Sequence) or once else list(data)
    kept = Kept.of(cache and examples is data, model, examples, probes, plan, skipped, batch_size, seed, gate)
    found = kept.results()
    if found is not None:
        return found
    journal = kept.journal()
    examples, entry = _gate(model, examples, gate, bool(fit), batch_size, progress, seed, journal, cache)
    run = _Run(model, examples, fit, batch_size, progress, seed, client, journal, len(plan))
    books = {p.name: _Book(p, model, reasons[p.name], seed, skipped.get(p.name, []), entry) for p in probes}
    for number, (condition, asked) in enumerate(plan.items()):
        try:
            met = run.condition(number, condition, asked)
        except NotPossible as problem:
            _skip(problem, [books[probe.name] for probe in asked], chosen=controls != "default")
            continue
        for probe in asked:
            books[probe.name].enter(met)
    return kept.keep({name: book.result() for name, book in books.items()})


class _Run:
    """The passes of one sweep."""

    def __init__(
        self,
        model: VLModel,
        examples: Any,
        fit: Sequence[Probe],
        batch_size: int,
        progress: bool,
        seed: int,
        client: Any,
        journal: Journal,
        passes: int,
    ) -> None:
        self.model, self.examples, self.fit, self.passes = model, examples, fit, passes
        self.batch_size, self.progress, self.seed = batch_size, progress, seed
        self.client, self.journal = client, journal

    @cached_property
    def prepared(self) -> dict[str, Probe]:
        """Each probe, having looked over the examples; only where a pass is still to be done."""
        return {probe.name: probe.fresh(self.seed).prepare(self.examples) for probe in self.fit}

    def condition(self, number: int, condition: Condition, asked: Sequence[Probe]) -> dict[str, Any]:
        """What came of one condition: rows by probe and where they are from, kept or computed.

        NotPossible where the data cannot give it.
        """
        name = f"{number:03d}"
        found: dict[str, Any] | None = self.journal.get(name)
        if found is not None:
            return found
        opened = condition.open(self.model, self.examples)
        probes = [self.prepared[probe.name].fresh(self.seed) for probe in asked]
        collected = self._collect(name, number, opened, probes)
        met = _met(opened, collected, self._rows(collected))
        self.journal.add(name, lambda: met, instead_of=f"{name}-")
        return met

    def _rows(self, collected: Collected) -> dict[str, list[dict[str, Any]]]:
        """What each probe makes of what it has seen."""
        found = {}
        label = f"{self.model.name} (results)"
        for probe in bar(collected.probes, label, progress=self.progress, unit=" probes"):
            probe.progress = self.progress
            found[probe.name] = probe.rows(replicates=REPLICATES)
        return found

    def _collect(self, name: str, number: int, opened: Opened, probes: Sequence[Probe]) -> Collected:
        examples = opened.examples
        total = len(examples) if isinstance(examples, Sequence) else None
        label = f"{self.model.name} ({'sweep' if opened.label == 'none' else opened.label}"
        label += f", pass {number + 1} of {self.passes})" if self.passes > 1 else ")"
        with (
            bar(label=label, total=total, progress=self.progress, unit=" pairs") as moved,
            self._where(opened.model, probes, moved) as compute,
        ):
            return collect_shards(examples, probes, compute, self.journal, name, moved)

    def _where(self, model: VLModel, probes: Sequence[Probe], moved: Any) -> AbstractContextManager[Compute]:
        if self.client is None:
            return nullcontext(here(model, probes, self.batch_size, moved))
        from value_nb.distributed import there

        return there(self.client, model, probes, self.batch_size, moved)


def _met(opened: Opened, collected: Collected, rows: dict[str, Any]) -> dict[str, Any]:
    """What came of one condition, as plain values."""
    return {
        "shared": {
            "weights": opened.model.weights,
            "control": opened.label,
            "data": collected.data,
            "split": collected.split,
            "seed": training_seed(opened.model),
        },
        "note": opened.note,
        "n": collected.n,
        "n_images": collected.n_images,
        "rows": rows,
    }


def _gate(
    model: VLModel,
    examples: Any,
    gate: Any,
    asked: bool,
    batch_size: int,
    progress: bool,
    seed: int,
    journal: Journal,
    cache: bool,
) -> tuple[Any, dict[str, Any]]:
    """The examples, and what is known of the model: measured now where that is due and a probe will run.

    A stream is read as far as the gate needs it, and what was read is put back in front.
    """
    from value_nb.sanity import EXAMPLES, is_due, settled

    found: dict[str, Any] | None = journal.get("gate")
    if found is not None:
        return examples, found
    head = examples
    if asked and not isinstance(examples, Sequence) and (gate is True or (gate == "auto" and is_due(model))):
        rest = iter(examples)
        head = list(islice(rest, EXAMPLES))
        examples = chain(head, rest)
    choice = gate if asked or not (gate is True or gate == "auto") else False
    entry = settled(model, head, choice, seed, batch_size, progress, cache)
    journal.add("gate", lambda: entry)
    return examples, entry


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
    for probe in probes:
        _check_settings(probe)
    names = [probe.name for probe in probes]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        shared = f"two probes are named {', '.join(twice)}; sweep them one after the other"
        raise ValueError(shared if twice else "no probes came; pass at least one, as in [FusionDegree()]")


def _check_settings(probe: Probe) -> None:
    """Settings stand in the result's file, as JSON: said before anything is run."""
    for name, value in probe.settings().items():
        try:
            json.dumps(value)
        except (TypeError, ValueError) as problem:
            raise ValueError(
                f"setting {name}={value!r} of {probe.name} cannot be written into a result ({problem}); "
                "expected plain numbers, texts, lists or dicts of them; an attribute that is no setting "
                "begins with '_'"
            ) from None


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
        self.seen: Mapping[str, Any] | None = None

    def enter(self, met: Mapping[str, Any]) -> None:
        """Add the rows of one condition, as `_met` gives them."""
        shared = {"model": self.model.name, **met["shared"]}
        if self.seen is None:
            self.seen = {**shared, **met}
        if met["note"]:
            self.notes[shared["control"]] = met["note"]
        self.rows += [shared | row for row in met["rows"][self.template.name]]

    def result(self) -> Result:
        """The finished result."""
        import pandas as pd

        from value_nb.result import Result

        frame = pd.DataFrame(self.rows if self.rows else {"value": []})
        return Result(self.template.name, frame, self._meta(), self.reason)

    def _meta(self) -> dict[str, Any]:
        seen = self.seen
        nothing = {"data": None, "split": None, "n": 0, "n_images": 0}
        known = {name: seen[name] if seen else value for name, value in nothing.items()}
        return record(self.model, known, self.seed, gate=self.gate) | {
            "title": self.template.title,
            "question": self.template.question,
            "settings": self.template.settings(),
            "n_counts": {"": "pairs", **self.template.counts},
            "control_notes": self.notes,
            "controls_left_out": sorted(set(self.skipped)),
        }
