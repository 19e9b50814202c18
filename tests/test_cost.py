from __future__ import annotations

import pytest
import torch

from tests.tiny import tiny_examples, tiny_model
from value_nb.cost import cost_table, finished, machine, peak_memory


def test_one_row_with_what_was_run() -> None:
    model = tiny_model("uniter")
    table = cost_table(model, tiny_examples(6), batch_size=4, repeats=2)
    row = table.loc[model.name]
    assert row["weights"] == pytest.approx(model.n_parameters / 1e6)
    assert row["weights_mb"] == pytest.approx(4 * model.n_parameters / 1e6)
    text, image = (int(number) for number in row["positions"].split(" + "))
    layout = model.prepare(tiny_examples(6)[:4]).layout
    assert [text, image] == [layout.streams[name].valid.shape[1] for name in ("text", "image")]
    assert row["bare_s"] > 0 and row["ratio"] == pytest.approx(row["traced_s"] / row["bare_s"])
    assert row["device"] == "cpu"


def test_seconds_are_those_of_one_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("value_nb.cost._seconds", lambda model, run, repeats: 4.0)
    model = tiny_model("uniter")
    row = cost_table(model, tiny_examples(6), batch_size=4).loc[model.name]
    assert (row["bare_s"], row["traced_s"]) == (1.0, 1.0)


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"repeats": 0}])
def test_nothing_to_run_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected at least 1 of each"):
        cost_table(tiny_model("uniter"), tiny_examples(2), **options)


def test_memory_never_sinks_and_counts_what_is_held() -> None:
    before = peak_memory()
    held = bytearray(300_000_000)
    held[::4096] = b"x" * len(held[::4096])
    assert peak_memory() >= before > 1e6
    assert peak_memory() > 300_000_000


def test_the_machine_in_words() -> None:
    assert "cores" in machine() and "Python" in machine()


def test_a_pass_is_over_when_the_device_has_done_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU goes on after `run` has returned: without waiting, a table of it had Python's time alone."""
    waited: list[str] = []
    monkeypatch.setattr("value_nb.cost.finished", lambda device: waited.append(device.type))
    cost_table(tiny_model("uniter"), tiny_examples(2), batch_size=2, repeats=2)
    assert waited == ["cpu"] * 6  # two kinds of pass, once more than counts


def test_a_gpu_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "synchronize", asked.append)
    for name in ("cpu", "cuda:1"):
        finished(torch.device(name))
    assert asked == [torch.device("cuda:1")]
