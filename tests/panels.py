"""What tests of panels share: the picture as pixels, and a list of the panels that draw."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from value_nb.widgets.panel import Panel


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
