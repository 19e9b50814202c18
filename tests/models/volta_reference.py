"""VOLTA's models once more, as plain functions of a state dict under VOLTA's own names.

Written from the description of the original code, sharing nothing with the kit: no modules, no key map, no
patterns of gates; one example at a time, without padding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Values = dict[str, Any]
State = dict[str, Tensor]
REGION_SIZES = {"0": 1601, "3": 1600, "4": 400, "6": 1601}
ANSWERS = 9500


def shapes(values: Values) -> dict[str, tuple[int, ...]]:
    """Every key of a checkpoint of this config, with its shape."""
    return dict([*_embeddings(values), *_sublayers(values), *_outputs(values)])


def _linear(name: str, out: int, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (out, width)
    yield f"{name}.bias", (out,)


def _norm(name: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def _embeddings(v: Values) -> Iterator[tuple[str, tuple[int, ...]]]:
    h, hv, f, e = v["hidden_size"], v["v_hidden_size"], v["v_feature_size"], "bert.embeddings"
    yield f"{e}.word_embeddings.weight", (v["vocab_size"], h)
    yield f"{e}.position_embeddings.weight", (v["max_position_embeddings"], h)
    yield f"{e}.token_type_embeddings.weight", (v["type_vocab_size"], h)
    yield from _norm(f"{e}.LayerNorm", h)
    kind = v["image_embeddings"]
    if kind in ("vilbert", "lxmert"):
        yield from _linear("bert.v_embeddings.image_embeddings", hv, f)
        yield from _linear("bert.v_embeddings.image_location_embeddings", hv, v["num_locs"])
        for norm in {"vilbert": ["LayerNorm"], "lxmert": ["ImgLayerNorm", "LocLayerNorm"]}[kind]:
            yield from _norm(f"bert.v_embeddings.{norm}", hv)
    if kind == "uniter":
        yield from _linear(f"{e}.image_embeddings", h, f)
        yield from _linear(f"{e}.image_location_embeddings", h, v["num_locs"])
        yield f"{e}.image_token_type_embeddings.weight", (v["type_vocab_size"], h)
        for norm in ("image_layer_norm", "image_location_layer_norm", "v_LayerNorm"):
            yield from _norm(f"{e}.{norm}", h)
    if kind == "visualbert":
        yield from _linear(f"{e}.projection", h, f)
        yield f"{e}.token_type_embeddings_visual.weight", (v["type_vocab_size"], h)
        yield f"{e}.position_embeddings_visual.weight", (v["max_position_embeddings"], h)
    if kind == "vl-bert":
        yield from _linear(f"{e}.obj_downsample.1", h, 2 * f)
        for row, width in (("object_linguistic", h), ("object_mask_visual", f)):
            yield f"{e}.{row}_embedding{'s' if row == 'object_linguistic' else ''}.weight", (1, width)
        yield f"{e}.end_embedding.weight", (1, h)
        if v["visual_target_weights"].get("6", 0) > 0:
            yield f"{e}.object_mask_word_embedding.weight", (1, h)
        for norm in ("visual_ln_text", "visual_ln_object"):
            yield from _norm(f"{e}.{norm}", h)


def _sublayers(v: Values) -> Iterator[tuple[str, tuple[int, ...]]]:
    for i in range(number_of_sublayers(v)):
        at = f"bert.encoder.layer.{i}"
        for p, width, directions in (
            ("", v["hidden_size"], ("tt", "tv")),
            ("v_", v["v_hidden_size"], ("vv", "vt")),
        ):
            if any(i in v[f"{d}_attn_sublayers"] for d in directions):
                inner = size(v, i, f"{p}attn_hidden_size", f"{p}hidden_size")
                for part in ("query", "key", "value"):
                    yield from _linear(f"{at}.attention_self.{p}{part}", inner, width)
                yield from _linear(f"{at}.attention_output.{p}dense", width, inner)
                yield from _norm(f"{at}.attention_output.{p}LayerNorm", width)
            if i in v[f"{'t' if not p else 'v'}_ff_sublayers"]:
                inner = size(v, i, f"{p}intermediate_size", f"{p}intermediate_size")
                yield from _linear(f"{at}.intermediate.{p}dense", inner, width)
                yield from _linear(f"{at}.output.{p}dense", width, inner)
                yield from _norm(f"{at}.output.{p}LayerNorm", width)


def _outputs(v: Values) -> Iterator[tuple[str, tuple[int, ...]]]:
    h, hv, pooler = v["hidden_size"], v["v_hidden_size"], v.get("pooler_size", 768)
    if v["fusion_method"] != "none":
        yield from _linear("bert.t_pooler.dense", pooler, h)
        yield from _linear("cls.bi_seq_relationship", 2, pooler)
    if v["fusion_method"] in ("mul", "sum"):
        yield from _linear("bert.v_pooler.dense", v["v_pooler_size"], hv)
    yield "cls.predictions.bias", (v["vocab_size"],)
    yield from _linear("cls.predictions.transform.dense", h, h)
    yield from _norm("cls.predictions.transform.LayerNorm", h)
    yield "cls.predictions.decoder.weight", (v["vocab_size"], h)
    yield from _linear("cls.imagePredictions.transform.dense", hv, hv)
    if v.get("image_head_ln", True):
        yield from _norm("cls.imagePredictions.transform.LayerNorm", hv)
    for k in v["visual_target_weights"]:
        yield from _linear(
            f"cls.imagePredictions.decoder_dict.{k}", REGION_SIZES.get(k, v["v_feature_size"]), hv
        )
    if v.get("qa_task_weight", 0) > 0:
        yield from _linear("cls.qaPredictions.logit_fc.0", 2 * h, h)
        yield from _norm("cls.qaPredictions.logit_fc.2", 2 * h)
        yield from _linear("cls.qaPredictions.logit_fc.3", ANSWERS, 2 * h)


def tied(v: Values) -> list[set[str]]:
    """Groups of keys that are one tensor."""
    found = [{"bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"}]
    if v["image_embeddings"] == "uniter":
        names = ("token_type_embeddings", "image_token_type_embeddings")
        found.append({f"bert.embeddings.{name}.weight" for name in names})
    keys = shapes(v)
    for key in keys:
        number = key.split(".")[3] if key.startswith("bert.encoder.layer.") else "-1"
        head, _, last = key.rpartition(".v_")
        if head and f"{head}.{last}" in keys and int(number) in v["shared_sublayers"]:
            found.append({key, f"{head}.{last}"})
    return found


def random_state(values: Values, seed: int = 0) -> State:
    """Float64 weights with every tied copy in place; norms lie around 1."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key, shape in shapes(values).items():
        drawn = 0.3 * torch.randn(shape, generator=generator, dtype=torch.float64)
        is_norm = key.endswith("weight") and len(shape) == 1
        state[key] = drawn + 1 if is_norm else drawn
    for first, *copies in map(sorted, tied(values)):
        for copy in copies:
            state[copy] = state[first].clone()
    return state


def number_of_sublayers(v: Values) -> int:
    return 1 + max(max(v[f"{s}_ff_sublayers"]) for s in "tv")


def size(v: Values, number: int, key: str, default: str) -> int:
    return v[f"sublayer2{key}"].get(str(number), v[default])


def lin(s: State, name: str, x: Tensor) -> Tensor:
    return functional.linear(x, s[f"{name}.weight"], s[f"{name}.bias"])


def ln(s: State, name: str, x: Tensor) -> Tensor:
    return functional.layer_norm(x, x.shape[-1:], s[f"{name}.weight"], s[f"{name}.bias"], eps=1e-12)


def embed(v: Values, s: State, ids: Tensor, f: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Text `(position, width)` and image `(region, width)` rows of one example, nothing padded."""
    e, kind = "bert.embeddings", v["image_embeddings"]
    word, place, types = (s[f"{e}.{n}_embeddings.weight"] for n in ("word", "position", "token_type"))
    text = word[ids] + place[: len(ids)] + types[0]
    if kind == "vl-bert":
        return _embed_vlbert(v, s, text, f, b)
    text = ln(s, f"{e}.LayerNorm", text)
    if kind == "vilbert":
        image = lin(s, "bert.v_embeddings.image_embeddings", f)
        image = image + lin(s, "bert.v_embeddings.image_location_embeddings", b)
        return text, ln(s, "bert.v_embeddings.LayerNorm", image)
    if kind == "lxmert":
        image = ln(s, "bert.v_embeddings.ImgLayerNorm", lin(s, "bert.v_embeddings.image_embeddings", f))
        where = lin(s, "bert.v_embeddings.image_location_embeddings", b)
        return text, (image + ln(s, "bert.v_embeddings.LocLayerNorm", where)) / 2
    if kind == "uniter":
        image = ln(s, f"{e}.image_layer_norm", lin(s, f"{e}.image_embeddings", f))
        image = image + ln(s, f"{e}.image_location_layer_norm", lin(s, f"{e}.image_location_embeddings", b))
        return text, ln(s, f"{e}.v_LayerNorm", image + s[f"{e}.image_token_type_embeddings.weight"][1])
    image = lin(s, f"{e}.projection", f) + s[f"{e}.position_embeddings_visual.weight"][0]
    return text, ln(s, f"{e}.LayerNorm", image + s[f"{e}.token_type_embeddings_visual.weight"][1])


def _embed_vlbert(v: Values, s: State, text: Tensor, f: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    e, d, f = "bert.embeddings", v["v_coordinate_embeddings_dim"], f.clone()
    masked = [n for n in range(len(f)) if not f[n].any()]
    for n in masked:
        f[n] = s[f"{e}.object_mask_visual_embedding.weight"][0]
    rows, z = [], []
    for n in range(len(f)):
        x1, y1, x2, y2 = b[n, :4].tolist()
        waves = []
        for c in (50 * (x1 + x2), 50 * (y1 + y2), 100 * (x2 - x1), 100 * (y2 - y1)):
            angles = torch.tensor([c / 1000 ** (k / d) for k in range(d)], dtype=f.dtype)
            waves += [angles.sin(), angles.cos()]
        z.append(lin(s, f"{e}.obj_downsample.1", torch.cat([*waves, f[n]])).clamp_min(0))
        word = s[f"{e}.object_linguistic_embeddings.weight"][0]
        if n in masked and v["visual_target_weights"].get("6", 0) > 0:
            word = s[f"{e}.object_mask_word_embedding.weight"][0]
        last = n == len(f) - 1
        word = s[f"{e}.end_embedding.weight"][0] if last else word
        place = s[f"{e}.position_embeddings.weight"][len(text) + last]
        types = s[f"{e}.token_type_embeddings.weight"][2]
        rows.append(word + ln(s, f"{e}.visual_ln_object", z[n]) + place + types)
    text = text + ln(s, f"{e}.visual_ln_text", z[-1])
    return ln(s, f"{e}.LayerNorm", text), ln(s, f"{e}.LayerNorm", torch.stack(rows))


def attend(v: Values, s: State, i: int, t: Tensor, r: Tensor, maps: dict) -> tuple[Tensor, Tensor]:
    """One attention sublayer; both streams read what came in."""
    on = [d for d in ("tt", "tv", "vt", "vv") if i in v[f"{d}_attn_sublayers"]]
    keys, values, after = {}, {}, {"t": t, "v": r}
    for stream, p, x in (("t", "", t), ("v", "v_", r)):
        if any(d[0] == stream for d in on):
            heads = size(v, i, f"{p}num_attention_heads", f"{p}num_attention_heads")
            at = f"bert.encoder.layer.{i}.attention_self.{p}"
            keys[stream], values[stream] = (_heads(lin(s, at + k, x), heads) for k in ("key", "value"))
    for stream, p, x in (("t", "", t), ("v", "v_", r)):
        blocks = [d for d in on if d[0] == stream]
        if not blocks:
            continue
        heads = size(v, i, f"{p}num_attention_heads", f"{p}num_attention_heads")
        q = _heads(lin(s, f"bert.encoder.layer.{i}.attention_self.{p}query", x), heads)
        scores = [torch.einsum("hqd,hkd->hqk", q, keys[d[1]]) / q.shape[-1] ** 0.5 for d in blocks]
        joint = torch.cat(scores, -1)
        joint = (joint - joint.amax(-1, keepdim=True)).exp()
        joint = joint / joint.sum(-1, keepdim=True)
        start, context = 0, 0
        for d, block in zip(blocks, scores, strict=True):
            maps[i, d] = joint[..., start : start + block.shape[-1]]
            start += block.shape[-1]
            context = context + torch.einsum("hqk,hkd->hqd", maps[i, d], values[d[1]])
        flat = context.permute(1, 0, 2).reshape(len(x), -1)
        out = f"bert.encoder.layer.{i}.attention_output.{p}"
        after[stream] = ln(s, f"{out}LayerNorm", lin(s, f"{out}dense", flat) + x)
    return after["t"], after["v"]


def _heads(x: Tensor, heads: int) -> Tensor:
    return x.reshape(len(x), heads, -1).permute(1, 0, 2)


def feed(s: State, i: int, p: str, x: Tensor) -> Tensor:
    up = functional.gelu(lin(s, f"bert.encoder.layer.{i}.intermediate.{p}dense", x))
    down = lin(s, f"bert.encoder.layer.{i}.output.{p}dense", up)
    return ln(s, f"bert.encoder.layer.{i}.output.{p}LayerNorm", down + x)


def run(v: Values, s: State, ids: Tensor, f: Tensor, b: Tensor) -> dict[str, Any]:
    """states: sublayer (-1: embeddings) -> (text, image); maps: (sublayer, "tv") -> map; and all outputs."""
    maps: dict[tuple[int, str], Tensor] = {}
    t, r = embed(v, s, ids, f, b)
    states = {-1: (t, r)}
    attention = {i for d in ("tt", "tv", "vt", "vv") for i in v[f"{d}_attn_sublayers"]}
    for i in range(number_of_sublayers(v)):
        if i in attention:
            t, r = attend(v, s, i, t, r, maps)
        else:
            t = feed(s, i, "", t) if i in v["t_ff_sublayers"] else t
            r = feed(s, i, "v_", r) if i in v["v_ff_sublayers"] else r
        states[i] = (t, r)
    return {
        "states": states,
        "maps": maps,
        "pooled": pooled(v, s, t, r),
        "mlm": words(s, t),
        "regions": regions(v, s, r),
    }


def pooled(v: Values, s: State, t: Tensor, r: Tensor) -> dict[str, Tensor]:
    """Pooled output and matching logits; nothing where nothing is pooled."""
    act = torch.tanh if v.get("fusion_act", "relu") == "tanh" else torch.relu
    if v["fusion_method"] == "none":
        return {}
    out = act(lin(s, "bert.t_pooler.dense", t[0]))
    if v["fusion_method"] in ("mul", "sum"):
        image = act(lin(s, "bert.v_pooler.dense", r[0]))
        out = out * image if v["fusion_method"] == "mul" else out + image
    return {"pooled": out, "itm": lin(s, "cls.bi_seq_relationship", out)}


def words(s: State, t: Tensor) -> Tensor:
    hidden = functional.gelu(lin(s, "cls.predictions.transform.dense", t))
    hidden = ln(s, "cls.predictions.transform.LayerNorm", hidden)
    return hidden @ s["cls.predictions.decoder.weight"].T + s["cls.predictions.bias"]


def regions(v: Values, s: State, r: Tensor) -> dict[str, Tensor]:
    hidden = functional.gelu(lin(s, "cls.imagePredictions.transform.dense", r))
    if v.get("image_head_ln", True):
        hidden = ln(s, "cls.imagePredictions.transform.LayerNorm", hidden)
    return {k: lin(s, f"cls.imagePredictions.decoder_dict.{k}", hidden) for k in v["visual_target_weights"]}
