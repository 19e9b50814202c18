"""Glyphs: cut from the emoji font once, kept in `glyphs/`, recoloured on demand.

The drawings are Noto Color Emoji (SIL Open Font License 1.1, `glyphs/LICENSE-OFL.txt`). They are kept
as one picture so that `make mini` needs no font; `python -m data.build.glyphs FONT.ttf` cuts them again.
"""

from __future__ import annotations

import json
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
from matplotlib.colors import hsv_to_rgb, rgb_to_hsv
from PIL import Image, ImageDraw, ImageFont

from data.build.world import CLASSES, COLOURS

SHEET = Path(__file__).parent / "glyphs" / "sheet.webp"
INDEX = Path(__file__).parent / "glyphs" / "sheet.json"
NATIVE = 109
"""Pixel size at which the font stores its bitmaps."""
HUE_WINDOW = 0.09
"""Half width, as a fraction of the colour circle, of what counts as the same hue."""
LEAST_SATURATION = 0.12
"""Below this a pixel counts as grey and has no hue."""
LEAST_SHARE = 0.55
"""A class is colourable when at least this share of its visible pixels is of one hue."""


def cut(font_file: str) -> None:
    """Draw every glyph of the world from the font and store them as one sheet."""
    font = ImageFont.truetype(font_file, NATIVE)
    names = sorted({glyph for kind in CLASSES.values() for glyph in kind.glyphs})
    cells = {name: _draw(name, font) for name in names}
    columns = 12
    rows = -(-len(names) // columns)
    sheet = Image.new("RGBA", (columns * 136, rows * 136), (0, 0, 0, 0))
    index = {}
    for i, name in enumerate(names):
        x, y = (i % columns) * 136, (i // columns) * 136
        sheet.paste(cells[name], (x, y))
        index[name] = [x, y, x + cells[name].width, y + cells[name].height]
    SHEET.parent.mkdir(exist_ok=True)
    sheet.save(SHEET, lossless=True, quality=100, method=6, exact=False)
    INDEX.write_text(json.dumps(index, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


def _draw(glyph: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    canvas = Image.new("RGBA", (400, 136), (0, 0, 0, 0))
    ImageDraw.Draw(canvas).text((0, 0), glyph, font=font, embedded_color=True)
    box = canvas.getbbox()
    if box is None or box[2] - box[0] > 136:
        raise ValueError(
            f"glyph {glyph!r} did not come out as one emoji (box {box}): the font or Pillow's raqm lacks it"
        )
    return canvas.crop(box)


@lru_cache(maxsize=1)
def _sheet() -> tuple[Image.Image, dict[str, list[int]]]:
    with Image.open(SHEET) as image:
        sheet = image.convert("RGBA")
    return sheet, json.loads(INDEX.read_text(encoding="utf-8"))


@lru_cache(maxsize=4096)
def glyph_image(glyph: str, colour: str | None, flip: bool) -> Image.Image:
    """The glyph as RGBA, recoloured and mirrored as asked. Callers must not write into it."""
    sheet, index = _sheet()
    image = sheet.crop(tuple(index[glyph]))
    if colour is not None:
        image = recolour(image, colour)
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else image


def dominant_hue(image: Image.Image) -> tuple[float, float]:
    """Most frequent hue of the visible pixels, and the share of visible pixels near it."""
    rgba = np.asarray(image, float) / 255
    visible = rgba[..., 3] > 0.5
    hsv = rgb_to_hsv(rgba[..., :3])[visible]
    vivid = hsv[:, 1] > LEAST_SATURATION
    counts, edges = np.histogram(hsv[vivid, 0], bins=36, range=(0, 1))
    hue = (edges[counts.argmax()] + edges[counts.argmax() + 1]) / 2
    return float(hue), float((vivid & _near(hsv[:, 0], hue)).mean())


def _near(hues: np.ndarray, hue: float) -> np.ndarray:
    return np.abs((hues - hue + 0.5) % 1 - 0.5) < HUE_WINDOW


def recolour(image: Image.Image, colour: str) -> Image.Image:
    """Move the pixels of the dominant hue to the target hue, saturation and value of the colour word."""
    hue, _ = dominant_hue(image)
    rgba = np.asarray(image, float) / 255
    hsv = rgb_to_hsv(rgba[..., :3])
    chosen = (rgba[..., 3] > 0) & (hsv[..., 1] > LEAST_SATURATION) & _near(hsv[..., 0], hue)
    to_hue, to_saturation, to_value = COLOURS[colour]
    mid_saturation, mid_value = np.median(hsv[chosen][:, 1:], axis=0)
    moved = hsv.copy()
    moved[chosen, 0] = to_hue
    moved[chosen, 1] = np.clip(hsv[chosen, 1] / mid_saturation * to_saturation, 0, 1)
    # Shading is kept, but damped: otherwise a black thing would be grey where its glyph is light.
    moved[chosen, 2] = np.clip(to_value + 0.5 * (hsv[chosen, 2] - mid_value), 0, 1)
    out = np.concatenate([hsv_to_rgb(moved), rgba[..., 3:]], axis=-1)
    return Image.fromarray((out * 255).round().astype(np.uint8))


def check_hues() -> dict[str, float]:
    """Share of one hue per colourable class; raises where a glyph shows less than `LEAST_SHARE`."""
    sheet, index = _sheet()
    shares = {}
    for kind in CLASSES.values():
        if kind.colourable:
            shares[kind.name] = min(dominant_hue(sheet.crop(tuple(index[g])))[1] for g in kind.glyphs)
    low = {name: round(share, 2) for name, share in shares.items() if share < LEAST_SHARE}
    if low:
        raise ValueError(f"not mostly of one hue, so not colourable: {low}; least share {LEAST_SHARE}")
    return shares


if __name__ == "__main__":
    cut(sys.argv[1])
    for class_name, one_hue in sorted(check_hues().items(), key=lambda pair: pair[1]):
        print(f"{class_name:10s} {one_hue:.2f}")
