"""The next batch is read and made while the model runs the present one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
_END: Any = object()


def ahead(items: Iterator[T], initializer: Callable[[], object] | None = None) -> Iterator[T]:
    """The same items in the same order, each made in a thread while the one before it is used.

    At most one item is made too many, and only one thread goes through `items`. What is raised while an item
    is made is raised where it would have come out. The thread ends with the iteration, however that ends.

    Parameters
    ----------
    items
        Gone through in the thread.
    initializer
        Called there first.

    Examples
    --------
    >>> list(ahead(iter("abc")))
    ['a', 'b', 'c']
    """
    with ThreadPoolExecutor(1, "value_nb-ahead", initializer) as thread:
        coming = thread.submit(next, items, _END)
        while (item := coming.result()) is not _END:
            coming = thread.submit(next, items, _END)
            yield item
