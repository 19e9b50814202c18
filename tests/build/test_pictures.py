from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from data.build.pictures import write_pictures
from data.build.splits import FAST_SIZES, SIZES, check_pictures, picture_splits
from data.build.world import HEIGHT, WIDTH
from tests.build.conftest import Miniature


def test_shown_pictures_are_written(miniature: Miniature, tmp_path: Path) -> None:
    written = write_pictures(list(miniature.scenes.values()), miniature.split_of, tmp_path, ("train",))
    files = sorted(tmp_path.iterdir())
    assert [f.name for f in files] == ["12.webp", "7.webp"]
    assert written == sum(f.stat().st_size for f in files) < 2 * 6000
    for file in files:
        with Image.open(file) as picture:
            assert picture.size == (WIDTH, HEIGHT)


def test_the_same_picture_gives_the_same_bytes(miniature: Miniature, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_pictures(list(miniature.scenes.values()), miniature.split_of, tmp_path / folder, ("val",))
    assert (tmp_path / "a" / "30.webp").read_bytes() == (tmp_path / "b" / "30.webp").read_bytes()


def test_bad_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="train, val, test"):
        write_pictures([], {}, tmp_path, ("dev",))
    with pytest.raises(ValueError, match="from 1 to 100"):
        write_pictures([], {}, tmp_path, quality=0)


@pytest.mark.parametrize(("fast", "sizes"), [(False, SIZES), (True, FAST_SIZES)])
def test_splits_have_their_sizes(fast: bool, sizes: dict[str, int]) -> None:
    split_of = picture_splits(fast)
    assert {s: list(split_of.values()).count(s) for s in sizes} == sizes
    assert check_pictures(split_of, list(split_of)) == list(split_of)


def test_ids_and_splits_are_checked() -> None:
    with pytest.raises(ValueError, match="digits"):
        check_pictures({"pretrain-1": "train"}, ["pretrain-1"])
    with pytest.raises(ValueError, match="train, val, test"):
        check_pictures({"1": "dev"}, ["1"])
    with pytest.raises(ValueError, match="every picture once"):
        check_pictures({"1": "test"}, ["1", "1"])
