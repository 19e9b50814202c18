"""What a probe has seen, as bytes and back, without pickle: for sweeps that go on after they were cut off.

Known are None, truth values, numbers, texts, bytes, lists, tuples, sets, dicts with any such keys, arrays,
tensors, and objects of classes that this package defines. Nothing else can come out of the bytes, so that a
file which somebody else has written runs no code of theirs.
"""

from __future__ import annotations

import importlib
import os
from collections import Counter, defaultdict
from collections.abc import ItemsView, Iterable, Iterator
from enum import Enum
from functools import lru_cache
from hashlib import blake2b
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgpack
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

MAGIC = b"value_nb state 1\n"
DIGEST = 32  # bytes of the checksum behind the magic
PACKAGE = "value_nb."
KINDS = "biufcUSmM"  # kinds of numpy dtypes whose bytes say it all
DEEPEST = 64  # levels; deeper is taken for something that holds itself
SMALLEST, LARGEST = -(2**63), 2**64 - 1  # whole numbers that msgpack can hold

PLAIN = frozenset({type(None), bool, float, str, bytes})
LISTS = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
DICTS = {"dict": dict, "counter": Counter}
_TAGS: dict[Any, str] = {kind: tag for tag, kind in (LISTS | DICTS).items()}


class UnknownState(ValueError):
    """Something that cannot be written: of a class that the package does not define."""


class Damaged(ValueError):
    """Bytes that are not what was written."""


def pack(value: Any) -> Iterator[bytes | memoryview]:
    """The bytes of a value, piece by piece; b"".join(pack(value)) is all of them.

    Raises
    ------
    UnknownState
        For a value of a kind that is not known; the message names it.
    """
    arrays: list[np.ndarray] = []
    tree = _plain(value, arrays, 0)
    header = msgpack.packb(
        {"tree": tree, "arrays": [[a.dtype.str, a.shape] for a in arrays]}, unicode_errors="surrogatepass"
    )
    blobs = [len(header).to_bytes(8, "little"), header, *(a.reshape(-1).view(np.uint8).data for a in arrays)]
    digest = blake2b(digest_size=DIGEST)
    for blob in blobs:
        digest.update(blob)
    yield MAGIC
    yield digest.digest()
    yield from blobs


def unpack(data: bytes) -> Any:
    """The value that `pack` was given; arrays are new and can be written into.

    Raises
    ------
    Damaged
        For bytes that are cut short, changed, or of another version.
    """
    start = len(MAGIC) + DIGEST
    body = memoryview(data)[start:]
    if data[: len(MAGIC)] != MAGIC or blake2b(body, digest_size=DIGEST).digest() != data[len(MAGIC) : start]:
        raise Damaged(f"{len(data)} bytes are not what was written: cut short, changed, or another version")
    size = int.from_bytes(body[:8], "little")
    header = msgpack.unpackb(body[8 : 8 + size], strict_map_key=False, unicode_errors="surrogatepass")
    return _value(header["tree"], [*_arrays(header["arrays"], body[8 + size :])])


def write(path: Path, value: Any) -> int:
    """Write a value under its final name at once, or not at all; returns the number of bytes."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("wb") as file:
            size = sum(file.write(blob) for blob in pack(value))
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return size


def read(path: Path) -> Any:
    """Read what `write` wrote. FileNotFoundError when there is nothing, Damaged when it is not that."""
    return unpack(path.read_bytes())


def _plain(value: Any, arrays: list[np.ndarray], depth: int) -> Any:
    """A tree of what msgpack knows: scalars as they are, everything else [tag, what is in it]."""
    if depth > DEEPEST:
        raise UnknownState(f"a state is nested more than {DEEPEST} levels deep")
    kind = type(value)
    if kind in PLAIN:
        return value
    if kind is int:
        return value if SMALLEST <= value <= LARGEST else ["int", str(value)]
    if isinstance(value, np.ndarray) and value.dtype == object:
        return ["objects", [list(value.shape), _many(value.flat, arrays, depth)]]
    if isinstance(value, (np.ndarray, np.generic)):
        return ["array" if isinstance(value, np.ndarray) else "scalar", _kept(np.asarray(value), arrays)]
    if kind in _TAGS:
        return [_TAGS[kind], _many(value.items() if kind in DICTS.values() else value, arrays, depth)]
    if kind is defaultdict:
        made = None if value.default_factory is None else _name(value.default_factory)
        return ["defaultdict", [made, _many(value.items(), arrays, depth)]]
    return _object(value, arrays, depth)


def _many(values: Iterable[Any], arrays: list[np.ndarray], depth: int) -> list[Any]:
    """The items of a dict come one after the other: key, value, key, value."""
    flat = chain.from_iterable(values) if isinstance(values, ItemsView) else values
    return [one if type(one) in PLAIN else _plain(one, arrays, depth + 1) for one in flat]


def _pairs(inside: list[Any], arrays: list[np.ndarray]) -> Iterator[tuple[Any, Any]]:
    values = (_value(one, arrays) if type(one) is list else one for one in inside)
    return zip(values, values, strict=True)  # the same iterator twice


def _object(value: Any, arrays: list[np.ndarray], depth: int) -> Any:
    kind = type(value)
    if kind.__module__ == "torch" and kind.__name__ == "Tensor":
        return ["tensor", _kept(_numpy(value), arrays)]
    if not kind.__module__.startswith(PACKAGE) or "<locals>" in kind.__qualname__:
        raise UnknownState(f"a {kind.__module__}.{kind.__qualname__} cannot be written")
    if isinstance(value, Enum):
        return ["enum", [_name(kind), value.name]]
    return ["object", [_name(kind), _plain(_state(value), arrays, depth + 1)]]


def _state(value: Any) -> Any:
    """Attributes of an object by name, or what its class itself says."""
    if "__setstate__" in vars(type(value)) and "__dataclass_fields__" not in vars(type(value)):
        return value.__getstate__()
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    there = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    return there | getattr(value, "__dict__", {})


def _kept(array: np.ndarray, arrays: list[np.ndarray]) -> int:
    if array.dtype.kind not in KINDS:
        raise UnknownState(f"an array of dtype {array.dtype} cannot be written")
    arrays.append(np.ascontiguousarray(array).reshape(array.shape))
    return len(arrays) - 1


def _numpy(tensor: Any) -> np.ndarray:
    try:
        return tensor.detach().cpu().numpy()
    except TypeError as problem:  # bfloat16, for instance
        raise UnknownState(f"a tensor of {tensor.dtype} cannot be written") from problem


def _arrays(shapes: list[Any], body: memoryview) -> Iterator[np.ndarray]:
    start = 0
    for dtype, shape in shapes:
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        yield np.frombuffer(body[start : start + size], dtype=dtype).reshape(shape).copy()
        start += size


def _value(tree: Any, arrays: list[np.ndarray]) -> Any:
    if not isinstance(tree, list):
        return tree
    tag, inside = tree
    if tag in LISTS:
        return LISTS[tag](_value(one, arrays) for one in inside)
    if tag in DICTS:
        return DICTS[tag](dict(_pairs(inside, arrays)))
    if tag == "defaultdict":
        made = None if inside[0] is None else _class(inside[0])
        return defaultdict(made, _pairs(inside[1], arrays))
    if tag == "objects":
        return _objects(inside[0], [_value(one, arrays) for one in inside[1]])
    if tag == "object":
        return _rebuilt(_class(inside[0]), _value(inside[1], arrays))
    if tag == "enum":
        return _class(inside[0])[inside[1]]
    if tag == "tensor":
        import torch

        return torch.from_numpy(arrays[inside])
    if tag == "int":
        return int(inside)
    return arrays[inside] if tag == "array" else arrays[inside][()]


def _objects(shape: list[int], values: list[Any]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):
        array[place] = value
    return array.reshape(shape)


def _rebuilt(kind: Any, state: Any) -> Any:
    new = object.__new__(kind)
    if "__setstate__" in vars(kind) and "__dataclass_fields__" not in vars(kind):
        new.__setstate__(state)
        return new
    for name, value in state.items():
        object.__setattr__(new, name, value)
    return new


def _name(kind: Any) -> str:
    if kind not in (int, float, list, set, dict) and not str(kind.__module__).startswith(PACKAGE):
        raise UnknownState(f"{kind!r} cannot be written")
    return f"{kind.__module__}:{kind.__qualname__}"


@lru_cache(maxsize=256)
def _class(name: str) -> Any:
    """The class of a name: one that this package defines, or a plain one of Python."""
    module, _, path = name.partition(":")
    plain = {f"builtins:{kind.__name__}": kind for kind in (int, float, list, set, dict)}
    if name in plain:
        return plain[name]
    found: Any = importlib.import_module(module) if module.startswith(PACKAGE) else None
    for part in path.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, type) or found.__module__ != module:
        raise Damaged(f"{name} is no class of this package")
    return found
