"""Measure and write the page: `python -m tests.bench [--quick] [--only SECTION ... [--renew]] [--out PAGE]`.

Each section runs in a process of its own, so that none inherits another's memory, and leaves a file in
build/bench. A run that was cut off goes on with the sections that it had not done.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER, PAGE = ROOT / "build" / "bench", ROOT / "docs" / "BENCHMARK.md"


def sections() -> dict[str, Callable[[bool], Any]]:
    """Name -> what measures it, given whether it shall be quick."""
    from tests.bench import classifiers, growth, passes, series

    return {
        "importing": series.importing,
        "region_models": passes.region_models,
        "patch_model": passes.patch_model,
        "miniature": passes.miniature,
        "whole_passes": passes.whole_passes,
        "shapes": growth.shapes,
        "examples": growth.examples,
        "memory": growth.memory,
        "results": growth.tests_and_intervals,
        "batch_sizes": growth.batch_sizes,
        "classifiers": classifiers.measure,
        "notebooks": series.notebooks,
        "workers": growth.workers,
        "latency": series.latency,
    }


def main(given: list[str] | None = None) -> int:
    """Run what is asked for and write the page; 1 when a section failed, which is then left out and named."""
    asked = _asked(given)
    if asked.section:
        _leave(asked.folder, asked.section, asked.quick)
        return 0
    names = asked.only or [*sections()]
    folder = asked.folder / ("quick" if asked.quick else "full")
    failed = [name for name in names if not _done(folder, name) and not _run(folder, name, asked.quick)]
    write(folder, asked.out, asked.quick, asked.renew)
    if not failed and (asked.renew or not asked.only):
        for name in names:  # the next call measures anew
            (folder / f"{name}.json").unlink()
    print(f"{asked.out}" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return int(bool(failed))


def _asked(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke test of under two minutes")
    parser.add_argument("--only", nargs="*", choices=[*sections()], help="these sections")
    parser.add_argument("--renew", action="store_true", help="into the page there is, of the same machine")
    parser.add_argument("--out", type=Path, default=PAGE, help="the page to write")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where unfinished runs lie")
    parser.add_argument("--section", help=argparse.SUPPRESS)
    asked = parser.parse_args(given)
    if asked.renew and not asked.out.is_file():
        parser.error(f"--renew: there is no page {asked.out}; leave it out to write one")
    return asked


def _done(folder: Path, name: str) -> bool:
    return (folder / f"{name}.json").is_file()


def _run(folder: Path, name: str, quick: bool) -> bool:
    """One section in a process of its own; whether it came to its end."""
    print(f"{name} ...", end=" ", flush=True)
    command = [sys.executable, "-m", "tests.bench", "--section", name, "--folder", str(folder)]
    environ = {"VALUE_NB_CACHE": "off", **os.environ, "CI": "1"}
    start = time.perf_counter()
    done = subprocess.run([*command, *(["--quick"] if quick else [])], cwd=ROOT, env=environ, check=False)
    print(f"{time.perf_counter() - start:.0f} s" if not done.returncode else "failed", flush=True)
    return not done.returncode


def _leave(folder: Path, name: str, quick: bool) -> None:
    """Measure one section and leave it as a file."""
    start = time.perf_counter()
    found = sections()[name](quick)
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{name}.part"
    part.write_text(json.dumps({"found": found, "taken": time.perf_counter() - start}), encoding="utf-8")
    part.replace(folder / f"{name}.json")


def write(folder: Path, page: Path, quick: bool, renew: bool = False) -> None:
    """The page of what lies in the folder, or that in the page there is."""
    from tests.bench import report
    from tests.bench.renew import renewed

    there = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("[!.]*.json")}
    found = {name: one["found"] for name, one in there.items() if one["found"]}
    text = report.page(found, {name: one["taken"] for name, one in there.items()}, quick)
    if renew:
        text = renewed(page.read_text(encoding="utf-8"), text)
    page.parent.mkdir(parents=True, exist_ok=True)
    part = page.with_name(f".{page.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(page)


if __name__ == "__main__":
    sys.exit(main())
