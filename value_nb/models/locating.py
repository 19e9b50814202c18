"""Where a model's files lie: shipped, in the data folder, in the hub's cache, or at a path of the reader's.

Only names of files are looked at here, so that the table of models costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from value_nb.data.paths import bundled_root
from value_nb.models import runs
from value_nb.models.known import BUILD, BUNDLED, ENTRIES, KNOWN, STREAM_WORDS, Entry
from value_nb.models.runs import Run

WEIGHTS = "model.safetensors"
WHOLE = (WEIGHTS, "pytorch_model.bin")
"""The hub's names for weights in one file; with `.index.json` behind them for weights in several."""
ENDINGS = (".safetensors", ".pt", ".pth", ".bin")
NO_WEIGHTS = ("training_args.bin", "optimizer.pt", "scheduler.pt", "optimizer.bin", "scheduler.bin")
"""Files that trainers leave beside the weights and that end like them."""
OWN_FOLDER = "a folder of yours in models/"


@dataclass(frozen=True, slots=True)
class Found:
    """Where a model's files are.

    Attributes
    ----------
    name
        Of the model, as it will stand in frames.
    training
        Folder of the training: tokenizer, card and curve.
    weights
        Folder of the weights (a checkpoint's, or the training's), or a file.
    run
        Which training, and which step of it.
    entry
        Its row of the table of known models; None for a path, and for a folder that nobody knows.
    family
        Whose names the file must have, where the caller said so.
    """

    name: str
    training: Path
    weights: Path
    run: Run
    entry: Entry | None = None
    family: str | None = None


def candidates(directory: Path) -> list[Path]:
    """What could be the weights of a folder: the hub's names first and alone, else every fitting file."""
    if not directory.is_dir():
        return []
    for name in WHOLE:
        for path in (directory / name, directory / f"{name}.index.json"):
            if path.is_file():
                return [path]
    files = sorted(path for path in directory.iterdir() if path.suffix in ENDINGS)
    return [path for path in files if path.is_file() and path.name not in NO_WEIGHTS]


def find_weights(directory: Path) -> Path:
    """The one file of weights (or index of shards) of a folder.

    ValueError where there is none, or more than one and none bears the hub's name.
    """
    found = candidates(directory)
    if not found:
        raise ValueError(
            f"{directory} has no {WEIGHTS} and no other file of weights ({', '.join(ENDINGS)}); a model "
            f"directory holds config.json, {WEIGHTS}, tokenizer.json"
        )
    if len(found) > 1:
        raise ValueError(
            f"{directory} holds several files of weights: {', '.join(path.name for path in found)}. Name one "
            "with checkpoint="
        )
    return found[0]


def bundled_models() -> Path | None:
    """Return the folder of the shipped models, None where there is none."""
    return _below("mini", "models")


def models_root() -> Path | None:
    """Return the folder of the models that were fetched or put there, None where there is none."""
    return _below("models")


def _below(*parts: str) -> Path | None:
    try:
        root = bundled_root().joinpath(*parts)
    except FileNotFoundError:
        return None
    return root if root.is_dir() else None


def hub_folder(repository: str, file: str = "config.json") -> Path | None:
    """Folder in the hub's cache that holds a file of a repository, None where it was never fetched.

    Looks on the disk only, wherever HF_HOME says. The newest revision that was fetched by name counts.
    """
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, file)
    return Path(found).parent if isinstance(found, str) else None


def own_folder(name: str) -> Path | None:
    """Folder of a training with weights: of the shipped models, or of those in the data folder."""
    root, more = bundled_models(), models_root()
    if root is not None and (root / name / "config.json").is_file() and candidates(root / name):
        return root / name
    return more / name if more is not None and candidates(more / name) else None


def folder_of(name: str, entry: Entry | None) -> Path | None:
    """Folder of a training, the hub's cache included; None where it is not on this machine."""
    if (own := own_folder(name)) is not None:
        return own
    cached = (hub_folder(repository) for repository in entry.hub) if entry and entry.name == name else ()
    return next((path for path in cached if path is not None and candidates(path)), None)


def is_present(name: str) -> bool:
    """Whether a named model's files are on this machine."""
    return folder_of(name, ENTRIES.get(name)) is not None


def trainings() -> list[str]:
    """Names of all folders with weights, of the shipped models first."""
    shipped, more = bundled_models(), models_root()
    found = sorted(path.parent.name for path in shipped.glob("*/config.json")) if shipped else []
    folders = (path for path in more.iterdir() if not path.name.startswith(".")) if more else ()
    own = sorted(path.name for path in folders if candidates(path))
    return list(dict.fromkeys([*found, *own]))


def entries() -> tuple[Entry, ...]:
    """Known models, and whatever else lies beside them; further seeds are no entries."""
    found = trainings()
    first = {name for name in {*ENTRIES, *found} if Run.parse(name).seed is None}
    extra = [
        _unknown(name)
        for name in found
        if name not in ENTRIES and (name in first or Run.parse(name).model not in first)
    ]
    return (*KNOWN, *extra)


def _unknown(name: str) -> Entry:
    from value_nb.models.json_files import read_json

    shipped = bundled_models()
    directory, source = (shipped / name if shipped else None), BUNDLED
    if directory is None or not directory.is_dir():
        directory, source = own_folder(name), OWN_FOLDER
    values = read_json(directory / "config.json") if directory else {}
    family = str(values.get("family", values.get("model_type", "?")))
    return Entry(name, family, STREAM_WORDS.get(family, "?"), source, BUILD if source == BUNDLED else "")


def seeds_of(model: str) -> tuple[int, ...]:
    """Seeds of a model whose trainings are on this machine."""
    parsed = [Run.parse(name) for name in trainings()]
    seeds = {run.seed or 0 for run in parsed if run.model == model and run.step is None}
    return tuple(sorted(seeds | ({0} if is_present(model) else set())))


def locate(name_or_path: str | Path, seed: int | None, step: int | None) -> Found:
    """Where a model, one of its further trainings or one of its checkpoints is.

    ValueError for an unknown name, and for a model, seed or step that is not on this machine.
    """
    seed, step = runs.checked("seed", seed), runs.checked("step", step)
    name = str(name_or_path)
    known = {entry.name: entry for entry in entries()}
    run = Run(name) if name in known else Run.parse(name)
    if run.model in known:
        run = run.asked(seed, step)
        return _found(_trained(run, known[run.model]), run, ENTRIES.get(run.model))
    path = _path(name_or_path, known)
    _no_seed(seed, str(path))
    if path.is_file():
        _no_step(step, str(path))
        return Found(path.stem, path.parent, path, Run(path.stem))
    return _found(path, Run(path.resolve().name, step=step))


def locate_checkpoint(
    name: str, checkpoint: str | Path, seed: int | None, step: int | None, families: Iterable[str]
) -> Found:
    """The file (or folder) that a caller names, with the family or known model that it is one of."""
    path = Path(checkpoint).expanduser()
    _no_seed(seed, f"checkpoint={str(checkpoint)!r}")
    _no_step(step, f"checkpoint={str(checkpoint)!r}")
    entry = ENTRIES.get(name)
    if entry is None and name not in families:
        raise ValueError(
            f"checkpoint= goes with the name of a family or of a model: {name!r} is none of "
            f"{', '.join(families)}, {', '.join(ENTRIES)}"
        )
    if not path.exists():
        raise ValueError(f"there is no checkpoint {path}")
    own = path.resolve().name if path.is_dir() else path.stem
    training = path if path.is_dir() else path.parent
    return Found(name if entry else own, training, path, Run(own), entry, None if entry else name)


def _found(directory: Path, run: Run, entry: Entry | None = None) -> Found:
    weights = directory if run.step is None else runs.step_directory(directory, run.folder, run.step)
    return Found(run.name, directory, weights, run, entry)


def _trained(run: Run, entry: Entry) -> Path:
    """Folder of a named model's training."""
    if (folder := folder_of(run.folder, entry)) is not None:
        return folder
    seeds = seeds_of(run.model)
    if seeds and (run.seed or 0) not in seeds:
        raise ValueError(f"{run.model} has no seed {run.seed or 0} here; there are: {runs.listed(seeds)}")
    raise ValueError(f"{run.model} is not on this machine. It comes from {entry.source}: {entry.get}.")


def _path(name_or_path: str | Path, known: Mapping[str, Entry]) -> Path:
    """A model directory, or a file of weights, that is named by its path."""
    path, name = Path(name_or_path).expanduser(), str(name_or_path)
    if (path / "config.json").is_file() or candidates(path) or path.is_file():
        return path
    if path.is_dir():
        raise ValueError(
            f"{path} has no config.json; a model directory holds it, {WEIGHTS} and tokenizer.json"
        )
    raise ValueError(f"no model {name!r}: neither a directory nor one of {', '.join(known)}")


def _no_seed(seed: int | None, what: str) -> None:
    if seed is not None:
        raise ValueError(
            f"seed={seed} chooses among the trainings of a named model; {what} is one training: leave it out"
        )


def _no_step(step: int | None, what: str) -> None:
    if step is not None:
        raise ValueError(
            f"step={step} chooses among the checkpoints of a training; {what} is one: leave it out"
        )
