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
    Shapes,
    bert_layer,
    sublayers_with,
)
from value_nb.models.sizes import bert_sizes, count_layers, size

EXAMPLE = "config.json of unc-nlp/lxmert-base-uncased"
REGION_TARGETS = {"class": "obj", "attribute": "attr", "feature": "feat"}
"""Our name of a masked-region target -> the official one."""
LABELS = {"obj": "object", "attr": "attr"}
"""Official name of a target with classes -> how LxmertConfig writes the number of its classes."""
SAME: dict[str, Any] = {
    "family": "lxmert", "gates": "lxmert", "image_embedding": "lxmert", "key_layout": "official",
    "global_row": "none", "pooler_act": "tanh", "fusion": "text", "match_index": 1, "mask_embedding": False,
    "region_head": "common", "norm_eps": 1e-12, "region_norm": True, "task_rows": 0,
}  # fmt: skip
"""What LxmertModel of transformers has built in, and its config cannot say."""


def read_config(values: dict[str, Any]) -> EncoderConfig:
    """Build from transformers' LxmertConfig as a dict; its defaults (9, 5, 5) fit official files."""
    width, heads, ffn = values["hidden_size"], values["num_attention_heads"], values["intermediate_size"]
    sizes = {
        f"{part}_{what}": size
        for part in ("text", "image")
        for what, size in (("width", width), ("heads", heads), ("ffn", ffn))
    }
    labels = {"class": "num_object_labels", "attribute": "num_attr_labels", "feature": "visual_feat_dim"}
    targets = tuple(
        (target, values[labels[target]])
        for target, theirs in REGION_TARGETS.items()
        if values.get("task_obj_predict", True) and values.get(f"visual_{theirs}_loss", True)
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


def told_sizes(shapes: Shapes) -> dict[str, Any]:
    """What the tensors' shapes tell of a LxmertConfig (9, 5 and 5 layers officially); heads are 64 wide."""
    decoder = "obj_predict_head.decoder_dict.{}.weight"
    targets = {theirs: shapes.get(decoder.format(theirs)) for theirs in REGION_TARGETS.values()}
    return {
        **bert_sizes(shapes, "LXMERT", EXAMPLE),
        "l_layers": count_layers(shapes, "encoder.layer."),
        "r_layers": count_layers(shapes, "encoder.r_layers."),
        "x_layers": count_layers(shapes, "encoder.x_layers."),
        "visual_feat_dim": size(shapes, "encoder.visn_fc.visn_fc.weight", 1),
        "visual_pos_dim": size(shapes, "encoder.visn_fc.box_fc.weight", 1),
        **{f"visual_{theirs}_loss": shape is not None for theirs, shape in targets.items()},
        **{f"num_{theirs}_labels": (targets[key] or (0,))[0] for key, theirs in LABELS.items()},
    }


def official_config(values: dict[str, Any], shapes: Shapes) -> EncoderConfig:
    """Build from a LxmertConfig, whose absent entries mean transformers' defaults."""
    from transformers import LxmertConfig

    return read_config(LxmertConfig.from_dict(values).to_dict())


def to_transformers(config: EncoderConfig) -> dict[str, Any] | None:
    """Write a config as transformers' LxmertConfig, so that its classes read the directory as it is.

    None where LxmertModel computes something else: several sizes of one kind, another embedding, pooler or
    global row, other names of tensors. Heads that the model does not have are switched off; a masked-region
    head that transformers cannot build (a target of its own, features of another width) is left out.
    """
    sizes = {
        (config.text_width, config.text_heads, config.text_ffn),
        (config.image_width, config.image_heads, config.image_ffn),
        (config.cross_width, config.cross_heads, config.text_ffn),
    }
    found = {name: getattr(config, name) for name in SAME}
    if found != SAME or len(sizes) > 1 or config.pooler_width != config.text_width:
        return None
    targets = dict(config.region_targets)
    regions = bool(targets) and set(targets) <= set(REGION_TARGETS)
    regions = regions and targets.get("feature", config.feature_size) == config.feature_size
    return {
        "model_type": "lxmert", "architectures": ["LxmertForPreTraining"],
        "vocab_size": config.vocab_size, "hidden_size": config.text_width,
        "num_attention_heads": config.text_heads, "intermediate_size": config.text_ffn, "hidden_act": "gelu",
        "hidden_dropout_prob": config.dropout, "attention_probs_dropout_prob": config.attention_dropout,
        "max_position_embeddings": config.max_positions, "type_vocab_size": config.type_vocab_size,
        "initializer_range": config.initializer_range, "l_layers": config.text_layers,
        "r_layers": config.image_layers, "x_layers": config.cross_layers,
        "visual_feat_dim": config.feature_size, "visual_pos_dim": config.location_size,
        "num_object_labels": targets.get("class", 0), "num_attr_labels": targets.get("attribute", 0),
        "num_qa_labels": 0, "task_qa": False, "task_mask_lm": config.word_head,
        "task_matched": config.matching_head, "task_obj_predict": regions,
        "visual_obj_loss": "class" in targets, "visual_attr_loss": "attribute" in targets,
        "visual_feat_loss": "feature" in targets,
    }  # fmt: skip


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
