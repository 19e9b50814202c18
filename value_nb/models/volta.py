"""VOLTA's own checkpoints (Bugliarello et al. 2021): the same names for all of its five models.

Sublayers are numbered as in the engine; what belongs to the image stream starts with `v_`. Matching index 0.
"""

from __future__ import annotations

from typing import Any

from value_nb.models.config import EncoderConfig
from value_nb.models.keys import TEXT_EMBEDDING, WORD_HEAD, Family, Names

ATTENTION = {
    "query": "attention_self.{}query",
    "key": "attention_self.{}key",
    "value": "attention_self.{}value",
    "output": "attention_output.{}dense",
    "norm": "attention_output.{}LayerNorm",
}
FEED_FORWARD = {"up": "intermediate.{}dense", "down": "output.{}dense", "norm": "output.{}LayerNorm"}
IMAGE_EMBEDDING = {
    "uniter": {
        "feature": "embeddings.image_embeddings",
        "location": "embeddings.image_location_embeddings",
        "feature_norm": "embeddings.image_layer_norm",
        "location_norm": "embeddings.image_location_layer_norm",
        "norm": "embeddings.v_LayerNorm",
    },
    "lxmert": {
        "feature": "v_embeddings.image_embeddings",
        "location": "v_embeddings.image_location_embeddings",
        "feature_norm": "v_embeddings.ImgLayerNorm",
        "location_norm": "v_embeddings.LocLayerNorm",
    },
    "vilbert": {
        "feature": "v_embeddings.image_embeddings",
        "location": "v_embeddings.image_location_embeddings",
        "norm": "v_embeddings.LayerNorm",
    },
}


def read_config(values: dict[str, Any], region_sizes: dict[str, int]) -> EncoderConfig:
    """Build the single-stream `ctrl_uniter` from VOLTA's config.

    `region_sizes`: target number -> outputs; the config lists the targets that were trained, not their sizes.
    """
    if values.get("image_embeddings") != "uniter":
        raise ValueError(
            f"image_embeddings is {values.get('image_embeddings')!r}; only 'uniter' is read so far"
        )
    text = (values["hidden_size"], values["num_attention_heads"], values["intermediate_size"])
    image = (values["v_hidden_size"], values["v_num_attention_heads"], values["v_intermediate_size"])
    trained = [k for k, weight in values.get("visual_target_weights", {}).items() if weight > 0]
    return EncoderConfig(
        family="uniter", key_layout="volta", gates="single", image_embedding="uniter",
        vocab_size=values["vocab_size"], feature_size=values["v_feature_size"],
        location_size=values.get("num_locs", 5), joint_layers=len(values["tt_attn_sublayers"]),
        text_width=text[0], text_heads=text[1], text_ffn=text[2],
        image_width=image[0], image_heads=image[1], image_ffn=image[2],
        cross_width=text[0], cross_heads=text[1],
        max_positions=values["max_position_embeddings"], type_vocab_size=values["type_vocab_size"],
        global_row=values.get("add_global_imgfeat") or "none", pooler_width=values.get("pooler_size", 768),
        pooler_act="relu" if values.get("fusion_act", "relu") == "relu" else "tanh",
        fusion=values.get("fusion_method", "mul"), match_index=0,
        region_targets=tuple((k, region_sizes[k]) for k in trained),
        norm_eps=values.get("layer_norm_eps", 1e-12), dropout=values["hidden_dropout_prob"],
        attention_dropout=values["attention_probs_dropout_prob"],
        initializer_range=values["initializer_range"],
    )  # fmt: skip


def names(config: EncoderConfig) -> Names:
    """Engine -> VOLTA; what both streams share stands there twice."""
    found: Names = {
        **TEXT_EMBEDDING,
        "text_pooler": "t_pooler.dense",
        "image_pooler": "v_pooler.dense",
        "matching_head": "cls.bi_seq_relationship",
        **WORD_HEAD,
        "region_head.transform.common.dense": "cls.imagePredictions.transform.dense",
        "region_head.transform.common.norm": "cls.imagePredictions.transform.LayerNorm",
    }
    if config.image_embedding == "uniter":
        types = ("embeddings.token_type_embeddings", "embeddings.image_token_type_embeddings")
        found["text_embedding.token_type"] = types
    found |= {f"image_embedding.{k}": name for k, name in IMAGE_EMBEDDING[config.image_embedding].items()}
    for target, _ in config.region_targets:
        found[f"region_head.decoder.{target}"] = f"cls.imagePredictions.decoder_dict.{target}"
    for number, step in enumerate(config.build_gates().sublayers):
        for ours, theirs in (ATTENTION if step.directions else FEED_FORWARD).items():
            place = f"encoder.layer.{number}.{theirs}"
            streams = {"text": place.format(""), "image": place.format("v_")}
            if step.shared:
                found[f"sublayers.{number}.shared.{ours}"] = tuple(streams.values())
            else:
                found |= {f"sublayers.{number}.{s}.{ours}": streams[s] for s in step.streams}
    return found


FAMILY = Family("VOLTA", "bert.", names, ignored=("clfs_dict.",))
