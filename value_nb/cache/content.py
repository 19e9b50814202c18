"""A digest of what a value holds: equal content, equal digest, in any process and at any time.

No pickle, no `repr` of objects and no ids take part. What cannot be looked into raises `NotKeyable`, and
nothing is cached that depends on it.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

PLAIN = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis))


class NotKeyable(Exception):
    """It cannot be said what a result depends on; it is computed, and not kept."""


class Stale(NotKeyable):
    """A file of code was changed after it was loaded: what runs is not what stands there."""


def digest(*values: Any) -> str:
    """Hexadecimal digest of some values. Raises NotKeyable, with the way to the value that is in its way."""
    book = hashlib.sha256()
    feed(book, values)
    return book.hexdigest()


def feed(book: Any, value: Any, seen: tuple[int, ...] = ()) -> None:
    """Put a value into a digest: its type first, then its length and parts, so that nothing runs together."""
    if isinstance(value, PLAIN) and type(value) in PLAIN:
        _said(book, type(value).__name__, value if isinstance(value, bytes) else repr(value).encode())
    elif id(value) in seen:
        _said(book, "again", str(len(seen) - seen.index(id(value))).encode())
    else:
        _kind(value)(book, value, (*seen, id(value)))


def _said(book: Any, kind: str, content: bytes) -> None:
    book.update(f"{kind} {len(content)} ".encode())
    book.update(content)


def _kind(value: Any) -> Callable[[Any, Any, tuple[int, ...]], None]:
    for kinds, how in _READERS:
        if isinstance(value, kinds):
            return how
    torch = sys.modules.get("torch")  # who has a tensor has torch
    if torch is not None:
        if isinstance(value, torch.Tensor):
            return _tensor
        if isinstance(value, torch.nn.Module):
            return _module
        if isinstance(value, torch.dtype | torch.device):
            return _by_repr
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, pandas.DataFrame | pandas.Series | pandas.Index):
        return _table
    return _object


def _array(book: Any, value: np.ndarray, seen: tuple[int, ...]) -> None:
    if value.dtype.hasobject:
        _said(book, "objects", str(value.shape).encode())
        _many(book, value.ravel().tolist(), seen)
        return
    if isinstance(value, np.ma.MaskedArray):
        _many(book, (value.filled(), np.ma.getmaskarray(value)), seen)
        return
    fields = value.dtype.descr if value.dtype.names else value.dtype.str
    _said(book, "array", f"{fields} {value.shape}".encode())
    book.update(np.ascontiguousarray(value).data.cast("B") if value.size else b"")


def _table(book: Any, value: Any, seen: tuple[int, ...]) -> None:
    """Of pandas: names, types and cells of the columns, then the index."""
    if value.ndim == 1:
        cells = value.to_numpy() if value.dtype.kind in "biufc" else value.to_numpy(dtype=object)
        _many(book, (type(value).__name__, repr(value.name), str(value.dtype), cells), seen)
    else:
        columns = [value.iloc[:, k] for k in range(value.shape[1])]
        _many(book, (type(value).__name__, [repr(name) for name in value], columns), seen)
    if hasattr(value, "index"):
        _many(book, (repr(value.index.names), value.index.to_numpy(dtype=object)), seen)


def _scalar(book: Any, value: np.generic, seen: tuple[int, ...]) -> None:
    _said(book, "scalar", value.dtype.str.encode())
    feed(book, value.item(), seen)


def _tensor(book: Any, value: Any, seen: tuple[int, ...]) -> None:
    import torch

    _said(book, "tensor", f"{value.dtype} {tuple(value.shape)}".encode())
    if value.numel():
        flat = value.detach().cpu().contiguous().reshape(-1)
        book.update(flat.view(torch.uint8).numpy().data)


def _module(book: Any, value: Any, seen: tuple[int, ...]) -> None:
    """Weights and buffers, and of every part its class, its public attributes and its hooks."""
    for name, part in value.named_modules():
        _said(book, "part", f"{name} {_name(type(part))}".encode())
        _code(book, type(part))
        _check_open(part)
        public = {k: v for k, v in sorted(vars(part).items()) if not k.startswith("_")}
        _mapping(book, public, (*seen, id(part)))
        for hook in (*part._forward_hooks.values(), *part._forward_pre_hooks.values()):
            feed(book, hook, seen)
    for name, tensor in (*value.named_parameters(), *value.named_buffers()):
        _said(book, "weight", name.encode())
        _tensor(book, tensor, seen)


def _check_open(part: Any) -> None:
    """NotKeyable for a part with something inside that torch alone can read, such as packed weights."""
    import torch

    for name, inside in vars(part).items():
        if isinstance(inside, torch.ScriptObject):
            raise NotKeyable(f"{_name(type(part))}.{name} cannot be looked into")


def _many(book: Any, value: Iterable[Any], seen: tuple[int, ...]) -> None:
    items = list(value)
    _said(book, type(value).__name__, str(len(items)).encode())
    for item in items:
        feed(book, item, seen)


def _set(book: Any, value: Iterable[Any], seen: tuple[int, ...]) -> None:
    _said(book, "set", "".join(sorted(digest(item) for item in value)).encode())


def _slice(book: Any, value: slice, seen: tuple[int, ...]) -> None:
    _many(book, (value.start, value.stop, value.step), seen)


def _mapping(book: Any, value: Mapping[Any, Any], seen: tuple[int, ...]) -> None:
    _said(book, type(value).__name__, str(len(value)).encode())
    for key, item in value.items():
        feed(book, key, seen)
        feed(book, item, seen)


def _by_repr(book: Any, value: Any, seen: tuple[int, ...]) -> None:
    _said(book, type(value).__name__, repr(value).encode())


def _path(book: Any, value: PurePath, seen: tuple[int, ...]) -> None:
    _said(book, "path", str(value).encode())


def _enum(book: Any, value: Enum, seen: tuple[int, ...]) -> None:
    _said(book, "enum", f"{_name(type(value))}.{value.name}".encode())


def _class(book: Any, value: type, seen: tuple[int, ...]) -> None:
    _said(book, "class", _name(value).encode())
    _code(book, value)


def _function(book: Any, value: Any, seen: tuple[int, ...]) -> None:
    from value_nb.cache.sources import of_function

    _said(book, "function", of_function(value).encode())
    if isinstance(value, MethodType):
        feed(book, value.__self__, seen)


def _library_function(book: Any, value: Any, seen: tuple[int, ...]) -> None:
    if isinstance(value.__self__, ModuleType | type(None)):
        _said(book, "builtin", f"{value.__module__}.{value.__qualname__}".encode())
        return
    raise NotKeyable(f"{value!r} is bound to something that cannot be looked into")


def _named_module(book: Any, value: ModuleType, seen: tuple[int, ...]) -> None:
    from value_nb.cache.sources import of_code

    _said(book, "module", of_code(value).encode())


def _tokenizer(book: Any, value: Any, seen: tuple[int, ...]) -> None:
    _said(book, "tokenizer", value.to_str().encode())


def _object(book: Any, value: Any, seen: tuple[int, ...]) -> None:
    """Anything else by its class and its attributes; what keeps its state elsewhere cannot be keyed."""
    kind = type(value)
    if kind.__module__ == "tokenizers" and hasattr(value, "to_str"):
        _tokenizer(book, value, seen)
        return
    if hasattr(value, "__wrapped__") and kind.__module__ == "functools":  # lru_cache
        _function(book, value.__wrapped__, seen)
        return
    if hasattr(value, "to_diff_dict") and hasattr(value, "model_type"):  # a config of transformers
        state = {
            k: v for k, v in vars(value).items() if not k.startswith("_") and k != "transformers_version"
        }
    else:
        state = _state(value)
    _said(book, "object", _name(kind).encode())
    _code(book, kind)
    feed(book, _beyond_attributes(value), seen)
    for name, part in state.items():
        _said(book, "attribute", name.encode())
        try:
            feed(book, part, seen)
        except NotKeyable as problem:
            raise type(problem)(f"{kind.__name__}.{name}: {problem}") from None


def _state(value: Any) -> dict[str, Any]:
    kind = type(value)
    if kind.__getstate__ is not object.__getstate__:
        found = value.__getstate__()
        if isinstance(found, dict):
            return found
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    slots = [name for base in kind.__mro__ for name in _slots(base)]
    if not hasattr(value, "__dict__") and not slots:
        raise NotKeyable(f"a {_name(kind)} came, which cannot be looked into")
    state = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    state |= getattr(value, "__dict__", {})
    if _is_model(value):
        state.pop("notes", None)  # they name files, which may lie elsewhere next time
    return state


def _beyond_attributes(value: Any) -> list[Any]:
    """What an object holds that is no attribute of Python's: its parts, or how it is made.

    Of a subclass of list its items, of a partial function its function, of a generator of random numbers its
    state. NotKeyable for an object that holds something and cannot say what.
    """
    if is_dataclass(value) or _is_model(value):
        return []
    try:
        reduced = value.__reduce_ex__(2)
    except Exception as problem:
        raise NotKeyable(f"a {_name(type(value))} came, which cannot be looked into ({problem})") from None
    if isinstance(reduced, str):
        return [reduced]
    made, arguments, state, *items = (*reduced, *[None] * (5 - len(reduced)))[:5]
    plain = state is None or isinstance(state, dict) or _is_pair_of_dicts(state)
    return [
        f"{made.__module__}.{made.__qualname__}",
        [one for one in arguments if one is not type(value)],
        None if plain else state,
        *[None if some is None else list(some) for some in items],
    ]


def _is_pair_of_dicts(state: Any) -> bool:
    """What objects with slots have for a state: their attributes, which are looked at by themselves."""
    return isinstance(state, tuple) and len(state) == 2 and all(isinstance(s, dict | None) for s in state)


def _is_model(value: Any) -> bool:
    base = sys.modules.get("value_nb.models.base")  # who has a model has it
    return base is not None and isinstance(value, base.VLModel)


def _slots(kind: type) -> tuple[str, ...]:
    slots = kind.__dict__.get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    return tuple(name for name in names if name not in ("__dict__", "__weakref__"))


def _code(book: Any, kind: type) -> None:
    """The source of a class of the user's own; the kit's and the libraries' count by themselves."""
    from value_nb.cache.sources import is_users, of_code

    if is_users(kind):
        _said(book, "code", of_code(kind).encode())


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


_READERS: tuple[tuple[Any, Callable[[Any, Any, tuple[int, ...]], None]], ...] = (
    (np.ndarray, _array),
    (np.generic, _scalar),
    (Enum, _enum),
    ((dict,), _mapping),
    ((set, frozenset), _set),
    ((list, tuple, range), _many),
    ((str, int, float, bytes), _by_repr),
    (PurePath, _path),
    (type, _class),
    ((FunctionType, MethodType), _function),
    (BuiltinFunctionType, _library_function),
    (ModuleType, _named_module),
    (np.dtype, _by_repr),
    (slice, _slice),
)
