"""Checkpoints in the official naming, small: the published key lists with their sizes scaled down.

The names come from the lists in `files`, not from the code under test.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.models.samples import FILES
from tests.tiny import PIECES

SPREAD = 0.2
LISTS = ("official_keys.json", "official_more_keys.json")
SAME = {
    "multitask_bert_base_6layer_6conect": "pretrain_bert_base_6layer_6conect",
    "beta_vqa_bert_base_6layer_6conect": "pretrain_bert_base_6layer_6conect",
}
"""List -> the list that it adds to."""
TIED = {
    "cls.predictions.decoder.weight": "embeddings.word_embeddings.weight",
    "feat_regress.weight": "img_embeddings.img_linear.weight",
}
WIDTH, HEADS, FFN, POSITIONS, FEATURE = 24, 3, 40, 16, 10
SMALL = {
    28996: len(PIECES), 30522: len(PIECES), 768: WIDTH, 3072: FFN, 512: POSITIONS, 2048: FEATURE, 1024: 18,
    1601: 6, 1600: 6, 400: 5, 9500: 7, 1536: 9,
}  # fmt: skip
UNITER_CONFIG: dict[str, Any] = {
    "attention_probs_dropout_prob": 0.1, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
    "hidden_size": WIDTH, "initializer_range": 0.02, "intermediate_size": FFN,
    "max_position_embeddings": POSITIONS, "num_attention_heads": HEADS, "num_hidden_layers": 2,
    "type_vocab_size": 2, "vocab_size": len(PIECES),
}  # fmt: skip
"""uniter-base.json, scaled down."""


def key_list(name: str) -> dict[str, tuple[int, ...]]:
    """Tensor name -> shape of an official file; `{}` in a template stands for the listed numbers."""
    lists = {k: v for file in LISTS for k, v in json.loads((FILES / file).read_text()).items()}
    own = {t.format(number): tuple(shape) for t, shape, numbers in lists[name] for number in numbers or [0]}
    return (key_list(SAME[name]) if name in SAME else {}) | own


def small_state(name: str, layers: int = 2, seed: int = 0) -> dict[str, Tensor]:
    """Random float32 tensors under all names of a list, `layers` of each stack, tied ones equal."""
    generator = torch.Generator().manual_seed(seed)
    state = {
        key: torch.randn([SMALL.get(n, n) for n in shape], generator=generator) * SPREAD
        for key, shape in key_list(name).items()
        if _number(key) < layers
    }
    for copy, first in TIED.items():
        full = next((key for key in state if key.endswith(first)), None)
        if copy in state and full is not None:
            state[copy] = state[full]
    return state


def _number(key: str) -> int:
    """Number of the layer in a name, 0 where there is none."""
    parts = key.split(".")
    at = next((i for i, part in enumerate(parts) if part.endswith(("layer", "layers"))), None)
    return int(parts[at + 1]) if at is not None and parts[at + 1].isdigit() else 0


def renamed(state: dict[str, Tensor], old: str, new: str) -> dict[str, Tensor]:
    """The tensors with another beginning of those names that begin with `old`."""
    return {new + k.removeprefix(old) if k.startswith(old) else k: tensor for k, tensor in state.items()}


def write_vocabulary(path: Path, rows: int = len(PIECES), pieces: Iterable[str] = PIECES) -> Path:
    """vocab.txt with the pieces of the tiny tokenizer, filled up."""
    own = [*pieces][:rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "\n".join([*own, *(f"[unused{i}]" for i in range(rows - len(own)))]) + "\n", encoding="utf-8"
    )
    return path


def write_json(path: Path, values: dict[str, Any]) -> Path:
    path.write_text(json.dumps(values), encoding="utf-8")
    return path
