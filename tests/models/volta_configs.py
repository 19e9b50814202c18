"""VOLTA's nine configs, in full size or small: the same keys, gates and conventions, fewer layers."""

from __future__ import annotations

from typing import Any

SINGLE = ("ctrl_uniter_base", "ctrl_visualbert_base", "ctrl_vl-bert_base", "vl-bert_base")
VILBERT = ("ctrl_vilbert_base", "vilbert_base")
LXMERT = ("ctrl_lxmert", "lxmert", "original_lxmert")
NAMES = (*SINGLE, *VILBERT, *LXMERT)
FULL = {"width": 768, "heads": 12, "ffn": 3072, "vocabulary": 30522, "positions": 512, "feature": 2048,
        "pooler": 1024, "wide": (1024, 8, 1024)}  # fmt: skip
SMALL = {"width": 24, "heads": 3, "ffn": 28, "vocabulary": 19, "positions": 32, "feature": 16,
         "pooler": 20, "wide": (20, 2, 18)}  # fmt: skip


def volta_config(name: str, small: bool = True, **changes: Any) -> dict[str, Any]:
    """A config as its JSON file gives it."""
    size = SMALL if small else FULL
    image = size["wide"] if name == "vilbert_base" else (size["width"], size["heads"], size["ffn"])
    values: dict[str, Any] = {
        "attention_probs_dropout_prob": 0.1, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
        "hidden_size": size["width"], "initializer_range": 0.02, "intermediate_size": size["ffn"],
        "max_position_embeddings": size["positions"], "num_attention_heads": size["heads"],
        "type_vocab_size": 2, "vocab_size": size["vocabulary"], "bert_model": "bert-base-uncased",
        "do_lower_case": True, "num_locs": 5, "v_attention_probs_dropout_prob": 0.1, "v_hidden_act": "gelu",
        "v_hidden_dropout_prob": 0.1, "v_feature_size": size["feature"], "v_hidden_size": image[0],
        "v_initializer_range": 0.02, "v_num_attention_heads": image[1], "v_intermediate_size": image[2],
        "sublayer2attn_hidden_size": {}, "sublayer2num_attention_heads": {}, "sublayer2intermediate_size": {},
        "sublayer2v_attn_hidden_size": {}, "sublayer2v_num_attention_heads": {},
        "sublayer2v_intermediate_size": {}, **_gates(name, small),
    }  # fmt: skip
    return {**values, **_own(name, size), **changes}


def _gates(name: str, small: bool) -> dict[str, Any]:
    if name in SINGLE:
        return single(3 if small else 12)
    if name in VILBERT:
        return vilbert(2, 3) if small else vilbert(6, 6)
    return lxmert(3, 2, 2) if small else lxmert(9, 5, 5)


def _lists(tt: list, tv: list, vv: list, t_ff: list, v_ff: list, shared: list, one: list) -> dict[str, Any]:
    return {
        "tt_attn_sublayers": tt, "tv_attn_sublayers": tv, "vt_attn_sublayers": tv, "vv_attn_sublayers": vv,
        "t_ff_sublayers": t_ff, "v_ff_sublayers": v_ff, "shared_sublayers": shared,
        "single_ln_sublayers": one,
    }  # fmt: skip


def single(layers: int) -> dict[str, Any]:
    even, odd = list(range(0, 2 * layers, 2)), list(range(1, 2 * layers, 2))
    everything = list(range(2 * layers))
    return _lists(even, even, even, odd, odd, everything, everything)


def vilbert(text: int, cross: int) -> dict[str, Any]:
    """`text` text-only layers, then co-attention, feed-forward, self-attention, feed-forward."""
    start = 2 * text
    co, own = (list(range(start + k, start + 4 * cross, 4)) for k in (0, 2))
    feed = sorted([k + 1 for k in co] + [k + 1 for k in own])
    alone = list(range(0, start, 2))
    return _lists(alone + own, co, own, [k + 1 for k in alone] + feed, feed, [], [])


def lxmert(text: int, image: int, cross: int) -> dict[str, Any]:
    """Text and image layers under equal numbers, then shared co-attention, self-attention, feed-forward."""
    start = 2 * max(text, image)
    co, own, feed = (list(range(start + k, start + 3 * cross, 3)) for k in (0, 1, 2))
    alone = {s: list(range(0, 2 * n, 2)) for s, n in (("t", text), ("v", image))}
    t_ff, v_ff = ([k + 1 for k in alone[s]] + feed for s in "tv")
    return _lists(alone["t"] + own, co, alone["v"] + own, t_ff, v_ff, co, [])


def _own(name: str, size: dict[str, Any]) -> dict[str, Any]:
    """What the configs differ in."""
    pooled = {"pooler_size": size["pooler"], "v_pooler_size": size["pooler"], "fusion_method": "mul",
              "clf_hidden_size": 1536, "add_global_imgfeat": "first", "visual_target_weights": {"0": 1.0},
              "model": "bert"}  # fmt: skip
    objects = {"type_vocab_size": 3, "image_embeddings": "vl-bert", "image_head_ln": False,
               "v_coordinate_embeddings_dim": size["feature"] // 8}  # fmt: skip
    recipe = {"pooler_size": size["width"], "num_locs": 4, "fusion_method": "text", "clf_hidden_size": 1536,
              "image_embeddings": "lxmert",
              "visual_target_weights": {"3": 6.667, "4": 6.667, "5": 6.667}}  # fmt: skip
    if name == "ctrl_lxmert":
        return {**{k: v for k, v in pooled.items() if k != "model"}, "image_embeddings": "lxmert"}
    if name == "vl-bert_base":
        return {**objects, "num_locs": 4, "add_global_imgfeat": "last", "fusion_method": "none",
                "clf_hidden_size": 768, "visual_target_weights": {"6": 1.0}}  # fmt: skip
    if name == "vilbert_base":
        start = 4 if size is SMALL else 12
        wide, heads = size["wide"][:2]
        co = [str(k) for k in range(start, 16 if size is SMALL else 36, 4)]
        return {**{k: v for k, v in pooled.items() if k != "model"}, "image_embeddings": "vilbert",
                "sublayer2attn_hidden_size": dict.fromkeys(co, wide),
                "sublayer2num_attention_heads": dict.fromkeys(co, heads)}  # fmt: skip
    if name == "lxmert":
        return recipe
    if name == "original_lxmert":
        return {**recipe, "qa_task_weight": 1, "qa_num_answers": 9500, "model": "bert"}
    if name == "ctrl_vl-bert_base":
        return {**pooled, **objects}
    return {**pooled, "image_embeddings": name.split("_")[1]}
