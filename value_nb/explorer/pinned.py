"""A second head, of the same model or of another one, that stands beside the chosen one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from value_nb.widgets.traces import Heads

if TYPE_CHECKING:
    from value_nb.widgets.traces import Source


@dataclass(frozen=True, slots=True)
class Pinned:
    """What is pinned.

    Attributes
    ----------
    model
        Its name, with its weights where they are not trained: "mini-uniter (random:0)".
    layer, head
        1-based; 0-based, several, or "mean".
    stack, direction
        Where they count.
    """

    model: str
    layer: int
    head: Heads
    stack: str
    direction: str


def place_for(source: Source, direction: str, wanted: str | None = None) -> tuple[str, str]:
    """(stack, direction) of a model for a direction: the wanted stack, else the one across, else the first.

    Raises
    ------
    ValueError
        Where the model has no such direction; the message lists those it has.
    """
    having = [stack for stack, names in source.directions.items() if direction in names]
    if not having:
        there = sorted({name for names in source.directions.values() for name in names})
        raise ValueError(f"the model to pin has no {direction!r}; it has: {', '.join(there)}")
    best = [stack for stack in (wanted, "cross", "joint") if stack in having]
    return (best or having)[0], direction


def check_place(source: Source, place: tuple[str, str], layer: Any, head: Heads) -> None:
    """ValueError for a layer or head that the model does not have there."""
    stack, direction = place
    layers, heads = source.stacks[stack], source.heads(stack, direction)
    if isinstance(layer, bool) or layer not in range(1, layers + 1):
        raise ValueError(f"layer={layer!r}; expected a whole number from 1 to {layers} ({stack} stack)")
    listed = head if isinstance(head, tuple) else (head,)
    if not listed or any(one != "mean" and one not in range(heads) for one in listed):
        raise ValueError(f"head={head!r}; expected 0 to {heads - 1}, several of them, or 'mean'")
