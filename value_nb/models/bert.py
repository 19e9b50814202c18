"""BERT, the text-only control: transformers' BertForMaskedLM, looked into by hooks.

`output_attentions` is never used: it can come back empty without a word. The attention modules of the eager
implementation hand out their probabilities in any case, and a hook takes them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertForMaskedLM

from value_nb.data.example import Example
from value_nb.layout import LayerBatch, Layout
from value_nb.models.base import Batch, Outputs, VLModel, as_examples, text_inputs
from value_nb.models.files import read_weights
from value_nb.models.gated_encoder import initialise
from value_nb.models.keys import canonical
from value_nb.models.publish import (
    Block,
    LayerHeadMask,
    OnContext,
    OnLayer,
    check_direction,
    spread_head_mask,
)
from value_nb.models.words import WordPieces

DIRECTION = "text->text"
UNUSED = ("bert.pooler.", "bert.embeddings.position_ids")
"""Parts of a BERT file that the masked-word model does without."""


class BertText(VLModel):
    """Text only: pictures of the examples are not looked at, and matching is refused."""

    module: BertForMaskedLM

    def __init__(
        self,
        module: BertForMaskedLM,
        words: WordPieces,
        name: str,
        weights: str,
        card: dict[str, Any] | None = None,
    ) -> None:
        if module.config._attn_implementation != "eager":
            raise ValueError(
                "BERT must be built with attn_implementation='eager': others hand out no attention maps"
            )
        self.module, self.words = module.eval(), words
        self.name, self.family, self.weights, self.card = name, "bert", weights, card or {}
        self.stacks, self.joint = {"text": len(module.bert.encoder.layer)}, False
        self.directions = {"text": (DIRECTION,)}
        self.widths = {"text": int(module.config.hidden_size)}
        self.max_positions = int(module.config.max_position_embeddings)

    @property
    def config(self) -> BertConfig:
        """transformers' config."""
        return self.module.config

    def heads(self, stack: str, direction: str | None = None) -> int:
        """Heads of a layer."""
        if stack not in self.stacks:
            raise ValueError(f"stack is {stack!r}; this model has 'text'")
        check_direction(direction or DIRECTION, self.directions)
        return int(self.module.config.num_attention_heads)

    def prepare(self, examples: Example | Sequence[Example]) -> Batch:
        """Pieces and layout of the captions; see `VLModel.prepare`."""
        examples = as_examples(examples)
        inputs, text = text_inputs(self.words, examples, self.max_positions, self.device)
        return Batch(inputs, Layout(examples, {"text": text}))

    def with_random_weights(self, seed: int) -> BertText:
        """Return the same architecture with fresh weights; see `VLModel.with_random_weights`."""
        module = build(copy.deepcopy(self.config), seed).to(device=self.device, dtype=self.dtype)
        return BertText(module, self.words, self.name, f"random:{seed}")

    @torch.no_grad()
    def run(
        self,
        batch: Batch,
        on_layer: OnLayer | None = None,
        head_mask: LayerHeadMask | None = None,
        closed: Sequence[str] = (),
        on_context: OnContext | None = None,
    ) -> Outputs:
        """Run a batch; see `VLModel.run`. BERT has no gate to close: ValueError."""
        if closed:
            raise ValueError(
                f"closed is {list(closed)}; BERT has no gates, its only direction is {DIRECTION!r}"
            )
        spread = spread_head_mask(head_mask or {}, self.stacks, self.directions, self.heads)
        with ExitStack() as hooks:
            if on_context is not None:
                self._edit(hooks, on_context)
            for (_, layer, _), factors in spread.items():
                hooks.enter_context(_mask_heads(self._projection(layer), factors.to(self.device)))
            if on_layer is not None:
                self._listen(hooks, batch.layout, on_layer)
            out = self.module.bert(
                input_ids=batch.inputs["input_ids"], attention_mask=batch.inputs["text_mask"]
            )
        return Outputs({"text": out.last_hidden_state}, {}, batch.layout)

    def _layer(self, layer: int) -> nn.Module:
        return self.module.bert.encoder.get_submodule(f"layer.{layer - 1}")

    def _projection(self, layer: int) -> nn.Module:
        """The map behind the heads: its input is what they bring, side by side."""
        return self._layer(layer).get_submodule("attention.output.dense")

    def _edit(self, hooks: ExitStack, on_context: OnContext) -> None:
        """Hooks that let `on_context` hear and replace what the heads of each layer bring."""
        heads = self.heads("text")

        def edit(layer: int) -> Callable[..., tuple[Tensor, ...]]:
            def hook(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
                product = args[0].unflatten(-1, (heads, -1)).transpose(1, 2)
                found = on_context(Block("text", layer, DIRECTION), product)
                return (found.transpose(1, 2).flatten(-2), *args[1:])

            return hook

        for number in range(1, self.stacks["text"] + 1):
            hooks.callback(self._projection(number).register_forward_pre_hook(edit(number)).remove)

    def _listen(self, hooks: ExitStack, layout: Layout, on_layer: OnLayer) -> None:
        """Hooks that publish the embeddings and each layer; a map lives until its layer is published."""
        kept: dict[str, Tensor] = {}

        def keep(module: nn.Module, args: Any, output: Any) -> None:
            kept[DIRECTION] = output[1]

        def publish(layer: int) -> Callable[..., None]:
            def hook(module: nn.Module, args: Any, output: Any) -> None:
                state = output[0] if isinstance(output, tuple) else output
                attention = {DIRECTION: kept.pop(DIRECTION)} if layer else {}
                on_layer(LayerBatch(layout, "text", layer, {"text": state}, attention, joint=False))

            return hook

        hooks.callback(self.module.bert.embeddings.register_forward_hook(publish(0)).remove)
        for number in range(1, self.stacks["text"] + 1):
            layer = self._layer(number)
            hooks.callback(layer.get_submodule("attention.self").register_forward_hook(keep).remove)
            hooks.callback(layer.register_forward_hook(publish(number)).remove)

    def _matching_logits(self, outputs: Outputs) -> Tensor:
        raise ValueError("BERT sees no picture: it has no matching head")

    def _word_logits(self, text_states: Tensor) -> Tensor:
        return self.module.cls(text_states)


class _mask_heads:
    """While open, multiplies each head's columns of the input of an output projection by its factor."""

    def __init__(self, dense: nn.Module, factors: Tensor) -> None:
        self.dense, self.factors = dense, factors

    def __enter__(self) -> None:
        def scale(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            heads = args[0].unflatten(-1, (len(self.factors), -1))
            return ((heads * self.factors.to(heads)[:, None]).flatten(-2), *args[1:])

        self.handle = self.dense.register_forward_pre_hook(scale)

    def __exit__(self, *exc: object) -> None:
        self.handle.remove()


def build(config: BertConfig, seed: int) -> BertForMaskedLM:
    """A BERT with fresh weights, the same for the same seed; torch's global random state is untouched."""
    config._attn_implementation = "eager"
    with torch.random.fork_rng(devices=[]):
        module = BertForMaskedLM(config)
    initialise(module, config.initializer_range, seed)
    return module.eval()


def read(directory: Path) -> BertForMaskedLM:
    """Read a directory of transformers' BertForMaskedLM, in float32 whatever the file's dtype.

    ValueError names every tensor of the model that the file lacks, and every backbone tensor left over.
    """
    module = build(BertConfig.from_pretrained(directory), seed=0)
    given = {canonical(key): tensor.float() for key, tensor in read_weights(directory).items()}
    wanted = [name for name, _ in module.named_parameters()]
    missing = [name for name in wanted if name not in given]
    left_over = [n for n in given if n.startswith("bert.") and not n.startswith(UNUSED) and n not in wanted]
    if missing or left_over:
        raise ValueError(
            f"the weights in {directory} do not fit a BertForMaskedLM of its config; missing: "
            f"{', '.join(missing) or 'none'}; left over: {', '.join(left_over) or 'none'}"
        )
    sizes = {name: (given[name].shape, p.shape) for name, p in module.named_parameters()}
    if wrong := [f"{n} is {tuple(a)}, expected {tuple(b)}" for n, (a, b) in sizes.items() if a != b]:
        raise ValueError(
            f"sizes of the weights in {directory} and of its config differ: {'; '.join(wrong[:8])}"
        )
    module.load_state_dict({name: given[name] for name in wanted}, strict=False)
    return module.eval()
