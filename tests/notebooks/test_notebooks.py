"""Every notebook of the series runs from top to bottom, offline, in a fresh kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from value_nb.lab import ROOT
from value_nb.notebook_run import execute

pytestmark = pytest.mark.notebooks
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CELL_SECONDS = 240


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_from_top_to_bottom(notebook: Path, tmp_path: Path) -> None:
    """Figures are kept on the way (into a folder of the test), so that keeping them is tested too."""
    environ = {"HF_HUB_OFFLINE": "1", "VALUE_NB_FIGURES": str(tmp_path)}
    done = execute(notebook, environ, cell_seconds=CELL_SECONDS)
    for cell in done.cells:
        if cell.cell_type == "code" and cell.source.strip():
            assert cell.execution_count, f"not run: {cell.source!r}"
            assert not [one for one in cell.outputs if one.output_type == "error"]
