"""Small pictures of regions and patches, cut out of the picture's file."""

from __future__ import annotations

import base64
import math
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 72  # pixels of the longer side: twice what is shown, for fine screens


def crops(image: Path | None, boxes: np.ndarray, side: int = SIDE) -> list[Image] | None:
    """What lies in each box, as a picture of at most `side` pixels a side; None where the file is not here.

    Parameters
    ----------
    image
        The picture's file.
    boxes
        `(region, 4)`: x1 y1 x2 y2 as fractions of width and height. A box with no area gives one pixel.
    """
    if image is None or not image.is_file():
        return None
    from PIL import Image as Pictures

    with Pictures.open(image) as opened:
        picture = opened.convert("RGB")
    found = []
    for box in boxes:
        cut = picture.crop(_pixels(box, picture.size))
        cut.thumbnail((side, side))
        found.append(cut)
    return found


def data_urls(pictures: list[Image] | None) -> list[str]:
    """Each picture as a data URL (WebP); none where there are no pictures."""
    return [f"data:image/webp;base64,{base64.b64encode(_webp(one)).decode()}" for one in pictures or ()]


def _pixels(box: np.ndarray, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Whole pixels around a box, inside the picture, at least one each way."""
    (wide, high), (x1, y1, x2, y2) = size, (float(edge) for edge in np.clip(box, 0.0, 1.0))
    left, top = min(math.floor(x1 * wide), wide - 1), min(math.floor(y1 * high), high - 1)
    return left, top, max(left + 1, math.ceil(x2 * wide)), max(top + 1, math.ceil(y2 * high))


def _webp(picture: Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, format="webp", quality=80, method=0)
    return buffer.getvalue()
