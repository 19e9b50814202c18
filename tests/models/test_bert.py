from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertForMaskedLM

from tests.tiny import save_tiny, tiny_bert_config, tiny_examples, tiny_model, tiny_words
from value_nb.layout import LayerBatch
from value_nb.models import bert


def test_hooks_see_what_transformers_returns() -> None:
    model = tiny_model("bert")
    batch = model.prepare(tiny_examples(3))
    found: list[LayerBatch] = []
    last = model.run(batch, found.append).hidden["text"]
    with torch.no_grad():
        out = model.module.bert(
            batch.inputs["input_ids"], attention_mask=batch.inputs["text_mask"], output_attentions=True,
            output_hidden_states=True,
        )  # fmt: skip
    assert len(out.attentions) == 3
    for layer, states in zip(found, out.hidden_states, strict=True):
        assert torch.equal(layer.hidden["text"], states)
    for layer, weights in zip(found[1:], out.attentions, strict=True):
        assert torch.equal(layer.attention["text->text"], weights)
    assert torch.equal(last, out.last_hidden_state)


def test_no_hook_is_left_behind() -> None:
    model, calls = tiny_model("bert"), []
    batch = model.prepare(tiny_examples(2))
    model.run(batch, calls.append, head_mask={("text", 1): torch.zeros(3)})
    seen, plain = len(calls), model.run(batch).hidden["text"]
    assert len(calls) == seen
    assert torch.equal(plain, tiny_model("bert").run(batch).hidden["text"])

    def fail(_: LayerBatch) -> None:
        raise RuntimeError("listener")

    with pytest.raises(RuntimeError, match="listener"):
        model.run(batch, fail)
    assert torch.equal(plain, model.run(batch).hidden["text"])


def test_a_half_file_becomes_a_float32_model(tmp_path: Path) -> None:
    save_tiny(tmp_path, "bert", seed=4)
    assert {t.dtype for t in load_file(tmp_path / "model.safetensors").values()} == {torch.float16}
    module = bert.read(tmp_path)
    assert {p.dtype for p in module.parameters()} == {torch.float32}
    want = bert.build(tiny_bert_config(), 4).state_dict()
    assert all(torch.equal(t, want[n].half().float()) for n, t in module.state_dict().items())
    theirs = BertForMaskedLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert all(torch.equal(t, theirs.state_dict()[n]) for n, t in module.state_dict().items())


def test_missing_and_left_over_tensors_are_listed(tmp_path: Path) -> None:
    save_tiny(tmp_path, "bert")
    state = load_file(tmp_path / "model.safetensors")
    state["bert.encoder.layer.7.output.dense.bias"] = state.pop("bert.encoder.layer.0.output.dense.bias")
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(
        ValueError, match=r"missing: bert\.encoder\.layer\.0.*left over: bert\.encoder\.layer\.7"
    ):
        bert.read(tmp_path)


def test_only_the_eager_implementation_is_taken() -> None:
    module = bert.build(tiny_bert_config(), 0)
    other = copy.deepcopy(module)
    other.config._attn_implementation = "sdpa"
    with pytest.raises(ValueError, match="attn_implementation='eager'"):
        bert.BertText(other, tiny_words(), "x", "trained")
