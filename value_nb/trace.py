"""What one forward pass did: hidden states and attention maps of one example, with named axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from value_nb.layout import LayerBatch, Layout, PositionClass, StreamLayout
from value_nb.models.gates import DIRECTIONS, STREAMS, key_of, query_of
from value_nb.models.publish import check_direction, layer_number

if TYPE_CHECKING:
    from torch import Tensor

    from value_nb.data.example import Example

JOINT = "joint"
TRAINED = "trained"  # weights that were not drawn at random
UNASSIGNED = "unassigned"
UNITS = ("word", "position")
REGIONS, PATCHES = "regions", "patches"


@dataclass(frozen=True, slots=True)
class StreamPositions:
    """The positions of one stream of one example, without padding.

    Attributes
    ----------
    tokens
        One for each position: "[CLS]", "man", "##n", "r3 dog".
    position_class
        `(position,)` of `PositionClass`.
    unit
        `(position,)` word or region index, -1 on specials; where a patch lies in several regions, the one
        with the largest share of it.
    labels
        One for each word or region: row i of a pooled matrix is word i, or region i.
    shares
        `(unit, position)` in [0, 1]: area of a patch inside a region / area of the patch; None where every
        position belongs to one unit or none.
    loose
        `(position,)` in [0, 1]: the part of a position that is in no unit; None where `shares` is.
    boxes
        `(position, 4)`: the patch that a position is, x1 y1 x2 y2 as fractions of the picture, nan on
        specials; None where positions are no patches.
    """

    tokens: tuple[str, ...]
    position_class: np.ndarray
    unit: np.ndarray
    labels: tuple[str, ...]
    shares: np.ndarray | None = None
    loose: np.ndarray | None = None
    boxes: np.ndarray | None = None

    @property
    def membership(self) -> np.ndarray:
        """`(unit, position)` float in [0, 1]: the part of the position that is in the word or region."""
        if self.shares is not None:
            return self.shares
        return (np.arange(len(self.labels))[:, None] == self.unit[None, :]).astype(float)

    @property
    def unassigned(self) -> np.ndarray:
        """`(position,)` float in [0, 1]: the part of the position that is in no word or region."""
        return (self.unit < 0).astype(float) if self.loose is None else self.loose

    @property
    def patches(self) -> StreamPositions:
        """The same positions with each patch as a unit of its own.

        Raises
        ------
        ValueError
            Where positions are no patches.
        """
        if self.boxes is None:
            raise ValueError(
                "this model has no patches: its image positions are regions. Leave image='regions'"
            )
        own = self.position_class == PositionClass.IMAGE
        unit = np.where(own, np.cumsum(own) - 1, -1)
        labels = tuple(token for token, mine in zip(self.tokens, own, strict=True) if mine)
        return StreamPositions(self.tokens, self.position_class, unit, labels, boxes=self.boxes)


@dataclass(frozen=True, slots=True)
class Trace:
    """Everything that one forward pass did to one example.

    Attributes
    ----------
    example
        What went in.
    model, weights
        The model's name, and "trained" or "random:SEED".
    stacks
        Stack -> number of layers.
    directions
        Stack -> directions that have maps.
    joint
        The rows of "text->text" and "text->image" share one softmax.
    hidden
        stack -> stream -> list over layers 0 .. n of `(position, width)`.
    maps
        (stack, layer) -> direction -> `(head, query, key)`, raw blocks.
    streams
        stream -> its positions.
    """

    example: Example
    model: str
    weights: str
    stacks: dict[str, int]
    directions: dict[str, tuple[str, ...]]
    joint: bool
    hidden: dict[str, dict[str, list[np.ndarray]]]
    maps: dict[tuple[str, int], dict[str, np.ndarray]]
    streams: dict[str, StreamPositions]

    @property
    def named(self) -> str:
        """The model's name; with its weights where they are not trained: "mini-uniter (random:0)"."""
        return self.model if self.weights == TRAINED else f"{self.model} ({self.weights})"

    def attention(
        self,
        direction: str,
        layer: int,
        head: int | str | None = "mean",
        stack: str | None = None,
        unit: str = "word",
        image: str = REGIONS,
    ) -> pd.DataFrame:
        """One attention map as a labelled matrix: rows look (queries), columns are looked at (keys).

        Parameters
        ----------
        direction
            "text->image" and so on, or "joint": all blocks of a single-stream model in one matrix.
        layer
            1-based; negatives count from the end.
        head
            0-based, or "mean" (the same as None) over heads.
        stack
            By default the only stack that has the direction, else "cross".
        unit
            "word": rows and columns are words and regions. Attention *to* a word is the sum over its pieces,
            *from* a word the mean over them; the last column, "unassigned", holds what goes to specials, so
            that a row's sum is that of the raw block (one only where the block has a softmax of its own).
            "position": the raw block.

            Where a model looks at patches, attention *to* a region is the sum over patches of the attention
            times the share of the patch that lies in the region (area inside / area of the patch), *from* a
            region the mean over patches weighted by these shares; "unassigned" also holds what goes to parts
            of the picture in no region. Overlapping regions each get their share of a patch, so a row's sum
            is then larger than the block's by what was counted twice.
        image
            "regions", or "patches": rows and columns of the picture are the patches themselves, which never
            overlap; where they lie says `boxes("patches")`.

        Raises
        ------
        ValueError
            For a direction, stack, layer, head or unit that there is not; it lists those there are. For
            image="patches" of a model that has none.
        """
        stack = self._stack(direction, stack)
        place = (stack, layer_number(self.stacks, stack, layer))
        if place[1] == 0:
            raise ValueError("layer 0 is what enters the stack: it has states and no attention")
        if unit not in UNITS:
            raise ValueError(f"unit is {unit!r}; valid: {', '.join(map(repr, UNITS))}")
        streams = self._streams(image)
        if direction == JOINT:
            return self._joint(place, head, unit, streams)
        if direction not in self.maps[place]:
            raise ValueError(
                f"{direction!r} was not computed in layer {place[1]} of stack {stack!r} (its gate was "
                f"closed); computed: {', '.join(map(repr, self.maps[place])) or 'nothing'}"
            )
        return self._block(direction, place, head, unit, streams)

    def boxes(self, image: str = REGIONS) -> np.ndarray:
        """`(region or patch, 4)`, x1 y1 x2 y2 as fractions of the picture: where a map's image labels lie.

        Parameters
        ----------
        image
            "regions" or "patches", as in `attention`.

        Raises
        ------
        ValueError
            For a trace without a picture, another `image`, and patches of a model that has none.
        """
        streams = self._streams(image)
        if "image" not in streams or self.example.regions is None:
            raise ValueError(
                f"{self.model} saw no picture of example {self.example.id!r}: there are no boxes"
            )
        positions = streams["image"]
        if image == REGIONS or positions.boxes is None:
            return np.array(self.example.regions.boxes, dtype=float)
        return np.array(positions.boxes[positions.unit >= 0], dtype=float)

    @property
    def positions(self) -> pd.DataFrame:
        """One row for each position: stream, position, class, token, word, region, box (x1 y1 x2 y2).

        A patch has its own box, and the region that has the largest share of it.
        """
        rows = [row for stream in self.streams for row in self._position_rows(stream)]
        frame = pd.DataFrame(rows, columns=["stream", "position", "class", "token", "word", "region", "box"])
        return frame.astype({"word": "Int64", "region": "Int64"})

    def __repr__(self) -> str:
        stacks = ", ".join(f"{n} {stack}" for stack, n in self.stacks.items())
        sizes = " + ".join(f"{len(s.tokens)} {name} positions" for name, s in self.streams.items())
        return f"Trace({self.model!r}, example {self.example.id!r}, {stacks} layers, {sizes})"

    def _stack(self, direction: str, stack: str | None) -> str:
        known = {s: (*d, JOINT) if self.joint else d for s, d in self.directions.items()}
        if not (direction == JOINT and self.joint):
            check_direction(direction, self.directions)
        having = [s for s, names in known.items() if direction in names]
        if stack is None:
            return having[0] if len(having) == 1 else "cross"
        if stack not in having:
            raise ValueError(f"stack is {stack!r}; {direction!r} is in {', '.join(map(repr, having))}")
        return stack

    def _streams(self, image: str) -> dict[str, StreamPositions]:
        """The positions of each stream, those of the picture grouped as asked."""
        if image not in (REGIONS, PATCHES):
            raise ValueError(f"image is {image!r}; valid: {REGIONS!r}, {PATCHES!r}")
        if image == REGIONS:
            return self.streams
        if "image" not in self.streams:
            raise ValueError(f"{self.model} sees no picture: there are no patches")
        return {**self.streams, "image": self.streams["image"].patches}

    def _block(
        self,
        direction: str,
        place: tuple[str, int],
        head: int | str | None,
        unit: str,
        streams: dict[str, StreamPositions],
    ) -> pd.DataFrame:
        block = _pick_head(self.maps[place][direction], head)
        queries, keys = streams[query_of(direction)], streams[key_of(direction)]
        if unit == "position":
            return _frame(block, queries.tokens, keys.tokens)
        return _frame(pool(block, queries, keys), queries.labels, (*keys.labels, UNASSIGNED))

    def _joint(
        self,
        place: tuple[str, int],
        head: int | str | None,
        unit: str,
        streams: dict[str, StreamPositions],
    ) -> pd.DataFrame:
        rows = []
        for query in STREAMS:
            blocks = [self._block(f"{query}->{key}", place, head, unit, streams) for key in STREAMS]
            if unit == "word":
                rest = blocks[0][[UNASSIGNED]] + blocks[1][[UNASSIGNED]]
                blocks = [*(block.iloc[:, :-1] for block in blocks), rest]
            rows.append(np.concatenate([block.to_numpy() for block in blocks], axis=1))
            columns = [label for block in blocks for label in block.columns]
        names = [
            label for s in STREAMS for label in (streams[s].labels if unit == "word" else streams[s].tokens)
        ]
        return _frame(np.concatenate(rows), names, columns)

    def _position_rows(self, stream: str) -> list[tuple[object, ...]]:
        positions, regions = self.streams[stream], self.example.regions
        rows: list[tuple[object, ...]] = []
        for place, (token, kind, unit) in enumerate(
            zip(positions.tokens, positions.position_class, positions.unit, strict=True)
        ):
            name, index = PositionClass(int(kind)).name.lower(), int(unit) if unit >= 0 else None
            word, region = (index, None) if stream == "text" else (None, index)
            box = None if region is None or regions is None else tuple(map(float, regions.boxes[region]))
            if positions.boxes is not None and int(kind) == PositionClass.IMAGE:
                box = tuple(map(float, positions.boxes[place]))
            rows.append((stream, place, name, token, word, region, box))
        return rows


def pool(block: np.ndarray, queries: StreamPositions, keys: StreamPositions) -> np.ndarray:
    """`(query, key)` positions -> `(word or region, word or region + unassigned)`.

    Sum over the pieces of what is looked at, each times the share of it that is looked at; mean over the
    pieces of what looks, weighted by shares. Rows keep their sum, unless regions overlap.
    """
    rows = queries.membership
    weight = rows.sum(axis=1, keepdims=True)
    rows = np.divide(rows, weight, out=np.zeros_like(rows), where=weight > 0)
    columns = np.concatenate([keys.membership, keys.unassigned[None, :]])
    return rows @ block @ columns.T


@dataclass(slots=True)
class TraceBuilder:
    """Collects the published layers of one example; `add` is the listener of `VLModel.run`."""

    model: str
    weights: str
    stacks: dict[str, int]
    directions: dict[str, tuple[str, ...]]
    joint: bool
    layout: Layout
    hidden: dict[str, dict[str, list[np.ndarray]]] = field(default_factory=dict)
    maps: dict[tuple[str, int], dict[str, np.ndarray]] = field(default_factory=dict)

    def add(self, batch: LayerBatch) -> None:
        """Take a published layer of a batch of one."""
        for stream, states in batch.hidden.items():
            layers = self.hidden.setdefault(batch.stack, {}).setdefault(stream, [])
            layers.append(_numpy(states[0]))
        if batch.layer:
            self.maps[batch.stack, batch.layer] = {
                d: _numpy(batch.attention[d][0]) for d in DIRECTIONS if d in batch.attention
            }

    def build(self) -> Trace:
        """Return the finished trace."""
        example = self.layout.examples[0]
        streams = {name: _positions(name, stream, example) for name, stream in self.layout.streams.items()}
        return Trace(
            example=example,
            model=self.model,
            weights=self.weights,
            stacks=dict(self.stacks),
            directions=dict(self.directions),
            joint=self.joint,
            hidden=self.hidden,
            maps=self.maps,
            streams=streams,
        )


def _positions(name: str, stream: StreamLayout, example: Example) -> StreamPositions:
    labels: tuple[str, ...] = example.words
    if name == "image":
        names = () if example.regions is None else example.regions.names
        labels = tuple(f"r{index} {label}".rstrip() for index, label in enumerate(names))
    split = stream.shares is not None
    return StreamPositions(
        tokens=stream.tokens[0],
        position_class=stream.position_class[0].cpu().numpy(),
        unit=stream.unit[0].cpu().numpy(),
        labels=labels,
        shares=_numpy(stream.membership(len(labels))[0]).T if split else None,
        loose=_numpy(stream.unassigned[0]) if split else None,
        boxes=None if stream.boxes is None else _numpy(stream.boxes[0]),
    )


def _pick_head(block: np.ndarray, head: int | str | None) -> np.ndarray:
    if head is None or head == "mean":
        return block.mean(axis=0)
    if isinstance(head, str) or not 0 <= head < len(block):
        raise ValueError(f"head is {head!r}; valid: 0 to {len(block) - 1}, or 'mean'")
    return block[head]


def _frame(values: np.ndarray, rows: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    index, header = pd.Index(list(rows), name="query"), pd.Index(list(columns), name="key")
    return pd.DataFrame(values, index=index, columns=header)


def _numpy(tensor: Tensor) -> np.ndarray:
    """Copy a tensor in at least float32; a float64 model's stays float64."""
    wide = tensor if tensor.dtype == torch.float64 else tensor.float()
    return wide.detach().cpu().numpy().copy()
