"""How fast a model learns: AdamW with a warm-up and a linear way down."""

from __future__ import annotations

import torch
from torch import nn

WARMUP_SHARE = 0.1
WEIGHT_DECAY = 0.01
CLIP = 1.0


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Rate of step 0, 1, ...: up to `peak` over the first tenth of the steps, then down to 0 at the end."""
    warmup = max(1, round(WARMUP_SHARE * steps))
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * max(0.0, (steps - step) / max(1, steps - warmup))


def optimiser(module: nn.Module) -> torch.optim.AdamW:
    """AdamW; biases and norms, everything with one axis, do not decay."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98), fused=True)


def set_rate(chosen: torch.optim.Optimizer, rate: float) -> None:
    """Give all groups a learning rate."""
    for group in chosen.param_groups:
        group["lr"] = rate
