"""The series as an app: pages without code whose panels live, and that ask nobody outside."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from tests.browser.app import serving
from tests.browser.lab import Report, new_page
from value_nb.lab import ROOT

pytestmark = pytest.mark.browser
CODE = (
    "import value_nb as vnb\nmodel = vnb.load_model('mini-uniter')",
    "data = vnb.load_dataset('mini-flickr30k', limit=3)\nex = vnb.Explorer(model, data)\nex",
)


def write(folder: Path) -> Path:
    folder.mkdir()
    cells = [nbformat.v4.new_markdown_cell("# A page"), *map(nbformat.v4.new_code_cell, CODE)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "00_page.ipynb")
    return folder


def test_a_page_shows_a_living_panel_and_no_code(tmp_path: Path) -> None:
    report = Report()
    (tmp_path / "settings").mkdir()
    with serving(write(tmp_path / "notebooks"), tmp_path / "settings") as address, new_page(report) as page:
        page.set_default_timeout(90_000)
        page.goto(address)
        page.get_by_role("link", name="00 page").first.click()
        page.wait_for_selector(".vnb-ex-word")
        assert "load_model" not in page.locator("body").inner_text()
        assert "import value_nb" not in page.content()
        page.locator(".vnb-ex-word[data-index='1']").first.click()
        page.wait_for_selector(".vnb-ex-word[data-index='1'][aria-pressed=true]")
        word = page.locator(".vnb-ex-word[data-index='1'] .vnb-ex-text").first.inner_text()
        page.wait_for_selector(f".vnb-sentence >> text=“{word}”")
        assert page.locator(".jp-RenderedImage img:visible").count() == 0  # the twin of a living panel
        page.screenshot(path=ROOT / "build" / "browser" / "app.png")
    assert report.findings == []
    assert report.outside == set()


def test_without_the_token_nothing_is_served(tmp_path: Path) -> None:
    report = Report()
    (tmp_path / "settings").mkdir()
    with serving(write(tmp_path / "notebooks"), tmp_path / "settings") as address, new_page(report) as page:
        bare = address.partition("?")[0]
        answer = page.goto(f"{bare.rstrip('/')}/voila/render/00_page.ipynb")
        assert answer is not None
        assert answer.status == 403 or "login" in page.url
        assert page.locator(".vnb-ex").count() == 0
