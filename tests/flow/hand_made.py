"""A trace written by hand: three words, two regions, two heads; its lines are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from value_nb.data.example import Example, Regions
from value_nb.layout import PositionClass
from value_nb.trace import StreamPositions, Trace

HOSTILE = "</script><img src=x onerror=alert(1)>"
BOXES = np.array([[0.0, 0.0, 0.5, 1.0], [0.5, 0.5, 1.0, 1.0]], dtype=np.float32)
TEXT_TO_IMAGE = np.array(
    [
        [[0.0, 0.0], [0.50, 0.10], [0.20, 0.05], [0.01, 0.30], [0.0, 0.0]],
        [[0.0, 0.0], [0.02, 0.03], [0.60, 0.04], [0.00, 0.15], [0.0, 0.0]],
    ]
)
"""`(head, query, key)`: [CLS] three words [SEP] looking at two regions; they sum to 2.0."""


def hand_made(words: tuple[str, ...] = ("a", "red", "dog"), image: Path | None = None) -> Trace:
    """One stream, one layer; "text->image" is `TEXT_TO_IMAGE`, all other blocks are even."""
    regions = Regions(BOXES, None, ("dog", "tree"), ("annotated",) * 2)
    example = Example(
        "1#0", "1", " ".join(words), words, image, (40, 20), regions, dataset="hand", split="test"
    )
    kinds = [PositionClass.SPECIAL, *[PositionClass.TEXT] * 3, PositionClass.SPECIAL]
    text = StreamPositions(("[CLS]", *words, "[SEP]"), np.array(kinds), np.array([-1, 0, 1, 2, -1]), words)
    names = ("r0 dog", "r1 tree")
    picture = StreamPositions(names, np.array([PositionClass.IMAGE] * 2), np.arange(2), names)
    maps = {
        "text->text": np.full((2, 5, 5), 0.1),
        "text->image": TEXT_TO_IMAGE,
        "image->text": np.full((2, 2, 5), 0.1),
        "image->image": np.full((2, 2, 2), 0.1),
    }
    return Trace(
        example, "by-hand", "trained", {"joint": 1}, {"joint": tuple(maps)}, True, {"joint": {}},
        {("joint", 1): maps}, {"text": text, "image": picture},
    )  # fmt: skip
