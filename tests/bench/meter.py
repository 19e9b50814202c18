"""Times in turns, so that what else the machine does hits all sides alike, and memory of tensors."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from value_nb.cost import live_bytes

Run = Callable[[], object]


def in_turns(runs: Mapping[str, Run], repeats: int, base: str) -> dict[str, dict[str, Any]]:
    """Time each of the runs `repeats` times, one after the other in every round, after a round for warmth.

    Returns
    -------
    Name -> seconds (median, lowest, highest) and `ratio` (median, lower and upper quartile) to the run `base`
    of the same round.
    """
    for run in runs.values():
        run()
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            gc.collect()
            start = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - start)
    return summed_up(taken, base)


def summed_up(taken: Mapping[str, list[float]], base: str) -> dict[str, dict[str, Any]]:
    """`in_turns`, from the seconds of each round."""
    found = {}
    for name, seconds in taken.items():
        ratios = np.array(seconds) / np.array(taken[base])
        found[name] = {
            "seconds": spread(seconds),
            "ratio": [float(np.median(ratios)), *map(float, np.quantile(ratios, [0.25, 0.75]))],
        }
    return found


def spread(values: list[float]) -> list[float]:
    """[median, lowest, highest]."""
    return [float(np.median(values)), float(min(values)), float(max(values))]


def with_memory(
    runs: Mapping[str, Run], found: dict[str, dict[str, Any]], base: str
) -> dict[str, dict[str, Any]]:
    """The same with `peak`, bytes of tensors alive at one time, and its ratio to that of `base`."""
    peaks = {name: live_bytes(run) for name, run in runs.items()}
    return {
        name: row | {"peak": peaks[name], "peak_ratio": peaks[name] / peaks[base]}
        for name, row in found.items()
    }
