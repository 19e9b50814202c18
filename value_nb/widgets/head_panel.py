"""What panels of head-wise results share: a map of heads with a chosen cell, or why there is no number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from ipywidgets import Dropdown

from value_nb import style
from value_nb.export import describe
from value_nb.reasons import draw_reason, nothing
from value_nb.widgets.by_model import Given, by_model
from value_nb.widgets.panel import Panel, PanelFigure
from value_nb.widgets.picture import rectangle
from value_nb.widgets.state import State

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    from value_nb.result import Result

WIDTH, HEIGHT = 8.4, 4.3  # inches
KEPT = 16  # scenes that are kept as they were drawn
NUMBERED = 8  # up to so many layers the cells carry their numbers
MAP, SCALE = (0.055, 0.13, 0.37, 0.68), (0.433, 0.13, 0.012, 0.68)
REASON = (0.06, 0.1, 0.88, 0.7)


class Marks(Protocol):
    """What moves over the picture that stands still."""

    @property
    def moving(self) -> list[Artist]:
        """What changes from draw to draw."""
        ...


class HeadPanel(Panel):
    """A panel of results in which one head of one layer is chosen; what stands still is drawn once.

    A subclass names its probe, hands its controls over, and fills in what raises here.

    Parameters
    ----------
    results
        A result of the probe, what `sweep` returned, or a list of results (one for each model).
    controls
        Name -> widget, without that of the model.
    rows
        Names of the controls of each row; with several models theirs comes first.

    Attributes
    ----------
    model
        Name of the model shown.

    Raises
    ------
    ValueError
        For a result of another probe, or no result.
    """

    probe: ClassVar[str]
    swept: ClassVar[str]
    """What a cell types to sweep the probe."""
    empty: ClassVar[str]
    """What to say of a result that is defined and yet without rows."""

    model = State("Name of the model shown.")

    def __init__(self, results: Given, controls: Mapping[str, Any], rows: Sequence[Sequence[str]]) -> None:
        self._results = by_model(results, self.probe, self.swept)
        self._drawn: tuple[Any, ...] | None = None
        self._marks: Any = None
        self._scenes: dict[tuple[Any, ...], tuple[Any, Any, Any]] = {}
        names = list(self._results)
        self.controls = {"model": Dropdown(options=names, description="model"), **controls}
        self._fit()
        first = ("model", *rows[0]) if len(names) > 1 else rows[0]
        super().__init__(self.controls, (first, *rows[1:]), width=WIDTH, height=HEIGHT)

    @property
    def result(self) -> Result:
        """The result that is shown."""
        return self._results[self.model]

    @property
    def reason(self) -> str:
        """Why there is no number for this model; "" when there is."""
        return nothing(self.result, self.probe, self.empty)

    def _origin(self) -> dict[str, str]:
        return describe(self.result)

    @property
    def _state(self) -> tuple[Any, ...]:
        """What the picture that stands still depends on, besides the model."""
        raise NotImplementedError

    def _fit_choices(self) -> None:
        """Offer what a result with numbers has."""
        raise NotImplementedError

    def _heading(self) -> str:
        """What stands above the reason."""
        raise NotImplementedError

    def _scene(self, figure: Figure) -> Any:
        """Draw what stands still and return the marks."""
        raise NotImplementedError

    def _place(self, marks: Any) -> None:
        """Put the marks at what is chosen."""
        raise NotImplementedError

    def _say(self) -> str:
        """The chosen number in a sentence."""
        raise NotImplementedError

    def _fit(self) -> None:
        """Offer what this result has; without a number there is nothing to choose."""
        there = not self.reason
        for name, control in self.controls.items():
            if name != "model":
                control.disabled = not there
        if there:
            self._fit_choices()

    def _draw(self, figure: Figure, fresh: bool) -> str:
        why = self.reason
        if fresh:
            marks = self._still(figure, why)
        else:
            self._turn_to((self.model,) if why else (self.model, *self._state), why)
            marks = self._marks
        if marks is None:
            return f"There is no number for {self.model}: {why}."
        self._place(marks)
        return self._say()

    def _still(self, figure: Figure, why: str) -> Any:
        """Draw what stands still, or the reason; returns the marks, or None."""
        if not why:
            return self._scene(figure)
        draw_reason(figure.add_axes(REASON), self._heading(), why)
        return None

    def _turn_to(self, scene: tuple[Any, ...], why: str) -> None:
        """Go to another scene; one that was drawn before is taken up with its figure and background."""
        if scene == self._drawn:
            return
        if self._drawn is not None:
            self._scenes[self._drawn] = (self._canvas, self._marks, self._background)
        while len(self._scenes) > KEPT:
            self._scenes.pop(next(iter(self._scenes)))
        self._drawn = None  # should drawing fail, the next one begins anew
        canvas, marks, background = self._scenes.pop(scene, (None, None, None))
        if canvas is None:
            canvas = PanelFigure(*self._size)
            marks = self._still(canvas, why)
        self._canvas, self._marks, self._background, self._drawn = canvas, marks, background, scene

    def _moving(self) -> Sequence[Artist]:
        return () if self._marks is None else self._marks.moving


def cell_frame(cells: Axes) -> Rectangle:
    """A frame to put around cells of a map of heads, with `frame_cells`."""
    frame = {"edgecolor": style.PAPER, "linewidth": 2.4, "zorder": 5, "clip_on": False}
    patch: Rectangle = rectangle(np.array([0.0, 0.0, 1.0, 1.0]), **frame)
    cells.add_patch(patch)
    return patch


def frame_cells(frame: Rectangle, layer: int, first: int, last: int) -> None:
    """Put the frame around the heads from `first` to `last` of a layer."""
    frame.set_bounds(layer - 0.5, first - 0.5, 1, last - first + 1)
