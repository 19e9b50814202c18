"""Draws the shown pictures and writes them as images/<id>.webp."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from data.build.render import render
from data.build.scenes import Scene
from data.build.splits import SPLITS

QUALITY = 60
"""WebP quality: at 320 x 240 the glyphs' edges stay clean."""
METHOD = 6
"""WebP effort, 0 to 6: the highest, since pictures are written once."""


def write_pictures(
    scenes: list[Scene],
    split_of: dict[str, str],
    out: Path,
    shown: Collection[str] = SPLITS,
    quality: int = QUALITY,
) -> int:
    """Write OUT/<id>.webp for the pictures of the shown splits, and return how many bytes they take.

    Raises
    ------
    ValueError
        When a shown split is unknown or the quality is outside 1 to 100.
    """
    unknown = sorted(set(shown) - set(SPLITS))
    if unknown:
        raise ValueError(f"The shown split {unknown[0]!r} came; expected some of {', '.join(SPLITS)}.")
    if not 1 <= quality <= 100:
        raise ValueError(f"quality={quality} came; expected a WebP quality from 1 to 100.")
    out.mkdir(parents=True, exist_ok=True)
    written = 0
    for scene in scenes:
        if split_of[scene.id] in shown:
            path = out / f"{scene.id}.webp"
            render(scene).save(path, "WEBP", quality=quality, method=METHOD)
            written += path.stat().st_size
    return written
