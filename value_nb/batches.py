"""Batches of examples of like length, so that little is spent on padding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from value_nb.data.example import Example

WINDOW = 8  # batches that are read ahead and sorted by length


def batches(examples: Iterable[Example], batch_size: int) -> Iterator[list[Example]]:
    """Batches of examples of like length, from windows that are read one at a time."""
    for window in chunks(examples, batch_size * WINDOW):
        yield from chunks(sorted(window, key=length), batch_size)


def chunks(examples: Iterable[Example], size: int) -> Iterator[list[Example]]:
    """Lists of `size` examples, as they come; the last may be shorter."""
    chunk: list[Example] = []
    for example in examples:
        chunk.append(example)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def length(example: Example) -> tuple[int, int]:
    """(words, regions): what decides how many positions an example takes."""
    return len(example.words), 0 if example.regions is None else len(example.regions)
