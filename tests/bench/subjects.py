"""What is measured: models of the real sizes with random weights, the miniature, and pairs for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from value_nb.data.example import Example, Phrase, Regions
from value_nb.models.base import VLModel
from value_nb.stand_ins import CONFIGS, FEATURE_WIDTH, _miniature_words

WORDS = ("a", "man", "dog", "red", "the", "is", "and", "on")  # one piece each in the miniature's vocabulary
SPECIALS = 2  # [CLS] and [SEP]
PHRASES = ((0, 1), (3, 4), (6, 7))  # first and last word of the phrases that regions show


def gated(family: str, device: str = "cpu", dtype: str = "float32", **changes: Any) -> VLModel:
    """UNITER-base or LXMERT as their authors' configs give them, with random weights."""
    import torch

    from value_nb.models import lxmert, uniter
    from value_nb.models.files import build
    from value_nb.models.gated import GatedVL

    config = {"uniter": uniter, "lxmert": lxmert}[family].read_config(CONFIGS[family] | changes)
    module = build(config, 0).to(device=device, dtype=getattr(torch, dtype))
    return GatedVL(module, _miniature_words(), f"{family}-base", "random:0")


def vilt(device: str = "cpu", dtype: str = "float32", **changes: Any) -> VLModel:
    """ViLT of its released size, with random weights."""
    import torch
    from transformers import ViltConfig

    from value_nb.models.vilt import ViltVL, build

    config = ViltConfig(architectures=["ViltModel"], **changes)
    module = build(config, 0).to(device=device, dtype=getattr(torch, dtype))
    return ViltVL(module, _miniature_words(), "vilt", "random:0")


def pairs(
    n: int, positions: int = 20, regions: int = 36, width: int = FEATURE_WIDTH, image: Path | None = None
) -> list[Example]:
    """Pairs whose captions take `positions` with specials; each with three phrases that regions show."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(n):
        words = tuple(rng.choice(WORDS, size=positions - SPECIALS).tolist())
        corners = np.sort(rng.random((regions, 2, 2)), axis=1).reshape(regions, 4).astype(np.float32)
        phrases = tuple(
            Phrase(first, last, str(k), (kind,), (k,))
            for k, ((first, last), kind) in enumerate(
                zip(PHRASES, ("people", "animals", "other"), strict=True)
            )
            if last < len(words)
        )
        made.append(
            Example(
                id=f"{number}#0", image_id=str(number), caption=" ".join(words), words=words, size=(640, 384),
                image=image, phrases=phrases, dataset="benchmark", split="test",
                regions=Regions(
                    boxes=corners, features=rng.normal(size=(regions, width)).astype(np.float32),
                    names=("thing",) * regions, sources=("annotated",) * regions,
                    confidence=np.ones(regions, dtype=np.float32),
                ),
            )
        )  # fmt: skip
    return made


def picture(folder: Path) -> Path:
    """A picture of 640 x 384 pixels of noise: 12 x 20 patches."""
    from PIL import Image

    path = folder / "noise.png"
    pixels = np.random.default_rng(0).integers(0, 256, size=(384, 640, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path
