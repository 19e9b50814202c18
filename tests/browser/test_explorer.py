"""The explorer in a real JupyterLab: chosen by mouse and by keyboard, kept, saved, opened again."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from tests.browser.lab import Report, look, opened, run_all, shoot
from value_nb.lab import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.browser
SHOTS = ROOT / "build" / "browser"
EVIL = "<img src=x onerror=alert(1)>"
SETUP = f"""
from dataclasses import replace
import value_nb as vnb
data = vnb.load_dataset("mini-flickr30k", limit=4)
model = vnb.load_model("mini-uniter")
regions = replace(data[1].regions, names=({EVIL!r}, *data[1].regions.names[1:]))
words = ({EVIL!r}, *data[1].words[1:])
data = [data[0], replace(data[1], caption=" ".join(words), words=words, regions=regions), *data[2:]]

def expected(kind):
    # attention between the selection and words or regions, from the trace
    chosen, trace = ex.selection, model.trace(data[ex.example])
    sides = [{{"word": "text", "region": "image"}}[one] for one in (chosen.kind, kind)]
    block = "->".join(sides if ex.gives else sides[::-1])
    heads = ex.head if isinstance(ex.head, tuple) else (ex.head,)
    maps = [trace.attention(block, ex.layer, head).drop(columns="unassigned").to_numpy() for head in heads]
    whole = sum(maps) / len(maps)
    return (whole[chosen.index] if ex.gives else whole[:, chosen.index]).tolist()
"""
CELLS = (
    SETUP,
    "ex = vnb.Explorer(model, data)\nex",
    "flow = vnb.AttentionFlow(model, data)\nflow",
    "print('end')",
)


def write(folder: Path, cells: tuple[str, ...], name: str = "explorer.ipynb") -> Path:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell.strip()) for cell in cells])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = folder / "notebooks" / name
    path.parent.mkdir(exist_ok=True)
    nbformat.write(notebook, path)
    return path


@pytest.fixture(scope="module")
def report() -> Report:
    return Report()


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("explorer"), CELLS)


@pytest.fixture(scope="module")
def lab(notebook: Path, report: Report, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One page for all tests of a worker; nothing may have broken on it by the end."""
    root = notebook.parent.parent
    with opened(notebook, root, tmp_path_factory.mktemp("lab"), report) as page:
        run_all(page, report)
        look(page, report)
        page.set_default_timeout(60_000)
        page.evaluate(ASK)
        yield page
        look(page, report)
    assert report.findings == []
    assert report.outside == set()


@pytest.fixture
def page(lab: Page) -> Page:
    """The page as every test finds it, whatever ran before: first example, one head, nothing chosen."""
    settings = {"example": 0, "direction": "text->image", "layer": 2, "head": 3, "selection": None}
    ask(lab, f"[setattr(ex, name, value) for name, value in {settings!r}.items()]")
    ask(lab, "setattr(flow, 'example', 0)")
    chosen_head(lab, 2, 3)
    lab.wait_for_function(
        "() => !document.querySelector('.vnb-ex-word[aria-pressed=true], .vnb-ex-region[aria-pressed=true]')"
    )
    return lab


# Ask the kernel for an expression, beside the notebook's cells.
ASK = """() => { window.ask = code => new Promise((resolve, reject) => {
  const kernel = window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel;
  const future = kernel.requestExecute({code: '', user_expressions: {it: code}, silent: true,
    store_history: false});
  future.onReply = reply => { const it = reply.content.user_expressions.it;
    it.status === 'ok' ? resolve(it.data['text/plain']) : reject(it.evalue); };
}); }"""


def ask(page: Page, expression: str) -> Any:
    """The value of an expression in the kernel."""
    text = page.evaluate("code => window.ask(code)", f"__import__('json').dumps({expression}, default=str)")
    return json.loads(text[1:-1].encode().decode("unicode_escape").encode("latin-1").decode())


def soon(page: Page, read: Callable[[], Any], expected: Any) -> None:
    """What is read becomes what is expected: page and kernel tell each other in their own time."""
    for _ in range(300):
        if read() == expected:
            return
        page.wait_for_timeout(100)
    assert read() == expected


def becomes(page: Page, expression: str, expected: Any) -> None:
    """The same of an expression in the kernel."""
    soon(page, lambda: ask(page, expression), expected)


def one(page: Page, selector: str) -> Locator:
    return page.locator(f".vnb-ex-pane[data-pane=chosen] {selector}")


def pressed(page: Page, selector: str) -> list[str]:
    """Accessible names of what is marked as chosen."""
    return page.locator(f"{selector}[aria-pressed=true]").evaluate_all("all => all.map(e => e.ariaLabel)")


CHOSEN = "a => document.querySelector(`.vnb-ex-${a}`).ariaPressed === 'true'"


def chosen(page: Page, kind: str, index: int) -> None:
    """Wait until a word or region is marked."""
    page.wait_for_function(CHOSEN, arg=f"{kind}[data-index='{index}']")


def chosen_head(page: Page, layer: int, head: int) -> None:
    """Wait until a cell of the map is marked."""
    page.wait_for_function(CHOSEN, arg=f"cell[data-layer='{layer}'][data-head='{head}']")


def set_theme(page: Page, name: str) -> None:
    page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", name)
    light = "false" if "Dark" in name else "true"
    page.wait_for_function("light => document.body.dataset.jpThemeLight === light", arg=light)
    page.wait_for_timeout(800)


def check_weights(page: Page, kind: str) -> None:
    """What the page shows is what the model's own trace says, apart from the panel's tables."""
    weights = """all => all.map(e => [+e.dataset.index, +e.dataset.weight])
        .sort((a, b) => a[0] - b[0]).map(pair => pair[1])"""
    expected = pytest.approx(ask(page, f"expected({kind!r})"), abs=6e-6)
    soon(page, lambda: one(page, f".vnb-ex-{kind}").evaluate_all(weights), expected)


def colour(locator: Locator) -> str:
    return str(locator.evaluate("e => getComputedStyle(e).backgroundColor"))


def test_a_click_on_a_word_lights_up_its_regions(page: Page) -> None:
    one(page, ".vnb-ex-word[data-index='1']").click()
    chosen(page, "word", 1)
    becomes(page, "[ex.selection.kind, ex.selection.index]", ["word", 1])
    check_weights(page, "region")
    check_weights(page, "word")
    before = one(page, ".vnb-ex-stage").screenshot()
    one(page, ".vnb-ex-word[data-index='2']").click()
    chosen(page, "word", 2)
    page.wait_for_timeout(300)
    assert one(page, ".vnb-ex-stage").screenshot() != before


def test_a_click_on_a_region_shades_words_and_regions(page: Page) -> None:
    order = one(page, ".vnb-ex-region").evaluate_all("all => all.map(e => +e.dataset.index)")
    smallest = page.evaluate(
        """() => [...document.querySelectorAll('.vnb-ex-pane[data-pane=chosen] .vnb-ex-region')]
        .sort((a, b) => a.offsetWidth * a.offsetHeight - b.offsetWidth * b.offsetHeight)[0].dataset.index"""
    )
    assert int(smallest) in order
    one(page, f".vnb-ex-region[data-index='{smallest}']").click()  # nothing larger lies over it
    chosen(page, "region", int(smallest))
    becomes(page, "[ex.selection.kind, ex.direction]", ["region", "image->text"])
    check_weights(page, "word")
    check_weights(page, "region")
    strongest = ask(page, "int(ex.weights[ex.weights.kind == 'word'].iloc[0]['index'])")
    weakest = ask(page, "int(ex.weights[ex.weights.kind == 'word'].iloc[-1]['index'])")
    words = [colour(one(page, f".vnb-ex-word[data-index='{i}']")) for i in (strongest, weakest)]
    assert words[0] != words[1]


def test_a_click_on_the_map_chooses_the_head_and_shift_adds_one(page: Page) -> None:
    page.locator(".vnb-ex-cell[data-layer='4'][data-head='1']").click()
    chosen_head(page, 4, 1)
    becomes(page, "[ex.layer, ex.head]", [4, 1])
    one(page, ".vnb-ex-word[data-index='1']").click()
    chosen(page, "word", 1)
    check_weights(page, "word")
    page.locator(".vnb-ex-cell[data-layer='4'][data-head='5']").click(modifiers=["Shift"])
    chosen_head(page, 4, 5)
    becomes(page, "ex.head", [1, 5])
    check_weights(page, "region")


def test_everything_can_be_done_by_keyboard(page: Page) -> None:
    one(page, ".vnb-ex-word[data-index='0']").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    chosen(page, "word", 2)
    becomes(page, "ex.selection.index", 2)
    check_weights(page, "region")
    page.keyboard.press("Tab")
    kind = page.evaluate("() => document.activeElement.className")
    assert "vnb-ex-region" in kind
    page.keyboard.press("End")
    page.keyboard.press("Space")
    page.wait_for_function("() => document.activeElement.ariaPressed === 'true'")
    becomes(page, "ex.selection.kind", "region")
    page.locator(".vnb-ex-cell[tabindex='0']").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    chosen_head(page, 2, 1)
    becomes(page, "[ex.layer, ex.head]", [2, 1])
    check_weights(page, "word")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Control+Enter")
    chosen_head(page, 2, 2)
    becomes(page, "ex.head", [1, 2])
    check_weights(page, "word")
    page.keyboard.press("Escape")
    page.wait_for_function("() => !document.querySelector('.vnb-ex-region[aria-pressed=true]')")
    becomes(page, "ex.selection", None)
    assert page.locator(".jp-Cell").count() == len(CELLS)  # no key has reached the notebook's own shortcuts


def test_the_notebook_is_saved_by_its_key_after_a_click_in_a_view(page: Page) -> None:
    """Keys of the view are kept from JupyterLab; those with Ctrl are JupyterLab's own."""
    for view, item in ((".vnb-ex", ".vnb-ex-word"), (".vnb-flow", ".vnb-flow-word")):
        page.locator(f"{view} {item}").first.click()
        page.evaluate("() => { window.jupyterapp.shell.currentWidget.context.model.dirty = true; }")
        page.keyboard.press("b")  # outside a view: a new cell
        page.keyboard.press("Control+s")
        page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
    page.keyboard.press("Escape")
    assert page.locator(".jp-Cell").count() == len(CELLS)


def test_a_pointer_over_an_item_shows_its_number(page: Page) -> None:
    """A region's name and weight, a head's number; nothing is chosen by it."""
    one(page, ".vnb-ex-word[data-index='2']").click()
    chosen(page, "word", 2)
    check_weights(page, "region")
    weights = ask(page, "expected('region')")
    weakest = weights.index(min(weights))
    one(page, f".vnb-ex-region[data-index='{weakest}']").dispatch_event("pointerover")
    tag = one(page, ".vnb-ex-tag.vnb-ex-pointed")
    assert tag.inner_text().endswith(f" {weights[weakest]:.3f}".replace(" 0.", " ."))
    page.locator(".vnb-ex-cell[data-layer='5'][data-head='2']").hover()
    number = ask(page, "float(ex.head_map.table.loc[2, 5])")
    assert page.locator(".vnb-ex-said").first.inner_text() == f"layer 5, head 2: {number:.3f}"
    becomes(page, "[ex.layer, ex.head, ex.selection.index]", [2, 3, 2])


def test_the_flow_by_mouse_and_by_keyboard(page: Page) -> None:
    """Pointed at: only its lines; a click keeps them; arrow keys walk; Escape lets go."""
    names = ("query_index", "key_index", "weight")
    strongest = [ask(page, f"flow.table[{name!r}].tolist()[0]") for name in names]
    word = page.locator(f".vnb-flow-word[data-index='{strongest[0]}']")
    lines = "() => document.querySelectorAll('.vnb-flow-line.vnb-flow-on').length"
    word.hover()
    mine = ask(page, f"int((flow.table['query_index'] == {strongest[0]}).sum())")
    page.wait_for_function(f"() => ({lines})() === {mine}")
    number = page.locator(f".vnb-flow-region[data-index='{strongest[1]}'] .vnb-flow-number")
    assert number.inner_text() == f"{strongest[2]:.3f}"
    word.click()
    page.wait_for_function("() => document.querySelector('.vnb-flow-word[aria-pressed=true]')")
    becomes(page, "flow.pinned", ["left", strongest[0]])
    becomes(page, "sorted(set(flow.table['query_index'].tolist()))", [strongest[0]])
    page.keyboard.press("Escape")
    page.wait_for_function("() => !document.querySelector('.vnb-flow-word[aria-pressed=true]')")
    becomes(page, "flow.pinned", None)
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector(".vnb-flow-word[data-index='1'][aria-pressed=true]")
    becomes(page, "flow.pinned", ["left", 1])
    page.keyboard.press("ArrowRight")
    assert "vnb-flow-region" in str(page.evaluate("() => document.activeElement.className"))
    page.keyboard.press("Escape")
    page.wait_for_function("() => !document.querySelector('.vnb-flow-word[aria-pressed=true]')")


def test_names_hold_the_numbers_for_a_screen_reader(page: Page) -> None:
    one(page, ".vnb-ex-word[data-index='2']").click()
    chosen(page, "word", 2)
    check_weights(page, "word")
    name = pressed(page, ".vnb-ex-word")[0]
    word, number = ask(page, "[ex.selection.label, float(ex.weights[(ex.weights.kind == 'word') & "
                             "(ex.weights['index'] == 2)]['weight'].iloc[0])]")  # fmt: skip
    assert name.startswith(f"{word}, {number:.3f}")


def test_links_are_explained_where_there_are_some(page: Page) -> None:
    """ "tractor" is linked to a region; the full stop to none."""
    status = page.locator(".vnb-ex-status").first
    one(page, ".vnb-ex-word[data-index='2']").click()
    chosen(page, "word", 2)
    assert "Dashed green" in status.inner_text()
    ask(page, "setattr(ex, 'selection', ('word', len(data[0].words) - 1))")
    page.wait_for_function("() => !document.querySelector('.vnb-ex-status').innerText.includes('Dashed')")
    assert page.locator(".vnb-ex-linked").count() == 0


def test_a_head_is_pinned_beside(page: Page) -> None:
    page.get_by_role("button", name="Pin this head").click()
    page.wait_for_selector(".vnb-ex-pane[data-pane=pinned]:not([hidden])")
    page.locator(".vnb-ex-cell[data-layer='5'][data-head='0']").click()
    chosen_head(page, 5, 0)
    titles = page.locator(".vnb-ex-pane .vnb-ex-title").all_inner_texts()
    assert "layer 5" in titles[0]
    assert "layer 2" in titles[1]
    stages = page.locator(".vnb-ex-stage").evaluate_all("all => all.map(e => e.getBoundingClientRect().top)")
    assert stages[0] == pytest.approx(stages[1], abs=1)
    grid = page.locator(".vnb-ex-grid").first.evaluate("e => e.getBoundingClientRect().top")
    assert grid < stages[0], "the map lies beside the pictures"
    page.get_by_role("button", name="Unpin").click()
    page.wait_for_selector(".vnb-ex-pane[data-pane=pinned]", state="hidden")


def test_python_moves_the_view(page: Page) -> None:
    ask(page, "setattr(ex, 'layer', 3) or setattr(ex, 'head', 2) or setattr(ex, 'selection', ('word', 1))")
    chosen_head(page, 3, 2)
    chosen(page, "word", 1)
    check_weights(page, "region")


def test_the_theme_s_colours_are_taken(page: Page) -> None:
    """Dark ink on light, light ink on dark: on either, far from the ground."""
    ink = "e => getComputedStyle(e).color.match(/[0-9.]+/g).slice(0, 3).reduce((sum, part) => sum + +part, 0)"
    title = one(page, ".vnb-ex-title")
    one(page, ".vnb-ex-word[data-index='2']").click()
    chosen(page, "word", 2)
    assert title.evaluate(ink) < 300
    set_theme(page, "JupyterLab Dark")
    assert title.evaluate(ink) > 500
    ground = "e => getComputedStyle(e).backgroundColor"
    assert (
        page.locator(".vnb-ex-map").first.evaluate(ground) == "rgb(255, 255, 255)"
    )  # its scale ends in black
    shoot(page, SHOTS / "explorer.dark.png")
    set_theme(page, "JupyterLab Light")


def test_a_narrow_window_shows_everything(page: Page) -> None:
    """With numbers at the words and names at the regions, which take the most room."""
    page.set_viewport_size({"width": 800, "height": 900})
    ask(page, "setattr(ex, 'selection', ('word', 2))")
    chosen(page, "word", 2)
    page.wait_for_timeout(600)
    wide = page.evaluate(
        """() => { const inside = document.querySelector('.vnb-ex').getBoundingClientRect().right;
        return [...document.querySelectorAll('.vnb-ex-word, .vnb-ex-cell, .vnb-ex-stage, .vnb-ex-tag')]
        .filter(e => e.offsetParent && e.getBoundingClientRect().right > inside + 1).length; }"""
    )
    assert wide == 0
    shoot(page, SHOTS / "explorer.narrow.png")
    page.set_viewport_size({"width": 1280, "height": 900})


def test_captions_and_names_are_shown_as_text(page: Page, report: Report) -> None:
    """An alert would be a dialog, which the report lists."""
    ask(
        page,
        "setattr(ex, 'example', 1) or setattr(flow, 'example', 1) or setattr(ex, 'selection', ('word', 0))",
    )
    page.wait_for_function(
        f"() => document.querySelector('.vnb-ex-word .vnb-ex-text').textContent === {EVIL!r}"
    )
    page.wait_for_timeout(500)
    assert not [line for line in report.findings if line.startswith("dialog")]
    assert page.locator(".vnb-panel img[src='x']").count() == 0
    assert EVIL in page.locator(".vnb-panel .vnb-sentence").first.inner_text()


def test_an_error_shows_in_the_panel_and_goes(page: Page) -> None:
    ask(page, "ex.view._handle_custom_msg({'select': ['region', 999]}, [])")
    page.wait_for_selector(".vnb-error >> text=expected")
    ask(page, "setattr(ex, 'example', 1)")
    page.wait_for_selector(".vnb-error >> text=expected", state="hidden")


def test_save_writes_files_and_overwrites_none(page: Page, notebook: Path) -> None:
    panel = page.locator(".vnb-panel").first
    folder = notebook.parent / "saved"
    for count in (1, 2):
        panel.get_by_role("button", name="save figure").click()
        for _ in range(150):
            if len(list(folder.glob("*.svg"))) == count and len(list(folder.glob("*.txt"))) == count:
                break
            page.wait_for_timeout(200)
    kinds = sorted(path.suffix for path in folder.iterdir())
    assert kinds == sorted([".csv", ".pdf", ".png", ".svg", ".txt"] * 2)
    caption = sorted(folder.glob("*.txt"))[0].read_text(encoding="utf-8")
    for fact in ("mini-uniter", "mini-flickr30k", "test", "n: 1", "seed: 0", "version"):
        assert fact in caption
    other = page.context.new_page()
    svg = next(folder.glob("*.svg")).read_bytes()
    other.goto(f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}")  # the browser reads the file
    assert other.evaluate("() => document.documentElement.getBoundingClientRect().width") > 300
    assert "tractor" in str(other.evaluate("() => document.documentElement.textContent"))
    other.close()


def test_a_saved_notebook_shows_the_picture_where_there_is_no_kernel(
    page: Page, notebook: Path, tmp_path: Path
) -> None:
    """Opened by somebody else, who does not trust it: no widget, and the static twin in its place."""
    ask(page, "setattr(ex, 'selection', ('word', 2)) or ex._twin.update()")
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
    saved = nbformat.read(notebook, as_version=4)
    pictures = [
        o for cell in saved.cells for o in cell.get("outputs", []) if "image/png" in o.get("data", {})
    ]
    assert len(pictures) == 2
    check_page(notebook, tmp_path, [o["data"]["image/png"].strip() for o in pictures])
    copy = tmp_path / "notebooks" / "copy.ipynb"
    copy.parent.mkdir()
    copy.write_bytes(notebook.read_bytes())
    (tmp_path / "lab").mkdir()
    seen = Report()
    # playwright's synchronous interface allows one instance in a thread, so the copy opens in this browser
    check_copy(page, copy, tmp_path, seen)


def check_page(notebook: Path, folder: Path, pictures: list[str]) -> None:
    """What nbconvert makes of it has the pictures, and no word of a widget that cannot be shown."""
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--output-dir", folder, notebook]
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    text = (folder / notebook.with_suffix(".html").name).read_text(encoding="utf-8")
    for picture in pictures:
        assert "".join(picture.split()) in "".join(text.split())


def check_copy(page: Page, copy: Path, folder: Path, seen: Report) -> None:
    from tests.browser.lab import open_notebook
    from tests.browser.server import LabServer

    with LabServer(folder, copy.relative_to(folder), folder / "lab") as server:
        other = page.context.new_page()
        other.goto(f"{server.address}/?token={server.token}", timeout=90_000)
        open_notebook(other, seen)
        other.wait_for_selector(".jp-RenderedImage img")
        shown = other.locator(".jp-RenderedImage img").evaluate_all(
            "all => all.filter(e => e.naturalWidth > 300 && e.offsetWidth > 300).length"
        )
        assert shown == 2
        assert other.locator(".vnb-ex").count() == 0
        shoot(other, SHOTS / "explorer.copy.png")
        other.close()
