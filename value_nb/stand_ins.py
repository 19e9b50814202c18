"""Stand-ins for real weights and features: right names, right sizes, random numbers.

Real checkpoints and features take hours to download. These take seconds to make, and go through the very same
readers, so that one can see before a download what the notebooks will show and what they will cost. Nothing
that a stand-in shows is a finding: its weights are random, and so the sanity gate is not met.
"""

from __future__ import annotations

import base64
import csv
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from value_nb.data.example import Regions
    from value_nb.models.config import EncoderConfig
    from value_nb.models.words import WordPieces

BASE = {
    "hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072, "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "max_position_embeddings": 512,
    "type_vocab_size": 2, "initializer_range": 0.02,
}  # fmt: skip
CONFIGS: dict[str, dict[str, Any]] = {
    "uniter": BASE | {"num_hidden_layers": 12, "vocab_size": 28996},
    "lxmert": BASE | {
        "model_type": "lxmert", "architectures": ["LxmertForPreTraining"], "vocab_size": 30522,
        "l_layers": 9, "r_layers": 5, "x_layers": 5, "visual_feat_dim": 2048, "visual_pos_dim": 4,
        "num_object_labels": 1600, "num_attr_labels": 400, "num_qa_labels": 9500,
    },
}  # fmt: skip
"""Sizes of UNITER-base and of LXMERT, as their authors' configs give them."""
WEIGHTS = {"uniter": "stand-in-uniter-base.pt", "lxmert": "stand-in-lxmert-base.pth"}
"""The file's name becomes the model's, and so stands in every figure."""
FEATURE_WIDTH, PER_PICTURE = 2048, 36
MOVED, SMALLEST = 0.012, 0.02
"""How far the sides of boxes are moved (standard deviation), and the least side; parts of the picture's."""
FIELDS = (
    "img_id", "img_h", "img_w", "objects_id", "objects_conf", "attrs_id", "attrs_conf", "num_boxes", "boxes",
    "features",
)  # fmt: skip


def write_checkpoint(folder: Path | str, family: str, seed: int = 0) -> Path:
    """Write a checkpoint as the authors of UNITER-base or LXMERT publish it, with random weights.

    FOLDER/stand-in-uniter-base.pt and uniter-base.json, or FOLDER/stand-in-lxmert-base.pth and config.json;
    half precision; and vocab.txt: the miniature's word pieces, filled up to the real number of rows.

    Parameters
    ----------
    folder
        Where to write; it is made.
    family
        "uniter" or "lxmert".
    seed
        Of the weights.

    Returns
    -------
    Path of the weights, for `load_model(family, checkpoint=PATH)`.

    Raises
    ------
    ValueError
        For another family.
    """
    import torch

    from value_nb.models import files

    folder = Path(folder)
    config = _config(family)
    folder.mkdir(parents=True, exist_ok=True)
    state = files.build(config, seed).state_dict()
    named = _named(family, config, state)
    path = folder / WEIGHTS[family]
    part = path.with_suffix(".part")
    torch.save({name: tensor.half() for name, tensor in named.items()}, part)
    part.replace(path)
    settings = "uniter-base.json" if family == "uniter" else "config.json"
    (folder / settings).write_text(json.dumps(CONFIGS[family], indent=1), encoding="utf-8")
    _write_vocabulary(folder / "vocab.txt", config.vocab_size)
    return path


def _config(family: str) -> EncoderConfig:
    from value_nb.models import lxmert, uniter

    if family not in CONFIGS:
        raise ValueError(f"family is {family!r}; there are stand-ins for: {', '.join(map(repr, CONFIGS))}")
    module = uniter if family == "uniter" else lxmert
    return module.read_config(CONFIGS[family])


def _named(family: str, config: EncoderConfig, state: dict[str, Any]) -> dict[str, Any]:
    """The engine's tensors under the official names, tied ones under each of theirs."""
    from value_nb.models import lxmert, uniter
    from value_nb.models.keys import from_engine

    return from_engine({"uniter": uniter.FAMILY, "lxmert": lxmert.FAMILY}[family], config, state)


def _write_vocabulary(path: Path, rows: int) -> None:
    pieces = _miniature_words()
    names = [pieces.token(number) for number in range(pieces.vocab_size)]
    names += [f"[unused{number}]" for number in range(rows - len(names))]
    path.write_text("\n".join(names) + "\n", encoding="utf-8")


def _miniature_words() -> WordPieces:
    from value_nb.data.paths import bundled_root
    from value_nb.models.words import WordPieces

    return WordPieces.load(bundled_root() / "mini" / "models" / "mini-bert")


def write_features(folder: Path | str, n_pictures: int = 40, split: str = "test", seed: int = 0) -> Path:
    """Write a folder of Flickr30k Entities as one has it after download, with LXMERT's features beside it.

    Sentences, Annotations and the list of the split's pictures are the miniature's, which are in the real
    format; obj36.tsv holds 36 boxes for each picture with 2,048 numbers each. The boxes are the miniature's,
    and copies of some, all moved a little, as a detector's boxes never fit; the numbers are the miniature's
    features under a random linear map, so that they differ.

    Parameters
    ----------
    folder
        Where to write; it is made.
    n_pictures, split
        The first so many pictures of the split.
    seed
        Of the map, the copies, and how far boxes are moved.

    Returns
    -------
    Path of obj36.tsv, for `convert_features(PATH, FOLDER/"features.h5")`.
    """
    from value_nb.data.paths import bundled_root
    from value_nb.data.regions import RegionStore

    folder, mini = Path(folder), bundled_root() / "mini"
    ids = (mini / "flickr30k_entities" / f"{split}.txt").read_text(encoding="utf-8").split()[:n_pictures]
    for part, suffix in (("Sentences", ".txt"), ("Annotations", ".xml")):
        (folder / part).mkdir(parents=True, exist_ok=True)
        for one in ids:
            shutil.copyfile(
                mini / "flickr30k_entities" / part / f"{one}{suffix}", folder / part / f"{one}{suffix}"
            )
    (folder / f"{split}.txt").write_text("\n".join(ids) + "\n", encoding="utf-8")
    store = RegionStore(mini / "features.h5")
    with open(folder / "obj36.tsv", "w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, FIELDS, delimiter="\t")
        table.writerows(_rows(store, ids, np.random.default_rng(seed)))
    return folder / "obj36.tsv"


def _rows(store: Any, ids: Sequence[str], rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    wide = rng.normal(size=(store.width, FEATURE_WIDTH)) / np.sqrt(store.width)
    for one in ids:
        width, height = store.size(one)
        boxes, features = _as_many(store.read(one), rng)
        n = len(boxes)
        arrays = {
            "objects_id": np.zeros(n, "<i8"), "objects_conf": np.ones(n, "<f4"),
            "attrs_id": np.zeros(n, "<i8"), "attrs_conf": np.ones(n, "<f4"),
            "boxes": (boxes * (width, height, width, height)).astype("<f4"),
            "features": np.maximum(features @ wide, 0).astype("<f4"),
        }  # fmt: skip
        encoded = {name: base64.b64encode(array.tobytes()).decode() for name, array in arrays.items()}
        yield {"img_id": one, "img_h": height, "img_w": width, "num_boxes": n} | encoded


def _as_many(regions: Regions, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """`PER_PICTURE` boxes and features: those there are, then copies of some, each moved a little."""
    if regions.features is None:
        raise ValueError("the store gave no features")
    rows = np.arange(len(regions))
    rows = np.concatenate([rows, rng.integers(len(rows), size=max(0, PER_PICTURE - len(rows)))])[:PER_PICTURE]
    moved = regions.boxes[rows] + rng.normal(scale=MOVED, size=(len(rows), 4))
    boxes = np.sort(moved.clip(0, 1).reshape(-1, 2, 2), axis=1).reshape(-1, 4)
    boxes[:, :2] = boxes[:, :2].clip(0, 1 - SMALLEST)  # so that every box keeps some area
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + SMALLEST)
    return boxes, regions.features[rows]
