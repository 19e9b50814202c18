"""Pickles from outside: plain data and arrays of numbers come through, and nothing is ever run."""

from __future__ import annotations

import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from value_nb.data.features import convert_features, open_features
from value_nb.data.features.restricted_pickle import load_list, load_record
from value_nb.data.problems import DataFormatError

from .writers import make, volta_arrays, write_lmdb, write_volta_arrays

PROTOCOLS = st.integers(0, pickle.HIGHEST_PROTOCOL)
DTYPES = st.sampled_from(["<f2", "<f4", ">f4", "<f8", "|i1", "<i2", ">i4", "<i8", "|u1", "<u8", "|b1"])
VALUES = (
    st.text(max_size=20)
    | st.binary(max_size=20)
    | st.integers()
    | st.floats(allow_nan=False)
    | st.booleans()
    | st.none()
    | arrays(DTYPES, array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=5), PROTOCOLS, st.booleans())
def test_plain_data_and_arrays_come_through(record: dict[str, Any], protocol: int, turned: bool) -> None:
    if turned:
        record = {key: value.T if isinstance(value, np.ndarray) else value for key, value in record.items()}
    read = load_record(pickle.dumps(record, protocol), "a.mdb", "picture 1")
    assert list(read) == list(record)
    for key, value in record.items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(read[key], value)
            assert read[key].dtype == value.dtype and read[key].flags.writeable
        else:
            assert read[key] == value and type(read[key]) is type(value)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(st.binary(max_size=12), max_size=8), PROTOCOLS)
def test_lists_of_bytes(keys: list[bytes], protocol: int) -> None:
    assert load_list(pickle.dumps(keys, protocol), "a.mdb", "keys") == keys


@pytest.mark.parametrize("scalar", [np.float32(0.5), np.int64(7), np.bool_(True)])
def test_numpy_scalars(scalar: Any) -> None:
    read = load_record(pickle.dumps({"a": scalar}, 4), "a.mdb", "")
    assert read["a"].shape == () and read["a"] == scalar and read["a"].dtype == scalar.dtype


def test_the_names_of_older_numpy() -> None:
    """Before numpy 2 the module was called numpy.core; pickles of Python 2 hold bytes as text."""
    data = pickle.dumps({"a": np.arange(6, dtype="<f4").reshape(2, 3)}, 2)
    older = data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert older != data
    np.testing.assert_array_equal(load_record(older, "", "")["a"], np.arange(6).reshape(2, 3))


class Touch:
    """When it is unpickled, it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


class Plain:
    pass


def hostile(path: Path) -> dict[str, bytes]:
    """Pickles that would make a folder, or otherwise do more than hold data."""
    name = str(path).encode()
    call = b"(V" + name + b"\ntR."
    return {
        **{f"protocol {p}": pickle.dumps({"a": Touch(path)}, p) for p in range(6)},
        "posix.mkdir": b"cposix\nmkdir\n" + call,
        "builtins.eval": b"cbuiltins\neval\n(V__import__('os').mkdir('" + name + b"')\ntR.",
        "builtins.getattr": pickle.dumps(getattr),
        "INST": b"(V" + name + b"\niposix\nmkdir\n.",
        "OBJ": b"(cposix\nmkdir\nV" + name + b"\no.",
        "NEWOBJ": pickle.dumps({"a": Plain()}, 4),
        "numpy, other name": b"cnumpy\nload\n" + call,
        "numpy.testing": b"cnumpy.testing._private.utils\nrunstring\n(Vx\n}tR.",
        "dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.dump\x93.",
        "named at run time": b"\x80\x04\x8c\x05posix\x8c\x05mkdir\x93\x8c"
        + bytes([len(name)])
        + name
        + b"\x85R.",
        "setting on an allowed name": b"cnumpy\nndarray\n}(V__setstate__\nI1\nsb.",
        "extension": b"\x80\x02\x82\x01.",
        "persistent id": b"Vx\nQ.",
        "far place in the memo": b"\x80\x02]r" + struct.pack("<I", 2**32 - 1) + b".",
        "object array": pickle.dumps({"a": np.array([{}, 1], object)}, 4),
        "text array": pickle.dumps({"a": np.array(["x"])}, 4),
        "record array": pickle.dumps({"a": np.zeros(2, [("x", "<f4")])}, 4),
        "array inside a list": pickle.dumps({"a": [np.zeros(2)]}, 4),
        "huge array": pickle.dumps({"a": np.zeros((1, 1))}, 2).replace(
            b"K\x01K\x01\x86", b"J\xff\xff\xff\x7fK\x01\x86"
        ),
        "no dict": pickle.dumps([1, 2]),
        "set": pickle.dumps({"a": {1, 2}}, 4),
        "complex": pickle.dumps({"a": 1j}, 4),
    }


@pytest.mark.parametrize("name", hostile(Path("x")))
def test_anything_else_is_refused_and_nothing_is_run(tmp_path: Path, name: str) -> None:
    target = tmp_path / "made"
    data = hostile(target)[name]
    with pytest.raises(DataFormatError, match=r"^a\.mdb, picture 9") as caught:
        load_record(data, "a.mdb", "picture 9")
    assert not target.exists()
    assert "came; expected" in str(caught.value) or "no whole pickle" in str(caught.value)
    with pytest.raises(DataFormatError, match=r"^a\.mdb, keys"):
        load_list(data if name != "no dict" else pickle.dumps({}), "a.mdb", "keys")
    assert not target.exists()


def test_the_payloads_would_work() -> None:
    """Otherwise the test before proves nothing."""
    import tempfile

    for name in (
        "protocol 0",
        "protocol 5",
        "posix.mkdir",
        "builtins.eval",
        "INST",
        "OBJ",
        "named at run time",
    ):
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "made"
            pickle.loads(hostile(target)[name])
            assert target.exists(), name


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_damaged_pickles_are_said(data: st.DataObject) -> None:
    whole = bytearray(pickle.dumps(volta_arrays(make("1")), data.draw(PROTOCOLS)))
    if data.draw(st.booleans()):
        whole = whole[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert isinstance(load_record(bytes(whole), "a.mdb", "picture 1"), dict)
    except DataFormatError as error:
        assert error.file == "a.mdb"


def test_a_hostile_value_in_a_database(tmp_path: Path) -> None:
    path = write_volta_arrays(tmp_path, [make("1"), make("2", seed=1)])
    target = tmp_path / "made"
    write_lmdb(path, {b"1": pickle.dumps({"features": Touch(target)})})
    source = open_features(path)
    with pytest.raises(
        DataFormatError, match=r"data\.mdb, picture 1: a pickle with the name \w+\.mkdir, which"
    ):
        source.read("1")
    assert len(source.read("2").boxes) == 3
    with pytest.warns(UserWarning, match="1 record skipped"):
        store = convert_features(path, tmp_path / "store.h5", progress=False)
    assert store.image_ids == ("2",) and store.problems.skipped == {"unreadable picture": 1}
    assert not target.exists()


def test_a_hostile_list_of_keys(tmp_path: Path) -> None:
    path = write_volta_arrays(tmp_path, [make("1")])
    write_lmdb(path, {b"keys": pickle.dumps(Touch(tmp_path / "made"))})
    with pytest.raises(DataFormatError, match=r"data\.mdb, keys: a pickle with the name"):
        open_features(path).image_ids  # noqa: B018
    assert not (tmp_path / "made").exists()
