"""The five region-feature models as probes see them: the gated encoder behind the common face."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from value_nb.data.example import Example
from value_nb.layout import Layout, PositionClass, StreamLayout
from value_nb.models.base import Batch, Outputs, VLModel, as_examples, text_inputs
from value_nb.models.config import EncoderConfig
from value_nb.models.files import build
from value_nb.models.gated_encoder import Editor, GatedModel
from value_nb.models.gates import query_of
from value_nb.models.publish import (
    Block,
    LayerHeadMask,
    OnContext,
    OnLayer,
    Publisher,
    check_direction,
    spread_head_mask,
)
from value_nb.models.regions import region_rows
from value_nb.models.tasks import checked_task, with_task
from value_nb.models.words import WordPieces

Rows = tuple[np.ndarray, np.ndarray]
WHOLE = "[IMG]"
"""Token of the global row."""


class GatedVL(VLModel):
    """A region-feature model.

    An example without regions is text only for a single-stream model (all image keys are masked, which is
    exact). A two-stream model runs it only with the gate "text->image" closed, and says so otherwise.

    VL-BERT mixes the picture into every word piece before the first layer. Where it has no picture, or the
    gate "text->image" is closed, the pieces get what a hidden region of the whole picture gives: the same
    whatever the picture. Its regions know how many pieces the caption has.

    Parameters
    ----------
    module, words, name, weights, card
        The engine, its tokenizer, what it was loaded as, "trained" or "random:SEED", and its quality card.
    task
        Row of the task embedding, for models that have one (`config.task_rows`; tasks.py) and only for them;
        ValueError otherwise, with the list of tasks.
    """

    module: GatedModel

    def __init__(
        self,
        module: GatedModel,
        words: WordPieces,
        name: str,
        weights: str,
        card: dict[str, Any] | None = None,
        task: int | None = None,
    ) -> None:
        config, gates = module.config, module.gates
        if words.vocab_size > config.vocab_size:
            raise ValueError(
                f"the tokenizer has {words.vocab_size} pieces, the model {config.vocab_size} rows for them"
            )
        self.module, self.words, self.task = module.eval(), words, checked_task(config, task)
        self.name, self.family, self.weights, self.card = name, config.family, weights, card or {}
        self.stacks, self.joint = dict(gates.stacks), config.joint
        self.directions = {stack: gates.directions(stack) for stack in gates.stacks}
        self.widths = {"text": config.text_width, "image": config.image_width}
        self.max_positions = config.max_text_positions

    @property
    def config(self) -> EncoderConfig:
        """Sizes and conventions."""
        return self.module.config

    def heads(self, stack: str, direction: str | None = None) -> int:
        """Heads of a stack's layers; ViLBERT's cross layers need the direction."""
        if stack not in self.stacks:
            raise ValueError(f"stack is {stack!r}; this model has {', '.join(map(repr, self.stacks))}")
        if direction is not None:
            check_direction(direction, {stack: self.directions[stack]})
        found = {d: self._heads(d) for d in self.directions[stack] if direction in (None, d)}
        if len(set(found.values())) > 1:
            raise ValueError(f"blocks of stack {stack!r} differ in heads, name a direction: {found}")
        return next(iter(found.values()))

    def _heads(self, direction: str) -> int:
        query, _, key = direction.partition("->")
        return self.config.attention_size(query, cross=query != key and not self.joint)[1]

    def prepare(self, examples: Example | Sequence[Example]) -> Batch:
        """Pieces, regions and layout; see `VLModel.prepare`."""
        examples = as_examples(examples)
        inputs, text = text_inputs(self.words, examples, self.max_positions, self.device)
        if self.task is not None:
            inputs, text = with_task(inputs, text, self.task, self.words.pad)
        rows = [self._rows(example) for example in examples]
        image = self._image_layout(examples, rows)
        inputs |= {
            "features": self._stack([features for features, _ in rows], self.config.feature_size),
            "locations": self._stack([places for _, places in rows], self.config.location_size),
            "image_mask": image.valid.long(),
        }
        return Batch(inputs, Layout(examples, {"text": text, "image": image}))

    def _rows(self, example: Example) -> Rows:
        config, regions = self.config, example.regions
        if regions is None or not len(regions):
            empty = np.zeros((0, config.feature_size), dtype=np.float32)
            return empty, np.zeros((0, config.location_size), dtype=np.float32)
        if regions.features is None:
            raise ValueError(
                f"the regions of example {example.id!r} have no features, and {self.name} is fed with them: "
                "load the data set with its region features, or give own_picture(regions=...) those of the "
                "detector that it was trained with"
            )
        if regions.features.shape != (len(regions), config.feature_size):
            raise ValueError(
                f"features of example {example.id!r} have shape {regions.features.shape}; {self.name} takes "
                f"({len(regions)}, {config.feature_size}). Features of another detector do not fit a model."
            )
        return region_rows(regions.boxes, regions.features, config.location_size, config.global_row)

    def _image_layout(self, examples: Sequence[Example], rows: Sequence[Rows]) -> StreamLayout:
        counts = torch.tensor([len(features) for features, _ in rows], device=self.device)[:, None]
        place = torch.arange(max(len(features) for features, _ in rows), device=self.device)[None, :]
        shift = int(self.config.global_row == "first")
        whole = {"none": place < 0, "first": place == 0, "last": place == counts - 1}[self.config.global_row]
        classes = torch.full((len(rows), place.shape[1]), int(PositionClass.IMAGE), device=self.device)
        classes = classes.masked_fill(whole, int(PositionClass.SPECIAL))
        classes = classes.masked_fill(place >= counts, int(PositionClass.PAD))
        unit = (place - shift).expand_as(classes).masked_fill(classes != int(PositionClass.IMAGE), -1)
        return StreamLayout(classes, unit, tuple(self._tokens(example) for example in examples))

    def _tokens(self, example: Example) -> tuple[str, ...]:
        if example.regions is None or not len(example.regions):
            return ()
        regions = tuple(f"r{index} {name}".rstrip() for index, name in enumerate(example.regions.names))
        first, last = ((WHOLE,) if self.config.global_row == where else () for where in ("first", "last"))
        return (*first, *regions, *last)

    def _stack(self, rows: list[np.ndarray], width: int) -> Tensor:
        full = np.zeros((len(rows), max(map(len, rows)), width), dtype=np.float32)
        for index, row in enumerate(rows):
            full[index, : len(row)] = row
        return torch.from_numpy(full).to(self.device, self.dtype)

    def with_random_weights(self, seed: int) -> GatedVL:
        """Return the same architecture with fresh weights; see `VLModel.with_random_weights`."""
        module = build(self.config, seed).to(device=self.device, dtype=self.dtype)
        return GatedVL(module, self.words, self.name, f"random:{seed}", task=self.task)

    @torch.no_grad()
    def run(
        self,
        batch: Batch,
        on_layer: OnLayer | None = None,
        head_mask: LayerHeadMask | None = None,
        closed: Sequence[str] = (),
        on_context: OnContext | None = None,
    ) -> Outputs:
        """Run a batch; see `VLModel.run`."""
        for direction in closed:
            check_direction(direction, self.directions)
        self._check_pictures(batch, closed)
        listener = None
        if on_layer is not None:
            listener = Publisher(self.module.gates, batch.layout, on_layer, self.joint)
        text, image, pooled = self.module(
            **batch.inputs,
            closed=tuple(closed),
            head_mask=self._sublayer_mask(head_mask),
            on_sublayer=listener,
            on_context=None if on_context is None else self._named(on_context),
        )
        return Outputs({"text": text, "image": image}, pooled, batch.layout)

    def _named(self, on_context: OnContext) -> Editor:
        """The engine's numbers of sublayers as blocks of published layers."""
        gates = self.module.gates

        def edit(index: int, direction: str, product: Tensor) -> Tensor:
            place = gates.sublayers[index].places[query_of(direction)]
            step = gates.attention_sublayers(place, direction).index(index)
            return on_context(Block(*place, direction, step), product)

        return edit

    def _check_pictures(self, batch: Batch, closed: Sequence[str]) -> None:
        if self.joint or "text->image" in closed:
            return
        bare = ~batch.layout.streams["image"].valid.any(dim=1)
        if bare.any():
            example = batch.layout.examples[int(bare.int().argmax())]
            raise ValueError(
                f"example {example.id!r} has no regions, and {self.name} has two streams: pass "
                "closed=('text->image',) to run its text alone, or give it regions"
            )

    def _sublayer_mask(self, head_mask: LayerHeadMask | None) -> dict[tuple[int, str], Tensor] | None:
        if not head_mask:
            return None
        spread = spread_head_mask(head_mask, self.stacks, self.directions, self.heads)
        return {
            (index, direction): factors.to(self.device, self.dtype)
            for (stack, layer, direction), factors in spread.items()
            for index in self.module.gates.attention_sublayers((stack, layer), direction)
        }

    @torch.no_grad()
    def _matching_logits(self, outputs: Outputs) -> Tensor:
        logits = self.module.matching_logits(outputs.pooled)
        match = self.config.match_index
        return logits[:, match] - logits[:, 1 - match]

    def _word_logits(self, text_states: Tensor) -> Tensor:
        return self.module.masked_word_logits(text_states)
