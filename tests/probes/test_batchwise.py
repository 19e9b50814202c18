"""Probes that fetch once a batch: nothing is lost, counted twice, or left behind, whoever calls them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from tests.tiny import tiny_examples, tiny_model
from value_nb.collecting import Dispatcher, collect
from value_nb.layout import LayerBatch, Layout
from value_nb.probes.base import Needs
from value_nb.probes.batchwise import AT_HAND, Batchwise, together
from value_nb.probes.coreference_attention import CoreferenceAttention
from value_nb.probes.crossmodal import CrossModalHeads
from value_nb.probes.modality import ModalityImportance


class Sums(Batchwise):
    """Adds up the states of a batch; notes what was added and when."""

    name, title, question = "sums", "Sums", "How large?"

    def _start(self) -> None:
        super()._start()
        self._added: list[tuple[Any, float]] = []
        self._looked: list[int] = []

    def _absorb(self, other: Sums) -> None:
        self._added += other._added

    def needs(self, model: Any) -> Needs:
        return Needs(frozenset({"joint"}), hidden=True)

    def _look(self, layout: Layout) -> int | None:
        self._looked.append(len(layout.examples))
        return len(layout.examples) or None

    def _reduce(self, batch: LayerBatch, about: int) -> Iterator[Any]:
        yield batch.layer, (batch.hidden["text"].sum(), batch.hidden["text"][0, 0] * 0 + about)

    def _add(self, about: int, keys: Sequence[Any], *values: np.ndarray) -> None:
        assert (values[1] == about).all()
        self._added += [(key, float(value)) for key, value in zip(keys, values[0], strict=True)]

    def rows(self, *, replicates: int) -> list[dict[str, Any]]:
        self.settle()
        return [{"measure": str(layer), "value": value} for layer, value in self._added]


def run(probe: Batchwise, sizes: Sequence[int], settle: bool = True) -> list[Any]:
    """Update with the layers of some batches; returns the batches."""
    model, made = tiny_model("uniter"), []
    for size in sizes:
        batch = model.prepare(tiny_examples(size))
        model.run(batch, on_layer=probe.update)
        made.append(batch)
    if settle:
        probe.settle()
    return made


def test_a_batch_is_looked_at_once_and_added_when_the_next_one_comes() -> None:
    probe = Sums().fresh()
    run(probe, [2, 3], settle=False)
    assert probe._looked == [2, 3]
    assert [key for key, _ in probe._added] == [0, 1, 2, 3], "of the first batch alone"
    probe.settle()
    assert [key for key, _ in probe._added] == [0, 1, 2, 3] * 2
    probe.settle()
    assert len(probe._added) == 8, "nothing is added twice"


def test_the_same_batch_run_twice_counts_twice() -> None:
    probe, model = Sums().fresh(), tiny_model("uniter")
    batch = model.prepare(tiny_examples(2))
    for _ in range(2):
        model.run(batch, on_layer=probe.update)
    assert len(probe.rows(replicates=2)) == 8


@pytest.mark.parametrize("make", [ModalityImportance, CrossModalHeads, CoreferenceAttention, Sums])
def test_whoever_reads_it_misses_nothing(make: Any) -> None:
    """A pass, its state, what another one absorbs: all hold the last batch, and nothing of it stays."""
    model, examples = tiny_model("uniter"), tiny_examples(6)
    (seen,) = collect(model, examples, [make().fresh()], batch_size=4).probes
    wanted = seen.rows(replicates=5)
    assert wanted
    alone, kept, merged = (updated(make().fresh(), model, (examples[:4], examples[4:])) for _ in range(3))
    assert alone._waiting, "the last batch waits"
    state = kept.state()
    assert not AT_HAND & state.keys()
    assert kept._layout is None and not kept._waiting
    for probe in (alone, make().fresh().restore(state), make().fresh().merge(merged)):
        found = probe.rows(replicates=5)
        assert sorted(map(named, found)) == sorted(map(named, wanted))
        values = [[row["value"] for row in sorted(rows, key=named)] for rows in (found, wanted)]
        if make is not Sums:  # which adds up whole batches
            np.testing.assert_allclose(*values, atol=1e-6)


def updated(probe: Batchwise, model: Any, parts: Sequence[Any]) -> Batchwise:
    """The probe after the layers of some batches, with nobody to say that the pass is over."""
    for part in parts:
        model.run(model.prepare(part), on_layer=Dispatcher(model, [probe]))
    return probe


def named(row: dict[str, Any]) -> str:
    """Which number a row is."""
    return str(
        [row.get(key) for key in ("stack", "layer", "head", "direction", "measure", "specials", "group")]
    )


def test_like_shapes_are_fetched_together_in_order() -> None:
    waiting = {
        "a": (torch.tensor([1.0, 2.0]),), "b": (torch.tensor([3.0]),), "c": (torch.tensor([4.0, 5.0]),)
    }  # fmt: skip
    found = [(keys, values[0].tolist()) for keys, values in together(waiting)]
    assert found == [(["a", "c"], [[1.0, 2.0], [4.0, 5.0]]), (["b"], [[3.0]])]


def test_a_batch_without_anything_to_see_is_passed_over() -> None:
    class Blind(Sums):
        def _look(self, layout: Layout) -> None:
            return None

    probe = Blind().fresh()
    run(probe, [2])
    assert probe._added == []
