"""Every panel of the package has what `Shell` promises, with captions that look like code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.tiny import tiny_examples, tiny_model
from value_nb.data.example import Example
from value_nb.widgets import AttentionPanel, HeadOnPicturePanel, OwnPicture, ReasonPanel
from value_nb.widgets.panel import Panel

EVIL = "<img src=x onerror=alert(1)> $x$ \\frac"


@pytest.fixture(scope="module")
def evil() -> Example:
    example = tiny_examples(1, regions=(3, 3))[0]
    words = tuple(EVIL.split())
    regions = replace(example.regions, names=(EVIL, "$dog$", "<b>")) if example.regions else None
    return replace(example, caption=" ".join(words), words=words, regions=regions, phrases=())


def made(kind: str, evil: Example) -> Panel:
    model = tiny_model("uniter")
    panels: dict[str, Any] = {
        "attention": lambda: AttentionPanel(model, [evil]),
        "head": lambda: HeadOnPicturePanel(model, [evil]),
        "reason": lambda: ReasonPanel(EVIL, EVIL),
        "own": lambda: OwnPicture(caption=EVIL),
    }
    panel: Panel = panels[kind]()
    return panel


@pytest.mark.parametrize("kind", ["attention", "head", "reason", "own"])
def test_data_is_text_in_every_line_and_file(kind: str, evil: Example, tmp_path: Path) -> None:
    panel = made(kind, evil)
    assert "<img" not in panel._text.value and "<b>" not in panel._text.value
    panel._fail(RuntimeError(EVIL))
    assert "<img" not in panel._error.value
    written = panel.save(tmp_path, name="view")
    svg = written[0].read_text(encoding="utf-8")
    assert "<img" not in svg
    if kind in ("attention", "reason"):
        assert "$x$" in svg  # as it is written, not as a formula
    assert written[-1].read_text(encoding="utf-8").startswith(panel.sentence)


def test_the_twin_of_a_figure_panel_is_what_is_on_the_screen(evil: Example) -> None:
    from io import BytesIO

    from PIL import Image, ImageChops

    panel = made("attention", evil)
    content, width, height = panel._twin_picture()
    still, live = (Image.open(BytesIO(png)).convert("RGB") for png in (content, panel._image.value))
    assert still.size == (width, height) and len(content) < len(panel._image.value)
    assert ImageChops.difference(still, live).getbbox() is None
    assert "vnb-picture" in panel._image._dom_classes
