"""The one face of every model: prepare a batch, run it, trace an example, match, fill in masked words."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np
import torch
from torch import Tensor, nn

from value_nb import quality_gate
from value_nb.data.example import Example
from value_nb.layout import Layout, PositionClass, StreamLayout
from value_nb.models.publish import LayerHeadMask, OnContext, OnLayer
from value_nb.models.words import Sentence, WordPieces
from value_nb.trace import Trace, TraceBuilder

if TYPE_CHECKING:
    from value_nb.sanity import SanityGate


@dataclass(frozen=True, slots=True)
class Batch:
    """What a model's forward takes, and what stands at each position, both made from the same sentences."""

    inputs: dict[str, Tensor]
    layout: Layout


@dataclass(frozen=True, slots=True)
class Outputs:
    """Last states by stream `(example, position, width)`, pooled outputs, and the layout of the batch."""

    hidden: dict[str, Tensor]
    pooled: dict[str, Tensor]
    layout: Layout


@dataclass(frozen=True, slots=True)
class MaskedWords:
    """What a model says about one masked word of each example, all pieces of which were masked.

    Attributes
    ----------
    log_probability
        `(example,)` sum over the word's pieces of the natural logarithm of the true piece's probability.
    correct
        `(example,)` bool: the arg max is right on every piece.
    pieces
        `(example,)` number of pieces of the word.
    predicted
        For each example the arg max pieces, as text.
    """

    log_probability: np.ndarray
    correct: np.ndarray
    pieces: np.ndarray
    predicted: tuple[tuple[str, ...], ...]


class VLModel(ABC):
    """A pre-trained transformer as probes see it: stacks of published layers, streams, directions.

    Attributes
    ----------
    name, family
        What it was loaded as, and whose recipe it is.
    weights
        "trained" or "random:SEED".
    stacks
        Stack -> number of layers: {"joint": 12}, {"text": 9, "image": 5, "cross": 5} or {"text": 12}.
    joint
        One softmax covers both modalities.
    directions
        Stack -> the directions ("query->key") that it has maps for.
    widths
        Stream -> width of its states.
    card
        The quality card beside the weights, {} where there is none or the weights are random.
    module
        The torch module behind it, in evaluation mode.
    changes
        What was taken away from it (`value_nb.ablate_heads`, `value_nb.without_image`); also in its name.
    picture_input
        What it is fed with of a picture: "regions" (boxes and features) or "pixels" (the picture's file).
    notes
        How its files were read, one sentence each: what told its sizes, which head scores a match, what the
        file holds and the model does not use. () for the kit's own folders, which say it all themselves.
    """

    name: str
    family: str
    weights: str
    stacks: dict[str, int]
    joint: bool
    directions: dict[str, tuple[str, ...]]
    widths: dict[str, int]
    max_positions: int
    card: dict[str, Any]
    module: nn.Module
    words: WordPieces
    changes: tuple[str, ...] = ()
    picture_input: str = "regions"
    notes: tuple[str, ...] = ()

    @property
    @abstractmethod
    def config(self) -> Any:
        """The record of sizes and conventions."""

    @abstractmethod
    def heads(self, stack: str, direction: str | None = None) -> int:
        """Return the number of heads of a stack's layers, or of one direction of them.

        ValueError where the directions of the stack differ (ViLBERT's cross layers) and none is named.
        """

    @abstractmethod
    def prepare(self, examples: Example | Sequence[Example]) -> Batch:
        """Pieces, regions and layout of some examples.

        ValueError for a caption longer than the model takes (never cut off without a word), and for regions
        without features or with features of another width.
        """

    @abstractmethod
    def run(
        self,
        batch: Batch,
        on_layer: OnLayer | None = None,
        head_mask: LayerHeadMask | None = None,
        closed: Sequence[str] = (),
        on_context: OnContext | None = None,
    ) -> Outputs:
        """Run a batch, without gradients.

        Parameters
        ----------
        batch
            From `prepare`; it is not written into.
        on_layer
            Called with each published layer as soon as it is made. A map is freed when its layer has been
            published, unless the listener keeps it; without a listener none is kept.
        head_mask
            (stack, layer) or (stack, layer, direction) -> `(head,)` factors on what a head brings
            (probabilities times values) in all blocks, or in that block only. Nothing is renormalised; the
            maps that are published are those before masking.
        closed
            Directions that are switched off everywhere. In a joint softmax the block's keys are masked before
            it: the rest of the row sums to one and the published block is zero. In co-attention the stream
            passes the sublayer unchanged and the block is not published.
        on_context
            Called with every block and what its heads bring (probabilities times values), before
            `head_mask`; what it returns, of the same shape, goes on instead.
        """

    @abstractmethod
    def with_random_weights(self, seed: int) -> VLModel:
        """Return the same architecture with fresh weights, on the same device; this model is left as it is.

        The control for everything that training may have brought: normal with the config's
        initializer_range, norms 1 and 0, biases 0, the same for the same seed. It has no card.
        """

    @abstractmethod
    def _matching_logits(self, outputs: Outputs) -> Tensor:
        """Logit of match against no match, `(example,)`; ValueError where the model has no such head."""

    @abstractmethod
    def _word_logits(self, text_states: Tensor) -> Tensor:
        """`(..., width)` -> `(..., vocabulary)`; ValueError where the model has no such head."""

    @property
    def gate_met(self) -> bool | None:
        """Whether the model is good enough for its figures; None where nobody measured, or it is undecided.

        The card says so, or a measured gate in it (`with_card`); it is False where either is missed.
        """
        return quality_gate.answer(self.card)

    def with_card(self, card: SanityGate | Mapping[str, Any]) -> Self:
        """Return the same model, sharing its weights, with another card; this one is left as it is.

            gate = vnb.sanity_gate(model, data)
            model = model.with_card(gate)          # sweeps of it measure no more, and their figures say it

        Parameters
        ----------
        card
            A gate that was measured on this model, which is put into the card there is; or a dict, which
            takes the card's place.

        Raises
        ------
        ValueError
            For a gate of another model, and for anything else.
        """
        other = copy.copy(self)
        other.card = quality_gate.with_gate(self.card, card, self.name)
        return other

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.module.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """What it computes in."""
        return next(self.module.parameters()).dtype

    @property
    def n_parameters(self) -> int:
        """Number of weights, tied ones counted once."""
        return sum(p.numel() for p in self.module.parameters())

    @overload
    def trace(
        self, examples: Example, head_mask: LayerHeadMask | None = None, closed: Sequence[str] = ()
    ) -> Trace: ...

    @overload
    def trace(
        self, examples: Sequence[Example], head_mask: LayerHeadMask | None = None, closed: Sequence[str] = ()
    ) -> list[Trace]: ...

    def trace(
        self,
        examples: Example | Sequence[Example],
        head_mask: LayerHeadMask | None = None,
        closed: Sequence[str] = (),
    ) -> Trace | list[Trace]:
        """Everything about one example: a `Trace`; for a list of examples, a list of them."""
        if isinstance(examples, Example):
            return self._trace_one(examples, head_mask, closed)
        return [self._trace_one(example, head_mask, closed) for example in as_examples(examples)]

    def _trace_one(self, example: Example, head_mask: LayerHeadMask | None, closed: Sequence[str]) -> Trace:
        batch = self.prepare(example)
        builder = TraceBuilder(
            self.name, self.weights, self.stacks, self.directions, self.joint, batch.layout
        )
        self.run(batch, builder.add, head_mask, closed)
        return builder.build()

    def matching(self, examples: Example | Sequence[Example], batch_size: int = 32) -> np.ndarray:
        """`(example,)` probability that caption and picture belong together, in [0, 1].

        ValueError where the model has no matching head, and for examples without regions.
        """
        examples = as_examples(examples)
        seen = [e.image if self.picture_input == "pixels" else len(e.regions or ()) for e in examples]
        if bare := [e.id for e, given in zip(examples, seen, strict=True) if not given]:
            raise ValueError(
                f"matching needs a picture; these examples have no regions: {', '.join(bare[:5])}"
            )
        parts = [self._matching_logits(self.run(self.prepare(part))) for part in _parts(examples, batch_size)]
        return torch.cat(parts).sigmoid().float().cpu().numpy() if parts else np.zeros(0, dtype=np.float32)

    def masked_words(
        self, examples: Example | Sequence[Example], word_indices: Sequence[int], batch_size: int = 32
    ) -> MaskedWords:
        """Mask one word of each example, all its pieces at once, and ask the model for it.

        `word_indices`: for each example the index of the word in `Example.words`. ValueError where the
        numbers differ, an index is outside, or the model has no word head.
        """
        examples = as_examples(examples)
        _check_words(examples, word_indices)
        found: list[tuple[float, bool, tuple[str, ...]]] = []
        for first in range(0, len(examples), batch_size):
            part = slice(first, first + batch_size)
            found += self._masked_part(examples[part], list(word_indices[part]))
        return MaskedWords(
            log_probability=np.array([p for p, _, _ in found]),
            correct=np.array([right for _, right, _ in found], dtype=bool),
            pieces=np.array([len(tokens) for _, _, tokens in found], dtype=int),
            predicted=tuple(tokens for _, _, tokens in found),
        )

    def _masked_part(
        self, examples: tuple[Example, ...], word_indices: list[int]
    ) -> list[tuple[float, bool, tuple[str, ...]]]:
        batch = self.prepare(examples)
        truth = batch.inputs["input_ids"]
        wanted = torch.tensor(word_indices, device=truth.device)[:, None]
        hidden = batch.layout.streams["text"].unit == wanted
        masked = {**batch.inputs, "input_ids": truth.masked_fill(hidden, self.words.mask)}
        states = self.run(Batch(masked, batch.layout)).hidden["text"]
        found = []
        for index in range(len(examples)):
            with torch.no_grad():
                scores = self._word_logits(states[index, hidden[index]]).float().log_softmax(-1)
            true, best = truth[index, hidden[index]], scores.argmax(-1)
            probability = scores.gather(-1, true[:, None]).sum().item()
            tokens = tuple(self.words.token(piece) for piece in best.tolist())
            found.append((probability, bool((best == true).all()), tokens))
        return found

    def __repr__(self) -> str:
        stacks = ", ".join(f"{layers} {stack}" for stack, layers in self.stacks.items())
        return f"{type(self).__name__}({self.name!r}, {self.family}, {stacks} layers, {self.weights} weights)"


def as_examples(examples: Example | Sequence[Example]) -> tuple[Example, ...]:
    """One example or many -> a tuple; ValueError for anything else, and for none at all."""
    many = (examples,) if isinstance(examples, Example) else tuple(examples)
    if wrong := [type(e).__name__ for e in many if not isinstance(e, Example)]:
        raise ValueError(f"expected examples of a data set, got {wrong[0]}")
    if not many:
        raise ValueError("expected at least one example, got none")
    return many


def text_inputs(
    words: WordPieces, examples: Sequence[Example], most: int, device: torch.device
) -> tuple[dict[str, Tensor], StreamLayout]:
    """input_ids and text_mask `(example, position)`, padded right, and the text stream's layout."""
    sentences = [words.sentence(example.words) for example in examples]
    for example, sentence in zip(examples, sentences, strict=True):
        if len(sentence.ids) > most:
            raise ValueError(
                f"the caption of example {example.id!r} takes {len(sentence.ids)} positions, [CLS] and [SEP] "
                f"included; this model takes {most}. Leave it out, or shorten it before."
            )
    length = max(len(s.ids) for s in sentences)
    ids = _padded([s.ids for s in sentences], length, words.pad, device)
    layout = StreamLayout(
        position_class=_padded([_text_classes(s) for s in sentences], length, PositionClass.PAD, device),
        unit=_padded([s.words for s in sentences], length, -1, device),
        tokens=tuple(s.tokens for s in sentences),
    )
    return {"input_ids": ids, "text_mask": layout.valid.long()}, layout


def _text_classes(sentence: Sentence) -> list[int]:
    return [PositionClass.SPECIAL if word < 0 else PositionClass.TEXT for word in sentence.words]


def _padded(rows: Sequence[Sequence[int]], length: int, filler: int, device: torch.device) -> Tensor:
    full = [[*map(int, row), *[int(filler)] * (length - len(row))] for row in rows]
    return torch.tensor(full, dtype=torch.long, device=device)


def _parts(examples: tuple[Example, ...], size: int) -> list[tuple[Example, ...]]:
    if size < 1:
        raise ValueError(f"batch_size is {size}; expected at least 1")
    return [examples[first : first + size] for first in range(0, len(examples), size)]


def _check_words(examples: Sequence[Example], word_indices: Sequence[int]) -> None:
    if len(word_indices) != len(examples):
        raise ValueError(
            f"{len(examples)} examples and {len(word_indices)} word indices; expected one for each"
        )
    for example, index in zip(examples, word_indices, strict=True):
        if not 0 <= index < len(example.words):
            raise ValueError(
                f"word index {index} in example {example.id!r}, which has {len(example.words)} words"
            )
