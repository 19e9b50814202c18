"""Files of weights as people have them: read into name -> tensor, and never run.

torch.save's two forms (.pt, .pth, .bin), safetensors, and the hub's files in several shards. What a file is
says its content, not its name. A pickle is only ever read by torch's restricted reader (`weights_only=True`).
"""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from value_nb.models.keys import State
from value_nb.models.locating import find_weights

WRAPPERS = ("model", "state_dict", "model_state_dict")
"""Entries in which training scripts put the weights, beside an optimiser's state or a step number."""
ZIP, PICKLE = b"PK\x03\x04", b"\x80"
MARKUP = (b"<!doctype", b"<html", b"<?xml")
POINTER = b"version https://git-lfs"
UNSAFE = re.compile(r"GLOBAL ([\w.]+)")
HEADER_LENGTH = 8
"""safetensors: bytes of the header's length, before the header's `{`."""


def read_checkpoint(path: Path | str) -> State:
    """Read the tensors of a checkpoint; nothing in the file is run.

    Parameters
    ----------
    path
        A file of torch.save or safetensors, an index of shards (`*.index.json`), or a folder with one of
        these.

    Returns
    -------
    Name -> tensor, as in the file: names with their prefixes, in the file's precision.

    Raises
    ------
    ValueError
        Names the file: when it is missing, cut off, no checkpoint, or one that would have to run code.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        path = find_weights(path)
    if not path.is_file():
        raise ValueError(f"there is no checkpoint {path}")
    if path.name.endswith(".index.json"):
        return _read_shards(path)
    return _read_file(path)


def _read_file(path: Path) -> State:
    with path.open("rb") as file:
        start = file.read(max(len(POINTER), HEADER_LENGTH + 1))
    if start[HEADER_LENGTH : HEADER_LENGTH + 1] == b"{":  # first: the length before it may look like a pickle
        return _read_safetensors(path)
    if start.startswith((ZIP, PICKLE)):
        return _tensors(path, _read_torch(path, zipped=start.startswith(ZIP)))
    raise ValueError(f"{path} is no checkpoint: {_what_it_is(start)}")


def _what_it_is(start: bytes) -> str:
    if not start:
        return "it is empty"
    if start.lower().startswith(MARKUP):
        return "it is a web page, perhaps a download site's message; download the file itself"
    if start.startswith(POINTER):
        return "it is a pointer of Git LFS; run `git lfs pull` where it came from"
    return (
        f"it begins with {start[:8]!r}, which neither torch.save nor safetensors writes (or it is cut off "
        "within its first bytes)"
    )


def _read_torch(path: Path, zipped: bool) -> Any:
    """The content of a file of torch.save; a zipped one is mapped, so that only what is used is read.

    A file that is misnamed .safetensors is opened here: given the name, torch would believe it.
    """
    try:
        if path.suffix == ".safetensors":
            with path.open("rb") as file:
                return torch.load(file, map_location="cpu", weights_only=True)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as problem:
        if unsafe := UNSAFE.search(str(problem)):
            raise ValueError(
                f"{path} is refused: to read it, python would have to call {unsafe[1]!r}, and run what the "
                "file says. Files of weights hold tensors only. Nothing of it was run."
            ) from problem
        raise _unreadable(path, problem) from problem
    except MemoryError:
        raise
    except Exception as problem:  # whatever torch raises on a broken file, RuntimeError and EOFError first
        raise _unreadable(path, problem) from problem


def _read_safetensors(path: Path) -> State:
    try:
        return load_file(path)
    except SafetensorError as problem:
        raise _unreadable(path, problem) from problem


def _unreadable(path: Path, problem: Exception) -> ValueError:
    reason = str(problem).strip().splitlines()[0][:200] if str(problem).strip() else type(problem).__name__
    return ValueError(
        f"{path} ({path.stat().st_size:,} bytes) cannot be read: {reason}. Most often such a file is cut off "
        "or damaged on its way: compare its size and checksum with its source, and get it again."
    )


def _tensors(path: Path, content: Any) -> State:
    """The weights in what a file holds, taken out of a training script's wrapper."""
    state = _unwrapped(content)
    if state is None:
        held = list(content)[:8] if isinstance(content, Mapping) else type(content).__name__
        raise ValueError(
            f"{path} holds no weights: expected tensors by name, alone or as one of the entries "
            f"{', '.join(map(repr, WRAPPERS))}; it holds {held}"
        )
    odd = [name for name, tensor in state.items() if tensor.layout != torch.strided or tensor.is_quantized]
    if odd:
        raise ValueError(
            f"{path} holds sparse or quantised tensors, which are not read: {', '.join(odd[:8])}"
        )
    return {name: tensor.detach() for name, tensor in state.items()}


def _unwrapped(content: Any) -> dict[str, Tensor] | None:
    if not isinstance(content, Mapping) or not content:
        return None
    if all(isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items()):
        return cast("dict[str, Tensor]", content)
    inner = [content[name] for name in WRAPPERS if isinstance(content.get(name), Mapping)]
    return _unwrapped(inner[0]) if len(inner) == 1 else None


def _read_shards(index: Path) -> State:
    """All shards that an index names; each must lie beside it and hold exactly what the index says."""
    try:
        places: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        shards = {str(file): {n for n, f in places.items() if f == file} for file in places.values()}
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise ValueError(f"{index} is no index of shards: it needs an object 'weight_map'") from problem
    state: State = {}
    for file, names in sorted(shards.items()):
        state |= _read_shard(index, file, names)
    return state


def _read_shard(index: Path, file: str, names: set[str]) -> State:
    path = index.parent / file
    if Path(file).name != file or not path.is_file():
        raise ValueError(f"{index} names the shard {file!r}, which does not lie beside it")
    shard = _read_file(path)
    if differ := sorted(set(shard) ^ names):
        raise ValueError(f"{path} and {index.name} disagree on the tensors {', '.join(differ[:8])}")
    return shard
