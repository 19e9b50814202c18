"""Opens a notebook in JupyterLab in a real browser, runs it, moves its controls and lists what is broken.

Findings: cell errors, cells left unrun, exceptions in widget callbacks, error boxes, errors in the
console, requests to other machines, dialogs, widgets that never load, controls that do not move,
figures whose pixels do not follow their control, tracebacks in the server's log, a changed file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.browser import chromium
from tests.browser.server import LabServer

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Route

PAGE_JS = Path(__file__).with_name("page.js").read_text(encoding="utf-8")
OPEN_MS, RUN_MS, DRAW_MS, CHANGE_MS = 90_000, 600_000, 30_000, 5_000
STEPS = 3  # a control has so many steps to change its figure's pixels: two values may look the same
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
)
BROKEN = (
    "Javascript Error",
    "Error displaying widget",
    "Error creating widget",
    "Error rendering widget",
    "Traceback (most recent call last)",
)
SERVER_RACE = "KeyError: 'last_activity'"
"""Jupyter's server lists a kernel that is just being started: its own race, seen on busy machines."""

PANEL_ERROR = ".vnb-error"  # a panel of value_nb shows an error of its callback in an element of this class


@dataclass
class Report:
    """What one visit found: findings (empty when all is well), and for each control its step times."""

    findings: list[str] = field(default_factory=list)
    controls: dict[str, list[float]] = field(default_factory=dict)
    outside: set[str] = field(default_factory=set)

    def add(self, kind: str, text: str) -> None:
        """Note a finding once."""
        line = f"{kind}: {' '.join(text.split())[:300]}"
        if line not in self.findings:
            self.findings.append(line)


def visit(notebook: Path, root: Path, folder: Path, shots: Path) -> Report:
    """Open `notebook` (inside `root`), run all cells, move every control; screenshots go into `shots`."""
    report, before = Report(), notebook.read_bytes()
    shots.mkdir(parents=True, exist_ok=True)
    with opened(notebook, root, folder, report) as page:
        run_all(page, report)
        look(page, report)
        shoot(page, shots / f"{notebook.stem}.png")
        move_all(page, report)
        look(page, report)
        shoot(page, shots / f"{notebook.stem}.moved.png")
    if notebook.read_bytes() != before:
        report.add("file", "the notebook on disk was changed")
    return report


@contextmanager
def opened(notebook: Path, root: Path, folder: Path, report: Report) -> Iterator[Page]:
    """A page of a JupyterLab of its own with `notebook` (inside `root`) open and its kernel ready.

    At the end, what the server logged and who was asked outside are noted in the report.
    """
    with LabServer(root, notebook.relative_to(root), folder) as server:
        with new_page(report) as page:
            page.goto(f"{server.address}/?token={server.token}", timeout=OPEN_MS)
            open_notebook(page, report)
            yield page
        if SERVER_RACE in server.text():
            report.findings = [line for line in report.findings if "/api/kernels?" not in line]
        elif "Traceback (most recent call last)" in server.text():
            report.add("server log", server.text().partition("Traceback")[2])
    for address in sorted(report.outside):
        report.add("outside request", address)


@contextmanager
def new_page(report: Report) -> Iterator[Page]:
    """A browser page that lets nothing reach another machine and notes console errors and dialogs."""
    from playwright.sync_api import sync_playwright

    def gate(route: Route) -> None:
        address = route.request.url
        if re.match(r"(https?|wss?)://127\.0\.0\.1[:/]|data:|blob:|about:", address):
            route.continue_()
        else:
            report.outside.add(address)
            route.abort()

    def console(message: Any) -> None:
        place = message.location.get("url", "")
        if message.type == "error" and place not in report.outside:
            report.add("console error", f"{message.text} @ {place}")

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.find(), args=list(CHROMIUM_FLAGS))
        context = browser.new_context(
            viewport={"width": 1280, "height": 900},
            locale="en-US",
            service_workers="block",
            reduced_motion="reduce",
        )
        context.add_init_script(PAGE_JS)
        context.route("**/*", gate)
        page = context.new_page()
        page.on("console", console)
        page.on("pageerror", lambda error: report.add("page error", str(error)))
        page.on("dialog", lambda dialog: (report.add("dialog", dialog.message), dialog.dismiss()))
        yield page
        browser.close()


def open_notebook(page: Page, report: Report) -> None:
    """Wait for the notebook and for its kernel: cells sent too early would run in no kernel at all."""
    page.wait_for_selector(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-Cell", timeout=OPEN_MS)
    page.wait_for_function("() => window.lab.ready()", timeout=OPEN_MS)
    page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=OPEN_MS)
    for text in page.locator(".jp-Dialog").all_inner_texts():
        report.add("dialog on opening", text)
    for text in page.locator(".Toastify__toast").all_inner_texts():
        report.add("notification on opening", text)


def run_all(page: Page, report: Report) -> None:
    """Run every cell, and note those that failed or did not run."""
    page.set_default_timeout(RUN_MS)
    page.evaluate("() => window.lab.listen()")
    page.evaluate("() => window.lab.runAll()")
    for cell in page.evaluate("() => window.lab.cells()"):
        first = (cell["source"].strip().splitlines() or [""])[0]
        for error in cell["errors"]:
            report.add("cell error", f"{first!r}: {error}")
        if cell["source"].strip() and not cell["count"]:
            report.add("cell not run", repr(first))


def look(page: Page, report: Report) -> None:
    """Wait until everything is drawn, then note every error that a reader can, or cannot, see."""
    from playwright.sync_api import TimeoutError as TooLate

    try:
        page.wait_for_function("() => window.lab.drawn()", timeout=DRAW_MS)
    except TooLate:
        report.add("widgets", "still loading")
    page.wait_for_timeout(500)
    for pattern in BROKEN:
        for text in page.locator(".jp-OutputArea-output").filter(has_text=pattern).all_inner_texts():
            report.add("error shown", text.strip().splitlines()[-1])
    for element in page.locator(PANEL_ERROR).all():
        if element.is_visible() and element.inner_text().strip():
            report.add("error in a panel", element.inner_text())
    for text in page.evaluate("() => window.lab.callbackErrors()"):
        report.add("callback error", text)


def move_all(page: Page, report: Report) -> None:
    """Step every control; they are listed anew each time, because one may bring or take away others."""
    index = 0
    while index < len(controls := page.evaluate("() => window.lab.controls()")):
        control = controls[index]
        if not control["disabled"] and (control["kind"] == "slider" or control["choices"] > 1):
            _move(page, control, report)
        index += 1


def _move(page: Page, control: dict[str, Any], report: Report) -> None:
    """Step one control through up to three values; its figure, where it has one, must change."""
    name = f"{control['kind']} {control['index']} ({control['label'] or 'no label'})"
    handle = page.evaluate_handle("i => window.lab.control(i)", control["index"])
    times: list[float] = []
    for _ in range(STEPS):
        value = page.evaluate("e => window.lab.value(e)", handle)
        if control["figure"]:
            page.evaluate("async e => { window.lab.before = await window.lab.settled(e); }", handle)
            page.evaluate("([e, ms]) => window.lab.watch(e, window.lab.before, ms)", [handle, CHANGE_MS])
        _step(page, handle.as_element(), control["kind"])
        if control["figure"] and (passed := page.evaluate("() => window.lab.passed")) is not None:
            times.append(round(passed, 1))
        page.wait_for_timeout(250)
        if page.evaluate("e => window.lab.value(e)", handle) == value:
            report.add(name, f"does not move from {value}")
            return
    report.controls[name] = times
    if control["figure"] and not times:
        report.add(name, f"its figure did not change in {STEPS} steps")


def _step(page: Page, element: Locator | Any, kind: str) -> None:
    element.scroll_into_view_if_needed(timeout=5000)
    if kind != "slider":
        page.evaluate("e => window.lab.choose(e)", element)
        return
    element.focus()
    last = element.get_attribute("aria-valuenow") == element.get_attribute("aria-valuemax")
    page.keyboard.press("Home" if last else "ArrowRight")


def shoot(page: Page, path: Path) -> None:
    """The whole notebook, as wide as it is: JupyterLab scrolls inside, so the window grows to its end."""
    height = int(page.evaluate("() => window.lab.bottom()")) + 120
    width = int(page.evaluate("() => window.innerWidth"))
    page.set_viewport_size({"width": width, "height": max(900, min(height, 15_000))})
    page.wait_for_timeout(400)
    page.screenshot(path=path)
