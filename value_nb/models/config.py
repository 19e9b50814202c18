"""Sizes and conventions of a gated encoder: one frozen record, stored as config.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from value_nb.models import gates as gate_patterns
from value_nb.models.gates import Gates

MODEL_TYPE = "value_nb-gated"
OURS = "value_nb"
"""Entry of a config.json in another library's form that holds all of our fields."""
CHOICES: dict[str, tuple[Any, ...]] = {
    "family": ("uniter", "lxmert", "vilbert", "visualbert", "vl-bert"),
    "gates": ("single", "lxmert", "vilbert"),
    "image_embedding": ("uniter", "lxmert", "vilbert", "visualbert", "vl-bert"),
    "location_size": (0, 4, 5, 7),
    "global_row": ("none", "first", "last"),
    "pooler_act": ("tanh", "relu"),
    "fusion": ("text", "mul", "sum", "none"),
    "match_index": (0, 1),
    "region_head": ("common", "separate"),
    "key_layout": ("official", "volta"),
}

SHARED_TABLES = {"uniter": "a token type", "visualbert": "the norm", "vl-bert": "positions and the norm"}


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """What a gated encoder is made of; the widths of text, image and co-attention may differ.

    Attributes
    ----------
    family
        "uniter", "lxmert", "vilbert", "visualbert" or "vl-bert": whose recipe it is, and with `key_layout`
        "official" whose key names the weight file uses.
    gates
        "single", "lxmert" or "vilbert": which blocks are open where (gates.py).
    joint_layers
        Layers of a single-stream model.
    text_layers, image_layers, cross_layers
        Layers of a two-stream model. ViLBERT: all layers of each stream; `cross_layers` is the number of
        co-attentions and equals the lengths of the two id lists.
    text_ids, image_ids
        ViLBERT's t_biattention_id and v_biattention_id: co-attention k stands before these layers.
    text_width, text_heads, text_ffn, image_width, image_heads, image_ffn, cross_width, cross_heads
        Sizes of the two streams and of co-attention.
    feature_size, location_size
        Width of a region's features; 4, 5 or 7 numbers of location (regions.py), 0 for VisualBERT, which
        knows nothing of boxes.
    coordinate_width
        VL-BERT's number of wavelengths for each number of a box (vlbert_embedding.py), else 0.
    global_row
        "first": a row with the mean feature and the whole picture's box stands before the regions; "last":
        behind them.
    pooler_width, pooler_act, fusion, match_index
        Pooled output: Linear on the first position, activation; "text" alone, the product "mul" or the "sum"
        of both streams, or "none": no pooled output and no matching head; which of the two matching outputs
        means that caption and picture match.
    region_targets, region_head
        Outputs of the masked-region head, name -> size; one common transform (LXMERT, ViLBERT) or one for
        each target (UNITER).
    region_norm
        Whether these transforms end in a norm (not VOLTA's VL-BERT's).
    word_head, matching_head, mask_embedding
        Whether these parts exist. `mask_embedding` is UNITER's row that is added to a masked region, or
        VL-BERT's word that such a region gets.
    task_rows
        Number of tasks of ViLBERT's multi-task model: one row of the text says the task (tasks.py).
    key_layout
        "official" names of the family, or "volta" names; VL-BERT has the latter only.
    feature_source
        Which detector made the features that the weights were trained on ("" when unknown).
    """

    family: str
    gates: str
    image_embedding: str
    vocab_size: int
    feature_size: int
    location_size: int
    joint_layers: int = 0
    text_layers: int = 0
    image_layers: int = 0
    cross_layers: int = 0
    text_ids: tuple[int, ...] = ()
    image_ids: tuple[int, ...] = ()
    text_width: int = 768
    text_heads: int = 12
    text_ffn: int = 3072
    image_width: int = 768
    image_heads: int = 12
    image_ffn: int = 3072
    cross_width: int = 768
    cross_heads: int = 12
    max_positions: int = 512
    type_vocab_size: int = 2
    global_row: str = "none"
    pooler_width: int = 768
    pooler_act: str = "tanh"
    fusion: str = "text"
    match_index: int = 1
    word_head: bool = True
    matching_head: bool = True
    mask_embedding: bool = False
    region_targets: tuple[tuple[str, int], ...] = ()
    region_head: str = "common"
    norm_eps: float = 1e-12
    dropout: float = 0.1
    attention_dropout: float = 0.1
    initializer_range: float = 0.02
    key_layout: str = "official"
    feature_source: str = ""
    coordinate_width: int = 0
    region_norm: bool = True
    task_rows: int = 0

    def __post_init__(self) -> None:
        _check_choices(self)
        _check_outputs(self)
        _check_image_embedding(self)
        _check_layers(self)
        _check_widths(self)

    @property
    def joint(self) -> bool:
        """One softmax covers both modalities."""
        return self.gates == "single"

    @property
    def max_text_positions(self) -> int:
        """Positions that a caption may take; VL-BERT's regions stand on the two behind it."""
        return self.max_positions - 2 if self.image_embedding == "vl-bert" else self.max_positions

    def build_gates(self) -> Gates:
        """Return the sublayers of this encoder."""
        if self.gates == "single":
            return gate_patterns.single_stream(self.joint_layers)
        if self.gates == "lxmert":
            return gate_patterns.lxmert(self.text_layers, self.image_layers, self.cross_layers)
        return gate_patterns.vilbert(self.text_layers, self.image_layers, self.text_ids, self.image_ids)

    def width(self, stream: str) -> int:
        """Width of a stream's states."""
        return self.text_width if stream == "text" else self.image_width

    def attention_size(self, stream: str, cross: bool) -> tuple[int, int]:
        """(width, heads) of an attention sublayer."""
        if cross:
            return self.cross_width, self.cross_heads
        return (
            (self.text_width, self.text_heads) if stream == "text" else (self.image_width, self.image_heads)
        )

    def ffn(self, stream: str) -> int:
        """Inner width of a stream's feed-forward sublayers."""
        return self.text_ffn if stream == "text" else self.image_ffn

    def replace(self, **changes: Any) -> EncoderConfig:
        """Return a copy with some fields changed, validated again."""
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, with `model_type`."""
        return {"model_type": MODEL_TYPE, **asdict(self), "region_targets": dict(self.region_targets)}

    def save(self, directory: Path | str) -> Path:
        """Write `config.json` and return its path."""
        path = Path(directory) / "config.json"
        path.write_text(json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8")
        return path

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> EncoderConfig:
        """Build from the content of config.json, or its entry "value_nb"; ValueError on unknown fields."""
        values = {k: v for k, v in values.get(OURS, values).items() if k != "model_type"}
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"config.json has unknown fields {unknown}; known are {sorted(known)}")
        if missing := sorted(f.name for f in fields(cls)[:6] if f.name not in values):
            raise ValueError(f"config.json lacks the fields {missing}")
        targets = values.get("region_targets", {})
        values["region_targets"] = tuple((str(k), int(v)) for k, v in dict(targets).items())
        for name in ("text_ids", "image_ids"):
            values[name] = tuple(values.get(name, ()))
        return cls(**values)

    @classmethod
    def load(cls, directory: Path | str) -> EncoderConfig:
        """Read `config.json` of a model directory."""
        return cls.from_dict(json.loads((Path(directory) / "config.json").read_text(encoding="utf-8")))


def _check_choices(config: EncoderConfig) -> None:
    for name, valid in CHOICES.items():
        if getattr(config, name) not in valid:
            raise ValueError(f"{name} is {getattr(config, name)!r}; valid: {', '.join(map(repr, valid))}")
    for name in ("dropout", "attention_dropout"):
        if not 0 <= getattr(config, name) < 1:
            raise ValueError(f"{name} is {getattr(config, name)}; expected a number in [0, 1)")
    if config.task_rows < 0:
        raise ValueError(f"task_rows is {config.task_rows}; expected 0 (no task token), or how many tasks")


def _check_outputs(config: EncoderConfig) -> None:
    feature = dict(config.region_targets).get("feature", config.feature_size)
    if config.region_head == "separate" and feature != config.feature_size:
        raise ValueError(
            f"region target 'feature' has size {feature}; with region_head 'separate' it is decoded by the "
            f"image embedding's own feature map, so it must equal feature_size {config.feature_size}"
        )
    if config.fusion in ("mul", "sum") and config.global_row != "first":
        raise ValueError(
            f"fusion {config.fusion!r} pools the first image row, which must be the global row: set "
            "global_row='first'"
        )
    if config.fusion == "none" and config.matching_head:
        raise ValueError("fusion 'none' leaves nothing to match with: set matching_head=False")


def _check_image_embedding(config: EncoderConfig) -> None:
    kind = config.image_embedding
    if (kind == "visualbert") != (config.location_size == 0):
        raise ValueError(
            f"location_size is {config.location_size} with image_embedding {kind!r}; it is 0 for "
            "'visualbert', which takes no boxes, and for nothing else"
        )
    if (kind == "vl-bert") != (config.coordinate_width > 0):
        raise ValueError(
            f"coordinate_width is {config.coordinate_width} with image_embedding {kind!r}; it is at least "
            "1 for 'vl-bert' and 0 for all others"
        )
    types = {"visualbert": 2, "vl-bert": 3}.get(kind, 1)
    if config.type_vocab_size < types:
        raise ValueError(f"image_embedding {kind!r} needs type_vocab_size >= {types}")
    if kind == "vl-bert" and (config.key_layout != "volta" or config.region_head != "common"):
        raise ValueError("image_embedding 'vl-bert' goes with key_layout 'volta' and region_head 'common'")
    if kind in SHARED_TABLES and config.text_width != config.image_width:
        raise ValueError(
            f"image_embedding {kind!r} shares {SHARED_TABLES[kind]} with the text: text_width must equal "
            "image_width"
        )


def _check_layers(config: EncoderConfig) -> None:
    if config.gates == "single":
        if config.joint_layers < 1 or config.text_layers or config.image_layers or config.cross_layers:
            raise ValueError("gates 'single' need joint_layers >= 1 and no text, image or cross layers")
        return
    if config.joint_layers or min(config.text_layers, config.image_layers, config.cross_layers) < 1:
        got = {f"{s}_layers": getattr(config, f"{s}_layers") for s in ("text", "image", "cross", "joint")}
        raise ValueError(
            f"gates {config.gates!r} need text_, image_ and cross_layers >= 1 and no joint_layers; got {got}"
        )
    if config.gates == "lxmert" and (config.text_ids or config.image_ids):
        raise ValueError("text_ids and image_ids belong to gates 'vilbert'; gates 'lxmert' have none")
    if config.gates == "vilbert":
        _check_ids("text_ids", config.text_ids, config.text_layers, config.cross_layers)
        _check_ids("image_ids", config.image_ids, config.image_layers, config.cross_layers)


def _check_ids(name: str, ids: tuple[int, ...], layers: int, cross_layers: int) -> None:
    rising = all(a < b for a, b in pairwise(ids))
    if len(ids) != cross_layers or not rising or not all(0 <= i < layers for i in ids):
        raise ValueError(
            f"{name} is {list(ids)}; expected {cross_layers} rising layer numbers between 0 and "
            f"{layers - 1}, one for each co-attention"
        )


def _check_widths(config: EncoderConfig) -> None:
    for part in ("text", "image", "cross"):
        width, heads = getattr(config, f"{part}_width"), getattr(config, f"{part}_heads")
        if heads < 1 or width % heads:
            raise ValueError(f"{part}_width {width} is not a multiple of {part}_heads {heads}")
    text = (config.text_width, config.text_heads, config.text_ffn)
    image = (config.image_width, config.image_heads, config.image_ffn)
    if config.gates == "single" and text != image:
        raise ValueError(
            f"gates 'single' share weights: text sizes {text} and image sizes {image} must be equal"
        )
    if config.gates == "lxmert" and config.text_width != config.image_width:
        raise ValueError(
            "gates 'lxmert' share the co-attention: text_width "
            f"{config.text_width} and image_width {config.image_width} must be equal"
        )
