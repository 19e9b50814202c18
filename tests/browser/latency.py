"""How long from a key to new pixels, for the benchmark (`make bench`).

An arrow key on the slider of the layer, in the explorer, the attention panel and the flow; on the miniature,
and the explorer on a model of UNITER-base's size (12 x 12 heads, 60 positions, random weights). From the
key's `keydown` until the second frame after the view's first change. Each press waits for the static twin.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat

from tests.browser.lab import Report, look, opened, run_all

if TYPE_CHECKING:
    from playwright.sync_api import Page

PAUSE = 4_000  # milliseconds: longer than the static twin waits, so that its drawing is among what is met
CELLS = (
    """
from pathlib import Path
from tempfile import TemporaryDirectory
import numpy as np
import value_nb as vnb
from value_nb import stand_ins
from value_nb.data.example import Example, Regions
data = vnb.load_dataset("mini-flickr30k", limit=4)
model = vnb.load_model("mini-uniter")
""",
    """
folder = TemporaryDirectory()
large = vnb.load_model("uniter", checkpoint=stand_ins.write_checkpoint(Path(folder.name), "uniter"))
rng = np.random.default_rng(0)
corners = rng.uniform(0, 0.5, (36, 2))
boxes = np.concatenate([corners, corners + 0.2], axis=1).astype(np.float32)
regions = Regions(boxes, rng.normal(size=(36, 2048)).astype(np.float32), ("thing",) * 36, ("detected",) * 36)
words = tuple(data[0].words[:1] * 22)
one = Example("1#0", "1", " ".join(words), words, size=(400, 300), regions=regions)
""",
    "vnb.Explorer(model, data)",
    "vnb.widgets.AttentionPanel(model, data)",
    "vnb.AttentionFlow(model, data)",
    "vnb.Explorer(large, [one])",
)
LARGE = "explorer, 12 x 12 heads, 60 positions"
PANELS = ("explorer", "attention panel", "flow", LARGE)

WATCH = """root => {
  const made = root.querySelector('.vnb-ex, .vnb-flow'), image = root.querySelector('img.vnb-picture');
  const frame = () => new Promise(requestAnimationFrame);
  window.took = new Promise(resolve => {
    let start = null;
    document.addEventListener('keydown', () => { start = performance.now(); }, {capture: true, once: true});
    const watch = new MutationObserver(async () => {
      if (start === null) return;
      watch.disconnect();
      if (!made) await image.decode();
      await frame();
      await frame();
      resolve(performance.now() - start);
    });
    const told = {subtree: true, childList: true, characterData: true, attributes: true};
    watch.observe(made || image, {...told, attributeFilter: ['style', 'src', 'd', 'data-weight']});
  });
}"""


def measure(page: Page, number: int, presses: int) -> list[float]:
    """Milliseconds of each press on one panel."""
    panel = page.locator(".vnb-panel").nth(number)
    panel.scroll_into_view_if_needed()
    slider = panel.locator(".widget-inline-hbox", has_text="layer").locator(".noUi-handle").first
    found = []
    for _ in range(presses):
        page.wait_for_timeout(PAUSE)
        slider.focus()
        last = slider.get_attribute("aria-valuenow") == slider.get_attribute("aria-valuemax")
        panel.evaluate(WATCH)
        page.keyboard.press("Home" if last else "ArrowRight")
        found.append(round(float(page.evaluate("() => window.took")), 1))
    return found


def measured(presses: int) -> dict[str, list[float]]:
    """Panel -> milliseconds of each press.

    Raises
    ------
    RuntimeError
        When something broke on the way, so that the times are not of what a reader sees.
    """
    report, found = Report(), {}
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell.strip()) for cell in CELLS])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "settings").mkdir()
        nbformat.write(notebook, root / "latency.ipynb")
        with opened(root / "latency.ipynb", root, root / "settings", report) as page:
            run_all(page, report)
            look(page, report)
            page.set_default_timeout(60_000)
            for number, panel in enumerate(PANELS):
                found[panel] = measure(page, number, presses)
    if report.findings:
        raise RuntimeError("\n".join(report.findings))
    return found
