"""Runs the series without a screen and keeps its figures: `python -m value_nb.figures [NOTEBOOK ...]`.

Each notebook gets a fresh kernel and a folder FIGURES/NAME with what it hands to `value_nb.keep`; a
notebook is run again only when it, the package, the bundled data or the libraries have changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from value_nb.export import FOLDER_VARIABLE, atomically
from value_nb.gallery import write_gallery

ROOT = Path(__file__).resolve().parents[1]
NOTE = ".run.json"  # what is known of a kept run; no name that `keep` could give
LIBRARIES = ("matplotlib", "numpy", "pandas", "scikit-learn", "scipy", "seaborn", "torch", "transformers")
CELL_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one notebook.

    Attributes
    ----------
    name, title
        File name without its ending, and first heading.
    key
        Fingerprint of everything that the figures depend on.
    seconds
        Wall clock of the run that made the figures.
    error
        Empty, or what went wrong, in one line.
    """

    name: str
    title: str
    key: str
    seconds: float
    error: str = ""


class NotebookFailed(RuntimeError):
    """A cell of a notebook raised, ran out of time or took its kernel down; says which and why."""


def execute(path: Path, environ: dict[str, str] | None = None, cell_seconds: int = CELL_SECONDS) -> Any:
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

    Returns
    -------
    The executed notebook (nbformat), outputs included.

    Raises
    ------
    NotebookFailed
        Naming the notebook, the cell's first line and the error.
    """
    import nbclient
    import nbformat
    from jupyter_client.kernelspec import NoSuchKernel

    notebook = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(path.parent)}}
    search = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    client = nbclient.NotebookClient(notebook, timeout=cell_seconds, kernel_name="python3", resources=place)
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


def run_series(notebooks: Sequence[Path], folder: Path, *, force: bool = False) -> list[Run]:
    """Bring the figures of every notebook up to date, one after another, and write FOLDER/index.html.

    A notebook that fails leaves no figures, is named on the page, and does not stop the others.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _forget_others(folder, {path.stem for path in notebooks})
    common = fingerprint()
    runs = []
    for path in notebooks:
        key = hashlib.sha256(common.encode() + path.read_bytes()).hexdigest()
        run = None if force else _kept(folder / path.stem, key)
        print(f"{path.stem}: " + ("unchanged" if run else "running ..."), flush=True)
        run = run or _refresh(path, folder, key)
        print(
            f"{path.stem}: {run.error or f'{_count(folder / run.name)} figures, {run.seconds:.1f} s'}",
            flush=True,
        )
        runs.append(run)
    write_gallery(folder, [(run.name, run.title, run.error) for run in runs])
    return runs


def fingerprint(root: Path = ROOT) -> str:
    """Changes with the package's code, the bundled data, the libraries and the VALUE_NB_* variables."""
    digest = hashlib.sha256(platform.python_version().encode())
    for name in LIBRARIES:
        digest.update(f"{name} {_version(name)}\n".encode())
    for name, value in sorted(os.environ.items()):
        if name.startswith("VALUE_NB_") and name != FOLDER_VARIABLE:
            digest.update(f"{name}={value}\n".encode())
    for path in _files(root / "value_nb"):
        digest.update(str(path).encode() + path.read_bytes())
    for path in _files(Path(os.environ.get("VALUE_NB_DATA") or root / "data")):
        stat = path.stat()
        digest.update(f"{path} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    paths: Iterable[Path] = sorted(folder.rglob("*"))
    return (path for path in paths if path.is_file() and "__pycache__" not in path.parts)


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "absent"


def _kept(folder: Path, key: str) -> Run | None:
    """The run that made what `folder` holds, if its key is still right."""
    try:
        run = Run(**json.loads((folder / NOTE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return run if run.key == key else None


def _refresh(path: Path, folder: Path, key: str) -> Run:
    """Run a notebook into a neighbouring folder, which takes the place of the old one when all went well."""
    final, fresh = folder / path.stem, folder / f".{path.stem}.part"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    start, error = time.perf_counter(), ""
    try:
        execute(path, {FOLDER_VARIABLE: str(fresh.resolve())})
    except NotebookFailed as problem:
        error = str(problem)
        shutil.rmtree(fresh)
    run = Run(path.stem, title(path), key, round(time.perf_counter() - start, 1), error)
    shutil.rmtree(final, ignore_errors=True)
    if not error:
        text = json.dumps(asdict(run), indent=1) + "\n"
        atomically(fresh / NOTE, lambda target: target.write_text(text, encoding="utf-8"))
        fresh.rename(final)
    return run


def title(path: Path) -> str:
    """First heading of a notebook, or its name where it has none."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    markdown = ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    headings = (re.search(r"^# +(.+)$", text, re.MULTILINE) for text in markdown)
    return next((found[1].strip() for found in headings if found), path.stem)


def _count(folder: Path) -> int:
    return len(list(folder.glob("*.svg")))


def _forget_others(folder: Path, names: set[str]) -> None:
    """Remove runs of notebooks that are no longer there; nothing that this module did not make."""
    for note in folder.glob(f"*/{NOTE}"):
        if note.parent.name not in names:
            shutil.rmtree(note.parent)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the numbered notebooks, or those named; 1 when one of them failed."""
    parser = argparse.ArgumentParser(prog="python -m value_nb.figures", description=__doc__)
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all of notebooks/")
    parser.add_argument("--out", type=Path, default=ROOT / "figures", help="default: figures/")
    parser.add_argument("--force", action="store_true", help="run unchanged notebooks too")
    arguments = parser.parse_args(argv)
    notebooks = arguments.notebooks or sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    missing = [str(path) for path in notebooks if not path.is_file()]
    if missing or not notebooks:
        parser.error(
            f"no such notebook: {', '.join(missing)}" if missing else "notebooks/ holds no numbered notebook"
        )
    runs = run_series(notebooks, arguments.out, force=arguments.force)
    print(f"look at {arguments.out / 'index.html'}")
    return int(any(run.error for run in runs))


if __name__ == "__main__":
    sys.exit(main())
