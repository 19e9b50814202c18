"""Running a series of notebooks and keeping its figures, on small notebooks made here."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from value_nb import figures
from value_nb.figures import fingerprint, plan, run_series, title
from value_nb.notebook_run import NotebookFailed, execute, with_parameters

KEEP = """
from matplotlib.figure import Figure
from value_nb.export import keep
axes = Figure().add_subplot()
keep("curve", axes, caption="<b>A & B</b>")
"""


def write(folder: Path, name: str, *cells: str) -> Path:
    heading = nbformat.v4.new_markdown_cell(f"# About {name}\n\ntext")
    code = [nbformat.v4.new_code_cell(cell.strip()) for cell in cells]
    path = folder / f"{name}.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[heading, *code]), path)
    return path


def test_series_keeps_figures_caches_and_reports_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "fingerprint", lambda: "same")
    out = tmp_path / "figures"
    good, bad = write(tmp_path, "01_good", KEEP), write(tmp_path, "02_bad", "1 / 0")
    runs = run_series([good, bad], out)
    assert [run.error for run in runs] == ["", "02_bad.ipynb: ZeroDivisionError: division by zero in: 1 / 0"]
    assert sorted(path.name for path in out.iterdir()) == ["01_good", "index.html"]
    kept = {path.name for path in (out / "01_good").iterdir()}
    assert kept == {"curve.svg", "curve.pdf", "curve.png", "curve.json", ".run.json"}
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "About 01_good" in page
    assert "02_bad.ipynb: ZeroDivisionError" in page
    assert "<b>A" not in page

    monkeypatch.setattr(
        figures, "execute", lambda path, environ, parameters: pytest.fail(f"{path} was run again")
    )
    assert run_series([good], out) == runs[:1]

    monkeypatch.setattr(figures, "execute", lambda path, environ, parameters: None)
    changed = write(tmp_path, "01_good", KEEP, "1 + 1")
    assert run_series([changed], out)[0].key != runs[0].key
    assert [path.name for path in (out / "01_good").iterdir()] == [".run.json"]


def test_a_failure_takes_the_old_figures_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, environ: dict[str, str], parameters: dict[str, str]) -> None:
        raise NotebookFailed("no")

    monkeypatch.setattr(figures, "execute", lambda path, environ, parameters: None)
    path = write(tmp_path, "01_a", "1")
    run_series([path], tmp_path / "out")
    monkeypatch.setattr(figures, "execute", fail)
    assert run_series([path], tmp_path / "out", force=True)[0].error == "no"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["index.html"]


def test_forced_runs_use_no_kept_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []
    monkeypatch.setattr(
        figures, "execute", lambda path, environ, parameters: seen.append(environ.get("VALUE_NB_CACHE"))
    )
    for force in (False, True):
        run_series([write(tmp_path, "01_a", "1")], tmp_path / "out", force=force)
    assert seen == [None, "off"]


def test_runs_of_removed_notebooks_are_forgotten_and_other_folders_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "execute", lambda path, environ, parameters: None)
    out = tmp_path / "out"
    run_series([write(tmp_path, "01_a", "1"), write(tmp_path, "02_b", "1")], out)
    (out / "mine").mkdir()
    run_series([tmp_path / "02_b.ipynb"], out)
    assert sorted(path.name for path in out.iterdir()) == ["02_b", "index.html", "mine"]


def choosing(folder: Path, name: str, *cells: str) -> Path:
    """A notebook whose parameters cell has a MODEL and a FULL."""
    path = write(folder, name, 'MODEL = "own"  # or another\nFULL = False\nother = 1 + 1', *cells)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].metadata["tags"] = ["parameters"]
    nbformat.write(notebook, path)
    return path


def test_a_notebook_for_models_of_another_kind_runs_as_it_stands(tmp_path: Path) -> None:
    path = choosing(tmp_path, "08_a", "1")
    assert [job.name for job in plan([path], ["one"])] == ["08_a--one"]
    path.write_text(path.read_text().replace('MODEL = \\"own\\"', "MODEL = None"), encoding="utf-8")
    assert [job.name for job in plan([path], ["one"])] == ["08_a"]


def test_a_notebook_that_chooses_is_run_with_every_model(tmp_path: Path) -> None:
    out, keep = tmp_path / "out", KEEP + "\nkeep(MODEL, axes)"
    notebooks = [choosing(tmp_path, "01_a", keep), write(tmp_path, "02_b", KEEP)]
    runs = run_series(notebooks, out, models=["one", "two"], n_jobs=2)
    assert [run.error for run in runs] == [""] * 3
    assert [run.name for run in runs] == ["01_a--one", "01_a--two", "02_b"]
    assert (out / "01_a--one" / "one.svg").is_file() and (out / "01_a--two" / "two.svg").is_file()
    page = (out / "index.html").read_text(encoding="utf-8")
    assert page.index("About 01_a: one") < page.index("About 01_a: two") < page.index("About 02_b")
    assert [job.name for job in plan(notebooks)] == ["01_a", "02_b"]
    run_series(notebooks, out, models=["two"])
    assert sorted(path.name for path in out.iterdir()) == ["01_a--two", "02_b", "index.html"]


def test_parameters_are_set_behind_their_cell_and_unknown_ones_refused(tmp_path: Path) -> None:
    path = choosing(tmp_path, "a", "print(MODEL, FULL)")
    assert execute(path, parameters={"FULL": True}).cells[-1].outputs[0]["text"] == "own True\n"
    notebook = nbformat.read(path, as_version=4)
    with pytest.raises(ValueError, match="no parameter 'MODELS' in this notebook; it has: MODEL, FULL"):
        with_parameters(notebook, {"MODELS": 1})
    with pytest.raises(ValueError, match="it has: none"):
        execute(write(tmp_path, "b", "1"), parameters={"MODEL": "x"})


def test_execute_runs_in_the_notebooks_folder_and_leaves_the_file_alone(tmp_path: Path) -> None:
    path = write(tmp_path, "a", "import os; print(os.getcwd(), os.environ['PLACE'])")
    before = path.read_bytes()
    done = execute(path, {"PLACE": "here"})
    assert done.cells[-1].outputs[0]["text"] == f"{tmp_path} here\n"
    assert path.read_bytes() == before


def test_execute_names_a_cell_that_takes_too_long(tmp_path: Path) -> None:
    path = write(tmp_path, "slow", "import time; time.sleep(60)")
    with pytest.raises(NotebookFailed, match=r"slow.ipynb: .*timed out"):
        execute(path, cell_seconds=2)


def test_fingerprint_follows_code_data_and_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VALUE_NB_DATA", raising=False)
    for part in ("value_nb", "data"):
        (tmp_path / part).mkdir()
    seen = [fingerprint(tmp_path)]
    (tmp_path / "value_nb" / "a.py").write_text("1", encoding="utf-8")
    seen.append(fingerprint(tmp_path))
    (tmp_path / "data" / "a.txt").write_text("1", encoding="utf-8")
    seen.append(fingerprint(tmp_path))
    monkeypatch.setenv("VALUE_NB_SETTING", "full")
    seen.append(fingerprint(tmp_path))
    assert len(set(seen)) == len(seen)
    for variable in ("VALUE_NB_FIGURES", "VALUE_NB_CACHE"):  # where things are kept
        monkeypatch.setenv(variable, str(tmp_path / "elsewhere"))
    assert fingerprint(tmp_path) == seen[-1]


def test_title_falls_back_to_the_name(tmp_path: Path) -> None:
    assert title(write(tmp_path, "01_a")) == "About 01_a"
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "b.ipynb")
    assert title(tmp_path / "b.ipynb") == "b"


def test_main_refuses_what_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        figures.main([str(tmp_path / "none.ipynb")])
    assert "no such notebook" in capsys.readouterr().err
