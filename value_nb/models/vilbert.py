"""Official ViLBERT (Lu et al. 2019, 2020): names and conventions.

Two streams of unequal width. Uncased word pieces, 5 location numbers, global row first, ReLU poolers of both
first rows multiplied, matching index 0. In the files of a connection layer 1 is the image and 2 the text.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from value_nb.models.config import EncoderConfig
from value_nb.models.keys import (
    TEXT_EMBEDDING,
    WORD_HEAD,
    Family,
    Names,
    Shapes,
    bert_layer,
    sublayers_with,
)
from value_nb.models.known import BUTD_100, RESNEXT
from value_nb.models.sizes import BERT_VALUES, count_layers, size

LOCATION_SIZE, REGION_CLASSES = 5, 1601
EXAMPLE = "bert_base_6layer_6conect.json"
HEADS = {(768, 1024, 1024): (12, 8, 8), (1024, 1024, 1024): (16, 8, 8)}
"""Widths of text, image and co-attention -> their heads, in the official configs (base and large text)."""
TASK_EMBEDDING = "embeddings.task_embeddings.weight"


def read_config(values: dict[str, Any]) -> EncoderConfig:
    """Build from an official config (bert_base_6layer_6conect.json)."""
    return EncoderConfig(
        family="vilbert", gates="vilbert", image_embedding="vilbert", location_size=LOCATION_SIZE,
        vocab_size=values["vocab_size"], feature_size=values["v_feature_size"],
        text_layers=values["num_hidden_layers"], image_layers=values["v_num_hidden_layers"],
        cross_layers=len(values["v_biattention_id"]),
        text_ids=tuple(values["t_biattention_id"]), image_ids=tuple(values["v_biattention_id"]),
        text_width=values["hidden_size"], text_heads=values["num_attention_heads"],
        text_ffn=values["intermediate_size"], image_width=values["v_hidden_size"],
        image_heads=values["v_num_attention_heads"], image_ffn=values["v_intermediate_size"],
        cross_width=values["bi_hidden_size"], cross_heads=values["bi_num_attention_heads"],
        max_positions=values["max_position_embeddings"], type_vocab_size=values["type_vocab_size"],
        global_row="first", pooler_width=values["bi_hidden_size"], pooler_act="relu", fusion="mul",
        match_index=0, region_targets=(("class", values["v_target_size"]),),
        dropout=values["hidden_dropout_prob"], attention_dropout=values["attention_probs_dropout_prob"],
        initializer_range=values["initializer_range"],
    )  # fmt: skip


def told_sizes(shapes: Shapes) -> dict[str, Any]:
    """What the tensors' shapes tell of an official config.

    Heads and the places of the co-attentions stand in no shape: they are those of the official configs of
    these widths (k co-attentions before the first k image layers and the last k text layers). ValueError for
    other widths, and where the numbers of layers are none of the official ones.
    """
    query = "encoder.c_layer.0.biattention.query1.weight"
    text, image = size(shapes, "embeddings.word_embeddings.weight", 1), size(shapes, query, 1)
    widths = text, image, size(shapes, query)
    layers, image_layers, cross = (count_layers(shapes, f"encoder.{p}layer.") for p in ("", "v_", "c_"))
    if widths not in HEADS or image_layers != cross or layers < cross:
        raise ValueError(
            f"a ViLBERT of widths {widths} (text, image, co-attention) with {layers}, {image_layers} and "
            f"{cross} layers is none of the official ones, and shapes do not tell its heads or where its "
            f"co-attentions stand: give its config, config=PATH (a file like {EXAMPLE})"
        )
    heads = HEADS[widths]
    return {
        **BERT_VALUES,
        "vocab_size": size(shapes, "embeddings.word_embeddings.weight"),
        "max_position_embeddings": size(shapes, "embeddings.position_embeddings.weight"),
        "type_vocab_size": size(shapes, "embeddings.token_type_embeddings.weight"),
        "hidden_size": text, "num_attention_heads": heads[0], "num_hidden_layers": layers,
        "intermediate_size": size(shapes, "encoder.layer.0.intermediate.dense.weight"),
        "v_hidden_size": image, "v_num_attention_heads": heads[1], "v_num_hidden_layers": image_layers,
        "v_intermediate_size": size(shapes, "encoder.v_layer.0.intermediate.dense.weight"),
        "v_feature_size": size(shapes, "v_embeddings.image_embeddings.weight", 1),
        "v_target_size": shapes.get("cls.imagePredictions.decoder.weight", (REGION_CLASSES,))[0],
        "bi_hidden_size": widths[2], "bi_num_attention_heads": heads[2],
        "v_biattention_id": list(range(cross)), "t_biattention_id": list(range(layers - cross, layers)),
    }  # fmt: skip


def official_config(values: dict[str, Any], shapes: Shapes) -> EncoderConfig:
    """Build from an official config; task rows, set on the original's command line, from the file."""
    if (fusion := values.get("fusion_method", "mul")) != "mul":
        raise ValueError(f"fusion_method is {fusion!r}; the released ViLBERTs multiply: 'mul'")
    config = read_config(values)
    rows = shapes.get(TASK_EMBEDDING, (0,))[0]
    return config.replace(task_rows=rows) if rows else config


def features_of(names: Iterable[str]) -> str:
    """Which detector's features fit, as far as the tensors of a file tell (pre-training files do not)."""
    names = set(names)
    if TASK_EMBEDDING in names:
        return RESNEXT
    if any(name.startswith("vil_prediction.main.") for name in names):
        return BUTD_100
    return f"files of vilbert-multi-task: {RESNEXT}; files of vilbert_beta: {BUTD_100}"


def names(config: EncoderConfig) -> Names:
    """Engine -> official ViLBERT."""
    if len(config.region_targets) > 1:
        raise ValueError(
            f"ViLBERT's files have one masked-region target; the config has {config.region_targets}"
        )
    found: Names = {
        **TEXT_EMBEDDING,
        "text_embedding.task": "embeddings.task_embeddings",
        "image_embedding.feature": "v_embeddings.image_embeddings",
        "image_embedding.location": "v_embeddings.image_location_embeddings",
        "image_embedding.norm": "v_embeddings.LayerNorm",
        "text_pooler": "t_pooler.dense",
        "image_pooler": "v_pooler.dense",
        "matching_head": "cls.bi_seq_relationship",
        **WORD_HEAD,
        "region_head.transform.common.dense": "cls.imagePredictions.transform.dense",
        "region_head.transform.common.norm": "cls.imagePredictions.transform.LayerNorm",
    }
    for target, _ in config.region_targets:
        found[f"region_head.decoder.{target}"] = "cls.imagePredictions.decoder"
    for layer, step in enumerate(sublayers_with(config, "text->text")):
        found |= bert_layer(f"encoder.layer.{layer}", f"sublayers.{step}.text", f"sublayers.{step + 1}.text")
    for layer, step in enumerate(sublayers_with(config, "image->image")):
        found |= bert_layer(
            f"encoder.v_layer.{layer}", f"sublayers.{step}.image", f"sublayers.{step + 1}.image"
        )
    for layer, step in enumerate(sublayers_with(config, "text->image", cross=True)):
        found |= _connection(f"encoder.c_layer.{layer}", step)
    return found


def _connection(prefix: str, step: int) -> Names:
    found: Names = {}
    for stream, number, letter in (("text", 2, "t"), ("image", 1, "v")):
        attention, feed_forward = f"sublayers.{step}.{stream}", f"sublayers.{step + 1}.{stream}"
        for part in ("query", "key", "value"):
            found[f"{attention}.{part}"] = f"{prefix}.biattention.{part}{number}"
        found |= {
            f"{attention}.output": f"{prefix}.biOutput.dense{number}",
            f"{attention}.norm": f"{prefix}.biOutput.LayerNorm{number}",
            f"{feed_forward}.up": f"{prefix}.{letter}_intermediate.dense",
            f"{feed_forward}.down": f"{prefix}.{letter}_output.dense",
            f"{feed_forward}.norm": f"{prefix}.{letter}_output.LayerNorm",
        }
    return found


FAMILY = Family(
    "ViLBERT",
    "bert.",
    names,
    ignored=("vil_", "vision_logit.", "linguisic_logit."),
    unused=(".biOutput.q_dense1.", ".biOutput.q_dense2."),
)
