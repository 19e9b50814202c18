"""A figure of a panel: of its own, outside pyplot, shown pixel for pixel."""

from __future__ import annotations

from io import BytesIO

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DPI = 100
"""Pixels of an inch: a panel's figure is shown pixel for pixel."""


class PanelFigure(Figure):
    """A figure made without pyplot that a notebook shows as PNG, whatever its inline settings are."""

    def __init__(self, width: float, height: float) -> None:
        super().__init__(figsize=(width, height), dpi=DPI, facecolor="white")
        FigureCanvasAgg(self)

    def _repr_png_(self) -> bytes:
        return png(self)


def png(figure: Figure) -> bytes:
    """The figure as PNG, at its own size."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=figure.dpi, bbox_inches=None)
    return buffer.getvalue()
