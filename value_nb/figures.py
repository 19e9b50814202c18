"""Runs the series without a screen and keeps its figures: `python -m value_nb.figures [NOTEBOOK ...]`.

Each notebook gets a fresh kernel for each model, and a folder FIGURES/NAME--MODEL with what it hands to
`value_nb.keep` (FIGURES/NAME for a notebook that has no MODEL to choose); it is run again only when it, the
package, the bundled data or the libraries have changed.
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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from value_nb.cache.store import OFF
from value_nb.cache.store import VARIABLE as CACHE_VARIABLE
from value_nb.export import FOLDER_VARIABLE, atomically
from value_nb.gallery import write_gallery
from value_nb.notebook_run import ROOT, NotebookFailed, execute, parameters_of

NOTE = ".run.json"  # what is known of a kept run; no name that `keep` could give
LIBRARIES = ("matplotlib", "numpy", "pandas", "scikit-learn", "scipy", "seaborn", "torch", "transformers")
CHOICE = "MODEL"  # the parameter that names a notebook's model
UNTOLD = (FOLDER_VARIABLE, CACHE_VARIABLE)  # where things are kept says nothing of what they are
SIDE_BY_SIDE = {"OMP_NUM_THREADS": "1"}  # several kernels take one core each


@dataclass(frozen=True, slots=True)
class Job:
    """A notebook to run, with a model where it has one to choose; None: as it stands."""

    path: Path
    model: str | None = None

    @property
    def name(self) -> str:
        """Name of the folder of its figures."""
        return self.path.stem if self.model is None else f"{self.path.stem}--{self.model}"

    @property
    def title(self) -> str:
        """Heading of its section."""
        return title(self.path) if self.model is None else f"{title(self.path)}: {self.model}"

    @property
    def parameters(self) -> dict[str, Any]:
        """What the notebook's parameters cell is to say."""
        return {} if self.model is None else {CHOICE: self.model}


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one notebook.

    Attributes
    ----------
    name, title
        Of its job.
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


def plan(notebooks: Sequence[Path], models: Sequence[str] = ()) -> list[Job]:
    """Every notebook with every model, where it has one to choose; without models as it stands.

    A notebook that stands with MODEL = None asks for models of another kind, and runs as it stands.
    """
    found = []
    for path in notebooks:
        chooses = models and parameters_of(_read(path)).get(CHOICE) is not None
        found += [Job(path, model) for model in models] if chooses else [Job(path)]
    return found


def run_series(
    notebooks: Sequence[Path],
    folder: Path,
    *,
    models: Sequence[str] = (),
    force: bool = False,
    n_jobs: int = 1,
) -> list[Run]:
    """Bring the figures of every notebook up to date, and write FOLDER/index.html.

    A notebook that fails leaves no figures, is named on the page, and does not stop the others.

    Parameters
    ----------
    notebooks, folder
        What is run, and where the figures go.
    models
        Each notebook that has a MODEL among its parameters is run with each of these.
    force
        Also run what has not changed, and compute every result anew.
    n_jobs
        Runs at a time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    jobs = plan(notebooks, models)
    _forget_others(folder, {job.name for job in jobs})
    common = fingerprint()
    with ThreadPoolExecutor(n_jobs) as pool:
        runs = list(pool.map(lambda job: _up_to_date(job, folder, common, force, n_jobs), jobs))
    write_gallery(folder, [(run.name, run.title, run.error) for run in runs])
    return runs


def _up_to_date(job: Job, folder: Path, common: str, force: bool, n_jobs: int) -> Run:
    """The run of a job: the kept one while it is still right."""
    key = hashlib.sha256(f"{common} {job.name} ".encode() + job.path.read_bytes()).hexdigest()
    kept = None if force else _kept(folder / job.name, key)
    print(f"{job.name}: " + ("unchanged" if kept else "running ..."), flush=True)
    environ = ({} if n_jobs == 1 else SIDE_BY_SIDE) | ({CACHE_VARIABLE: OFF} if force else {})
    run = kept or _refresh(job, folder, key, environ)
    said = run.error or f"{_count(folder / run.name)} figures, {run.seconds:.1f} s"
    print(f"{job.name}: {said}", flush=True)
    return run


def fingerprint(root: Path = ROOT) -> str:
    """Changes with the package's code, the bundled data, the libraries and the VALUE_NB_* variables."""
    digest = hashlib.sha256(platform.python_version().encode())
    for name in LIBRARIES:
        digest.update(f"{name} {_version(name)}\n".encode())
    for name, value in sorted(os.environ.items()):
        if name.startswith("VALUE_NB_") and name not in UNTOLD:
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


def _refresh(job: Job, folder: Path, key: str, environ: dict[str, str]) -> Run:
    """Run a notebook into a neighbouring folder, which takes the place of the old one when all went well."""
    final, fresh = folder / job.name, folder / f".{job.name}.part"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    start, error = time.perf_counter(), ""
    try:
        execute(job.path, {FOLDER_VARIABLE: str(fresh.resolve()), **environ}, parameters=job.parameters)
    except NotebookFailed as problem:
        error = str(problem)
        shutil.rmtree(fresh)
    run = Run(job.name, job.title, key, round(time.perf_counter() - start, 1), error)
    shutil.rmtree(final, ignore_errors=True)
    if not error:
        text = json.dumps(asdict(run), indent=1) + "\n"
        atomically(fresh / NOTE, lambda target: target.write_text(text, encoding="utf-8"))
        fresh.rename(final)
    return run


def title(path: Path) -> str:
    """First heading of a notebook, or its name where it has none."""
    markdown = (cell.source for cell in _read(path).cells if cell.cell_type == "markdown")
    headings = (re.search(r"^# +(.+)$", text, re.MULTILINE) for text in markdown)
    return next((found[1].strip() for found in headings if found), path.stem)


def _read(path: Path) -> Any:
    import nbformat

    return nbformat.read(path, as_version=4)


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
    parser.add_argument(
        "--models",
        nargs="*",
        metavar="MODEL",
        help="run the notebooks with these (none: as they stand); default: every model that is here",
    )
    parser.add_argument("--jobs", type=int, default=2, help="notebooks run at a time; default: 2")
    parser.add_argument(
        "--force", action="store_true", help="run unchanged notebooks too, and use no kept results"
    )
    arguments = parser.parse_args(argv)
    notebooks = arguments.notebooks or sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    missing = [str(path) for path in notebooks if not path.is_file()]
    if missing or not notebooks:
        parser.error(
            f"no such notebook: {', '.join(missing)}" if missing else "notebooks/ holds no numbered notebook"
        )
    models = _present() if arguments.models is None else arguments.models
    runs = run_series(notebooks, arguments.out, models=models, force=arguments.force, n_jobs=arguments.jobs)
    print(f"look at {arguments.out / 'index.html'}")
    return int(any(run.error for run in runs))


def _present() -> list[str]:
    """The models that are shipped; others, which may lie in a cache of the hub, are asked for by name."""
    from value_nb.models.known import BUNDLED
    from value_nb.models.registry import models

    table = models()
    return [str(name) for name in table.loc[table["present"] & (table["source"] == BUNDLED), "name"]]


if __name__ == "__main__":
    sys.exit(main())
