"""What a model costs on this machine: seconds for a pair of caption and picture, and memory."""

from __future__ import annotations

import os
import platform
import sys
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from value_nb.models.base import as_examples

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from value_nb.data.example import Example
    from value_nb.models.base import VLModel

MEGABYTE = 1e6
UNKNOWN_ROOM = 2e9
"""Bytes taken to be free where a system does not say."""


def cost_table(
    model: VLModel, examples: Sequence[Example], batch_size: int = 16, repeats: int = 3
) -> pd.DataFrame:
    """Measure forward passes of one batch: bare, and with every attention map handed out as it is made.

    Parameters
    ----------
    model, examples
        What is run; the first `batch_size` examples.
    batch_size, repeats
        Size of the batch, and how often it is run; one run before does not count.

    Returns
    -------
    One row, index the model's name: weights (millions), weights_mb, positions (text and image, the longest of
    the batch), bare_s and traced_s (median seconds for a pair), ratio, peak_mb (most memory that the process
    has held since it began, everything included; nan where the system does not say), threads, device.

    Raises
    ------
    ValueError
        Without examples, and for fewer than one repeat.
    """
    import pandas as pd
    import torch

    batch_examples = as_examples(examples)[:batch_size]
    if repeats < 1 or batch_size < 1:
        raise ValueError(f"batch_size={batch_size}, repeats={repeats} came; expected at least 1 of each")
    batch = model.prepare(batch_examples)
    bare = _seconds(model, lambda: model.run(batch), repeats) / len(batch_examples)
    traced = _seconds(model, lambda: model.run(batch, on_layer=lambda layer: None), repeats) / len(
        batch_examples
    )
    size = sum(p.numel() * p.element_size() for p in model.module.parameters())
    row = {
        "weights": model.n_parameters / 1e6,
        "weights_mb": size / MEGABYTE,
        "positions": " + ".join(str(s.valid.shape[1]) for s in batch.layout.streams.values()),
        "bare_s": bare,
        "traced_s": traced,
        "ratio": traced / bare,
        "peak_mb": peak_memory() / MEGABYTE,
        "threads": torch.get_num_threads(),
        "device": str(model.device),
    }
    return pd.DataFrame([row], index=pd.Index([model.name], name="model"))


def _seconds(model: VLModel, run: Callable[[], object], repeats: int) -> float:
    """Median wall-clock seconds of a call, after one that does not count, until the device has done it."""
    taken = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        run()
        finished(model.device)
        taken.append(time.perf_counter() - start)
    return median(taken[1:])


def finished(device: torch.device) -> None:
    """Wait until a GPU has done what was asked of it: it goes on while Python does."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def peak_memory() -> float:
    """Most bytes of memory that this process has held; nan on systems that do not count it."""
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(most if sys.platform == "darwin" else most * 1024)


def live_bytes(run: Callable[[], object]) -> int:
    """Most bytes of tensors that are alive at one time while `run` is called.

    Every tensor that an operation of torch makes counts from then until its memory is given back; what was
    there before (weights, a prepared batch) does not, nor does room that an operation takes within itself.
    On any device; several times slower than the plain call.
    """
    from torch import Tensor
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class Watch(TorchDispatchMode):
        def __init__(self) -> None:
            super().__init__()
            self.live, self.now, self.peak = dict[int, int](), 0, 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            given = {_storage(x)._cdata for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)}
            for made in tree_leaves(out):
                if isinstance(made, Tensor) and _storage(made)._cdata not in given | self.live.keys():
                    self.add(_storage(made))
            return out

        def add(self, storage: Any) -> None:
            self.live[storage._cdata] = storage.nbytes()
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self.drop, storage._cdata)

        def drop(self, name: int) -> None:
            self.now -= self.live.pop(name, 0)

    with Watch() as watch:
        run()
    return watch.peak


def _storage(tensor: torch.Tensor) -> Any:
    return tensor.untyped_storage()


def free_memory(device: torch.device) -> float:
    """Bytes that can still be had: of the device, or of this machine and the container that we are in.

    Two gigabytes where the system does not say.
    """
    import torch

    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":
        return float(torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory())
    known = [room for room in (_available(), _left_in_container()) if room is not None]
    return min(known, default=UNKNOWN_ROOM)


def _available(path: Path = Path("/proc/meminfo")) -> float | None:
    """Linux's own estimate of what programs can still take."""
    if not path.is_file():
        return None
    lines = dict(line.split(":", 1) for line in path.read_text(encoding="ascii").splitlines() if ":" in line)
    return 1024.0 * int(lines["MemAvailable"].split()[0]) if "MemAvailable" in lines else None


def _left_in_container(folder: Path = Path("/sys/fs/cgroup")) -> float | None:
    """What a container's limit leaves; None where there is none."""
    limit, used = folder / "memory.max", folder / "memory.current"
    if not limit.is_file() or not used.is_file() or limit.read_text().strip() == "max":
        return None
    return max(0.0, float(limit.read_text()) - float(used.read_text()))


def machine() -> str:
    """This machine in a few words: what a time was measured on."""
    where, python = f"{platform.system()} {platform.machine()}", platform.python_version()
    return f"{where}, {os.cpu_count()} cores, Python {python}"
