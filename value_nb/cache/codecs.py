"""How values become files and come back the same: results, tables, arrays, plain values. No pickle."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
ONE, MANY, SEVERAL = "result", "results", "dict"
TREE, PLAIN_FILE, ARRAY_FILE, FRAME_FILE = "tree.json", "value.json", "arrays.npz", "frame.json"


class NotKept(ValueError):
    """A value that would not come back as it is."""


@dataclass(frozen=True, slots=True)
class Codec(Generic[T]):
    """What writes a value into an empty folder, and reads it there again.

    Attributes
    ----------
    write
        (folder, value): raises NotKept for a value that would not come back the same.
    read
        folder -> value.
    """

    write: Callable[[Path, T], Any]
    read: Callable[[Path], T]

    def around(self, apart: Callable[[Any], T], together: Callable[[T], Any]) -> Codec[Any]:
        """The codec of something that `apart` makes into a value of this one, and `together` out of it."""
        return Codec(
            lambda folder, value: self.write(folder, apart(value)),
            lambda folder: together(self.read(folder)),
        )


def _write_results(folder: Path, value: Any) -> None:
    leaves: list[Any] = []
    tree = _planted(value, leaves)
    for number, result in enumerate(leaves):
        result.save(folder / str(number))
    (folder / TREE).write_text(json.dumps(tree), encoding="utf-8")


def _planted(value: Any, leaves: list[Any]) -> list[Any]:
    """The shape of nested results, with the number of each leaf."""
    from value_nb.result import Result, Results

    if isinstance(value, Result):
        leaves.append(value)
        return [ONE, len(leaves) - 1]
    if not isinstance(value, Results | dict):
        raise NotKept(f"{type(value).__name__} came; expected results, or dicts of them")
    kind = MANY if isinstance(value, Results) else SEVERAL
    return [kind, [[name, _planted(part, leaves)] for name, part in value.items()]]


def _read_results(folder: Path) -> Any:
    return _grown(json.loads((folder / TREE).read_text(encoding="utf-8")), folder)


def _grown(tree: list[Any], folder: Path) -> Any:
    from value_nb.result import Results, load_result

    kind, inside = tree
    if kind == ONE:
        return load_result(folder / str(inside))
    parts = {name: _grown(part, folder) for name, part in inside}
    return Results(parts) if kind == MANY else parts


def _write_plain(folder: Path, value: Any) -> None:
    text = json.dumps(value)
    if json.loads(text) != value and "NaN" not in text:
        raise NotKept("this value does not come back from JSON as it is")
    (folder / PLAIN_FILE).write_text(text, encoding="utf-8")


def _read_plain(folder: Path) -> Any:
    return json.loads((folder / PLAIN_FILE).read_text(encoding="utf-8"))


def _write_arrays(folder: Path, arrays: Mapping[str, np.ndarray]) -> None:
    if any(array.dtype.hasobject for array in arrays.values()):
        raise NotKept("an array of objects came; expected numbers or text")
    np.savez(folder / ARRAY_FILE, **dict(arrays))  # type: ignore[arg-type]


def _read_arrays(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / ARRAY_FILE, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def plain_frame(frame: pd.DataFrame) -> dict[str, Any]:
    """A table as plain values: columns, index and their names and types. Raises NotKept for odd cells."""
    columns = [
        {"name": _label(name), "dtype": str(frame.dtypes.iloc[k]), "cells": _cells(frame.iloc[:, k])}
        for k, name in enumerate(frame.columns)
    ]
    return {"columns": columns, "column_index": _index(frame.columns), "index": _index(frame.index),
            "attrs": dict(frame.attrs)}  # fmt: skip


def frame_of(plain: Mapping[str, Any]) -> pd.DataFrame:
    """The table that `plain_frame` took apart."""
    import pandas as pd

    index, columns = _index_of(plain["index"]), _index_of(plain["column_index"])
    series = [pd.Series(_values(c["cells"]), index=index, dtype=c["dtype"]) for c in plain["columns"]]
    frame = pd.concat(series, axis=1) if series else pd.DataFrame(index=index)
    frame.columns, frame.index = columns, index
    frame.attrs.update(plain["attrs"])
    return frame


def _index(index: Any) -> dict[str, Any]:
    names = [_label(name) for name in index.names]
    if index.nlevels > 1:
        cells = [_cells(index.get_level_values(level)) for level in range(index.nlevels)]
        return {"kind": "multi", "names": names, "cells": cells}
    if type(index).__name__ == "RangeIndex":
        return {"kind": "range", "names": names, "cells": [index.start, index.stop, index.step]}
    return {"kind": "plain", "names": names, "dtype": str(index.dtype), "cells": _cells(index)}


def _index_of(plain: Mapping[str, Any]) -> Any:
    import pandas as pd

    names = [_name(name) for name in plain["names"]]
    if plain["kind"] == "multi":
        return pd.MultiIndex.from_arrays([_values(cells) for cells in plain["cells"]], names=names)
    if plain["kind"] == "range":
        return pd.RangeIndex(range(*plain["cells"]), name=names[0])
    return pd.Index(_values(plain["cells"]), dtype=plain["dtype"], name=names[0])


def _label(name: Any) -> Any:
    """A column's name, several of them in a list; `_name` turns it back."""
    return [_cell(part) for part in name] if isinstance(name, tuple) else _cell(name)


def _name(label: Any) -> Any:
    return tuple(label) if isinstance(label, list) else label


def _cells(column: Any) -> list[Any]:
    return [_cell(cell) for cell in column.tolist()]


def _cell(cell: Any) -> Any:
    """A plain cell; pandas' NA in a list of its own, since None and nan are others."""
    import pandas as pd

    if cell is pd.NA:
        return ["NA"]
    if cell is None or isinstance(cell, bool | int | float | str):
        return cell
    raise NotKept(f"a cell of {type(cell).__name__} came; expected numbers, text or nothing")


def _values(cells: list[Any]) -> list[Any]:
    import pandas as pd

    return [pd.NA if cell == ["NA"] else cell for cell in cells]


def _write_frame(folder: Path, frame: pd.DataFrame) -> None:
    import pandas as pd

    plain = plain_frame(frame)
    try:
        pd.testing.assert_frame_equal(frame_of(json.loads(json.dumps(plain))), frame, check_exact=True)
    except (AssertionError, TypeError, ValueError) as problem:
        raise NotKept(f"this table does not come back as it is: {problem}") from None
    (folder / FRAME_FILE).write_text(json.dumps(plain), encoding="utf-8")


def _read_frame(folder: Path) -> pd.DataFrame:
    return frame_of(json.loads((folder / FRAME_FILE).read_text(encoding="utf-8")))


RESULTS: Codec[Any] = Codec(_write_results, _read_results)
"""A `Result`, `Results`, or dicts of them to any depth, in order."""
PLAIN: Codec[Any] = Codec(_write_plain, _read_plain)
"""Numbers, texts, lists and dicts, as JSON has them."""
ARRAYS: Codec[Mapping[str, np.ndarray]] = Codec(_write_arrays, _read_arrays)
"""Arrays by name."""
TABLE: Codec[Any] = Codec(_write_frame, _read_frame)
"""A DataFrame, with its index, the types of its columns, and `attrs`."""


def side_by_side(**parts: Codec[Any]) -> Codec[dict[str, Any]]:
    """The codec of a dict of values, each with a codec of its own."""

    def write(folder: Path, value: Mapping[str, Any]) -> None:
        for name, codec in parts.items():
            (folder / name).mkdir()
            codec.write(folder / name, value[name])

    return Codec(write, lambda folder: {name: codec.read(folder / name) for name, codec in parts.items()})
