"""How long a sweep takes on many workers, on paper: from what one shard costs, measured on this machine.

    python -m value_nb.scaling docs/SCALING.md      # measure, and write the page

A pass on a cluster has two lines of work that go on at the same time. Workers collect shards, each its own.
One process reads the examples, sends them off, and adds up what comes back, one shard after the other: with
enough workers, the pass takes as long as that process needs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING

from value_nb.shards import SHARD

if TYPE_CHECKING:
    import pandas as pd

    from value_nb.data.example import Example
    from value_nb.models.base import VLModel
    from value_nb.probes.base import Probe

PAIRS, CHECKPOINTS = 5_400_000, 1_000
"""Visual Genome's region descriptions; checkpoints of a long pre-training."""
PER_CHECKPOINT = 5_000
"""Pairs that each checkpoint is looked at on: the size of a test split."""
WORKERS = (1, 8, 64, 512)
NETWORK = 1.25e8  # bytes in a second between two machines (1 gigabit), assumed
OVERHEAD = (
    0.005  # seconds that Dask's scheduler and client take for a task: assumed, a few times its stated 1 ms
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a shard costs.

    Attributes
    ----------
    pairs
        Of a shard.
    collect
        Seconds of a worker's one thread for a shard, taking it apart and packing its sums included.
    here
        Seconds of the process that reads examples, packs them, unpacks sums and adds them up, for a shard.
    sent, received
        Bytes of a shard's examples, and of its sums.
    model
        Bytes of the weights.
    """

    pairs: int
    collect: float
    here: float
    sent: int
    received: int
    model: int


def hours(cost: Cost, pairs: int, workers: int, models: int = 1) -> float:
    """Hours that passes over some pairs take, one for each model.

    Each pass sends the model to every worker, over one network line; then workers and the process that feeds
    them work at the same time, and the slower of the two decides.
    """
    shards = -(-pairs // cost.pairs)
    start = workers * cost.model / NETWORK
    longest = -(-shards // workers) * cost.collect
    return models * (start + max(longest, shards * line(cost))) / 3600


def line(cost: Cost) -> float:
    """Seconds for which a shard occupies the one process, and the network line to it."""
    return cost.here + OVERHEAD + (cost.sent + cost.received) / NETWORK


def limit(cost: Cost) -> float:
    """The number of workers beyond which more of them bring nothing."""
    return cost.collect / line(cost)


def table(cost: Cost, workers: Sequence[int] = WORKERS) -> pd.DataFrame:
    """Hours by number of workers: all of Visual Genome, and many checkpoints in two ways."""
    import pandas as pd

    eights = {count: -(-count // 8) for count in workers}
    rows = {
        count: {
            "Visual Genome, 5.4 M pairs": hours(cost, PAIRS, count),
            "1,000 checkpoints, one after the other": hours(cost, PER_CHECKPOINT, count, CHECKPOINTS),
            "1,000 checkpoints, a process for each 8 workers": hours(
                cost, PER_CHECKPOINT, min(count, 8), -(-CHECKPOINTS // eights[count])
            ),
        }
        for count in workers
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("workers")


def measure(
    model: VLModel, examples: Sequence[Example], probes: Sequence[Probe], batch_size: int = 32
) -> Cost:
    """Measure one shard, with torch on one thread, in seconds of the processor: others may use the machine.

    Examples are packed as Dask, which has to be installed, packs them. The weights are counted as they are
    sent. A shard is made of the examples over again where there are few.
    """
    import torch
    from distributed.protocol.pickle import dumps, loads

    from value_nb import states
    from value_nb.collecting import collect
    from value_nb.shards import Sum, of_state, to_state

    templates = [probe.fresh(0) for probe in probes]
    shard = [examples[k % len(examples)] for k in range(SHARD)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        began = process_time()
        sent = dumps(shard)
        packed = process_time()
        loads(sent)
        part = collect(model, shard, [probe.fresh() for probe in templates], batch_size)
        received = b"".join(states.pack(to_state(part)))
        collected = process_time()
        Sum(templates).add(0, of_state(states.unpack(received), templates))
        added = process_time()
    finally:
        torch.set_num_threads(threads)
    weights = sum(p.numel() * p.element_size() for p in model.module.parameters())
    here = packed - began + added - collected
    return Cost(SHARD, collected - packed, here, len(sent), len(received), weights)


def page(cost: Cost, model: str, probes: Sequence[str], machine: str) -> str:
    """The page docs/SCALING.md."""
    from importlib.resources import files

    text = files("value_nb").joinpath("scaling.txt").read_text(encoding="utf-8")
    found = table(cost)
    head = f"| workers | {' | '.join(found.columns)} |\n|{'---:|' * (len(found.columns) + 1)}\n"
    rows = "\n".join(
        f"| {n} | {' | '.join(map(_hours, row))} |" for n, row in zip(found.index, found.values, strict=True)
    )
    return text.format(
        **asdict(cost), pair=1000 * cost.collect / cost.pairs, line=1000 * line(cost), ms=1000 * cost.here,
        limit=f"{limit(cost):,.0f}", sent_mb=cost.sent / 1e6, received_mb=cost.received / 1e6,
        model_mb=cost.model / 1e6, table=head + rows, name=model, probes=", ".join(probes), machine=machine,
        per_checkpoint=f"{PER_CHECKPOINT:,}", network=f"{NETWORK / 1e6:.0f}", overhead=1000 * OVERHEAD,
    )  # fmt: skip


def _hours(value: float) -> str:
    return (
        f"{value / 24:,.1f} days"
        if value >= 48
        else f"{value:.1f} h"
        if value >= 1
        else f"{value * 60:.0f} min"
    )


def main(target: str) -> None:
    """Measure a UNITER-base with random weights on stand-in features, and write the page."""
    import tempfile

    import value_nb as vnb
    from value_nb import stand_ins
    from value_nb.cost import machine

    probes = [vnb.ModalityImportance(), vnb.CrossModalHeads(), vnb.CoreferenceAttention()]
    with tempfile.TemporaryDirectory() as folder:
        path = stand_ins.write_checkpoint(folder, "uniter")
        model = vnb.load_model("uniter", checkpoint=path, device="cpu")
        data = vnb.load_dataset("mini-flickr30k", split="test", limit=SHARD)
        examples = [_widened(example, number) for number, example in enumerate(data)]
        cost = measure(model, examples, probes)
    Path(target).write_text(page(cost, "UNITER-base", [p.name for p in probes], machine()), encoding="utf-8")


def _widened(example: Example, number: int) -> Example:
    """The example with 36 regions of 2048 random features, as those of bottom-up attention."""
    from dataclasses import replace

    import numpy as np

    from value_nb.stand_ins import FEATURE_WIDTH, PER_PICTURE

    regions = example.regions
    if regions is None:
        raise ValueError(f"example {example.id!r} has no regions")
    rows = np.arange(PER_PICTURE) % len(regions)
    values = np.random.default_rng(number).random((PER_PICTURE, FEATURE_WIDTH), dtype=np.float32)
    wide = replace(
        regions, boxes=regions.boxes[rows], features=values, names=tuple(regions.names[r] for r in rows),
        sources=tuple(regions.sources[r] for r in rows),
        confidence=None if regions.confidence is None else regions.confidence[rows],
    )  # fmt: skip
    return replace(example, regions=wide)


if __name__ == "__main__":
    main(sys.argv[1])
