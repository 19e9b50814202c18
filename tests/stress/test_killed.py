"""Sweeps whose process is killed (kill -9) at random points give the numbers of uninterrupted ones."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stress import killed
from value_nb.result import load_result

pytestmark = pytest.mark.stress
KILLS = 30


def test_killed_thirty_times_and_more(tmp_path):
    environment = {**os.environ, "VALUE_NB_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.stress.killed", str(tmp_path), str(KILLS), "0"]
    root = Path(__file__).parents[2]
    subprocess.run(command, cwd=root, env=environment, check=True)

    kills = (tmp_path / "kills.txt").read_text().splitlines()
    sweeps = sorted(path.name for path in (tmp_path / "expected").iterdir())
    assert len(kills) >= KILLS
    assert sorted(path.name for path in (tmp_path / "found").iterdir()) == sweeps
    for name in sweeps:
        probes = sorted(path.name for path in (tmp_path / "expected" / name).iterdir())
        assert len(probes) == 3
        for probe in probes:
            one, two = (load_result(tmp_path / which / name / probe) for which in ("expected", "found"))
            assert one == two, f"{probe} of sweep {name}, after some of {len(kills)} kills"
            assert len(one.frame) > 20

    needed, collected = (
        (tmp_path / f"shards-{which}.txt").read_text().count("shard") for which in ("expected", "found")
    )
    assert needed > len(sweeps) * 3 * killed.EACH // killed.SHARD, "some shards of each pass"
    print(f"{len(kills)} kills of {len(sweeps)} sweeps; {collected} shards collected, {needed} needed")
    assert needed <= collected <= needed + len(kills), "a kill costs the shard under way, no other"
    assert not [*(tmp_path / "cache" / "work").iterdir()], "nothing unfinished is left"
    assert not [*(tmp_path / "cache").rglob("*.state*")]
