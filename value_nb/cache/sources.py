"""What code a result depends on: the source of a module, and of everything of the kit that it imports.

For the kit, and for modules that are somebody's own, whole files count, with the own files they import, and
so on. For what stands in a notebook, functions and classes count by their source, with what they refer to.
Libraries count by their version; those that decide numbers everywhere are in every key (`keys.LIBRARIES`).
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from value_nb import _loaded_at
from value_nb.cache.content import NotKeyable, Stale, digest

KIT = "value_nb"
NOTEBOOK = "__main__"
SHOWN = frozenset(
    {"aloud", "cache", "export", "figures", "gallery", "getting", "headmap", "lab", "notebook_run",
     "paper", "plots", "progress", "scoreboard", "style", "widgets"}
)  # fmt: skip
"""Modules of the kit that fetch, show or keep: a change in them leaves every number as it is."""
SHOWN_ENDINGS = ("_plots", "_aloud")

_read: dict[str, tuple[Any, int, bytes]] = {}  # module -> its spec when it was read, time of its file, source


def of_code(*things: Any) -> str:
    """Digest of the source that modules, classes and functions stand on.

    Parameters
    ----------
    things
        Modules (or their names), classes, functions. Of the kit and of files of one's own the whole file
        counts, with every such file that it imports, directly or not; of a notebook the source of the
        class or function, and of what it refers to there.

    Raises
    ------
    NotKeyable
        Where a source cannot be had, or a file was changed after it was loaded (what runs is then not what
        stands there).
    """
    return digest(*[_one(thing) for thing in things])


def of_function(function: Any) -> str:
    """Digest of a function: of its file, of its own code, and of what it is bound to."""
    plain = function.__func__ if isinstance(function, MethodType) else function
    bound = [cell.cell_contents for cell in getattr(plain, "__closure__", None) or ()]
    given = getattr(plain, "__defaults__", None), getattr(plain, "__kwdefaults__", None)
    code = getattr(plain, "__code__", None)
    return digest(plain.__qualname__, _one(plain), given, bound, None if code is None else _compiled(code))


def _compiled(code: CodeType) -> list[Any]:
    """Instructions, names and constants: two functions of one scope may have one name, as all lambdas do."""
    inside = [_compiled(one) if isinstance(one, CodeType) else one for one in code.co_consts]
    return [code.co_code, code.co_names, code.co_varnames, inside]


def is_users(kind: type) -> bool:
    """Whether a class is of neither the kit nor a library."""
    module = kind.__module__
    return module == NOTEBOOK or (not _in_kit(module) and module in sys.modules and _is_own(module))


def _one(thing: Any) -> str:
    _check_current(thing)
    name = thing if isinstance(thing, str) else _module_of(thing)
    if name == NOTEBOOK and not isinstance(thing, str | ModuleType):
        return _in_notebook(thing, set())
    module = sys.modules.get(name) or import_module(name)
    if not _has_file(module):
        if name.partition(".")[0] in sys.stdlib_module_names:
            return _library(name)
        raise NotKeyable(f"the source of {name} cannot be had")
    if not _is_own(name):
        return _library(name)
    return digest([(one, hashlib.sha256(_source(one)).hexdigest()) for one in closure(name)])


def _check_current(thing: Any) -> None:
    """Stale for a class whose module was loaded again since: what stands there now is another one."""
    if not isinstance(thing, type) or "<locals>" in thing.__qualname__ or not is_users(thing):
        return
    there: Any = sys.modules.get(thing.__module__)
    for name in thing.__qualname__.split("."):
        there = getattr(there, name, None)
    if thing.__module__ != NOTEBOOK and isinstance(there, type) and there is not thing:
        raise Stale(f"{thing.__module__} was loaded again since its {thing.__qualname__} was taken from it")


@cache
def _library(name: str) -> str:
    """A library's module, by its version; those of Python itself by Python's."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names:
        return f"{name} {sys.version}"
    versions = ", ".join(metadata.version(one) for one in _distributions().get(top, ()))
    versions = versions or getattr(sys.modules.get(top), "__version__", "")
    if not versions:
        raise NotKeyable(f"{top} is a library whose version cannot be had")
    return f"{name} {versions}"


@cache
def _distributions() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


def closure(name: str) -> list[str]:
    """A module and the own modules that it imports, directly or through others, in alphabetical order."""
    found, waiting = {name}, [name]
    if name == KIT:
        found |= _kit()
    while waiting:
        current = waiting.pop()
        if _in_kit(current) and found >= _kit():
            continue  # nothing more of the kit can come
        for other in sorted(_imports(current) - found):
            found.add(other)
            waiting.append(other)
    return sorted(found)


def _module_of(thing: Any) -> str:
    if isinstance(thing, ModuleType):
        return thing.__name__
    name = getattr(inspect.unwrap(thing) if callable(thing) else thing, "__module__", None)
    if name is None:
        raise NotKeyable(f"{thing!r} does not say which module it is of")
    return str(name)


def _imports(name: str) -> set[str]:
    return set(_parsed(name, hashlib.sha256(_source(name)).hexdigest()))


@cache
def _parsed(name: str, _version: str) -> tuple[str, ...]:
    """The own modules that a module names in its imports, wherever they stand in it."""
    origin = _origin(name)
    is_package = origin is not None and origin.name == "__init__.py"
    package = name if is_package else name.rpartition(".")[0]
    wanted: set[str] = set()
    for node in _running(ast.parse(_source(name))):
        if isinstance(node, ast.Import):
            wanted |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            wanted |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    if KIT in wanted and not _in_kit(name):  # any of its names may be used
        wanted |= _kit()
    return tuple(sorted(one for one in wanted if one != name and _counts(one)))


@cache
def _kit() -> frozenset[str]:
    """All modules of the kit on which numbers depend: what `import value_nb` may stand for."""
    folder = Path(import_module(KIT).__file__ or "").parent
    places = (path.relative_to(folder.parent).with_suffix("").parts for path in folder.rglob("*.py"))
    names = {".".join(parts).removesuffix(".__init__") for parts in places}
    return frozenset(name for name in names if _counts(name))


def _running(node: Any) -> Iterator[ast.stmt]:
    """All statements but those under `if TYPE_CHECKING:`, which never run."""
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        for statement in getattr(node, block, ()):
            if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.dump(statement.test):
                continue
            if isinstance(statement, ast.stmt):
                yield statement
            yield from _running(statement)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    base = parts[: len(parts) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def _counts(name: str) -> bool:
    """Whether a name in an import is an own module on which numbers depend."""
    if name == KIT or (_in_kit(name) and _only_shows(name)):
        return False
    return _is_own(name)


def _only_shows(name: str) -> bool:
    first = name.split(".")[1]
    return first in SHOWN or first.endswith(SHOWN_ENDINGS)


def _in_kit(name: str) -> bool:
    return name == KIT or name.startswith(f"{KIT}.")


@cache
def _is_own(name: str) -> bool:
    """Whether a name is a module, in a file, of the kit or of nobody's library."""
    if not name or name.partition(".")[0] in sys.stdlib_module_names:
        return False
    origin = _origin(name)
    if origin is None or origin.suffix != ".py":
        return False
    return _in_kit(name) or not any(origin.is_relative_to(folder) for folder in _libraries())


def _origin(name: str) -> Path | None:
    """The file of a module, which is not imported for it; None where it is no module, or in no file."""
    module = sys.modules.get(name)
    if module is not None:
        return Path(module.__file__).resolve() if _has_file(module) else None  # type: ignore[arg-type]
    top, _, rest = name.partition(".")
    first = _first(top)
    if first is None or not rest:
        return first
    if first.name != "__init__.py":
        return None
    below = first.parent.joinpath(*rest.split("."))
    places = (below.with_name(f"{below.name}.py"), below / "__init__.py")
    return next((place for place in places if place.is_file()), None)


def _first(top: str) -> Path | None:
    """The file of a module, or package, that is in no other."""
    module = sys.modules.get(top)
    if module is not None:
        return Path(module.__file__).resolve() if _has_file(module) else None  # type: ignore[arg-type]
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin).resolve() if spec is not None and spec.has_location and spec.origin else None


@cache
def _libraries() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    return tuple(Path(paths[kind]).resolve() for kind in ("stdlib", "platstdlib", "purelib", "platlib"))


def _has_file(module: Any) -> bool:
    return bool(getattr(module, "__file__", None))


def _source(name: str) -> bytes:
    """The source of a module as it was loaded.

    A file that was changed since, without a reload, does not say what runs.
    """
    path = _origin(name)
    if path is None:
        raise NotKeyable(f"the source of {name} cannot be had")
    try:
        changed = path.stat().st_mtime_ns
        module = sys.modules.get(name)
        spec = getattr(module, "__spec__", None)
        known = _read.get(name)
        if known is not None and known[0] is spec and known[1] == changed:
            return known[2]
        same = known is not None and known[0] is spec
        if module is not None and (same or known is None) and _loaded_at < changed / 1e9 <= time.time():
            raise Stale(
                f"{path} was changed after value_nb was loaded, perhaps after itself; restart the kernel"
            )
        _read[name] = (spec, changed, path.read_bytes())
    except OSError as problem:
        raise NotKeyable(f"the source of {name} cannot be read: {problem}") from None
    return _read[name][2]


def _in_notebook(thing: Any, seen: set[int]) -> str:
    """A class or function of a notebook: its source, and what it refers to."""
    if id(thing) in seen:
        return "again"
    seen.add(id(thing))
    if isinstance(thing, type):
        return _class_in_notebook(thing, seen)
    function = inspect.unwrap(thing)
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        raise NotKeyable(f"the source of {thing!r} cannot be had") from None
    named = [_referred(function, name, seen) for name in _names(function.__code__)]
    cells = [_value(name, cell.cell_contents, seen) for name, cell in _cells(function)]
    return digest(source, named, cells, function.__defaults__, function.__kwdefaults__)


def _class_in_notebook(kind: type, seen: set[int]) -> str:
    bases = [_in_notebook(base, seen) if base.__module__ == NOTEBOOK else _one(base)
             for base in kind.__bases__ if base is not object]  # fmt: skip
    parts = [
        (name, _member(value, seen)) for name, value in sorted(vars(kind).items()) if name not in _UNTOLD
    ]
    return digest(kind.__qualname__, bases, parts)


def _member(value: Any, seen: set[int]) -> str:
    if isinstance(value, property):
        return digest([_in_notebook(one, seen) for one in (value.fget, value.fset) if one is not None])
    if isinstance(value, classmethod | staticmethod):
        return _in_notebook(value.__func__, seen)
    return _value("", value, seen)


def _referred(function: FunctionType, name: str, seen: set[int]) -> str:
    """A global name of a function: absent names are built-ins, or attributes of something."""
    return _value(name, function.__globals__[name], seen) if name in function.__globals__ else name


def _value(name: str, value: Any, seen: set[int]) -> str:
    if isinstance(value, ModuleType):
        return f"{name} {_one(value)}"
    if isinstance(value, type | FunctionType):
        inside = _in_notebook(value, seen) if value.__module__ == NOTEBOOK else _one(value)
        return f"{name} {inside}"
    return f"{name} {digest(value)}"


def _names(code: CodeType) -> list[str]:
    inner = [name for part in code.co_consts if isinstance(part, CodeType) for name in _names(part)]
    return sorted({*code.co_names, *inner})


def _cells(function: FunctionType) -> list[tuple[str, Any]]:
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return [(name, cell) for name, cell in cells if name != "__class__"]


_UNTOLD = frozenset(
    {"__dict__", "__weakref__", "__doc__", "__module__", "__abstractmethods__", "_abc_impl",
     "__annotations__",
     "__firstlineno__", "__static_attributes__", "__annotations_cache__", "__annotate__", "__annotate_func__",
     "__dataclass_fields__", "__dataclass_params__", "__match_args__", "__slots__"}
)  # fmt: skip
