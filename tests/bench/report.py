"""What was measured as a page of Markdown: budgets first, then every table."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from tests.browser.latency import LARGE

MEGABYTE = 1e6
LIBRARIES = ("torch", "transformers", "scikit-learn", "numpy", "pandas", "distributed")
Found = Mapping[str, Any]
MISSING = "not measured"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; the first column is text, the others are numbers."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    lines += ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def page(found: Found, taken: Mapping[str, float], quick: bool) -> str:
    """The whole page; sections that were not measured are left out and named."""
    parts = [
        _head(found, taken, quick),
        "## Budgets\n",
        table(("budget", "limit", "measured", ""), budgets(found)),
    ]
    for name, (title, text, make) in SECTIONS.items():
        if name in found:
            parts += [f"## {title}\n", text + "\n" if text else "", make(found[name])]
    return "\n".join(part for part in parts if part).rstrip() + "\n"


def budgets(found: Found) -> list[tuple[str, str, str, str]]:
    """Rows: what, limit, what was measured, and whether it is met."""
    rows = []
    for what, limit, read, fits in BUDGETS:
        try:
            value = read(found)
        except (KeyError, IndexError):
            rows.append((what, limit, MISSING, ""))
            continue
        rows.append((what, limit, value[1], "met" if fits(value[0]) else "**missed**"))
    return rows


def _all_probes(found: Found, model: str, what: str) -> float:
    row = found["region_models"][model]["rows"]["all attention probes"]
    return row["ratio"][0] if what == "time" else row["peak_ratio"]


def _times(value: float) -> tuple[float, str]:
    return value, f"{value:.3f}x"


def _growth(found: Found) -> tuple[float, str]:
    first, last = found["memory"][0], found["memory"][-1]
    most = [max(row["tensors"] + row["arrays"], row["results"]) for row in (first, last)]
    ratio, pairs = most[1] / most[0], f"{first['pairs']} to {last['pairs']} pairs"
    return ratio, f"{ratio:.2f}x, {_mb(most[0])} to {_mb(most[1])} MB ({pairs})"


def _classifier(found: Found) -> tuple[float, str]:
    faster = [row["faster"] for row in found["classifiers"].values()]
    return float(np.median(faster)), f"{np.median(faster):.1f}x ({min(faster):.1f} to {max(faster):.1f})"


def _points(found: Found) -> tuple[float, str]:
    gained = [100 * (r["ours_accuracy"] - r["senteval_accuracy"]) for r in found["classifiers"].values()]
    said = f"{np.mean(gained):+.2f} points ({min(gained):+.1f} to {max(gained):+.1f} by task)"
    return float(np.mean(gained)), said


def _import(found: Found) -> tuple[float, str]:
    median, low, high = found["importing"]["value_nb"]
    return median, f"{median:.3f} s ({low:.3f} to {high:.3f})"


def _pixels(found: Found, large: bool) -> tuple[float, str]:
    times = {name: value for name, value in found["latency"].items() if (name == LARGE) == large}
    slowest, (median, low, high) = max(times.items(), key=lambda item: item[1][0])
    return median, f"{median:.0f} ms ({low:.0f} to {high:.0f}), {slowest}"


CPU, LONG = "UNITER-base, cpu float32", "UNITER-base, 260 positions, cpu float32"
BUDGETS: tuple[tuple[str, str, Callable[[Found], tuple[float, str]], Callable[[float], bool]], ...] = (
    ("All attention probes in one sweep, time, 20 + 36 positions", "1.15x bare",
     lambda f: _times(_all_probes(f, CPU, "time")), lambda x: x <= 1.15),
    ("The same, memory", "1.15x bare", lambda f: _times(_all_probes(f, CPU, "peak")), lambda x: x <= 1.15),
    ("The same at 260 positions, memory", "1.3x bare",
     lambda f: _times(_all_probes(f, LONG, "peak")), lambda x: x <= 1.3),
    ("Most memory of a sweep over ten times as many pairs", "1.10x", _growth, lambda x: x <= 1.10),
    ("Classifier probes against SentEval's protocol, median of the tasks", "10x faster",
     _classifier, lambda x: x >= 10),
    ("Their test accuracy less SentEval's, mean of the tasks", "-0.5 points or better",
     _points, lambda x: x >= -0.5),
    ("`import value_nb`", "0.3 s", _import, lambda x: x < 0.3),
    ("Key to new pixels, the miniature, slowest panel's median", "200 ms",
     lambda f: _pixels(f, large=False), lambda x: x < 200),
    ("The same, 12 x 12 heads and 60 positions", "400 ms",
     lambda f: _pixels(f, large=True), lambda x: x < 400),
)  # fmt: skip


def _head(found: Found, taken: Mapping[str, float], quick: bool) -> str:
    versions = ", ".join(f"{name} {_version(name)}" for name in LIBRARIES)
    lines = [
        "# What it costs",
        "",
        "Written by `make bench`, which measures everything anew; nothing here is asserted by a test.",
        "",
        f"Machine: {processor()}, {cores()} cores; GPU: {gpu()}. {platform.system()}, Python "
        f"{platform.python_version()}; {versions}. Measured in {sum(taken.values()) / 60:.1f} minutes"
        + (" with `QUICK=1`: **a smoke test, its numbers mean little.**" if quick else "."),
        "",
        "*Times* are wall-clock. Runs that are compared take turns, and a ratio is that of two neighbours, "
        "so that a machine that others use too is unfair to none; given are medians, and quartiles of ratios "
        "or the lowest and highest of times. *Bare* is the same model, eager, same dtype and batch, with "
        "nobody listening. *Memory* is the most bytes of tensors alive at one time, counted as operations "
        "make them and as they are freed, above the weights and the prepared batch.",
        "",
    ]
    missing = [SECTIONS[name][0] for name in SECTIONS if name not in found]
    if missing:
        lines += [f"Not measured: {'; '.join(missing)}.", ""]
    return "\n".join(lines)


def _passes(found: Found) -> str:
    parts = []
    for name, one in found.items():
        rows = []
        for run, row in one["rows"].items():
            median = row["seconds"][0]
            ratio, low, high = row["ratio"]
            memory = (f"{_mb(row['peak'])}", f"{row['peak_ratio']:.2f}") if "peak" in row else ("", "")
            rows.append(
                (run, f"{one['pairs'] / median:.1f}", f"{ratio:.2f}", f"{low:.2f} - {high:.2f}", *memory)
            )
        parts.append(f"### {name}\n\n{one['pairs']} pairs at once, {one['positions']} positions.\n\n")
        head = ("run", "pairs / s", "time / bare", "quartiles", "peak MB", "peak / bare")
        parts.append(table(head, rows) + "\n")
    return "".join(parts)


def _whole_passes(found: Sequence[Found]) -> str:
    rows = [
        (f"{one['where']}, {one['batch_size']} at once", run, f"{one['pairs'] / row['seconds'][0]:.0f}",
         f"{row['ratio'][0]:.2f}")
        for one in found for run, row in one["rows"].items()
    ]  # fmt: skip
    return table(("UNITER-base on", "pass", "pairs / s", "time / bare"), rows)


def _shapes(found: Sequence[Found]) -> str:
    rows = [
        (
            f"{r['layers']} layers, {r['heads']} heads, 20 + {r['regions']} positions",
            f"{1e3 * r['bare']['seconds'][0]:.1f}", f"{1e3 * r['all']['seconds'][0]:.1f}",
            f"{r['all']['ratio'][0]:.2f}", _mb(r["bare"]["peak"]), _mb(r["all"]["peak"]),
        )
        for r in found
    ]  # fmt: skip
    return table(("shape", "bare ms", "all probes ms", "time / bare", "bare MB", "all probes MB"), rows)


def _examples(found: Sequence[Found]) -> str:
    rows = [
        (r["pairs"], f"{r['seconds']:.1f}", f"{r['pairs'] / r['seconds']:.0f}")
        for r in found
    ]  # fmt: skip
    return table(("pairs", "seconds", "pairs / s"), rows)


def _memory(found: Sequence[Found]) -> str:
    rows = [(r["pairs"], *(_mb(r[k]) for k in ("tensors", "arrays", "held", "results"))) for r in found]
    head = ("pairs", "tensors in the pass", "arrays and objects in it", "of these kept", "for the results")
    return table(head, rows)


def _results(found: Found) -> str:
    rows = [(name, f"{r['seconds']:.2f}", r["values"]) for name, r in found["rows"].items()]
    return f"Of {found['pairs']} pairs.\n\n" + table(("probe", "seconds", "values"), rows)


def _sizes(found: Sequence[Found]) -> str:
    rows = [(r["model"], r["batch_size"], f"{r['rate']:.1f}", f"{100 * r['preparing']:.1f} %") for r in found]
    return table(("model", "examples at once", "pairs / s", "of it making the batch"), rows)


def _classifiers(found: Found) -> str:
    rows = [
        (task, r["train"], r["width"], f"{r['senteval_s']:.1f}", f"{r['ours_s']:.2f}", f"{r['faster']:.1f}x",
         f"{100 * r['senteval_accuracy']:.1f}", f"{100 * r['ours_accuracy']:.1f}",
         f"{100 * (r['ours_accuracy'] - r['senteval_accuracy']):+.1f} ± {100 * r['error']:.1f}")
        for task, r in found.items()
    ]  # fmt: skip
    head = ("task", "sentences", "width", "SentEval s", "here s", "faster", "SentEval %", "here %", "gained")
    return table(head, rows)


def _importing(found: Found) -> str:
    rows = [(name, *(f"{x:.3f}" for x in seconds)) for name, seconds in found.items()]
    return table(("what is imported", "median s", "lowest", "highest"), rows)


def _notebooks(found: Sequence[Found]) -> str:
    rows = [(r["notebook"], f"{r['cold']:.1f}", f"{r['warm']:.1f}") for r in found]
    return table(("notebook", "cold s", "warm s"), rows)


def _workers(found: Sequence[Found]) -> str:
    rows = [
        (r["workers"], r["pairs"], f"{r['seconds']:.1f}", f"{found[0]['seconds'] / r['seconds']:.2f}x")
        for r in found
    ]
    return table(("workers", "pairs", "seconds", "faster than one"), rows)


def _latency(found: Found) -> str:
    rows = [(name, *(f"{x:.0f}" for x in values)) for name, values in found.items()]
    return table(("panel", "median ms", "lowest", "highest"), rows)


ONE_PASS = (
    "One batch. `output_attentions, reduced after` is what people do today: transformers' model of the same "
    "shape keeps all maps, and the same reductions run on them. LXMERT's does not hand out image to text at "
    "all, so its row does less than ours. Two-means (fusion) is no reduction of attention and has no budget."
)
SECTIONS: dict[str, tuple[str, str, Callable[[Any], str]]] = {
    "region_models": ("One pass, region features", ONE_PASS, _passes),
    "patch_model": ("One pass, patches", "", _passes),
    "miniature": ("One pass, the miniature", "", _passes),
    "whole_passes": (
        "A whole pass",
        "20 + 36 positions. Bare: over batches that lie there. Made in turn: each batch is made, then run. "
        "Made ahead: while the one before it runs, as a sweep does it; the rows below it, too.",
        _whole_passes,
    ),
    "shapes": ("Cost against layers, heads and positions", "A narrow UNITER (192 wide), 8 pairs.", _shapes),
    "examples": (
        "Cost against the number of pairs",
        "mini-uniter, all attention probes, each pair of a picture of its own, results included. The first "
        "row includes what a process does once.",
        _examples,
    ),
    "memory": (
        "Memory against the number of pairs",
        "All attention probes over UNITER-base, each pair of a picture of its own; MB, each at its most. "
        "Tensors: of one batch of 32. Arrays and objects (numpy and Python), which do not depend on the "
        "model's width: of a whole pass over a model 48 wide with the same 12 layers of 12 heads. The pairs "
        "come one at a time. What probes keep lies in files from 8 MB on, each probe for itself.",
        _memory,
    ),
    "results": (
        "Permutation tests and intervals",
        "After the pass: 1,000 bootstrap replicates over images; the coreference probe also makes 2,500 "
        "permutations of two kinds.",
        _results,
    ),
    "batch_sizes": ("Examples run at once", 'What `batch_size="auto"` goes by.', _sizes),
    "classifiers": (
        "Classifier probes against SentEval's protocol",
        "[CLS] of mini-bert after each of its layers; medians of the seconds of a layer, means of the test "
        "accuracies over the layers. SentEval: Adam, four l2 penalties, early stopping, one training more. "
        "Here: standardised logistic regression, four penalties. Gained: points, with the standard error "
        "over the test sentences, which are the same for both.",
        _classifiers,
    ),
    "importing": ("Import", "A fresh interpreter each time.", _importing),
    "notebooks": (
        "Cold and warm start", "Kernel start included; warm: the result cache holds it all.", _notebooks,
    ),
    "workers": ("More processes", "mini-uniter over Dask workers of one thread.", _workers),
    "latency": (
        "From a key to new pixels",
        "JupyterLab in a real browser: an arrow key on the layer's slider, until the second frame after the "
        "view has changed.",
        _latency,
    ),
}  # fmt: skip


def _mb(size: float) -> str:
    return f"{size / MEGABYTE:.1f}"


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "absent"


def processor(path: Path = Path("/proc/cpuinfo")) -> str:
    """Kind of CPU."""
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def cores() -> int:
    """Cores that this process may use."""
    import os

    there = getattr(os, "sched_getaffinity", None)
    return len(there(0)) if there else os.cpu_count() or 1


def gpu() -> str:
    """Kind of GPU, or none."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
