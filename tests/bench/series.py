"""Starts: importing the package, and notebooks of the series cold and from the result cache."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.meter import spread

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ("01", "03")


def importing(quick: bool) -> dict[str, list[float]]:
    """Seconds of imports in a fresh interpreter: [median, lowest, highest]."""
    lines = {"nothing": "pass", "value_nb": "import value_nb", "torch": "import torch"}
    taken: dict[str, list[float]] = {name: [] for name in lines}
    for _ in range(3 if quick else 11):
        for name, line in lines.items():
            timed = f"import time; t = time.perf_counter(); {line}; print(time.perf_counter() - t)"
            said = subprocess.run(
                [sys.executable, "-c", timed], capture_output=True, text=True, check=True, cwd=ROOT
            )
            taken[name].append(float(said.stdout))
    return {name: spread(seconds) for name, seconds in taken.items()}


def notebooks(quick: bool) -> list[dict[str, Any]]:
    """Seconds of notebooks in a fresh kernel: with an empty result cache, and again with what it holds."""
    found = []
    for number in NOTEBOOKS[:1] if quick else NOTEBOOKS:
        (path,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
        with tempfile.TemporaryDirectory() as folder:
            cold, warm = (_executed(path, Path(folder)) for _ in range(2))
        found.append({"notebook": path.name, "cold": cold, "warm": warm})
    return found


def _executed(path: Path, cache: Path) -> float:
    program = (
        "import sys, nbformat, nbclient; nb = nbformat.read(sys.argv[1], 4); "
        "nbclient.NotebookClient(nb, timeout=600, resources={'metadata': {'path': sys.argv[2]}}).execute()"
    )
    environ = {**os.environ, "VALUE_NB_CACHE": str(cache), "CI": "1"}
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", program, str(path), str(path.parent)],
        check=True, capture_output=True, env=environ,
    )  # fmt: skip
    return time.perf_counter() - start


def latency(quick: bool) -> dict[str, list[float]]:
    """Panel -> milliseconds from a key to new pixels, [median, lowest, highest]; nothing without browser."""
    from tests.browser import chromium
    from tests.browser.latency import measured

    if chromium.find() is None:
        print(chromium.HINT)
        return {}
    return {name: spread(times) for name, times in measured(2 if quick else 20).items()}
