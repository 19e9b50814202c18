from __future__ import annotations

from typing import Any

import pytest

from value_nb.data.features.naming import Naming, digits


@pytest.mark.parametrize(
    ("image_id", "number"),
    [
        ("flickr30k_000001000092795.npz", "1000092795"),
        ("COCO_val2014_000000000042", "42"),
        ("coco_train2014_000000000009.npz", "9"),
        ("visual_grounding_coco_gt_000000000581.npz", "581"),
        ("vg_000002354.npz", "2354"),
        ("1000092795", "1000092795"),
        ("1000092795.jpg", "1000092795"),
        ("000", "0"),
        ("nlvr2_dev-0-0-img0.npz", None),
        ("n161313", None),
        ("dev-0-0-img0", None),
        ("", None),
        ("a_b", None),
        ("1_2", None),
    ],
)
def test_the_number_in_an_image_id(image_id: str, number: str | None) -> None:
    assert digits(image_id) == number
    assert Naming(None)(image_id or "x") == (number or image_id or "x")
    if number is None:
        with pytest.raises(ValueError, match=r"image_ids='digits' gives None for the image id"):
            Naming("digits")(image_id)
    else:
        assert Naming("digits")(image_id) == number


def test_other_rules() -> None:
    assert Naming("keep")("COCO_val2014_000000000042") == "COCO_val2014_000000000042"
    assert Naming(str.upper)("a") == "A"
    assert Naming({"a": "b"})("a") == "b"
    with pytest.raises(ValueError, match="image_ids=a dict gives None for the image id 'c'"):
        Naming({"a": "b"})("c")
    with pytest.raises(ValueError, match="gives '' for the image id 'a'"):
        Naming(lambda _: "")("a")


@pytest.mark.parametrize("rule", ["number", 3])
def test_an_unknown_rule(rule: Any) -> None:
    with pytest.raises(ValueError, match=r"image_ids=.* came; expected None, 'digits', 'keep', a function"):
        Naming(rule)


def test_two_pictures_never_get_one_id() -> None:
    naming = Naming("digits")
    assert naming("vg_7.npz") == naming("vg_7.npz") == "7"
    with pytest.raises(
        ValueError, match=r"gives '7' for both 'vg_7\.npz' and 'coco_007'; expected different"
    ):
        naming("coco_007")
