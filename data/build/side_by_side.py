"""Jobs in processes of their own, a few at a time: two trainings with one core each beat one with two."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import connection, get_context
from multiprocessing.context import SpawnProcess
from typing import Any

WORKERS = 2

Job = tuple[str, Callable[..., object], tuple[Any, ...]]
"""Name, an importable function, its arguments."""


def run(jobs: Sequence[Job], workers: int = WORKERS) -> None:
    """Run all jobs, `workers` at a time, in their order.

    Whatever ends this early, an error, Ctrl-C or SIGTERM, also ends the jobs that run: they get SIGTERM, and
    are waited for, because a training writes what it has reached.

    Raises
    ------
    RuntimeError
        When a job failed; the others are stopped.
    """
    waiting, running = list(jobs), dict[str, SpawnProcess]()
    with _sigterm_as_exit():
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    name, function, arguments = waiting.pop(0)
                    running[name] = get_context("spawn").Process(target=function, args=arguments, name=name)
                    running[name].start()
                connection.wait([process.sentinel for process in running.values()])
                _take_out_finished(running)
        finally:
            _stop(running)


def _take_out_finished(running: dict[str, SpawnProcess]) -> None:
    for name, process in [(n, p) for n, p in running.items() if p.exitcode is not None]:
        process.join()
        del running[name]
        if process.exitcode:
            raise RuntimeError(f"{name} ended with exit status {process.exitcode}; what it said stands above")


def _stop(running: dict[str, SpawnProcess]) -> None:
    for process in running.values():
        process.terminate()
    for process in running.values():
        process.join()


@contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """SIGTERM would end this process without a word to its jobs."""

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
