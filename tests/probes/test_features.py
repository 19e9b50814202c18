import os
import tempfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from value_nb.probes.features import FeatureStore, row_id


def ids(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.uint64)


def test_rows_come_back_in_the_order_of_their_ids():
    store = FeatureStore()
    store.append("a", ids(5, 1), np.array([[5.0, 50.0], [1.0, 10.0]]))
    store.append("a", ids(3), np.array([[3.0, 30.0]]))
    store.append(("b", 2), ids(9), np.ones((1, 4)))
    found, values = store.read("a")
    assert found.tolist() == [1, 3, 5] and values.tolist() == [[1, 10], [3, 30], [5, 50]]
    assert values.dtype == np.float16 and store.keys == ["a", ("b", 2)] and store.nbytes == 2 * (6 + 4)


def test_row_ids_are_stable():
    assert row_id("17#3/0") == 0x2ABBB0DE6B65D534 != row_id("17#3/1")


rows = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 5)), min_size=1, max_size=12)


@given(rows, st.integers(0, 60), st.sampled_from(["float16", "float32"]), st.randoms())
@settings(max_examples=60, deadline=None)
def test_any_limit_order_and_sharding_give_the_same(chunks, limit, dtype, shuffle):
    """(key, rows) chunks: one store in memory, one that spills, and two shards merged in another order."""
    made, start = [], 1
    for key, n in chunks:
        number = np.arange(start, start + n, dtype=np.uint64)
        made.append((key, number, np.stack([number, number * 0.5, -number.astype(float)], axis=1)))
        start += n
    whole = FeatureStore(dtype=dtype)
    shards = [FeatureStore(limit, dtype), FeatureStore(limit, dtype)]
    for key, number, values in made:
        whole.append(key, number, values)
    shuffle.shuffle(made)
    for k, (key, number, values) in enumerate(made):
        shards[k % 2].append(key, number, values)
    merged = shards[0].merge(shards[1])
    assert set(merged.keys) == set(whole.keys) and merged.nbytes == whole.nbytes
    for key in whole.keys:
        for one, two in zip(whole.read(key), merged.read(key), strict=True):
            assert np.array_equal(one, two) and one.dtype == two.dtype


def test_what_exceeds_the_limit_lies_in_a_file_without_a_name(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    store = FeatureStore(limit=100)
    store.append("a", ids(1, 2), np.ones((2, 10)))
    assert not store.on_disk
    store.append("a", ids(3, 4, 5, 6), np.full((4, 10), 2.0))
    assert store.on_disk
    store.append("a", ids(0), np.zeros((1, 10)))
    assert os.fstat(store._file.fileno()).st_size == 6 * 10 * 2
    assert not [*tmp_path.iterdir()], "a process that is killed leaves nothing behind"
    assert store.read("a")[1][:, 0].tolist() == [0, 1, 1, 2, 2, 2, 2]


def test_merging_leaves_both_as_they_are():
    one, two = FeatureStore(limit=0), FeatureStore(limit=0)
    one.append("a", ids(1), np.ones((1, 2)))
    two.append("a", ids(2), np.zeros((1, 2)))
    before = one.read("a"), two.read("a")
    merged = one.merge(two)
    merged.append("a", ids(3), np.ones((1, 2)))
    for (old_ids, old), store in zip(before, (one, two), strict=True):
        assert np.array_equal(store.read("a")[0], old_ids) and np.array_equal(store.read("a")[1], old)


def test_values_are_copied_and_not_written_into():
    store, values = FeatureStore(dtype="float32"), np.ones((1, 2), dtype=np.float32)
    store.append("a", ids(1), values)
    values[:] = 7
    read = store.read("a")[1]
    assert read.tolist() == [[1, 1]]
    read[:] = 9
    assert store.read("a")[1].tolist() == [[1, 1]]


def test_errors_say_what_came():
    store = FeatureStore()
    store.append("a", ids(1), np.ones((1, 2)))
    for change, message in (
        (lambda: store.append("a", ids(2), np.ones((1, 3))), "3 features under 'a', which holds 2"),
        (lambda: store.append("a", ids(2, 3), np.ones((1, 2))), r"ids of shape \(2,\) for values"),
        (lambda: store.append("a", ids(2), np.array([[1e6, 0]])), 'not finite in float16.*dtype="float32"'),
        (lambda: store.merge(FeatureStore(dtype="float32")), "do not merge"),
        (lambda: FeatureStore(limit=-1), "limit is -1 bytes"),
        (lambda: FeatureStore(dtype="int8"), "expected one of 'float16', 'float32'"),
    ):
        with pytest.raises(ValueError, match=message):
            change()
    with pytest.raises(KeyError, match="nothing was appended under 'b'"):
        store.read("b")
    store.append("a", ids(1), np.ones((1, 2)))
    with pytest.raises(ValueError, match="a row came twice"):
        store.read("a")
