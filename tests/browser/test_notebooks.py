"""Every notebook of the series as a reader meets it: opened, run, each control moved."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.lab import visit
from value_nb.lab import ROOT

pytestmark = pytest.mark.browser
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_and_its_controls_work(notebook: Path, tmp_path: Path) -> None:
    """The pictures of the pages are in build/browser."""
    report = visit(notebook, ROOT, tmp_path, ROOT / "build" / "browser")
    for name, times in report.controls.items():
        print(f"{notebook.stem}: {name}: {times} ms")
    assert not report.findings, "\n".join(report.findings)
