"""Scenes to pictures: sky, ground, and glyphs in drawing order; people are dolls with an emoji head."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from data.build.glyphs import glyph_image
from data.build.relations import is_person
from data.build.scenes import Scene, Thing
from data.build.world import GROUNDS, HEIGHT, SKIES, WIDTH

SKIN = ((255, 204, 50), (247, 222, 206), (243, 210, 162), (213, 171, 136), (175, 126, 87), (124, 83, 62))
"""Skin of hands and feet for the neutral glyph and the five tones."""
SUIT = (172, 178, 190)
"""Colour of the plain suit that a doll wears under its clothes."""


def render(scene: Scene) -> Image.Image:
    """The scene as an RGB picture of 320 x 240 pixels."""
    canvas = _background(scene)
    for thing in sorted((t for t in scene.things if t.parent is None), key=lambda t: t.z):
        if is_person(thing):
            _paste_person(canvas, thing)
        else:
            _paste(canvas, glyph_image(thing.glyph, thing.colour, thing.flip), thing.box)
    return canvas


def _background(scene: Scene) -> Image.Image:
    top, bottom = (np.array(c, float) for c in SKIES[scene.sky])
    ground = np.array(GROUNDS[scene.ground][0], float)
    rows = np.arange(HEIGHT)[:, None]
    sky = top + (bottom - top) * np.clip(rows / scene.horizon, 0, 1)
    land = ground * (1.06 - 0.16 * np.clip((rows - scene.horizon) / (HEIGHT - scene.horizon), 0, 1))
    column = np.clip(np.where(rows < scene.horizon, sky, land), 0, 255).round().astype(np.uint8)
    return Image.fromarray(np.repeat(column[:, None, :], WIDTH, axis=1))


def _paste(canvas: Image.Image, glyph: Image.Image, box: tuple[float, float, float, float]) -> None:
    width, height = max(1, round(box[2] - box[0])), max(1, round(box[3] - box[1]))
    small = glyph.resize((width, height), Image.Resampling.LANCZOS)
    canvas.paste(small, (round(box[0]), round(box[1])), small)


def _paste_person(canvas: Image.Image, person: Thing) -> None:
    """Body first, twice the size and then reduced so that its edges are smooth; the head on top."""
    h = person.height * 2
    w = (person.box[2] - person.box[0]) * 2
    body = Image.new("RGBA", (round(w), round(h)), (0, 0, 0, 0))
    draw = ImageDraw.Draw(body)
    middle, skin = w / 2, SKIN[_tone(person.glyph)]
    thick = round(0.085 * h)
    for side in (-1, 1):
        shoulder, hand = (middle + side * 0.13 * h, 0.42 * h), (middle + side * 0.27 * h, 0.59 * h)
        draw.line([shoulder, hand], fill=SUIT, width=thick)
        _disc(draw, hand, 0.045 * h, skin)
        hip, foot = (middle + side * 0.07 * h, 0.68 * h), (middle + side * 0.08 * h, 0.95 * h)
        draw.line([hip, foot], fill=(110, 116, 130), width=round(0.1 * h))
        _disc(draw, (foot[0] + side * 0.02 * h, 0.96 * h), 0.04 * h, (70, 60, 60))
    draw.rounded_rectangle(
        [middle - 0.15 * h, 0.36 * h, middle + 0.15 * h, 0.71 * h], radius=0.07 * h, fill=SUIT
    )
    _paste(canvas, body, person.box)
    x = (person.box[0] + person.box[2]) / 2
    half = 0.2 * person.height
    head = (x - half, person.box[1], x + half, person.box[1] + 2 * half)
    _paste(canvas, glyph_image(person.glyph, None, person.flip), head)


def _tone(glyph: str) -> int:
    return next((i for i, c in enumerate("🏻🏼🏽🏾🏿", start=1) if c in glyph), 0)


def _disc(
    draw: ImageDraw.ImageDraw, centre: tuple[float, float], radius: float, colour: tuple[int, int, int]
) -> None:
    x, y = centre
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colour)
