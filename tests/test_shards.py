"""Passes in shards: same numbers whatever the sharding, and after any interruption."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import FakeModel, fake_examples
from tests.tiny import tiny_examples, tiny_model
from value_nb import shards, states
from value_nb.collecting import collect
from value_nb.examples.own_probe import Spread
from value_nb.probes.base import Probe
from value_nb.probes.coreference_attention import CoreferenceAttention
from value_nb.probes.crossmodal import CrossModalHeads
from value_nb.probes.fusion import FusionDegree
from value_nb.probes.modality import ModalityImportance
from value_nb.shards import Journal, Sum, collect_shards, here, n_shards, of_state, split, to_state


class Bar:
    """Counts what it is moved by."""

    def __init__(self) -> None:
        self.n = 0

    def update(self, n: int) -> None:
        self.n += n


class Stopped(BaseException):
    """As a kill would, between two shards."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD", 5)
    monkeypatch.setattr(shards, "EVERY", 0.0)


def probes() -> list[Probe]:
    return [FusionDegree(restarts=1, sample_size=40).fresh(0), ModalityImportance().fresh(0)]


def run(examples: Any, journal: Journal, stop_after: int | None = None, seen: list | None = None) -> Any:
    """One pass; with `stop_after` it is cut off when so many shards have been computed."""
    model, mine, bar = FakeModel(gap=(4.0, 1.0)), probes(), Bar()
    compute = here(model, mine, 3, bar)

    def counted(missing: Any) -> Any:
        for done, (number, part) in enumerate(compute(missing)):
            if done == stop_after:
                raise Stopped
            if seen is not None:
                seen.append(number)
            yield number, part

    found = collect_shards(examples, mine, counted, journal, "000", bar)
    assert bar.n == found.n
    return found


def rows(found: Any) -> str:
    made = [probe.rows(replicates=30) for probe in found.probes]
    assert all(made), "every probe has seen something"
    return repr(made)


def test_shards_are_so_many_examples_in_order():
    examples = fake_examples(6)  # twelve
    there = {number: [e.id for e in part] for number, part in split(examples)}
    assert [len(part) for part in there.values()] == [5, 5, 2] and n_shards(examples) == 3
    assert [name for part in there.values() for name in part] == [e.id for e in examples]
    assert {number: [e.id for e in part] for number, part in split(iter(examples))} == there
    assert [number for number, _ in split(examples, lambda number: number != 1)] == [0, 2]
    assert not list(split([])) and not list(split(iter([])))


def test_a_stream_is_read_when_its_turn_comes():
    taken: list[int] = []
    stream = (taken.append(k) or e for k, e in enumerate(fake_examples(10)))
    first = next(split(stream))[1]
    assert len(taken) == 1 and len([*first]) == 5 and len(taken) == 5


def sharded(model: Any, examples: Any, mine: list[Probe], size: int, batch: int) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "SHARD", size)
        return collect_shards(examples, mine, here(model, mine, batch, Bar()), Journal(None), "0", Bar())


def assert_alike(one: Any, two: Any, tolerance: float) -> None:
    assert (one.n, one.images, one.data) == (two.n, two.images, two.data)
    for first, second in zip(one.probes, two.probes, strict=True):
        frames = [pd.DataFrame(probe.rows(replicates=20)) for probe in (first, second)]
        pd.testing.assert_frame_equal(*frames, check_exact=False, rtol=0, atol=tolerance)


@settings(max_examples=12, deadline=None)
@given(size=st.integers(1, 30), batch=st.integers(1, 8), seed=st.integers(0, 3))
def test_the_same_seed_gives_the_same_numbers_whatever_the_sharding(size, batch, seed):
    """With a model that itself does not round: only sums over the captions of an image do."""
    examples, model = fake_examples(5, captions=3, seed=seed), FakeModel(gap=(4.0, 1.0))
    mine = [Spread().fresh(seed), FusionDegree(restarts=1, sample_size=30).fresh(seed)]
    whole = collect(model, examples, [probe.fresh() for probe in mine])
    assert_alike(whole, sharded(model, examples, mine, size, batch), 1e-12)


@pytest.mark.parametrize(("size", "batch"), [(1, 4), (7, 3), (64, 16)])
def test_so_does_a_real_engine_but_for_its_own_rounding(size, batch):
    examples, model = tiny_examples(30), tiny_model("uniter")
    mine = [
        ModalityImportance().fresh(0),
        CrossModalHeads().fresh(0),
        CoreferenceAttention(permutations=20).fresh(0),
    ]
    whole = collect(model, examples, [probe.fresh() for probe in mine])
    assert_alike(whole, sharded(model, examples, mine, size, batch), 1e-5)


@pytest.mark.parametrize("stop_after", range(4))
def test_a_pass_that_was_cut_off_goes_on_with_the_same_numbers(tmp_path, stop_after):
    """Bit by bit, wherever it was cut off, and nothing is computed twice."""
    examples = fake_examples(8)
    expected = rows(run(examples, Journal(None)))
    done: list[int] = []
    with pytest.raises(Stopped):
        run(examples, Journal(tmp_path), stop_after, done)
    assert len(done) == stop_after
    found = run(examples, Journal(tmp_path), seen=done)
    assert sorted(done) == [0, 1, 2, 3]
    assert rows(found) == expected


def test_parts_in_any_order_will_do(tmp_path):
    """Of another worker's, for instance: the second and the last are there."""
    examples = fake_examples(8)
    expected, done = rows(run(examples, Journal(tmp_path))), []
    for number in (0, 2):
        (tmp_path / f"000-{number:06d}.state").unlink()
    assert rows(run(examples, Journal(tmp_path), seen=done)) == expected and done == [0, 2]


@pytest.mark.parametrize("harm", ["cut", "changed", "empty"])
def test_a_damaged_part_is_reported_and_computed_again(tmp_path, harm):
    examples = fake_examples(8)
    expected, done = rows(run(examples, Journal(tmp_path))), []
    path = tmp_path / "000-000001.state"
    data = path.read_bytes()
    changed = data[:100] + bytes([data[100] ^ 1]) + data[101:]
    path.write_bytes({"cut": data[:-9], "changed": changed, "empty": b""}[harm])
    with pytest.warns(UserWarning, match="damaged and computed again"):
        found = run(examples, Journal(tmp_path), seen=done)
    assert rows(found) == expected and done == [1]
    assert path.read_bytes() == data


def test_half_a_part_that_a_kill_left_behind_is_no_part(tmp_path):
    (tmp_path / ".000-000000.state.99").write_bytes(b"half")
    done: list[int] = []
    run(fake_examples(3), Journal(tmp_path), seen=done)
    assert done == [0, 1]


def test_nothing_is_written_before_it_is_time(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "EVERY", 3600.0)
    folder = tmp_path / "work"
    journal = Journal(folder)
    run(fake_examples(8), journal)
    assert not folder.exists()
    journal.flush()
    assert len([*folder.iterdir()]) == 4


def test_a_finished_condition_takes_the_place_of_its_shards(tmp_path):
    journal = Journal(tmp_path)
    run(fake_examples(8), journal)
    journal.add("000", lambda: {"rows": [1.5]}, instead_of="000-")
    assert [path.name for path in tmp_path.iterdir()] == ["000.state"]
    assert Journal(tmp_path).get("000") == {"rows": [1.5]}
    assert Journal(tmp_path).get("001") is None


def test_nothing_is_kept_of_a_stream(tmp_path):
    examples = fake_examples(8)
    found = run(iter(examples), Journal(tmp_path))
    assert not [*tmp_path.iterdir()] and rows(found) == rows(run(examples, Journal(None)))


class Secretive(ModalityImportance):
    """Its state holds something that cannot be written."""

    def state(self) -> dict[str, Any]:
        return {"open": open}


def test_a_probe_whose_state_cannot_be_written_is_named_once(tmp_path):
    mine = [Secretive().fresh(0)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        compute = here(FakeModel(), mine, 3, Bar())
        found = collect_shards(fake_examples(8), mine, compute, Journal(tmp_path), "000", Bar())
    assert found.n == 16 and not [*tmp_path.iterdir()]
    (said,) = [str(one.message) for one in caught]
    assert "cannot go on where it is cut off; give the probe a state()" in said


def test_a_full_disk_does_not_end_the_pass(tmp_path, monkeypatch):
    def full(*args: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(states, "write", full)
    with pytest.warns(UserWarning, match="No space left") as said:
        found = run(fake_examples(8), Journal(tmp_path))
    assert found.n == 16 and len(said) == 1


def test_a_part_counts_once_and_in_its_turn():
    mine = probes()
    part = collect(FakeModel(gap=(4.0, 1.0)), fake_examples(2), [probe.fresh() for probe in mine])
    whole = Sum(mine)
    whole.add(0, part)
    for number in (0, 2):
        with pytest.raises(ValueError, match=f"part {number} came; expected 1"):
            whole.add(number, part)
    assert whole.n == 4
    with pytest.raises(ValueError, match="no examples came"):
        Sum(mine).collected()


def test_adding_up_leaves_a_part_as_it_is():
    mine = probes()
    part = collect(FakeModel(gap=(4.0, 1.0)), fake_examples(2), [probe.fresh() for probe in mine])
    before = b"".join(states.pack(to_state(part)))
    whole = Sum(mine)
    whole.add(0, part)
    whole.add(1, part)
    assert b"".join(states.pack(to_state(part))) == before
    back = of_state(states.unpack(before), mine)
    assert (back.n, back.images, back.split) == (part.n, part.images, part.split)
    np.testing.assert_equal(back.probes[1].rows(replicates=5), part.probes[1].rows(replicates=5))
