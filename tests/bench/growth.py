"""Cost against examples, layers, heads and positions; permutation tests; more processes."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch

import value_nb as vnb
from tests.bench import subjects
from tests.bench.passes import ALL, BARE, SHALLOW, attention_probes, measured, once
from value_nb.batches import batches
from value_nb.collecting import collect
from value_nb.cost import live_bytes
from value_nb.data.example import Example
from value_nb.models.base import VLModel

FEW, MANY, BATCH = 1000, 10_000, 32
NARROW = {"hidden_size": 192, "intermediate_size": 768}
MINI = "mini-uniter"


def shapes(quick: bool) -> list[dict[str, Any]]:
    """Rows: what was changed, and time and memory of a narrow model bare and with all attention probes."""
    found = []
    plain = {"layers": 6, "heads": 12, "regions": 36}
    asked = [plain] + [
        plain | {name: value}
        for name, values in (("layers", (3, 12)), ("heads", (3, 6)), ("regions", (100, 240)))
        for value in values
    ]
    for shape in asked[:2] if quick else asked:
        changes = {"num_hidden_layers": shape["layers"], "num_attention_heads": shape["heads"]}
        model = subjects.gated("uniter", **NARROW, **changes)
        batch = model.prepare(subjects.pairs(8, regions=shape["regions"]))
        rows = measured(model, batch, 2 if quick else 9, fusion=False)["rows"]
        found.append(shape | {"bare": rows[BARE], "all": rows[ALL]})
    return found


def many_pairs(n: int) -> Iterator[Example]:
    """`n` pairs of the miniature's, one at a time; each of a picture of its own."""
    data = vnb.load_dataset("mini-flickr30k", split="test")
    for number in range(n):
        example = data[number % min(len(data), 500)]
        yield replace(example, id=f"{number}#0", image_id=f"picture {number}")


def examples(quick: bool) -> list[dict[str, Any]]:
    """Rows: pairs, and seconds of a pass with all attention probes and its results."""
    found = []
    for n in (50, 100) if quick else (250, 500, 1000):
        probes = [probe.fresh(0) for probe in attention_probes()]
        start = time.perf_counter()
        collect(vnb.load_model(MINI, device="cpu"), many_pairs(n), probes)
        for probe in probes:
            probe.rows(replicates=1000)
        found.append({"pairs": n, "seconds": time.perf_counter() - start})
    return found


def memory(quick: bool) -> list[dict[str, Any]]:
    """Rows: pairs, and the most memory that a sweep of UNITER-base with all attention probes takes.

    Tensors are those of one batch of the full-size model, at their most. Numpy's arrays and Python's objects,
    which do not depend on a model's width, are those of a whole pass and of its results, of a narrow model
    with as many layers and heads. Each is counted apart at its most and added up: an upper bound. The pairs
    themselves come one at a time.
    """
    shallow = SHALLOW["uniter"] if quick else {}
    narrow = subjects.gated("uniter", hidden_size=48, intermediate_size=48, **shallow)
    tensors = _tensors(subjects.gated("uniter", **(NARROW if quick else {}), **shallow))
    return [{"tensors": tensors} | _memory(narrow, n) for n in ((50, 100) if quick else (FEW, MANY))]


def _tensors(model: VLModel) -> int:
    batch = model.prepare(subjects.pairs(BATCH))
    return live_bytes(partial(once, model, batch, attention_probes()))


def _memory(model: VLModel, n: int) -> dict[str, float]:
    collect(model, _copies(BATCH), [probe.fresh(0) for probe in attention_probes()])  # imports, caches
    probes = [probe.fresh(0) for probe in attention_probes()]
    tracemalloc.start()
    collect(model, _copies(n), probes)
    held, arrays = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    for probe in probes:
        probe.rows(replicates=1000)
    results = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {"pairs": n, "held": held, "arrays": arrays, "results": results}


def _copies(n: int) -> Iterator[Example]:
    """`n` pairs of pictures of their own, one at a time."""
    (pair,) = subjects.pairs(1)
    return (replace(pair, id=f"{k}#0", image_id=f"picture {k}") for k in range(n))


def tests_and_intervals(quick: bool) -> dict[str, Any]:
    """Seconds that the results of each probe take, after the pass: intervals, and permutation tests."""
    model = vnb.load_model(MINI, device="cpu")
    n = 60 if quick else 300
    found: dict[str, Any] = {"pairs": n, "rows": {}}
    for probe in [*attention_probes(), vnb.FusionDegree()]:
        seen = collect(model, many_pairs(n), [probe.fresh(0)]).probes[0]
        start = time.perf_counter()
        rows = seen.rows(replicates=1000)
        found["rows"][probe.title] = {"seconds": time.perf_counter() - start, "values": len(rows)}
    return found


def batch_sizes(quick: bool) -> list[dict[str, Any]]:
    """Pairs a second of the bare model by examples run at once, and the share that making batches takes."""
    found = []
    shallow = SHALLOW["uniter"] if quick else {}
    for name, model, pool in (
        (MINI, vnb.load_model(MINI, device="cpu"), [*many_pairs(64)]),
        ("UNITER-base", subjects.gated("uniter", **shallow), subjects.pairs(8 if quick else 32)),
    ):
        for size in (4, 8) if quick else (1, 4, 16, 32, 64):
            if size > len(pool):
                continue
            made, ran, repeats = 0.0, 0.0, 1 if name != MINI else 3
            for _ in range(repeats):
                for part in batches(pool, size):
                    start = time.perf_counter()
                    batch = model.prepare(part)
                    middle = time.perf_counter()
                    with torch.inference_mode():
                        model.run(batch)
                    made, ran = made + middle - start, ran + time.perf_counter() - middle
            rate = repeats * len(pool) / (made + ran)
            found.append({"model": name, "batch_size": size, "rate": rate, "preparing": made / (made + ran)})
    return found


def workers(quick: bool) -> list[dict[str, Any]]:
    """Seconds of one sweep on one machine and on Dask workers (processes of one thread each)."""
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        return []
    model, data = vnb.load_model(MINI, device="cpu"), [*many_pairs(256 if quick else 2048)]
    found = []
    for n in (1,) if quick else (1, 2):
        with (
            LocalCluster(
                n_workers=n, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
            ) as cluster,
            Client(cluster) as client,
        ):
            options: dict[str, Any] = {"controls": "none", "progress": False, "gate": False, "cache": False}
            vnb.sweep(model, data[:256], attention_probes(), client=client, **options)
            start = time.perf_counter()
            vnb.sweep(model, data, attention_probes(), client=client, **options)
            found.append({"workers": n, "pairs": len(data), "seconds": time.perf_counter() - start})
    return found
