from __future__ import annotations

import numpy as np
import pytest

from value_nb.models.regions import locations, region_rows

BOXES = np.array([[0.1, 0.2, 0.5, 0.8], [0.0, 0.0, 1.0, 1.0]], dtype=np.float32)


def test_locations_of_each_family() -> None:
    seven = [[0.1, 0.2, 0.5, 0.8, 0.4, 0.6, 0.24], [0, 0, 1, 1, 1, 1, 1]]
    np.testing.assert_allclose(locations(BOXES, 7), seven, atol=1e-6)
    np.testing.assert_allclose(locations(BOXES, 5), np.array(seven)[:, [0, 1, 2, 3, 6]], atol=1e-6)
    np.testing.assert_array_equal(locations(BOXES, 4), BOXES)
    assert locations(BOXES, 7).dtype == np.float32
    assert locations(BOXES, 0).shape == (2, 0) and locations(BOXES, 0).dtype == np.float32


def test_other_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="location_size is 6; valid: 0, 4, 5, 7"):
        locations(BOXES, 6)


def test_the_global_row_is_the_mean_at_the_whole_picture() -> None:
    features = np.array([[1.0, 2.0], [3.0, 6.0]], dtype=np.float32)
    boxes, before = BOXES.copy(), features.copy()
    rows, places = region_rows(boxes, features, 5, "first")
    np.testing.assert_array_equal(rows, [[2, 4], [1, 2], [3, 6]])
    np.testing.assert_array_equal(places[0], [0, 0, 1, 1, 1])
    np.testing.assert_array_equal(boxes, BOXES)
    np.testing.assert_array_equal(features, before)
    rows, places = region_rows(boxes, features, 4, "none")
    assert rows.shape == (2, 2) and places.shape == (2, 4)


def test_the_global_row_may_come_last() -> None:
    features = np.array([[1.0, 2.0], [3.0, 6.0]], dtype=np.float32)
    rows, places = region_rows(BOXES, features, 4, "last")
    np.testing.assert_array_equal(rows, [[1, 2], [3, 6], [2, 4]])
    np.testing.assert_array_equal(places, [*BOXES, [0, 0, 1, 1]])


def test_another_place_for_the_global_row_is_refused() -> None:
    with pytest.raises(ValueError, match="global_row is 'middle'; valid: 'none', 'first', 'last'"):
        region_rows(BOXES, np.zeros((2, 2)), 4, "middle")


@pytest.mark.parametrize("where", ["first", "last"])
def test_a_picture_without_regions_has_no_global_row(where: str) -> None:
    rows, places = region_rows(np.zeros((0, 4)), np.zeros((0, 3)), 5, where)
    assert rows.shape == (0, 3) and places.shape == (0, 5)
