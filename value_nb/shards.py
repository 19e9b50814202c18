"""One pass in shards of examples: each is kept when it is done, so that a pass that was cut off goes on.

A shard is so many examples in the order of the data, whatever the batch size, the machine and the number of
workers. Each is collected by probes of its own, which are then added up in the order of the shards, wherever
and whenever they were collected. So the sums are the same numbers, bit by bit, in an uninterrupted pass, in
one that went on after a kill, and in one on many machines.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, count, islice
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from value_nb import states
from value_nb.collecting import Collected, collect

if TYPE_CHECKING:
    from value_nb.data.example import Example
    from value_nb.models.base import VLModel
    from value_nb.probes.base import Probe

SHARD = 256
"""Examples of a shard: eight batches of 32, which are sorted by length together. Another number moves sums by
rounding, so it is part of what a kept sweep is found by."""

EVERY = 5.0
"""Seconds: finished parts are written no more often than that, and what takes less is not written at all."""

ENDING = ".state"

Shard = tuple[int, Iterable["Example"]]
Compute = Callable[[Iterable[Shard]], Iterator[tuple[int, Collected]]]
"""Collects shards, and yields them with their numbers in the order that they came in."""


class Journal:
    """Finished parts of a computation by name, in a folder: what is there need not be computed again.

    Nothing is raised when a part cannot be written, since the computation can go on without: a warning says
    so, once.

    Parameters
    ----------
    folder
        Where. None: nothing is kept.
    make
        Makes the folder, when the first part is written; by default with those above it.
    """

    def __init__(self, folder: Path | None, make: Callable[[], Any] | None = None) -> None:
        self.folder, self._make = folder, make
        self._pending: dict[str, Callable[[], Any]] = {}
        self._obsolete: dict[str, str] = {}
        self._last = monotonic()
        self._warned = False

    def has(self, name: str) -> bool:
        """Whether there is a part of this name; whether it is sound is seen when it is read."""
        return self.folder is not None and self._path(name).exists()

    def get(self, name: str) -> Any:
        """A part that was kept; None where there is none. One that is damaged is reported and removed."""
        if not self.has(name):
            return None
        try:
            return states.read(self._path(name))
        except FileNotFoundError:
            return None
        except (states.Damaged, OSError) as problem:
            warnings.warn(f"a kept part of a sweep is damaged and computed again ({problem})", stacklevel=2)
            self._path(name).unlink(missing_ok=True)
            return None

    def add(self, name: str, make: Callable[[], Any], instead_of: str = "") -> None:
        """Keep a part, some time soon.

        Parameters
        ----------
        name
            Of the part; also of its file.
        make
            Makes what is kept, when it is written.
        instead_of
            Parts whose names begin like this are not needed once this one is there.
        """
        if self.folder is None:
            return
        if instead_of:
            self._pending = {k: v for k, v in self._pending.items() if not k.startswith(instead_of)}
            self._obsolete[name] = instead_of
        self._pending[name] = make
        if monotonic() - self._last >= EVERY:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        for name, make in self._pending.items():
            self._write(name, make)
        self._pending = {}
        self._last = monotonic()

    def _write(self, name: str, make: Callable[[], Any]) -> None:
        if self.folder is None:
            return
        try:
            if self._make is not None:
                self._make()
            self.folder.mkdir(parents=True, exist_ok=True)
            states.write(self._path(name), make())
        except states.UnknownState as problem:
            self._warn(
                f"{problem}, so this pass cannot go on where it is cut off; give the probe a state() and "
                "restore() of plain values (see value_nb.probes.base)"
            )
        except OSError as problem:
            self._warn(f"finished parts cannot be written ({problem}); this sweep goes on without them")
            self.folder = None
        else:
            self._remove(self._obsolete.pop(name, ""))

    def _remove(self, beginning: str) -> None:
        if beginning and self.folder is not None:
            for path in self.folder.glob(f"{beginning}*{ENDING}"):
                path.unlink(missing_ok=True)

    def _warn(self, text: str) -> None:
        if not self._warned:
            warnings.warn(text, stacklevel=2)
        self._warned = True

    def _path(self, name: str) -> Path:
        return Path(self.folder or "") / f"{name}{ENDING}"


def collect_shards(
    examples: Iterable[Example],
    probes: Sequence[Probe],
    compute: Compute,
    journal: Journal,
    name: str,
    bar: Any,
) -> Collected:
    """One pass: the parts that were kept, and the others computed, added up in the order of the shards.

    Parameters
    ----------
    examples
        Of the pass. Of a stream nothing is kept.
    probes
        That have seen nothing; they are left as they are.
    compute
        `here(...)`, or what collects on other machines.
    journal, name
        Where parts are kept, and under which name: "NAME-NUMBER".
    bar
        Moves on by the examples of each part that was kept; `compute` does so for the others.

    Raises
    ------
    ValueError
        When there are no examples.
    """
    whole = Sum(probes)
    for number, saved, part in _parts(examples, probes, compute, journal, f"{name}-"):
        whole.add(number, part)
        if saved:
            bar.update(part.n)
        elif isinstance(examples, Sequence):
            journal.add(f"{name}-{number:06d}", lambda part=part: to_state(part))  # type: ignore[misc]
    return whole.collected()


def here(model: VLModel, probes: Sequence[Probe], batch_size: int, bar: Any) -> Compute:
    """Collect shards in this process, one after the other."""

    def compute(shards: Iterable[Shard]) -> Iterator[tuple[int, Collected]]:
        for number, examples in shards:
            fresh = [probe.fresh() for probe in probes]
            yield number, collect(model, examples, fresh, batch_size, bar=bar)

    return compute


def split(
    examples: Iterable[Example], wanted: Callable[[int], bool] = lambda number: True
) -> Iterator[Shard]:
    """The wanted shards of some examples, with their numbers; each is read when it is gone through."""
    if isinstance(examples, Sequence):
        for number in filter(wanted, range(n_shards(examples))):
            yield number, _Part(examples, number * SHARD, min((number + 1) * SHARD, len(examples)))
        return
    stream = iter(examples)
    for number in count():
        head = [*islice(stream, 1)]
        if not head:
            return
        yield number, chain(head, islice(stream, SHARD - 1))


class _Part(Sequence["Example"]):
    """Some examples in a row, each read when it is asked for."""

    def __init__(self, examples: Sequence[Example], start: int, stop: int) -> None:
        self._examples, self._places = examples, range(start, stop)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: Any) -> Any:
        return self._examples[self._places[index]]


def n_shards(examples: Sequence[Example]) -> int:
    """How many shards the examples make."""
    return -(-len(examples) // SHARD)


class Sum:
    """Parts of a pass, added up; each counts once, in the order of their numbers."""

    def __init__(self, probes: Sequence[Probe]) -> None:
        self.probes = tuple(probe.fresh() for probe in probes)
        self.parts, self.n = 0, 0
        self.images, self.datasets, self.splits = set[str](), set[str](), set[str]()

    def add(self, number: int, part: Collected) -> None:
        """Take in the next part, which is left as it is. ValueError for one that is not the next."""
        if number != self.parts:
            raise ValueError(f"part {number} came; expected {self.parts}: parts are added up in order, once")
        for mine, other in zip(self.probes, part.probes, strict=True):
            mine._absorb(other)
        self.parts, self.n = self.parts + 1, self.n + part.n
        self.images |= part.images
        self.datasets |= part.datasets
        self.splits |= part.splits

    def collected(self) -> Collected:
        """All of it. ValueError when nothing came."""
        if not self.n:
            raise ValueError("no examples came; check the data set and its limit")
        sets = (self.images, self.datasets, self.splits)
        return Collected(self.probes, self.n, *map(frozenset, sets))


def to_state(part: Collected) -> dict[str, Any]:
    """A part as `states.pack` takes it."""
    return {
        "states": [probe.state() for probe in part.probes],
        "n": part.n,
        **{name: sorted(getattr(part, name)) for name in ("images", "datasets", "splits")},
    }


def of_state(state: Mapping[str, Any], probes: Sequence[Probe]) -> Collected:
    """The part that `state` was made of; `probes` are templates with the same settings."""
    fresh = [probe.fresh().restore(mine) for probe, mine in zip(probes, state["states"], strict=True)]
    sets = (frozenset(state[name]) for name in ("images", "datasets", "splits"))
    return Collected(tuple(fresh), state["n"], *sets)


def _parts(
    examples: Iterable[Example], probes: Sequence[Probe], compute: Compute, journal: Journal, prefix: str
) -> Iterator[tuple[int, bool, Collected]]:
    """(number, whether it was kept, part), in order of the numbers."""
    if not isinstance(examples, Sequence):
        yield from ((number, False, part) for number, part in compute(split(examples)))
        return
    kept = {number for number in range(n_shards(examples)) if journal.has(f"{prefix}{number:06d}")}
    computed = compute(split(examples, lambda number: number not in kept))
    for number in range(n_shards(examples)):
        state = journal.get(f"{prefix}{number:06d}") if number in kept else None
        if state is not None:
            yield number, True, of_state(state, probes)
            continue
        again = compute(split(examples, lambda one, number=number: one == number))  # type: ignore[misc]
        yield number, False, next(again if number in kept else computed)[1]
