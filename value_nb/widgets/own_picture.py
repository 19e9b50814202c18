"""A picture and a sentence of the reader's own, chosen in the notebook: an Example for the cells below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipywidgets import BoundedIntText, Button, FileUpload, HBox, Layout, Text

from value_nb.data.grid_boxes import MOST, regions_note
from value_nb.data.own_picture import Given, own_picture
from value_nb.export import describe_example
from value_nb.widgets import picture as drawing
from value_nb.widgets.panel import Panel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from value_nb.data.example import Example

SIZE = (8.4, 4.0)  # inches
PICTURE, NOTE = (0.005, 0.03, 0.6, 0.94), (0.63, 0.9)
LINE = 34  # characters beside the picture
EMPTY = "Choose a picture, write a sentence about it, and press “use”."


class OwnPicture(Panel):
    """Choose a picture file, write a caption, press "use"; then `panel.example` is ready.

    What is wrong with a picture or a sentence stands in the panel, and the last good example stays.

    Parameters
    ----------
    caption
        Sentence to start with.
    picture
        Path or content of a picture to start with; used at once where a caption came as well.
    regions
        As in `own_picture`, for the picture that is chosen; None: the boxes of a grid.
    grid
        (rows, columns) of the grid to start with.

    Attributes
    ----------
    example
        The Example made at the last press of "use"; None before.

    Raises
    ------
    ValueError
        For a picture, caption or grid to start with that `own_picture` refuses.
    """

    children: Any

    def __init__(
        self,
        caption: str = "",
        picture: str | bytes | Any = None,
        regions: Given | None = None,
        grid: tuple[int, int] = (4, 4),
    ) -> None:
        self._example: Example | None = None
        self._start, self._regions = picture, regions
        if picture is not None and caption:
            self._example = own_picture(picture, caption, regions, grid=grid)
        self.use = Button(
            description="use", button_style="primary", tooltip="make an example of picture and sentence"
        )
        size = {"min": 1, "max": MOST, "layout": Layout(width="150px")}
        controls = {
            "picture": FileUpload(accept="image/*", multiple=False, description="picture"),
            "caption": Text(
                value=caption, description="caption", continuous_update=False, layout=Layout(width="480px")
            ),
            "rows": BoundedIntText(value=grid[0], description="grid rows", **size),
            "columns": BoundedIntText(value=grid[1], description="columns", **size),
        }
        super().__init__(controls, (("picture", "caption"), ("rows", "columns")), *SIZE)
        second = self.children[1]
        self.children = (self.children[0], HBox([*second.children, self.use]), *self.children[2:])
        self.use.on_click(self._use)

    @property
    def example(self) -> Example | None:
        """What the cells below use; None until "use" was pressed with a picture and a caption."""
        return self._example

    def _origin(self) -> dict[str, str]:
        return {} if self._example is None else describe_example(self._example)

    def _use(self, _: Any = None) -> None:
        """Make the example; what is wrong is shown, for an exception in a callback would be invisible."""
        with self._guarded():
            self._example = own_picture(
                self._chosen(),
                self.controls["caption"].value,
                self._regions,
                grid=(self.controls["rows"].value, self.controls["columns"].value),
            )
            self._redraw()

    def _chosen(self) -> Any:
        """Content of the file that was uploaded last, or what the panel started with."""
        uploaded = self.controls["picture"].value
        if uploaded:
            return bytes(uploaded[-1]["content"])
        if self._start is None:
            raise ValueError("no picture was chosen; press “picture” and choose a file")
        return self._start

    def _changed(self, change: Any) -> None:
        """Nothing is made before "use" is pressed."""
        if self._example is not None:
            self._text.value = "Changed: press “use” to make an example of it."

    def _draw(self, figure: Figure, fresh: bool) -> str:
        figure.clear()
        self._background = None
        if self._example is None:
            figure.text(0.5, 0.5, EMPTY, ha="center", va="center", fontsize=11, color="#505050")
            return EMPTY
        axes = figure.add_axes(PICTURE)
        drawing.show_picture(axes, self._example)
        drawing.draw_all(axes, self._example)
        figure.text(*NOTE, drawing.wrapped(self._example.caption, LINE), fontsize=11, va="top")
        note = regions_note(self._example)
        if note:
            figure.text(NOTE[0], 0.12, drawing.wrapped(note, LINE), fontsize=9, va="top", color="#404040")
        width, height = self._example.size or (0, 0)
        return (
            f"{width} x {height} pixels, {len(self._example.words)} words, "
            f"{len(self._example.regions or ())} regions{f' ({note})' if note else ''}: ready as `.example`."
        )
