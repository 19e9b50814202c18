"""The gated bimodal encoder: one small engine for UNITER, LXMERT, ViLBERT, VisualBERT and VL-BERT.

Two streams, text and image, pass through one list of sublayers (Bugliarello et al. 2021). In an attention
sublayer each stream asks the blocks whose gate is open; if both blocks of a stream are open, ONE softmax runs
over the keys of both. A stream without an open gate is passed on unchanged: no residual, no norm.

It is written for being looked into. `on_sublayer` hears of every step as it is made:

    on_sublayer(index, states, maps)
        index   -1 for the embeddings, then 0, 1, ... for the sublayers
        states  {"text": (example, position, width), "image": ...} after the step
        maps    {"text->image": (example, head, query, key), ...}: the softmax as it is, block by block

`closed` switches gates off, `head_mask` multiplies what single heads bring, block by block, and `on_context`
hears what they bring and may put something else in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Generic, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from value_nb.models.config import EncoderConfig
from value_nb.models.embeddings import PictureInputs, TextEmbedding
from value_nb.models.gates import STREAMS, Sublayer, key_of, query_of
from value_nb.models.heads import RegionHead, WordHead
from value_nb.models.image_embeddings import image_embedding

States = dict[str, Tensor]
Listener = Callable[[int, States, dict[str, Tensor]], None]
HeadMask = Mapping[tuple[int, str], Tensor]
"""(sublayer index, direction) -> `(head,)` factors of that block's product."""
Editor = Callable[[int, str, Tensor], Tensor]
"""(sublayer index, direction, product `(example, head, query, inner / heads)`) -> what takes its place."""

TO_IMAGE = "text->image"
BOTH: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mul": torch.mul, "sum": torch.add}
"""Fusion -> how both pooled outputs become one."""
MASKED = -10000.0
"""Added to the score of a padded key: its probability is exactly 0 beside any valid key."""


class AttentionPart(nn.Module):
    """Projections of one stream (or of both, where they share weights) in one attention sublayer."""

    def __init__(self, config: EncoderConfig, stream: str, cross: bool) -> None:
        super().__init__()
        width, (inner, self.heads) = config.width(stream), config.attention_size(stream, cross)
        self.query = nn.Linear(width, inner)
        self.key = nn.Linear(width, inner)
        self.value = nn.Linear(width, inner)
        self.output = nn.Linear(inner, width)
        self.norm = nn.LayerNorm(width, eps=config.norm_eps)
        self.dropout = nn.Dropout(config.dropout)

    def split(self, projected: Tensor) -> Tensor:
        """`(example, position, inner)` -> `(example, head, position, inner / heads)`."""
        return projected.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def finish(self, context: Tensor, residual: Tensor) -> Tensor:
        """Norm of the projected context plus what came in."""
        joined = context.transpose(1, 2).flatten(2)
        return self.norm(self.dropout(self.output(joined)) + residual)


class FeedForwardPart(nn.Module):
    """Two linear maps with an exact gelu between, plus residual, then norm."""

    def __init__(self, config: EncoderConfig, stream: str) -> None:
        super().__init__()
        self.up = nn.Linear(config.width(stream), config.ffn(stream))
        self.down = nn.Linear(config.ffn(stream), config.width(stream))
        self.norm = nn.LayerNorm(config.width(stream), eps=config.norm_eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, state: Tensor) -> Tensor:
        """`(example, position, width)` -> the same shape."""
        return self.norm(self.dropout(self.down(functional.gelu(self.up(state)))) + state)


Part = TypeVar("Part", AttentionPart, FeedForwardPart)


class Step(nn.Module, Generic[Part]):
    """A sublayer: its parts are called "text" and "image", or "shared" where one serves both."""

    def __init__(self, plan: Sublayer, make: Callable[[str], Part]) -> None:
        super().__init__()
        self.plan = plan
        for stream in plan.streams[:1] if plan.shared else plan.streams:
            self.add_module("shared" if plan.shared else stream, make(stream))

    def part(self, stream: str) -> Part:
        """The module that serves a stream."""
        return cast("Part", self.get_submodule("shared" if self.plan.shared else stream))


class FeedForwardStep(Step[FeedForwardPart]):
    """Feed-forward of the streams that have it."""

    def __init__(self, config: EncoderConfig, plan: Sublayer) -> None:
        super().__init__(plan, lambda stream: FeedForwardPart(config, stream))

    def forward(self, states: States) -> States:
        """Return the states after this step."""
        return {s: self.part(s)(x) if s in self.plan.streams else x for s, x in states.items()}


class AttentionStep(Step[AttentionPart]):
    """Attention of the streams that have an open block."""

    def __init__(self, config: EncoderConfig, plan: Sublayer) -> None:
        super().__init__(plan, lambda stream: AttentionPart(config, stream, plan.cross))
        self.attention_dropout = config.attention_dropout

    def forward(
        self,
        states: States,
        bias: States,
        closed: Sequence[str],
        factors: Mapping[str, Tensor],
        fused: bool,
        edit: Callable[[str, Tensor], Tensor] | None = None,
    ) -> tuple[States, dict[str, Tensor]]:
        """Return the states after this step and its attention maps (none when `fused`)."""
        queries, keys, values = (self._project(states, name) for name in ("query", "key", "value"))
        after = dict(states)
        maps: dict[str, Tensor] = {}
        for stream in self.plan.streams:
            own = [d for d in self.plan.directions if query_of(d) == stream]
            blocks = [d for d in own if d not in closed]
            if not blocks:
                continue  # no open gate: the stream passes unchanged
            if fused:
                context = self._fused(queries[stream], keys, values, bias, blocks)
            else:
                found = self._probabilities(queries[stream], keys, bias, blocks)
                context = self._context(found, values, factors, edit)
                maps |= found | self._shut(queries[stream], keys, [d for d in own if d in closed])
            after[stream] = self.part(stream).finish(context, states[stream])
        return after, maps

    def _project(self, states: States, name: str) -> States:
        projected = {}
        for stream in self.plan.streams:
            part = self.part(stream)
            projected[stream] = part.split(part.get_submodule(name)(states[stream]))
        return projected

    def _probabilities(
        self, query: Tensor, keys: States, bias: States, blocks: list[str]
    ) -> dict[str, Tensor]:
        """One softmax over the keys of all open blocks, cut into blocks again."""
        scale = query.shape[-1] ** -0.5
        scores = [query @ keys[key_of(d)].transpose(-1, -2) * scale + bias[key_of(d)] for d in blocks]
        joint = scores[0] if len(scores) == 1 else torch.cat(scores, dim=-1)
        cut = joint.softmax(dim=-1).split([s.shape[-1] for s in scores], dim=-1)
        return dict(zip(blocks, cut, strict=True))

    def _context(
        self,
        probabilities: dict[str, Tensor],
        values: States,
        factors: Mapping[str, Tensor],
        edit: Callable[[str, Tensor], Tensor] | None,
    ) -> Tensor:
        """Sum over blocks of probabilities times values (or what `edit` makes of it), times the factors."""
        total: Tensor | None = None
        for direction, block in probabilities.items():
            kept = functional.dropout(block, self.attention_dropout, self.training)
            product = kept @ values[key_of(direction)]
            if edit is not None:
                product = edit(direction, product)
            if direction in factors:
                product = product * factors[direction].to(product).view(1, -1, 1, 1)
            total = product if total is None else total + product
        if total is None:
            raise ValueError("a stream without an open block has no context")
        return total

    def _fused(self, query: Tensor, keys: States, values: States, bias: States, blocks: list[str]) -> Tensor:
        """The same context from torch's fused attention: for training, where nobody looks at maps."""
        names = [key_of(d) for d in blocks]
        key = torch.cat([keys[n] for n in names], dim=-2)
        value = torch.cat([values[n] for n in names], dim=-2)
        mask = torch.cat([bias[n] for n in names], dim=-1)
        drop = self.attention_dropout if self.training else 0.0
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=drop)

    def _shut(self, query: Tensor, keys: States, blocks: list[str]) -> dict[str, Tensor]:
        """Maps of closed blocks beside an open one: nothing is attended to."""
        shape = query.shape[:3]
        return {d: query.new_zeros((*shape, keys[key_of(d)].shape[-2])) for d in blocks}


class GatedModel(nn.Module):
    """Embeddings, gated encoder, poolers and pre-training heads of one config."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.gates = config.build_gates()
        self.text_embedding = TextEmbedding(config)
        self.image_embedding = image_embedding(config)
        self.sublayers = nn.ModuleList(
            AttentionStep(config, plan) if plan.directions else FeedForwardStep(config, plan)
            for plan in self.gates.sublayers
        )
        self.text_pooler = _pooler(config, "text") if config.fusion != "none" else None
        self.image_pooler = _pooler(config, "image") if config.fusion in BOTH else None
        self.word_head = WordHead(config) if config.word_head else None
        self.matching_head = nn.Linear(config.pooler_width, 2) if config.matching_head else None
        self.region_head = RegionHead(config) if config.region_targets else None

    def forward(
        self,
        input_ids: Tensor,
        text_mask: Tensor,
        features: Tensor,
        locations: Tensor,
        image_mask: Tensor,
        token_type_ids: Tensor | None = None,
        closed: Sequence[str] = (),
        head_mask: HeadMask | None = None,
        on_sublayer: Listener | None = None,
        region_mask: Tensor | None = None,
        on_context: Editor | None = None,
        task_ids: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Run a batch.

        Parameters
        ----------
        input_ids, text_mask
            `(example, position)`: piece ids, and 1 on valid positions. With task rows index 1 is the task's.
        features, locations, image_mask
            `(example, region, feature)`, `(example, region, location)`, `(example, region)`.
        token_type_ids
            `(example, position)`; zeros when None.
        closed
            Directions whose gates are switched off in every sublayer.
        head_mask
            (sublayer index, direction) -> `(head,)`.
        on_sublayer
            Called after the embeddings and after every sublayer (see the head of this file).
        region_mask
            `(example, region)` bool: regions whose features are hidden (masked-region training).
        on_context
            Called with every block's product of probabilities and values, before `head_mask`; what it
            returns goes on in its place.
        task_ids
            `(example,)` rows of the task embedding; for models that have one, and only for them.

        Returns
        -------
        text states `(example, position, text width)`, image states `(example, region, image width)`, and
        pooled outputs: "text", "image" where the model has these poolers, and "fused" `(example, width)`.
        """
        valid, length = image_mask.bool(), text_mask.long().sum(dim=1)
        picture = PictureInputs(features, locations, valid, region_mask, length, TO_IMAGE not in closed)
        states = self.embed(input_ids, picture, token_type_ids, task_ids)
        bias = {
            s: (1.0 - m[:, None, None, :].to(states[s].dtype)) * MASKED
            for s, m in zip(STREAMS, (text_mask, image_mask), strict=True)
        }
        if on_sublayer is not None:
            on_sublayer(-1, states, {})
        fused = self.training and on_sublayer is None and not head_mask and on_context is None
        for index, step in enumerate(self.sublayers):
            maps: dict[str, Tensor] = {}
            if isinstance(step, AttentionStep):
                factors = {d: m for (i, d), m in (head_mask or {}).items() if i == index}
                edit = None if on_context is None else partial(on_context, index)
                states, maps = step(states, bias, closed, factors, fused, edit)
            else:
                states = step(states)
            if on_sublayer is not None:
                on_sublayer(index, states, maps)
        return states["text"], states["image"], self.pool(states)

    def embed(
        self,
        input_ids: Tensor,
        picture: PictureInputs,
        token_type_ids: Tensor | None = None,
        task_ids: Tensor | None = None,
    ) -> States:
        """Return what enters the first sublayer."""
        image, to_text = self.image_embedding(picture, self.text_embedding)
        return {"text": self.text_embedding(input_ids, token_type_ids, to_text, task_ids), "image": image}

    def pool(self, states: States) -> dict[str, Tensor]:
        """Pooled outputs; "image" and "fused" are absent when a needed image stream has no position.

        None at all where the config's fusion is "none".
        """
        if self.text_pooler is None:
            return {}
        act = torch.tanh if self.config.pooler_act == "tanh" else torch.relu
        pooled = {"text": act(self.text_pooler(states["text"][:, 0]))}
        if self.image_pooler is None:
            return pooled | {"fused": pooled["text"]}
        if states["image"].shape[1]:
            pooled["image"] = act(self.image_pooler(states["image"][:, 0]))
            pooled["fused"] = BOTH[self.config.fusion](pooled["text"], pooled["image"])
        return pooled

    def masked_word_logits(self, text_states: Tensor) -> Tensor:
        """`(..., text width)` -> `(..., vocabulary)`; ValueError without a word head."""
        return _has(self.word_head, "word_head")(text_states, self.text_embedding.word.weight)

    def matching_logits(self, pooled: dict[str, Tensor]) -> Tensor:
        """`(example, 2)`; `config.match_index` is the one that means match. ValueError without the head."""
        return _has(self.matching_head, "matching_head")(pooled["fused"])

    def masked_region_outputs(self, image_states: Tensor) -> dict[str, Tensor]:
        """Target of `config.region_targets` -> `(..., size)`: class logits, or predicted features."""
        return _has(self.region_head, "region_targets")(image_states, self.image_embedding.feature.weight)


def _pooler(config: EncoderConfig, stream: str) -> nn.Linear:
    return nn.Linear(config.width(stream), config.pooler_width)


def _has(head: nn.Module | None, name: str) -> nn.Module:
    if head is None:
        raise ValueError(f"this model has no such head: its config has no {name}")
    return head


def initialise(module: nn.Module, std: float, seed: int) -> None:
    """Fill a model with fresh weights: normal(0, std), norms 1 and 0, biases 0; its own random stream."""
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.LayerNorm):
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Linear | nn.Embedding):
            nn.init.normal_(part.weight, 0.0, std, generator=generator)
    for name, parameter in module.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
