"""Small checkpoints of the original code with their inputs and outputs (random weights, float32)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from value_nb.models.gated_encoder import GatedModel

FILES = Path(__file__).parent / "files"
TOLERANCE = 2e-5
SHORT = {"text->text": "tt", "text->image": "tv", "image->text": "vt", "image->image": "vv"}


@dataclass
class Heard:
    """What the engine told, by sublayer."""

    states: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    maps: dict[int, dict[str, Tensor]] = field(default_factory=dict)

    def __call__(self, index: int, states: dict[str, Tensor], maps: dict[str, Tensor]) -> None:
        self.states[index], self.maps[index] = states, maps


class Sample:
    """config, weights, inputs and expected outputs of one folder of `files`."""

    def __init__(self, name: str) -> None:
        folder = FILES / name
        self.config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        self.weights = load_file(folder / "state_dict.safetensors")
        with np.load(folder / "inputs.npz") as inputs, np.load(folder / "outputs.npz") as outputs:
            self.inputs = {name: torch.from_numpy(inputs[name]) for name in inputs.files}
            self.expected = dict(outputs)

    @torch.no_grad()
    def run(self, model: GatedModel) -> tuple[Tensor, Tensor, dict[str, Tensor], Heard]:
        names = ("input_ids", "attention_mask", "image_feat", "image_loc", "image_attention_mask")
        heard = Heard()
        text, image, pooled = model(*(self.inputs[name] for name in names), on_sublayer=heard)
        return text, image, pooled, heard

    def check(self, got: Tensor, name: str) -> None:
        np.testing.assert_allclose(
            got.detach().numpy(), self.expected[name], atol=TOLERANCE, rtol=0, err_msg=name
        )
