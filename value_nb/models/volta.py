"""VOLTA's own checkpoints (Bugliarello et al. 2021): the same names for all of its five models.

Sublayers are numbered as in the engine; what belongs to the image stream starts with `v_`. Matching index 0.
Read are the controlled models (ctrl_uniter_base, ctrl_visualbert_base, ctrl_vl-bert_base, ctrl_vilbert_base,
ctrl_lxmert) and those of the original recipes (vilbert_base, lxmert, original_lxmert, vl-bert_base).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from value_nb.models.config import EncoderConfig
from value_nb.models.keys import TEXT_EMBEDDING, WORD_HEAD, Family, Names
from value_nb.models.volta_gates import recognise

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
    "visualbert": {
        "feature": "embeddings.projection",
        "position": "embeddings.position_embeddings_visual",
        "token_type": "embeddings.token_type_embeddings_visual",
    },
    "vl-bert": {
        "feature": "embeddings.obj_downsample.1",
        "object_word": "embeddings.object_linguistic_embeddings",
        "end_word": "embeddings.end_embedding",
        "mask_word": "embeddings.object_mask_word_embedding",
        "mask_feature": "embeddings.object_mask_visual_embedding",
        "text_norm": "embeddings.visual_ln_text",
        "object_norm": "embeddings.visual_ln_object",
    },
}
REGION_SIZES = {"0": 1601, "3": 1600, "4": 400, "6": 1601}
"""Outputs of a masked-region target; 1, 2 and 5 are features."""
FEATURES = ("1", "2", "5")
MASKED_OBJECT = "6"
"""The target with which VL-BERT has a word for masked regions."""
FUSIONS = {"mul": "mul", "sum": "sum", "text": "text", "none": "none"}
BUILT_IN: dict[str, tuple[Any, ...]] = {
    "hidden_act": ("gelu",), "v_hidden_act": ("gelu",), "model": ("bert",), "norm_embeddings": (False,),
    "itm_dim": (2,), "image_embeddings": tuple(IMAGE_EMBEDDING), "fusion_method": tuple(FUSIONS),
    "fusion_act": ("relu", "tanh"), "add_global_imgfeat": ("first", "last", None),
}  # fmt: skip
"""Key of a config -> what this kit can compute; VOLTA's default for an absent key is among these."""
NEEDED = (
    "image_embeddings", "vocab_size", "v_feature_size", "max_position_embeddings", "type_vocab_size",
    "hidden_size", "num_attention_heads", "intermediate_size", "v_hidden_size", "v_num_attention_heads",
    "v_intermediate_size", "hidden_dropout_prob", "attention_probs_dropout_prob", "initializer_range",
    "tt_attn_sublayers", "tv_attn_sublayers", "vt_attn_sublayers", "vv_attn_sublayers", "t_ff_sublayers",
    "v_ff_sublayers",
)  # fmt: skip
TEXT_SIZES = {"attn_hidden_size": "hidden_size", "num_attention_heads": "num_attention_heads",
              "intermediate_size": "intermediate_size"}  # fmt: skip
"""What `sublayer2...` may change -> the key that holds it for all other sublayers."""


def read_config(values: Mapping[str, Any], region_sizes: Mapping[str, int] | None = None) -> EncoderConfig:
    """Build from one of VOLTA's configs.

    Parameters
    ----------
    values
        The JSON as it is. Keys that are absent have VOLTA's defaults: "model" "bert", layer_norm_eps 1e-12,
        fusion_method "mul", fusion_act "relu", num_locs 5, no global row, pooler_size 768, v_pooler_size
        1024. `fusion_act` "tanh" gives poolers with tanh. `match_index` is a key of this kit's own: 0 in
        everything that VOLTA trained.
    region_sizes
        Masked-region target -> outputs, where they are not VOLTA's (0: 1601, 3: 1600, 4: 400, 6: 1601, and
        1, 2, 5 as many as a region has features); the config lists the targets, not their sizes.

    original_lxmert.json goes with the *converted official* LXMERT. VOLTA runs it with a ReLU pooler, as the
    config has no `fusion_act`; the official model was trained with tanh, and its matching index is 1. To have
    what the official model computes, read `{**values, "fusion_act": "tanh", "match_index": 1}`. Without a
    `fusion_act` this config gives VOLTA's behaviour and a UserWarning.

    Raises
    ------
    ValueError
        For gates that are none of the known patterns, for a sublayer whose sizes differ from its like, and
        for a setting that this kit does not compute (another activation, XLM-R models, vl-bert_vqa).
    """
    _check_known(values)
    _warn_of_relu(values)
    kind, text, image = values["image_embeddings"], _sizes(values, ""), _sizes(values, "v_")
    fusion = values.get("fusion_method", "mul")
    targets = {str(k) for k, weight in values.get("visual_target_weights", {}).items() if weight > 0}
    vlbert = kind == "vl-bert"
    config = EncoderConfig(
        family=kind, key_layout="volta", image_embedding=kind, **recognise(values),
        vocab_size=values["vocab_size"], feature_size=values["v_feature_size"],
        location_size=0 if kind == "visualbert" else values.get("num_locs", 5),
        coordinate_width=values["v_coordinate_embeddings_dim"] if vlbert else 0,
        text_width=text[0], text_heads=text[1], text_ffn=text[2],
        image_width=image[0], image_heads=image[1], image_ffn=image[2],
        **_cross_sizes(values),
        max_positions=values["max_position_embeddings"], type_vocab_size=values["type_vocab_size"],
        global_row=values.get("add_global_imgfeat") or "none", pooler_width=_pooler_width(values, fusion),
        pooler_act=values.get("fusion_act", "relu"), fusion=FUSIONS[fusion],
        match_index=values.get("match_index", 0), matching_head=fusion != "none",
        mask_embedding=vlbert and MASKED_OBJECT in targets,
        region_targets=tuple((k, _region_size(k, values, region_sizes or {})) for k in sorted(targets)),
        region_norm=values.get("image_head_ln", True),
        norm_eps=values.get("layer_norm_eps", 1e-12), dropout=values["hidden_dropout_prob"],
        attention_dropout=values["attention_probs_dropout_prob"],
        initializer_range=values["initializer_range"],
    )  # fmt: skip
    _check_sublayer_sizes(values, config)
    return config


def _check_known(values: Mapping[str, Any]) -> None:
    kind = values.get("image_embeddings")
    needed = (*NEEDED, "v_coordinate_embeddings_dim") if kind == "vl-bert" else NEEDED
    if missing := [key for key in needed if key not in values]:
        raise ValueError(f"the config of a VOLTA model lacks {', '.join(missing)}")
    for key, valid in BUILT_IN.items():
        if key in values and values[key] not in valid:
            raise ValueError(f"{key} is {values[key]!r}; this kit reads {', '.join(map(repr, valid))}")


def _warn_of_relu(values: Mapping[str, Any]) -> None:
    if values.get("qa_task_weight", 0) > 0 and "fusion_act" not in values:
        warnings.warn(
            "this config is that of the converted official LXMERT, run as VOLTA runs it: ReLU pooler, "
            "matching index 0. For what the official model computes add fusion_act 'tanh' and match_index 1 "
            "to the config; fusion_act 'relu' says that this is meant.",
            UserWarning,
            stacklevel=3,
        )


def _sizes(values: Mapping[str, Any], prefix: str) -> tuple[int, int, int]:
    """Width, heads and feed-forward width of a stream; `prefix` is "" for the text, "v_" for the image."""
    width, heads, ffn = (values[prefix + key] for key in TEXT_SIZES.values())
    return width, heads, ffn


def _sublayer_size(values: Mapping[str, Any], number: int, prefix: str, what: str) -> int:
    """A size of one sublayer. The tables have strings as keys, as JSON has."""
    table = {str(k): v for k, v in (values.get(f"sublayer2{prefix}{what}") or {}).items()}
    return table.get(str(number), values[prefix + TEXT_SIZES[what]])


def _cross_sizes(values: Mapping[str, Any]) -> dict[str, Any]:
    """Width and heads of co-attention; where all blocks are open at once, those of the text."""
    only = [i for i in sorted(values["tv_attn_sublayers"]) if i not in values["tt_attn_sublayers"]]
    sizes = ("cross_width", "attn_hidden_size"), ("cross_heads", "num_attention_heads")
    return {
        ours: _sublayer_size(values, only[0], "", theirs) if only else values[TEXT_SIZES[theirs]]
        for ours, theirs in sizes
    }


def _check_sublayer_sizes(values: Mapping[str, Any], config: EncoderConfig) -> None:
    """Every sublayer must have the sizes that the config gives to its kind."""
    for number, step in enumerate(config.build_gates().sublayers):
        for stream, prefix in (("text", ""), ("image", "v_")):
            if stream not in step.streams:
                continue
            wanted = {"intermediate_size": config.ffn(stream)}
            if step.directions:
                width, heads = config.attention_size(stream, step.cross)
                wanted = {"attn_hidden_size": width, "num_attention_heads": heads}
            for key, size in wanted.items():
                if (found := _sublayer_size(values, number, prefix, key)) != size:
                    raise ValueError(
                        f"sublayer {number} has {prefix}{key} {found}, and {size} was expected: sublayers of "
                        "one kind must have equal sizes, and both streams of a co-attention the same"
                    )


def _pooler_width(values: Mapping[str, Any], fusion: str) -> int:
    text, image = values.get("pooler_size", 768), values.get("v_pooler_size", 1024)
    if fusion in ("mul", "sum") and text != image:
        raise ValueError(
            f"pooler_size is {text} and v_pooler_size {image}; with fusion_method {fusion!r} they must be "
            "equal"
        )
    return text


def _region_size(target: str, values: Mapping[str, Any], region_sizes: Mapping[str, int]) -> int:
    known = {**REGION_SIZES, **dict.fromkeys(FEATURES, values["v_feature_size"]), **region_sizes}
    if target not in known:
        raise ValueError(f"visual target {target!r} is unknown; known: {', '.join(sorted(known))}")
    return known[target]


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
    if config.image_embedding == "uniter":  # one tensor, two names
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
