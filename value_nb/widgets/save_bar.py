"""The lowest row of every panel: a folder, a button, and where the files went."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

from ipywidgets import HTML, Button, HBox, Layout, Text

FOLDER = "saved"
"""Where files go unless the reader says otherwise: next to the notebook."""


class SaveBar(HBox):
    """A folder to type, a button "save", and a line that says what was written.

    Parameters
    ----------
    save
        Called with the folder; writes and calls `tell`, or shows in its own way what went wrong and
        returns nothing.
    """

    def __init__(self, save: Callable[[str], Sequence[Path]]) -> None:
        self._save = save
        self.folder = Text(value=FOLDER, description="folder", layout=Layout(width="240px"))
        self.button = Button(
            description="save figure", tooltip="SVG, PDF, PNG, the numbers as CSV, and a caption"
        )
        self.said = HTML()
        self.said.add_class("vnb-saved")
        super().__init__([self.folder, self.button, self.said], layout=Layout(flex_flow="row wrap"))
        self.button.on_click(self._clicked)

    def _clicked(self, _: Button) -> None:
        self.said.value, self.button.disabled = "Saving …", True
        try:
            if not self._save(self.folder.value):
                self.said.value = ""
        finally:
            self.button.disabled = False

    def tell(self, written: Sequence[Path]) -> None:
        """Say which files were written, by their common name."""
        endings = ", ".join(path.suffix[1:].upper() for path in written)
        self.said.value = f"Saved {escape(str(written[0].with_suffix('')))}: {escape(endings)}"
