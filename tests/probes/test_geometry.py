import numpy as np
import pytest

from value_nb.data.example import Regions
from value_nb.probes.geometry import aspect, distance, distance_bin, relative_geometry

BOXES = np.array(
    [[0.0, 0.0, 0.2, 0.2], [0.3, 0.0, 0.5, 0.2], [0.0, 0.4, 0.2, 0.6], [0.8, 0.8, 1.0, 1.0]], dtype=np.float32
)
REGIONS = Regions(BOXES, None, ("thing",) * 4, ("annotated",) * 4)


def test_distance_is_a_share_of_the_diagonal():
    assert distance(BOXES, 0, 1) == pytest.approx(0.3 / 2**0.5)
    assert distance(BOXES, 0, 3) == pytest.approx(0.8)
    assert distance(np.array([[0, 0, 0, 0], [1, 1, 1, 1.0]]), 0, 1, ratio=4 / 3) == pytest.approx(1.0)
    wide = [distance(BOXES, 0, k, ratio=2.0) for k in (1, 2)]
    assert wide == pytest.approx([0.6 / 5**0.5, 0.4 / 5**0.5]), "what is wide is far in a wide picture"
    assert distance(BOXES, 1, 0) == distance(BOXES, 0, 1)


def test_bins():
    assert [distance_bin(BOXES, 0, k, 1.0, (0.25, 0.3)) for k in (1, 2, 3)] == [0, 1, 2]
    assert distance_bin(BOXES, 0, 3, 1.0, ()) == 0


def test_aspect():
    assert aspect((320, 240)) == pytest.approx(4 / 3) and aspect(None) == 1.0


def test_geometry_knows_order_and_side():
    there, back = relative_geometry(REGIONS, 0, 1), relative_geometry(REGIONS, 1, 0)
    assert len(there) == len(back) == 41
    assert there[8:12] == pytest.approx([0.3, 0.0, 1.5, 0.0], abs=1e-6)
    assert back[8:12] == pytest.approx([-0.3, 0.0, -1.5, 0.0], abs=1e-6)
    assert there[12:14] == pytest.approx([0, 0], abs=1e-6) and there[14] == 0.0
    assert sum(there[16:]) == 1.0 and there[16:] != back[16:]
    assert relative_geometry(REGIONS, 0, 0)[14] == pytest.approx(1.0), "IoU"
    assert all(type(value) is float for value in there)


def test_boxes_without_size_are_no_trouble():
    flat = Regions(np.zeros((2, 4), dtype=np.float32), None, ("a", "b"), ("annotated",) * 2)
    assert np.isfinite(relative_geometry(flat, 0, 1)).all()
