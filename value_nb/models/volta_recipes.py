"""The configs of VOLTA's released models, for files that lie without their config.

Written down as what they say (VOLTA's config/*.json): sizes, conventions, and the pattern of gates, which
volta_gates.py writes as lists. A config that lies beside the file is read instead.
"""

from __future__ import annotations

from typing import Any

from value_nb.models import gates
from value_nb.models.gates import Gates
from value_nb.models.volta_gates import lists_of

COMMON: dict[str, Any] = {
    "vocab_size": 30522, "max_position_embeddings": 512, "type_vocab_size": 2, "hidden_act": "gelu",
    "hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072,
    "v_hidden_act": "gelu", "v_feature_size": 2048,
    "v_hidden_size": 768, "v_num_attention_heads": 12, "v_intermediate_size": 3072,
    "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "initializer_range": 0.02,
    "num_locs": 5, "add_global_imgfeat": "first", "pooler_size": 1024, "v_pooler_size": 1024,
    "fusion_method": "mul", "visual_target_weights": {"0": 1},
}  # fmt: skip
VLBERT = {"image_embeddings": "vl-bert", "type_vocab_size": 3, "v_coordinate_embeddings_dim": 256,
          "image_head_ln": False}  # fmt: skip
LXMERT = {
    "image_embeddings": "lxmert", "num_locs": 4, "add_global_imgfeat": None, "pooler_size": 768,
    "fusion_method": "text", "visual_target_weights": {"3": 6.667, "4": 6.667, "5": 6.667},
}  # fmt: skip
CO_ATTENTION = tuple(range(12, 33, 4))
OWN: dict[str, dict[str, Any]] = {
    "ctrl_uniter_base": {"image_embeddings": "uniter"},
    "ctrl_visualbert_base": {"image_embeddings": "visualbert"},
    "ctrl_vl-bert_base": VLBERT,
    "ctrl_vilbert_base": {"image_embeddings": "vilbert"},
    "ctrl_lxmert": {"image_embeddings": "lxmert"},
    "vilbert_base": {
        "image_embeddings": "vilbert", "v_hidden_size": 1024, "v_num_attention_heads": 8,
        "v_intermediate_size": 1024,
        **{f"sublayer2{v}attn_hidden_size": {str(i): 1024 for i in CO_ATTENTION} for v in ("", "v_")},
        **{f"sublayer2{v}num_attention_heads": {str(i): 8 for i in CO_ATTENTION} for v in ("", "v_")},
    },
    "lxmert": LXMERT,
    "original_lxmert": {**LXMERT, "qa_task_weight": 1},
    "vl-bert_base": {
        **VLBERT, "num_locs": 4, "add_global_imgfeat": "last", "pooler_size": 768, "fusion_method": "none",
        "visual_target_weights": {"6": 1},
    },
}  # fmt: skip
"""Name of VOLTA's config -> what it has otherwise than COMMON."""


def recipe(name: str) -> dict[str, Any]:
    """One of VOLTA's configs, as its JSON would give it."""
    own = COMMON | OWN[name]
    return own | lists_of(_gates(own["image_embeddings"]))


def _gates(kind: str) -> Gates:
    if kind == "vilbert":
        return gates.vilbert(12, 6, tuple(range(6, 12)), tuple(range(6)))
    return gates.lxmert(9, 5, 5) if kind == "lxmert" else gates.single_stream(12)
