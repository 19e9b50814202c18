"""What a model costs on this machine: seconds for a pair of caption and picture, and memory."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import TYPE_CHECKING

from value_nb.models.base import as_examples

if TYPE_CHECKING:
    import pandas as pd

    from value_nb.data.example import Example
    from value_nb.models.base import VLModel

MEGABYTE = 1e6


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
    bare = _seconds(lambda: model.run(batch), repeats) / len(batch_examples)
    traced = _seconds(lambda: model.run(batch, on_layer=lambda layer: None), repeats) / len(batch_examples)
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


def _seconds(run: Callable[[], object], repeats: int) -> float:
    """Median wall-clock seconds of a call, after one that does not count."""
    run()
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return median(taken)


def peak_memory() -> float:
    """Most bytes of memory that this process has held; nan on systems that do not count it."""
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(most if sys.platform == "darwin" else most * 1024)


def machine() -> str:
    """This machine in a few words: what a time was measured on."""
    where, python = f"{platform.system()} {platform.machine()}", platform.python_version()
    return f"{where}, {os.cpu_count()} cores, Python {python}"
