"""Models with something taken away, inside a with-block: single heads, or the picture.

    with vnb.ablate_heads(model, [("joint", 3, 2), ("joint", -1, 0)]) as ablated:
        ablated.masked_words(examples, words)

The model that is passed is never written into. The block's model says in its name what is missing, so that
results of both can stand in one table; it refuses to run once its block is over.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from value_nb.data.example import Example
from value_nb.layout import Layout
from value_nb.models.base import Batch, Outputs, VLModel
from value_nb.models.gates import query_of
from value_nb.models.publish import (
    Block,
    LayerHeadMask,
    OnContext,
    OnLayer,
    check_direction,
    layer_number,
    spread_head_mask,
)

Head = tuple[str, int, int]
"""(stack, published layer, head): layers count from 1, heads from 0."""
BlockFactors = dict[tuple[str, int] | tuple[str, int, str], Tensor]
Means = dict[Block, Tensor]
"""Block -> `(head, width)`: what its heads bring on average."""

HOWS = ("zero", "mean")
TO_IMAGE = "text->image"
NO_IMAGE = "no image"
LONGEST = 60  # characters of a name that heads may take before they are counted instead
REFERENCE_BATCH = 32


def ablate_heads(
    model: VLModel,
    heads: Iterable[Head],
    direction: str | None = None,
    how: str = "zero",
    reference: Sequence[Example] | None = None,
) -> AbstractContextManager[VLModel]:
    """Switch heads off inside a with-block.

    A head is off when its context, probabilities times values, is zero. Nothing is renormalised, and the
    maps that are published are those before the head is switched off. Inside the block `run`, `trace`,
    `matching` and `masked_words` of the model that the block hands out go without these heads; a `head_mask`
    of your own is multiplied, and blocks can stand inside each other.

    Parameters
    ----------
    model
        Any model; it is left as it is.
    heads
        (stack, layer, head): published layers from 1 (negatives count from the end), heads from 0. None at
        all is allowed: the start of a curve.
    direction
        Switch off that block's product alone ("text->image": what text positions take from regions), for
        instance to leave the head its own modality. None: all blocks of the head.
    how
        "zero", or "mean": in every block the head brings, at every position, what it brings on average over
        the valid positions (specials included) of that block's query stream in the reference examples. So
        text and image positions get a mean each, and the head says the same whatever is asked. A factor of a
        `head_mask` applies to the mean.
    reference
        Examples that the mean is taken over, with `how="mean"` only; usually of another split.

    Returns
    -------
    A context manager that gives the ablated model. Its name has the heads behind the model's, as in
    "mini-uniter [off joint 3:2,5 4:0]" (layer 3, heads 2 and 5; layer 4, head 0), or their number and a
    hash where there are many; `changes` spells them out.

    Raises
    ------
    ValueError
        For a stack, layer, head or direction that the model does not have (the message lists those it has),
        for a stack whose blocks differ in heads when no direction is named, for another `how`, for "mean"
        without reference examples and for reference examples without "mean".
    """
    if how not in HOWS:
        raise ValueError(f"how is {how!r}; valid: {', '.join(map(repr, HOWS))}")
    if (how == "mean") != (reference is not None):
        need = "how='mean' needs reference examples, over which the mean is taken: pass reference=data[:200]"
        idle = "reference examples belong to how='mean'; with how='zero' they would not be used"
        raise ValueError(need if reference is None else idle)
    plan = _Plan(_checked(model, heads, direction), direction)
    if reference is None:
        return _block(_Zeroed(model, plan, _Life()))
    if not len(reference):
        raise ValueError("reference is empty; the mean is taken over at least one example")
    return _block(_Averaged(model, plan, _Life(), reference))


def without_image(model: VLModel) -> AbstractContextManager[VLModel]:
    """Take the picture away from the text side inside a with-block.

    Text states, what is said of masked words, and attention among words are then exactly independent of the
    regions. A single-stream model leaves all image keys out before the softmax, which is the same as a run
    without regions: rows of "text->text" sum to one and "text->image" is zero. A two-stream model's gate
    "text->image" is closed: its text passes these sublayers unchanged and the direction is gone. This is
    exact in information, but two-stream models were never trained so. Regions still see the sentence
    ("image->text" stays), so that a matching score which also reads the image stream (ViLBERT's) still
    depends on the picture.

    A text-only model has no picture to lose: the block hands out the model itself, under its own name.

    Returns
    -------
    A context manager that gives the model without picture, "mini-uniter [no image]".
    """
    sees = any("image" in direction for names in model.directions.values() for direction in names)
    return _block(_Blind(model, NO_IMAGE, NO_IMAGE, _Life()) if sees else model)


@contextmanager
def _block(model: VLModel) -> Iterator[VLModel]:
    try:
        yield model
    finally:
        if isinstance(model, _Changed):
            model.life.over = True


@dataclass(slots=True)
class _Life:
    """Whether the with-block is over; shared with fresh-weight copies of its model."""

    over: bool = False


class _Changed(VLModel):
    """Another model's face, but for what `run` does and the name."""

    def __init__(self, inner: VLModel, change: str, short: str, life: _Life) -> None:
        for name in VLModel.__annotations__:
            setattr(self, name, getattr(inner, name))
        self.inner, self.life = inner, life
        self.name = f"{inner.name} [{short}]"
        self.changes = (*inner.changes, change)

    @property
    def config(self) -> Any:
        """The original's."""
        return self.inner.config

    def heads(self, stack: str, direction: str | None = None) -> int:
        """Heads of a layer; see `VLModel.heads`."""
        if direction is not None and stack in self.stacks:
            check_direction(direction, {stack: self.directions[stack]})
        return self.inner.heads(stack, direction)

    def prepare(self, examples: Example | Sequence[Example]) -> Batch:
        """See `VLModel.prepare`."""
        return self.inner.prepare(examples)

    def run(
        self,
        batch: Batch,
        on_layer: OnLayer | None = None,
        head_mask: LayerHeadMask | None = None,
        closed: Sequence[str] = (),
        on_context: OnContext | None = None,
    ) -> Outputs:
        """See `VLModel.run`."""
        mask = self._mask(self._spread(head_mask))
        return self.inner.run(batch, on_layer, mask, self._closed(closed), self._context(on_context))

    def _mask(self, mask: BlockFactors) -> BlockFactors:
        """A caller's mask, which may be written into, with what this model switches off."""
        return mask

    def _closed(self, closed: Sequence[str]) -> Sequence[str]:
        """A caller's closed gates with those that this model closes."""
        return closed

    def _context(self, on_context: OnContext | None) -> OnContext | None:
        """A caller's view of the contexts with what this model does to them."""
        return on_context

    def _spread(self, head_mask: LayerHeadMask | None) -> BlockFactors:
        """A caller's mask block by block, once it is clear that the with-block is still open."""
        if self.life.over:
            raise ValueError(
                f"the with-block of {self.name!r} is over; go on with the model that was passed to it, which "
                "is as it was, or open a new block"
            )
        mask: BlockFactors = {}
        mask.update(spread_head_mask(head_mask or {}, self.stacks, self.directions, self.heads).items())
        return mask

    def _matching_logits(self, outputs: Outputs) -> Tensor:
        return self.inner._matching_logits(outputs)

    def _word_logits(self, text_states: Tensor) -> Tensor:
        return self.inner._word_logits(text_states)


class _Blind(_Changed):
    """A model whose text does not see the picture."""

    def __init__(self, inner: VLModel, change: str, short: str, life: _Life) -> None:
        super().__init__(inner, change, short, life)
        if not inner.joint:
            self.directions = {
                stack: tuple(d for d in names if d != TO_IMAGE) for stack, names in inner.directions.items()
            }

    def _closed(self, closed: Sequence[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*closed, TO_IMAGE)))

    def with_random_weights(self, seed: int) -> _Blind:
        """See `VLModel.with_random_weights`; without picture, too."""
        return _Blind(self.inner.with_random_weights(seed), NO_IMAGE, NO_IMAGE, self.life)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which heads are off: (stack, 1-based layer, head) in order, each once, and in which block."""

    heads: tuple[Head, ...]
    direction: str | None

    def off(self, model: VLModel) -> dict[tuple[str, int, str], list[int]]:
        """Heads by block."""
        found: dict[tuple[str, int, str], list[int]] = {}
        for stack, layer, head in self.heads:
            for direction in model.directions[stack] if self.direction is None else (self.direction,):
                found.setdefault((stack, layer, direction), []).append(head)
        return found

    def spelled(self) -> str:
        """Heads by stack and layer: "joint 3:2,5 4:0 text->image"."""
        parts: list[str] = []
        for stack, own in groupby(self.heads, key=lambda head: head[0]):
            parts.append(stack)
            for layer, members in groupby(own, key=lambda head: head[1]):
                parts.append(f"{layer}:{','.join(str(head) for _, _, head in members)}")
        return " ".join([*(parts or ["nothing"]), *([self.direction] if self.direction else [])])

    def short(self) -> str:
        """The same, or number and hash where that is too long for a name."""
        text = self.spelled()
        return text if len(text) <= LONGEST else f"{len(self.heads)} heads #{_digest(text)}"


class _Zeroed(_Changed):
    """A model some of whose heads bring nothing."""

    def __init__(self, inner: VLModel, plan: _Plan, life: _Life) -> None:
        super().__init__(inner, f"off {plan.spelled()}", f"off {plan.short()}", life)
        self.plan = plan
        self.factors = {place: _without(inner, place, off) for place, off in plan.off(inner).items()}

    def _mask(self, mask: BlockFactors) -> BlockFactors:
        for place, own in self.factors.items():
            mask[place] = mask[place] * own.to(mask[place].device) if place in mask else own
        return mask

    def with_random_weights(self, seed: int) -> _Zeroed:
        """See `VLModel.with_random_weights`; without the same heads."""
        return _Zeroed(self.inner.with_random_weights(seed), self.plan, self.life)


class _Averaged(_Changed):
    """A model some of whose heads bring their mean, whatever is asked."""

    def __init__(self, inner: VLModel, plan: _Plan, life: _Life, reference: Sequence[Example]) -> None:
        ids = " ".join(f"{e.dataset}/{e.split}/{e.id}" for e in reference)
        over = f"over {len(reference)} examples #{_digest(ids)}"
        super().__init__(inner, f"mean {plan.spelled()} {over}", f"mean {plan.short()} {over}", life)
        self.plan, self.reference = plan, reference
        self.off = plan.off(inner)
        self.means = _means(inner, set(self.off), reference)
        _check_computed(plan, self.means)

    def _context(self, on_context: OnContext | None) -> OnContext:
        def edit(block: Block, product: Tensor) -> Tensor:
            kept = self._replace(block, product)
            return kept if on_context is None else on_context(block, kept)

        return edit

    def _replace(self, block: Block, product: Tensor) -> Tensor:
        off = self.off.get(_place(block))
        if off is None or block not in self.means:
            return product
        product = product.clone()
        product[:, off] = self.means[block][off][:, None, :].to(product)
        return product

    def with_random_weights(self, seed: int) -> _Averaged:
        """See `VLModel.with_random_weights`; the means are taken afresh, of these weights."""
        return _Averaged(self.inner.with_random_weights(seed), self.plan, self.life, self.reference)


def _checked(model: VLModel, heads: Iterable[Head], direction: str | None) -> tuple[Head, ...]:
    """Heads with layers counted from 1, each once, in the model's order of stacks."""
    found = {_checked_head(model, head, direction) for head in heads}
    order = list(model.stacks)
    return tuple(sorted(found, key=lambda head: (order.index(head[0]), head[1], head[2])))


def _checked_head(model: VLModel, given: Head, direction: str | None) -> Head:
    if not isinstance(given, tuple | list) or len(given) != 3:
        raise ValueError(f"{given!r} is no head; expected (stack, layer, head), as in [('cross', 2, 0)]")
    stack, layer, head = given
    try:
        layer, head = operator.index(layer), operator.index(head)
    except TypeError:
        raise ValueError(f"layer and head of {given!r} are not both whole numbers") from None
    number = layer_number(model.stacks, stack, layer)
    if number == 0:
        raise ValueError(f"{given!r}: layer 0 has no heads; stack {stack!r} has 1 to {model.stacks[stack]}")
    many = model.heads(stack, direction)
    if not 0 <= head < many:
        raise ValueError(f"{given!r}: head is {head}; a layer of stack {stack!r} has 0 to {many - 1}")
    return stack, number, head


def _without(model: VLModel, place: tuple[str, int, str], off: list[int]) -> Tensor:
    """`(head,)` factors of a block: 0 for heads that are off, else 1."""
    stack, _, direction = place
    factors = torch.ones(model.heads(stack, direction))
    factors[off] = 0
    return factors


@torch.no_grad()
def _means(model: VLModel, wanted: set[tuple[str, int, str]], reference: Sequence[Example]) -> Means:
    """What the heads of some blocks bring, averaged over valid positions of the reference examples."""
    sums: Means = {}
    counts: dict[Block, int] = {}

    def recorder(layout: Layout) -> OnContext:
        def hear(block: Block, product: Tensor) -> Tensor:
            if _place(block) in wanted:
                valid = layout.streams[query_of(block.direction)].valid
                brought = product.transpose(1, 2)[valid].cpu().double().sum(dim=0)
                sums[block] = sums[block] + brought if block in sums else brought
                counts[block] = counts.get(block, 0) + int(valid.sum())
            return product

        return hear

    for first in range(0, len(reference), REFERENCE_BATCH):
        batch = model.prepare([*reference[first : first + REFERENCE_BATCH]])
        model.run(batch, on_context=recorder(batch.layout))
    return {block: total / counts[block] for block, total in sums.items() if counts[block]}


def _check_computed(plan: _Plan, means: Means) -> None:
    """A head whose blocks are all closed brings nothing that could be averaged."""
    there = {(block.stack, block.layer) for block in means}
    for stack, layer, _ in plan.heads:
        if (stack, layer) not in there:
            raise ValueError(
                f"{plan.direction or 'no block'} of layer {layer} in stack {stack!r} was not computed on the "
                "reference examples (they have no regions, or its gate is closed): there is no mean"
            )


def _place(block: Block) -> tuple[str, int, str]:
    return block.stack, block.layer, block.direction


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=4).hexdigest()
