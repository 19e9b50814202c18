"""Sets of heads of one size: those pointed at in order of rank, and random ones from the same layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from value_nb import seeds
from value_nb.ablation import Head

if TYPE_CHECKING:
    from value_nb.models.base import VLModel

QUARTER = 4  # sets hold up to a quarter of all heads


@dataclass(frozen=True, slots=True)
class RandomHeads:
    """Random heads, one for each of some others.

    Attributes
    ----------
    heads
        In the order of those that they stand for, so that the first k stand for the first k.
    moved
        For each how many layers away from its own it was found: 0 in the same layer.
    """

    heads: tuple[Head, ...]
    moved: tuple[int, ...]

    def said(self, size: int) -> str:
        """Where the first `size` are from, in words."""
        same = sum(not away for away in self.moved[:size])
        if same == size:
            return "all from the same layers"
        return f"{same} of {size} from the same layers, {size - same} from adjacent ones"


def all_heads(model: VLModel, direction: str | None = None) -> tuple[Head, ...]:
    """Every head of a model, or every head that has a block of one direction, in order.

    Raises
    ------
    ValueError
        For a direction that the model does not have, and without one where the blocks of a stack differ in
        heads (ViLBERT's cross layers).
    """
    there = {stack for stack, names in model.directions.items() if direction is None or direction in names}
    if not there:
        known = dict.fromkeys(name for names in model.directions.values() for name in names)
        raise ValueError(f"direction={direction!r}; {model.name} has {', '.join(map(repr, known)) or 'none'}")
    return tuple(
        (stack, layer, head)
        for stack, layers in model.stacks.items()
        if stack in there
        for layer in range(1, layers + 1)
        for head in range(model.heads(stack, direction))
    )


def default_sizes(most: int) -> tuple[int, ...]:
    """0, 1, 2, 4, ... up to `most`."""
    sizes = [0]
    while (step := 2 ** (len(sizes) - 1)) <= most:
        sizes.append(step)
    return tuple(sizes)


def random_heads(among: Sequence[Head], pointed: Sequence[Head], draw: int, seed: int) -> RandomHeads:
    """For each head that is pointed at another one of its layer, or else of the nearest layer that has one.

    No head is taken twice and none that is pointed at. Of equally near ones the draw decides.

    Parameters
    ----------
    among
        All heads of the model.
    pointed
        Those that random ones stand beside, in order of rank.
    draw, seed
        Which draw; another number gives other heads.

    Raises
    ------
    ValueError
        When there are not as many heads left as are pointed at.
    """
    free = [head for head in among if head not in set(pointed)]
    if len(free) < len(pointed):
        raise ValueError(
            f"{len(pointed)} of {len(among)} heads are pointed at; {len(free)} random ones are left"
        )
    luck = {
        head: float(seeds.uniforms(f"{draw}/{head}", seed, 1, purpose="random heads")[0]) for head in free
    }
    chosen: list[Head] = []
    moved: list[int] = []
    for stack, layer, _ in pointed:
        taken = min(free, key=lambda h: (h[0] != stack, abs(h[1] - layer), luck[h]))
        free.remove(taken)
        chosen.append(taken)
        moved.append(abs(taken[1] - layer) if taken[0] == stack else len(among))
    return RandomHeads(tuple(chosen), tuple(moved))
