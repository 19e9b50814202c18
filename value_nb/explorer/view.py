"""The live view of the explorer: an anywidget that shows what Python says, and tells what a person chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import numpy as np
import traitlets

from value_nb import style
from value_nb.widgets.esm import script

if TYPE_CHECKING:
    from matplotlib.colors import Normalize

    from value_nb.explorer.measures import HeadMap
    from value_nb.explorer.selection import Partners, Selection

HERE = Path(__file__).parent
DIVERGING = "vlag"


class ExplorerView(anywidget.AnyWidget):
    """Picture, caption and map of heads.

    Elements have stable classes: vnb-ex-word and vnb-ex-region (`data-index`, `data-weight`), vnb-ex-cell
    (`data-layer`, `data-head`), each with `aria-pressed`; vnb-ex-special (`data-weight`), which cannot be
    chosen; panes (`vnb-ex-pane`) hold `data-pane`.

    What a person chooses comes as a message: {"select": [kind, index]}, {"select": null}, or {"cell":
    [layer, head], "add": true}.

    Attributes
    ----------
    scene
        See `value_nb.explorer.scene`; sent when the example changes.
    heads
        The map: title, reason, layers, heads, values, colours, the ends of its scale.
    panes
        One for what is chosen, and one for what is pinned: title, weights of words and regions.
    state
        The selection, the chosen heads, and which weights are shown.
    """

    _esm = script(HERE / "explorer.js")
    _css = HERE / "explorer.css"

    scene = traitlets.Dict().tag(sync=True)
    heads = traitlets.Dict().tag(sync=True)
    panes: Any = traitlets.List().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)


def head_map_message(found: HeadMap, stack: str) -> dict[str, Any]:
    """A map for `ExplorerView.heads`; a value that is not there is None."""
    if found.table is None:
        return {"title": found.title, "reason": found.reason, "stack": stack, "values": [], "colours": []}
    values = found.table.to_numpy(float)
    norm, name = scale(found)
    return {
        "title": found.title,
        "reason": "",
        "stack": stack,
        "layers": [int(layer) for layer in found.table.columns],
        "heads": [int(head) for head in found.table.index],
        "values": [[round(v, 4) if np.isfinite(v) else None for v in row] for row in values.tolist()],
        "colours": _colours(values, norm, name),
        "low": float(norm.vmin or 0.0),
        "high": float(norm.vmax or 0.0),
        "ramp": _colours(np.linspace(float(norm.vmin or 0), float(norm.vmax or 0), 9)[None], norm, name)[0],
    }


def scale(found: HeadMap) -> tuple[Normalize, str]:
    """Colours of a map: from 0 upwards, or both ways around a meaningful zero."""
    from matplotlib.colors import Normalize

    values = np.zeros((1, 1)) if found.table is None else found.table.to_numpy(float)
    top = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 1.0
    top = top or 1.0
    return (Normalize(-top, top), DIVERGING) if found.zero else (Normalize(0.0, top), style.SEQUENTIAL)


def pane_message(
    title: str, found: Mapping[str, Partners], specials: Sequence[Partners] = ()
) -> dict[str, Any]:
    """The weights of one head, for `ExplorerView.panes`; `specials` are pairs of token and weight."""
    pairs = [[*pair] for one in specials for pair in zip(one.labels, _weights(one), strict=True)]
    return {"title": title, **{kind: _weights(one) for kind, one in found.items()}, "specials": pairs}


def state_message(
    selection: Selection | None, layer: int, heads: Sequence[int], threshold: float, gives: bool, links: bool
) -> dict[str, Any]:
    """The present choices, for `ExplorerView.state`."""
    return {
        "kind": None if selection is None else selection.kind,
        "index": None if selection is None else selection.index,
        "layer": layer,
        "heads": list(heads),
        "threshold": threshold,
        "gives": gives,
        "links": links,
    }


def _weights(one: Partners) -> list[float]:
    """Five decimals are enough for a label and keep the message small."""
    return [round(weight, 5) for weight in one.weights.tolist()]


def _colours(values: np.ndarray, norm: Normalize, name: str) -> list[list[str]]:
    import matplotlib as mpl
    import seaborn  # noqa: F401  # brings its colour maps
    from matplotlib.colors import to_hex

    from value_nb.headmap import MISSING

    paint = mpl.colormaps[name]
    return [[to_hex(paint(norm(v))) if np.isfinite(v) else MISSING for v in row] for row in values]
