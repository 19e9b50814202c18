"""The live view of a flow: an anywidget that draws what Python chose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from value_nb.flow.lines import Lines, partners
from value_nb.flow.scene import Scene, Side
from value_nb.widgets.esm import script

HERE = Path(__file__).parent
SIDES = ("left", "right")
HINT = (
    "Point at a word or picture, or go to it with Tab and arrow keys, to see its lines and numbers; "
    "a click keeps them."
)


class FlowView(anywidget.AnyWidget):
    """Two sides of items with lines between them.

    Elements have stable classes: vnb-flow-word and vnb-flow-region (`data-index`), vnb-flow-line
    (`data-index` by strength, `data-weight`, `data-left`, `data-right`, `data-head`).

    Attributes
    ----------
    scene
        {"left": ..., "right": ...}: kind, labels, heading, pictured, tiled, columns. Sent when items change.
    thumbs
        Data URLs of regions or patches, in their order; sent once for an example.
    lines
        What is drawn, the strongest partner of each item, names and colours of the heads.
    pinned
        ["left" or "right", index] of the item whose lines are kept, or [].
    """

    _esm = script(HERE / "flow.js")
    _css = HERE / "flow.css"

    scene = traitlets.Dict().tag(sync=True)
    thumbs = traitlets.List(traitlets.Unicode()).tag(sync=True)
    lines = traitlets.Dict().tag(sync=True)
    pinned: Any = traitlets.List().tag(sync=True)

    @traitlets.validate("pinned")
    def _check_pinned(self, proposal: Any) -> list[Any]:
        """An item that is there, else nothing: the browser may be one example behind."""
        value = list(proposal["value"])
        known = len(value) == 2 and value[0] in SIDES and self.scene
        return value if known and value[1] in range(len(self.scene[value[0]]["labels"])) else []


def scene_message(scene: Scene) -> dict[str, Any]:
    """The items of both sides, for `FlowView.scene`."""
    return {name: _side(side) for name, side in zip(SIDES, (scene.left, scene.right), strict=True)}


def lines_message(scene: Scene, lines: Lines, colours: Sequence[str], note: str) -> dict[str, Any]:
    """The lines that are drawn, for `FlowView.lines`; numbers of four decimals keep it small."""
    return {
        "head": lines.head.tolist(),
        "left": lines.left.tolist(),
        "right": lines.right.tolist(),
        "weight": [round(weight, 4) for weight in lines.weight.tolist()],
        "top": float(lines.weight.max(initial=0.0)),
        "heads": list(scene.heads),
        "colours": list(colours),
        "best": {
            side: [[one.item, one.head, round(one.weight, 4)] for one in partners(scene.weights, side)]
            for side in SIDES
        },
        "note": note,
        "hint": HINT,
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "kind": side.kind,
        "labels": list(side.labels),
        "heading": side.heading,
        "pictured": side.pictured,
        "tiled": side.tiled,
        "columns": side.columns,
    }
