"""Official LXMERT (Tan and Bansal 2019) and transformers' LxmertModel: names and conventions.

Two streams. Uncased word pieces, 4 location numbers, no global row, tanh pooler on [CLS], matching index 1.
"""

from __future__ import annotations

from typing import Any

from value_nb.models.config import EncoderConfig
from value_nb.models.keys import (
    BERT_FEED_FORWARD,
    TEXT_EMBEDDING,
    WORD_HEAD,
    Family,
    Names,
    bert_layer,
    sublayers_with,
)

REGION_TARGETS = {"class": "obj", "attribute": "attr", "feature": "feat"}
"""Our name of a masked-region target -> the official one."""


def read_config(values: dict[str, Any]) -> EncoderConfig:
    """Build from transformers' LxmertConfig as a dict; its defaults (9, 5, 5) fit official files."""
    width, heads, ffn = values["hidden_size"], values["num_attention_heads"], values["intermediate_size"]
    sizes = {
        f"{part}_{what}": size
        for part in ("text", "image")
        for what, size in (("width", width), ("heads", heads), ("ffn", ffn))
    }
    targets = (
        ("class", values["num_object_labels"]),
        ("attribute", values["num_attr_labels"]),
        ("feature", values["visual_feat_dim"]),
    )
    return EncoderConfig(
        family="lxmert", gates="lxmert", image_embedding="lxmert",
        vocab_size=values["vocab_size"], feature_size=values["visual_feat_dim"],
        location_size=values["visual_pos_dim"],
        text_layers=values["l_layers"], image_layers=values["r_layers"], cross_layers=values["x_layers"],
        cross_width=width, cross_heads=heads, **sizes,
        max_positions=values["max_position_embeddings"], type_vocab_size=values["type_vocab_size"],
        pooler_width=width, pooler_act="tanh", fusion="text", match_index=1, region_targets=targets,
        dropout=values["hidden_dropout_prob"], attention_dropout=values["attention_probs_dropout_prob"],
        initializer_range=values["initializer_range"],
    )  # fmt: skip


def names(config: EncoderConfig) -> Names:
    """Engine -> official LXMERT."""
    found: Names = {
        **TEXT_EMBEDDING,
        "image_embedding.feature": "encoder.visn_fc.visn_fc",
        "image_embedding.feature_norm": "encoder.visn_fc.visn_layer_norm",
        "image_embedding.location": "encoder.visn_fc.box_fc",
        "image_embedding.location_norm": "encoder.visn_fc.box_layer_norm",
        "text_pooler": "pooler.dense",
        "matching_head": "cls.seq_relationship",
        **WORD_HEAD,
        "region_head.transform.common.dense": "obj_predict_head.transform.dense",
        "region_head.transform.common.norm": "obj_predict_head.transform.LayerNorm",
    }
    for target, _ in config.region_targets:
        theirs = REGION_TARGETS.get(target, target)
        found[f"region_head.decoder.{target}"] = f"obj_predict_head.decoder_dict.{theirs}"
    text, image = sublayers_with(config, "text->text"), sublayers_with(config, "image->image")
    for layer, step in enumerate(text[: config.text_layers]):
        found |= bert_layer(f"encoder.layer.{layer}", f"sublayers.{step}.text", f"sublayers.{step + 1}.text")
    for layer, step in enumerate(image[: config.image_layers]):
        found |= bert_layer(
            f"encoder.r_layers.{layer}", f"sublayers.{step}.image", f"sublayers.{step + 1}.image"
        )
    for layer, step in enumerate(sublayers_with(config, "text->image", cross=True)):
        found |= _cross_layer(f"encoder.x_layers.{layer}", step)
    return found


def _cross_layer(prefix: str, step: int) -> Names:
    """Co-attention with one weight set, then self-attention and feed-forward of each stream."""
    found: Names = _attention(f"sublayers.{step}.shared", f"{prefix}.visual_attention", "att")
    for stream, theirs in (("text", "lang"), ("image", "visn")):
        found |= _attention(f"sublayers.{step + 1}.{stream}", f"{prefix}.{theirs}_self_att", "self")
        words = {"intermediate": f"{theirs}_inter", "output": f"{theirs}_output"}
        for ours, name in BERT_FEED_FORWARD.items():
            part, _, module = name.partition(".")
            found[f"sublayers.{step + 2}.{stream}.{ours}"] = f"{prefix}.{words[part]}.{module}"
    return found


def _attention(ours: str, theirs: str, inner: str) -> Names:
    found: Names = {f"{ours}.{name}": f"{theirs}.{inner}.{name}" for name in ("query", "key", "value")}
    return found | {f"{ours}.output": f"{theirs}.output.dense", f"{ours}.norm": f"{theirs}.output.LayerNorm"}


FAMILY = Family("LXMERT", "lxmert.", names, ignored=("answer_head.", "obj_predict_head."))
