"""The table of models, and loading one by name, from a directory, or from a checkpoint file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from value_nb.by_name import is_own
from value_nb.models import runs
from value_nb.models.known import ENTRIES, KNOWN, Entry
from value_nb.models.locating import (
    Found,
    bundled_models,
    entries,
    is_present,
    locate,
    locate_checkpoint,
    own_folder,
    seeds_of,
)

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from value_nb.models.base import VLModel

__all__ = [
    "KNOWN",
    "Entry",
    "bundled_models",
    "entries",
    "is_present",
    "load_model",
    "models",
    "training_curve",
]

DTYPES = ("float32", "float64", "bfloat16", "float16")
DEVICES = ("auto", "cpu", "cuda", "mps")


def models() -> pd.DataFrame:
    """Return the table of models: name, family, streams, source, present, seeds, steps, how to get it.

    Looked at are the models that are shipped, those in `models/` of the data folder (where `vnb.fetch` puts
    them) and, for models of the hub, the hub's own cache; nothing is fetched. `seeds`: the trainings of a
    model that are here, for `load_model(name, seed=...)`. `steps`: checkpoints along the training from seed
    0, for `load_model(name, step=...)`.
    """
    import pandas as pd

    rows = [
        {
            "name": entry.name,
            "family": entry.family,
            "streams": entry.streams,
            "source": entry.source,
            "present": is_present(entry.name),
            "seeds": seeds_of(entry.name),
            "steps": _steps(entry.name),
            "how to get it": entry.get,
        }
        for entry in entries()
    ]
    return pd.DataFrame(rows)


def _steps(name: str) -> tuple[int, ...]:
    folder = own_folder(name)
    return runs.steps_of(folder) if folder is not None else ()


def load_model(
    name_or_path: str | Path,
    device: str = "auto",
    dtype: str = "float32",
    random_weights: int | None = None,
    seed: int | None = None,
    step: int | None = None,
    checkpoint: str | Path | None = None,
    config: str | Path | None = None,
    tokenizer: str | Path | None = None,
    task: int | None = None,
    matching: str | None = None,
) -> VLModel:
    """Load a model by its name in `models()`, from a directory, or from a checkpoint that one has.

        load_model("mini-uniter")
        load_model("uniter", checkpoint="uniter-base.pt")
        load_model("vilbert-multi-task", task=8)

    The model's name, which stands in every frame and trace, says which training it is: "mini-uniter" for seed
    0 at its end, "mini-uniter-seed1" for seed 1 (which also stands in the column `seed`), "mini-uniter@1500"
    and "mini-uniter-seed1@1500" for a checkpoint. These names can be loaded, too. `model.notes` says how the
    files were read; `model.config.feature_source` which detector's features fit (all detectors give 2048
    numbers, so that wrong ones raise no error).

    Parameters
    ----------
    name_or_path
        A name; or a directory with config.json, weights and tokenizer (this kit's, or in the hub's layout:
        BERT, LXMERT, VisualBERT, ViLT); or a file of weights, whose family is told by its tensors' names.
        With `checkpoint`: a family ("uniter", "lxmert", "vilbert", "visualbert", "volta"), or a name. With
        or without: "module:function", a reader of your own that is called with the path, where there is
        one, and `random_weights=`.
    device
        "auto" (CUDA where there is one, else the CPU), "cpu", "cuda", "mps", or one with a number, "cuda:1".
    dtype
        "float32" whatever the file holds, or "float64", "bfloat16", "float16".
    random_weights
        A seed: the same architecture with fresh weights, normal with the config's initializer_range, as the
        control. The weights of the file are not used then (it is read where only its shapes tell the sizes),
        and the model has no quality card.
    seed
        Which of the trainings of a named model; None: 0, or the one that lies under the bare name.
    step
        A checkpoint along the training, which nobody has measured: its card holds how it was trained only.
        None: the end of the training.
    checkpoint
        A file of torch.save (.pt, .pth, .bin) or safetensors, an index of shards, or a folder with one of
        these. Nothing in it is run. Half precision becomes float32.
    config
        The checkpoint's config as JSON in its authors' form (uniter-base.json, transformers' LxmertConfig,
        bert_base_6layer_6conect.json, VOLTA's ctrl_*.json). None: one that lies in the model's own folder;
        else the sizes are told by the tensors' shapes, heads being 64 wide (UNITER, LXMERT) or those of the
        official configs (ViLBERT, VOLTA's released models by their names).
    tokenizer
        A tokenizer.json or vocab.txt, or a folder with one. None: beside the weights; for official
        checkpoints, which bring none, also the data folder's and the hub's bert-base-cased (UNITER) or
        bert-base-uncased (all others).
    task
        Which task a multi-task ViLBERT is told with every caption: 1 VQA, 7 COCO retrieval, 8 Flickr30k
        retrieval, ... (the error without it lists them). Its name then ends in " [task 8]".
    matching
        Which head of a UNITER scores caption and picture: "itm_output" (pre-training, two logits) or
        "rank_output" (fine-tuned retrieval, a single logit). None: itm_output where the file has it.

    Raises
    ------
    ValueError
        For an unknown name, device, dtype, seed or step (the message lists those there are), for a model
        that is not on this machine (the message says how to get it), for a seed or step together with
        random weights, which know neither, for files that are broken, unsafe or do not belong together (the
        message names file and tensors), and for an option that has no meaning for this model.
    """
    from value_nb.models.loading import Options, read_by_function, read_model

    where, kind = _device(device), _dtype(dtype)
    if random_weights is not None and (
        isinstance(random_weights, bool) or not isinstance(random_weights, int)
    ):
        raise ValueError(f"random_weights is {random_weights!r}; expected None, or a seed such as 0")
    options = Options(_path(config), _path(tokenizer), task, matching)
    if is_own(name_or_path):
        options.allow(what="a reader of your own")
        _refuse(name_or_path, seed=seed, step=step)
        model = read_by_function(str(name_or_path), _path(checkpoint), random_weights)
    else:
        model = read_model(
            _find(name_or_path, seed, step, checkpoint, random_weights), options, random_weights
        )
    model.module.to(device=where, dtype=kind)
    return model


def _refuse(name: str | Path, **options: int | None) -> None:
    if extra := [option for option, value in options.items() if value is not None]:
        raise ValueError(f"{extra[0]}={options[extra[0]]!r} has no meaning for {name}: leave it out")


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given).expanduser()


def _find(
    name_or_path: str | Path,
    seed: int | None,
    step: int | None,
    checkpoint: str | Path | None,
    random_weights: int | None,
) -> Found:
    """Where the files are; ValueError where the options contradict each other."""
    from value_nb.models.official import NAMINGS

    name = str(name_or_path)
    if checkpoint is not None:
        return locate_checkpoint(name, checkpoint, seed, step, NAMINGS)
    if name in NAMINGS and name not in ENTRIES and not Path(name).exists():
        raise ValueError(f"{name!r} is a family: say which file, checkpoint=PATH")
    found = locate(name_or_path, seed, step)
    if random_weights is not None and (found.run.step is not None or seed is not None):
        raise ValueError(
            f"random_weights={random_weights} draws weights afresh: leave out seed and step, which say which "
            "trained weights to read"
        )
    return found


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

    found = locate(name_or_path, seed or None, None)
    path = found.training / runs.CURVE
    if not path.is_file():
        raise ValueError(f"{found.name} has no {runs.CURVE} beside its weights ({found.training})")
    return pd.read_csv(path)


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
