"""What the view is told of an example: its words, its picture, its regions, and the annotated links."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from value_nb.data.grid_boxes import regions_note

if TYPE_CHECKING:
    from value_nb.data.example import Example
    from value_nb.trace import Trace

LONGEST = 900  # pixels of the picture's longer side
BLANK = (4, 3)
PHOTO = 200_000  # bytes: a picture that is larger as PNG is sent as JPEG


def scene(trace: Trace) -> dict[str, Any]:
    """Plain values for the view; sent once for an example.

    words, regions (box as left, top, width, height in per cent of the picture, name, annotated), links
    (words and regions that the annotation joins), picture (a data URL, "" where there is none), size, seen
    (whether the model sees the picture), note (what regions are, where nobody found them).
    """
    example = trace.example
    return {
        "words": list(example.words),
        "regions": _regions(trace),
        "links": [
            {"words": list(phrase.words), "regions": list(phrase.regions)}
            for phrase in example.phrases
            if phrase.regions
        ],
        "picture": picture_url(example.image),
        "size": list(example.size or _size(example.image)),
        "seen": "image" in trace.streams,
        "note": regions_note(example) or "",
    }


def picture_url(image: Path | None, longest: int = LONGEST) -> str:
    """A picture as a data URL, no side longer than `longest` pixels; "" where its file is not here."""
    if image is None or not image.is_file():
        return ""
    from PIL import Image

    with Image.open(image) as opened:
        picture = opened.convert("RGB")
    picture.thumbnail((longest, longest))
    content, kind = _encoded(picture, "png"), "png"
    if len(content) > PHOTO:
        content, kind = _encoded(picture, "jpeg"), "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _size(image: Path | None) -> tuple[int, int]:
    """Width and height of a picture; those of a blank stage where there is none."""
    if image is None or not image.is_file():
        return BLANK
    from PIL import Image

    with Image.open(image) as opened:
        return opened.size


def _encoded(picture: Any, kind: str) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, format=kind, **({"quality": 88} if kind == "jpeg" else {}))
    return buffer.getvalue()


def labels(example: Example) -> list[str]:
    """ "r3 dog" for each region, as a trace labels them."""
    names = () if example.regions is None else example.regions.names
    return [f"r{index} {name}".rstrip() for index, name in enumerate(names)]


def _regions(trace: Trace) -> list[dict[str, Any]]:
    example = trace.example
    if example.regions is None:
        return []
    boxes = np.clip(np.asarray(example.regions.boxes, dtype=float), 0.0, 1.0)
    corners = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1) * 100
    return [
        {"box": [round(float(edge), 3) for edge in box], "name": label, "annotated": source == "annotated"}
        for box, label, source in zip(corners, labels(example), example.regions.sources, strict=True)
    ]
