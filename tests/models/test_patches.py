from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tiny_vilt import draw, tiny_vilt
from value_nb.data.example import Example, Regions
from value_nb.data.grid_boxes import grid_boxes, grid_names, grid_regions, regions_note
from value_nb.models.patches import LEAST, patch_shares, with_patch_regions
from value_nb.trace import Trace

TWO = grid_boxes(2, 2)
"""A 2 x 2 grid: patches 0 1 / 2 3."""

fractions = st.integers(0, 64).map(lambda k: k / 64)


def boxes(most: int = 5) -> st.SearchStrategy[np.ndarray]:
    one = st.tuples(fractions, fractions, fractions, fractions).map(
        lambda e: (min(e[0], e[2]), min(e[1], e[3]), max(e[0], e[2]), max(e[1], e[3]))
    )
    return st.lists(one, min_size=1, max_size=most).map(lambda found: np.array(found, dtype=float))


def cuts() -> st.SearchStrategy[list[float]]:
    inner = st.lists(st.integers(1, 63), max_size=4, unique=True).map(sorted)
    return inner.map(lambda found: [0.0, *(k / 64 for k in found), 1.0])


def test_a_grid_by_hand() -> None:
    assert TWO.tolist() == [[0, 0, 0.5, 0.5], [0.5, 0, 1, 0.5], [0, 0.5, 0.5, 1], [0.5, 0.5, 1, 1]]
    assert grid_names(1, 2, "patch") == ("patch 0,0", "patch 0,1")
    with pytest.raises(ValueError, match="0 rows and 3 columns"):
        grid_boxes(0, 3)
    with pytest.raises(ValueError, match="65 rows and 1 columns; expected 1 to 64"):
        grid_regions(65, 1)
    assert grid_regions(2, 3).sources == ("grid",) * 6


def test_shares_by_hand() -> None:
    """The left three quarters; the middle quarter; a point in the third patch."""
    found = patch_shares(TWO, [[0, 0, 0.75, 1], [0.25, 0.25, 0.75, 0.75], [0.1, 0.9, 0.1, 0.9]])
    np.testing.assert_allclose(found.shares[:, 0], [1, 0.5, 1, 0.5])
    np.testing.assert_allclose(found.shares[:, 1], [0.25] * 4)
    np.testing.assert_allclose(found.shares[:, 2], [0, 0, LEAST, 0])
    np.testing.assert_allclose(found.loose, [0, 0.5, 0, 0.5])
    assert found.unit.tolist() == [0, 0, 0, 0]
    nothing = patch_shares(TWO, np.zeros((0, 4)))
    assert nothing.unit.tolist() == [-1] * 4 and nothing.loose.tolist() == [1.0] * 4
    corner = patch_shares(TWO, [[0.9, 0.9, 1, 1]])
    np.testing.assert_allclose(corner.shares[:, 0], [0, 0, 0, 0.04])
    assert corner.unit.tolist() == [-1, -1, -1, 0]


def test_a_region_whose_patches_are_gone_gets_the_nearest() -> None:
    found = patch_shares(TWO[:2], [[0.0, 0.6, 0.2, 1.0]])
    np.testing.assert_allclose(found.shares[:, 0], [LEAST, 0])


@settings(derandomize=True, max_examples=80, deadline=None)
@given(cuts(), cuts(), st.integers(1, 5), st.integers(1, 5))
def test_a_partition_divides_every_patch_without_rest(
    x: list[float], y: list[float], rows: int, columns: int
) -> None:
    regions = np.array([[a, c, b, d] for c, d in pairwise(y) for a, b in pairwise(x)])
    found = patch_shares(grid_boxes(rows, columns), regions)
    np.testing.assert_allclose(found.shares.sum(axis=1), 1.0, atol=1e-9)
    np.testing.assert_allclose(found.loose, 0.0, atol=1e-9)
    areas = (regions[:, 2] - regions[:, 0]) * (regions[:, 3] - regions[:, 1])
    np.testing.assert_allclose(found.shares.sum(axis=0), areas * rows * columns, rtol=1e-9)


@settings(derandomize=True, max_examples=80, deadline=None)
@given(boxes(), st.integers(1, 5), st.integers(1, 5))
def test_shares_are_what_counting_points_gives(regions: np.ndarray, rows: int, columns: int) -> None:
    """A lattice fine enough to hit every edge: points inside, counted. And no region stays empty."""
    patches = grid_boxes(rows, columns)
    found = patch_shares(patches, regions)
    n = 64 * rows * columns
    xs = (np.arange(n) + 0.5) / n
    for patch, (x1, y1, x2, y2) in enumerate(patches):
        inside_x, inside_y = xs[(xs > x1) & (xs < x2)], xs[(xs > y1) & (xs < y2)]
        any_region = np.zeros((len(inside_y), len(inside_x)), dtype=bool)
        for region, box in enumerate(regions):
            within = np.outer(
                (inside_y > box[1]) & (inside_y < box[3]), (inside_x > box[0]) & (inside_x < box[2])
            )
            any_region |= within
            assert found.shares[patch, region] == pytest.approx(within.mean(), abs=2 * LEAST)
        assert found.loose[patch] == pytest.approx(1 - any_region.mean(), abs=1e-9)
    assert (found.shares.max(axis=0) >= LEAST).all()
    assert ((found.shares >= 0) & (found.shares <= 1)).all()


# -- pooling, by hand and on a model -------------------------------------------------------------------------


def seen(folder: Path, regions: Regions | None, size: tuple[int, int] = (32, 32), **changes: object) -> Trace:
    """The trace of a picture of 2 x 2 patches."""
    model = tiny_vilt(seed=2, image_size=32, **changes)
    path = draw(folder / "it.png", size, seed=4)
    example = Example("1", "1", "a big dog", ("a", "big", "dog"), image=path, size=size, regions=regions)
    return model.trace(example)


def named(boxes: list[list[float]], *names: str) -> Regions:
    return Regions(np.array(boxes, dtype=np.float32), None, names, ("annotated",) * len(names))


def test_attention_of_regions_by_hand(tmp_path: Path) -> None:
    """Patches 0 1 / 2 3; "left" is 0 and 2 whole, "strip" the upper half of 0 and of 1."""
    trace = seen(tmp_path, named([[0, 0, 0.5, 1], [0, 0, 1, 0.25]], "left", "strip"))
    raw = trace.attention("text->image", 1, head=0, unit="position").to_numpy()
    assert raw.shape[1] == 5
    summary, patches = raw[:, 0], raw[:, 1:]
    pooled = trace.attention("text->image", 1, head=0)
    assert list(pooled.columns) == ["r0 left", "r1 strip", "unassigned"]
    words = [1, 2, 3]
    np.testing.assert_allclose(pooled["r0 left"], patches[words, 0] + patches[words, 2], rtol=1e-6)
    np.testing.assert_allclose(
        pooled["r1 strip"], 0.5 * patches[words, 0] + 0.5 * patches[words, 1], rtol=1e-6
    )
    rest = summary[words] + 0.5 * patches[words, 1] + patches[words, 3]
    np.testing.assert_allclose(pooled["unassigned"], rest, rtol=1e-6)
    back = trace.attention("image->text", 1, head=0, unit="position").to_numpy()[1:]
    found = trace.attention("image->text", 1, head=0)
    np.testing.assert_allclose(found.loc["r0 left", "dog"], (back[0, 3] + back[2, 3]) / 2, rtol=1e-6)
    np.testing.assert_allclose(found.loc["r1 strip", "dog"], (back[0, 3] + back[1, 3]) / 2, rtol=1e-6)


def test_regions_that_part_the_picture_share_a_row_without_rest(tmp_path: Path) -> None:
    thirds = named([[0, 0, 0.3, 1], [0.3, 0, 0.8, 1], [0.8, 0, 1, 1]], "a", "b", "c")
    trace = seen(tmp_path, thirds, size=(64, 32))
    raw = trace.attention("text->image", 2, unit="position").to_numpy()
    pooled = trace.attention("text->image", 2).to_numpy()
    whole = trace.attention("text->image", 2, image="patches").to_numpy()
    np.testing.assert_allclose(pooled[:, :3].sum(axis=1), raw[1:4, 1:].sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(pooled[:, 3], raw[1:4, 0], rtol=1e-4)
    np.testing.assert_allclose(whole[:, :-1], raw[1:4, 1:], rtol=1e-6)
    joint = trace.attention("joint", 1)
    np.testing.assert_allclose(joint.sum(axis=1), 1, rtol=1e-5)


@settings(derandomize=True, max_examples=12, deadline=None)
@given(cuts(), cuts())
def test_rows_over_a_partition_keep_the_mass_of_the_picture(
    tmp_path_factory: pytest.TempPathFactory, x: list[float], y: list[float]
) -> None:
    parts = [[a, c, b, d] for c, d in pairwise(y) for a, b in pairwise(x)]
    trace = seen(
        tmp_path_factory.mktemp("it"), named(parts, *map(str, range(len(parts)))), size=(64, 32), layers=1
    )
    pooled = trace.attention("text->image", 1, head=1).to_numpy()
    raw = trace.attention("text->image", 1, head=1, unit="position").to_numpy()
    np.testing.assert_allclose(pooled[:, :-1].sum(axis=1), raw[1:4, 1:].sum(axis=1), rtol=1e-5)


def test_patches_are_the_regions_where_there_are_none(tmp_path: Path) -> None:
    trace = seen(tmp_path, None)
    assert trace.example.regions is not None and trace.example.regions.sources == ("patch",) * 4
    pooled = trace.attention("text->image", 1)
    assert list(pooled.columns)[:4] == ["r0 patch 0,0", "r1 patch 0,1", "r2 patch 1,0", "r3 patch 1,1"]
    raw = trace.attention("text->image", 1, image="patches")
    assert list(raw.columns)[:4] == ["patch 0,0", "patch 0,1", "patch 1,0", "patch 1,1"]
    np.testing.assert_array_equal(raw.to_numpy(), pooled.to_numpy())
    np.testing.assert_allclose(trace.boxes("patches"), TWO)
    np.testing.assert_allclose(trace.boxes(), TWO)
    assert regions_note(trace.example) == "patches of the picture, not detected regions"
    assert trace.example.extra["regions"] == regions_note(trace.example)
    kept = with_patch_regions(replace(trace.example, regions=None), 2, 2, np.array([1, 3]))
    assert kept.regions is not None and kept.regions.names == ("patch 0,1", "patch 1,1")


def test_positions_of_patches(tmp_path: Path) -> None:
    trace = seen(tmp_path, named([[0.5, 0, 1, 1]], "right"))
    frame = trace.positions
    image = frame[frame["stream"] == "image"]
    assert image["token"].tolist() == ["[IMG]", "patch 0,0", "patch 0,1", "patch 1,0", "patch 1,1"]
    assert image["region"].isna().tolist() == [True, True, False, True, False]
    assert image["box"].tolist()[1:] == [tuple(box) for box in TWO.tolist()] and image["box"].iloc[0] is None
    np.testing.assert_allclose(trace.boxes(), [[0.5, 0, 1, 1]])


def test_what_has_no_patches_says_so(tmp_path: Path) -> None:
    from tests.tiny import tiny_examples, tiny_model

    trace = tiny_model("uniter").trace(tiny_examples(1)[0])
    with pytest.raises(ValueError, match="has no patches: its image positions are regions"):
        trace.attention("text->image", 1, image="patches")
    with pytest.raises(ValueError, match="image is 'pixels'; valid: 'regions', 'patches'"):
        trace.attention("text->image", 1, image="pixels")
    assert trace.boxes().shape == (len(trace.example.regions or ()), 4)
    bert = tiny_model("bert").trace(tiny_examples(1)[0])
    with pytest.raises(ValueError, match="saw no picture"):
        bert.boxes()
    with pytest.raises(ValueError, match="sees no picture"):
        bert.attention("text->text", 1, image="patches")


def test_the_same_words_whatever_the_regions(tmp_path: Path) -> None:
    """Regions are a way to read the attention; the model never sees them."""
    one, other = seen(tmp_path, None), seen(tmp_path, named([[0, 0, 1, 1]], "all"))
    assert torch.equal(*(torch.from_numpy(t.hidden["joint"]["text"][-1]) for t in (one, other)))
