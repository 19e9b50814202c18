"""From a model's files to a model: one reader for each kind of folder, in one table."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from value_nb.by_name import own_function
from value_nb.models import files
from value_nb.models.checkpoint import read_checkpoint
from value_nb.models.config import MODEL_TYPE, EncoderConfig
from value_nb.models.gated import GatedVL
from value_nb.models.json_files import read_json
from value_nb.models.keys import LEFTOVERS, Family, plain_names, set_aside, to_engine
from value_nb.models.locating import Found
from value_nb.models.official import NAMINGS, Naming, read_config, recognise
from value_nb.models.vocabularies import check_size, find_words, read_words, tokenizer_file
from value_nb.models.words import WordPieces

if TYPE_CHECKING:
    from value_nb.models.base import VLModel

CONFIG = "config.json"
OTHER_JSON = ("card.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
              "added_tokens.json", "generation_config.json", "preprocessor_config.json")  # fmt: skip
"""JSON files of a model's folder that are no config."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller of `load_model` says about the reading; None: nothing.

    Attributes
    ----------
    config, tokenizer
        Paths.
    task
        Row of ViLBERT's task embedding.
    matching
        Which of UNITER's two heads scores a caption and a picture.
    """

    config: Path | None = None
    tokenizer: Path | None = None
    task: int | None = None
    matching: str | None = None

    def allow(self, *names: str, what: str) -> None:
        """ValueError where anything else than `names` is said; `what` it has no meaning for."""
        for one in fields(self):
            if one.name not in names and (value := getattr(self, one.name)) is not None:
                shown = str(value) if isinstance(value, Path) else value
                raise ValueError(f"{one.name}={shown!r} has no meaning for {what}: leave it out")


Reader = Callable[[Found, Options, "int | None"], "VLModel"]
"""(where it is, what the caller says, seed of random weights or None) -> the model."""


def read_model(found: Found, options: Options, seed: int | None) -> VLModel:
    """Read a model with the reader that its files ask for."""
    directory = found.weights
    if directory.is_dir():
        if files.is_gated(directory):
            return read_gated(found, options, seed)
        kind = read_json(directory / CONFIG).get("model_type")
        if kind is not None and found.family is None:
            return _reader(directory, str(kind))(found, options, seed)
    return read_official(found, options, seed)


def _reader(directory: Path, kind: str) -> Reader:
    if kind not in READERS:
        raise ValueError(
            f"config.json in {directory} has model_type {kind!r}; valid: {MODEL_TYPE!r} (UNITER, LXMERT, "
            f"ViLBERT as this kit writes them) and {', '.join(map(repr, sorted(READERS)))}"
        )
    return READERS[kind]


def read_gated(found: Found, options: Options, seed: int | None) -> VLModel:
    """A folder as this kit writes it: config.json with all of our fields."""
    options.allow("tokenizer", "task", what=f"{found.name}, whose config.json says it")
    words = _own_words(found, options)
    if seed is None:
        module = files.read_model(found.weights)
    else:
        module = files.build(EncoderConfig.load(found.weights), seed)
    return GatedVL(module, words, found.name, _weights(seed), card_of(found, seed), task=options.task)


def read_bert(found: Found, options: Options, seed: int | None) -> VLModel:
    """A folder of transformers' BertForMaskedLM."""
    from transformers import BertConfig

    from value_nb.models import bert

    options.allow("tokenizer", what="a text-only BERT")
    words = _own_words(found, options)
    directory = found.weights
    module = bert.read(directory) if seed is None else bert.build(BertConfig.from_pretrained(directory), seed)
    if words.vocab_size > module.config.vocab_size:
        raise ValueError(
            f"the tokenizer has {words.vocab_size} pieces, the model {module.config.vocab_size} rows for them"
        )
    return bert.BertText(module, words, found.name, _weights(seed), card_of(found, seed))


def read_vilt(found: Found, options: Options, seed: int | None) -> VLModel:
    """A folder of transformers' ViLT, which reads the picture itself."""
    from value_nb.models import vilt

    options.allow("tokenizer", what="ViLT")
    words, directory = _own_words(found, options), found.weights
    module = vilt.read(directory) if seed is None else vilt.build(vilt.read_config(directory), seed)
    return vilt.ViltVL(module, words, found.name, _weights(seed), card_of(found, seed))


def read_official(found: Found, options: Options, seed: int | None) -> VLModel:
    """A checkpoint of the authors', or of the hub: recognised by its tensors' names (official.py)."""
    path = found.weights
    state = read_checkpoint(path)
    name = recognise(path, state, found.family)
    naming = NAMINGS[name]
    plain, notes = _matching(plain_names(naming.family, state), name, options)
    shapes = {key: tuple(tensor.shape) for key, tensor in plain.items()}
    config, source = read_config(naming, shapes, _config_file(found, options), found.entry)
    _check_family(found, config)
    words, file = find_words(_tokenizer(found, naming), options.tokenizer, found.training)
    check_size(words, file, config.vocab_size)
    try:
        config, tensors = to_engine(naming.family, config, plain)
    except ValueError as problem:
        raise ValueError(f"{path}: {problem}") from problem
    module = files.build(config, seed) if seed is not None else files.assemble(config, tensors)
    model = GatedVL(module, words, found.name, _weights(seed), card_of(found, seed), task=options.task)
    if options.task is not None:
        model.name = f"{found.name} [task {options.task}]"
        notes += _task_notes(options.task)
    notes = (source, *notes, f"word pieces from {file}", *_set_aside(naming.family, config, plain))
    model.notes = (*notes, f"made for features of: {config.feature_source or 'a detector that nobody named'}")
    return model


def _matching(plain: dict[str, Any], name: str, options: Options) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The tensors with the head that was asked for, where a family has two."""
    if name == "uniter":
        from value_nb.models.uniter import choose_matching

        state, note = choose_matching(plain, options.matching)
        return state, (note,)
    if options.matching is not None:
        raise ValueError(
            f"matching={options.matching!r} chooses between the two heads of a fine-tuned UNITER; other "
            "files have one: leave it out"
        )
    return plain, ()


def _config_file(found: Found, options: Options) -> Path | None:
    """The config that the caller gives, or the one JSON that lies in the model's own folder."""
    if options.config is not None:
        return options.config
    folder = found.weights
    if not folder.is_dir():
        return None
    if (folder / CONFIG).is_file():
        return folder / CONFIG
    there = [p for p in sorted(folder.glob("*.json")) if p.name not in OTHER_JSON and ".index." not in p.name]
    if len(there) > 1:
        raise ValueError(
            f"{folder} holds several JSON files: {', '.join(p.name for p in there)}. Say which one is the "
            "config with config="
        )
    return there[0] if there else None


def _check_family(found: Found, config: EncoderConfig) -> None:
    if found.entry is not None and found.entry.family != config.family:
        raise ValueError(
            f"{found.weights} holds a model of the family {config.family!r}, and {found.entry.name} is one "
            f"of {found.entry.family!r}"
        )


def _tokenizer(found: Found, naming: Naming) -> str:
    return found.entry.tokenizer if found.entry is not None else naming.tokenizer


def _task_notes(task: int) -> tuple[str, ...]:
    from value_nb.models.tasks import NAMES, TRAINED

    if task in TRAINED:
        return (f"task {task}: {NAMES[task]}",)
    note = (
        f"task {task} ({NAMES.get(task, 'unnamed')}) is none of those that the released multi-task model was "
        "trained on: its row is as it was drawn"
    )
    warnings.warn(note, UserWarning, stacklevel=4)
    return (note,)


def _set_aside(family: Family, config: EncoderConfig, plain: Iterable[str]) -> tuple[str, ...]:
    """What the file holds and the model makes no use of, head by head; and which heads it lacks."""
    counts: dict[str, int] = {}
    for name in set_aside(family, config, plain):
        if name not in LEFTOVERS:
            head = (
                name.rpartition(".")[0] if any(part in name for part in family.unused) else name.split(".")[0]
            )
            counts[head] = counts.get(head, 0) + 1
    notes = [f"in the file, and not used: {head} ({many} tensors)" for head, many in counts.items()]
    lacks = {"masked-word head": config.word_head, "matching head": config.matching_head}
    return (*notes, *(f"not in the file: a {head}" for head, there in lacks.items() if not there))


def _own_words(found: Found, options: Options) -> WordPieces:
    """The tokenizer that the caller gives, or the one that lies in the model's own folder.

    A known model of the hub whose folder lacks it may take it from where official checkpoints find theirs.
    """
    if options.tokenizer is None:
        if found.entry is not None and found.entry.hub and tokenizer_file(found.training) is None:
            return find_words(found.entry.tokenizer, None, found.training)[0]
        return WordPieces.load(found.training)
    file = tokenizer_file(options.tokenizer)
    if file is None:
        raise ValueError(
            f"tokenizer={str(options.tokenizer)!r} is no tokenizer.json or vocab.txt, and has none"
        )
    return read_words(file)


def card_of(found: Found, seed: int | None) -> dict[str, Any]:
    """The quality card; of a checkpoint only what is known of it, so that no figure takes it for the end.

    The seed of training is the card's, or that of the call and of the folder's name; where nobody says it, it
    is not made up. {} for random weights, and for a file: a card belongs to a folder.
    """
    if seed is not None or not found.weights.is_dir():
        return {}
    card = read_json(found.training / "card.json")
    if found.run.step is None:
        return card if found.run.seed is None else {"seed": found.run.seed} | card
    known = {"steps": found.run.step, "seed": card.get("seed", found.run.seed or 0)}
    return known | {name: card[name] for name in ("trained_length",) if name in card}


def _weights(seed: int | None) -> str:
    return "trained" if seed is None else f"random:{seed}"


def read_by_function(name: str, checkpoint: Path | None, seed: int | None) -> VLModel:
    """Call a reader of the user's own: "module:function", given the path, if any, and `random_weights=`.

    ValueError where there is no such function, and where it returns no model of this kit.
    """
    from value_nb.models.base import VLModel

    given = () if checkpoint is None else (checkpoint,)
    model = own_function(name)(*given, random_weights=seed)
    if not isinstance(model, VLModel):
        raise ValueError(f"{name} returned {type(model).__name__}; expected a VLModel (value_nb.models.base)")
    return model


READERS: dict[str, Reader] = {
    "bert": read_bert,
    "lxmert": read_official,
    "visual_bert": read_official,
    "vilt": read_vilt,
}
"""model_type of a config.json -> its reader. A family that is no gated encoder adds its own here."""
