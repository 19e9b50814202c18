"""Pickled plain data and arrays of numbers, read without running anything that the file names.

A pickle is a program. Here its instructions are looked over first: only those that build plain data (texts,
bytes, numbers, lists, tuples, dicts) pass, and calls pass only to the handful of names with which numpy and
bytes are written. Those names are not looked up either: small stand-ins of this module collect what they are
given, and arrays of whitelisted number types are made afterwards from the raw bytes. Any other name is
refused before anything has run.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from value_nb.data.features.source import MAX_BYTES, raw_array
from value_nb.data.problems import DataFormatError

Plain = str | bytes | int | float | bool | NDArray[Any] | None

OPCODES = frozenset(
    "PROTO FRAME STOP MARK POP POP_MARK DUP MEMOIZE GET BINGET LONG_BINGET PUT BINPUT LONG_BINPUT NONE "
    "NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING "
    "SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 UNICODE BINUNICODE SHORT_BINUNICODE "
    "BINUNICODE8 EMPTY_LIST APPEND APPENDS LIST EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_DICT DICT "
    "SETITEM SETITEMS GLOBAL STACK_GLOBAL REDUCE BUILD".split()
)


class Refused(ValueError):
    """A pickle that holds more than plain data and arrays of numbers, or is damaged."""


class _Allowed:
    """Stands for one allowed name; calling it calls the stand-in, and nothing can be set on it."""

    __slots__ = ("_make",)
    _make: Callable[..., Any]

    def __init__(self, make: Callable[..., Any]) -> None:
        object.__setattr__(self, "_make", make)

    def __call__(self, *args: Any) -> Any:
        return self._make(*args)

    def __setattr__(self, name: str, value: Any) -> None:
        raise Refused("it sets something on an allowed name")

    def __setstate__(self, state: Any) -> None:
        raise Refused("it sets something on an allowed name")


class _Dtype:
    """Collects the type of an array: 'f4', and later its byte order."""

    __slots__ = ("code", "order")

    def __init__(self, code: Any, *_: Any) -> None:
        self.code, self.order = str(code).lstrip("<>|="), "<"

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise Refused(f"a type of array with the state {state!r:.80}")
        self.order = state[1]

    @property
    def name(self) -> str:
        return self.order + self.code


class _Array:
    """Collects shape, type and bytes of an array."""

    __slots__ = ("state",)

    def __init__(self, *_: Any) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise Refused("an array whose state is none")
        self.state = state[-4:]


def _scalar(dtype: Any, data: Any = b"") -> _Array:
    array = _Array()
    array.state = (), dtype, False, data
    return array


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any = "C", *_: Any) -> _Array:
    array = _Array()
    array.state = shape, dtype, order == "F", data
    return array


def _encode(text: Any, encoding: Any = "latin1", *_: Any) -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", "iso-8859-1"):
        raise Refused(f"an encoding {encoding!r:.40}")
    return text.encode("latin1")


def _no_bytes(*args: Any) -> bytes:
    if args:
        raise Refused("bytes made from something")
    return b""


def _allowed() -> dict[tuple[str, str], _Allowed]:
    names: dict[tuple[str, str], Callable[..., Any]] = {
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Dtype,
        ("_codecs", "encode"): _encode,
        ("builtins", "bytes"): _no_bytes,
        ("__builtin__", "bytes"): _no_bytes,
    }
    for core in ("core", "_core"):
        names[(f"numpy.{core}.multiarray", "_reconstruct")] = _Array
        names[(f"numpy.{core}.multiarray", "scalar")] = _scalar
        names[(f"numpy.{core}.numeric", "_frombuffer")] = _from_buffer
    return {name: _Allowed(make) for name, make in names.items()}


ALLOWED = _allowed()


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise Refused(f"the name {module}.{name}, which would be run")
        return ALLOWED[module, name]


def _look_over(data: bytes) -> None:
    """Refuse instructions that are not needed for plain data, and places in the memo that are far off."""
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name not in OPCODES:
            raise Refused(f"the instruction {opcode.name}")
        text = str(argument)
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(text) > len(data):
            raise Refused(f"place {text} in a pickle of {len(data)} bytes")
        if opcode.name == "GLOBAL" and tuple(text.split(" ", 1)) not in ALLOWED:
            raise Refused(f"the name {text.replace(' ', '.')}, which would be run")


def _load(data: bytes, path: Path | str, place: str) -> Any:
    try:
        _look_over(data)
        return _Unpickler(io.BytesIO(data), encoding="latin1").load()
    except Refused as error:
        raise DataFormatError(
            path,
            place,
            f"a pickle with {error} came; expected plain data and arrays of numbers. Nothing was run; do not "
            "trust this file.",
        ) from None
    except Exception as error:  # a damaged pickle raises nearly anything
        raise DataFormatError(
            path, place, f"it is no whole pickle ({error}); copy or download the file again."
        ) from error


def load_list(data: bytes, path: Path | str, place: str) -> list[bytes]:
    """Return a pickled list of bytes (texts are encoded). Raises DataFormatError on anything else."""
    found = _load(data, path, place)
    if not isinstance(found, (list, tuple)) or not all(isinstance(item, (bytes, str)) for item in found):
        raise DataFormatError(
            path, place, f"a pickled {type(found).__name__} came; expected a list of bytes."
        )
    return [item if isinstance(item, bytes) else item.encode() for item in found]


def load_record(data: bytes, path: Path | str, place: str) -> dict[str, Plain]:
    """Return a pickled dict of texts, bytes, numbers and arrays. Raises DataFormatError on anything else.

    Parameters
    ----------
    data
        The pickle.
    path, place
        Where it came from, for messages.
    """
    found = _load(data, path, place)
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise DataFormatError(
            path, place, f"a pickled {type(found).__name__} came; expected a dict by names."
        )
    return {key: _plain(value, path, f"{place}, {key}") for key, value in found.items()}


def _plain(value: Any, path: Path | str, place: str) -> Plain:
    if isinstance(value, _Array):
        return _made(value, path, place)
    if value is None or isinstance(value, (str, bytes, bool, int, float)):
        return value
    raise DataFormatError(
        path,
        place,
        f"{type(value).__name__.lstrip('_')} came; expected text, a number or an array of numbers.",
    )


def _made(array: _Array, path: Path | str, place: str) -> NDArray[Any]:
    if len(array.state) != 4:
        raise DataFormatError(path, place, "an array without contents came; expected its shape and bytes.")
    shape, dtype, by_columns, data = array.state
    data = data.encode("latin1", "replace") if isinstance(data, str) else data
    whole = isinstance(shape, tuple) and all(type(side) is int for side in shape)
    if not whole or not isinstance(dtype, _Dtype) or not isinstance(data, (bytes, bytearray)):
        raise DataFormatError(path, place, "an array of something else than numbers came; expected numbers.")
    if len(data) > MAX_BYTES:
        raise DataFormatError(
            path, place, f"an array of {len(data)} bytes came; expected at most {MAX_BYTES}."
        )
    turned = shape[::-1] if by_columns else shape
    made = raw_array(bytes(data), dtype.name, turned, path, place)
    return np.ascontiguousarray(made.T) if by_columns and len(shape) > 1 else made
