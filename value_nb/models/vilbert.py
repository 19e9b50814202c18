"""Official ViLBERT (Lu et al. 2019, 2020): names and conventions.

Two streams of unequal width. Uncased word pieces, 5 location numbers, global row first, ReLU poolers of both
first rows multiplied, matching index 0. In the files of a connection layer 1 is the image and 2 the text.
"""

from __future__ import annotations

from typing import Any

from value_nb.models.config import EncoderConfig
from value_nb.models.keys import TEXT_EMBEDDING, WORD_HEAD, Family, Names, bert_layer, sublayers_with

LOCATION_SIZE = 5


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


def names(config: EncoderConfig) -> Names:
    """Engine -> official ViLBERT."""
    if len(config.region_targets) > 1:
        raise ValueError(
            f"ViLBERT's files have one masked-region target; the config has {config.region_targets}"
        )
    found: Names = {
        **TEXT_EMBEDDING,
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
