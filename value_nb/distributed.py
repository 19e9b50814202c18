"""A pass on many machines: shards of examples go to the workers of a Dask cluster, partial sums come back.

    from distributed import Client
    results = vnb.sweep(model, data, probes, client=Client("tcp://scheduler:8786"))

Each worker is sent the model once and keeps it, on its GPU if it has one; it runs one shard at a time, with
as many threads as Dask gave it. On a machine with several GPUs start a worker for each, with
CUDA_VISIBLE_DEVICES set to it, as dask-cuda does: a worker takes the first GPU that it sees. Examples are
read here and sent with their features, so workers need no data files (but for models that read the picture's
file itself, which must lie under the same path there). What a worker sends back are the sums of one shard,
or its features. `batch_size="auto"` is found here: give a number where the workers' GPUs are other ones.

A worker that dies is replaced by Dask, the new one is sent the model again, and what was under way is given
to others. A shard is added up here once, by its number, in the order of the numbers: so nothing is counted
twice, and the result is that of one machine, but for the rounding of the model itself on other hardware or
with another number of threads.
"""

from __future__ import annotations

import copy
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from value_nb import shards
from value_nb.collecting import Collected, collect
from value_nb.shards import Compute, Shard

if TYPE_CHECKING:
    from value_nb.data.example import Example
    from value_nb.models.base import VLModel
    from value_nb.probes.base import Probe

AHEAD = 2
"""Shards under way for each worker: one that is collected, and one that is on its way to it."""

MISSING = 'the package "distributed" is missing; install it with: pip install "value-nb[dask]"'

_HELD: dict[str, _Held] = {}  # in a worker: what it was sent, by the name of the pass


class _Held:
    """What a worker keeps for a pass.

    Attributes
    ----------
    model
        On the CPU as it is sent; then on the GPU of the worker, if it has one.
    probes
        Templates that have looked over all examples, where they do so.
    lock
        Held by the shard that runs: hooks of a model are not made for two at once.
    """

    def __init__(self, model: VLModel, probes: Sequence[Probe]) -> None:
        self.model, self.probes = on_cpu(model), list(probes)
        self.lock: Any = None


def receive(name: str, held: _Held, threads: int) -> None:
    """In a worker: take in what it was sent; torch uses as many threads as the worker has."""
    import torch

    torch.set_num_threads(max(1, threads))
    held.model.module.to("cuda" if torch.cuda.is_available() else "cpu")
    held.lock = threading.Lock()
    _HELD[name] = held


def forget(name: str) -> None:
    """In a worker: let go of what it was sent."""
    _HELD.pop(name, None)


def on_cpu(model: VLModel) -> VLModel:
    """The model itself where it is on the CPU, else a copy there: a worker may have no GPU."""
    if model.device.type == "cpu":
        return model
    other = copy.copy(model)
    other.module = copy.deepcopy(model.module).to("cpu")
    return other


def checked(client: Any) -> Any:
    """The client of a Dask cluster.

    Raises
    ------
    ImportError
        Where distributed is not installed; the message says how to install it.
    ValueError
        For anything but a client, and for an asynchronous one.
    """
    try:
        from distributed import Client
    except ImportError as problem:
        raise ImportError(MISSING) from problem
    if not isinstance(client, Client) or client.asynchronous:
        what = "an asynchronous client" if isinstance(client, Client) else repr(client)
        raise ValueError(
            f"client={what} came; expected None, or a distributed.Client that is not asynchronous, for "
            "instance Client(n_workers=2, threads_per_worker=1)"
        )
    return client


@contextmanager
def there(
    client: Any, model: VLModel, probes: Sequence[Probe], batch_size: int, bar: Any
) -> Iterator[Compute]:
    """Collect shards on the workers of a cluster, while the with-block lasts; as `shards.here` does here.

    Parameters
    ----------
    client
        Of the cluster.
    model, probes, batch_size
        As in `shards.here`. Model and probes are sent once to each worker, also to one that comes later.
    bar
        Moves on by the examples of each shard that comes back.
    """
    name = f"value_nb-{uuid.uuid4().hex}"
    client.register_plugin(_plugin(name, _Held(model, [probe.fresh() for probe in probes])), name=name)
    try:
        yield lambda missing: _collected(client, name, missing, probes, batch_size, bar)
    finally:
        client.unregister_worker_plugin(name)


def _collected(
    client: Any, name: str, missing: Iterable[Shard], probes: Sequence[Probe], batch_size: int, bar: Any
) -> Iterator[tuple[int, Collected]]:
    """Shards in their order; no more are under way, or wait for their turn, than the workers need."""
    import dask
    from distributed import wait

    waiting = iter(missing)
    under_way: dict[int, Any] = {}  # number -> future, in the order of the numbers
    try:
        while True:
            for number, examples in islice(waiting, max(0, _room(client) - len(under_way))):
                with dask.config.set({"distributed.admin.large-graph-warning-threshold": "100GB"}):
                    under_way[number] = client.submit(
                        _collect, name, [*examples], batch_size, key=f"{name}-{number}", pure=False
                    )
            if not under_way:
                return
            number = next(iter(under_way))
            wait(under_way[number])
            part = _part(under_way.pop(number).result(), probes)
            bar.update(part.n)
            yield number, part
    finally:
        client.cancel([*under_way.values()])


def _room(client: Any) -> int:
    """How many shards may be under way; one where no worker is there yet."""
    return max(1, AHEAD * len(client.nthreads()))


def _part(sent: bytes | Collected, probes: Sequence[Probe]) -> Collected:
    from value_nb import states

    return sent if isinstance(sent, Collected) else shards.of_state(states.unpack(sent), probes)


def _collect(name: str, examples: list[Example], batch_size: int) -> bytes | Collected:
    """In a worker: one shard, as bytes, or as it is where a probe's state is not known to `states`."""
    from value_nb import states

    held = _HELD.get(name)
    if held is None:
        raise RuntimeError("this worker has no model; its log says why it could not take in what it was sent")
    with held.lock:
        part = collect(held.model, examples, [probe.fresh() for probe in held.probes], batch_size)
    try:
        return b"".join(states.pack(shards.to_state(part)))
    except states.UnknownState:
        return part


def _plugin(name: str, held: _Held) -> Any:
    """What brings `held` to every worker, and takes it away again."""
    from distributed import WorkerPlugin

    class Bring(WorkerPlugin):
        def __init__(self) -> None:
            self.name, self.held = name, held

        def setup(self, worker: Any) -> None:
            receive(self.name, self.held, worker.state.nthreads)

        def teardown(self, worker: Any) -> None:
            forget(self.name)

    return Bring()
