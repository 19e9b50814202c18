"""Batches of examples of like length, so that little is spent on padding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

from value_nb.provenance import light

if TYPE_CHECKING:
    from value_nb.data.example import Example
    from value_nb.models.base import VLModel

AUTO: Literal["auto"] = "auto"
BatchSize = int | Literal["auto"]
HEAD = 64  # examples that are looked at to find the size of batches
MOST = {"cpu": 32, "cuda": 256, "mps": 64}
"""Device -> most examples at once. What other sizes cost stands in docs/BENCHMARK.md."""
ROOM = 0.25  # of the free memory; the rest is for probes, longer examples, and everybody else
_found: WeakKeyDictionary[Any, tuple[int, int]] = WeakKeyDictionary()  # (words and regions, batch size)

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


def settled(model: VLModel, examples: Iterable[Example], batch_size: BatchSize) -> tuple[int, Any]:
    """How many examples to run at once, and the examples: a stream that was looked into is whole again.

    Parameters
    ----------
    model
        What will be run.
    examples
        For "auto" the longest of the first 64 is run alone and twice; that tells what one example takes.
    batch_size
        A number of at least 1; or "auto": the largest power of two, up to 32 on a CPU and 256 on a GPU, that
        fills at most a quarter of the memory that is free, and that a first try does not overrun. Found once
        for each model, so that all passes over it agree, and again when longer examples come. Time and
        memory change, numbers by rounding only.

    Raises
    ------
    ValueError
        For anything else.
    """
    if batch_size != AUTO:
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"batch_size is {batch_size!r}; expected at least 1, or 'auto'")
        return batch_size, examples
    head, examples = _peeked(examples)
    if not head:
        return 1, examples
    positions = [sum(length(example)) for example in head]
    known = _found.get(model)
    if known is None or known[0] < max(positions):
        at = positions.index(max(positions))
        longest = examples[at] if isinstance(examples, Sequence) else head[at]
        known = _found[model] = max(positions), _fitting(model, longest)
    return known[1], examples


def _peeked(examples: Iterable[Example]) -> tuple[list[Example], Any]:
    """The first examples, without features where those need not be read, and all of them."""
    if isinstance(examples, Sequence):
        bare = light(examples)
        return [bare[k] for k in range(min(HEAD, len(examples)))], examples
    rest = iter(examples)
    head = list(islice(rest, HEAD))
    return head, chain(head, rest)


def _fitting(model: VLModel, longest: Example) -> int:
    """The batch size for examples that are at most as long as this one."""
    from value_nb.cost import free_memory, live_bytes

    one, two = (live_bytes(partial(_run, model, longest, n)) for n in (1, 2))
    room = ROOM * free_memory(model.device)
    size = MOST.get(model.device.type, MOST["cpu"])
    while size > 1 and one + (size - 1) * max(two - one, 1) > room:
        size //= 2
    return size if model.device.type == "cpu" else tried(model, longest, size)


def tried(model: VLModel, example: Example, size: int) -> int:
    """Run a batch of `size` such examples, and half as many as long as memory does not do.

    Raises
    ------
    torch.OutOfMemoryError
        When even one example does not fit.
    """
    import torch

    while True:
        try:
            _run(model, example, size)
            return size
        except torch.OutOfMemoryError:
            if size == 1:
                raise
        size //= 2
        if model.device.type == "cuda":
            torch.cuda.empty_cache()


def _run(model: VLModel, example: Example, size: int) -> None:
    model.run(model.prepare([example] * size))
