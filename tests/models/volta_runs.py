"""Small checkpoints of VOLTA's nine models, their examples, and a run of the kit's engine on them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from tests.models import volta_reference as reference
from tests.models.samples import Heard
from tests.models.volta_configs import volta_config
from value_nb.models import volta
from value_nb.models.files import build_from
from value_nb.models.gated_encoder import GatedModel

LENGTHS, REGIONS = (6, 4, 7), (5, 7, 3)
"""Word pieces, and image rows (a global row included), of three examples."""


@dataclass(frozen=True)
class Inputs:
    """One example: `(position,)` ids, `(region, feature)`, `(region, location)`; nothing is padded."""

    ids: Tensor
    features: Tensor
    locations: Tensor


def examples(values: dict[str, Any], hide: bool = True) -> list[Inputs]:
    """Three examples; the second row of the first one is hidden (zero), if the model knows hidden rows."""
    generator = torch.Generator().manual_seed(3)
    found = []
    for length, regions in zip(LENGTHS, REGIONS, strict=True):
        corners = torch.rand(regions, 2, 2, generator=generator, dtype=torch.float64).sort(dim=1).values
        boxes = corners.reshape(regions, 4)
        area = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))[:, None]
        features = torch.randn(regions, values["v_feature_size"], generator=generator, dtype=torch.float64)
        if hide and not found:
            features[1] = 0
        ids = torch.randint(1, values["vocab_size"], (length,), generator=generator)
        found.append(Inputs(ids, features, torch.cat([boxes, area], dim=1)[:, : values["num_locs"]]))
    return found


@cache
def checkpoint(name: str) -> dict[str, Tensor]:
    return reference.random_state(volta_config(name))


@cache
def engine(name: str) -> GatedModel:
    """The kit's model of a small checkpoint; not to be written into."""
    return engine_of(volta_config(name))


def engine_of(values: dict[str, Any]) -> GatedModel:
    """The kit's model of `random_state(values)`, with exactly its numbers (the kit reads float32)."""
    state = reference.random_state(values)
    config = volta.read_config(values)
    model = build_from(config, state).double()
    with torch.no_grad():
        names = volta_names(model)
        for ours, tensor in model.state_dict().items():
            tensor.copy_(state[names[ours]])
    return model


def volta_names(model: GatedModel) -> dict[str, str]:
    """Engine tensor -> key of the file."""
    from value_nb.models.keys import from_engine

    numbered = {name: torch.tensor(i) for i, name in enumerate(model.state_dict())}
    files = from_engine(volta.FAMILY, model.config, numbered)
    ours = list(numbered)
    return {ours[int(number)]: key for key, number in files.items()}


@torch.no_grad()
def run(model: GatedModel, batch: list[Inputs], pad: int = 0, **more: Any) -> dict[str, Any]:
    """Run a padded batch, `pad` more columns than needed in both streams."""
    length = max(len(e.ids) for e in batch) + pad
    regions = max(len(e.features) for e in batch) + pad
    ids = torch.zeros(len(batch), length, dtype=torch.long)
    text_mask, image_mask = torch.zeros(len(batch), length), torch.zeros(len(batch), regions)
    features = torch.zeros(len(batch), regions, batch[0].features.shape[1], dtype=torch.float64)
    locations = torch.zeros(len(batch), regions, model.config.location_size, dtype=torch.float64)
    for i, e in enumerate(batch):
        ids[i, : len(e.ids)], text_mask[i, : len(e.ids)] = e.ids, 1
        features[i, : len(e.features)], image_mask[i, : len(e.features)] = e.features, 1
        locations[i, : len(e.features)] = e.locations[:, : model.config.location_size]
    heard = Heard()
    text, image, pooled = model(ids, text_mask, features, locations, image_mask, on_sublayer=heard, **more)
    return {"text": text, "image": image, "pooled": pooled, "heard": heard}
