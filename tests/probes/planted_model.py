"""A model without weights: states and attention are made by hand, example by example."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from value_nb.data.example import Example
from value_nb.layout import LayerBatch, Layout, PositionClass, StreamLayout
from value_nb.models.base import Batch, Outputs, VLModel, as_examples

Place = tuple[str, int]
"""Stack and layer."""

STREAMS = ("text", "image")
DIRECTIONS = ("text->text", "text->image", "image->text", "image->image")
STATE_OF_PADDING, WEIGHT_OF_PADDING = 1e3, 7.0  # whoever reads padding finds nothing that could be true


@dataclass(frozen=True)
class Positions:
    """Where an example's words and regions stand, in one row: the text, then the image.

    Attributes
    ----------
    text, image
        `(position of the stream,)`: the word or region there, -1 for specials.
    """

    text: np.ndarray
    image: np.ndarray

    def __len__(self) -> int:
        return len(self.text) + len(self.image)

    @property
    def is_text(self) -> np.ndarray:
        """`(position,)` bool: the text stream, specials and all."""
        return np.arange(len(self)) < len(self.text)

    @property
    def special(self) -> np.ndarray:
        """`(position,)` bool."""
        return np.concatenate([self.text, self.image]) < 0

    def words(self, units: Sequence[int] | None = None) -> np.ndarray:
        """`(position,)` bool: the pieces of some words, or of all."""
        return self._of(self.text, units, self.is_text)

    def regions(self, units: Sequence[int] | None = None) -> np.ndarray:
        """`(position,)` bool: some regions, or all."""
        return self._of(self.image, units, ~self.is_text)

    def stream(self, name: str) -> slice:
        """The positions of a stream."""
        return slice(0, len(self.text)) if name == "text" else slice(len(self.text), len(self))

    def _of(self, stream: np.ndarray, units: Sequence[int] | None, where: np.ndarray) -> np.ndarray:
        found = np.zeros(len(self), dtype=bool)
        found[where] = stream >= 0 if units is None else np.isin(stream, list(units))
        return found


@dataclass
class PlantedModel(VLModel):
    """Publishes what `states` and `rows` make; subclasses say what that is.

    Attributes
    ----------
    stacks
        Stack -> layers. "text" and "image" are of one stream, any other stack is of both.
    joint
        True: rows are shares of one softmax. False: every block is scaled to add up to one by itself.
    pieces
        Positions of a word.
    """

    stacks: dict[str, int] = field(default_factory=lambda: {"joint": 2})
    joint: bool = True
    width: int = 5
    n_heads: int = 3
    pieces: int = 1
    weights: str = "trained"
    name: str = "planted"
    family: str = "planted"
    gate_met: bool | None = True

    def __post_init__(self) -> None:
        self.card: dict[str, Any] = {"gate_met": self.gate_met}
        self.widths = dict.fromkeys(STREAMS, self.width)
        self.directions = {
            stack: (f"{stack}->{stack}",) if stack in STREAMS else DIRECTIONS for stack in self.stacks
        }
        self.max_positions, self.module, self.words = 10**6, None, None  # type: ignore[assignment]

    def states(self, at: Place, example: Example, where: Positions) -> np.ndarray:
        """`(position, width)`; nothing but zeros unless a subclass says more."""
        return np.zeros((len(where), self.width))

    def rows(self, at: Place, example: Example, where: Positions) -> np.ndarray:
        """`(head, position, position)`: what each position gives to each; an even spread."""
        return np.full((self.n_heads, len(where), len(where)), 1 / len(where))

    @property
    def config(self) -> None:
        """There is none."""

    def heads(self, stack: str, direction: str | None = None) -> int:
        return self.n_heads

    def prepare(self, examples: Example | Sequence[Example]) -> Batch:
        many = as_examples(examples)
        text = [[-1, *np.repeat(np.arange(len(e.words)), self.pieces).tolist(), -1] for e in many]
        image = [[*range(len(e.regions or ()))] for e in many]
        kinds = {"text": (text, PositionClass.TEXT), "image": (image, PositionClass.IMAGE)}
        return Batch({}, Layout(many, {stream: stream_of(*kind) for stream, kind in kinds.items()}))

    def run(
        self,
        batch: Any,
        on_layer: Callable[[LayerBatch], None] | None = None,
        head_mask: Any = None,
        closed: Sequence[str] = (),
        on_context: Any = None,
    ) -> Outputs:
        if head_mask or on_context is not None:
            raise ValueError("what is made by hand cannot be ablated: it follows from no context")
        where = [Positions(*units) for units in zip(*(_units(batch.layout, s) for s in STREAMS), strict=True)]
        for stack, depth in self.stacks.items():
            for layer in range(depth + 1):
                hidden, maps = self._layer((stack, layer), batch.layout, where, closed)
                if on_layer is not None:
                    on_layer(LayerBatch(batch.layout, stack, layer, hidden, maps, self.joint))
        return Outputs(hidden, {}, batch.layout)

    def _layer(
        self, at: Place, layout: Layout, where: list[Positions], closed: Sequence[str]
    ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        n, sizes = len(where), {s: layout.streams[s].unit.shape[1] for s in STREAMS}
        hidden = {
            s: torch.full((n, sizes[s], self.width), STATE_OF_PADDING)
            for s in STREAMS
            if at[0] not in STREAMS or s == at[0]
        }
        maps = {d: torch.full((n, self.n_heads, *sizes_of(d, sizes)), WEIGHT_OF_PADDING)
                for d in self.directions[at[0]] if at[1] and min(sizes_of(d, sizes))
                and (self.joint or d not in closed)}  # fmt: skip
        for row, (example, mine) in enumerate(zip(layout.examples, where, strict=True)):
            states = torch.from_numpy(self.states(at, example, mine)).float()
            for stream, block in hidden.items():
                part = states[mine.stream(stream)]
                block[row, : len(part)] = part
            if maps:
                whole = self._whole(self.rows(at, example, mine), mine, closed)
                for direction, block in maps.items():
                    q, k = (mine.stream(s) for s in direction.split("->"))
                    part = torch.from_numpy(whole[:, q, k]).float()
                    block[row, :, : part.shape[1], : part.shape[2]] = part
        return hidden, maps

    def _whole(self, rows: np.ndarray, where: Positions, closed: Sequence[str]) -> np.ndarray:
        """The rows with closed blocks left out before the softmax, and softmaxes as the model has them."""
        made = np.array(rows, dtype=np.float64)
        for direction in closed if self.joint else ():
            query, key = (where.stream(s) for s in direction.split("->"))
            made[:, query, key] = 0.0
            made[:, query] = _scaled(made[:, query])
        for stream in () if self.joint else STREAMS:
            made[..., where.stream(stream)] = _scaled(made[..., where.stream(stream)])
        return made

    def with_random_weights(self, seed: int) -> PlantedModel:
        raise NotImplementedError("a subclass says what it is without what was planted")

    def _matching_logits(self, outputs: Outputs) -> torch.Tensor:
        raise ValueError(f"{self.name} has no matching head")

    def _word_logits(self, text_states: torch.Tensor) -> torch.Tensor:
        raise ValueError(f"{self.name} has no word head")


def stream_of(units: list[list[int]], kind: PositionClass) -> StreamLayout:
    """A stream whose positions belong to these units, -1 for specials; padded to the longest."""
    longest = max(map(len, units))
    shape = (len(units), longest)
    unit, classes = torch.full(shape, -1), torch.zeros(shape, dtype=torch.long)
    for row, mine in enumerate(units):
        unit[row, : len(mine)] = torch.tensor(mine, dtype=torch.long)
        classes[row, : len(mine)] = torch.tensor(
            [PositionClass.SPECIAL if u < 0 else kind for u in mine], dtype=torch.long
        )
    return StreamLayout(classes, unit, tuple(tuple("x" for _ in mine) for mine in units))


def sizes_of(direction: str, sizes: dict[str, int]) -> tuple[int, int]:
    """Queries and keys of a direction."""
    query, key = direction.split("->")
    return sizes[query], sizes[key]


def _units(layout: Layout, stream: str) -> Iterator[np.ndarray]:
    """For each example the units of its valid positions."""
    there = layout.streams[stream]
    for unit, valid in zip(there.unit.numpy(), there.valid.numpy(), strict=True):
        yield unit[valid]


def _scaled(rows: np.ndarray) -> np.ndarray:
    """Rows that add up to one; an even spread where there is nothing to scale."""
    total = rows.sum(axis=-1, keepdims=True)
    even = 1 / max(rows.shape[-1], 1)
    return np.where(total > 0, rows / np.where(total > 0, total, 1.0), even)
