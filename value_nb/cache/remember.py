"""What a function uses whose answer is worth keeping: computed once, then read.

@kept("head ablation", RESULTS)
def ablation_curve(model, examples, heads, *, progress=True, cache=True): ...

found = remembered("region heads", [keys.of_model(model), k], lambda: compute(), TABLE, about)
"""

from __future__ import annotations

import inspect
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from value_nb.cache import store
from value_nb.cache.codecs import Codec, NotKept
from value_nb.cache.content import NotKeyable, Stale

if TYPE_CHECKING:
    from value_nb.cache.store import Store

P = ParamSpec("P")
T = TypeVar("T")

IDLE = frozenset({"cache", "progress"})
"""Arguments on which no number depends."""


def remembered(
    kind: str,
    parts: Sequence[Any] | Callable[[], Sequence[Any]],
    compute: Callable[[], T],
    codec: Codec[T],
    about: Mapping[str, Any] | None = None,
    cache: bool = True,
) -> T:
    """The answer from the cache, or computed and kept.

    Parameters
    ----------
    kind
        What it is, in words.
    parts
        Everything that it depends on (see `value_nb.cache.keys.key`), or a function that gives it, which may
        raise NotKeyable: then the answer is computed and not kept.
    compute
        Gives the answer.
    codec
        How it is written and read.
    about
        What `cache_info` says of it: model, data, n, probe.
    cache
        False: compute it, look nothing up and keep nothing.
    """
    here = store.current() if cache else None
    key = None if here is None else key_or_none(kind, parts)
    if here is None or key is None:
        return compute()
    found = here.get(key, lambda folder: [codec.read(folder)])  # in a list: an answer may be None
    if found is not None:
        return found[0]
    start = time.perf_counter()
    answer = compute()
    told = described(kind, about or {}, time.perf_counter() - start)
    _keep(here, key, codec, answer, told)
    return answer


def kept(
    kind: str, codec: Codec[Any], also: Callable[..., Sequence[Any]] | None = None
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Make a function look its answer up, and keep it, by its arguments and the code that it stands on.

    Models, examples and probes count by what they hold; `cache` and `progress` do not count. The
    function has an argument `cache`; it hands it on to functions that keep something themselves. What raises
    is not kept.

    Parameters
    ----------
    kind, codec
        As in `remembered`.
    also
        Gives more that the answer depends on, from the arguments by their names; may raise NotKeyable.
    """

    def around(function: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(function)

        @wraps(function)
        def looked_up(*arguments: P.args, **options: P.kwargs) -> T:
            bound = signature.bind(*arguments, **options)
            bound.apply_defaults()
            given = dict(bound.arguments)
            return remembered(
                kind,
                lambda: _parts(function, given, also),
                lambda: function(*arguments, **options),
                codec,
                _about(given),
                bool(given["cache"]),
            )

        return looked_up

    return around


def described(kind: str, about: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """What is noted beside an entry."""
    from value_nb import __version__

    return {"kind": kind, **about, "version": __version__, "seconds": round(seconds, 3)}


def key_or_none(kind: str, parts: Sequence[Any] | Callable[[], Sequence[Any]]) -> str | None:
    """The key of what `parts` gives; None where there is none, with a warning when code was changed."""
    from value_nb.cache import keys

    try:
        return keys.key(kind, *(parts() if callable(parts) else parts))
    except Stale as problem:
        warnings.warn(f"Results are neither looked up nor kept: {problem}", stacklevel=4)
    except (NotKeyable, AttributeError, LookupError, TypeError, ValueError, OSError, RecursionError):
        pass  # odd arguments: what is wrong with them the function itself says best
    return None


def _keep(here: Store, key: str, codec: Codec[Any], answer: Any, about: Mapping[str, Any]) -> None:
    def write(folder: Path) -> None:
        codec.write(folder, answer)

    try:
        here.keep(key, write, about)
    except NotKept as problem:
        warnings.warn(f"The result is not kept for the next run: {problem}", stacklevel=4)


def _parts(function: Any, given: dict[str, Any], also: Any) -> list[Any]:
    from value_nb.cache import keys

    pixels = any(getattr(one, "picture_input", "regions") == "pixels" for one in given.values())
    parts = [(name, part_of(value, pixels)) for name, value in given.items() if name not in IDLE]
    more = list(also(**given)) if also is not None else []
    return [keys.of_code(function), parts, more]


def part_of(value: Any, pixels: bool = False) -> Any:
    """What an argument brings to a key: models, examples and probes by what they hold, others as they are."""
    from value_nb.cache import keys
    from value_nb.models.base import VLModel
    from value_nb.probes.base import Probe

    if isinstance(value, VLModel):
        return keys.of_model(value)
    if isinstance(value, Probe):
        return keys.of_probe(value)
    if is_examples(value):
        return keys.of_examples(value, pixels)
    if isinstance(value, Mapping):
        return [(name, part_of(part, pixels)) for name, part in value.items()]
    return value


def is_examples(value: Any) -> bool:
    """Whether a value is a sequence of examples."""
    from value_nb.data.example import Example

    many = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    return many and any(isinstance(one, Example) for one in islice(value, 1))


def _about(given: Mapping[str, Any]) -> dict[str, Any]:
    from value_nb.models.base import VLModel

    told: dict[str, Any] = {}
    for value in given.values():
        if isinstance(value, VLModel):
            told.setdefault("model", value.name)
        elif is_examples(value) and "n" not in told:
            told |= {"data": said(value), "n": len(value)}
    return told


def said(examples: Sequence[Any]) -> str:
    """Data set and splits of the first and last example, as "mini-flickr30k (val, test)"."""
    ends = (examples[0], examples[-1])
    splits = dict.fromkeys(example.split for example in ends)
    return f"{' '.join(dict.fromkeys(e.dataset for e in ends))} ({', '.join(splits)})"
