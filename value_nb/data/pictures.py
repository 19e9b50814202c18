"""Reading the file of a picture: only pictures, of a size that fits memory, in plain colours."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""Formats that Pillow decodes by itself; others can hand the file to a program (EPS) and are not opened."""
MOST_PIXELS = 50_000_000
"""Largest picture that is decoded: 150 MB of memory as RGB. A small file can unfold to far more."""
MOST_BYTES = 100_000_000
"""Largest file that is read."""


def read_picture(source: Path | bytes, upright: bool = False) -> Image:
    """Decode a picture as RGB.

    Transparent pictures are laid on white, palettes and grey are spread over three colours, 16-bit grey is
    brought to 8 bits, of an animation the first frame counts.

    Parameters
    ----------
    source
        A file's path, or its content.
    upright
        Turn the picture as its EXIF orientation says. False: as it is stored, which is how the boxes of data
        sets are counted.

    Raises
    ------
    ValueError
        Names the file: missing, no picture in one of `FORMATS`, cut off, or larger than the limits.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    name = str(source) if isinstance(source, Path) else "the picture"
    content = _content(source, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
                _check_size(picture.size, name)
                picture.load()
                turned = ImageOps.exif_transpose(picture) if upright else picture
                return _plain(turned)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as problem:
        raise ValueError(f"{name} is refused: {problem}. {_limit()}") from problem
    except UnidentifiedImageError as problem:
        raise ValueError(f"{name} is no picture; expected one of {', '.join(FORMATS)}") from problem
    except (OSError, SyntaxError, EOFError) as problem:  # what Pillow raises on broken files
        raise ValueError(f"{name} cannot be decoded, it is cut off or damaged: {problem}") from problem


def _content(source: Path | bytes, name: str) -> bytes:
    if not isinstance(source, Path):
        size = len(source)
    elif source.is_file():
        size = source.stat().st_size
    else:
        raise ValueError(f"there is no file {name}; expected the path of a picture")
    if size > MOST_BYTES:
        raise ValueError(f"{name} has {size:,} bytes; expected at most {MOST_BYTES:,}. Save it smaller first")
    return source.read_bytes() if isinstance(source, Path) else bytes(source)


def _check_size(size: tuple[int, int], name: str) -> None:
    if size[0] * size[1] > MOST_PIXELS:
        raise ValueError(f"{name} is {size[0]} x {size[1]} pixels. {_limit()}")


def _limit() -> str:
    return f"Expected at most {MOST_PIXELS:,} pixels: scale it down first"


def _plain(picture: Image) -> Image:
    """The picture in RGB, a new one in any case."""
    from PIL import Image

    if picture.mode.startswith("I;16"):
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.has_transparency_data:
        clear = picture.convert("RGBA")
        ground = Image.new("RGBA", clear.size, "white")
        return Image.alpha_composite(ground, clear).convert("RGB")
    return picture.convert("RGB").copy()
