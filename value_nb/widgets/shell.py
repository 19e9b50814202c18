"""What every panel has around its own view: controls, a sentence, errors in place, Save, a static twin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipywidgets import HTML, HBox, Layout, VBox, Widget

from value_nb import __version__
from value_nb.widgets.panel_figure import PanelFigure, png
from value_nb.widgets.reader import Reader
from value_nb.widgets.save_bar import FOLDER, SaveBar
from value_nb.widgets.state import pairs
from value_nb.widgets.twin import Twin

if TYPE_CHECKING:
    import pandas as pd


class Shell(VBox):
    """Controls above a view of one's own; below it a sentence, an error line and a row to save figures.

    How to derive from it. A subclass

    - builds its ipywidgets controls and its `body` (any widget: a picture, an anywidget), sets whatever
      `_redraw` needs, and calls `super().__init__(controls, rows, body)` last: that draws once and from then
      on draws at every change of a control's `value`. Parts of the state that are controls are declared
      with `State` (see `state.py`);
    - writes `_redraw`: bring the body up to date (send the small arrays, draw no matplotlib figure), then
      call `self._shown(sentence)`, which shows the sentence, clears the error line and has the static
      twin follow;
    - writes `figure` (a new `PanelFigure` of the present state: the static twin, `keep` and Save are made
      from it) and `table` (the numbers behind it, or None);
    - writes `_origin`, what a caption says of model and data: "model", "weights", "data", "split", "n",
      "n_images", "seed" as far as they apply (`value_nb.export.describe(result)` gives them);
    - writes `_follow(name)` where one control's choices depend on another's;
    - runs callbacks of its own (messages of an anywidget, buttons) inside `with self._guarded():`, for an
      exception in a callback is invisible in JupyterLab. State that is no control calls `self._redraw()`
      in there.

    Parameters
    ----------
    controls
        Name -> widget with a `value`.
    rows
        Names of the controls of each row; a control that no row names is not shown.
    body
        The view, which lies between the controls and the sentence.
    """

    def __init__(self, controls: Mapping[str, Any], rows: Sequence[Sequence[str]], body: Widget) -> None:
        self.controls = dict(controls)
        self._drawing = True
        self._sentence = self._problem = ""
        self._text = _line("vnb-sentence")
        self._error = _line("vnb-error")
        self._reader, self._save_bar = Reader(), SaveBar(self._save_guarded)
        self._twin = Twin(self, self._twin_picture, lambda: self.sentence, self._fail)
        self._complain("")
        lines = [
            HBox([self.controls[name] for name in row], layout=Layout(flex_flow="row wrap")) for row in rows
        ]
        below = [self._text, self._error, self._save_bar, self._reader]
        super().__init__([*lines, body, *below])
        self.add_class("vnb-panel")
        self._redraw()
        for control in self.controls.values():
            control.observe(self._changed, names="value")

    def _redraw(self) -> None:
        """Bring the body up to date with the state, and end with `self._shown(sentence)`."""
        raise NotImplementedError

    def _follow(self, name: str) -> None:
        """Bring other controls in line after one of them has changed; nothing by default."""

    def _origin(self) -> dict[str, str]:
        """What a caption says of model and data, in words; nothing by default."""
        return {}

    @property
    def figure(self) -> PanelFigure:
        """The present state as a figure of its own: to show, to keep, to print."""
        raise NotImplementedError

    @property
    def table(self) -> pd.DataFrame | None:
        """The numbers behind the figure; None where there are none."""
        return None

    @property
    def sentence(self) -> str:
        """What the panel shows, in words."""
        return str(self._sentence)

    @property
    def error(self) -> str:
        """The error that is shown; "" when there is none."""
        return str(self._problem)

    @property
    def facts(self) -> dict[str, str]:
        """What a caption says: model, data, split, n, seed and so on; the controls; the kit's version."""
        return {**self._origin(), **self.settings, "version": __version__}

    @property
    def settings(self) -> dict[str, str]:
        """What the controls say now, those without effect left out: {"layer": "3", "head": "mean"}."""
        origin, found = self._origin(), {}
        for name, control in self.controls.items():
            if name not in origin and not getattr(control, "disabled", False):
                found[name.replace("_", " ")] = _as_words(control)
        return {name: value for name, value in found.items() if value}

    def save(self, folder: str | Path = FOLDER, name: str | None = None) -> tuple[Path, ...]:
        """Write the figure (SVG, PDF, PNG), its numbers (CSV) and a caption (text).

        Nothing is overwritten: where files of that name exist, "-2", "-3", ... is added to it.

        Parameters
        ----------
        folder
            Where; it is made when it is missing.
        name
            Of the files, without an ending; by default after the panel and its model.

        Returns
        -------
        The files written.

        Raises
        ------
        ValueError
            For a name that is no plain file name.
        OSError
            Where the folder cannot be written.
        """
        from value_nb.saving import plain_name, save_view

        facts = self.facts
        stem = plain_name(type(self).__name__, facts.get("model", "")) if name is None else name
        written = save_view(self.figure, self.table, facts, self.sentence, Path(folder), stem)
        self._save_bar.tell(written)
        return written

    def _ipython_display_(self, **_: Any) -> None:
        self._twin.show()

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Changes of several controls that draw nothing by themselves."""
        before, self._drawing = self._drawing, False
        try:
            yield
        finally:
            self._drawing = before

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Shows an exception in the panel: in a callback it would be invisible in JupyterLab."""
        try:
            yield
        except Exception as problem:
            self._fail(problem)

    def _changed(self, change: Any) -> None:
        """The one callback of controls: align the other controls, then draw once."""
        if not self._drawing:
            return
        with self._guarded():
            with self._together():
                self._follow(next(name for name, one in self.controls.items() if one is change["owner"]))
            self._redraw()

    def _shown(self, sentence: str) -> None:
        """The body is up to date: show its sentence, clear the error, have the twin follow."""
        self._sentence = sentence
        self._text.value = f"<div style='line-height:1.4'>{escape(sentence)}</div>"
        self._reader.said = sentence
        self._complain("")
        self._twin.touch()

    def _fail(self, problem: Exception) -> None:
        self._complain(f"{type(problem).__name__}: {problem}")

    def _complain(self, problem: str, what: str = "This could not be drawn.", advice: str = "") -> None:
        """Show a problem, what it kept from happening and what to do; "" for none."""
        self._problem = problem
        advice = advice or "Choose another value, or run the cell again."
        said = f"<b>{escape(what)}</b> {escape(problem)} <i>{escape(advice)}</i>" if problem else ""
        self._error.value = said
        self._error.layout.display = None if problem else "none"

    def _save_guarded(self, folder: str) -> tuple[Path, ...]:
        """What the button does: a problem is shown and nothing is raised."""
        try:
            written = self.save(folder)
        except Exception as problem:
            said = f"{type(problem).__name__}: {problem}"
            self._complain(said, "Nothing was saved.", "Name a folder that can be written, and try again.")
            return ()
        self._complain("")
        return written

    def _twin_picture(self) -> tuple[bytes, int, int]:
        """The static twin: PNG, width and height in pixels of the page."""
        figure = self.figure
        width, height = figure.get_size_inches() * figure.dpi
        return png(figure), round(width), round(height)


def _line(name: str) -> HTML:
    """A line of text below the view, as wide as the page."""
    line = HTML(layout=Layout(max_width="100%"))
    line.add_class(name)
    return line


def _as_words(control: Any) -> str:
    """The value of a control; "" where it is nothing to read, such as the bytes of a file."""
    value = getattr(control, "value", None)
    if isinstance(value, tuple) and hasattr(control, "options"):
        return ", ".join(label for label, one in pairs(control) if one in value)
    return str(value) if isinstance(value, str | int | float) else ""
