"""The table of models, and loading one by name or from a directory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from value_nb.data.paths import bundled_root

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from value_nb.models.base import VLModel

DTYPES = ("float32", "float64", "bfloat16", "float16")
DEVICES = ("auto", "cpu", "cuda", "mps")
BUNDLED = "shipped in data/mini/models"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the table of models.

    Attributes
    ----------
    name, family, streams
        What to type, whose recipe, and "text", "single-stream" or "two-stream".
    source
        Where the weights come from.
    get
        What to do where they are not here.
    """

    name: str
    family: str
    streams: str
    source: str
    get: str


BUILD = "run `make mini` in the checkout"
KNOWN = (
    Entry("mini-bert", "bert", "text", BUNDLED, BUILD),
    Entry("mini-uniter", "uniter", "single-stream", BUNDLED, BUILD),
    Entry(
        "uniter-base",
        "uniter",
        "single-stream",
        "github.com/ChenRocks/UNITER (Chen et al. 2020)",
        "download uniter-base.pt as its README says; official files cannot be read yet",
    ),
    Entry(
        "lxmert-base",
        "lxmert",
        "two-stream",
        "huggingface.co/unc-nlp/lxmert-base-uncased (Tan and Bansal 2019)",
        "download the repository unc-nlp/lxmert-base-uncased; official files cannot be read yet",
    ),
    Entry(
        "vilbert-base",
        "vilbert",
        "two-stream",
        "github.com/facebookresearch/vilbert-multi-task (Lu et al. 2020)",
        "download pretrained_model.bin as its README says; official files cannot be read yet",
    ),
)
STREAM_WORDS = {"uniter": "single-stream", "lxmert": "two-stream", "vilbert": "two-stream", "bert": "text"}


def models() -> pd.DataFrame:
    """Return the table of models: name, family, streams, source, present, how to get it."""
    import pandas as pd

    rows = [
        {
            "name": entry.name,
            "family": entry.family,
            "streams": entry.streams,
            "source": entry.source,
            "present": is_present(entry.name),
            "how to get it": entry.get,
        }
        for entry in entries()
    ]
    return pd.DataFrame(rows)


def entries() -> tuple[Entry, ...]:
    """Known models, and whatever else lies in `data/mini/models`."""
    known = {entry.name for entry in KNOWN}
    root = bundled_models()
    found = sorted(path.parent.name for path in root.glob("*/config.json")) if root else []
    extra = [_bundled_entry(root / name) for name in found if root and name not in known]
    return (*KNOWN, *extra)


def bundled_models() -> Path | None:
    """Return the folder of the shipped models, None where there is none."""
    try:
        root = bundled_root() / "mini" / "models"
    except FileNotFoundError:
        return None
    return root if root.is_dir() else None


def is_present(name: str) -> bool:
    """Whether a named model's files are on this machine."""
    root = bundled_models()
    return root is not None and (root / name / "config.json").is_file() and _has_weights(root / name)


def load_model(
    name_or_path: str | Path, device: str = "auto", dtype: str = "float32", random_weights: int | None = None
) -> VLModel:
    """Load a model by its name in `models()`, or from a directory.

    Parameters
    ----------
    name_or_path
        A name, or a directory with config.json, model.safetensors and tokenizer.json (a gated model of this
        kit, or transformers' BertForMaskedLM).
    device
        "auto" (CUDA where there is one, else the CPU), "cpu", "cuda", "mps", or one with a number, "cuda:1".
    dtype
        "float32" whatever the file holds, or "float64", "bfloat16", "float16".
    random_weights
        A seed: the same architecture with fresh weights, normal with the config's initializer_range, as the
        control. The weight file is not read then, and the model has no quality card.

    Raises
    ------
    ValueError
        For an unknown name, device or dtype (the message lists those there are), and for a model that is not
        on this machine (the message says how to get it).
    """
    where, kind = _device(device), _dtype(dtype)
    if random_weights is not None and (
        isinstance(random_weights, bool) or not isinstance(random_weights, int)
    ):
        raise ValueError(f"random_weights is {random_weights!r}; expected None, or a seed such as 0")
    directory, name = _locate(name_or_path)
    model = _read(directory, name, random_weights)
    model.module.to(device=where, dtype=kind)
    return model


def _read(directory: Path, name: str, seed: int | None) -> VLModel:
    from value_nb.models import files
    from value_nb.models.words import WordPieces

    words = WordPieces.load(directory)
    weights = "trained" if seed is None else f"random:{seed}"
    card = files.read_json(directory / "card.json") if seed is None else {}
    if files.is_gated(directory):
        from value_nb.models.config import EncoderConfig
        from value_nb.models.gated import GatedVL

        gated = (
            files.read_model(directory) if seed is None else files.build(EncoderConfig.load(directory), seed)
        )
        return GatedVL(gated, words, name, weights, card)
    model_type = files.read_json(directory / "config.json").get("model_type")
    if model_type != "bert":
        raise ValueError(
            f"config.json in {directory} has model_type {model_type!r}; valid: {files.MODEL_TYPE!r} (UNITER, "
            "LXMERT, ViLBERT as this kit writes them) and 'bert'"
        )
    from transformers import BertConfig

    from value_nb.models import bert

    module = bert.read(directory) if seed is None else bert.build(BertConfig.from_pretrained(directory), seed)
    return bert.BertText(module, words, name, weights, card)


def _locate(name_or_path: str | Path) -> tuple[Path, str]:
    """Directory and name of a model."""
    name, root = str(name_or_path), bundled_models()
    known = {entry.name: entry for entry in entries()}
    if name in known:
        if root is not None and is_present(name):
            return root / name, name
        raise ValueError(
            f"{name} is not on this machine. It comes from {known[name].source}: {known[name].get}."
        )
    path = Path(name_or_path).expanduser()
    if (path / "config.json").is_file():
        return path, path.resolve().name
    if path.is_dir():
        raise ValueError(
            f"{path} has no config.json; a model directory holds it, model.safetensors and tokenizer.json"
        )
    raise ValueError(f"no model {name!r}: neither a directory nor one of {', '.join(known)}")


def _device(device: str) -> torch.device:
    import torch

    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if str(device).split(":")[0] not in DEVICES[1:]:
        raise ValueError(
            f"device is {device!r}; valid: {', '.join(map(repr, DEVICES))}, or one with a number, 'cuda:1'"
        )
    return torch.device(device)


def _dtype(dtype: str) -> torch.dtype:
    import torch

    if dtype not in DTYPES:
        raise ValueError(f"dtype is {dtype!r}; valid: {', '.join(map(repr, DTYPES))}")
    return getattr(torch, dtype)


def _has_weights(directory: Path) -> bool:
    return (directory / "model.safetensors").is_file()


def _bundled_entry(directory: Path) -> Entry:
    values: dict[str, Any] = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    family = str(values.get("family", values.get("model_type", "?")))
    return Entry(directory.name, family, STREAM_WORDS.get(family, "?"), BUNDLED, BUILD)
