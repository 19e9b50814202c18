"""From sublayers to published layers: what a probe hears, and which sublayers a head mask means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from value_nb.layout import LayerBatch, Layout
from value_nb.models.gates import DIRECTIONS, Gates, Place, query_of

OnLayer = Callable[[LayerBatch], None]
LayerHeadMask = Mapping[tuple[str, int] | tuple[str, int, str], Tensor]
"""(stack, layer) or (stack, layer, direction) -> `(head,)` factors."""


@dataclass(frozen=True, slots=True)
class Block:
    """One block of attention of one published layer.

    Attributes
    ----------
    stack, layer, direction
        Where it stands.
    step
        0, 1, ... where a published layer has the direction more than once (several self-attention layers
        behind one co-attention; no released model has that), else 0.
    """

    stack: str
    layer: int
    direction: str
    step: int = 0


OnContext = Callable[[Block, Tensor], Tensor]
"""Hears what the heads of a block bring, `(example, head, query, width)`; what it returns goes on instead."""


class Publisher:
    """Listens to the engine's sublayers and hands on each published layer as soon as its last step is done.

    A map is kept from its sublayer to the end of its published layer, never longer.
    """

    def __init__(self, gates: Gates, layout: Layout, on_layer: OnLayer, joint: bool) -> None:
        self.gates, self.layout, self.on_layer, self.joint = gates, layout, on_layer, joint
        self.maps: dict[Place, dict[str, Tensor]] = {}
        self.ends = _ends(gates)
        self.starts = {stack: gates.first(stack) - 1 for stack in gates.stacks}

    def __call__(self, index: int, states: dict[str, Tensor], maps: dict[str, Tensor]) -> None:
        """Take what the engine tells after sublayer `index` (-1: the embeddings)."""
        for direction, block in maps.items():
            place = self.gates.sublayers[index].places[query_of(direction)]
            self.maps.setdefault(place, {})[direction] = block
        for place in self.ends.get(index, ()):
            self._publish(place, states)
        for stack, before in self.starts.items():
            if before == index:
                self._publish((stack, 0), states)

    def _publish(self, place: Place, states: dict[str, Tensor]) -> None:
        stack, layer = place
        maps = self.maps.pop(place, {})
        self.on_layer(
            LayerBatch(
                layout=self.layout,
                stack=stack,
                layer=layer,
                hidden={stream: states[stream] for stream in self.gates.streams(stack)},
                attention={d: maps[d] for d in DIRECTIONS if d in maps},
                joint=self.joint,
            )
        )


def _ends(gates: Gates) -> dict[int, list[Place]]:
    """Sublayer -> published layers that it completes."""
    ends: dict[int, list[Place]] = {}
    for stack, layers in gates.stacks.items():
        for layer in range(1, layers + 1):
            last = max(index for index, _ in gates.members((stack, layer)))
            ends.setdefault(last, []).append((stack, layer))
    return ends


def layer_number(stacks: Mapping[str, int], stack: str, layer: int) -> int:
    """1-based layer of a stack; negatives count from the end, 0 is what enters. ValueError outside."""
    if stack not in stacks:
        raise ValueError(f"stack is {stack!r}; this model has {', '.join(map(repr, stacks))}")
    layers = stacks[stack]
    number = layer + layers + 1 if layer < 0 else layer
    if not 0 <= number <= layers:
        raise ValueError(
            f"layer is {layer}; stack {stack!r} has layers 0 to {layers}, or -1 to -{layers + 1}"
        )
    return number


def spread_head_mask(
    mask: LayerHeadMask,
    stacks: Mapping[str, int],
    directions: Mapping[str, tuple[str, ...]],
    heads: Callable[[str, str], int],
) -> dict[tuple[str, int, str], Tensor]:
    """Write a head mask block by block: (stack, layer, direction) -> `(head,)` float factors.

    A key without direction means all blocks of that layer; a block named twice gets the product. ValueError
    on a stack, layer or direction that the model does not have, and on a wrong number of heads.
    """
    spread: dict[tuple[str, int, str], Tensor] = {}
    for key, given in mask.items():
        stack, number = key[0], layer_number(stacks, key[0], key[1])
        if number == 0:
            raise ValueError("head_mask names layer 0, which has no attention; layers count from 1")
        wanted = (
            directions[stack] if len(key) == 2 else (check_direction(key[2], {stack: directions[stack]}),)
        )
        factors = torch.as_tensor(given)
        for direction in wanted:
            if factors.shape != (heads(stack, direction),):
                raise ValueError(
                    f"head_mask[{key}] has shape {tuple(factors.shape)}; {direction} of stack {stack!r} has "
                    f"{heads(stack, direction)} heads (where blocks differ, name the direction in the key)"
                )
            place = (stack, number, direction)
            spread[place] = factors * spread[place] if place in spread else factors
    return spread


def check_direction(direction: str, directions: Mapping[str, tuple[str, ...]]) -> str:
    """Return the direction; ValueError that lists those there are when it is not among them."""
    known = {d for names in directions.values() for d in names}
    if direction not in known:
        listed = ", ".join(repr(d) for d in DIRECTIONS if d in known)
        raise ValueError(f"direction is {direction!r}; here there are {listed}")
    return direction
