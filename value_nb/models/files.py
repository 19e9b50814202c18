"""Model directories: config.json, model.safetensors (the family's own names), tokenizer.json, card.json."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from value_nb.models import lxmert, uniter, vilbert, visualbert, volta
from value_nb.models.checkpoint import read_checkpoint
from value_nb.models.config import MODEL_TYPE, OURS, EncoderConfig
from value_nb.models.gated_encoder import GatedModel, initialise
from value_nb.models.json_files import read_json
from value_nb.models.keys import Family, State, from_engine, to_engine
from value_nb.models.locating import WEIGHTS, find_weights

FAMILIES = {
    "uniter": uniter.FAMILY, "lxmert": lxmert.FAMILY, "vilbert": vilbert.FAMILY,
    "visualbert": visualbert.FAMILY,
}  # fmt: skip


def family_of(config: EncoderConfig) -> Family:
    """Whose tensor names the files of this config use."""
    return volta.FAMILY if config.key_layout == "volta" else FAMILIES[config.family]


def build(config: EncoderConfig, seed: int) -> GatedModel:
    """Return a model with fresh weights, the same for the same seed; the global random state is untouched."""
    with torch.random.fork_rng(devices=[]):
        model = GatedModel(config)
    initialise(model, config.initializer_range, seed)
    return model.eval()


def build_from(config: EncoderConfig, state: State) -> GatedModel:
    """Return a float32 model with a checkpoint's tensors, named as its family names them (keys.py)."""
    return assemble(*to_engine(family_of(config), config, state))


def assemble(config: EncoderConfig, tensors: State) -> GatedModel:
    """Return a model with these tensors, named as in the engine."""
    with torch.random.fork_rng(devices=[]):
        model = GatedModel(config)
    model.load_state_dict(tensors)
    return model.eval()


def start_from_bert(model: GatedModel, bert: State) -> list[str]:
    """Copy a BERT checkpoint's tensors into a UNITER of the same sizes, as UNITER's authors did.

    Returns the names of the engine's tensors that were set. ValueError where sizes differ.
    """
    tensors = uniter.bert_start(model.config, bert)
    own = model.state_dict()
    wrong = [
        f"{n}: {tuple(t.shape)} into {tuple(own[n].shape)}"
        for n, t in tensors.items()
        if t.shape != own[n].shape
    ]
    if wrong or not tensors:
        raise ValueError(
            f"this BERT does not fit the model: {'; '.join(wrong) or 'no tensor has a known name'}"
        )
    model.load_state_dict(tensors, strict=False)
    return sorted(tensors)


def read_weights(directory: Path) -> State:
    """Read the weights of a folder, `model.safetensors` or another of the hub's forms; ValueError without."""
    return read_checkpoint(find_weights(directory))


def read_model(directory: Path | str) -> GatedModel:
    """Read a gated model's directory, in float32 whatever the file's dtype."""
    directory = Path(directory)
    return build_from(EncoderConfig.load(directory), read_weights(directory))


def save_model(directory: Path | str, model: GatedModel, dtype: torch.dtype = torch.float16) -> Path:
    """Write config.json, and model.safetensors under the family's official names; return the directory.

    LXMERT's directory is also one of transformers: `LxmertModel.from_pretrained(directory)` reads it.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    state = from_engine(family_of(model.config), model.config, model.state_dict())
    tensors = {name: t.detach().cpu().to(dtype).contiguous() for name, t in state.items()}
    partial = directory / f"{WEIGHTS}.partial"
    save_file(tensors, partial, metadata={"format": "pt"})
    os.replace(partial, directory / WEIGHTS)
    text = json.dumps(config_values(model.config), indent=1) + "\n"
    (directory / "config.json").write_text(text, encoding="utf-8")
    return directory


def config_values(config: EncoderConfig) -> dict[str, Any]:
    """What stands in config.json: our fields, for LXMERT as an entry of transformers' LxmertConfig."""
    theirs = lxmert.to_transformers(config)
    return config.to_dict() if theirs is None else {**theirs, OURS: config.to_dict()}


def is_gated(directory: Path) -> bool:
    """Whether a model directory's config.json is one of ours."""
    values = read_json(directory / "config.json")
    return OURS in values or values.get("model_type") == MODEL_TYPE
