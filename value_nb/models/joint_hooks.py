"""Looking into one attention over text and image positions by hooks: its blocks, closed ones, single heads.

For transformers' single-stream models, in which the text stands before the image and one softmax covers both.
What the heads bring is put together block by block, probabilities times values, as the gated encoder does it,
so that a factor or an editor of one block touches no other; without either the sum differs from the model's
own by rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from value_nb.layout import LayerBatch, Layout
from value_nb.models.gates import DIRECTIONS, STREAMS, key_of, query_of
from value_nb.models.publish import Block, OnContext, OnLayer

STACK = "joint"
MAP, VALUE = "map", "value"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run is asked for.

    Attributes
    ----------
    layout
        Of the batch.
    factors
        (layer, direction) -> `(head,)` factors on what heads bring.
    closed
        Directions that are switched off.
    on_layer, on_context
        As in `VLModel.run`.
    """

    layout: Layout
    factors: Mapping[tuple[int, str], Tensor]
    closed: frozenset[str] = frozenset()
    on_layer: OnLayer | None = None
    on_context: OnContext | None = None

    @property
    def n_text(self) -> int:
        """Positions of the text stream, which stands first."""
        return int(self.layout.streams["text"].position_class.shape[1])

    @property
    def cut(self) -> dict[str, slice]:
        """Stream -> its positions in the joint sequence."""
        return {"text": slice(0, self.n_text), "image": slice(self.n_text, None)}

    def shut(self, stream: str) -> bool:
        """Whether all blocks of a stream's queries are closed, so that the sublayer passes it unchanged."""
        return {d for d in DIRECTIONS if query_of(d) == stream} <= self.closed


@dataclass(slots=True)
class AttentionSite:
    """One layer's attention, as modules to hook.

    Attributes
    ----------
    attention
        Called with (states, additive mask, ...); its first output is the context, heads side by side.
    value, probabilities
        Modules whose outputs are the values `(example, position, width)` and the softmax
        `(example, head, query, key)`.
    sublayer, layer
        The attention with its output projection, whose first output is added to the states; the whole layer.
    """

    attention: nn.Module
    value: nn.Module
    probabilities: nn.Module
    sublayer: nn.Module
    layer: nn.Module


@dataclass(slots=True)
class JointListener:
    """The hooks of one run on one layer; the map lives until the layer has been published."""

    number: int
    asked: Asked
    kept: dict[str, Tensor] = field(default_factory=dict)

    def attach(self, hooks: ExitStack, site: AttentionSite) -> None:
        """Place the hooks; they go when `hooks` is closed."""
        for name, module in ((VALUE, site.value), (MAP, site.probabilities)):
            hooks.callback(module.register_forward_hook(self._keep(name)).remove)
        if self.asked.closed:
            hooks.callback(site.attention.register_forward_pre_hook(self._close, with_kwargs=True).remove)
            hooks.callback(site.sublayer.register_forward_hook(self._pass_unchanged).remove)
        hooks.callback(site.attention.register_forward_hook(self._bring).remove)
        hooks.callback(site.layer.register_forward_hook(self._publish).remove)

    def _keep(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, output: Tensor) -> None:
            self.kept[name] = output

        return hook

    def _close(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Another mask than the model's: padding and closed blocks alike are left out before the softmax."""
        states = args[0]
        hidden = closed_keys(self.asked, states.device)
        bias = torch.zeros(hidden.shape, dtype=states.dtype, device=states.device)
        bias = bias.masked_fill(hidden, torch.finfo(states.dtype).min / 2)[:, None]
        rest = {name: value for name, value in kwargs.items() if name != "attention_mask"}
        return (states, bias, *args[2:]), rest

    def _pass_unchanged(self, module: nn.Module, args: Any, output: Any) -> Any:
        """A stream all of whose blocks are closed gets nothing added."""
        silent = [stream for stream in STREAMS if self.asked.shut(stream)]
        if not silent:
            return output
        added = output[0].clone()
        for stream in silent:
            added[:, self.asked.cut[stream]] = 0.0
        return (added, *output[1:])

    def _bring(self, module: nn.Module, args: Any, output: Any) -> Any:
        """The context as the sum over blocks, each edited and weighted by itself."""
        blocks = self.blocks(self.kept[MAP])
        value = self.kept.pop(VALUE)
        heads = self.kept[MAP].shape[1]
        values = {
            stream: value[:, where].unflatten(-1, (heads, -1)).transpose(1, 2)
            for stream, where in self.asked.cut.items()
        }
        parts = [self._context(stream, blocks, values, output[0]) for stream in STREAMS]
        if self.asked.on_layer is None:
            self.kept.pop(MAP)
        return (torch.cat(parts, dim=1), *output[1:])

    def _context(
        self, stream: str, blocks: Mapping[str, Tensor], values: Mapping[str, Tensor], own: Tensor
    ) -> Tensor:
        """`(example, position, width)` of one stream's positions."""
        total: Tensor | None = None
        for direction, block in blocks.items():
            if query_of(direction) != stream or direction in self.asked.closed:
                continue
            product = block @ values[key_of(direction)]
            if self.asked.on_context is not None:
                product = self.asked.on_context(Block(STACK, self.number, direction), product)
            factors = self.asked.factors.get((self.number, direction))
            if factors is not None:
                product = product * factors.to(product).view(1, -1, 1, 1)
            total = product if total is None else total + product
        if total is None:
            return torch.zeros_like(own[:, self.asked.cut[stream]])
        return total.transpose(1, 2).flatten(-2)

    def blocks(self, whole: Tensor) -> dict[str, Tensor]:
        """Direction -> `(example, head, query, key)`; no block of a stream that passes unchanged."""
        cut = self.asked.cut
        return {
            d: whole[:, :, cut[query_of(d)], cut[key_of(d)]]
            for d in DIRECTIONS
            if not self.asked.shut(query_of(d))
        }

    def _publish(self, module: nn.Module, args: Any, output: Any) -> None:
        if self.asked.on_layer is None:
            return
        states = output[0] if isinstance(output, tuple) else output
        tell(self.asked, self.number, states, self.blocks(self.kept.pop(MAP)))


def tell(asked: Asked, number: int, states: Tensor, blocks: dict[str, Tensor]) -> None:
    """Publish a layer (0: what enters the first)."""
    if asked.on_layer is not None:
        hidden = {stream: states[:, where] for stream, where in asked.cut.items()}
        asked.on_layer(LayerBatch(asked.layout, STACK, number, hidden, blocks, joint=True))


def closed_keys(asked: Asked, device: torch.device) -> Tensor:
    """`(example, query, key)` bool: padded keys, and keys of closed blocks."""
    valid = torch.cat([asked.layout.streams[stream].valid for stream in STREAMS], dim=1).to(device)
    hidden = (~valid)[:, None, :].repeat(1, valid.shape[1], 1)
    for direction in asked.closed:
        hidden[:, asked.cut[query_of(direction)], asked.cut[key_of(direction)]] = True
    return hidden
