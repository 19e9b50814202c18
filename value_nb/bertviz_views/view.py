"""bertviz's head view and model view of a trace: they work without a network, and leave a picture behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from value_nb.bertviz_views import twin
from value_nb.bertviz_views.maps import Maps, maps_of
from value_nb.bertviz_views.offline import offline
from value_nb.widgets.panel_figure import PanelFigure

if TYPE_CHECKING:
    import pandas as pd

    from value_nb.trace import Trace

HEAD_LINE, HEAD_TOP = 22.5, 75  # pixels: bertviz's rows, and what stands above and below them
MODEL_LINE, MODEL_TOP = 7.0, 60  # pixels of a row of one head, for HEADS_ACROSS or more heads
DETAIL_LINE, DETAIL_TOP = 18, 90  # pixels: the one head that a click shows
MODEL_MOST = 700  # pixels: beyond, the model view scrolls
HEADS_ACROSS = 12  # bertviz makes heads taller where there are fewer: for small models far too tall
LETTER, HEAD_ROOM = 9, 110  # pixels: a letter, and bertviz's room for a name on the left
MODEL_NAME = 11  # letters of a name that fit into the model view
TWIN = (
    "<style>.jp-OutputArea-child:has(.vnb-bertviz > iframe) + .jp-OutputArea-child:has(img) "
    "{ display: none }</style>"
)
"""Hides the static twin, the output behind the view, for as long as the view itself is there."""


@dataclass(frozen=True)
class BertvizView:
    """A view of bertviz in a notebook, and its static twin.

    A notebook shows two outputs: the view, and behind it a picture that is hidden while the view is alive.
    Where scripts do not run (GitHub, a notebook that is not trusted) the picture is what is seen.

    Attributes
    ----------
    html
        The view: one element that needs no network.
    maps
        What it shows.
    layer
        1-based layer that the static twin shows; None: all of them.
    heads
        0-based heads that are shown at first.
    sentence
        What is shown, in words, with what was left out.
    """

    html: str
    maps: Maps
    layer: int | None
    heads: tuple[int, ...]
    sentence: str

    @property
    def figure(self) -> PanelFigure:
        """The static twin: heads as matrices."""
        if self.layer is None:
            return twin.grid_figure(self.maps)
        return twin.heads_figure(self.maps, self.layer, self.heads)

    @property
    def table(self) -> pd.DataFrame:
        """The weights of the static twin, one a row: layer, head, query, key, weight."""
        frame = self.maps.frame
        if self.layer is None:
            return frame
        kept = (frame["layer"] == self.layer) & frame["head"].isin(self.heads)
        return frame[kept].reset_index(drop=True)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """The view and its picture as one output, for whoever asks for one."""
        return {"text/plain": self.sentence, "text/html": self.html, "image/png": twin.small_png(self.figure)}

    def _ipython_display_(self) -> None:
        """Two outputs: JupyterLab would not look at a picture that stands behind HTML in the same one."""
        from IPython.display import display

        display({"text/plain": self.sentence, "text/html": TWIN + self.html}, raw=True)
        display({"text/plain": self.sentence, "image/png": twin.small_png(self.figure)}, raw=True)

    def __repr__(self) -> str:
        return f"BertvizView({self.sentence!r})"


def head_view(
    trace: Trace,
    direction: str | None = None,
    *,
    stack: str | None = None,
    unit: str = "word",
    layer: int | None = None,
    heads: Sequence[int] | None = None,
    layers: Sequence[int] | None = None,
) -> BertvizView:
    """bertviz's head view: names on both sides, a line for each weight, a colour for each head.

    Left looks, right is looked at. Choose a layer; a click on a coloured box takes a head away, a double
    click leaves it alone; point at a name to see its lines only.

    Parameters
    ----------
    direction
        "joint" (words and regions in one list), "text->text", "text->image" and so on; by default "joint"
        for a single-stream model, else "text->text". Two sides may hold different things: for two streams
        "text->image" is what bertviz calls cross attention.
    stack
        As in `Trace.attention`.
    unit
        "word" (words and regions; specials are left out) or "position" (pieces of words, and specials).
    layer
        To start with, 1-based; negatives count from the end; by default the last.
    heads
        To start with, 0-based; by default all.
    layers
        Those that can be chosen; by default all, as far as they fit.

    Raises
    ------
    ValueError
        For anything that the trace does not have; it lists what it has.
    """
    from bertviz import head_view as draw

    maps = maps_of(trace, direction, stack, unit, layers)
    first = _first_layer(trace, maps, layer)
    shown = _shown_heads(maps, heads)
    html = draw(**_arguments(maps), layer=first, heads=list(shown), html_action="return").data
    height = HEAD_TOP + HEAD_LINE * max(len(maps.queries), len(maps.keys))
    left = max(0, LETTER * max(map(len, maps.queries)) - HEAD_ROOM)
    sentence = _say(trace, maps, f"layer {first} at first")
    return BertvizView(offline(html, round(height), sentence, left), maps, first, shown, sentence)


def model_view(
    trace: Trace,
    direction: str | None = None,
    *,
    stack: str | None = None,
    unit: str = "word",
    layers: Sequence[int] | None = None,
) -> BertvizView:
    """bertviz's model view: every head of every layer at once; a click shows one of them with its names.

    Parameters
    ----------
    direction, stack, unit, layers
        As in `head_view`.

    Raises
    ------
    ValueError
        For anything that the trace does not have; it lists what it has.
    """
    from bertviz import model_view as draw

    maps = maps_of(trace, direction, stack, unit, layers)
    html = draw(**_arguments(maps, MODEL_NAME), display_mode="light", html_action="return").data
    sentence = _say(trace, maps, "every layer and head")
    count = maps.weights.shape[1]
    page = offline(html, _model_height(maps), sentence, total_heads=max(HEADS_ACROSS, count))
    return BertvizView(page, maps, None, tuple(range(count)), sentence)


def _model_height(maps: Maps) -> int:
    """Pixels: all layers under one another, or the one head that a click shows, and never too tall."""
    layers, heads = maps.weights.shape[:2]
    rows = max(len(maps.queries), len(maps.keys))
    line = MODEL_LINE * HEADS_ACROSS / max(HEADS_ACROSS, heads)
    return round(
        min(MODEL_MOST, max(layers * (rows * line + 10) + MODEL_TOP, rows * DETAIL_LINE + DETAIL_TOP))
    )


def _arguments(maps: Maps, letters: int | None = None) -> dict[str, Any]:
    """What bertviz's functions take.

    Parameters
    ----------
    letters
        Longer names are cut to so many; None: none is.
    """
    import torch

    weights = torch.from_numpy(maps.weights)[:, None]
    # bertviz names a layer by its place in this list: one more in front makes them count from 1
    most = max(maps.layers)
    places = dict(zip(maps.layers, weights, strict=True))
    attention = [places.get(number, weights[0]) for number in range(most + 1)]
    names = {"include_layers": list(maps.layers)}
    queries, keys = ([twin.short(name, letters) for name in side] for side in (maps.queries, maps.keys))
    if maps.square:
        return {"attention": attention, "tokens": queries, **names}
    sides = {"decoder_tokens": queries, "encoder_tokens": keys}
    return {"cross_attention": attention, **sides, **names}


def _first_layer(trace: Trace, maps: Maps, layer: int | None) -> int:
    number = maps.layers[-1] if layer is None else layer
    number = number + trace.stacks[maps.stack] + 1 if number < 0 else number
    if number not in maps.layers:
        raise ValueError(f"layer={layer!r}; expected one of {', '.join(map(str, maps.layers))}")
    return number


def _shown_heads(maps: Maps, heads: Sequence[int] | None) -> tuple[int, ...]:
    count = maps.weights.shape[1]
    chosen = tuple(range(count)) if heads is None else tuple(sorted(set(heads)))
    if not chosen or any(isinstance(head, bool) or head not in range(count) for head in chosen):
        raise ValueError(f"heads={heads!r}; expected some of 0 to {count - 1}")
    return chosen


def _say(trace: Trace, maps: Maps, what: str) -> str:
    """What the view shows, of whom, and what it leaves out."""
    sizes = f"{len(maps.queries)} look, {len(maps.keys)} are looked at"
    cut = f" {maps.cut[0].upper()}{maps.cut[1:]}." if maps.cut else ""
    return f"{trace.named}, example {trace.example.id}: {twin.heading(maps)}, {what} ({sizes}).{cut}"
