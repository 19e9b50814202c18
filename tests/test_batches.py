from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import value_nb as vnb
from tests.tiny import tiny_examples, tiny_model
from value_nb import batches as module
from value_nb.batches import AUTO, HEAD, batches, length, settled, tried
from value_nb.cost import _available, _left_in_container, free_memory, live_bytes
from value_nb.data.example import Example


@pytest.fixture(autouse=True)
def nothing_found_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_found", module.WeakKeyDictionary())


def test_every_example_comes_once_and_like_lengths_together() -> None:
    examples = tiny_examples(40, words=(2, 7))
    parts = [*batches(examples, 5)]
    assert sorted(e.id for part in parts for e in part) == sorted(e.id for e in examples)
    lengths = [len(e.words) for part in parts for e in part]
    assert lengths == sorted(lengths)


def test_a_number_stays_as_it_is() -> None:
    examples = tiny_examples(2)
    assert settled(tiny_model("uniter"), examples, 7) == (7, examples)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "big", None])
def test_anything_else_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="expected at least 1, or 'auto'"):
        settled(tiny_model("uniter"), tiny_examples(2), wrong)


def test_auto_fills_the_room_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The size is the largest power of two whose tensors fit; each pair of a tiny model takes some kB."""
    model, examples = tiny_model("uniter"), tiny_examples(8)
    longest = max(examples, key=module.length)
    needed = {n: live_bytes(lambda n=n: model.run(model.prepare([longest] * n))) for n in (1, 2, 8, 16)}
    assert needed[1] < needed[2] < needed[8] < needed[16]
    for room, size in ((10 * needed[16], 32), ((needed[8] + needed[16]) / 2, 8), (needed[1] / 2, 1)):
        monkeypatch.setattr(module, "_found", module.WeakKeyDictionary())
        monkeypatch.setattr("value_nb.cost.free_memory", lambda device, room=room: room / module.ROOM)
        assert settled(model, examples, AUTO)[0] == size


def test_auto_is_found_once_for_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("uniter")
    first, _ = settled(model, tiny_examples(4), AUTO)
    monkeypatch.setattr("value_nb.cost.free_memory", lambda device: 1.0)
    assert settled(model, tiny_examples(4), AUTO)[0] == first > 1
    assert settled(tiny_model("uniter"), tiny_examples(4), AUTO)[0] == 1


def test_a_stream_is_whole_again() -> None:
    def stream() -> Iterator[Example]:
        yield from examples

    examples = tiny_examples(HEAD + 5)
    _, back = settled(tiny_model("uniter"), stream(), AUTO)
    assert [e.id for e in back] == [e.id for e in examples]


def test_nothing_at_all_needs_no_size() -> None:
    assert settled(tiny_model("uniter"), [], AUTO) == (1, [])


def test_out_of_memory_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    model, runs = tiny_model("uniter"), list[int]()
    plain = model.run

    def run(batch: Any, *options: Any) -> Any:
        runs.append(len(batch.layout.examples))
        if runs[-1] > 5:
            raise torch.OutOfMemoryError("a small device")
        return plain(batch, *options)

    monkeypatch.setattr(model, "run", run)
    assert tried(model, tiny_examples(1)[0], 32) == 4
    assert runs == [32, 16, 8, 4]


def test_one_example_that_does_not_fit_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("uniter")

    def run(batch: Any) -> Any:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(model, "run", run)
    with pytest.raises(torch.OutOfMemoryError, match="no room"):
        tried(model, tiny_examples(1)[0], 4)


def test_a_sweep_gives_the_same_numbers_at_any_size() -> None:
    model, examples = tiny_model("uniter"), tiny_examples(9)
    frames = [
        vnb.sweep(model, examples, [vnb.ModalityImportance()], size, "none", progress=False, gate=False,
                  cache=False)["modality_importance"].frame
        for size in (2, AUTO)
    ]  # fmt: skip
    for name in ("value", "lo", "hi"):
        assert frames[0][name].to_numpy() == pytest.approx(frames[1][name].to_numpy(), abs=1e-5)


def test_live_bytes_counts_what_is_held_at_one_time() -> None:
    def run() -> None:
        held = torch.ones(1000, dtype=torch.float64)
        for _ in range(5):
            held = held * 2  # the old one goes after the new one has come

    assert live_bytes(run) == 2 * 8000


def test_live_bytes_leaves_out_views_and_what_was_there() -> None:
    weights = torch.ones(1000)
    assert live_bytes(lambda: weights.view(10, 100).t()) == 0
    assert live_bytes(lambda: weights.add_(1)) == 0


def test_memory_that_is_free(tmp_path: Path) -> None:
    assert free_memory(torch.device("cpu")) > 1e6
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    2000 kB\n")
    assert _available(tmp_path / "meminfo") == 2000 * 1024
    assert _available(tmp_path / "none") is None and _left_in_container(tmp_path) is None
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert _left_in_container(tmp_path) == 4000
    (tmp_path / "memory.max").write_text("max\n")
    assert _left_in_container(tmp_path) is None


def test_longer_examples_are_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A size found on few regions says nothing of many."""
    tried: list[int] = []

    def fitting(model: Any, longest: Any) -> int:
        tried.append(sum(length(longest)))
        assert longest.regions.features is not None
        return 100 // tried[-1]

    monkeypatch.setattr("value_nb.batches._fitting", fitting)
    model, examples = tiny_model("uniter"), tiny_examples(4)
    by_length = sorted(examples, key=lambda example: sum(length(example)))
    sizes = [
        settled(model, part, AUTO)[0] for part in (by_length[:1], by_length, by_length[:1], iter(by_length))
    ]
    assert len(tried) == 2 and tried[0] < tried[1]
    assert sizes == [100 // tried[0], *[100 // tried[1]] * 3]
