"""The kit's look leaves matplotlib's settings outside as they are."""

from __future__ import annotations

from io import BytesIO

import matplotlib as mpl
import nbformat.v4
import pytest
from nbclient import NotebookClient

from value_nb import style

FIRST_FIGURE_INSIDE = """
from value_nb import style
with style.styled():
    import matplotlib.pyplot as plt
    plt.figure()
"""


def test_settings_outside_are_as_before():
    before = dict(mpl.rcParams)
    with style.styled():
        assert mpl.rcParams["font.size"] == style.RC["font.size"]
    assert dict(mpl.rcParams) == before


def test_text_of_data_holds_no_formula():
    with style.styled():
        ax = style.new_axes()
        ax.set_title("$x$ and $y$")
    ax.figure.savefig(file := BytesIO(), format="svg")
    assert not ax.title.get_parse_math()
    assert b"$x$ and $y$" in file.getvalue()  # as a comment beside the letters


@pytest.mark.notebooks
def test_figures_of_later_cells_show_when_the_first_figure_was_made_inside():
    """A kernel's backend turns interaction on when it is loaded; inside, that was undone at the end."""
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(c) for c in (FIRST_FIGURE_INSIDE, "plt.plot([1, 2]);")]
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    assert [[o.output_type for o in cell.outputs] for cell in notebook.cells] == [["display_data"]] * 2
