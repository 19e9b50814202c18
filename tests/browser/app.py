"""A Voilà of its own for a test: launched as `make app` launches it, in throw-away settings."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.browser.server import free_port
from value_nb.app import app_command, app_environ
from value_nb.lab import ROOT

START_SECONDS = 90


@contextmanager
def serving(notebooks: Path, folder: Path) -> Iterator[str]:
    """The address, token included, under which the notebooks' list is served; stopped at the end.

    `folder` (the caller's, empty) takes Jupyter's settings and data, and the log.
    """
    names = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
             "IPYTHONDIR": "ipython"}  # fmt: skip
    environ = {**app_environ(), **{name: str(folder / place) for name, place in names.items()}}
    environ["PYTHONPATH"] = str(ROOT)
    log = folder / "app.log"
    with log.open("wb") as out:
        command = app_command(notebooks, port=free_port(), display=False)
        process = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        yield _address(process, log)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """What the server prints when it is ready."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        found = re.search(r"http://127\.0\.0\.1:\d+/\S*token=\w+", log.read_text(errors="replace"))
        if found:
            return found[0]
        time.sleep(0.2)
    raise RuntimeError(f"Voilà did not start:\n{log.read_text(errors='replace')[-3000:]}")
