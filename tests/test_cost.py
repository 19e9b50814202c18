from __future__ import annotations

import pytest

from tests.tiny import tiny_examples, tiny_model
from value_nb.cost import cost_table, machine, peak_memory


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
    monkeypatch.setattr("value_nb.cost._seconds", lambda run, repeats: 4.0)
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
