"""The next batch is read and made while the model runs the present one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

S = TypeVar("S")
T = TypeVar("T")
_END: Any = object()


def ahead(
    items: Iterable[S],
    make: Callable[[S], T],
    initializer: Callable[[], object] | None = None,
    read_there: bool = True,
) -> Iterator[T]:
    """What `make` makes of the items, in their order, each made in a thread while the one before it is used.

    At most one item is made too many. What is raised while an item is made is raised where it would have
    come out. The thread ends with the iteration, however that ends.

    Parameters
    ----------
    items
        Gone through once.
    make
        Called in the thread.
    initializer
        Called there first.
    read_there
        Whether the items are gone through in the thread, too: not where they may be tied to the caller's
        own, as the rows of a database are.

    Examples
    --------
    >>> list(ahead("abc", str.upper))
    ['A', 'B', 'C']
    """
    source = iter(items)

    def finished(item: Any) -> Any:
        return item if item is _END else make(item)

    with ThreadPoolExecutor(1, "value_nb-ahead", initializer) as thread:

        def following() -> Future[Any]:
            if read_there:
                return thread.submit(lambda: finished(next(source, _END)))
            return thread.submit(finished, next(source, _END))

        coming = following()
        while (made := coming.result()) is not _END:
            coming = following()
            yield made
