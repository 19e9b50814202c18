"""Every notebook of the series runs from top to bottom, offline, in a fresh kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
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


def test_a_second_run_reads_what_the_first_one_kept(tmp_path: Path) -> None:
    """No example goes through a model in a sweep again: what would do so is taken away."""
    environ = {"HF_HUB_OFFLINE": "1", "VALUE_NB_CACHE": str(tmp_path / "cache")}
    notebook = ROOT / "notebooks" / "01_multimodal_fusion.ipynb"
    tables = [_tables(execute(notebook, environ, cell_seconds=CELL_SECONDS))]
    again = nbformat.read(notebook, as_version=4)
    again.cells.insert(0, nbformat.v4.new_code_cell("from value_nb import shards\nshards.collect = None"))
    nbformat.write(again, tmp_path / notebook.name)
    tables.append(_tables(execute(tmp_path / notebook.name, environ, cell_seconds=CELL_SECONDS)))
    assert tables[0] == tables[1] and tables[0]


def _tables(done: Any) -> list[str]:
    """Every table that a notebook shows, as text."""
    outputs = [one for cell in done.cells if cell.cell_type == "code" for one in cell.outputs]
    assert not [one for one in outputs if one.output_type == "error"]
    return [one["data"]["text/plain"] for one in outputs if "text/html" in one.get("data", {})]
