"""A chosen head drawn on the picture: a word's attention on the regions, and a region's on the words."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from ipywidgets import Dropdown, IntSlider, Layout, SelectionSlider

from value_nb import coreference_heads as reading
from value_nb import quality_gate, style
from value_nb.data.grid_boxes import regions_note
from value_nb.probes.mentions import mentions
from value_nb.reasons import draw_reason
from value_nb.widgets import picture
from value_nb.widgets.attention import View, first_linked, linked_regions, look, say_note, say_strongest
from value_nb.widgets.shaded_words import ShadedWords
from value_nb.widgets.state import State
from value_nb.widgets.tinted import TintedRegions
from value_nb.widgets.traced import TracedPanel, places

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from value_nb.data.example import Example
    from value_nb.models.base import VLModel
    from value_nb.result import Result

NOTE_LINE = 62  # characters of a line under the words
SIZE = (8.4, 4.1)  # inches
PICTURE, WORDS, REASON = (0.005, 0.05, 0.47, 0.76), (0.5, 0.27, 0.495, 0.54), (0.06, 0.1, 0.88, 0.7)
FROM_WORD = {
    "text->image": "orange: what “{}” gives to regions",
    "image->text": "orange: what regions give to “{}”",
}
OF_REGION = {"text->image": "blue: what words give to {}", "image->text": "blue: what {} gives to words"}
SAID = {"text->image": "words look at regions", "image->text": "regions look at words"}


class HeadOnPicturePanel(TracedPanel):
    """One head of one example: the picture as a word has it, and the caption as a region has it.

    Left: regions tinted orange by the attention between them and the chosen word, the three strongest with
    their numbers; dashed green is what the annotation links to the word's phrase, the chosen region has a
    blue frame. Right: words shaded blue by the attention between them and the chosen region, with the
    weight below; green lines mark words of phrases that the annotation links to the region, the chosen
    word has an orange frame. `direction` says who looks: words at regions, or regions at words. Weights
    are raw, so in a single-stream model a row also gives to what is not shown.

    For a model without attention between text and image the panel says so.

    Parameters
    ----------
    model, data
        A model and examples with regions, for instance those of the test split.
    result
        Of `CoreferenceAttention` for this model: start at its best head, of all types, in the direction.
    direction, layer, head, example
        To start with; by default "text->image", the best head of `result` (without one the last layer and
        head 0), and the first example.

    Attributes
    ----------
    example
        Index of the example in `data`.
    direction
        "text->image" or "image->text".
    layer
        1-based.
    head
        0-based.
    word, region
        Index of the chosen word and region.

    Raises
    ------
    ValueError
        For data without pictures, a result of another probe or model, or a value that is not among the
        choices.
    """

    example = State("Index of the example in the data.")
    direction = State("Who looks: 'text->image' (words at regions) or 'image->text'.")
    layer = State("1-based layer.")
    head = State("0-based head.")
    word = State("Index of the chosen word.")
    region = State("Index of the chosen region.")

    def __init__(
        self,
        model: VLModel,
        data: Sequence[Example],
        result: Result | None = None,
        direction: str | None = None,
        layer: int | None = None,
        head: int | None = None,
        example: int = 0,
    ) -> None:
        self._take(model, data)
        self._axes: _Axes | None = None
        self._drawn: int | None = None
        self.reason = _reason(model, result)
        self.controls = {
            "example": IntSlider(max=len(data) - 1, description="example"),
            "direction": Dropdown(options=["text->image"], description="direction"),
            "layer": IntSlider(min=1, max=1, description="layer"),
            "head": SelectionSlider(options=[0], description="head"),
            "word": Dropdown(options=[("", 0)], description="word", layout=Layout(width="230px")),
            "region": Dropdown(options=[("", 0)], description="region", layout=Layout(width="230px")),
        }
        if self.reason:
            for control in self.controls.values():
                control.disabled = True
        else:
            self._begin(result, direction, layer, head, example)
        rows = (("example", "word", "region"), ("direction", "layer", "head"))
        super().__init__(self.controls, rows, *SIZE)

    def _begin(
        self, result: Result | None, direction: str | None, layer: int | None, head: int | None, example: int
    ) -> None:
        """Offer what the model and the example have, and go to where the panel starts."""
        across = {name: place for name, place in places(self.model).items() if place[1] in reading.DIRECTIONS}
        self._places = across
        self._traces.trace(example)
        self.controls["direction"].options = list(across)
        self.example = example
        self.direction = next(iter(across)) if direction is None else direction
        self._fit_layers(mean=False)
        best = None if result is None else reading.best_head(result, direction=self.place[1])
        where = (self.controls["layer"].max, 0) if best is None else best[1:]
        self.layer = where[0] if layer is None else layer
        self.head = where[1] if head is None else head
        self._fit_example()

    @property
    def table(self) -> pd.DataFrame:
        """The map: words as rows, regions as columns, whichever looks; the reason where there is none."""
        if self.reason:
            return pd.DataFrame({"not defined": [self.reason]})
        return self._view().matrix

    def _follow(self, name: str) -> None:
        if name == "direction":
            self._fit_layers(mean=False)
        if name == "example":
            self._fit_example()

    def _fit_example(self) -> None:
        """Words and regions of this example; it starts at a noun that a region shows, and that region."""
        streams = self.trace.streams
        self.controls["word"].options = [(f"{i} {w}", i) for i, w in enumerate(streams["text"].labels)]
        self.controls["region"].options = [(label, i) for i, label in enumerate(streams["image"].labels)]
        word = first_linked(self.trace.example)
        self.controls["word"].value = word
        self.controls["region"].value = min(linked_regions(self.trace.example, word), default=0)

    def _view(self) -> View:
        return look(self.trace, self.place, self.layer, self.head, self.word)

    def _draw(self, figure: Figure, fresh: bool) -> str:
        if self.reason:
            figure.clear()
            draw_reason(figure.add_axes(REASON), "A head drawn on the picture", self.reason)
            return f"There is nothing to draw for {self.model.name}: {self.reason}."
        view, example = self._view(), self.trace.example
        axes = None if fresh or self._drawn != int(self.example) else self._axes
        if axes is None:
            figure.clear()
            axes = _Axes(figure, example)
            if not fresh:
                self._axes, self._drawn, self._background = axes, int(self.example), None
        axes.update(view, self.place[1], int(self.word), int(self.region), self._heading())
        return self._say(view)

    def _moving(self) -> Sequence[Artist]:
        return () if self._axes is None else self._axes.moving

    def _heading(self) -> str:
        line = f"{self.trace.named}. {self._title()}, {self.place[1]} ({SAID[self.place[1]]})"
        gate = self._gate().partition(":")[0]
        return f"{line}; {gate}" if gate else line

    def _gate(self) -> str:
        """What a quality card or a sanity gate holds against the model, with its number; else ""."""
        gate = quality_gate.of_model(self.model)
        return quality_gate.short({"gate_met": self.model.gate_met, "gate": gate})

    def _say(self, view: View) -> str:
        """The strongest partner of the word, and of the region."""
        column = view.matrix.to_numpy(float)[:, self.region]
        words, region = view.matrix.index, view.matrix.columns[self.region]
        top = int(column.argmax())
        linked = linked_words(self.trace.example, self.region)
        gold = "The annotation links no phrase to this region."
        if linked:
            gold = f"The annotation links {'that' if top in linked else 'another'} word to it."
        who = f"“{region}” gives most to “{words[top]}”"
        if self.place[1] == "text->image":
            who = f"the word that gives most to “{region}” is “{words[top]}”"
        first = say_strongest(view, self.place[1], int(self.word), self._title())
        said = f"{first} {self._hit(view)} And {who} ({column[top]:.3f}). {gold}"
        gate = f" ({self._gate()})" if self._gate() else ""
        return f"{said}{say_note(self.trace.example)}{gate}"

    def _hit(self, view: View) -> str:
        """What the annotation says of the region that is strongest for the word."""
        best = int(view.matrix.to_numpy(float)[self.word].argmax())
        found = [m for p, m in mentions(self.trace.example, 0) if self.word in p.words]
        if not found:
            return "The annotation links no region to this word."
        if any(best in mention.linked for mention in found):
            return "The annotation links that region to the word: a hit."
        if any(best in mention.overlapping for mention in found):
            return "That region overlaps the annotated one by half or more, which counts as a hit, too."
        return "The annotation links another region to the word: no hit."


class _Axes:
    """What the panel draws into: made once for an example, then changed in place."""

    def __init__(self, figure: Figure, example: Example) -> None:
        self.example = example
        self.left, self.right = figure.add_axes(PICTURE), figure.add_axes(WORDS)
        self.regions = TintedRegions(self.left, example)
        self.words = ShadedWords(self.right, example.words)
        self.frame = picture.rectangle(np.zeros(4), edgecolor=style.OURS, linewidth=4.5, zorder=3.5)
        self.left.add_patch(self.frame)
        self.heading = figure.text(0.005, 0.975, "", fontsize=10.5, va="top")
        self.titles = [
            figure.text(x, 0.89, "", fontsize=9.5, va="top", color=colour)
            for x, colour in ((0.005, style.PAPER), (0.5, style.OURS))
        ]
        self.note = figure.text(0.5, 0.235, "", fontsize=8.5, va="top", color="#404040", linespacing=1.5)

    @property
    def moving(self) -> list[Artist]:
        """What `update` changes."""
        texts = [self.heading, *self.titles, self.note]
        return [*self.regions.moving, *self.words.moving, self.frame, *texts]

    def update(self, view: View, direction: str, word: int, region: int, heading: str) -> None:
        """Show other numbers at the same places."""
        values, names = view.matrix.to_numpy(float), view.matrix
        linked, of_region = linked_regions(self.example, word), linked_words(self.example, region)
        strongest = self.regions.update(values[word], linked)
        self.words.update(values[:, region], word, of_region)
        self.frame.set_bounds(*self.regions.boxes[region])
        self.heading.set_text(heading)
        self.titles[0].set_text(FROM_WORD[direction].format(names.index[word]))
        self.titles[1].set_text(OF_REGION[direction].format(names.columns[region]))
        top = (
            ", ".join(f"{names.columns[i]} {values[word, i]:.3f}".replace(" ", "\u00a0") for i in strongest)
            or "none"
        )
        marks = "orange frame: the chosen word; blue frame: the chosen region"
        gold = (
            "green, dashed: linked by the annotation" if linked or of_region else "nothing is annotated here"
        )
        lines = [*textwrap.wrap(f"strongest regions: {top}", NOTE_LINE), marks, gold]
        self.note.set_text("\n".join([*lines, *filter(None, [regions_note(self.example)])]))


def linked_words(example: Example, region: int) -> set[int]:
    """The words of all phrases that the annotation links to a region."""
    return {word for phrase in example.phrases if region in phrase.regions for word in phrase.words}


def _reason(model: VLModel, result: Result | None) -> str:
    """Why there is nothing to draw, "" when there is; checks that the result is of this model."""
    if result is not None:
        why = reading.nothing(result)
        if result.meta["model"] != model.name:
            raise ValueError(f"a result of {result.meta['model']!r} came with the model {model.name!r}")
        if result.reason is not None:
            return why
    across = any(set(names) & set(reading.DIRECTIONS) for names in model.directions.values())
    stacks = ", ".join(model.stacks)
    return "" if across else f"{model.name} has no attention between text and image (stacks: {stacks})"
