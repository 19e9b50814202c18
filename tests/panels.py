"""What tests of panels share: the picture as pixels, who draws, and what every panel has to do."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from value_nb.widgets.panel import Panel, png


def pixels(panel: Panel) -> np.ndarray:
    """`(row, column, colour)` of what a panel shows."""
    return np.asarray(Image.open(BytesIO(panel._image.value)).convert("RGB"), dtype=int)


def spy_on_draws(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The class of every panel that draws, from here on."""
    seen: list[str] = []
    original = Panel._redraw

    def spy(panel: Panel) -> None:
        seen.append(type(panel).__name__)
        original(panel)

    monkeypatch.setattr(Panel, "_redraw", spy)
    return seen


def check_drawn_as_anew(panel: Panel) -> None:
    """What is drawn over a kept background is what a fresh figure shows, but for the rim of letters."""
    fresh = np.asarray(Image.open(BytesIO(png(panel.figure))).convert("RGB"), dtype=int)
    assert (np.abs(fresh - pixels(panel)).max(axis=-1) > 40).mean() < 0.002


def check_refused(panel: Panel, draws: list[str], name: str, value: Any, words: str) -> None:
    """A value that is not offered raises with those that are, changes nothing and draws nothing."""
    before = getattr(panel, name)
    with pytest.raises(ValueError, match="expected") as raised:
        setattr(panel, name, value)
    assert words in str(raised.value)
    assert (getattr(panel, name), draws) == (before, [])


def check_error_shown(
    panel: Panel,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    cause: Callable[[], None],
    cure: Callable[[], None],
) -> None:
    """An exception in `target` shows in the panel, escaped, over the last good picture, until it is gone."""

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("<b>no</b> map")

    good = panel._image.value
    with monkeypatch.context() as patch:
        patch.setattr(target, broken)
        cause()
        assert panel.error == "RuntimeError: <b>no</b> map"
        shown = panel._error
        assert "&lt;b&gt;no&lt;/b&gt; map" in shown.value and "vnb-error" in shown._dom_classes
        assert shown.layout.display is None
        assert panel._image.value == good
    cure()
    assert (panel.error, shown.value, shown.layout.display) == ("", "", "none")
