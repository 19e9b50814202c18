import numpy as np
import pytest

from value_nb.sums import ImageSums


def filled(rows: list[int]) -> ImageSums:
    """Some of 60 made-up rows, a batch of up to 7 at a time, under two keys."""
    rng = np.random.default_rng(0)
    values, images = rng.normal(size=(60, 3)), [f"i{k}" for k in rng.integers(0, 20, 60)]
    sums = ImageSums()
    for start in range(0, len(rows), 7):
        part = rows[start : start + 7]
        sums.add(("joint", 0), [images[k] for k in part], values[part])
        sums.add(("joint", 1), [images[k] for k in part], values[part, :2] * 2)
    return sums


def assert_equal(one: ImageSums, two: ImageSums) -> None:
    for key in (("joint", 0), ("joint", 1)):
        (ids, num, den), (ids2, num2, den2) = one.table(key), two.table(key)
        assert ids == ids2 and np.array_equal(den, den2)
        assert np.allclose(num, num2, rtol=0, atol=1e-12)


def test_order_and_sharding_do_not_matter():
    whole = filled(list(range(60)))
    assert_equal(whole, filled(list(range(60))[::-1]))
    a, b, c = (filled(list(range(k, 60, 3))) for k in range(3))
    assert_equal(whole, a.merge(b).merge(c))
    assert_equal(whole, a.merge(b.merge(c)))
    assert_equal(whole, c.merge(a).merge(b))


def test_merging_changes_neither_side():
    a, b = filled([0, 1, 2]), filled([3, 4])
    before = a.table(("joint", 0))[1].copy()
    a.merge(b)
    assert np.array_equal(a.table(("joint", 0))[1], before) and len(b) <= 2


def test_what_is_not_defined_counts_nothing():
    sums = ImageSums()
    sums.add("k", ["a", "a", "b"], np.array([[1.0, np.nan], [3.0, 2.0], [np.nan, np.nan]]))
    ids, num, den = sums.table("k")
    assert (
        ids == ["a", "b"]
        and num.tolist() == [[4.0, 2.0], [0.0, 0.0]]
        and den.tolist() == [[2.0, 1.0], [0.0, 0.0]]
    )


def test_an_image_seen_under_one_key_only_has_no_count_under_the_other():
    sums = ImageSums()
    sums.add("one", ["a"], np.ones((1, 1)))
    sums.add("two", ["b"], np.ones((1, 1)))
    assert sums.table("one")[2][:, 0].tolist() == [1.0, 0.0]
    assert sums.table("two")[2][:, 0].tolist() == [0.0, 1.0]


def test_memory_is_per_image_and_not_per_example():
    sums = ImageSums()
    for _ in range(200):
        sums.add("k", ["a", "b"], np.ones((2, 4)))
    assert sums._sums["k"].shape[1] <= 16 and sums.table("k")[1].tolist() == [[200.0] * 4] * 2


def test_errors_say_what_came():
    sums = ImageSums()
    sums.add("k", ["a"], np.ones((1, 2)))
    with pytest.raises(ValueError, match=r"values of shape \(3,\) under 'k', which holds \(2,\)"):
        sums.add("k", ["a"], np.ones((1, 3)))
    with pytest.raises(ValueError, match="2 rows of values for 1 examples"):
        sums.add("k", ["a"], np.ones((2, 2)))
    with pytest.raises(KeyError, match="nothing was added under 'q'"):
        sums.table("q")


def test_images_that_came_under_another_key_alone_do_not_stand_in_the_way():
    """The array of a key has room for the images known when it was last added to, and no more."""
    sums = ImageSums()
    sums.add("first", ["a"], np.ones((1, 1)))
    sums.add("second", [f"i{k}" for k in range(40)], np.ones((40, 1)))
    merged = ImageSums().merge(sums)
    assert merged.table("first")[1].sum() == 1 and merged.table("second")[1].sum() == 40
    assert merged.image_ids == sums.image_ids


def test_absorbing_gives_the_numbers_of_merging():
    a, b = filled(list(range(30))), filled(list(range(30, 60)))
    merged = a.merge(b)
    a.absorb(b)
    for key in (("joint", 0), ("joint", 1)):
        assert all(np.array_equal(x, y) for x, y in zip(a.table(key), merged.table(key), strict=True))


def test_what_is_large_lies_in_files_and_looks_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same numbers with no room in memory, merged, grown and read; and less memory is held."""
    import tracemalloc

    from value_nb import spilled

    def filled() -> ImageSums:
        parts = []
        for shard in range(2):
            part = ImageSums()
            for batch in range(5):
                rng = np.random.default_rng([shard, batch])
                names = [f"picture {number}" for number in rng.integers(400, size=64)]
                part.add("layer", names, rng.normal(size=(64, 300)))
            parts.append(part)
        return parts[0].merge(parts[1])

    held, tables = [], []
    for limit in (2**40, 0):
        monkeypatch.setattr(spilled, "LIMIT", limit)
        tracemalloc.start()
        made = filled()
        tables.append(made.table("layer"))
        held.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert tables[0][0] == tables[1][0]
    for plain, filed in zip(tables[0][1:], tables[1][1:], strict=True):
        assert type(filed) is np.ndarray
        np.testing.assert_array_equal(plain, filed)
    assert held[1] < held[0] / 2
