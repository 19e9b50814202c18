from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from data.build import glyphs
from data.build.world import CLASSES, COLOURS


def test_every_colourable_class_is_mostly_of_one_hue():
    shares = glyphs.check_hues()
    assert set(shares) == {name for name, kind in CLASSES.items() if kind.colourable}
    assert min(shares.values()) >= glyphs.LEAST_SHARE


def test_a_class_of_many_hues_is_refused(monkeypatch):
    monkeypatch.setattr(glyphs, "LEAST_SHARE", 0.99)
    with pytest.raises(ValueError, match=r"not mostly of one hue.*guitar"):
        glyphs.check_hues()


@pytest.mark.parametrize("colour", ["red", "green", "blue"])
def test_recolouring_moves_the_hue_to_the_word(colour):
    shown = glyphs.glyph_image(CLASSES["balloon"].glyphs[0], colour, False)
    hue, share = glyphs.dominant_hue(shown)
    away = abs((hue - COLOURS[colour][0] + 0.5) % 1 - 0.5)
    assert share > 0.8
    assert away < 0.03


def test_recolouring_leaves_its_argument_alone():
    image = Image.new("RGBA", (4, 4), (200, 40, 40, 255))
    before = np.asarray(image).copy()
    glyphs.recolour(image, "blue")
    assert (np.asarray(image) == before).all()


def test_every_class_has_three_looks():
    for kind in CLASSES.values():
        if kind.glyphs:
            colours = len(COLOURS) if kind.colourable else 1
            assert 2 * len(kind.glyphs) * colours >= 2  # flips
            low, high = kind.height
            assert high > low  # and a range of sizes
