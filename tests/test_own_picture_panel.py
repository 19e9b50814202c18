from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.panels import check_drawn_as_anew, pixels
from tests.tiny_vilt import draw, pictured, tiny_vilt
from value_nb.data.own_picture import own_picture
from value_nb.widgets import AttentionPanel, HeadOnPicturePanel, OwnPicture, region_figure
from value_nb.widgets.attention import View, say_strongest

NOTE = "grid boxes, not detected regions"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return draw(tmp_path / "it.png", (64, 48), seed=3)


def upload(panel: OwnPicture, content: bytes, name: str = "it.png") -> None:
    """What the browser sends when a file was chosen."""
    sent = {"name": name, "type": "image/png", "size": len(content), "content": memoryview(content)}
    panel.controls["picture"].value = (sent | {"last_modified": datetime(2020, 1, 1, tzinfo=UTC)},)


def words_in(figure: Any) -> str:
    from matplotlib.text import Text

    return "\n".join(text.get_text() for text in figure.findobj(Text))


def test_choose_write_and_use(picture: Path) -> None:
    panel = OwnPicture()
    assert panel.example is None and "press “use”" in panel.sentence and panel.error == ""
    before = pixels(panel)
    upload(panel, picture.read_bytes())
    panel.controls["caption"].value = "A dog in a field ."
    panel.controls["rows"].value = 2
    assert panel.example is None, "nothing is made before the button is pressed"
    panel.use.click()
    assert panel.error == "" and panel.example is not None
    assert (
        panel.example.words == ("A", "dog", "in", "a", "field", ".") and len(panel.example.regions or ()) == 8
    )
    assert f"8 regions ({NOTE})" in panel.sentence and "64 x 48 pixels" in panel.sentence
    assert (pixels(panel) != before).any()
    assert NOTE in words_in(panel.figure) and "A dog in a field" in words_in(panel.figure)
    check_drawn_as_anew(panel)
    panel.controls["caption"].value = "Another"
    assert "press “use”" in panel._text.value and panel.example.words[0] == "A"


def test_problems_stand_in_the_panel_and_the_last_example_stays(picture: Path) -> None:
    panel = OwnPicture(caption="a dog")
    panel.use.click()
    assert panel.error == "ValueError: no picture was chosen; press “picture” and choose a file"
    upload(panel, picture.read_bytes())
    panel.use.click()
    good = panel.example
    assert panel.error == "" and good is not None
    for content, caption, words in (
        (b"<script>alert(1)</script>", "a dog", "is no picture"),
        (picture.read_bytes()[:-100], "a dog", "cut off"),
        (picture.read_bytes(), "  ", "has no word"),
    ):
        upload(panel, content)
        panel.controls["caption"].value = caption
        panel.use.click()
        assert words in panel.error and panel._error.layout.display is None
        assert panel.example is good
    assert "<script" not in panel._error.value
    panel.controls["caption"].value = "a dog"
    panel.use.click()
    assert panel.error == "" and panel.example == good


def test_a_caption_is_escaped_and_no_formula(picture: Path) -> None:
    r"""HTML below the picture, and $\foo$ in it, show as they are written."""
    panel = OwnPicture(caption=r"<b>it</b> costs $\foo$ and $5", picture=picture.read_bytes())
    assert panel.error == "" and panel.example is not None
    assert "<b>it" not in panel._text.value
    assert r"$\foo$" in words_in(panel.figure)


def test_start_values(picture: Path) -> None:
    panel = OwnPicture("a dog", str(picture), {"boxes": [[0, 0, 0.5, 1]]})
    assert panel.example is not None and len(panel.example.regions or ()) == 1
    assert NOTE not in panel.sentence and "1 regions: ready" in panel.sentence
    with pytest.raises(ValueError, match="has no word"):
        OwnPicture(" \u200b", str(picture))
    with pytest.raises(ValueError, match="there is no file"):
        OwnPicture("a dog", str(picture) + "x")


# -- panels of an own picture --------------------------------------------------------------------------------


def test_panels_label_boxes_of_a_grid(picture: Path) -> None:
    example = own_picture(picture, r"a man holds $\foo$ and $5", phrases={"a man": [0]}, grid=(2, 2))
    model = tiny_vilt()
    panel = AttentionPanel(model, [example])
    assert panel.error == "" and NOTE in panel.sentence and NOTE in words_in(panel.figure)
    assert list(panel.table.columns)[:2] == ["r0 grid 0,0", "r1 grid 0,1"]
    assert "a region of its size would get" in panel.sentence
    head = HeadOnPicturePanel(model, [example])
    assert head.error == "" and NOTE in head.sentence and NOTE in words_in(head.figure)
    head.direction = "image->text"
    assert head.error == "" and NOTE in head.sentence
    assert NOTE in words_in(region_figure(example))


def test_an_even_spread_over_patches_is_even_for_a_region() -> None:
    matrix = pd.DataFrame([[0.3, 0.2]], index=["a"], columns=["r0", "r1"])
    told = say_strongest(View(matrix, "", None, 0.05, np.array([4.5, 2.0])), "text->image", 0, "Layer 1")
    assert told.endswith("(0.300 of its attention; spread evenly, a region of its size would get 0.225).")
    told = say_strongest(View(matrix, "", None, 0.05), "text->image", 0, "Layer 1")
    assert told.endswith("(0.300 of its attention; spread evenly, every position would get 0.050).")


def test_a_picture_without_regions_shows_its_patches(tmp_path: Path) -> None:
    example = replace(pictured(tmp_path, 1)[0], regions=None, phrases=())
    for panel in (AttentionPanel(tiny_vilt(), [example]), HeadOnPicturePanel(tiny_vilt(), [example])):
        assert panel.error == "" and "patches of the picture, not detected regions" in panel.sentence
        assert panel.table.columns[0] == "r0 patch 0,0"
    with pytest.raises(ValueError, match="has no regions; this panel needs data with pictures"):
        AttentionPanel(tiny_vilt(), [replace(example, image=None)])


def test_many_patches_are_named_in_part(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.open(BytesIO(draw(tmp_path / "it.png", (300, 200), 0).read_bytes())).save(path)
    example = replace(pictured(tmp_path, 1)[0], image=path, size=(300, 200), regions=None, phrases=())
    model = tiny_vilt(image_size=160)
    panel = AttentionPanel(model, [example])
    assert panel.table.shape[1] == 150 and panel.error == ""
    assert len(panel._axes.map.get_xticks()) == 50
