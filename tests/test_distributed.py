"""A pass on a cluster: in this process here, of real processes that are really killed in tests/stress."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from tests.tiny import tiny_examples, tiny_model
from value_nb import distributed, shards
from value_nb.controls import Mismatched, RandomWeights
from value_nb.probes.base import Needs, Probe
from value_nb.probes.crossmodal import CrossModalHeads
from value_nb.probes.modality import ModalityImportance
from value_nb.sweep import sweep

CONTROLS = [RandomWeights((3,)), Mismatched()]


@contextmanager
def cluster(processes: bool, workers: int = 2) -> Iterator[Any]:
    from distributed import Client, LocalCluster

    settings = {"host": "127.0.0.1"} if processes else {}
    with (
        LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=processes, dashboard_address="127.0.0.1:0",
            silence_logs=50, **settings,
        ) as made,
        Client(made) as client,
    ):  # fmt: skip
        yield client


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As each worker has: another number of threads moves a model's sums by rounding."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD", 8)


def asked(client: Any = None, probes: Any = None) -> Any:
    probes = probes or [ModalityImportance(), CrossModalHeads()]
    return sweep(
        tiny_model("uniter"),
        tiny_examples(60),
        probes,
        4,
        CONTROLS,
        progress=False,
        cache=False,
        client=client,
    )


class Words(Probe):
    """Counts words, in a state that cannot be written without pickle."""

    title, question = "Words", "How many?"

    def __init__(self) -> None:
        self.name = "words"
        self._start()

    def _start(self) -> None:
        self._count = Count()

    def _absorb(self, other: "Words") -> None:
        self._count.words += other._count.words

    def needs(self, model: Any) -> Needs:
        return Needs(frozenset({"joint"}), hidden=True)

    def update(self, batch: Any) -> None:
        self._count.words += sum(len(example.words) for example in batch.layout.examples)

    def rows(self, *, replicates: int) -> list[dict[str, Any]]:
        return [{"measure": "words", "value": self._count.words}]


class Count:
    words = 0


def test_workers_give_the_numbers_of_one_machine(one_thread, small_shards, monkeypatch):
    """Also where a worker is slower than others: parts come back in any order."""
    expected = asked()
    used, collect = [], distributed.collect

    def slow_at_first(*args: Any, **kwargs: Any) -> Any:
        found = collect(*args, **kwargs)
        used.append(found.n)
        if len(used) == 1:
            import time

            time.sleep(0.3)
        return found

    monkeypatch.setattr(distributed, "collect", slow_at_first)
    with cluster(processes=False) as client:
        assert asked(client) == expected
        assert len(used) == 3 * 8, "eight shards for each condition"
        assert not distributed._HELD, "workers let go of the models"


def test_a_state_that_cannot_be_written_comes_back_as_it_is(one_thread, small_shards):
    with cluster(processes=False, workers=1) as client:
        found = asked(client, [Words()])["words"].frame
    counted = 3 * sum(len(example.words) for example in tiny_examples(60))
    assert found["value"].sum() == counted * 4  # layers 0 to 3


def test_an_error_in_a_worker_reaches_the_reader(small_shards, monkeypatch):
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise ValueError("captions are too long")

    monkeypatch.setattr(distributed, "collect", broken)
    with cluster(processes=False) as client, pytest.raises(ValueError, match="captions are too long"):
        asked(client)


def test_a_worker_that_was_sent_nothing_says_so():
    with pytest.raises(RuntimeError, match="this worker has no model"):
        distributed._collect("nothing", tiny_examples(1), 1)


def test_no_more_is_under_way_than_workers_need(one_thread, small_shards):
    """Examples are read as workers get to them, not all at once."""
    read: list[int] = []

    class Counting(list):
        def __getitem__(self, index: Any) -> Any:
            read.append(index)
            return super().__getitem__(index)

    with cluster(processes=False, workers=1) as client:
        model, probe = tiny_model("uniter"), ModalityImportance()
        moved = np.zeros(1, dtype=int)

        class Bar:
            @staticmethod
            def update(n: int) -> None:
                moved[0] += n

        with distributed.there(client, model, [probe], 4, Bar) as compute:
            parts = compute(shards.split(Counting(tiny_examples(60))))
            next(parts)
            assert len(set(read)) == distributed.AHEAD * 8 and moved[0] == 8
            assert [number for number, _ in parts] == [*range(1, 8)] and moved[0] == 60


def test_a_gpu_model_is_sent_from_the_cpu():
    model = tiny_model("uniter")
    assert distributed.on_cpu(model) is model
    elsewhere = tiny_model("uniter")
    elsewhere.module = elsewhere.module.to("meta")
    with pytest.raises(NotImplementedError):  # a tensor without data cannot be copied: it was tried
        distributed.on_cpu(elsewhere)


def test_what_is_no_client_is_refused():
    with pytest.raises(ValueError, match=r"client=.tcp://here. came; expected None, or a distrib"):
        asked("tcp://here")


def test_a_missing_package_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r'pip install "value-nb\[dask\]"'):
        asked(object())
