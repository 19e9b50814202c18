"""A small ViLT with random weights, and pictures for it: no checkpoint, no downloads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.tiny import PIECES, SPREAD, tiny_examples, tiny_words
from value_nb.data.example import Example

SIZES = ((64, 48), (48, 80), (48, 48), (100, 48))
"""Width and height of the pictures: with patches of 16 and a shorter side of 48 they differ in grid."""


def tiny_vilt_config(
    layers: int = 3, heads: int = 3, architecture: str = "ViltForMaskedLM", **changes: Any
) -> Any:
    from transformers import ViltConfig

    values = {
        "vocab_size": len(PIECES), "hidden_size": 8 * heads, "num_hidden_layers": layers,
        "num_attention_heads": heads, "intermediate_size": 28, "max_position_embeddings": 24,
        "initializer_range": SPREAD, "image_size": 48, "patch_size": 16,
    }  # fmt: skip
    config = ViltConfig(**{**values, **changes})
    config.architectures = [architecture]
    return config


def tiny_vilt(seed: int = 0, layers: int = 3, heads: int = 3, **changes: Any) -> Any:
    from value_nb.models import vilt

    config = tiny_vilt_config(layers, heads, **changes)
    return vilt.ViltVL(vilt.build(config, seed), tiny_words(), "tiny-vilt", f"random:{seed}")


def draw(path: Path, size: tuple[int, int], seed: int) -> Path:
    """Coloured noise in squares, so that every patch looks different."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, size=(8, 8, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize(size, Image.Resampling.NEAREST).save(path)
    return path


def pictured(folder: Path, n: int = 4, seed: int = 0, pictures: int = 0) -> list[Example]:
    """`tiny_examples` with pictures of different shapes; `pictures` draws others."""
    found = []
    for index, example in enumerate(tiny_examples(n, seed)):
        size = SIZES[index % len(SIZES)]
        path = draw(folder / f"{index}-{pictures}.png", size, seed=100 * pictures + index)
        found.append(replace(example, image=path, size=size))
    return found
