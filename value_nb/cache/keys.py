"""What a result depends on, as a key: model, examples, probes, code, libraries, and how the machine adds."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from value_nb.cache.content import NotKeyable, Stale, digest, feed
from value_nb.cache.sources import of_code

if TYPE_CHECKING:
    from value_nb.data.example import Example
    from value_nb.models.base import VLModel
    from value_nb.probes.base import Probe

__all__ = [
    "NotKeyable",
    "Stale",
    "arithmetic",
    "key",
    "libraries",
    "of_code",
    "of_examples",
    "of_files",
    "of_model",
    "of_probe",
]

VERSION = 2
"""Goes up when keys are made otherwise."""
LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "pandas", "transformers", "tokenizers", "pillow")


def key(kind: str, *parts: Any) -> str:
    """The name of an entry.

    Parameters
    ----------
    kind
        What was computed, for instance "sweep".
    parts
        Everything that it depends on: what the functions of this module give, and plain values, arrays,
        frozen dataclasses and the like. Libraries and arithmetic are added here.

    Returns
    -------
    64 hexadecimal digits, the same in every process.

    Raises
    ------
    NotKeyable
        For a part that cannot be looked into.
    """
    return digest(VERSION, kind, libraries(), arithmetic(), *parts)


def of_model(model: VLModel) -> str:
    """Digest of a model: every weight, buffer, setting, word piece, its name, card and code.

    What was taken away from it counts as well (`ablate_heads`, `without_image`). The weights are gone through
    at every call, so that a change in place is seen; nothing is remembered.
    """
    from value_nb.models.base import VLModel

    if not isinstance(model, VLModel):
        raise NotKeyable(f"{type(model).__name__} is no VLModel")
    return digest(device_of(model), model, of_code(type(model)))


def of_examples(examples: Sequence[Example], pixels: bool = False) -> str:
    """Digest of examples, in order: every field, features included, and what their data set says of itself.

    The same examples in a list and in a data set have different digests.

    Parameters
    ----------
    examples
        A sequence: a stream would be used up. It is gone through once.
    pixels
        Whether the model looks at the pictures' files: then their bytes count, else name and size.

    Raises
    ------
    NotKeyable
        For what is no sequence, and for examples that hold what cannot be looked into.
    """
    from value_nb.data.splits import Splits

    if not isinstance(examples, Sequence):
        raise NotKeyable("the examples are a stream, which can be gone through once only")
    book = hashlib.sha256()
    parts: Sequence[Any] = examples.parts if isinstance(examples, Splits) else (examples,)
    for part in parts:
        feed(book, [_set_of(part), len(part)])
        for example in part:
            feed(book, _fields(example))
            feed(book, _file(example.image, pixels))
    return book.hexdigest()


def of_probe(probe: Probe) -> str:
    """Digest of a probe: its class and code, name, settings and seed; not what it has seen."""
    from value_nb.probes.base import NAMES

    settings = {k: v for k, v in sorted(vars(probe).items()) if not k.startswith("_") and k not in NAMES}
    kind = type(probe)
    named = (probe.name, probe.title, probe.question, probe.seed)
    return digest(kind.__module__, kind.__qualname__, named, settings, of_code(kind))


def of_files(folder: Path, skip: Sequence[str] = ()) -> str:
    """Digest of all files of a folder, by their names in it and their bytes.

    Parameters
    ----------
    folder
        Looked through with the folders in it; hidden files and folders do not count.
    skip
        Names right in it that do not count either.
    """
    places = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    places = [place for place in places if place.parts[0] not in skip
              and not any(part.startswith(".") for part in place.parts)]  # fmt: skip
    return digest([(place.as_posix(), _sum(folder / place)) for place in sorted(places)])


@cache
def libraries() -> tuple[str, ...]:
    """The versions of the libraries that decide numbers."""
    return tuple(f"{name} {_version(name)}" for name in LIBRARIES)


def arithmetic() -> tuple[str, ...]:
    """What decides the last bits of a sum: kind of processor, threads, precision of products."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    by_itself = [(kind, torch.is_autocast_enabled(kind), str(torch.get_autocast_dtype(kind)))
                 for kind in ("cpu", "cuda")]  # fmt: skip
    return (
        gpu,
        f"autocast {by_itself}",
        f"default {torch.get_default_dtype()}",
        f"tf32 {torch.backends.cuda.matmul.allow_tf32} {torch.backends.cudnn.allow_tf32}",
        torch.backends.cpu.get_cpu_capability(),
        f"{torch.get_num_threads()} threads",
        torch.get_float32_matmul_precision(),
        f"deterministic {torch.are_deterministic_algorithms_enabled()}",
    )


def device_of(model: VLModel) -> str:
    """The kind of device that a model computes on, "cpu" or a GPU's name."""
    import torch

    device = model.device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"


def _set_of(examples: Any) -> dict[str, Any]:
    """What a data set knows beyond its examples."""
    from value_nb.controls import KnowsScenes

    kind = type(examples)
    if kind in (list, tuple):
        return {}
    known = {name: getattr(examples, name) for name in ("labels", "region_classes", "threshold")
             if hasattr(examples, name)}  # fmt: skip
    if isinstance(examples, KnowsScenes):  # scenes may lie anywhere in it
        known["scenes"] = dict(vars(examples))
    return {"class": f"{kind.__module__}.{kind.__qualname__}", "code": of_code(kind), **known}


def _fields(example: Example) -> list[Any]:
    """All fields but the picture's file. Phrases and relations, which are plain, by their words."""
    regions = example.regions
    seen = None if regions is None else [regions.boxes, regions.features, regions.names, regions.sources,
                                         regions.confidence]  # fmt: skip
    plain = (example.id, example.image_id, example.caption, example.words, example.size, example.phrases,
             example.relations, example.label, example.dataset, example.split)  # fmt: skip
    return [repr(plain), seen, example.extra]


def _file(path: Path | None, pixels: bool) -> Any:
    if path is None:
        return None
    try:
        if not pixels:
            return [path.name, path.stat().st_size]
        return _sum(path)
    except OSError:
        return [path.name, "missing"]
