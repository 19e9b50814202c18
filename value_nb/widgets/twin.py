"""The static twin of a panel: a picture in the cell's output, for readers who have no running kernel."""

from __future__ import annotations

import asyncio
import uuid
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ipywidgets import Widget

WAIT = 2.0
"""Seconds after the last change until the picture is brought up to date."""

LIVE = "vnb-live"
"""Class of a panel that has a twin right below it; `shell.css` hides the twin while the panel is there."""

WIDGET, PNG = "application/vnd.jupyter.widget-view+json", "image/png"


class Twin:
    """Shows a widget, and below it a picture that stays in the notebook file.

    JupyterLab, nbconvert and GitHub show the picture wherever the widget is not alive: after reopening
    without a kernel, in a notebook that is not trusted, on a page without JavaScript. While the widget is
    alive the picture is hidden. After a change the picture waits until nothing has changed for `WAIT`
    seconds, so that it costs nothing between a key and its pixels; a change made by a cell is in the picture
    when the cell ends. Where neither a cell nor an event loop runs, it is brought up to date by the next one.

    Parameters
    ----------
    widget
        What is shown.
    picture
        Draws the present state: PNG bytes, and width and height in pixels of the page.
    said
        What the picture shows, in words: its alternative text.
    guard
        Called with the problem when drawing fails in the background.
    """

    def __init__(
        self,
        widget: Widget,
        picture: Callable[[], tuple[bytes, int, int]],
        said: Callable[[], str],
        guard: Callable[[Exception], None],
    ) -> None:
        self._widget, self._picture, self._said, self._guard = widget, picture, said, guard
        self._id = f"vnb-{uuid.uuid4().hex}"
        self._shown = self._stale = False
        self._timer: asyncio.TimerHandle | None = None

    def show(self) -> None:
        """Two outputs of the running cell: the widget's view, and the picture under a display id."""
        from IPython.display import display

        self._widget.add_class(LIVE)
        name = type(self._widget).__name__
        view = {"version_major": 2, "version_minor": 0, "model_id": self._widget.model_id}
        display({"text/plain": f"{name}: run the cell to move its controls.", WIDGET: view}, raw=True)
        bundle, about = self._bundle()
        display(bundle, metadata=about, raw=True, display_id=self._id)
        self._shown, self._stale = True, False
        _at_end_of_cell(self)

    def touch(self) -> None:
        """The state has changed: bring the picture up to date soon."""
        if not self._shown:
            return
        self._stale = True
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_later(WAIT, self.update)

    def update(self) -> None:
        """Bring the picture up to date now, if it is not."""
        from IPython.display import update_display

        if not self._stale:
            return
        self._stale = False
        if self._timer is not None:
            self._timer.cancel()
        try:
            bundle, about = self._bundle()
            update_display(bundle, metadata=about, raw=True, display_id=self._id)
        except Exception as problem:  # nobody waits for this call: it would be lost
            self._guard(problem)

    def _bundle(self) -> tuple[dict[str, Any], dict[str, Any]]:
        import base64

        content, width, height = self._picture()
        said = self._said()
        data = {PNG: base64.b64encode(content).decode(), "text/plain": said}
        return data, {PNG: {"width": width, "height": height, "alt": said}}


_shown: weakref.WeakSet[Twin] = weakref.WeakSet()
_listening: set[int] = set()


def _at_end_of_cell(twin: Twin) -> None:
    """Have a twin brought up to date at the end of every cell that changed it."""
    from IPython import get_ipython

    _shown.add(twin)
    shell = get_ipython()
    if shell is not None and id(shell) not in _listening:
        _listening.add(id(shell))
        shell.events.register("post_run_cell", _update_all)


def _update_all(*_: Any) -> None:
    for twin in list(_shown):
        twin.update()
