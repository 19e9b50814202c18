"""What a panel hands to screen readers, and the style sheet of all panels: an invisible widget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets

HERE = Path(__file__).parent


class Reader(anywidget.AnyWidget):
    """Lies in a panel unseen: gives its picture an alternative text, and has changed lines announced.

    Attributes
    ----------
    said
        The panel's sentence, as plain text.
    """

    _esm: Any = HERE / "reader.js"
    _css: Any = HERE / "shell.css"
    said = traitlets.Unicode("").tag(sync=True)
