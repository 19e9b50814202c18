"""The checker itself: a good notebook passes, and each kind of breakage is found."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from tests.browser.lab import Report, visit
from tests.browser.server import LabServer

pytestmark = pytest.mark.browser

PANEL = """
import io
import ipywidgets as widgets
from matplotlib.figure import Figure
image = widgets.Image(format="png", width=320)
def draw(level):
    figure = Figure(figsize=(3, 2))
    figure.add_subplot().bar([0, 1], [level, 1])
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    image.value = buffer.getvalue()
draw(1)
"""
SLIDER = """
slider = widgets.IntSlider(value=1, min=0, max=5, description="layer")
slider.observe(lambda change: draw(change["new"]), names="value")
choice = widgets.Dropdown(options=[("one", 1), ("four", 4)], description="head")
choice.observe(lambda change: draw(change["new"] + 0.5), names="value")
choices = widgets.Dropdown(options=["a", "b"], description="model")
display(widgets.VBox([slider, choice, image]), choices)
"""
BROKEN = """
dead = widgets.IntSlider(max=5, description="dead")
bad = widgets.IntSlider(max=5, description="bad")
bad.observe(lambda change: 1 / 0, names="value")
other = widgets.Image(format="png", width=320, value=image.value)
address = "http://192.0.2.1/picture.png"
display(widgets.VBox([dead, image]), widgets.VBox([bad, other]), widgets.HTML(f"<img src={address}>"))
"""


def write(folder: Path, *cells: str) -> Path:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell.strip()) for cell in cells])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = folder / "notebooks" / "small.ipynb"
    path.parent.mkdir()
    nbformat.write(notebook, path)
    return path


def report_of(folder: Path, *cells: str) -> Report:
    settings = folder / "settings"
    settings.mkdir()
    return visit(write(folder, *cells), folder, settings, folder / "shots")


def test_a_good_notebook_has_no_findings_and_its_controls_move_the_figure(tmp_path: Path) -> None:
    report = report_of(tmp_path, PANEL, SLIDER)
    assert report.findings == []
    assert {name: len(times) > 0 for name, times in report.controls.items()} == {
        "slider 0 (layer)": True,
        "select 1 (head)": True,
        "select 2 (model)": False,  # drives no figure
    }
    assert (tmp_path / "shots" / "small.png").stat().st_size > 10_000


def test_dead_sliders_hidden_exceptions_and_outside_requests_are_found(tmp_path: Path) -> None:
    found = "\n".join(report_of(tmp_path, PANEL, BROKEN).findings)
    assert "slider 0 (dead): its figure did not change in 3 steps" in found
    assert "slider 1 (bad): its figure did not change in 3 steps" in found
    assert "callback error: ZeroDivisionError: division by zero" in found
    assert "outside request: http://192.0.2.1/picture.png" in found


def test_a_failing_cell_and_the_cells_after_it_are_found(tmp_path: Path) -> None:
    found = "\n".join(report_of(tmp_path, "1 / 0", "print('never')").findings)
    assert "cell error: '1 / 0': ZeroDivisionError: division by zero" in found
    assert "cell not run: \"print('never')\"" in found


def test_the_launched_server_wants_its_token(tmp_path: Path) -> None:
    notebook = write(tmp_path, "1")
    (tmp_path / "settings").mkdir()
    with LabServer(tmp_path, notebook.relative_to(tmp_path), tmp_path / "settings") as server:
        assert server.status("/api/contents") == 403
        assert server.status(f"/api/contents?token={server.token}") == 200
