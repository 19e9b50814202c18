"""Heads of pre-training: masked words and masked regions. (Matching is one linear map of what is pooled.)"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from value_nb.models.config import EncoderConfig


class WordHead(nn.Module):
    """Masked words: dense, gelu, norm, then the word embeddings as decoder, plus a bias."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.text_width, config.text_width)
        self.norm = nn.LayerNorm(config.text_width, eps=config.norm_eps)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, states: Tensor, embeddings: Tensor) -> Tensor:
        """`(..., text width)` -> `(..., vocabulary)` logits."""
        return functional.linear(self.norm(functional.gelu(self.dense(states))), embeddings, self.bias)


class RegionTransform(nn.Module):
    """Dense, gelu, norm before a region decoder; VOLTA's VL-BERT has no norm there."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.image_width, config.image_width)
        self.norm = nn.LayerNorm(config.image_width, eps=config.norm_eps) if config.region_norm else None

    def forward(self, states: Tensor) -> Tensor:
        """`(..., image width)` -> the same shape."""
        hidden = functional.gelu(self.dense(states))
        return hidden if self.norm is None else self.norm(hidden)


class RegionHead(nn.Module):
    """Masked regions: one output for each target of the config.

    With `region_head` "separate" (UNITER) each target has its own transform, and the target "feature" is
    decoded by the transposed feature map of the image embedding; with "common" all share one transform.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.separate = config.region_head == "separate"
        names = [name for name, _ in config.region_targets] if self.separate else ["common"]
        self.transform = nn.ModuleDict({name: RegionTransform(config) for name in names})
        self.decoder = nn.ModuleDict(
            {n: nn.Linear(config.image_width, size) for n, size in config.region_targets if not self._tied(n)}
        )
        self.targets = [name for name, _ in config.region_targets]
        sizes = dict(config.region_targets)
        self.bias = (
            nn.Parameter(torch.zeros(sizes["feature"])) if "feature" in sizes and self.separate else None
        )

    def _tied(self, target: str) -> bool:
        return self.separate and target == "feature"

    def forward(self, states: Tensor, feature_map: Tensor) -> dict[str, Tensor]:
        """`(..., image width)` -> target -> `(..., size)`."""
        out = {}
        for target in self.targets:
            hidden = self.transform[target if self.separate else "common"](states)
            if self._tied(target):
                out[target] = functional.linear(hidden, feature_map.t(), self.bias)
            else:
                out[target] = self.decoder[target](hidden)
        return out
