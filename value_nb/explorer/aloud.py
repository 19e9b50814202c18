"""What the explorer shows, in words and as rows of a table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from value_nb.explorer.pane import Links, Pane
from value_nb.explorer.pinned import Pinned
from value_nb.explorer.selection import Partners, Selection

COLUMNS = (
    "model", "layer", "head", "direction", "selection", "gives", "kind", "index", "label", "weight", "even",
    "linked",
)  # fmt: skip


def where(place: Pinned, several: bool) -> str:
    """ "mini-uniter, layer 3, head 2"; with the stack where there are several."""
    stack = f" of the {place.stack} stack" if several else ""
    return f"{place.model}, layer {place.layer}{stack}, {heads(place)}"


def heads(place: Pinned) -> str:
    """ "head 2", "mean over heads 1, 2", "mean over heads"."""
    if isinstance(place.head, tuple):
        return f"mean over heads {', '.join(map(str, place.head))}"
    return "mean over heads" if place.head == "mean" else f"head {place.head}"


def title(place: Pinned, selection: Selection | None, gives: bool, several: bool) -> str:
    """Where, and what is shown there."""
    if selection is None:
        return f"{where(place, several)}: choose a word or a region"
    return f"{where(place, several)}: what “{selection.label}” {'gives' if gives else 'receives'}"


def say(shown: Pane, selection: Selection | None, links: Links) -> str:
    """The strongest partner of each kind, beside an even spread, and what the annotation says of it."""
    if selection is None:
        return f"{shown.title}."
    if not shown.partners:
        return f"{shown.title}. In this stack a {selection.kind} takes no part; choose another direction."
    return f"{shown.title}. " + " ".join(
        _strongest(one, links) for one in (*shown.partners.values(), *shown.specials)
    )


def _strongest(found: Partners, links: Links) -> str:
    best = int(found.weights.argmax())
    weight, even = found.weights[best], found.even[best]
    said = f"Strongest {found.kind}: “{found.labels[best]}” {weight:.3f} (evenly spread: {even:.3f})"
    if found.kind == "region" and links.regions:
        said += f", {_beside_links(best, links)}"
    return f"{said}."


def _beside_links(region: int, links: Links) -> str:
    """Whether the annotation agrees."""
    if region in links.regions:
        return "linked by the annotation"
    if region in links.near:
        return "which overlaps a region that the annotation links by half or more"
    return "another one than the annotation links"


def weight_rows(shown: Pane, selection: Selection | None, gives: bool, links: Links) -> pd.DataFrame:
    """One row for each partner, strongest first."""
    if selection is None:
        return pd.DataFrame(columns=list(COLUMNS))
    parts = [
        _rows(shown.where, one, selection, gives, links)
        for one in (*shown.partners.values(), *shown.specials)
    ]
    if not parts:
        return pd.DataFrame(columns=list(COLUMNS))
    found = pd.concat(parts, ignore_index=True)
    return found.sort_values("weight", ascending=False, kind="stable", ignore_index=True)


def _rows(place: Pinned, found: Partners, selection: Selection, gives: bool, links: Links) -> pd.DataFrame:
    linked = {"word": links.words, "region": links.regions}.get(found.kind, frozenset())
    n = np.arange(len(found.labels))
    values = {
        "model": place.model,
        "layer": place.layer,
        "head": str(place.head),
        "direction": found.direction,
        "selection": f"{selection.kind} {selection.index} {selection.label}",
        "gives": gives,
        "kind": found.kind,
        "index": n,
        "label": list(found.labels),
        "weight": found.weights,
        "even": found.even,
        "linked": [int(i) in linked for i in n],
    }
    return pd.DataFrame(values, columns=list(COLUMNS))
