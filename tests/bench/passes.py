"""One pass over one batch: bare, with each probe, with all attention probes, and as people do it today."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

import value_nb as vnb
from tests.bench import subjects
from tests.bench.meter import in_turns, with_memory
from value_nb.batches import batches
from value_nb.collecting import Dispatcher, collect
from value_nb.cost import finished
from value_nb.data.example import Example
from value_nb.layout import LayerBatch
from value_nb.models.base import Batch, VLModel
from value_nb.probes.base import Probe

BARE, ALL, KEPT = "bare", "all attention probes", "output_attentions, reduced after"
IN_TURN, AHEAD = "batches made in turn", "batches made ahead"
SHALLOW = {
    "uniter": {"num_hidden_layers": 1},
    "lxmert": {"l_layers": 1, "r_layers": 1, "x_layers": 1},
    "vilt": {"num_hidden_layers": 1},
}
"""What a smoke test runs, which is to be over soon."""
WIDE = {"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072, "vocab_size": 28996}


def attention_probes() -> list[Probe]:
    """The descriptive probes that look at attention alone."""
    return [vnb.ModalityImportance(), vnb.CrossModalHeads(), vnb.CoreferenceAttention()]


def measured(
    model: VLModel, batch: Batch, repeats: int, kept: Any = None, fusion: bool = True, memory: bool = True
) -> dict[str, Any]:
    """Rows of a table: name of a run -> seconds, ratio to bare, peak."""
    probes = [p for p in attention_probes() if p.not_defined(model) is None]
    runs = {BARE: partial(once, model, batch, ())}
    runs |= {probe.title: partial(once, model, batch, [probe]) for probe in probes}
    runs[ALL] = partial(once, model, batch, probes)
    if fusion and vnb.FusionDegree().not_defined(model) is None:
        runs["Multimodal fusion degree"] = partial(once, model, batch, [vnb.FusionDegree()])
    if kept is not None:
        runs["transformers, bare"] = partial(kept, (), False)
        runs[KEPT] = partial(kept, probes, True)
    rows = in_turns(runs, repeats, BARE)
    if memory:
        rows = with_memory(runs, rows, BARE)
    positions = " + ".join(str(s.valid.shape[1]) for s in batch.layout.streams.values())
    return {"model": model.name, "pairs": len(batch.layout.examples), "positions": positions, "rows": rows}


def once(model: VLModel, batch: Batch, probes: Sequence[Probe]) -> None:
    """One batch through the model and what the probes make of it."""
    listener = Dispatcher(model, [probe.fresh(0) for probe in probes]) if probes else None
    with torch.inference_mode():
        model.run(batch, on_layer=listener)
    if listener:
        listener.settle()
    finished(model.device)


def as_joint_bert(model: VLModel, batch: Batch) -> Any:
    """transformers' BertModel of the same shape on as many embeddings, then the same reductions."""
    from transformers import BertConfig, BertModel

    config = BertConfig(**WIDE, num_hidden_layers=model.stacks["joint"], attn_implementation="eager")
    bert = BertModel(config).eval().to(model.device, model.dtype)
    n_text, n_image = (s.valid.shape[1] for s in batch.layout.streams.values())
    shape = (len(batch.layout.examples), n_text + n_image, config.hidden_size)
    states = torch.randn(shape, device=model.device, dtype=model.dtype)
    cut = {"text": slice(0, n_text), "image": slice(n_text, None)}

    def run(probes: Sequence[Probe], keep: bool) -> None:
        with torch.inference_mode():
            out = bert(inputs_embeds=states, output_attentions=keep)
            if keep:
                reduce(model, batch, probes, out.attentions, cut)
        finished(model.device)

    return run


def as_vilt(model: Any, batch: Batch) -> Any:
    """transformers' ViltModel on the same pixels, then the same reductions."""
    pixels = {name: batch.inputs[name] for name in ("input_ids", "pixel_values", "pixel_mask")}
    eager = {"attention_mask": batch.inputs["text_mask"], **pixels}
    n_text = batch.layout.streams["text"].valid.shape[1]
    cut = {"text": slice(0, n_text), "image": slice(n_text, None)}

    def run(probes: Sequence[Probe], keep: bool) -> None:
        with torch.inference_mode():
            out = model.backbone(**eager, output_attentions=keep)
            if keep:
                reduce(model, batch, probes, out.attentions, cut)
        finished(model.device)

    return run


def as_lxmert(model: VLModel, batch: Batch) -> Any:
    """transformers' LxmertModel, whose maps from image to text it does not hand out at all."""
    from transformers import LxmertConfig, LxmertModel

    names = {"text": "l_layers", "image": "r_layers", "cross": "x_layers"}
    config = LxmertConfig(**{names[stack]: layers for stack, layers in model.stacks.items()})
    lxmert = LxmertModel(config).eval().to(model.device, model.dtype)
    given = {
        "input_ids": batch.inputs["input_ids"], "attention_mask": batch.inputs["text_mask"],
        "visual_feats": batch.inputs["features"], "visual_pos": batch.inputs["locations"],
        "visual_attention_mask": batch.inputs["image_mask"],
    }  # fmt: skip

    def run(probes: Sequence[Probe], keep: bool) -> None:
        with torch.inference_mode():
            out = lxmert(**given, output_attentions=keep)
            if keep:
                listen = Dispatcher(model, [probe.fresh(0) for probe in probes])
                for number, block in enumerate(out.cross_encoder_attentions, start=1):
                    listen(LayerBatch(batch.layout, "cross", number, {}, {"text->image": block}, False))
                listen.settle()
        finished(model.device)

    return run


def reduce(model: VLModel, batch: Batch, probes: Sequence[Probe], maps: Any, cut: Any) -> None:
    """Hand whole maps `(example, head, position, position)` to probes, after the pass that made them."""
    listen = Dispatcher(model, [probe.fresh(0) for probe in probes])
    for number, whole in enumerate(maps, start=1):
        blocks = {
            f"{q}->{k}": whole[:, :, rows, columns] for q, rows in cut.items() for k, columns in cut.items()
        }
        listen(LayerBatch(batch.layout, "joint", number, {}, blocks, True))
    listen.settle()


def devices() -> list[tuple[str, str]]:
    """(device, dtype) to measure on."""
    gpu = [("cuda", "float32"), ("cuda", "bfloat16")] if torch.cuda.is_available() else []
    return [("cpu", "float32"), *gpu]


def region_models(quick: bool) -> dict[str, Any]:
    """UNITER-base and LXMERT at 20 + 36 positions, and UNITER-base at 20 + 240."""
    found = {}
    for device, dtype in devices():
        size = 4 if quick else 16 if device == "cpu" else 64
        repeats = 2 if quick else 15  # a budget hangs on it, and five rounds scatter by a fifth
        model = subjects.gated("uniter", device, dtype, **(SHALLOW["uniter"] if quick else {}))
        where = f"{device} {dtype}"
        batch = model.prepare(subjects.pairs(size))
        found[f"UNITER-base, {where}"] = measured(model, batch, repeats, as_joint_bert(model, batch))
        small = max(2, size // 4)
        batch = model.prepare(subjects.pairs(small, regions=240))
        kept = as_joint_bert(model, batch)
        found[f"UNITER-base, 260 positions, {where}"] = measured(
            model, batch, 1 if quick else 4, kept, fusion=False
        )
        del model
        model = subjects.gated("lxmert", device, dtype, **(SHALLOW["lxmert"] if quick else {}))
        batch = model.prepare(subjects.pairs(size))
        kept = as_lxmert(model, batch)
        found[f"LXMERT, {where}"] = measured(model, batch, 1 if quick else 4, kept)
    return found


def patch_model(quick: bool) -> dict[str, Any]:
    """ViLT at 20 positions of text and 1 + 240 of the picture."""
    found = {}
    for device, dtype in devices():
        model = subjects.vilt(device, dtype, **(SHALLOW["vilt"] if quick else {}))
        with tempfile.TemporaryDirectory() as folder:
            examples = subjects.pairs(2 if quick else 4, image=subjects.picture(Path(folder)))
            batch = model.prepare(examples)
        kept = as_vilt(model, batch)
        found[f"ViLT, {device} {dtype}"] = measured(model, batch, 1 if quick else 4, kept, fusion=False)
    return found


def whole_passes(quick: bool) -> list[dict[str, Any]]:
    """Rows: device, and the seconds of passes of UNITER-base over many pairs, from examples on."""
    found = []
    for device, dtype in devices():
        n, size = (8, 4) if quick else (64, 32) if device == "cpu" else (1024, 128)
        model = subjects.gated("uniter", device, dtype, **(SHALLOW["uniter"] if quick else {}))
        pool = subjects.pairs(n)
        made = [model.prepare(part) for part in batches(pool, size)]
        runs = {
            BARE: lambda model=model, made=made: [once(model, batch, ()) for batch in made],
            IN_TURN: partial(_in_turn, model, pool, size),
            AHEAD: partial(_pass, model, pool, size, ()),
            ALL: partial(_pass, model, pool, size, attention_probes()),
        }
        rows = in_turns(runs, 1 if quick else 3, BARE)
        found.append({"where": f"{device} {dtype}", "pairs": n, "batch_size": size, "rows": rows})
    return found


def _in_turn(model: VLModel, pool: Sequence[Example], size: int) -> None:
    for part in batches(pool, size):
        once(model, model.prepare(part), ())


def _pass(model: VLModel, pool: Sequence[Example], size: int, probes: Sequence[Probe]) -> None:
    collect(model, pool, [probe.fresh(0) for probe in probes], batch_size=size)
    finished(model.device)


def miniature(quick: bool) -> dict[str, Any]:
    """The shipped models on shipped pairs."""
    found = {}
    for name in ("mini-uniter", "mini-lxmert"):
        model = vnb.load_model(name, device="cpu")
        data = vnb.load_dataset("mini-flickr30k", split="test")
        batch = model.prepare([data[k] for k in range(32)])
        found[f"{name}, cpu float32"] = measured(model, batch, 3 if quick else 15)
    return found
