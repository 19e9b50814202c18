"""What all panels share: controls above one picture of fixed size, one callback, errors shown in place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from io import BytesIO
from typing import Any

import numpy as np
from ipywidgets import HTML, HBox, Image, Layout, VBox
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image as PictureOf

from value_nb import style

DPI = 100
"""Pixels of an inch: a panel's figure is shown pixel for pixel."""


class PanelFigure(Figure):
    """A figure made without pyplot that a notebook shows as PNG, whatever its inline settings are."""

    def __init__(self, width: float, height: float) -> None:
        super().__init__(figsize=(width, height), dpi=DPI, facecolor="white")
        FigureCanvasAgg(self)

    def _repr_png_(self) -> bytes:
        return png(self)


class Panel(VBox):
    """Controls, a line of text, and one picture that follows them.

    A subclass fills `controls`, says its size, and draws into a figure in `_draw`. A control's change
    draws once. An exception while drawing is shown in the panel, over the last good picture.

    Parameters
    ----------
    controls
        Name -> widget with a `value`.
    rows
        Names of the controls of each row.
    width, height
        Of the figure, in inches.
    """

    def __init__(
        self,
        controls: Mapping[str, Any],
        rows: Sequence[Sequence[str]],
        width: float,
        height: float,
    ) -> None:
        self.controls = dict(controls)
        self._size = (width, height)
        self._canvas = PanelFigure(width, height)
        self._background: Any = None
        self._drawing = True
        self._image = Image(format="png", layout=_fixed(width * DPI, height * DPI))
        self._text = HTML(layout=Layout(min_height="2.2em", width=f"{width * DPI:.0f}px", max_width="100%"))
        self._error = HTML(layout=Layout(display="none"))
        self._error.add_class("vnb-error")
        lines = [
            HBox([self.controls[name] for name in row], layout=Layout(flex_flow="row wrap")) for row in rows
        ]
        super().__init__([*lines, self._image, self._text, self._error])
        self._redraw()
        for control in self.controls.values():
            control.observe(self._changed, names="value")

    def _draw(self, figure: Figure, fresh: bool) -> str:
        """Draw the present state and return a sentence that says what is seen.

        Parameters
        ----------
        figure
            Where; `fresh` says that it is another one than last time, with nothing in it.
        """
        raise NotImplementedError

    def _moving(self) -> Sequence[Artist]:
        """What changes from draw to draw; the rest is drawn once and kept. Nothing: all is drawn anew."""
        return ()

    def _follow(self, name: str) -> None:
        """Bring other controls in line after one of them has changed; nothing by default."""

    @property
    def figure(self) -> PanelFigure:
        """The picture as it is now, as a figure of its own: to show, to keep, to print."""
        figure = PanelFigure(*self._size)
        with style.styled():
            self._draw(figure, fresh=True)
        return figure

    @property
    def sentence(self) -> str:
        """What the picture shows, in words."""
        return str(self._sentence)

    @property
    def error(self) -> str:
        """The error that is shown; "" when there is none."""
        return str(self._problem)

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Changes of several controls that draw nothing by themselves."""
        before, self._drawing = self._drawing, False
        try:
            yield
        finally:
            self._drawing = before

    def _changed(self, change: Any) -> None:
        """The one callback: align the other controls, then draw once."""
        if not self._drawing:
            return
        try:
            with self._together():
                self._follow(next(name for name, one in self.controls.items() if one is change["owner"]))
            self._redraw()
        except Exception as problem:  # an exception in a callback would be invisible in JupyterLab
            self._complain(f"{type(problem).__name__}: {problem}")

    def _redraw(self) -> None:
        with style.styled():
            self._sentence = self._draw(self._canvas, fresh=False)
            self._image.value = self._frame()
        self._text.value = f"<div style='line-height:1.4'>{escape(self._sentence)}</div>"
        self._complain("")

    def _frame(self) -> bytes:
        """The picture as PNG: what moves, over what stands still."""
        moving, canvas = self._moving(), self._canvas.canvas
        if self._background is None:
            for artist in moving:
                artist.set_animated(True)
            canvas.draw()
            self._background = canvas.copy_from_bbox(self._canvas.bbox)  # type: ignore[attr-defined]
        canvas.restore_region(self._background)  # type: ignore[attr-defined]
        for artist in sorted(moving, key=lambda one: one.get_zorder()):
            artist.draw(canvas.get_renderer())  # type: ignore[attr-defined]
        pixels = PictureOf.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])  # type: ignore[attr-defined]
        buffer = BytesIO()
        pixels.save(buffer, format="png", compress_level=1)
        return buffer.getvalue()

    def _complain(self, problem: str) -> None:
        self._problem = problem
        said = f"<b>This could not be drawn.</b> {escape(problem)}" if problem else ""
        self._error.value = said
        self._error.layout.display = None if problem else "none"


def png(figure: Figure) -> bytes:
    """The figure as PNG, at its own size."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=figure.dpi, bbox_inches=None)
    return buffer.getvalue()


def _fixed(width: float, height: float) -> Layout:
    """A place of fixed size, so that the page does not jump; narrower where the page is."""
    return Layout(width=f"{width:.0f}px", height=f"{height:.0f}px", max_width="100%", object_fit="contain")
