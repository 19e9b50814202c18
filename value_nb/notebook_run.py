"""One notebook from top to bottom in a fresh kernel, with other parameters where they are wanted."""

from __future__ import annotations

import ast
import contextlib
import copy
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CELL_SECONDS = 600
QUIET: dict[str, Any] = {"extra_arguments": ["--log-level=ERROR"]}
"""The kernel's own warnings are not about the notebook."""

PARAMETERS = "parameters"
"""Tag of the cell that holds the choices, as papermill has it."""


class NotebookFailed(RuntimeError):
    """A cell of a notebook raised, ran out of time or took its kernel down; says which and why."""


def execute(
    path: Path,
    environ: Mapping[str, str] | None = None,
    cell_seconds: int = CELL_SECONDS,
    parameters: Mapping[str, Any] | None = None,
) -> Any:
    """Execute a notebook from top to bottom in a fresh kernel, in its own folder; the file stays as it is.

    Parameters
    ----------
    path
        The .ipynb file.
    environ
        Environment variables for the kernel, added to those of this process; the kernel imports the
        package from here, installed or not.
    cell_seconds
        Time that one cell may take.
    parameters
        Other values for the names of its parameters cell; see `with_parameters`.

    Returns
    -------
    The executed notebook (nbformat), outputs included.

    Raises
    ------
    NotebookFailed
        Naming the notebook, the cell's first line and the error.
    ValueError
        For a parameter that the notebook does not have.
    """
    import nbclient
    import nbformat
    from jupyter_client.kernelspec import NoSuchKernel

    notebook = with_parameters(nbformat.read(path, as_version=4), parameters or {})
    place = {"metadata": {"path": str(path.parent)}}
    search = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    client = nbclient.NotebookClient(
        notebook, timeout=cell_seconds, kernel_name="python3", resources=place, **QUIET
    )
    try:
        client.execute(env={**os.environ, "PYTHONPATH": search, **(environ or {})})
    except (
        nbclient.exceptions.CellControlSignal,
        nbclient.exceptions.DeadKernelError,
        NoSuchKernel,
    ) as problem:
        raise NotebookFailed(f"{path.name}: {_reason(problem)}") from problem
    return notebook


def _reason(problem: BaseException) -> str:
    """Error name, message and the line of code, without the colours of a traceback."""
    if not hasattr(problem, "ename"):
        return re.sub(r"\s+", " ", str(problem))
    code = str(getattr(problem, "traceback", ""))
    arrow = re.search(r"^-+> *\d+ *(.*)$", re.sub(r"\x1b\[[0-9;]*m", "", code), re.MULTILINE)
    return f"{problem.ename}: {getattr(problem, 'evalue', '')}" + (f" in: {arrow[1]}" if arrow else "")


def parameters_of(notebook: Any) -> dict[str, Any]:
    """Names and values that the parameters cell sets to literals; empty where there is no such cell."""
    place = _parameters_cell(notebook)
    lines = ast.parse(notebook.cells[place].source).body if place is not None else []
    found = {}
    for line in lines:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            with contextlib.suppress(ValueError):
                found[line.targets[0].id] = ast.literal_eval(line.value)
    return found


def with_parameters(notebook: Any, values: Mapping[str, Any]) -> Any:
    """Return a copy in which a cell behind the parameters cell sets other values (as papermill does).

    Raises
    ------
    ValueError
        For a name that the parameters cell does not set; the message lists those it does.
    """
    import nbformat

    there = parameters_of(notebook)
    unknown = sorted(set(values) - set(there))
    if unknown:
        raise ValueError(
            f"no parameter {unknown[0]!r} in this notebook; it has: {', '.join(there) or 'none'}"
        )
    changed, place = copy.deepcopy(notebook), _parameters_cell(notebook)
    if values and place is not None:
        lines = "\n".join(f"{name} = {value!r}" for name, value in values.items())
        changed.cells.insert(place + 1, nbformat.v4.new_code_cell(lines))
    return changed


def _parameters_cell(notebook: Any) -> int | None:
    tagged = (i for i, cell in enumerate(notebook.cells) if PARAMETERS in cell.metadata.get("tags", []))
    return next(tagged, None)
