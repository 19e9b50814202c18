from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from value_nb.data.example import Regions
from value_nb.data.matching import annotated_regions, clip_box, iou, link_regions, match_boxes
from value_nb.data.problems import Spot

CORNERS = arrays(np.float64, st.tuples(st.integers(0, 6), st.just(4)), elements=st.floats(0, 1, width=32))


def ordered(corners: np.ndarray) -> np.ndarray:
    low, high = np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:])
    return np.concatenate([low, high], axis=1)


def plain_iou(a: np.ndarray, b: np.ndarray) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if union > 0 else 0.0


def test_iou_of_cases_known_by_hand() -> None:
    a = [[0, 0, 2, 2]]
    b = [[0, 0, 2, 2], [1, 1, 3, 3], [2, 0, 4, 2], [5, 5, 6, 6], [0, 0, 2, 1], [1, 1, 1, 1]]
    assert iou(a, b)[0] == pytest.approx([1, 1 / 7, 0, 0, 0.5, 0])


def test_iou_of_nothing_keeps_the_axes() -> None:
    assert iou([], [[0, 0, 1, 1]]).shape == (0, 1)
    assert iou([[0, 0, 1, 1]], []).shape == (1, 0)
    with pytest.raises(ValueError, match=r"shape \(1, 3\) came; expected \(box, 4\)"):
        iou([[0, 0, 1]], [[0, 0, 1, 1]])


@given(CORNERS, CORNERS)
def test_iou_equals_the_plain_loop_and_is_symmetric(a: np.ndarray, b: np.ndarray) -> None:
    a, b = ordered(a), ordered(b)
    before = a.copy(), b.copy()
    overlap = iou(a, b)
    assert overlap.shape == (len(a), len(b))
    expected = np.array([[plain_iou(x, y) for y in b] for x in a]).reshape(overlap.shape)
    np.testing.assert_allclose(overlap, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(overlap, iou(b, a).T)
    assert ((overlap >= 0) & (overlap <= 1)).all()
    assert (a == before[0]).all() and (b == before[1]).all()


@given(CORNERS, CORNERS)
def test_a_box_is_unmatched_only_when_no_region_is_near(a: np.ndarray, b: np.ndarray) -> None:
    match = match_boxes(ordered(a), ordered(b))
    overlap = iou(ordered(a), ordered(b))
    for box, row in enumerate(match.rows):
        assert (row >= 0) == bool((overlap[box] >= 0.5 - 1e-6).any())
        assert row < 0 or overlap[box, row] == match.overlaps[box]


def test_best_pairs_go_first_and_each_region_once() -> None:
    regions = [[0, 0, 1, 1], [0, 0, 1, 0.8]]
    boxes = [[0, 0, 1, 0.9], [0, 0, 1, 1]]  # both would like region 0; the second is exact
    match = match_boxes(boxes, regions)
    assert match.rows == (1, 0)
    assert match.overlaps == pytest.approx((8 / 9, 1.0))


def test_a_region_is_shared_when_there_is_no_other() -> None:
    match = match_boxes([[0, 0, 1, 1], [0, 0, 1, 0.9], [0.5, 0, 1, 0.1]], [[0, 0, 1, 1]])
    assert match.rows == (0, 0, -1)
    assert match.overlaps[2] == 0.0
    assert match.matched == 2
    assert match.share == pytest.approx(2 / 3)


def test_the_threshold_itself_counts() -> None:
    assert match_boxes([[0, 0, 1, 0.5]], [[0, 0, 1, 1]]).rows == (0,)
    assert match_boxes([[0, 0, 1, 0.5]], [[0, 0, 1, 1]], threshold=0.6).rows == (-1,)
    with pytest.raises(ValueError, match=r"threshold=0 came; expected an IoU above 0 and at most 1"):
        match_boxes([], [], threshold=0)


def test_no_boxes_have_no_share() -> None:
    assert np.isnan(match_boxes([], [[0, 0, 1, 1]]).share)


def test_annotated_regions_have_no_features() -> None:
    regions = annotated_regions([[0, 0, 0.5, 1]], ["dog"])
    assert regions.features is None
    assert regions.sources == ("annotated",)
    assert regions.boxes.dtype == np.float32
    with pytest.raises(ValueError, match="1 names for 0 boxes"):
        annotated_regions([], ["dog"])


def test_a_linked_region_takes_the_annotated_name() -> None:
    boxes = np.array([[0, 0, 1, 1], [0, 0, 0.2, 0.2]], dtype=np.float32)
    stored = Regions(boxes, None, ("cat", "sky"), ("detected", "detected"))
    regions, match = link_regions(
        [[0, 0, 1, 1], [0, 0, 1, 0.9], [0, 0, 0.2, 0.2]], ["dog", "puppy", ""], stored
    )
    assert match.rows == (0, 0, 1)
    assert regions.names == ("dog", "sky")
    assert regions.sources == ("annotated", "annotated")
    assert link_regions([[0, 0, 0.2, 0.2]], [""], stored)[0].sources == ("detected", "annotated")
    assert stored.names == ("cat", "sky")


def test_clip_box(spot: Spot) -> None:
    assert clip_box((0.1, 0.2, 0.3, 0.4), spot) == (0.1, 0.2, 0.3, 0.4)
    assert not spot.report
    assert clip_box((-0.1, 0.2, 0.3, 1.4), spot) == (0, 0.2, 0.3, 1)
    assert spot.report.changed == {"box cut at the border": 1}
    assert clip_box((1.1, 0.2, 1.3, 0.4), spot) is None
    assert clip_box((0.3, 0.2, 0.1, 0.4), spot) is None
    assert spot.report.skipped == {"empty box": 2}
    assert "file.txt, line 7: the box 1.100 0.200 1.300 0.400" in str(list(spot.report)[1])
