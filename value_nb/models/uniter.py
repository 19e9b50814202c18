"""Official UNITER (Chen et al. 2020): names and conventions.

Single stream. Cased word pieces, 7 location numbers, no global row, tanh pooler on [CLS], matching index 1.
"""

from __future__ import annotations

from typing import Any

from value_nb.models.config import EncoderConfig
from value_nb.models.keys import (
    TEXT_EMBEDDING,
    WORD_HEAD,
    Family,
    Names,
    State,
    bert_layer,
    canonical,
    sublayers_with,
    tensor_names,
)

FEATURE_SIZE = 2048
REGION_CLASSES = 1601


def read_config(values: dict[str, Any], feature_size: int = FEATURE_SIZE) -> EncoderConfig:
    """Build from an official config (uniter-base.json), which does not say the features' width."""
    width, heads, ffn = values["hidden_size"], values["num_attention_heads"], values["intermediate_size"]
    sizes = {
        f"{part}_{what}": size
        for part in ("text", "image")
        for what, size in (("width", width), ("heads", heads), ("ffn", ffn))
    }
    return EncoderConfig(
        family="uniter", gates="single", image_embedding="uniter", location_size=7,
        vocab_size=values["vocab_size"], feature_size=feature_size,
        joint_layers=values["num_hidden_layers"], cross_width=width, cross_heads=heads, **sizes,
        max_positions=values["max_position_embeddings"], type_vocab_size=values["type_vocab_size"],
        pooler_width=width, pooler_act="tanh", fusion="text", match_index=1, mask_embedding=True,
        region_head="separate", region_targets=(("class", REGION_CLASSES), ("feature", feature_size)),
        dropout=values["hidden_dropout_prob"], attention_dropout=values["attention_probs_dropout_prob"],
        initializer_range=values["initializer_range"],
    )  # fmt: skip


def names(config: EncoderConfig) -> Names:
    """Engine -> official UNITER."""
    found: Names = {
        **TEXT_EMBEDDING,
        "image_embedding.feature": "img_embeddings.img_linear",
        "image_embedding.feature.weight": ("img_embeddings.img_linear.weight", "feat_regress.weight"),
        "image_embedding.location": "img_embeddings.pos_linear",
        "image_embedding.feature_norm": "img_embeddings.img_layer_norm",
        "image_embedding.location_norm": "img_embeddings.pos_layer_norm",
        "image_embedding.norm": "img_embeddings.LayerNorm",
        "image_embedding.mask": "img_embeddings.mask_embedding",
        "text_pooler": "pooler.dense",
        "matching_head": "itm_output",
        **WORD_HEAD,
        "region_head.bias": "feat_regress.bias",
        "region_head.transform.feature.dense": "feat_regress.net.0",
        "region_head.transform.feature.norm": "feat_regress.net.2",
        "region_head.transform.class.dense": "region_classifier.net.0",
        "region_head.transform.class.norm": "region_classifier.net.2",
        "region_head.decoder.class": "region_classifier.net.3",
    }
    for layer, step in enumerate(sublayers_with(config, "text->text")):
        found |= bert_layer(
            f"encoder.layer.{layer}", f"sublayers.{step}.shared", f"sublayers.{step + 1}.shared"
        )
    return found


def bert_start(config: EncoderConfig, bert: State) -> State:
    """Engine tensors that a BERT checkpoint (BertModel, BertForMaskedLM) gives a UNITER of the same sizes.

    UNITER starts from BERT: text embeddings, layers, pooler and word head come over, the image parts do not.
    """
    given = {canonical(key, FAMILY.prefixes): tensor for key, tensor in bert.items()}
    pairs = tensor_names(FAMILY, config).items()
    return {ours: given[name].float() for ours, (name, *_) in pairs if name in given}


FAMILY = Family(
    "UNITER",
    "uniter.",
    names,
    ignored=(
        "feat_regress.",
        "region_classifier.",
        "itm_output.",
        "rank_output.",
        "vqa_output.",
        "nlvr2_output.",
    ),
)
