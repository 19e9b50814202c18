"""A finished trace, handed out again layer by layer: any probe can look at one example."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch

from value_nb.layout import LayerBatch, Layout, StreamLayout

if TYPE_CHECKING:
    from torch import Tensor

    from value_nb.trace import StreamPositions, Trace


def as_batches(trace: Trace) -> Iterator[LayerBatch]:
    """The layers of a trace as batches of one example, with their attention maps and no states.

    Layer 0, which has no maps, is left out.
    """
    layout = Layout((trace.example,), {name: _stream(one) for name, one in trace.streams.items()})
    for (stack, layer), maps in trace.maps.items():
        attention = {direction: torch.from_numpy(block)[None] for direction, block in maps.items()}
        yield LayerBatch(layout, stack, layer, {}, attention, trace.joint)


def _stream(positions: StreamPositions) -> StreamLayout:
    shares, loose, boxes = positions.shares, positions.loose, positions.boxes
    return StreamLayout(
        position_class=_row(positions.position_class),
        unit=_row(positions.unit),
        tokens=(positions.tokens,),
        shares=None if shares is None else _row(shares.T),
        loose=None if loose is None else _row(loose),
        boxes=None if boxes is None else _row(boxes),
    )


def _row(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))[None]
