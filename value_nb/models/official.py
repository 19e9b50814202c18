"""Checkpoints as their authors publish them, or as the hub holds them: one row of a table for each naming.

A file is recognised by a tensor that only its family has. Its config is the one that is given or lies beside
it; or the sizes are told by the shapes; or, for VOLTA's released models, it is known by the model's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from value_nb.models import lxmert, uniter, vilbert, visualbert, volta
from value_nb.models.config import EncoderConfig
from value_nb.models.json_files import read_json
from value_nb.models.keys import Family, Shapes, canonical
from value_nb.models.known import BUTD_36, BUTD_100, CASED, UNCASED, VOLTA_36, Entry
from value_nb.models.volta_recipes import recipe

PREFIXES = ("uniter.", "bert.", "lxmert.", "visual_bert.")
WORDS = "embeddings.word_embeddings.weight"


@dataclass(frozen=True, slots=True)
class Naming:
    """How the files of one family are read.

    Attributes
    ----------
    family
        Names of its tensors.
    mark
        A tensor that files of this family have, and no other's.
    config
        (config as JSON, shapes by name) -> our config.
    told_sizes
        Shapes by name -> config as JSON; ValueError where shapes do not tell.
    example
        A file name like its config's, for messages.
    features
        Names of the file's tensors -> which detector's features fit.
    tokenizer
        Whose word pieces.
    """

    family: Family
    mark: str
    config: Callable[[dict[str, Any], Shapes], EncoderConfig]
    told_sizes: Callable[[Shapes], dict[str, Any]]
    example: str
    features: Callable[[Iterable[str]], str]
    tokenizer: str = UNCASED


def _volta_config(values: dict[str, Any], shapes: Shapes) -> EncoderConfig:
    """VOLTA's config, which lists the masked-region targets; their sizes are the file's."""
    decoder = "cls.imagePredictions.decoder_dict."
    sizes = {
        name.removeprefix(decoder).removesuffix(".weight"): shape[0]
        for name, shape in shapes.items()
        if name.startswith(decoder) and name.endswith(".weight")
    }
    return volta.read_config(values, sizes)


def _needs_config(family: str, example: str) -> Callable[[Shapes], dict[str, Any]]:
    def told_sizes(shapes: Shapes) -> dict[str, Any]:
        raise ValueError(
            f"a {family} checkpoint needs its config, config=PATH (a file like {example}): shapes do not "
            "tell its conventions"
        )

    return told_sizes


NAMINGS = {
    "uniter": Naming(
        uniter.FAMILY, "img_embeddings.img_linear.weight", uniter.official_config, uniter.told_sizes,
        uniter.EXAMPLE, lambda names: BUTD_100, CASED,
    ),
    "lxmert": Naming(
        lxmert.FAMILY, "encoder.visn_fc.visn_fc.weight", lxmert.official_config, lxmert.told_sizes,
        lxmert.EXAMPLE, lambda names: BUTD_36,
    ),
    "vilbert": Naming(
        vilbert.FAMILY, "encoder.c_layer.0.biattention.query1.weight", vilbert.official_config,
        vilbert.told_sizes, vilbert.EXAMPLE, vilbert.features_of,
    ),
    "visualbert": Naming(
        visualbert.FAMILY, "embeddings.visual_projection.weight",
        lambda values, shapes: visualbert.from_transformers(values),
        _needs_config("VisualBERT", "config.json"), "config.json", lambda names: "",
    ),
    "volta": Naming(
        volta.FAMILY, "encoder.layer.0.attention_self.query.weight", _volta_config,
        _needs_config("VOLTA", "ctrl_uniter_base.json"), "ctrl_uniter_base.json", lambda names: VOLTA_36,
    ),
}  # fmt: skip
"""Whose names a file has -> how it is read. "volta" names all of VOLTA's models, whatever their family."""


def recognise(path: Path, names: Iterable[str], wanted: str | None) -> str:
    """Whose names the tensors of a file have.

    ValueError where it is nobody's, or not `wanted`'s; it says what the file looks like.
    """
    plain = {canonical(name, PREFIXES) for name in names}
    found = next((name for name, naming in NAMINGS.items() if naming.mark in plain), None)
    if found is None:
        raise ValueError(f"{path} is no checkpoint of {', '.join(NAMINGS)}: {_looks_like(plain)}")
    if wanted not in (None, found):
        raise ValueError(
            f"{path} has the tensors of {NAMINGS[found].family.name}, and was to be read as "
            f'{NAMINGS[str(wanted)].family.name}: load_model("{found}", checkpoint=PATH)'
        )
    return found


def _looks_like(names: set[str]) -> str:
    if WORDS in names:
        return "it looks like a text-only BERT (UNITER's *-init.pt are such), from which training started"
    return f"its tensors are called {', '.join(sorted(names)[:4])}, ..."


def read_config(
    naming: Naming, shapes: Shapes, file: Path | None, entry: Entry | None
) -> tuple[EncoderConfig, str]:
    """The config of a checkpoint, and where it is from, in words.

    Parameters
    ----------
    naming, shapes
        How the file is read, and its tensors' shapes by name without prefix.
    file
        Its config as JSON, in the family's own form; None where there is none.
    entry
        The model's row in the table: its features, VOLTA's config and settings where it has them.

    Raises
    ------
    ValueError
        Where the config lacks an entry, or has one that is not computed here; where shapes do not tell.
    """
    if file is not None:
        values, source = _read_values(file), f"config from {file}"
    elif entry is not None and entry.recipe and naming is NAMINGS["volta"]:
        values, source = recipe(entry.recipe), f"config known as VOLTA's {entry.recipe}"
    else:
        values, source = naming.told_sizes(shapes), "sizes told by the tensors' shapes, heads by their width"
    settings = entry.settings if entry is not None and naming is NAMINGS["volta"] else {}
    config = _built(naming, {**values, **settings}, shapes, file)
    features = config.feature_source or (entry.features if entry else "") or naming.features(shapes)
    return config.replace(feature_source=features), source


def _read_values(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise ValueError(f"there is no config {file}")
    return read_json(file)


def _built(naming: Naming, values: Mapping[str, Any], shapes: Shapes, file: Path | None) -> EncoderConfig:
    where = f"{file}: " if file else ""
    for key in ("hidden_act", "v_hidden_act"):
        if values.get(key, "gelu") != "gelu":
            raise ValueError(f"{where}{key} is {values[key]!r}; only 'gelu' is computed here")
    try:
        return naming.config(dict(values), shapes)
    except KeyError as problem:
        raise ValueError(
            f"{where}the config lacks {problem}; expected one of {naming.family.name}, a file "
            f"like {naming.example}"
        ) from problem
    except (TypeError, ValueError) as problem:
        raise ValueError(f"{where}{problem}") from problem
