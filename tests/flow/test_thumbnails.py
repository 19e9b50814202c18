"""Regions cut out of the picture's file."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from value_nb.flow.thumbnails import crops, data_urls


@pytest.fixture
def halves(tmp_path: Path) -> Path:
    """Red on the left, blue on the right."""
    path = tmp_path / "halves.png"
    picture = np.zeros((20, 40, 3), dtype=np.uint8)
    picture[:, :20, 0] = picture[:, 20:, 2] = 255
    Image.fromarray(picture).save(path)
    return path


def test_each_box_gives_what_lies_in_it(halves: Path) -> None:
    left, right = crops(halves, np.array([[0.0, 0.0, 0.5, 1.0], [0.5, 0.5, 1.0, 1.0]])) or []
    assert (left.size, right.size) == ((20, 20), (20, 10))
    assert left.getpixel((19, 10)) == (255, 0, 0) and right.getpixel((0, 5)) == (0, 0, 255)


def test_large_ones_are_made_small_and_empty_ones_have_a_pixel(halves: Path) -> None:
    large, empty, outside = (
        crops(halves, np.array([[0, 0, 1, 1], [0.3, 0.3, 0.3, 0.3], [1, 1, 1, 1]]), 8) or []
    )
    assert (large.size, empty.size, outside.size) == ((8, 4), (1, 1), (1, 1))


def test_a_picture_that_is_not_here_gives_none(tmp_path: Path) -> None:
    assert crops(tmp_path / "gone.png", np.zeros((1, 4))) is None
    assert crops(None, np.zeros((1, 4))) is None
    assert data_urls(None) == []


def test_data_urls_hold_pictures(halves: Path) -> None:
    (url,) = data_urls(crops(halves, np.array([[0, 0, 0.5, 1]])))
    head, _, content = url.partition(",")
    assert head == "data:image/webp;base64"
    assert Image.open(BytesIO(base64.b64decode(content))).size == (20, 20)
