"""What all panels of figures share: one picture of fixed size below the controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from ipywidgets import Image, Layout
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from PIL import Image as PictureOf

from value_nb import style
from value_nb.widgets.panel_figure import DPI, PanelFigure, png
from value_nb.widgets.shell import Shell

__all__ = ["DPI", "Panel", "PanelFigure", "png"]


class Panel(Shell):
    """Controls, and one picture that follows them; the rest is `Shell`'s.

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
        self._size = (width, height)
        self._canvas = PanelFigure(width, height)
        self._background: Any = None
        self._image = _place(round(width * DPI), round(height * DPI))
        super().__init__(controls, rows, self._image)

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

    @property
    def figure(self) -> PanelFigure:
        """The picture as it is now, as a figure of its own: to show, to keep, to print."""
        figure = PanelFigure(*self._size)
        with style.styled():
            self._draw(figure, fresh=True)
        return figure

    def _redraw(self) -> None:
        with style.styled():
            sentence = self._draw(self._canvas, fresh=False)
            self._image.value = self._frame()
        self._shown(sentence)

    def _twin_picture(self) -> tuple[bytes, int, int]:
        """The picture that is shown, packed tighter: nothing has to be drawn for the static twin."""
        width, height = (round(inches * DPI) for inches in self._size)
        with PictureOf.open(BytesIO(self._image.value)) as picture:
            return _packed(picture, 6), width, height

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
        return _packed(pixels, 1)


def _packed(picture: Any, level: int) -> bytes:
    """PNG; level 1 is quick and 9 is small."""
    buffer = BytesIO()
    picture.save(buffer, format="png", compress_level=level)
    return buffer.getvalue()


def _place(width: int, height: int) -> Image:
    """A picture whose place has its final shape before it is drawn; narrower where the page is."""
    layout = Layout(width=f"{width}px", height="auto", max_width="100%")
    image = Image(format="png", width=str(width), height=str(height), layout=layout)
    image.add_class("vnb-picture")
    return image
