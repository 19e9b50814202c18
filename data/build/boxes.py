"""Annotated boxes in whole pixels, the same ones for both annotation formats."""

from __future__ import annotations

from data.build.scenes import Thing
from data.build.world import HEIGHT, WIDTH

PixelBox = tuple[int, int, int, int]
"""x, y of the top left pixel, counted from 0, then width and height in pixels."""


def pixel_box(thing: Thing) -> PixelBox:
    """The annotated box rounded to whole pixels: inside the picture, at least one pixel wide and high."""
    x1, y1, x2, y2 = thing.annotated_box
    left, top = min(max(round(x1), 0), WIDTH - 1), min(max(round(y1), 0), HEIGHT - 1)
    right, bottom = min(max(round(x2), left + 1), WIDTH), min(max(round(y2), top + 1), HEIGHT)
    return left, top, right - left, bottom - top


def union_box(boxes: list[PixelBox]) -> PixelBox:
    """The smallest box that holds all of them. Raises ValueError when there is none."""
    if not boxes:
        raise ValueError("No box came; expected at least one.")
    left, top = min(b[0] for b in boxes), min(b[1] for b in boxes)
    right, bottom = max(b[0] + b[2] for b in boxes), max(b[1] + b[3] for b in boxes)
    return left, top, right - left, bottom - top
