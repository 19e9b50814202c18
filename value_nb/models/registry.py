"""The table of models, and loading one by name or from a directory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from value_nb.data.paths import bundled_root
from value_nb.models import runs
from value_nb.models.runs import Run

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
    Entry("mini-lxmert", "lxmert", "two-stream", BUNDLED, BUILD),
    Entry("mini-vilbert", "vilbert", "two-stream", BUNDLED, BUILD),
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
    """Return the table of models: name, family, streams, source, present, seeds, steps, how to get it.

    `seeds`: the trainings of a model that are here, for `load_model(name, seed=...)`. `steps`: checkpoints
    along the training from seed 0, for `load_model(name, step=...)`.
    """
    import pandas as pd

    root = bundled_models()
    rows = [
        {
            "name": entry.name,
            "family": entry.family,
            "streams": entry.streams,
            "source": entry.source,
            "present": is_present(entry.name),
            "seeds": runs.seeds_of(entry.name, root),
            "steps": runs.steps_of(root / entry.name) if root else (),
            "how to get it": entry.get,
        }
        for entry in entries()
    ]
    return pd.DataFrame(rows)


def entries() -> tuple[Entry, ...]:
    """Known models, and whatever else lies in `data/mini/models`; further seeds are no entries."""
    known = {entry.name for entry in KNOWN}
    root = bundled_models()
    found = sorted(path.parent.name for path in root.glob("*/config.json")) if root else []
    first = {name for name in {*known, *found} if Run.parse(name).seed is None}
    extra = [
        _bundled_entry(root / name)
        for name in found
        if root and name not in known and (name in first or Run.parse(name).model not in first)
    ]
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


@dataclass(frozen=True, slots=True)
class Found:
    """Where a model's files are: its training's, and its weights' (a checkpoint's, or the same)."""

    name: str
    training: Path
    weights: Path
    run: Run


def load_model(
    name_or_path: str | Path,
    device: str = "auto",
    dtype: str = "float32",
    random_weights: int | None = None,
    seed: int | None = None,
    step: int | None = None,
) -> VLModel:
    """Load a model by its name in `models()`, or from a directory.

    The model's name, which stands in every frame and trace, says which training it is: "mini-uniter" for seed
    0 at its end, "mini-uniter-seed1" for seed 1 (which also stands in the column `seed`), "mini-uniter@1500"
    and "mini-uniter-seed1@1500" for a checkpoint. These names can be loaded, too.

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
    seed
        Which of the trainings of a named model; None: 0.
    step
        A checkpoint along the training, which nobody has measured: its card holds how it was trained only.
        None: the end of the training.

    Raises
    ------
    ValueError
        For an unknown name, device, dtype, seed or step (the message lists those there are), for a model
        that is not on this machine (the message says how to get it), and for a seed or step together with
        random weights, which know neither.
    """
    where, kind = _device(device), _dtype(dtype)
    if random_weights is not None and (
        isinstance(random_weights, bool) or not isinstance(random_weights, int)
    ):
        raise ValueError(f"random_weights is {random_weights!r}; expected None, or a seed such as 0")
    found = _locate(name_or_path, seed, step)
    if random_weights is not None and (found.run.step is not None or seed is not None):
        raise ValueError(
            f"random_weights={random_weights} draws weights afresh: leave out seed and step, which say which "
            "trained weights to read"
        )
    model = _read(found, random_weights)
    model.module.to(device=where, dtype=kind)
    return model


def training_curve(name_or_path: str | Path, seed: int = 0) -> pd.DataFrame:
    """How a training went: one row for each step and measure.

    Parameters
    ----------
    name_or_path
        As for `load_model`.
    seed
        Which of the trainings of a named model.

    Returns
    -------
    step, split ("train": mean loss since the row before, lower is better; "dev": measures on held-out
    pictures, in [0, 1], higher is better), measure, value.

    Raises
    ------
    ValueError
        For a model or seed that is not here (the message lists those that are), and for one without a curve.
    """
    import pandas as pd

    found = _locate(name_or_path, seed or None, None)
    path = found.training / runs.CURVE
    if not path.is_file():
        raise ValueError(f"{found.name} has no {runs.CURVE} beside its weights ({found.training})")
    return pd.read_csv(path)


def _read(found: Found, seed: int | None) -> VLModel:
    from value_nb.models import files
    from value_nb.models.words import WordPieces

    directory, name = found.weights, found.name
    words = WordPieces.load(found.training)
    weights = "trained" if seed is None else f"random:{seed}"
    card = _card(found) if seed is None else {}
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


def _card(found: Found) -> dict[str, Any]:
    """The quality card; of a checkpoint only what is known of it, so that no figure takes it for the end."""
    from value_nb.models.files import read_json

    card = read_json(found.training / "card.json")
    if found.run.step is None:
        return card
    known = {"steps": found.run.step, "seed": card.get("seed", found.run.seed or 0)}
    return known | {name: card[name] for name in ("trained_length",) if name in card}


def _locate(name_or_path: str | Path, seed: int | None, step: int | None) -> Found:
    """Where a model, one of its further trainings or one of its checkpoints is."""
    seed, step = runs.checked("seed", seed), runs.checked("step", step)
    name = str(name_or_path)
    known = {entry.name: entry for entry in entries()}
    run = Run(name) if name in known else Run.parse(name)
    if run.model in known:
        run = run.asked(seed, step)
        return _found(_trained(run, known[run.model]), run)
    directory = _directory(name_or_path, known)
    if seed is not None:
        raise ValueError(
            f"seed={seed} chooses among the trainings of a named model; {directory} is one training: "
            "leave it out"
        )
    return _found(directory, Run(directory.resolve().name, step=step))


def _found(directory: Path, run: Run) -> Found:
    weights = directory if run.step is None else runs.step_directory(directory, run.folder, run.step)
    return Found(run.name, directory, weights, run)


def _trained(run: Run, entry: Entry) -> Path:
    """Folder of a named model's training."""
    root = bundled_models()
    if root is not None and is_present(run.folder):
        return root / run.folder
    seeds = runs.seeds_of(run.model, root)
    if seeds and (run.seed or 0) not in seeds:
        raise ValueError(f"{run.model} has no seed {run.seed or 0} here; there are: {runs.listed(seeds)}")
    raise ValueError(f"{run.model} is not on this machine. It comes from {entry.source}: {entry.get}.")


def _directory(name_or_path: str | Path, known: Mapping[str, Entry]) -> Path:
    """A model directory that is named by its path."""
    path, name = Path(name_or_path).expanduser(), str(name_or_path)
    if (path / "config.json").is_file():
        return path
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
