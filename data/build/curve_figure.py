"""The curve of a training as a figure: losses above, measures on held-out pictures below."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

Curves = dict[str, dict[str, list[tuple[int, float]]]]
"""Split -> measure -> (step, value) pairs."""


def read_curves(path: Path) -> Curves:
    """Read the CSV that `pretrain.write_curve` wrote."""
    found: dict[str, dict[str, list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found[row["split"]][row["measure"]].append((int(row["step"]), float(row["value"])))
    return {split: dict(measures) for split, measures in found.items()}


def draw(curves: Curves, title: str, path: Path) -> Path:
    """Write the figure as SVG; the same curves give the same bytes."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "value_nb", "svg.fonttype": "none", "font.size": 8}):
        figure = Figure(figsize=(6, 4.5), layout="constrained")
        panels = figure.subplots(2, 1, sharex=True)
        for axes, split, label in zip(panels, ("train", "dev"), ("training loss", "held out"), strict=True):
            for name, points in curves.get(split, {}).items():
                steps, values = zip(*points, strict=True)
                axes.plot(steps, values, label=name, linewidth=1)
            axes.set_ylabel(label)
            if curves.get(split):
                axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
            axes.spines[["top", "right"]].set_visible(False)
        panels[1].set_ylim(0, 1.02)
        panels[1].set_xlabel("step")
        figure.suptitle(title)
        figure.savefig(path, format="svg", metadata={"Date": None})
    return path
