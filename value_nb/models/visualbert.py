"""VisualBERT (Li et al. 2019) in transformers' form, as uclanlp publishes it: names and conventions.

Single stream. Uncased word pieces, no location at all (boxes are for drawing only), no global row, tanh
pooler on [CLS], matching index 0. VOLTA's ctrl_visualbert is another model: volta.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from value_nb.models.config import EncoderConfig
from value_nb.models.keys import TEXT_EMBEDDING, WORD_HEAD, Family, Names, bert_layer, sublayers_with

NEEDED = (
    "vocab_size", "visual_embedding_dim", "hidden_size", "num_hidden_layers", "num_attention_heads",
    "intermediate_size", "max_position_embeddings", "type_vocab_size", "hidden_dropout_prob",
    "attention_probs_dropout_prob", "initializer_range",
)  # fmt: skip


def from_transformers(values: Mapping[str, Any]) -> EncoderConfig:
    """Build from transformers' VisualBertConfig as a dict, or the content of its config.json.

    ValueError where a key is missing, and for what this kit does not compute: another activation than gelu,
    and `bypass_transformer`, where the regions enter behind the last layer.
    """
    if missing := [key for key in NEEDED if key not in values]:
        raise ValueError(f"the config of a VisualBERT lacks {', '.join(missing)}")
    if values.get("hidden_act", "gelu") != "gelu":
        raise ValueError(f"hidden_act is {values['hidden_act']!r}; only 'gelu' is computed here")
    if values.get("bypass_transformer", False):
        raise ValueError("bypass_transformer is true; only models whose regions enter with the text are read")
    width, heads, ffn = values["hidden_size"], values["num_attention_heads"], values["intermediate_size"]
    return EncoderConfig(
        family="visualbert", gates="single", image_embedding="visualbert", location_size=0,
        vocab_size=values["vocab_size"], feature_size=values["visual_embedding_dim"],
        joint_layers=values["num_hidden_layers"], text_width=width, text_heads=heads, text_ffn=ffn,
        image_width=width, image_heads=heads, image_ffn=ffn, cross_width=width, cross_heads=heads,
        max_positions=values["max_position_embeddings"], type_vocab_size=values["type_vocab_size"],
        pooler_width=width, pooler_act="tanh", fusion="text", match_index=0,
        norm_eps=values.get("layer_norm_eps", 1e-12), dropout=values["hidden_dropout_prob"],
        attention_dropout=values["attention_probs_dropout_prob"],
        initializer_range=values["initializer_range"],
    )  # fmt: skip


def names(config: EncoderConfig) -> Names:
    """Engine -> transformers."""
    found: Names = {
        **TEXT_EMBEDDING,
        "image_embedding.feature": "embeddings.visual_projection",
        "image_embedding.position": "embeddings.visual_position_embeddings",
        "image_embedding.token_type": "embeddings.visual_token_type_embeddings",
        "text_pooler": "pooler.dense",
        "matching_head": "cls.seq_relationship",
        **WORD_HEAD,
    }
    for layer, step in enumerate(sublayers_with(config, "text->text")):
        found |= bert_layer(
            f"encoder.layer.{layer}", f"sublayers.{step}.shared", f"sublayers.{step + 1}.shared"
        )
    return found


FAMILY = Family(
    "VisualBERT", "visual_bert.", names, prefixes=("visual_bert.", "bert."), ignored=("attention.",)
)
