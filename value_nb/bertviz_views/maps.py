"""The attention maps of a trace as bertviz wants them: every layer and head over one list of names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from value_nb.models.publish import layer_number
from value_nb.trace import JOINT, UNASSIGNED, UNITS

if TYPE_CHECKING:
    from value_nb.trace import Trace

MOST_OF_A_KIND = 48
"""So many words, and so many regions, are drawn; bertviz draws every line of every head."""

MOST_WEIGHTS = 250_000
"""So many numbers go into one page, about 1 MB; beyond, layers are left out."""

KINDS = {
    "word": {"text": "words", "image": "regions"},
    "position": {"text": "positions of the text", "image": "positions of the picture"},
}


@dataclass(frozen=True, slots=True)
class Maps:
    """The maps of one direction.

    Attributes
    ----------
    weights
        `(layer, head, query, key)` float64 in [0, 1]: raw attention, a row of a part of a softmax sums to
        less than one.
    layers
        1-based number of each layer.
    queries, keys
        What looks, and what is looked at: words and regions, or positions.
    direction, stack
        "joint" or "query->key", and the stack of layers.
    cut
        What was left out, in words; "" when nothing was.
    """

    weights: np.ndarray
    layers: tuple[int, ...]
    queries: tuple[str, ...]
    keys: tuple[str, ...]
    direction: str
    stack: str
    cut: str = ""

    def __post_init__(self) -> None:
        expected = (len(self.layers), len(self.queries), len(self.keys))
        shape = self.weights.shape
        if len(shape) != 4 or (shape[0], *shape[2:]) != expected:
            raise ValueError(
                f"weights have the shape {shape}; expected (layer, head, query, key) of one example with "
                f"{expected[0]} layers, {expected[1]} queries and {expected[2]} keys"
            )
        if not all(shape):
            raise ValueError(f"weights have the shape {shape}; there is nothing to draw")
        if not (np.isfinite(self.weights).all() and self.weights.min() >= 0):
            raise ValueError("weights are not all finite and at least 0: these are no attention weights")

    @property
    def square(self) -> bool:
        """What looks is what is looked at, name by name."""
        return self.queries == self.keys

    @property
    def frame(self) -> pd.DataFrame:
        """One row for each weight: stack, layer, head, direction, query, key and their indices, weight."""
        layer, head, query, key = (axis.ravel() for axis in np.indices(self.weights.shape))
        return pd.DataFrame(
            {
                "stack": self.stack,
                "layer": np.array(self.layers)[layer],
                "head": head,
                "direction": self.direction,
                "query": np.array(self.queries, dtype=object)[query],
                "key": np.array(self.keys, dtype=object)[key],
                "query_index": query,
                "key_index": key,
                "weight": self.weights.ravel(),
            }
        )


def maps_of(
    trace: Trace,
    direction: str | None = None,
    stack: str | None = None,
    unit: str = "word",
    layers: Sequence[int] | None = None,
) -> Maps:
    """Collect the maps that a view shows.

    Parameters
    ----------
    direction
        None: "joint" where words and regions share one softmax, else "text->text".
    stack, unit
        See `Trace.attention`; what goes to specials is left out for words, and stays for positions.
    layers
        1-based, negatives from the end; None: all.

    Raises
    ------
    ValueError
        For a direction, stack, unit or layer that there is not; it lists those there are.
    """
    direction = direction or (JOINT if trace.joint else "text->text")
    if unit not in UNITS:
        raise ValueError(f"unit is {unit!r}; valid: {', '.join(map(repr, UNITS))}")
    home = _stack(trace, direction, stack)
    numbers = _layers(trace, home, layers)
    frames = _heads(trace, direction, home, numbers[0], unit)
    rows, columns, said = _kept(trace, direction, unit, frames[0])
    room = max(1, MOST_WEIGHTS // (len(frames) * len(rows) * len(columns)))
    if room < len(numbers):
        left = ", ".join(map(str, numbers[room:]))
        said.append(f"layers {left} are left out; choose others with layers=")
    shown = numbers[:room]
    first = frames[0].iloc[rows, columns]
    weights = [
        [frame.iloc[rows, columns].to_numpy(float) for frame in _heads(trace, direction, home, layer, unit)]
        for layer in shown
    ]
    queries, keys = (tuple(map(str, labels)) for labels in (first.index, first.columns))
    return Maps(np.array(weights), shown, queries, keys, direction, home, "; ".join(said))


def _stack(trace: Trace, direction: str, stack: str | None) -> str:
    """The stack that `Trace.attention` takes the direction from."""
    known = {name: (*names, JOINT) if trace.joint else names for name, names in trace.directions.items()}
    having = [name for name, names in known.items() if direction in names]
    if not having:
        possible = ", ".join(map(repr, dict.fromkeys(one for names in known.values() for one in names)))
        raise ValueError(f"{trace.model} has no direction {direction!r}; it has: {possible}")
    if stack is not None and stack not in having:
        raise ValueError(f"stack is {stack!r}; {direction!r} is in {', '.join(map(repr, having))}")
    if stack is not None:
        return stack
    return having[0] if len(having) == 1 else "cross"


def _layers(trace: Trace, stack: str, layers: Sequence[int] | None) -> tuple[int, ...]:
    """1-based numbers, each once, in order."""
    wanted = range(1, trace.stacks[stack] + 1) if layers is None else layers
    numbers = sorted({layer_number(trace.stacks, stack, layer) for layer in wanted} - {0})
    if not numbers:
        raise ValueError(f"layers is {layers!r}; expected some of 1 to {trace.stacks[stack]}")
    return tuple(numbers)


def _heads(trace: Trace, direction: str, stack: str, layer: int, unit: str) -> list[pd.DataFrame]:
    """One labelled matrix for each head."""
    blocks = trace.maps[stack, layer]
    counts = [_heads_of(trace, name, blocks[name]) for name in blocks if direction in (JOINT, name)]
    heads = range(counts[0] if counts else 1)  # a map that is not there raises in `attention`
    frames = [trace.attention(direction, layer, head, stack, unit) for head in heads]
    return [frame.drop(columns=UNASSIGNED) if unit == "word" else frame for frame in frames]


def _heads_of(trace: Trace, direction: str, block: np.ndarray) -> int:
    """How many heads a block has; ValueError where it is no `(head, query, key)` of this one example."""
    query, key = direction.split("->")
    expected = (len(trace.streams[query].tokens), len(trace.streams[key].tokens))
    if block.ndim != 3 or block.shape[1:] != expected:
        raise ValueError(
            f"the map of {direction!r} has the shape {block.shape}; expected (head, {expected[0]}, "
            f"{expected[1]}): one example, without a batch axis"
        )
    return len(block)


def _kept(
    trace: Trace, direction: str, unit: str, frame: pd.DataFrame
) -> tuple[list[int], list[int], list[str]]:
    """Rows and columns that are drawn, and what of each kind is not."""
    sides = ("text->image" if direction == JOINT else direction).split("->")
    said: list[str] = []
    places: dict[str, list[int]] = {}
    for stream in dict.fromkeys(sides):
        names = trace.streams[stream].labels if unit == "word" else trace.streams[stream].tokens
        places[stream] = list(range(min(len(names), MOST_OF_A_KIND)))
        if len(names) > MOST_OF_A_KIND:
            said.append(f"only the first {MOST_OF_A_KIND} of {len(names)} {KINDS[unit][stream]} are shown")
    if direction != JOINT:
        return places[sides[0]], places[sides[1]], said
    text = len(trace.streams["text"].labels if unit == "word" else trace.streams["text"].tokens)
    both = [*places["text"], *(text + place for place in places["image"])]
    return both, both, said
