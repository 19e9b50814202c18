"""What every panel has around its view: sentence, errors in place, Save, and a static twin that follows."""

from __future__ import annotations

import asyncio
import base64
import weakref
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from ipywidgets import HTML, IntSlider, SelectMultiple, Text
from PIL import Image

from value_nb.widgets import twin
from value_nb.widgets.panel_figure import PanelFigure
from value_nb.widgets.save_bar import SaveBar
from value_nb.widgets.shell import Shell
from value_nb.widgets.state import State

EVIL = "<img src=x onerror=alert(1)> and $x$"


class Small(Shell):
    """The least that a panel is: one number, said and drawn."""

    layer = State("A layer.")

    def __init__(self) -> None:
        self.drawn = 0
        controls = {
            "layer": IntSlider(value=1, max=9),
            "words": SelectMultiple(options=[("one", 1), ("two", 2), ("three", 3)], value=(1, 3)),
            "note": Text("", disabled=True),
        }
        super().__init__(controls, (("layer",),), HTML())

    def _redraw(self) -> None:
        if self.layer == 9:
            raise RuntimeError(EVIL)
        self.drawn += 1
        self._shown(f"Layer {self.layer}: {EVIL}")

    def _origin(self) -> dict[str, str]:
        return {"model": "mini-x", "n": "1"}

    @property
    def figure(self) -> PanelFigure:
        made = PanelFigure(1.0 + self.layer / 10, 0.5)
        made.text(0, 0, str(self.layer))
        return made

    @property
    def table(self) -> pd.DataFrame:
        return pd.DataFrame({"layer": [self.layer]})


Shown = list[tuple[str, dict[str, Any], dict[str, Any], str | None]]


@pytest.fixture(autouse=True)
def no_other_twins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Panels of other tests may still be waiting for the end of a cell."""
    monkeypatch.setattr(twin, "_shown", weakref.WeakSet())


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """What is displayed, in order: how, the bundle, its metadata, its display id."""
    seen: Shown = []

    def note(how: str) -> Callable[..., None]:
        def call(data: Any, metadata: Any = None, raw: bool = False, display_id: str | None = None) -> None:
            assert raw
            seen.append((how, data, metadata or {}, display_id))

        return call

    monkeypatch.setattr("IPython.display.display", note("new"))
    monkeypatch.setattr("IPython.display.update_display", note("again"))
    return seen


def size(bundle: dict[str, Any]) -> tuple[int, int]:
    return Image.open(BytesIO(base64.b64decode(bundle["image/png"]))).size


def test_a_change_draws_once_and_says_its_sentence_escaped() -> None:
    panel = Small()
    panel.layer = 3
    assert panel.drawn == 2
    assert panel.sentence == panel._reader.said == f"Layer 3: {EVIL}"
    assert "Layer 3: &lt;img src=x onerror=alert(1)&gt;" in panel._text.value
    assert "<img" not in panel._text.value


def test_an_error_is_shown_escaped_with_what_to_do_until_it_is_gone() -> None:
    panel = Small()
    panel.layer = 9
    assert panel.error == f"RuntimeError: {EVIL}"
    shown = panel._error
    assert "&lt;img" in shown.value and "<img" not in shown.value
    assert "Choose another value, or run the cell again." in shown.value
    assert shown.layout.display is None and "vnb-error" in shown._dom_classes
    assert panel.sentence.startswith("Layer 1")
    panel.layer = 2
    assert (panel.error, shown.value, shown.layout.display) == ("", "", "none")


def test_a_callback_of_ones_own_is_guarded() -> None:
    panel = Small()
    with panel._guarded():
        raise KeyError("region 7")
    assert panel.error == "KeyError: 'region 7'"


def test_facts_are_origin_controls_and_version() -> None:
    panel = Small()
    facts = panel.facts
    assert {**facts, "version": ""} == {
        "model": "mini-x",
        "n": "1",
        "layer": "1",
        "words": "one, three",
        "version": "",
    }
    assert panel.settings == {"layer": "1", "words": "one, three"}


# --- the static twin ---


def test_the_twin_is_the_output_below_the_widget(shown: Shown) -> None:
    panel = Small()
    panel._ipython_display_()
    (_, view, _, _), (how, picture, about, display_id) = shown
    assert view["application/vnd.jupyter.widget-view+json"]["model_id"] == panel.model_id
    assert view["text/plain"] == "Small: run the cell to move its controls."
    assert "image/png" not in view and "text/html" not in picture
    assert how == "new" and display_id
    assert picture["text/plain"] == panel.sentence
    assert about == {"image/png": {"width": 110, "height": 50, "alt": panel.sentence}}
    assert size(picture) == (110, 50)
    assert twin.LIVE in panel._dom_classes


def test_the_style_sheet_hides_exactly_that_output() -> None:
    from value_nb.widgets.reader import HERE

    style = (HERE / "shell.css").read_text(encoding="utf-8")
    assert f".{twin.LIVE}" in style and "+ .jp-OutputArea-child:has(> .jp-RenderedImage)" in style
    assert "url(" not in style and "@import" not in style


class Clock:
    """An event loop in which time stands still: what is called later, and whether that was taken back."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []

    def call_later(self, delay: float, call: Callable[[], None]) -> Any:
        handle = SimpleNamespace(delay=delay, call=call, off=False)
        handle.cancel = lambda: setattr(handle, "off", True)
        self.waiting.append(handle)
        return handle


def test_the_twin_follows_once_after_the_last_change(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: clock)
    panel = Small()
    panel._ipython_display_()
    for layer in (2, 3, 4):
        panel.layer = layer
    assert len(shown) == 2  # nothing is drawn between a key and its pixels
    assert [(one.delay, one.off) for one in clock.waiting] == [
        (twin.WAIT, True),
        (twin.WAIT, True),
        (twin.WAIT, False),
    ]
    clock.waiting[-1].call()
    (how, picture, _, display_id) = shown[2]
    assert len(shown) == 3 and how == "again" and display_id == shown[1][3]
    assert size(picture) == (140, 50)


def test_the_twin_follows_on_a_real_loop(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twin, "WAIT", 0.01)
    panel = Small()

    async def move() -> None:
        panel._ipython_display_()
        panel.layer = 2
        while len(shown) < 3:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(move(), 60))
    assert size(shown[-1][1]) == (120, 50)


def test_a_change_made_by_a_cell_is_there_when_the_cell_ends(shown: Shown) -> None:
    panel = Small()
    panel._ipython_display_()
    panel.layer = 5
    twin._update_all()
    twin._update_all()
    assert [how for how, *_ in shown] == ["new", "new", "again"]
    assert size(shown[-1][1]) == (150, 50)


def test_a_panel_that_was_never_shown_leaves_nothing(shown: Shown) -> None:
    panel = Small()
    panel.layer = 5
    twin._update_all()
    assert shown == []


def test_a_twin_that_cannot_be_drawn_says_so(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = Small()
    panel._ipython_display_()
    monkeypatch.setattr(Small, "figure", property(lambda self: 1 / 0))
    panel.layer = 2
    twin._update_all()
    assert panel.error == "ZeroDivisionError: division by zero"


# --- save ---


def test_save_writes_what_is_shown(tmp_path: Path) -> None:
    panel = Small()
    panel.layer = 4
    written = panel.save(tmp_path / EVIL.replace("/", ""))
    assert [path.name for path in written] == [
        f"small-mini-x.{e}" for e in ("svg", "pdf", "png", "csv", "txt")
    ]
    caption = written[-1].read_text()
    for line in (panel.sentence, "model: mini-x", "n: 1", "layer: 4", "version: "):
        assert line in caption
    said = panel._save_bar.said.value
    assert said.startswith("Saved ") and "small-mini-x: SVG, PDF, PNG, CSV, TXT" in said
    assert "<img" not in said and "&lt;img" in said
    assert panel.save(written[0].parent, name="mine")[0].name == "mine.svg"


def test_the_button_saves_into_the_folder_that_is_typed(tmp_path: Path) -> None:
    panel = Small()
    panel._save_bar.folder.value = str(tmp_path / "x")
    panel._save_bar.button.click()
    assert len(list((tmp_path / "x").iterdir())) == 5
    assert "small-mini-x" in panel._save_bar.said.value and not panel._save_bar.button.disabled


def test_what_keeps_a_save_from_happening_is_shown(tmp_path: Path) -> None:
    panel = Small()
    (tmp_path / "file").touch()
    panel._save_bar.folder.value = str(tmp_path / "file")
    panel._save_bar.button.click()
    assert panel.error.startswith(("FileExistsError", "NotADirectoryError"))
    assert "Nothing was saved." in panel._error.value and "Name a folder" in panel._error.value
    assert panel._save_bar.said.value == ""
    with pytest.raises(OSError, match="file"):
        panel.save(tmp_path / "file")
    panel._save_bar.folder.value = str(tmp_path)
    panel._save_bar.button.click()
    assert panel.error == ""


def test_a_save_bar_says_that_it_is_saving() -> None:
    seen: list[tuple[str, bool]] = []

    def save(folder: str) -> tuple[Path, ...]:
        seen.append((bar.said.value, bar.button.disabled))
        return ()

    bar = SaveBar(save)
    bar.button.click()
    assert seen == [("Saving …", True)]
    assert (bar.said.value, bar.button.disabled) == ("", False)
