"""A cluster of real processes, of which one is killed (kill -9) in the middle of each pass."""

import os
import signal
from typing import Any

import pytest

from tests.test_distributed import asked, cluster, one_thread, small_shards  # noqa: F401  (fixtures)
from value_nb import distributed

pytestmark = pytest.mark.stress


def test_a_worker_that_dies_is_replaced_and_nothing_counts_twice(one_thread, small_shards, monkeypatch):  # noqa: F811
    expected = asked()
    part, killed = distributed._part, []
    with cluster(processes=True) as client:

        def kill_one_in_each_pass(sent: Any, probes: Any) -> Any:
            if len(killed) % 9 == 0:
                killed.append(next(iter(client.run(os.getpid).values())))
                os.kill(killed[-1], signal.SIGKILL)
            killed.append(0)
            return part(sent, probes)

        monkeypatch.setattr(distributed, "_part", kill_one_in_each_pass)
        found = asked(client)
        assert len(set(killed) - {0}) == 3, "one in each of three passes of eight shards"
        assert not any(client.run(lambda: len(distributed._HELD)).values())
    assert found == expected
