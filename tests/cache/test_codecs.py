"""Values that come back the same: results in any nesting, tables of any index, arrays, plain values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from value_nb.cache.codecs import ARRAYS, PLAIN, RESULTS, TABLE, NotKept, side_by_side
from value_nb.result import Result, Results


def result(value: float = 1 / 3, reason: str | None = None) -> Result:
    rows = [{"model": "m", "layer": 1, "value": value, "lo": np.nan, "hi": 1e-300, "note": "a, \"b\"\nc"},
            {"model": "m", "layer": None, "value": np.pi, "lo": 0.1, "hi": 0.3, "note": None}]  # fmt: skip
    frame = pd.DataFrame({"value": []} if reason else rows)
    return Result("toy", frame, {"model": "m", "settings": {"k": [1, 2]}, "n": 3}, reason)


TREES: dict[str, Any] = {
    "one": result(),
    "not defined": result(reason="no picture"),
    "many": Results({"b": result(1.5), "a": result(0.1)}),
    "nested": {"z": {"x/../y": result()}, "a": Results({"tree_depth": result(2)}), "none": {}},
}


@pytest.mark.parametrize("name", TREES)
def test_results_come_back_in_order_and_equal(name: str, tmp_path: Path) -> None:
    inside = tmp_path / "deep" / "inside"
    inside.mkdir(parents=True)
    RESULTS.write(inside, TREES[name])
    found = RESULTS.read(inside)
    assert same(found, TREES[name])
    assert [*tmp_path.iterdir()] == [inside.parent] and [*inside.parent.iterdir()] == [inside]


def same(a: Any, b: Any) -> bool:
    if isinstance(b, Result):
        return isinstance(a, Result) and a == b and a.meta == b.meta
    return type(a) is type(b) and list(a) == list(b) and all(same(a[name], b[name]) for name in b)


def test_what_is_no_result_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotKept, match="int came; expected results"):
        RESULTS.write(tmp_path, {"a": 3})


TABLES = {
    "numbers": pd.DataFrame({"a": [1 / 3, np.nan, 1e-320], "b": [1, 2, 3], "c": [True, False, True]}),
    "nothing": pd.DataFrame({"a": []}),
    "no columns": pd.DataFrame(index=pd.Index(["x"], name="who")),
    "missing": pd.DataFrame(
        {"a": pd.array([1, None], dtype="Int64"), "b": ["x", None],
         "c": pd.array([0.5, None], dtype="Float64")}
    ),
    "mixed": pd.DataFrame({"a": [1, "x", None, 2.5, pd.NA, True]}),
    "named index": pd.DataFrame({"a": [1.0]}, index=pd.Index(["m"], name="model")),
    "two levels": pd.DataFrame(
        [[0.1, 0.2]], columns=pd.MultiIndex.from_tuples([("text", "share"), ("m", "lo")]),
        index=pd.Index([5], name="regions"),
    ),
    "two levels of rows": pd.DataFrame(
        {"a": [1, 2]}, index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["x", None])
    ),
    "twice the same name": pd.DataFrame([[1, 2.5]], columns=["a", "a"]),
    "range": pd.DataFrame({"a": [1, 2]}, index=pd.RangeIndex(2, 6, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_tables_come_back_exactly(name: str, tmp_path: Path) -> None:
    table = TABLES[name].copy()
    table.attrs["said"] = {"n": 3}
    TABLE.write(tmp_path, table)
    found = TABLE.read(tmp_path)
    pd.testing.assert_frame_equal(found, table, check_exact=True, check_column_type=True)
    assert found.attrs == table.attrs


def test_a_cell_that_would_not_come_back_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotKept, match="a cell of tuple came"):
        TABLE.write(tmp_path, pd.DataFrame({"a": [(1, 2)]}))
    assert list(tmp_path.iterdir()) == []


def test_arrays_come_back(tmp_path: Path) -> None:
    arrays = {"a": np.eye(2, dtype=np.float16), "b": np.array(["x", "yy"]), "c": np.zeros((0, 3))}
    ARRAYS.write(tmp_path, arrays)
    found = ARRAYS.read(tmp_path)
    assert list(found) == list(arrays)
    assert all(np.array_equal(found[k], v) and found[k].dtype == v.dtype for k, v in arrays.items())
    with pytest.raises(NotKept, match="an array of objects came"):
        ARRAYS.write(tmp_path, {"a": np.array([{}], dtype=object)})


def test_plain_values_come_back_or_are_refused(tmp_path: Path) -> None:
    value = {"a": [1, 0.1, None, True, "é"], "b": {"c": []}}
    PLAIN.write(tmp_path, value)
    assert PLAIN.read(tmp_path) == value
    with pytest.raises(NotKept):
        PLAIN.write(tmp_path, {"a": (1, 2)})


def test_codecs_side_by_side_and_around(tmp_path: Path) -> None:
    codec = side_by_side(table=TABLE, said=PLAIN).around(
        lambda pair: {"table": pair[0], "said": pair[1]}, lambda parts: (parts["table"], parts["said"])
    )
    codec.write(tmp_path, (TABLES["numbers"], "words"))
    table, said = codec.read(tmp_path)
    assert table.equals(TABLES["numbers"]) and said == "words"
