"""Sizes of the miniature models: near 144 wide with 6 heads, each family with its own conventions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from data.build.masking import WordShares
from value_nb.models.config import EncoderConfig

if TYPE_CHECKING:
    from transformers import BertConfig

WIDTH, HEADS, FFN, LAYERS = 144, 6, 576, 6
POSITIONS, TOKEN_TYPES = 64, 2
SPREAD = 0.05
"""Standard deviation of the first weights. BERT's 0.02 is meant for 768 inputs; over 144 inputs sums are as
wide with 0.02 x sqrt(768 / 144) = 0.046. It decides: with 0.02 what a region adds to a word is so little that
it is hardly learned from. Measured on 100 held-out captions, mini-uniter from random weights, hidden words as
the only task, after 600 steps: 19 % of the colours right with 0.02, 58 % with 0.05."""
DROPOUT = 0.0
"""No caption is read more than a few times, so nothing is learned by heart, and a step takes a third less."""
PEAK = 1e-3
"""Highest learning rate."""
GATED = ("mini-uniter", "mini-lxmert", "mini-vilbert")
MODELS = ("mini-bert", *GATED)
SHARES = WordShares(other=0.15, scene=0.5)
"""How often words are hidden, from mini-bert as from the models that see pictures."""
FEATURE_SOURCE = "value_nb-mini-detector"


def bert_config(vocabulary: int) -> BertConfig:
    """Sizes of mini-bert, those of mini-uniter's text side."""
    from transformers import BertConfig

    return BertConfig(
        vocab_size=vocabulary,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=FFN,
        max_position_embeddings=POSITIONS,
        type_vocab_size=TOKEN_TYPES,
        hidden_dropout_prob=DROPOUT,
        attention_probs_dropout_prob=DROPOUT,
        initializer_range=SPREAD,
    )


def gated_config(name: str, vocabulary: int, feature_size: int, n_classes: int) -> EncoderConfig:
    """Config of a model that sees pictures; ValueError for an unknown name.

    UNITER is one stack of 6 layers. LXMERT has 3 text, 2 image and 3 cross layers. ViLBERT has 6 text and
    3 image layers of other widths, and 3 co-attentions.
    """
    if name not in GATED:
        raise ValueError(f"no gated model {name!r}; valid: {', '.join(GATED)}")
    common: dict[str, Any] = {
        "vocab_size": vocabulary, "feature_size": feature_size, "max_positions": POSITIONS,
        "type_vocab_size": TOKEN_TYPES, "text_width": WIDTH, "text_heads": HEADS, "text_ffn": FFN,
        "pooler_width": WIDTH, "dropout": DROPOUT, "attention_dropout": DROPOUT,
        "initializer_range": SPREAD,
        "feature_source": FEATURE_SOURCE,
    }  # fmt: skip
    same: dict[str, Any] = {
        "image_width": WIDTH, "image_heads": HEADS, "image_ffn": FFN, "cross_width": WIDTH,
        "cross_heads": HEADS,
    }  # fmt: skip
    both = (("class", n_classes), ("feature", feature_size))
    if name == "mini-uniter":
        return EncoderConfig(
            family="uniter", gates="single", image_embedding="uniter", location_size=7, joint_layers=LAYERS,
            mask_embedding=True, region_head="separate", region_targets=both, **common, **same,
        )  # fmt: skip
    if name == "mini-lxmert":
        return EncoderConfig(
            family="lxmert", gates="lxmert", image_embedding="lxmert", location_size=4, text_layers=3,
            image_layers=2, cross_layers=3, region_targets=both, **common, **same,
        )  # fmt: skip
    return EncoderConfig(
        family="vilbert", gates="vilbert", image_embedding="vilbert", location_size=5, text_layers=6,
        image_layers=3, cross_layers=3, text_ids=(3, 4, 5), image_ids=(0, 1, 2), image_width=112,
        image_heads=7, image_ffn=112, cross_width=128, cross_heads=8, global_row="first", fusion="mul",
        pooler_act="relu", match_index=0, region_targets=(("class", n_classes),), **common,
    )  # fmt: skip
