"""Where a training stands, in one file that is replaced in one go: it can stop and go on at any moment.

Random numbers need no place in it: batches and dropout of a step are functions of seed and step.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

CurveRow = tuple[int, str, str, float]
"""Step, "train" or "dev", measure, value."""


@dataclass(frozen=True)
class Progress:
    """What was reached: number of steps done, the curve up to there, and losses that it does not hold yet."""

    step: int
    curve: list[CurveRow]
    recent: list[dict[str, float]]


def save(
    path: Path,
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    progress: Progress,
    settings: dict[str, Any],
) -> None:
    """Write weights, optimiser state, progress and settings; the old file stays until it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.part")
    content = {
        "settings": settings,
        "step": progress.step,
        "curve": progress.curve,
        "recent": progress.recent,
        "module": module.state_dict(),
        "optimiser": optimiser.state_dict(),
    }
    with partial.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def load(
    path: Path, module: nn.Module, optimiser: torch.optim.Optimizer, settings: dict[str, Any]
) -> Progress | None:
    """Put a checkpoint into model and optimiser; None where there is none.

    ValueError when it was made with other settings, naming those that differ.
    """
    if not path.is_file():
        return None
    content = torch.load(path, map_location="cpu", weights_only=True)
    if content["settings"] != settings:
        old = content["settings"]
        differ = sorted(k for k in {*old, *settings} if old.get(k) != settings.get(k))
        told = "; ".join(f"{k} was {old.get(k)!r}, now {settings.get(k)!r}" for k in differ)
        raise ValueError(
            f"{path} belongs to a training with other settings ({told}). Remove it to start afresh."
        )
    module.load_state_dict(content["module"])
    optimiser.load_state_dict(content["optimiser"])
    return Progress(content["step"], [tuple(row) for row in content["curve"]], content["recent"])
