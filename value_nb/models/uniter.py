"""Official UNITER (Chen et al. 2020): names and conventions.

Single stream. Cased word pieces, 7 location numbers, no global row, tanh pooler on [CLS], matching index 1.
"""

from __future__ import annotations

from typing import Any

import torch

from value_nb.models.config import EncoderConfig
from value_nb.models.keys import (
    TEXT_EMBEDDING,
    WORD_HEAD,
    Family,
    Names,
    Shapes,
    State,
    bert_layer,
    canonical,
    sublayers_with,
    tensor_names,
)
from value_nb.models.sizes import bert_sizes, count_layers, size

FEATURE_SIZE = 2048
REGION_CLASSES = 1601
EXAMPLE = "uniter-base.json"
MATCHING, RANKING = "itm_output", "rank_output"
"""Heads that score a caption and a picture: of pre-training (two logits), of fine-tuned retrieval (one)."""


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


def told_sizes(shapes: Shapes) -> dict[str, Any]:
    """What the tensors' shapes tell of an official config; heads are 64 wide, as in base and large."""
    return {
        **bert_sizes(shapes, "UNITER", EXAMPLE),
        "num_hidden_layers": count_layers(shapes, "encoder.layer."),
    }


def official_config(values: dict[str, Any], shapes: Shapes) -> EncoderConfig:
    """Build from an official config and what it leaves to the file: features, and rows of token types.

    Files fine-tuned on NLVR2 have three of these rows (text, first and second picture) where the config says
    two; a single picture takes row 1, as in pre-training.
    """
    config = read_config(values, size(shapes, "img_embeddings.img_linear.weight", 1))
    rows = size(shapes, "embeddings.token_type_embeddings.weight")
    classes = shapes.get("region_classifier.net.3.weight", (REGION_CLASSES,))[0]
    targets = tuple((name, classes if name == "class" else many) for name, many in config.region_targets)
    return config.replace(type_vocab_size=max(rows, config.type_vocab_size), region_targets=targets)


def choose_matching(state: State, choice: str | None) -> tuple[State, str]:
    """The tensors with one head for the matching score, and which one it is, in words.

    Parameters
    ----------
    state
        Tensors under their names without prefix.
    choice
        "itm_output" (pre-training: the second of two logits means match), "rank_output" (fine-tuned
        retrieval: a single logit), or None: itm_output where the file has it, else rank_output.

    Raises
    ------
    ValueError
        For another choice, and for a head that the file does not have.
    """
    there = [head for head in (MATCHING, RANKING) if f"{head}.weight" in state]
    if choice is not None and choice not in there:
        raise ValueError(f"matching is {choice!r}; this file has {' and '.join(map(repr, there)) or 'none'}")
    head = choice or (there[0] if there else None)
    if head is None:
        return state, "no matching score: the file has neither itm_output nor rank_output"
    if head == MATCHING:
        return state, "matching score: itm_output, index 1 means match"
    return _ranked(state), "matching score: rank_output, a single logit"


def _ranked(state: State) -> State:
    """Write the single logit as two of which the first is always 0: their difference is that logit."""
    found = {name: tensor for name, tensor in state.items() if not name.startswith(f"{MATCHING}.")}
    for kind in ("weight", "bias"):
        row = state[f"{RANKING}.{kind}"]
        found[f"{MATCHING}.{kind}"] = torch.cat([torch.zeros_like(row), row])
    return found


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
        "re_output.",
        "vcr_output.",
    ),
)
