"""Sweeps that are killed again and again until they finish: run by test_killed.py, in a process of its own.

    python -m tests.stress.killed FOLDER KILLS SEED

Everything is loaded once, on one thread; each run of a sweep is a fork of that, so that a kill costs no
start. A child is killed at a random point of its run, the next one goes on. When a sweep has finished, one
with another seed begins, until there were so many kills; the last one then runs to its end.

FOLDER/expected/SEED and FOLDER/found/SEED get the results of each sweep, uninterrupted and killed;
FOLDER/shards-expected.txt and FOLDER/shards-found.txt a line for each shard that was collected in them,
FOLDER/kills.txt for each kill.
"""

import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

import value_nb as vnb
from value_nb import shards

SHARD = 8
EACH = 16  # examples of each split
EARLIEST, LATEST = 0.05, 0.35  # a kill comes after a share of the time of a whole run, drawn between these
SOON = 0.2  # seconds after a part was written
STEP, LONGEST = 0.01, 600.0  # seconds: between two looks at a child, and to wait for one that is not killed


def examples() -> list[Any]:
    """The first ones of each split, so that a classifier has something to learn from."""
    data = vnb.load_splits("mini-flickr30k")
    by_split: dict[str, list[Any]] = {}
    for example in data:
        mine = by_split.setdefault(example.split, [])
        if len(mine) < EACH:
            mine.append(example)
    return [example for mine in by_split.values() for example in mine]


def sweep(model: Any, data: list[Any], seed: int, cache: bool) -> Any:
    probes = [
        vnb.ModalityImportance(), vnb.CrossModalHeads(),
        vnb.CoreferenceProbe(questions=("VCC",), grid=(1e-5,), n_jobs=1),
    ]  # fmt: skip
    controls = [vnb.RandomWeights((0,)), vnb.Mismatched(seed)]
    return vnb.sweep(model, data, probes, 8, controls, progress=False, seed=seed, cache=cache)


def child(work: Callable[[], Any]) -> int:
    """Do something in a fork; returns its process id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def never() -> bool:
    """A child is left to run until its time is over."""
    return False


def another_part() -> Callable[[], bool]:
    """Whether the number of finished parts has changed since."""
    there = parts()
    return lambda: parts() != there


def ended(pid: int, seconds: float, enough: Callable[[], bool] = never) -> bool:
    """Whether the child ends by itself within some time, or before `enough`; a failed one ends everything."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and not enough():
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            if status:
                sys.exit(f"a child failed with status {status}")
            return True
        time.sleep(STEP)
    return False


def count_shards(log: Path) -> None:
    """Note every shard that has been collected; whole lines, also from a process that is killed."""
    collect = shards.collect

    def counted(*args: Any, **kwargs: Any) -> Any:
        found = collect(*args, **kwargs)
        with log.open("a") as file:
            file.write("shard\n")
        return found

    shards.collect = counted  # type: ignore[assignment]


def parts() -> int:
    """How many finished parts lie in the store, from which a living child may take them away meanwhile."""
    walk = os.walk(os.environ["VALUE_NB_CACHE"])  # passes over folders that are gone
    return sum(name.endswith(".state") for *_, names in walk for name in names)


def until_done(run: Callable[[], Any], whole: float, rng: random.Random, kills: Path, most: int) -> int:
    """Start, kill and start again until the run ends by itself; returns the number of kills.

    Every other kill comes after some time, mostly while results are worked out; those between come while or
    soon after the next part is written, or after that time.
    """
    done, patience, before = 0, 1.0, parts()
    while True:
        pid = child(run)
        if done == most:
            ended(pid, LONGEST)
            return done
        between = bool(done % 2)
        if ended(pid, whole * patience * rng.uniform(EARLIEST, LATEST), another_part() if between else never):
            return done
        time.sleep(between * rng.uniform(0.0, SOON))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        done += 1
        with kills.open("a") as file:
            file.write(f"{parts()}\n")
        patience = 1.0 if parts() != before else patience * 1.5  # a busy machine: let it come further
        before = parts()


def main(folder: Path, wanted: int, seed: int) -> None:
    torch.set_num_threads(1)
    shards.SHARD, shards.EVERY = SHARD, 0.0
    model, data, rng = vnb.load_model("mini-uniter"), examples(), random.Random(seed)

    def run(seed: int, cache: bool) -> None:
        which = "found" if cache else "expected"
        count_shards(folder / f"shards-{which}.txt")
        sweep(model, data, seed, cache).save(folder / which / str(seed))

    while wanted > 0:
        seed += 1
        started = time.monotonic()
        ended(child(partial(run, seed, False)), LONGEST)
        whole = time.monotonic() - started
        wanted -= until_done(partial(run, seed, True), whole, rng, folder / "kills.txt", wanted)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
