"""Jobs beside each other: all are done, and none is left behind when one ends early."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data.build import side_by_side

WAIT = 120  # seconds, far more than any job takes: a bound, not a measure


def note(path: Path) -> None:
    path.write_text(str(os.getpid()))


def meet(mine: Path, other: Path) -> None:
    """End only when the other job is there too."""
    note(mine)
    end = time.monotonic() + WAIT
    while not other.exists():
        if time.monotonic() > end:
            raise TimeoutError(f"nobody wrote {other}")
        time.sleep(0.01)


def fail_when(path: Path) -> None:
    end = time.monotonic() + WAIT
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.01)
    raise ValueError("on purpose")


def stay(mine: Path, told: Path) -> None:
    """Write at SIGTERM, as a training does."""

    def leave(number: int, _: object) -> None:
        told.write_text("kept")
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    note(mine)
    time.sleep(WAIT)


def test_two_run_at_once_and_a_third_after_them(tmp_path):
    a, b, c = (tmp_path / name for name in "abc")
    side_by_side.run([("a", meet, (a, b)), ("b", meet, (b, a)), ("c", note, (c,))])
    assert len({path.read_text() for path in (a, b, c)} | {str(os.getpid())}) == 4


def test_a_failure_is_named_and_stops_the_others(tmp_path):
    there, told, never = (tmp_path / name for name in ("there", "told", "never"))
    jobs = [("long", stay, (there, told)), ("short", fail_when, (there,)), ("last", note, (never,))]
    with pytest.raises(RuntimeError, match="short ended with exit status 1"):
        side_by_side.run(jobs)
    assert told.read_text() == "kept" and not never.exists()


def test_sigterm_reaches_the_jobs(tmp_path):
    there, told = tmp_path / "there", tmp_path / "told"
    script = tmp_path / "build.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nfrom data.build import side_by_side\n"
        "from tests.build.test_side_by_side import stay\n"
        "if __name__ == '__main__':\n"
        "    side_by_side.run([('long', stay, tuple(map(Path, sys.argv[1:])))])\n"
    )
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, str(script), str(there), str(told)], env={**os.environ, "PYTHONPATH": str(root)}
    ) as parent:
        end = time.monotonic() + WAIT
        while not there.exists() and time.monotonic() < end:
            time.sleep(0.01)
        parent.terminate()
        assert parent.wait(WAIT) == 128 + signal.SIGTERM
    assert told.read_text() == "kept"
